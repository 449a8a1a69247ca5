/* SPDX-License-Identifier: Apache-2.0 */
/* admin_usage.c - one subject of a node: what of its limits is used, and its reset. */
#include "cli/admin_client.h"
#include "cli/cli.h"

static const struct weir_admin_command usage = {
    .name = "weir usage",
    .help = "usage: weir usage [OPTION...] SUBJECT\n\n"
            "What of the limits of SUBJECT, as key:alice, team:search or \"model:gpt-4*\", is used "
            "now.\n\n" WEIR_ADMIN_WHERE_HELP "  --json             the API's answer\n"
            "  --help             this text\n",
    .operand = "the name of one subject, as key:alice",
    .operands_min = 1,
    .operands_max = 1,
};

static const struct weir_admin_command reset = {
    .name = "weir reset",
    .help = "usage: weir reset [OPTION...] SUBJECT\n\n"
            "Forgets what SUBJECT, as key:alice, has used, in the store: all of its limits are "
            "there\nagain. What is under way, and what nodes hold of it in leases, goes "
            "on.\n\n" WEIR_ADMIN_WHERE_HELP "  --json             the API's answer\n"
            "  --help             this text\n",
    .operand = "the name of one subject, as key:alice",
    .operands_min = 1,
    .operands_max = 1,
};

/* False: said why not. */
static bool ask_about(struct weir_admin_client *c, const char *behind, const char *body)
{
    struct weir_buf path;
    weir_buf_init(&path, 2048);
    weir_buf_str(&path, WEIR_STR("/subjects/"));
    weir_admin_encode(&path, weir_str_z(c->operand[0]));
    weir_buf_str(&path, weir_str_z(behind));
    weir_buf_char(&path, '\0');
    bool asked = false;
    if (path.failed) {
        fprintf(stderr, "%s: expected a shorter name\n", c->of->name);
    } else {
        asked = weir_admin_ask(c, path.data, body);
    }
    weir_buf_deinit(&path);
    return asked;
}

static void print_usage(const struct weir_admin_client *c)
{
    const struct weir_json_node *root = weir_json_root(&c->json);
    struct weir_str name = weir_admin_text(&c->json, root, "subject");
    struct weir_str plan = weir_admin_text(&c->json, root, "plan");
    printf("%.*s, plan %.*s\n", (int)name.len, name.p, (int)plan.len, plan.p);
    weir_admin_print_limits(c, "limit");
}

static void print_reset(const struct weir_admin_client *c)
{
    struct weir_str name = weir_admin_text(&c->json, weir_json_root(&c->json), "subject");
    printf("%.*s: nothing of its limits is used\n", (int)name.len, name.p);
}

static int run(const struct weir_admin_command *of, const char *behind, const char *body,
               void (*print)(const struct weir_admin_client *c), int argc, char **argv)
{
    struct weir_admin_client c;
    int code;
    if (weir_admin_begin(&c, of, argc, argv, &code)) {
        bool asked = ask_about(&c, behind, body);
        code = asked ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
        if (asked) {
            (c.as_json ? weir_admin_print : print)(&c);
        }
    }
    weir_admin_end(&c);
    return code;
}

int weir_cmd_usage(int argc, char **argv)
{
    return run(&usage, "", NULL, print_usage, argc, argv);
}

int weir_cmd_reset(int argc, char **argv)
{
    return run(&reset, "/reset", "{}", print_reset, argc, argv);
}
