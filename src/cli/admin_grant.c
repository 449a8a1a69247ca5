/* SPDX-License-Identifier: Apache-2.0 */
/* admin_grant.c - extra budget of a subject, once. */
#include <inttypes.h>

#include "cli/admin_client.h"
#include "cli/cli.h"
#include "config/config.h"

static const struct weir_admin_command grant = {
    .name = "weir grant",
    .help =
        "usage: weir grant [OPTION...] SUBJECT AMOUNTS\n\n"
        "Lets a key, a team or an org, as key:alice, use so much more than its limits say until "
        "their\nlength of time has passed, once. AMOUNTS as \"output_tokens: 10k, requests: "
        "5\". The node's\nconfiguration has to name a registry.\n\n"
        "  --window LENGTH    in the window of this length alone, as 1min\n" WEIR_ADMIN_WHERE_HELP
        "  --json             the API's answer\n"
        "  --help             this text\n",
    .more = {"window"},
    .operand = "the name of a subject and amounts, as \"output_tokens: 10k\"",
    .operands_min = 2,
    .operands_max = 2,
};

static struct weir_str trimmed(struct weir_str s)
{
    while (s.len > 0 && s.p[0] == ' ') {
        s = weir_str(s.p + 1, s.len - 1);
    }
    while (s.len > 0 && s.p[s.len - 1] == ' ') {
        s.len--;
    }
    return s;
}

/* "requests: 5" as a member. */
static bool put_amount(struct weir_str text, struct weir_buf *b)
{
    enum weir_meter meter;
    uint64_t amount;
    const char *colon = text.len == 0 ? NULL : memchr(text.p, ':', text.len);
    if (colon == NULL) {
        return false;
    }
    size_t name = (size_t)(colon - text.p);
    if (weir_meter_parse(trimmed(weir_str(text.p, name)), &meter) != WEIR_OK ||
        !weir_parse_amount(trimmed(weir_str(colon + 1, text.len - name - 1)), &amount)) {
        return false;
    }
    weir_buf_printf(b, "%s\"%s\":%" PRIu64, b->len > 1 ? "," : "", weir_meter_name(meter), amount);
    return true;
}

static bool put_amounts(const char *text, struct weir_buf *b)
{
    for (;;) {
        size_t len = strcspn(text, ",");
        if (!put_amount(weir_str(text, len), b)) {
            fprintf(stderr,
                    "weir grant: expected amounts as \"output_tokens: 10k, requests: 5\"\n");
            return false;
        }
        if (text[len] == '\0') {
            return true;
        }
        text += len + 1;
    }
}

static bool put_window(const char *text, struct weir_buf *b)
{
    uint64_t window_s;
    if (text == NULL) {
        return true;
    }
    if (!weir_parse_duration_s(weir_str_z(text), &window_s)) {
        fprintf(stderr, "weir grant: --window: expected a length of time as 1min or 30day\n");
        return false;
    }
    weir_buf_printf(b, ",\"window_s\":%" PRIu64, window_s);
    return true;
}

/* False: said why not. */
static bool ask(struct weir_admin_client *c, const char *body)
{
    struct weir_buf path;
    weir_buf_init(&path, 2048);
    WEIR_BUF_LIT(&path, "/subjects/");
    weir_admin_encode(&path, weir_str_z(c->operand[0]));
    WEIR_BUF_LIT(&path, "/grant");
    weir_buf_char(&path, '\0');
    bool asked = !path.failed && weir_admin_ask(c, path.data, body);
    if (path.failed) {
        fprintf(stderr, "weir grant: expected a shorter name\n");
    }
    weir_buf_deinit(&path);
    return asked;
}

int weir_cmd_grant(int argc, char **argv)
{
    struct weir_admin_client c;
    struct weir_buf body;
    int code;
    weir_buf_init(&body, 1024);
    weir_buf_char(&body, '{');
    if (weir_admin_begin(&c, &grant, argc, argv, &code) && put_amounts(c.operand[1], &body) &&
        put_window(c.more[0], &body)) {
        WEIR_BUF_LIT(&body, "}\0");
        bool asked = !body.failed && ask(&c, body.data);
        code = asked ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
        if (asked && c.as_json) {
            weir_admin_print(&c);
        } else if (asked) {
            printf("%s: granted\n", c.operand[0]);
        }
    }
    weir_buf_deinit(&body);
    weir_admin_end(&c);
    return code;
}
