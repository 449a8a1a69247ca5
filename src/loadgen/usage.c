/* SPDX-License-Identifier: Apache-2.0 */
#include "loadgen/usage.h"

#include "limit/meter.h"

void weir_load_usage_init(struct weir_load_usage *u)
{
    *u = (struct weir_load_usage){0};
    weir_buf_init(&u->_text, WEIR_LOAD_BODY_MAX);
}

void weir_load_usage_deinit(struct weir_load_usage *u)
{
    weir_buf_deinit(&u->_text);
}

void weir_load_usage_begin(struct weir_load_usage *u)
{
    weir_buf_recycle(&u->_text, WEIR_LOAD_BODY_KEEP);
    u->found = u->_begun = u->_events = false;
}

/* The value of a member of an object; NULL: there is none. */
static const struct weir_json_node *
member(const struct weir_json *json, const struct weir_json_node *object, struct weir_str name)
{
    const struct weir_json_node *n =
        object->kind == WEIR_JSON_OBJECT ? weir_json_first(json, object) : NULL;
    while (n != NULL && !weir_json_string_is(json, n, name)) {
        n = weir_json_next(json, object, n + 1);
    }
    return n == NULL ? NULL : n + 1;
}

static bool amount(const struct weir_json *json, const struct weir_json_node *usage,
                   struct weir_str name, uint64_t *ret_amount)
{
    const struct weir_json_node *n = member(json, usage, name);
    return n != NULL && weir_json_u64(json, n, WEIR_AMOUNT_MAX / 2, ret_amount) == WEIR_OK;
}

static void read_json(struct weir_load_usage *u, struct weir_json *json, struct weir_str text)
{
    uint64_t input, output;
    /* most events have none, and a look is cheaper than reading them */
    if (text.len == 0 || memmem(text.p, text.len, "\"usage\"", 7) == NULL ||
        weir_json_parse(json, text) != WEIR_OK) {
        return;
    }
    const struct weir_json_node *usage = member(json, weir_json_root(json), WEIR_STR("usage"));
    if (usage != NULL && amount(json, usage, WEIR_STR("prompt_tokens"), &input) &&
        amount(json, usage, WEIR_STR("completion_tokens"), &output)) {
        u->found = true;
        u->input_tokens = input;
        u->output_tokens = output;
    }
}

static void read_line(struct weir_load_usage *u, struct weir_json *json, struct weir_str line)
{
    const struct weir_str data = WEIR_STR("data:");
    if (weir_str_starts(line, data)) {
        read_json(u, json, weir_str(line.p + data.len, line.len - data.len));
    }
}

/* Lines that lie whole in the piece are read where they stand. */
static void add_events(struct weir_load_usage *u, struct weir_json *json, struct weir_str piece)
{
    while (piece.len > 0) {
        const char *newline = memchr(piece.p, '\n', piece.len);
        if (newline == NULL) {
            weir_buf_str(&u->_text, piece);
            return;
        }
        struct weir_str line = weir_str(piece.p, (size_t)(newline - piece.p));
        piece = weir_str(newline + 1, piece.len - line.len - 1);
        if (u->_text.len > 0 || u->_text.failed) {
            weir_buf_str(&u->_text, line);
            line = u->_text.failed ? weir_str(NULL, 0) : weir_buf_view(&u->_text);
        }
        read_line(u, json, line);
        weir_buf_reset(&u->_text);
    }
}

void weir_load_usage_add(struct weir_load_usage *u, struct weir_json *json, struct weir_str piece)
{
    if (piece.len == 0) {
        return;
    }
    if (!u->_begun) {
        u->_begun = true;
        u->_events = piece.p[0] != '{';
    }
    if (u->_events) {
        add_events(u, json, piece);
    } else {
        weir_buf_str(&u->_text, piece);
    }
}

void weir_load_usage_end(struct weir_load_usage *u, struct weir_json *json)
{
    if (u->_text.failed) {
        return;
    }
    if (u->_events) {
        read_line(u, json, weir_buf_view(&u->_text)); /* the last event may lack its line's end */
    } else {
        read_json(u, json, weir_buf_view(&u->_text));
    }
}
