/* SPDX-License-Identifier: Apache-2.0 */
/* admin_check.c - would this request pass now, and if not, because of what and until when? */
#include <inttypes.h>

#include "cli/admin_client.h"
#include "cli/cli.h"
#include "config/config.h"

enum { MODEL, INPUT, OUTPUT, REQUESTS };
enum { EXIT_CANNOT_ASK = 3 };

static const struct weir_admin_command check = {
    .name = "weir check",
    .help = "usage: weir check [OPTION...] KEY_ID\n\n"
            "Whether a request of this key would be allowed now; nothing is charged. Ends with 0 "
            "if it\nwould, with 1 if not, with 3 where it cannot be asked.\n\n"
            "  --model NAME       the model that it asks for\n"
            "  --input N          its input tokens (0)\n"
            "  --output N         output tokens that it reserves (0)\n"
            "  --requests N       as so many requests (1)\n" WEIR_ADMIN_WHERE_HELP
            "  --json             the API's answer\n"
            "  --help             this text\n",
    .more = {"model", "input", "output", "requests"},
    .operand = "the id of one key",
    .operands_min = 1,
    .operands_max = 1,
};

/* False: said what is wrong. */
static bool put_amount(const struct weir_admin_client *c, int option, const char *field,
                       struct weir_buf *b)
{
    uint64_t amount;
    const char *text = c->more[option];
    if (text == NULL) {
        return true;
    }
    if (!weir_parse_amount(weir_str_z(text), &amount)) {
        fprintf(stderr, "weir check: --%s: expected a whole number, got \"%.80s\"\n",
                check.more[option], text);
        return false;
    }
    weir_buf_printf(b, ",\"%s\":%" PRIu64, field, amount);
    return true;
}

/* False: said what is wrong. */
static bool put_question(const struct weir_admin_client *c, struct weir_buf *b)
{
    struct weir_buf key;
    weir_buf_init(&key, 1024);
    weir_buf_str(&key, WEIR_STR("id:"));
    weir_buf_str(&key, weir_str_z(c->operand[0]));
    WEIR_BUF_LIT(b, "{\"key\":");
    weir_buf_json(b, weir_buf_view(&key));
    weir_buf_deinit(&key);
    if (c->more[MODEL] != NULL) {
        WEIR_BUF_LIT(b, ",\"model\":");
        weir_buf_json(b, weir_str_z(c->more[MODEL]));
    }
    bool good = put_amount(c, INPUT, "input_tokens", b) &&
                put_amount(c, OUTPUT, "output_tokens", b) && put_amount(c, REQUESTS, "requests", b);
    weir_buf_char(b, '}');
    weir_buf_char(b, '\0');
    if (good && b->failed) {
        fprintf(stderr, "weir check: expected shorter names\n");
    }
    return good && !b->failed;
}

static bool is_allowed(const struct weir_admin_client *c)
{
    const struct weir_json *j = &c->json;
    const struct weir_json_node *n = weir_json_member(j, weir_json_root(j), "allowed");
    return n != NULL && n->kind == WEIR_JSON_TRUE;
}

static void print_denial(const struct weir_json *j)
{
    const struct weir_json_node *root = weir_json_root(j);
    const struct weir_json_node *by = weir_json_member(j, root, "denied_by");
    const struct weir_json_node *after = weir_json_member(j, root, "retry_after_ms");
    struct weir_str subject = weir_admin_text(j, by, "subject");
    struct weir_str meter = weir_admin_text(j, by, "meter");
    struct weir_buf window, span;
    weir_buf_init(&window, 32);
    weir_buf_init(&span, 32);
    weir_admin_window(&window, weir_admin_number(j, by, "window_s"));
    weir_admin_span(&span, weir_admin_number(j, root, "retry_after_ms"));
    printf("denied by %.*s of %.*s in %.*s: ", (int)meter.len, meter.p, (int)subject.len, subject.p,
           (int)window.len, window.data);
    if (after == NULL || after->kind != WEIR_JSON_NUMBER) {
        printf("more than the limit, never to pass\n");
    } else {
        printf("would pass in %.*s\n", (int)span.len, span.data);
    }
    weir_buf_deinit(&window);
    weir_buf_deinit(&span);
}

static void print_answer(const struct weir_admin_client *c)
{
    if (c->as_json) {
        weir_admin_print(c);
        return;
    }
    if (is_allowed(c)) {
        printf("allowed; with it:\n");
    } else {
        print_denial(&c->json);
    }
    weir_admin_print_limits(c, "capacity");
}

int weir_cmd_check(int argc, char **argv)
{
    struct weir_admin_client c;
    struct weir_buf question;
    int code;
    weir_buf_init(&question, 4096);
    if (weir_admin_begin(&c, &check, argc, argv, &code) && put_question(&c, &question)) {
        code = EXIT_CANNOT_ASK;
        if (weir_admin_ask(&c, "/check", question.data)) {
            print_answer(&c);
            code = is_allowed(&c) ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
        }
    }
    weir_buf_deinit(&question);
    weir_admin_end(&c);
    return code;
}
