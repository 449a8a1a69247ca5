/* SPDX-License-Identifier: Apache-2.0 */
/* One member of a text that goes by, in pieces (the first byte says how): of a JSON text it is what
 * the strict reader finds. Seeds: fuzz_member/. */
#include <stdlib.h>

#include "base/json.h"
#include "gateway/member.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct weir_json json;

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* The last one that is spelt without escapes. */
static const struct weir_json_node *last(const struct weir_json_node *object, struct weir_str name)
{
    const struct weir_json_node *found = NULL;
    for (const struct weir_json_node *n = weir_json_first(&json, object); n != NULL;
         n = weir_json_next(&json, object, n + 1)) {
        if (weir_str_eq(weir_json_raw(&json, n), name)) {
            found = n + 1;
        }
    }
    return found;
}

/* In all objects of that name, of several the last that has it. */
static const struct weir_json_node *find(const struct weir_member_path *path)
{
    const struct weir_json_node *root = weir_json_root(&json), *found = NULL;
    if (path->in.len == 0) {
        return last(root, path->name);
    }
    for (const struct weir_json_node *n = weir_json_first(&json, root); n != NULL;
         n = weir_json_next(&json, root, n + 1)) {
        if (n[1].kind == WEIR_JSON_OBJECT && weir_str_eq(weir_json_raw(&json, n), path->in)) {
            const struct weir_json_node *inner = last(n + 1, path->name);
            found = inner != NULL ? inner : found;
        }
    }
    return found;
}

/* The node with what the reader leaves out: a string's quotes. */
static struct weir_str spelt(const struct weir_json_node *n)
{
    struct weir_str raw = weir_json_raw(&json, n);
    return n->kind == WEIR_JSON_STRING ? weir_str(raw.p - 1, raw.len + 2) : raw;
}

static struct weir_str trim(struct weir_str s)
{
    while (s.len > 0 && memchr(" \t\r\n", *s.p, 4) != NULL) {
        s = weir_str(s.p + 1, s.len - 1);
    }
    while (s.len > 0 && memchr(" \t\r\n", s.p[s.len - 1], 4) != NULL) {
        s.len--;
    }
    return s;
}

static void search(const struct weir_member_path *path, struct weir_str text, size_t piece)
{
    struct weir_member m;
    weir_member_init(&m, *path);
    for (size_t at = 0, len; at < text.len; at += len) {
        len = piece < text.len - at ? piece : text.len - at;
        weir_member_feed(&m, weir_str(text.p + at, len));
    }
    struct weir_str value = weir_member_value(&m);
    check(value.len <= WEIR_MEMBER_MAX);
    if (text.len < WEIR_MEMBER_MAX && weir_json_parse(&json, text) == WEIR_OK &&
        weir_json_root(&json)->kind == WEIR_JSON_OBJECT) {
        const struct weir_json_node *n = find(path);
        check(n == NULL ? value.len == 0 : weir_str_eq(trim(value), spelt(n)));
    }
    weir_member_deinit(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct weir_member_path paths[2] = {{.name = {"u", 1}}, {{"r", 1}, {"u", 1}}};
    if (size > 0) {
        struct weir_str text = weir_str((const char *)data + 1, size - 1);
        search(&paths[data[0] & 1], text, 1 + data[0] / 2 % 32);
        weir_json_deinit(&json);
    }
    return 0;
}
