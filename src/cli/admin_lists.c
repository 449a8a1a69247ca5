/* SPDX-License-Identifier: Apache-2.0 */
/* admin_lists.c - keys, teams, orgs and plans as tables. */
#include <inttypes.h>

#include "cli/admin_things.h"

enum { PATH_MAX_BYTES = 1024 };

static const struct weir_json_node *first_of(const struct weir_json *j, const char *list,
                                             const struct weir_json_node **ret_list)
{
    *ret_list = weir_json_member(j, weir_json_root(j), list);
    bool is = *ret_list != NULL && (*ret_list)->kind == WEIR_JSON_ARRAY;
    return is ? weir_json_first(j, *ret_list) : NULL;
}

static bool is_true(const struct weir_json *j, const struct weir_json_node *in, const char *name)
{
    const struct weir_json_node *n = weir_json_member(j, in, name);
    return n != NULL && n->kind == WEIR_JSON_TRUE;
}

static void print_plan(const struct weir_json *j, const struct weir_json_node *plan)
{
    const struct weir_json_node *limits = weir_json_member(j, plan, "limits");
    struct weir_str name = weir_admin_text(j, plan, "name");
    struct weir_str source = weir_admin_text(j, plan, "source");
    bool of_file = weir_str_eq(source, WEIR_STR("file"));
    printf("%.*s%s%.*s\n", (int)name.len, name.p, of_file ? "" : ", ",
           of_file ? 0 : (int)source.len, source.p);
    bool list = limits != NULL && limits->kind == WEIR_JSON_ARRAY;
    for (const struct weir_json_node *n = list ? weir_json_first(j, limits) : NULL; n != NULL;
         n = weir_json_next(j, limits, n)) {
        struct weir_buf window;
        struct weir_str meter = weir_admin_text(j, n, "meter");
        weir_buf_init(&window, 32);
        weir_admin_window(&window, weir_admin_number(j, n, "window_s"));
        printf("  %-13.*s  %14" PRIu64 "  per %.*s%s\n", (int)meter.len, meter.p,
               weir_admin_number(j, n, "limit"), (int)window.len, window.data,
               is_true(j, n, "shadow") ? " in shadow" : "");
        weir_buf_deinit(&window);
    }
}

static void print_head(const struct weir_thing *t)
{
    if (!t->plan) {
        printf("%-30s  %-20s  %s%s%-8s  %s\n", "id", "plan", t->key ? "team                  " : "",
               t->has_org ? "org                   " : "", "state", "source");
    }
}

static void print_column(const struct weir_json *j, const struct weir_json_node *in,
                         const char *name, int width)
{
    struct weir_str text = weir_admin_text(j, in, name);
    printf("%-*.*s  ", width, (int)text.len, text.p);
}

static void print_row(const struct weir_json *j, const struct weir_json_node *in,
                      const struct weir_thing *t)
{
    if (t->plan) {
        print_plan(j, in);
        return;
    }
    struct weir_str source = weir_admin_text(j, in, "source");
    print_column(j, in, "id", 30);
    print_column(j, in, "plan", 20);
    if (t->key) {
        print_column(j, in, "team", 20);
    }
    if (t->has_org) {
        print_column(j, in, "org", 20);
    }
    printf("%-8s  %.*s\n", is_true(j, in, "disabled") ? "disabled" : "-", (int)source.len,
           source.p);
}

/* Prints a page; *ret_last: the id of its last one, in the answer. */
static void print_page(const struct weir_admin_client *c, const struct weir_thing *t,
                       struct weir_str *ret_last)
{
    const struct weir_json *j = &c->json;
    const struct weir_json_node *list, *n = first_of(j, t->list, &list);
    if (c->as_json) {
        weir_admin_print(c);
    }
    for (; n != NULL; n = weir_json_next(j, list, n)) {
        if (!c->as_json) {
            print_row(j, n, t);
        }
        *ret_last = weir_admin_text(j, n, "id");
    }
}

static void page_path(const struct weir_thing *t, struct weir_str after, struct weir_buf *path)
{
    weir_buf_reset(path);
    weir_buf_printf(path, "/%s", t->list);
    if (!t->plan) { /* all plans are one page */
        WEIR_BUF_LIT(path, "?limit=1000");
    }
    if (after.len > 0) {
        WEIR_BUF_LIT(path, "&after=");
        weir_admin_encode(path, after);
    }
    weir_buf_char(path, '\0');
}

bool weir_things_list(struct weir_admin_client *c, const struct weir_thing *t)
{
    struct weir_buf path;
    struct weir_str last = {0};
    bool asked, begun = false;
    weir_buf_init(&path, PATH_MAX_BYTES);
    do {
        page_path(t, last, &path);
        last.len = 0;
        asked = !path.failed && weir_admin_ask(c, path.data, NULL);
        if (asked && !begun && !c->as_json) {
            print_head(t);
        }
        begun = true;
        if (asked) {
            print_page(c, t, &last);
        }
    } while (asked && is_true(&c->json, weir_json_root(&c->json), "more") && last.len > 0);
    weir_buf_deinit(&path);
    return asked;
}

static void print_subjects(const struct weir_json *j)
{
    const struct weir_json_node *list, *n = first_of(j, "subjects", &list);
    if (n != NULL) {
        printf("counted against:");
        for (; n != NULL; n = weir_json_next(j, list, n)) {
            struct weir_str name = weir_json_raw(j, n);
            printf(" %.*s", (int)name.len, name.p);
        }
        putchar('\n');
    }
}

/* What it has of its own, in the API's words. */
static void print_own(const struct weir_json *j, const char *name)
{
    const struct weir_json_node *n = weir_json_member(j, weir_json_root(j), name);
    if (n != NULL) {
        struct weir_str text = weir_json_raw(j, n);
        printf("%s: %.*s\n", name, (int)text.len, text.p);
    }
}

void weir_things_print(const struct weir_admin_client *c, const struct weir_thing *t)
{
    const struct weir_json *j = &c->json;
    print_head(t);
    print_row(j, weir_json_root(j), t);
    if (!t->plan) {
        print_own(j, "limits");
        print_own(j, "grants");
        print_subjects(j);
    }
}
