/* SPDX-License-Identifier: Apache-2.0 */
#include "service/chat_request.h"

#include <xxhash.h>

#include "tokens/tokens.h"

enum { SPACE_KEEP_BYTES = 64 * 1024 };

/* One body being read. */
struct reading {
    struct weir_json *j;
    struct weir_buf *space; /* for texts with escapes, one at a time */
    struct weir_chat_request r;
    struct weir_chat_refusal *refusal;
    bool no_memory; /* a text was not counted */
};

static bool refuse(struct reading *g, const char *param, const char *expected)
{
    snprintf(g->refusal->param, sizeof(g->refusal->param), "%s", param);
    snprintf(g->refusal->text, sizeof(g->refusal->text), "%s: expected %s.", param, expected);
    return false;
}

/* A field of one message. */
static bool refuse_message(struct reading *g, unsigned i, const char *field, const char *expected)
{
    char param[sizeof(g->refusal->param)];
    snprintf(param, sizeof(param), "messages[%u].%s", i, field);
    return refuse(g, param, expected);
}

/* The text of a string, until the next one is asked for. */
static struct weir_str text_of(struct reading *g, const struct weir_json_node *n)
{
    weir_buf_reset(g->space);
    struct weir_str text = weir_json_string(g->j, n, g->space);
    g->no_memory |= g->space->failed;
    return text;
}

/* ---- what the model reads ---- */

static void count_text(struct reading *g, const struct weir_json_node *n)
{
    struct weir_str s = text_of(g, n);
    g->r.input_tokens += weir_tokens_estimate(s);
    g->r.prompt_hash = XXH3_64bits_withSeed(s.p, s.len, g->r.prompt_hash);
}

/* All names and texts, and a token for any other value. */
static void count_value(struct reading *g, const struct weir_json_node *value)
{
    const struct weir_json_node *past = g->j->node + value->past;
    for (const struct weir_json_node *n = value; n < past; n++) {
        if (n->kind == WEIR_JSON_STRING) {
            count_text(g, n);
        } else if (n->kind < WEIR_JSON_STRING) {
            struct weir_str raw = weir_json_raw(g->j, n);
            g->r.input_tokens += n->kind == WEIR_JSON_NULL ? 0 : 1;
            g->r.prompt_hash = XXH3_64bits_withSeed(raw.p, raw.len, g->r.prompt_hash + n->kind);
        }
    }
}

/* False: not what a part looks like. A name that is there twice counts twice. */
static bool count_part(struct reading *g, const struct weir_json_node *part)
{
    if (part->kind != WEIR_JSON_OBJECT) {
        return false;
    }
    for (const struct weir_json_node *name = weir_json_first(g->j, part), *value; name != NULL;
         name = weir_json_next(g->j, part, value)) {
        value = name + 1;
        if (weir_json_string_is(g->j, name, WEIR_STR("text"))) {
            if (value->kind != WEIR_JSON_STRING) {
                return false;
            }
            count_text(g, value);
        } else if (weir_json_string_is(g->j, name, WEIR_STR("image_url"))) {
            uint64_t before = g->r.input_tokens;
            count_value(g, value); /* its bytes are not text */
            g->r.input_tokens = before + WEIR_TOKENS_PER_IMAGE;
        } else if (!weir_json_string_is(g->j, name, WEIR_STR("type")) ||
                   value->kind != WEIR_JSON_STRING) {
            count_value(g, value);
        }
    }
    return true;
}

/* A text, or a list of parts; null beside tool calls. */
static bool count_content(struct reading *g, const struct weir_json_node *content)
{
    if (content->kind == WEIR_JSON_STRING) {
        count_text(g, content);
        return true;
    }
    if (content->kind != WEIR_JSON_ARRAY) {
        return content->kind == WEIR_JSON_NULL;
    }
    for (const struct weir_json_node *part = weir_json_first(g->j, content); part != NULL;
         part = weir_json_next(g->j, content, part)) {
        if (!count_part(g, part)) {
            return false;
        }
    }
    return true;
}

static bool read_message(struct reading *g, const struct weir_json_node *message, unsigned i)
{
    const struct weir_json_node *role = NULL;
    const struct weir_json_node *name =
        message->kind == WEIR_JSON_OBJECT ? weir_json_first(g->j, message) : NULL;
    g->r.input_tokens += WEIR_TOKENS_PER_MESSAGE;
    for (const struct weir_json_node *value; name != NULL;
         name = weir_json_next(g->j, message, value)) {
        value = name + 1;
        if (weir_json_string_is(g->j, name, WEIR_STR("role"))) {
            if (role != NULL) {
                return refuse_message(g, i, "role", "it once");
            }
            role = value;
        } else if (!weir_json_string_is(g->j, name, WEIR_STR("content"))) {
            count_value(g, value); /* name, tool_calls, what else there may come to be */
        } else if (!count_content(g, value)) {
            return refuse_message(g, i, "content", "a text or a list of parts");
        }
    }
    return (role != NULL && role->kind == WEIR_JSON_STRING) ||
           refuse_message(g, i, "role", "a message with a role");
}

/* ---- the fields ---- */

enum field {
    MODEL,
    MESSAGES,
    MAX_TOKENS,
    MAX_COMPLETION_TOKENS,
    STREAM,
    STREAM_OPTIONS,
    N,
    READ_BY_MODEL, /* from here on: what is told beside the messages */
    TOOLS = READ_BY_MODEL,
    FUNCTIONS,
    RESPONSE_FORMAT,
    FIELDS,
};

#define NAME(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
static const struct weir_str names[FIELDS] = {
    [MODEL] = NAME("model"),
    [MESSAGES] = NAME("messages"),
    [MAX_TOKENS] = NAME("max_tokens"),
    [MAX_COMPLETION_TOKENS] = NAME("max_completion_tokens"),
    [STREAM] = NAME("stream"),
    [STREAM_OPTIONS] = NAME("stream_options"),
    [N] = NAME("n"),
    [TOOLS] = NAME("tools"),
    [FUNCTIONS] = NAME("functions"),
    [RESPONSE_FORMAT] = NAME("response_format"),
};
#undef NAME

/* Absent and null mean the same (the official clients send both). */
static bool given(const struct weir_json_node *item)
{
    return item != NULL && item->kind != WEIR_JSON_NULL;
}

static bool read_model(struct reading *g, const struct weir_json_node *item)
{
    size_t len = given(item) && item->kind == WEIR_JSON_STRING ? text_of(g, item).len : 0;
    return (len > 0 && len <= WEIR_MODEL_MAX) || refuse(g, "model", "a name of 1 to 128 bytes");
}

static bool read_messages(struct reading *g, const struct weir_json_node *messages)
{
    unsigned i = 0;
    if (!given(messages) || messages->kind != WEIR_JSON_ARRAY ||
        weir_json_first(g->j, messages) == NULL) {
        return refuse(g, "messages", "a list of at least one message");
    }
    g->r.input_tokens = WEIR_TOKENS_PER_REPLY;
    for (const struct weir_json_node *m = weir_json_first(g->j, messages); m != NULL;
         m = weir_json_next(g->j, messages, m)) {
        if (!read_message(g, m, i++)) {
            return false;
        }
    }
    return true;
}

static bool read_maximum(struct reading *g, const struct weir_json_node *item, enum field field)
{
    uint64_t value;
    if (!given(item)) {
        return true;
    }
    if (weir_json_u64(g->j, item, INT32_MAX, &value) != WEIR_OK || value == 0) {
        return refuse(g, names[field].p, "a whole number from 1 to 2147483647");
    }
    g->r.output_max = value > g->r.output_max ? value : g->r.output_max;
    return true;
}

static bool read_bool(struct reading *g, const struct weir_json_node *item, const char *name,
                      bool *ret_value)
{
    if (given(item) && item->kind > WEIR_JSON_TRUE) {
        return refuse(g, name, "true or false");
    }
    *ret_value = item != NULL && item->kind == WEIR_JSON_TRUE;
    return true;
}

static bool read_stream_options(struct reading *g, const struct weir_json_node *options)
{
    static const char include_usage[] = "stream_options.include_usage";
    const struct weir_json_node *item = NULL;
    if (!given(options)) {
        return true;
    }
    if (options->kind != WEIR_JSON_OBJECT) {
        return refuse(g, "stream_options", "an object");
    }
    for (const struct weir_json_node *name = weir_json_first(g->j, options); name != NULL;
         name = weir_json_next(g->j, options, name + 1)) {
        if (weir_json_string_is(g->j, name, WEIR_STR("include_usage"))) {
            if (item != NULL) {
                return refuse(g, include_usage, "it once");
            }
            item = name + 1;
        }
    }
    return read_bool(g, item, include_usage, &g->r.include_usage);
}

static bool read_choices(struct reading *g, const struct weir_json_node *item)
{
    uint64_t value;
    return !given(item) || (weir_json_u64(g->j, item, 1, &value) == WEIR_OK && value == 1) ||
           refuse(g, "n", "1, the only number of choices supported");
}

/* The fields by their names. False: one is there twice, of which another reader may take the other
 * one (RFC 8259, section 4). */
static bool find_fields(struct reading *g, const struct weir_json_node *root,
                        const struct weir_json_node *item[static FIELDS])
{
    for (const struct weir_json_node *name = weir_json_first(g->j, root); name != NULL;
         name = weir_json_next(g->j, root, name + 1)) {
        for (unsigned i = 0; i < FIELDS; i++) {
            if (!weir_json_string_is(g->j, name, names[i])) {
                continue;
            }
            if (item[i] != NULL) {
                return refuse(g, names[i].p, "it once");
            }
            item[i] = name + 1;
        }
    }
    return true;
}

static bool read_fields(struct reading *g, const struct weir_json_node *const item[static FIELDS])
{
    if (!read_model(g, item[MODEL]) || !read_messages(g, item[MESSAGES]) ||
        !read_maximum(g, item[MAX_TOKENS], MAX_TOKENS) ||
        !read_maximum(g, item[MAX_COMPLETION_TOKENS], MAX_COMPLETION_TOKENS) ||
        !read_bool(g, item[STREAM], "stream", &g->r.stream) ||
        !read_stream_options(g, item[STREAM_OPTIONS]) || !read_choices(g, item[N])) {
        return false;
    }
    for (unsigned i = READ_BY_MODEL; i < FIELDS; i++) {
        if (given(item[i])) {
            count_value(g, item[i]);
        }
    }
    g->r.model = text_of(g, item[MODEL]); /* the last one: it stays */
    g->r.prompt_hash ^= XXH3_64bits(g->r.model.p, g->r.model.len);
    return true;
}

enum weir_err weir_chat_request_read(struct weir_json *j, struct weir_buf *space,
                                     struct weir_str body, struct weir_chat_request *ret_request,
                                     struct weir_chat_refusal *ret_refusal)
{
    struct reading g = {.j = j, .space = space, .refusal = ret_refusal};
    const struct weir_json_node *item[FIELDS] = {NULL};
    weir_buf_recycle(space, SPACE_KEEP_BYTES);
    enum weir_err err = weir_json_parse(j, body);
    if (err == WEIR_ERR_NOMEM) {
        return err;
    }
    if (err != WEIR_OK || weir_json_root(j)->kind != WEIR_JSON_OBJECT) {
        *ret_refusal = (struct weir_chat_refusal){0};
        snprintf(ret_refusal->text, sizeof(ret_refusal->text),
                 "We could not parse the JSON body of your request: expected %s.",
                 err == WEIR_ERR_LIMIT ? "fewer values, or fewer of them within each other"
                                       : "an object in UTF-8");
        return WEIR_ERR_INVALID;
    }
    if (!find_fields(&g, weir_json_root(j), item) || !read_fields(&g, item)) {
        return WEIR_ERR_INVALID;
    }
    if (g.no_memory) {
        return WEIR_ERR_NOMEM;
    }
    *ret_request = g.r;
    return WEIR_OK;
}
