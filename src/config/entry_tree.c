/* SPDX-License-Identifier: Apache-2.0 */
/* entry_tree.c - an entry's JSON as the tree that the readers of the file's fields take. Both lists
 * have their nodes in the order of the text. */
#include "config/entry_tree.h"

#include "base/mem.h"

void weir_entry_tree_init(struct weir_entry_tree *t)
{
    *t = (struct weir_entry_tree){0};
    weir_json_init(&t->json);
    weir_buf_init(&t->texts, WEIR_ENTRY_TEXT_MAX);
}

void weir_entry_tree_deinit(struct weir_entry_tree *t)
{
    if (t->texts.data != NULL) {
        weir_wipe(t->texts.data, t->texts.len);
    }
    weir_buf_deinit(&t->texts);
    weir_json_deinit(&t->json);
    weir_free(t->node);
}

static enum weir_err make_room(struct weir_entry_tree *t)
{
    if (t->json.nodes > t->room) {
        struct weir_yaml_node *more = weir_realloc(t->node, t->json.nodes * sizeof(*more));
        if (more == NULL) {
            return WEIR_ERR_NOMEM;
        }
        t->node = more;
        t->room = t->json.nodes;
    }
    weir_buf_reset(&t->texts);
    return weir_buf_reserve(&t->texts, t->json.text.len) ? WEIR_OK : WEIR_ERR_NOMEM;
}

static uint32_t children(const struct weir_json *j, const struct weir_json_node *n)
{
    uint32_t count = 0;
    const struct weir_json_node *child = weir_json_first(j, n);
    while (child != NULL) {
        if (n->kind == WEIR_JSON_OBJECT) { /* a name, and its value */
            count++;
            child++;
        }
        count++;
        child = weir_json_next(j, n, child);
    }
    return count;
}

static struct weir_yaml_node made_of(struct weir_entry_tree *t, const struct weir_json_node *n)
{
    const struct weir_json *j = &t->json;
    uint32_t span = n->past - (uint32_t)(n - j->node);
    if (n->kind == WEIR_JSON_OBJECT || n->kind == WEIR_JSON_ARRAY) {
        return (struct weir_yaml_node){.len = children(j, n),
                                       .span = span,
                                       .kind = n->kind == WEIR_JSON_OBJECT ? WEIR_YAML_MAPPING
                                                                           : WEIR_YAML_LIST};
    }
    struct weir_str text =
        n->kind == WEIR_JSON_STRING ? weir_json_string(j, n, &t->texts) : weir_json_raw(j, n);
    return (struct weir_yaml_node){
        .text = text.p, .len = (uint32_t)text.len, .span = 1, .kind = WEIR_YAML_SCALAR};
}

/* What the readers are never given by the file. */
static bool is_foreign(const struct weir_json_node *n)
{
    bool scalar = n->kind != WEIR_JSON_OBJECT && n->kind != WEIR_JSON_ARRAY;
    return n->kind == WEIR_JSON_NULL || (scalar && n->len > WEIR_YAML_SCALAR_MAX);
}

enum weir_err weir_entry_tree_read(struct weir_entry_tree *t, struct weir_str text)
{
    if (text.len > WEIR_ENTRY_TEXT_MAX) {
        return WEIR_ERR_INVALID;
    }
    enum weir_err err = weir_json_parse(&t->json, text);
    if (err != WEIR_OK) {
        return err == WEIR_ERR_NOMEM ? err : WEIR_ERR_INVALID;
    }
    WEIR_TRY(make_room(t));
    for (uint32_t i = 0; i < t->json.nodes; i++) {
        if (is_foreign(&t->json.node[i])) {
            return WEIR_ERR_INVALID;
        }
        t->node[i] = made_of(t, &t->json.node[i]);
    }
    return t->node[0].kind == WEIR_YAML_MAPPING ? WEIR_OK : WEIR_ERR_INVALID;
}
