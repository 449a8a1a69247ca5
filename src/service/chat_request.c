/* SPDX-License-Identifier: Apache-2.0 */
#include "service/chat_request.h"

#include <stdarg.h>
#include <xxhash.h>

#include "tokens/tokens.h"

enum { SPACE_KEEP_BYTES = 64 * 1024 };

struct reading {
    struct weir_json *j;
    struct weir_buf *space;
    struct weir_chat_request *request;
    struct weir_field_error *error;
    const struct weir_json_node *model;
    bool no_memory; /* a text was not counted */
};

static bool fail(struct reading *r, const char *param, const char *fmt, ...) WEIR_PRINTF(3, 4);

/* Behind the field's name. */
static bool fail(struct reading *r, const char *param, const char *fmt, ...)
{
    va_list args;
    int len = snprintf(r->error->param, sizeof(r->error->param), "%s", param);
    WEIR_ASSERT(len >= 0 && (size_t)len < sizeof(r->error->param));
    len = snprintf(r->error->text, sizeof(r->error->text), "%s: ", param);
    va_start(args, fmt);
    vsnprintf(r->error->text + len, sizeof(r->error->text) - (size_t)len, fmt, args);
    va_end(args);
    return false;
}

static bool is_null(const struct weir_json_node *n)
{
    return n->kind == WEIR_JSON_NULL;
}

/* ---- texts ---- */

static bool read_model(struct reading *r, const struct weir_json_node *n)
{
    if (n->kind == WEIR_JSON_STRING) {
        size_t len = weir_json_string(r->j, n, r->space).len;
        weir_buf_reset(r->space);
        r->model = n;
        if (len > 0 && len <= WEIR_MODEL_NAME_MAX) {
            return true;
        }
    }
    return fail(r, "model", "expected a name of 1 to %d bytes.", WEIR_MODEL_NAME_MAX);
}

static void count_text(struct reading *r, const struct weir_json_node *n)
{
    weir_buf_reset(r->space);
    struct weir_str text = weir_json_string(r->j, n, r->space);
    r->no_memory = r->no_memory || r->space->failed;
    r->request->input_tokens += weir_tokens_estimate(text);
    r->request->prompt_hash = XXH3_64bits_withSeed(text.p, text.len, r->request->prompt_hash);
}

/* A part of a message's content; those of type text are counted. */
static bool read_part(struct reading *r, const struct weir_json_node *part)
{
    if (part->kind != WEIR_JSON_OBJECT) {
        return false;
    }
    for (const struct weir_json_node *name = weir_json_first(r->j, part), *value; name != NULL;
         name = weir_json_next(r->j, part, value)) {
        value = name + 1;
        if (!weir_json_string_is(r->j, name, WEIR_STR("text"))) {
            continue;
        }
        if (value->kind != WEIR_JSON_STRING) {
            return false;
        }
        count_text(r, value);
    }
    return true;
}

/* A text, a list of parts, or null in a message with tool calls. */
static bool read_content(struct reading *r, const struct weir_json_node *content)
{
    if (content->kind == WEIR_JSON_STRING) {
        count_text(r, content);
        return true;
    }
    if (content->kind != WEIR_JSON_ARRAY) {
        return is_null(content);
    }
    for (const struct weir_json_node *part = weir_json_first(r->j, content); part != NULL;
         part = weir_json_next(r->j, content, part)) {
        if (!read_part(r, part)) {
            return false;
        }
    }
    return true;
}

static bool fail_message(struct reading *r, unsigned index, const char *part, const char *why)
{
    char param[48];
    snprintf(param, sizeof(param), "messages[%u].%s", index, part);
    return fail(r, param, "%s", why);
}

static bool read_message(struct reading *r, const struct weir_json_node *message, unsigned index)
{
    bool has_role = false;
    r->request->input_tokens += WEIR_TOKENS_PER_MESSAGE;
    for (const struct weir_json_node *
             name = message->kind == WEIR_JSON_OBJECT ? weir_json_first(r->j, message) : NULL,
            *value;
         name != NULL; name = weir_json_next(r->j, message, value)) {
        value = name + 1;
        if (weir_json_string_is(r->j, name, WEIR_STR("role"))) {
            has_role = value->kind == WEIR_JSON_STRING;
        } else if (weir_json_string_is(r->j, name, WEIR_STR("content")) &&
                   !read_content(r, value)) {
            return fail_message(r, index, "content", "expected a text or a list of parts.");
        }
    }
    return has_role || fail_message(r, index, "role", "expected a message with a role.");
}

static bool read_messages(struct reading *r, const struct weir_json_node *messages)
{
    unsigned index = 0;
    if (messages->kind != WEIR_JSON_ARRAY || weir_json_first(r->j, messages) == NULL) {
        return fail(r, "messages", "expected a list of at least one message.");
    }
    r->request->input_tokens += WEIR_TOKENS_PER_REPLY;
    for (const struct weir_json_node *m = weir_json_first(r->j, messages); m != NULL;
         m = weir_json_next(r->j, messages, m)) {
        if (!read_message(r, m, index++)) {
            return false;
        }
    }
    return true;
}

/* ---- numbers and options ---- */

static bool read_maximum(struct reading *r, const struct weir_json_node *n, const char *name)
{
    uint64_t value;
    if (is_null(n)) {
        return true;
    }
    if (weir_json_u64(r->j, n, INT32_MAX, &value) != WEIR_OK || value == 0) {
        return fail(r, name, "expected a whole number from 1 to %d.", INT32_MAX);
    }
    r->request->output_max = value > r->request->output_max ? value : r->request->output_max;
    return true;
}

static bool read_max_tokens(struct reading *r, const struct weir_json_node *n)
{
    return read_maximum(r, n, "max_tokens");
}

static bool read_max_completion_tokens(struct reading *r, const struct weir_json_node *n)
{
    return read_maximum(r, n, "max_completion_tokens");
}

static bool read_bool(struct reading *r, const struct weir_json_node *n, const char *name,
                      bool *ret_value)
{
    if (n->kind > WEIR_JSON_TRUE) {
        return fail(r, name, "expected true or false.");
    }
    *ret_value = n->kind == WEIR_JSON_TRUE;
    return true;
}

static bool read_stream(struct reading *r, const struct weir_json_node *n)
{
    return read_bool(r, n, "stream", &r->request->stream);
}

static bool read_stream_options(struct reading *r, const struct weir_json_node *n)
{
    if (n->kind != WEIR_JSON_OBJECT) {
        return is_null(n) || fail(r, "stream_options", "expected an object.");
    }
    for (const struct weir_json_node *name = weir_json_first(r->j, n), *value; name != NULL;
         name = weir_json_next(r->j, n, value)) {
        value = name + 1;
        if (weir_json_string_is(r->j, name, WEIR_STR("include_usage")) &&
            !read_bool(r, value, "stream_options.include_usage", &r->request->include_usage)) {
            return false;
        }
    }
    return true;
}

static bool read_choices(struct reading *r, const struct weir_json_node *n)
{
    uint64_t value;
    return is_null(n) || (weir_json_u64(r->j, n, 1, &value) == WEIR_OK && value == 1) ||
           fail(r, "n", "only 1 is supported.");
}

/* ---- the object ---- */

static const struct field {
    struct weir_str name;
    bool (*read)(struct reading *r, const struct weir_json_node *value);
    const char *missing; /* for those that must be there */
} fields[] = {
    {{"model", 5}, read_model, "expected the name of a model."},
    {{"messages", 8}, read_messages, "expected a list of at least one message."},
    {{"max_tokens", 10}, read_max_tokens, NULL},
    {{"max_completion_tokens", 21}, read_max_completion_tokens, NULL},
    {{"stream", 6}, read_stream, NULL},
    {{"stream_options", 14}, read_stream_options, NULL},
    {{"n", 1}, read_choices, NULL},
};

enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

static bool read_field(struct reading *r, const struct weir_json_node *name, unsigned *seen)
{
    for (unsigned i = 0; i < FIELDS; i++) {
        if (!weir_json_string_is(r->j, name, fields[i].name)) {
            continue;
        }
        if (*seen >> i & 1) { /* two readers could take either */
            return fail(r, fields[i].name.p, "expected once, it is there twice.");
        }
        *seen |= 1U << i;
        return fields[i].read(r, name + 1);
    }
    return true; /* for the model, not for us */
}

static enum weir_err read_body(struct reading *r, struct weir_str body)
{
    enum weir_err err = weir_json_parse(r->j, body);
    if (err == WEIR_OK && weir_json_root(r->j)->kind == WEIR_JSON_OBJECT) {
        return WEIR_OK;
    }
    r->error->param[0] = '\0';
    snprintf(r->error->text, sizeof(r->error->text),
             "We could not parse the JSON body of your request: expected %s.",
             err == WEIR_ERR_LIMIT ? "fewer values, or fewer of them within each other"
                                   : "an object in UTF-8");
    return err == WEIR_ERR_NOMEM ? err : WEIR_ERR_INVALID;
}

static bool read_fields(struct reading *r)
{
    const struct weir_json_node *root = weir_json_root(r->j);
    unsigned seen = 0;
    for (const struct weir_json_node *name = weir_json_first(r->j, root); name != NULL;
         name = weir_json_next(r->j, root, name + 1)) {
        if (!read_field(r, name, &seen)) {
            return false;
        }
    }
    for (unsigned i = 0; i < FIELDS; i++) {
        if (fields[i].missing != NULL && !(seen >> i & 1)) {
            return fail(r, fields[i].name.p, "%s", fields[i].missing);
        }
    }
    return true;
}

enum weir_err weir_chat_request_read(struct weir_json *j, struct weir_buf *space,
                                     struct weir_str body, struct weir_chat_request *ret_request,
                                     struct weir_field_error *ret_error)
{
    struct reading r = {.j = j, .space = space, .request = ret_request, .error = ret_error};
    *ret_request = (struct weir_chat_request){0};
    weir_buf_recycle(space, SPACE_KEEP_BYTES);
    WEIR_TRY(read_body(&r, body));
    if (!read_fields(&r)) {
        return WEIR_ERR_INVALID;
    }
    weir_buf_reset(space);
    ret_request->model = weir_json_string(j, r.model, space);
    ret_request->prompt_hash ^= XXH3_64bits(ret_request->model.p, ret_request->model.len);
    return r.no_memory || space->failed ? WEIR_ERR_NOMEM : WEIR_OK;
}
