/* SPDX-License-Identifier: Apache-2.0 */
/* entry.c - what an entry of the registry is made of: the JSON object that it was, and the members
 * that a request gives in place of its own. */
#include <inttypes.h>

#include "admin/internal.h"

static bool same_name(const struct weir_json *a, const struct weir_json_node *x,
                      const struct weir_json *b, const struct weir_json_node *y)
{
    struct weir_buf space;
    weir_buf_init(&space, x->len + 1);
    struct weir_str text = weir_json_string(a, x, &space);
    bool same = !space.failed && weir_json_string_is(b, y, text);
    weir_buf_deinit(&space);
    return same;
}

/* The member's name in `in` that is called as this one; NULL: there is none before `end`. */
static const struct weir_json_node *find(const struct weir_json *j,
                                         const struct weir_json_node *end,
                                         const struct weir_json *of,
                                         const struct weir_json_node *name)
{
    const struct weir_json_node *root = weir_json_root(j);
    for (const struct weir_json_node *n = weir_json_first(j, root); n != NULL && n != end;
         n = weir_json_next(j, root, n + 1)) {
        if (same_name(of, name, j, n)) {
            return n;
        }
    }
    return NULL;
}

static void append(const struct weir_json *j, const struct weir_json_node *name, bool *first,
                   struct weir_buf *to)
{
    struct weir_str raw = weir_json_raw(j, name);
    weir_buf_str(to, *first ? WEIR_STR("\"") : WEIR_STR(",\""));
    weir_buf_str(to, raw);
    WEIR_BUF_LIT(to, "\":");
    struct weir_str value = weir_json_raw(j, name + 1);
    if ((name + 1)->kind == WEIR_JSON_STRING) { /* its node is without the quotes */
        value = weir_str(value.p - 1, value.len + 2);
    }
    weir_buf_str(to, value);
    *first = false;
}

static enum weir_err merge(const struct weir_json *before, const struct weir_json *patch,
                           struct weir_buf *to)
{
    const struct weir_json_node *of = weir_json_root(before), *root = weir_json_root(patch);
    bool first = true;
    if (of->kind != WEIR_JSON_OBJECT || root->kind != WEIR_JSON_OBJECT) {
        return WEIR_ERR_INVALID;
    }
    weir_buf_char(to, '{');
    for (const struct weir_json_node *n = weir_json_first(before, of); n != NULL;
         n = weir_json_next(before, of, n + 1)) {
        if (find(patch, NULL, before, n) == NULL) {
            append(before, n, &first, to);
        }
    }
    for (const struct weir_json_node *n = weir_json_first(patch, root); n != NULL;
         n = weir_json_next(patch, root, n + 1)) {
        if ((n + 1)->kind != WEIR_JSON_NULL) {
            append(patch, n, &first, to);
        }
    }
    weir_buf_char(to, '}');
    return to->failed ? WEIR_ERR_NOMEM : WEIR_OK;
}

enum weir_err admin_entry_merge(struct weir_str before, struct weir_str patch, struct weir_buf *to)
{
    struct weir_json was, is;
    weir_json_init(&was);
    weir_json_init(&is);
    enum weir_err err = weir_json_parse(&was, before.p == NULL ? WEIR_STR("{}") : before);
    err = err == WEIR_OK ? weir_json_parse(&is, patch) : err;
    err = err == WEIR_OK ? merge(&was, &is, to) : err;
    weir_json_deinit(&is);
    weir_json_deinit(&was);
    return err;
}

bool admin_entry_has_only(const struct weir_json *j, const char *const *fields)
{
    const struct weir_json_node *root = weir_json_root(j);
    for (const struct weir_json_node *n = weir_json_first(j, root); n != NULL;
         n = weir_json_next(j, root, n + 1)) {
        size_t i = 0;
        while (fields[i] != NULL && !weir_json_string_is(j, n, weir_str_z(fields[i]))) {
            i++;
        }
        if (fields[i] == NULL) {
            return false;
        }
    }
    return true;
}

bool admin_entry_has_twice(const struct weir_json *j)
{
    const struct weir_json_node *root = weir_json_root(j);
    for (const struct weir_json_node *n = weir_json_first(j, root); n != NULL;
         n = weir_json_next(j, root, n + 1)) {
        if (find(j, n, j, n) != NULL) {
            return true;
        }
    }
    return false;
}

/* ---- grants ---- */

static bool has_ended(const struct weir_json *j, const struct weir_json_node *grant,
                      uint64_t now_ms)
{
    uint64_t until_ms;
    const struct weir_json_node *until = weir_json_member(j, grant, "until_ms");
    return until == NULL || weir_json_u64(j, until, UINT64_C(1) << 53, &until_ms) != WEIR_OK ||
           until_ms <= now_ms;
}

enum weir_err admin_entry_grant(struct weir_str before, struct weir_str grants, uint64_t now_ms,
                                struct weir_buf *to)
{
    struct weir_json j;
    weir_json_init(&j);
    WEIR_BUF_LIT(to, "[");
    enum weir_err err = weir_json_parse(&j, before.p == NULL ? WEIR_STR("{}") : before);
    const struct weir_json_node *list =
        err == WEIR_OK ? weir_json_member(&j, weir_json_root(&j), "grants") : NULL;
    for (const struct weir_json_node *n =
             list == NULL || list->kind != WEIR_JSON_ARRAY ? NULL : weir_json_first(&j, list);
         n != NULL; n = weir_json_next(&j, list, n)) {
        if (!has_ended(&j, n, now_ms)) {
            weir_buf_str(to, weir_json_raw(&j, n));
            weir_buf_char(to, ',');
        }
    }
    weir_buf_str(to, grants);
    weir_buf_char(to, ']');
    weir_json_deinit(&j);
    return err == WEIR_OK && to->failed ? WEIR_ERR_NOMEM : err;
}
