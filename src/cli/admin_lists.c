/* SPDX-License-Identifier: Apache-2.0 */
/* admin_lists.c - what a node's configuration has: its keys, and its plans. */
#include <inttypes.h>

#include "cli/admin_client.h"
#include "cli/cli.h"

enum { PATH_MAX_BYTES = 1024 };

static const struct weir_admin_command keys = {
    .name = "weir keys",
    .help =
        "usage: weir keys [OPTION...] list\n"
        "       weir keys [OPTION...] show KEY_ID\n\n"
        "The keys that a node knows, with their plans, teams and orgs; of one, whose limits its "
        "requests\nare counted against.\n\n" WEIR_ADMIN_WHERE_HELP
        "  --json             the API's answer; of a list, a line for each page\n"
        "  --help             this text\n",
    .operand = "list, or show and the id of a key",
    .operands_min = 1,
    .operands_max = 2,
};

static const struct weir_admin_command plans = {
    .name = "weir plans",
    .help = "usage: weir plans [OPTION...] list\n"
            "       weir plans [OPTION...] show PLAN\n\n"
            "The plans that a node has, and their limits.\n\n" WEIR_ADMIN_WHERE_HELP
            "  --json             the API's answer; of one plan, its part of it\n"
            "  --help             this text\n",
    .operand = "list, or show and the name of a plan",
    .operands_min = 1,
    .operands_max = 2,
};

/* Whether it is "list"; *ret_show: the operand of "show". False and NULL: said what is wrong. */
static bool is_list(const struct weir_admin_client *c, const char **ret_show)
{
    bool shows = strcmp(c->operand[0], "show") == 0 && c->operands == 2;
    bool lists = strcmp(c->operand[0], "list") == 0 && c->operands == 1;
    *ret_show = shows ? c->operand[1] : NULL;
    if (!shows && !lists) {
        fprintf(stderr, "%s: expected %s; see %s --help\n", c->of->name, c->of->operand,
                c->of->name);
    }
    return lists;
}

static const struct weir_json_node *first_of(const struct weir_json *j, const char *list,
                                             const struct weir_json_node **ret_list)
{
    *ret_list = weir_json_member(j, weir_json_root(j), list);
    bool is = *ret_list != NULL && (*ret_list)->kind == WEIR_JSON_ARRAY;
    return is ? weir_json_first(j, *ret_list) : NULL;
}

/* ---- keys ---- */

static void print_key(const struct weir_json *j, const struct weir_json_node *key)
{
    struct weir_str id = weir_admin_text(j, key, "id"), plan = weir_admin_text(j, key, "plan");
    struct weir_str team = weir_admin_text(j, key, "team"), org = weir_admin_text(j, key, "org");
    printf("%-30.*s  %-20.*s  %-20.*s  %.*s\n", (int)id.len, id.p, (int)plan.len, plan.p,
           (int)team.len, team.p, (int)org.len, org.p);
}

static void print_keys_head(void)
{
    printf("%-30s  %-20s  %-20s  %s\n", "id", "plan", "team", "org");
}

/* Prints a page; *ret_last: the id of its last key, in the answer. */
static void print_page(const struct weir_admin_client *c, struct weir_str *ret_last)
{
    const struct weir_json *j = &c->json;
    const struct weir_json_node *list, *n = first_of(j, "keys", &list);
    if (c->as_json) {
        weir_admin_print(c);
    }
    for (; n != NULL; n = weir_json_next(j, list, n)) {
        if (!c->as_json) {
            print_key(j, n);
        }
        *ret_last = weir_admin_text(j, n, "id");
    }
}

static bool has_more(const struct weir_json *j)
{
    const struct weir_json_node *more = weir_json_member(j, weir_json_root(j), "more");
    return more != NULL && more->kind == WEIR_JSON_TRUE;
}

static bool list_keys(struct weir_admin_client *c)
{
    struct weir_buf path;
    struct weir_str last = {0};
    weir_buf_init(&path, PATH_MAX_BYTES);
    bool asked, begun = false;
    do {
        weir_buf_reset(&path);
        weir_buf_str(&path, WEIR_STR("/keys?limit=1000"));
        if (begun) {
            weir_buf_str(&path, WEIR_STR("&after="));
            weir_admin_encode(&path, last);
        }
        weir_buf_char(&path, '\0');
        last.len = 0;
        asked = !path.failed && weir_admin_ask(c, path.data, NULL);
        if (asked && !begun && !c->as_json) {
            print_keys_head();
        }
        begun = true;
        if (asked) {
            print_page(c, &last);
        }
    } while (asked && has_more(&c->json) && last.len > 0);
    weir_buf_deinit(&path);
    return asked;
}

static void print_one_key(const struct weir_admin_client *c)
{
    const struct weir_json *j = &c->json;
    const struct weir_json_node *list, *n = first_of(j, "subjects", &list);
    print_keys_head();
    print_key(j, weir_json_root(j));
    printf("counted against:");
    for (; n != NULL; n = weir_json_next(j, list, n)) {
        struct weir_str name = weir_json_raw(j, n);
        printf(" %.*s", (int)name.len, name.p);
    }
    putchar('\n');
}

static bool show_key(struct weir_admin_client *c, const char *id)
{
    struct weir_buf path;
    weir_buf_init(&path, PATH_MAX_BYTES);
    weir_buf_str(&path, WEIR_STR("/keys/"));
    weir_admin_encode(&path, weir_str_z(id));
    weir_buf_char(&path, '\0');
    bool asked = false;
    if (path.failed || id[0] == '\0') {
        fprintf(stderr, "weir keys: there is no key of such an id\n");
    } else {
        asked = weir_admin_ask(c, path.data, NULL);
    }
    weir_buf_deinit(&path);
    if (asked) {
        (c->as_json ? weir_admin_print : print_one_key)(c);
    }
    return asked;
}

int weir_cmd_keys(int argc, char **argv)
{
    struct weir_admin_client c;
    int code;
    if (weir_admin_begin(&c, &keys, argc, argv, &code)) {
        const char *show;
        bool lists = is_list(&c, &show);
        if (lists || show != NULL) {
            bool done = lists ? list_keys(&c) : show_key(&c, show);
            code = done ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
        }
    }
    weir_admin_end(&c);
    return code;
}

/* ---- plans ---- */

static void print_plan(const struct weir_json *j, const struct weir_json_node *plan)
{
    const struct weir_json_node *limits = weir_json_member(j, plan, "limits");
    struct weir_str name = weir_admin_text(j, plan, "name");
    printf("%.*s\n", (int)name.len, name.p);
    bool list = limits != NULL && limits->kind == WEIR_JSON_ARRAY;
    for (const struct weir_json_node *n = list ? weir_json_first(j, limits) : NULL; n != NULL;
         n = weir_json_next(j, limits, n)) {
        struct weir_buf window;
        struct weir_str meter = weir_admin_text(j, n, "meter");
        weir_buf_init(&window, 32);
        weir_admin_window(&window, weir_admin_number(j, n, "window_s"));
        printf("  %-13.*s  %14" PRIu64 "  per %.*s\n", (int)meter.len, meter.p,
               weir_admin_number(j, n, "limit"), (int)window.len, window.data);
        weir_buf_deinit(&window);
    }
}

static void print_plans(const struct weir_admin_client *c)
{
    const struct weir_json *j = &c->json;
    const struct weir_json_node *list, *n = first_of(j, "plans", &list);
    for (; n != NULL; n = weir_json_next(j, list, n)) {
        print_plan(j, n);
    }
}

/* Whether it is there. */
static bool show_plan(const struct weir_admin_client *c, const char *name)
{
    const struct weir_json *j = &c->json;
    const struct weir_json_node *list, *n = first_of(j, "plans", &list);
    for (; n != NULL; n = weir_json_next(j, list, n)) {
        const struct weir_json_node *of = weir_json_member(j, n, "name");
        if (of == NULL || of->kind != WEIR_JSON_STRING ||
            !weir_json_string_is(j, of, weir_str_z(name))) {
            continue;
        }
        if (c->as_json) {
            struct weir_str raw = weir_json_raw(j, n);
            printf("%.*s\n", (int)raw.len, raw.p);
        } else {
            print_plan(j, n);
        }
        return true;
    }
    fprintf(stderr, "weir plans: there is no plan of this name\n");
    return false;
}

int weir_cmd_plans(int argc, char **argv)
{
    struct weir_admin_client c;
    int code;
    if (weir_admin_begin(&c, &plans, argc, argv, &code)) {
        const char *show;
        bool lists = is_list(&c, &show);
        if (lists || show != NULL) {
            bool done = weir_admin_ask(&c, "/plans", NULL) && (lists || show_plan(&c, show));
            code = done ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
            if (done && lists) {
                (c.as_json ? weir_admin_print : print_plans)(&c);
            }
        }
    }
    weir_admin_end(&c);
    return code;
}
