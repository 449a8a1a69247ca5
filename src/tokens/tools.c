/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens/tools.h"

enum {
    TEXT_BYTES_MAX = 8 << 20,
    STEPS_MAX = 1 << 20,  /* names that are looked at, so that no request takes the square of it */
    DESCRIBED_INDENT = 2, /* deeper properties are told without their description */
};

/* The declarations being written. */
struct telling {
    const struct weir_json *j;
    struct weir_buf text, space;
    uint32_t steps;
    bool failed;
};

/* What is compared may have to be decoded first. */
static void count_step(struct telling *t, const struct weir_json_node *n)
{
    t->steps += 1 + n->len / 16;
    t->failed |= t->steps > STEPS_MAX;
}

/* The last member of this name, which is not null; NULL: there is none. */
static const struct weir_json_node *member(struct telling *t, const struct weir_json_node *object,
                                           struct weir_str name)
{
    const struct weir_json_node *found = NULL;
    if (object == NULL || object->kind != WEIR_JSON_OBJECT) {
        return NULL;
    }
    for (const struct weir_json_node *n = weir_json_first(t->j, object); n != NULL;
         n = weir_json_next(t->j, object, n + 1)) {
        count_step(t, n);
        found = weir_json_string_is(t->j, n, name) ? n + 1 : found;
        if (t->failed) {
            return NULL;
        }
    }
    return found != NULL && found->kind != WEIR_JSON_NULL ? found : NULL;
}

/* Until the next one is asked for. */
static struct weir_str text_of(struct telling *t, const struct weir_json_node *n)
{
    weir_buf_reset(&t->space);
    struct weir_str s = weir_json_string(t->j, n, &t->space);
    t->failed |= t->space.failed;
    return s;
}

static void put(struct telling *t, const struct weir_json_node *string)
{
    if (string != NULL && string->kind == WEIR_JSON_STRING) {
        weir_buf_str(&t->text, text_of(t, string));
    }
}

static void indent_by(struct telling *t, unsigned indent)
{
    for (unsigned i = 0; i < indent; i++) {
        weir_buf_char(&t->text, ' ');
    }
}

static void describe(struct telling *t, const struct weir_json_node *of, unsigned indent)
{
    const struct weir_json_node *description = member(t, of, WEIR_STR("description"));
    if (description != NULL && description->kind == WEIR_JSON_STRING && description->len > 0) {
        indent_by(t, indent);
        WEIR_BUF_LIT(&t->text, "// ");
        put(t, description);
        weir_buf_char(&t->text, '\n');
    }
}

/* The values that a property may have, else what its type is called. */
static void tell_values(struct telling *t, const struct weir_json_node *property, bool quoted,
                        struct weir_str otherwise)
{
    const struct weir_json_node *values = member(t, property, WEIR_STR("enum"));
    if (values == NULL || values->kind != WEIR_JSON_ARRAY) {
        weir_buf_str(&t->text, otherwise);
        return;
    }
    for (const struct weir_json_node *first = weir_json_first(t->j, values), *n = first; n != NULL;
         n = weir_json_next(t->j, values, n)) {
        if (n != first) {
            WEIR_BUF_LIT(&t->text, " | ");
        }
        if (n->kind != WEIR_JSON_STRING) {
            weir_buf_str(&t->text, weir_json_raw(t->j, n));
        } else if (quoted) {
            weir_buf_json(&t->text, text_of(t, n));
        } else {
            put(t, n);
        }
    }
}

static void tell_properties(struct telling *t, const struct weir_json_node *object,
                            unsigned indent);

/* As deep as the JSON is, which its reader bounds. */
static void tell_type(struct telling *t, const struct weir_json_node *property, unsigned indent)
{
    const struct weir_json_node *type = member(t, property, WEIR_STR("type"));
    struct weir_str is =
        type != NULL && type->kind == WEIR_JSON_STRING ? weir_json_raw(t->j, type) : WEIR_STR("");
    if (weir_str_eq(is, WEIR_STR("string"))) {
        tell_values(t, property, true, is);
    } else if (weir_str_eq(is, WEIR_STR("integer")) || weir_str_eq(is, WEIR_STR("number"))) {
        tell_values(t, property, false, WEIR_STR("number"));
    } else if (weir_str_eq(is, WEIR_STR("boolean")) || weir_str_eq(is, WEIR_STR("null"))) {
        weir_buf_str(&t->text, is);
    } else if (weir_str_eq(is, WEIR_STR("array"))) {
        const struct weir_json_node *items = member(t, property, WEIR_STR("items"));
        if (items != NULL) {
            tell_type(t, items, indent);
        } else {
            WEIR_BUF_LIT(&t->text, "any");
        }
        WEIR_BUF_LIT(&t->text, "[]");
    } else if (weir_str_eq(is, WEIR_STR("object"))) {
        WEIR_BUF_LIT(&t->text, "{\n");
        tell_properties(t, property, indent + 2);
        weir_buf_char(&t->text, '\n');
        indent_by(t, indent);
        weir_buf_char(&t->text, '}');
    } else {
        WEIR_BUF_LIT(&t->text, "any");
    }
}

static bool is_required(struct telling *t, const struct weir_json_node *required,
                        struct weir_str name)
{
    bool is = false;
    if (required == NULL || required->kind != WEIR_JSON_ARRAY) {
        return false;
    }
    for (const struct weir_json_node *n = weir_json_first(t->j, required);
         n != NULL && !is && !t->failed; n = weir_json_next(t->j, required, n)) {
        count_step(t, n);
        is = !t->failed && n->kind == WEIR_JSON_STRING && weir_json_string_is(t->j, n, name);
    }
    return is;
}

static void tell_properties(struct telling *t, const struct weir_json_node *object, unsigned indent)
{
    const struct weir_json_node *all = member(t, object, WEIR_STR("properties"));
    const struct weir_json_node *required = member(t, object, WEIR_STR("required"));
    if (all == NULL || all->kind != WEIR_JSON_OBJECT) {
        return;
    }
    for (const struct weir_json_node *first = weir_json_first(t->j, all), *n = first;
         n != NULL && !t->failed && !t->text.failed; n = weir_json_next(t->j, all, n + 1)) {
        if (n != first) {
            weir_buf_char(&t->text, '\n');
        }
        if (indent < DESCRIBED_INDENT) {
            describe(t, n + 1, indent);
        }
        indent_by(t, indent);
        put(t, n);
        if (!is_required(t, required, text_of(t, n))) {
            weir_buf_char(&t->text, '?');
        }
        WEIR_BUF_LIT(&t->text, ": ");
        tell_type(t, n + 1, indent);
        weir_buf_char(&t->text, ',');
    }
}

static void tell_function(struct telling *t, const struct weir_json_node *function)
{
    const struct weir_json_node *parameters = member(t, function, WEIR_STR("parameters"));
    const struct weir_json_node *all = member(t, parameters, WEIR_STR("properties"));
    describe(t, function, 0);
    WEIR_BUF_LIT(&t->text, "type ");
    put(t, member(t, function, WEIR_STR("name")));
    if (all == NULL || all->kind != WEIR_JSON_OBJECT || weir_json_first(t->j, all) == NULL) {
        WEIR_BUF_LIT(&t->text, " = () => any;\n\n");
        return;
    }
    WEIR_BUF_LIT(&t->text, " = (_: {\n");
    tell_properties(t, parameters, 0);
    WEIR_BUF_LIT(&t->text, "\n}) => any;\n\n");
}

static bool tell(struct telling *t, const struct weir_json_node *list)
{
    WEIR_BUF_LIT(&t->text, "namespace functions {\n\n");
    for (const struct weir_json_node *n = weir_json_first(t->j, list); n != NULL;
         n = weir_json_next(t->j, list, n)) {
        const struct weir_json_node *function = member(t, n, WEIR_STR("function"));
        const struct weir_json_node *name =
            member(t, function != NULL ? function : n, WEIR_STR("name"));
        if (name == NULL || name->kind != WEIR_JSON_STRING) {
            return false; /* another kind of tool */
        }
        tell_function(t, function != NULL ? function : n);
    }
    WEIR_BUF_LIT(&t->text, "} // namespace functions");
    return !t->failed && !t->text.failed;
}

bool weir_tools_tokens(const struct weir_encoding *e, struct weir_token_memory *memory,
                       const struct weir_json *j, const struct weir_json_node *list,
                       uint64_t *ret_tokens)
{
    struct telling t = {.j = j};
    if (list->kind != WEIR_JSON_ARRAY || weir_json_first(j, list) == NULL) {
        return false;
    }
    weir_buf_init(&t.text, TEXT_BYTES_MAX);
    weir_buf_init(&t.space, TEXT_BYTES_MAX);
    bool good = tell(&t, list);
    if (good) {
        *ret_tokens =
            weir_token_memory_count(memory, e, weir_buf_view(&t.text)) + WEIR_TOKENS_PER_FUNCTIONS;
    }
    weir_buf_deinit(&t.text);
    weir_buf_deinit(&t.space);
    return good;
}
