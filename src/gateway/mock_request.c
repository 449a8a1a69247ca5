/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/mock_request.h"

#include <stdio.h>
#include <xxhash.h>

#include "tokens/tools.h"

enum { SPACE_KEEP_BYTES = 64 * 1024, DIMENSIONS = 1536 };

struct reading {
    struct weir_json *j;
    struct weir_buf *space; /* for texts with escapes, one at a time */
    const struct weir_json_node *root;
    struct weir_mock_request r;
    struct weir_mock_refusal *refusal;
    const struct weir_encoding *encoding; /* NULL: texts are estimated */
    bool no_memory;
};

/* What an API calls its fields. */
static const struct api {
    const char *input;         /* that must be there */
    const char *maximum[2];    /* of the output; NULL: none */
    const char *also_read[3];  /* by the model */
    bool messages;             /* the input's parts are messages */
    bool maximum_is_mandatory; /* the first one */
} apis[WEIR_MOCK_APIS] = {
    [WEIR_MOCK_CHAT] = {"messages",
                        {"max_tokens", "max_completion_tokens"},
                        {"tools", "functions", "response_format"},
                        true,
                        false},
    [WEIR_MOCK_COMPLETION] = {"prompt", {"max_tokens"}, {NULL}, false, false},
    [WEIR_MOCK_RESPONSE] =
        {"input", {"max_output_tokens"}, {"instructions", "tools", "text"}, true, false},
    [WEIR_MOCK_EMBEDDING] = {"input", {NULL}, {NULL}, false, false},
    [WEIR_MOCK_MESSAGE] = {"messages", {"max_tokens"}, {"system", "tools"}, true, true},
    [WEIR_MOCK_COUNT] = {"messages", {NULL}, {"system", "tools"}, true, false},
};

static bool refuse(struct reading *g, const char *param, const char *expected)
{
    snprintf(g->refusal->param, sizeof(g->refusal->param), "%s", param);
    snprintf(g->refusal->text, sizeof(g->refusal->text), "%s: expected %s.", param, expected);
    return false;
}

/* The first member of that name; NULL: `in` is no object, or has none that is not null. */
static const struct weir_json_node *member(const struct weir_json *j,
                                           const struct weir_json_node *in, const char *name)
{
    const struct weir_json_node *n = weir_json_member(j, in, name);
    return n == NULL || n->kind == WEIR_JSON_NULL ? NULL : n;
}

static struct weir_str text_of(struct reading *g, const struct weir_json_node *n)
{
    weir_buf_reset(g->space);
    struct weir_str text = weir_json_string(g->j, n, g->space);
    g->no_memory |= g->space->failed;
    return text;
}

bool weir_mock_name_set(struct weir_mock_name *name, struct weir_str text)
{
    if (text.len > sizeof(name->text)) {
        return false;
    }
    memcpy(name->text, text.p, text.len);
    name->len = (uint32_t)text.len;
    return true;
}

/* Absent: nothing. False: no text of at most WEIR_MOCK_NAME_MAX bytes. */
static bool read_name(struct reading *g, const struct weir_json_node *n,
                      struct weir_mock_name *ret_name)
{
    return n == NULL ||
           (n->kind == WEIR_JSON_STRING && weir_mock_name_set(ret_name, text_of(g, n)));
}

/* ---- what the model reads ---- */

static void count_text(struct reading *g, const struct weir_json_node *n)
{
    struct weir_str s = text_of(g, n);
    g->r.input_tokens += weir_tokens_count(g->encoding, s);
    g->r.prompt_hash = XXH3_64bits_withSeed(s.p, s.len, g->r.prompt_hash);
}

/* An estimate has the role among what a message costs. */
static bool is_frame(const struct reading *g, const struct weir_json_node *name)
{
    return weir_json_string_is(g->j, name, WEIR_STR("type")) ||
           (g->encoding == NULL && weir_json_string_is(g->j, name, WEIR_STR("role")));
}

static bool is_image(const struct weir_json *j, const struct weir_json_node *name)
{
    return weir_json_string_is(j, name, WEIR_STR("image_url")) ||
           weir_json_string_is(j, name, WEIR_STR("source"));
}

/* All texts, and a token for each number and truth; names are the form, and not read. The depth is
 * bounded by the reader of the JSON. */
static void count_value(struct reading *g, const struct weir_json_node *value)
{
    if (value->kind == WEIR_JSON_STRING) {
        count_text(g, value);
    } else if (value->kind == WEIR_JSON_OBJECT) {
        for (const struct weir_json_node *name = weir_json_first(g->j, value); name != NULL;
             name = weir_json_next(g->j, value, name + 1)) {
            if (is_image(g->j, name)) {
                uint64_t before = g->r.input_tokens;
                count_value(g, name + 1); /* its bytes are no text */
                g->r.input_tokens = before + WEIR_TOKENS_PER_IMAGE;
            } else if (!is_frame(g, name)) {
                count_value(g, name + 1);
            }
        }
    } else if (value->kind == WEIR_JSON_ARRAY) {
        for (const struct weir_json_node *n = weir_json_first(g->j, value); n != NULL;
             n = weir_json_next(g->j, value, n)) {
            count_value(g, n);
        }
    } else if (value->kind != WEIR_JSON_NULL) {
        struct weir_str raw = weir_json_raw(g->j, value);
        g->r.input_tokens++;
        g->r.prompt_hash = XXH3_64bits_withSeed(raw.p, raw.len, g->r.prompt_hash + value->kind);
    }
}

static unsigned parts_of(const struct weir_json *j, const struct weir_json_node *list)
{
    unsigned parts = 0;
    for (const struct weir_json_node *n = weir_json_first(j, list); n != NULL;
         n = weir_json_next(j, list, n)) {
        parts++;
    }
    return parts;
}

/* What a message costs beside its texts. */
static void count_messages(struct reading *g, const struct weir_json_node *messages)
{
    g->r.input_tokens += WEIR_TOKENS_PER_REPLY;
    if (messages->kind != WEIR_JSON_ARRAY) {
        g->r.input_tokens += WEIR_TOKENS_PER_MESSAGE;
        return;
    }
    for (const struct weir_json_node *m = weir_json_first(g->j, messages); m != NULL;
         m = weir_json_next(g->j, messages, m)) {
        bool named = g->encoding != NULL && member(g->j, m, "name") != NULL;
        g->r.input_tokens += WEIR_TOKENS_PER_MESSAGE + (named ? WEIR_TOKENS_PER_NAME : 0);
    }
}

/* Functions in the form of chats cost what their declarations do. */
static void count_also_read(struct reading *g, const struct weir_json_node *n)
{
    uint64_t before = g->r.input_tokens, tokens;
    count_value(g, n);
    if (g->encoding != NULL && n->kind == WEIR_JSON_ARRAY &&
        weir_tools_tokens(g->encoding, NULL, g->j, n, &tokens)) {
        g->r.input_tokens = before + tokens;
    }
}

static bool read_input(struct reading *g, const struct api *api)
{
    const struct weir_json_node *input = member(g->j, g->root, api->input);
    bool list = input != NULL && input->kind == WEIR_JSON_ARRAY;
    bool text = input != NULL && input->kind == WEIR_JSON_STRING;
    unsigned parts = list ? parts_of(g->j, input) : text;
    if (parts == 0 || (text && strcmp(api->input, "messages") == 0)) {
        return refuse(g, api->input, "it, with something in it");
    }
    if (api->messages) {
        count_messages(g, input);
    }
    count_value(g, input);
    bool one = text || weir_json_first(g->j, input)->kind == WEIR_JSON_NUMBER;
    g->r.inputs = one ? 1 : parts;
    for (size_t i = 0; i < sizeof(api->also_read) / sizeof(api->also_read[0]); i++) {
        const struct weir_json_node *n =
            api->also_read[i] == NULL ? NULL : member(g->j, g->root, api->also_read[i]);
        if (n != NULL) {
            count_also_read(g, n);
        }
    }
    return true;
}

/* ---- the fields ---- */

static bool read_maximum(struct reading *g, const struct api *api)
{
    for (size_t i = 0; i < 2 && api->maximum[i] != NULL; i++) {
        const struct weir_json_node *n = member(g->j, g->root, api->maximum[i]);
        uint64_t value;
        if (n == NULL) {
            continue;
        }
        if (weir_json_u64(g->j, n, INT32_MAX, &value) != WEIR_OK || value == 0) {
            return refuse(g, api->maximum[i], "a whole number from 1 to 2147483647");
        }
        g->r.output_max = value > g->r.output_max ? value : g->r.output_max;
    }
    return g->r.output_max > 0 || !api->maximum_is_mandatory ||
           refuse(g, api->maximum[0], "it in every request");
}

static bool is_true(const struct weir_json_node *n)
{
    return n != NULL && n->kind == WEIR_JSON_TRUE;
}

/* A number may be written as a text, for OpenAI's metadata has only those. */
enum weir_err weir_mock_asked(const struct weir_json *j, struct weir_buf *space,
                              uint64_t *ret_tokens)
{
    const struct weir_json_node *metadata = member(j, weir_json_root(j), "metadata");
    const struct weir_json_node *n = member(j, metadata, "mock_output_tokens");
    if (n == NULL) {
        return WEIR_ERR_NOT_FOUND;
    }
    weir_buf_reset(space);
    enum weir_err err =
        n->kind == WEIR_JSON_STRING
            ? weir_str_u64(weir_json_string(j, n, space), WEIR_MOCK_ASKED_MAX, ret_tokens)
            : weir_json_u64(j, n, WEIR_MOCK_ASKED_MAX, ret_tokens);
    return err == WEIR_OK ? WEIR_OK : WEIR_ERR_INVALID;
}

static bool read_wishes(struct reading *g)
{
    const struct weir_json_node *metadata = member(g->j, g->root, "metadata");
    if (weir_mock_asked(g->j, g->space, &g->r.output_asked) == WEIR_ERR_INVALID) {
        return refuse(g, "metadata.mock_output_tokens", "a whole number from 0 to 1000000");
    }
    return read_name(g, member(g->j, metadata, "mock_trace"), &g->r.trace) ||
           refuse(g, "metadata.mock_trace", "a text of at most 128 bytes");
}

/* Whose name: of a function in the form of chats, or as it stands. */
static const struct weir_json_node *name_in(const struct reading *g, const struct weir_json_node *n)
{
    const struct weir_json_node *name = member(g->j, n, "name");
    return name != NULL ? name : member(g->j, member(g->j, n, "function"), "name");
}

/* The tool that the request demands; "auto" gets a text. */
static bool read_tool(struct reading *g)
{
    const struct weir_json_node *choice = member(g->j, g->root, "tool_choice");
    const struct weir_json_node *tools = member(g->j, g->root, "tools");
    const struct weir_json_node *type =
        choice != NULL && choice->kind == WEIR_JSON_STRING ? choice : member(g->j, choice, "type");
    const struct weir_json_node *name = name_in(g, choice);
    bool any = type != NULL && type->kind == WEIR_JSON_STRING &&
               (weir_json_string_is(g->j, type, WEIR_STR("required")) ||
                weir_json_string_is(g->j, type, WEIR_STR("any")));
    if (name == NULL && any && tools != NULL && tools->kind == WEIR_JSON_ARRAY) {
        name = name_in(g, weir_json_first(g->j, tools));
    }
    if (name == NULL && any) {
        return refuse(g, "tool_choice", "tools when one must be called");
    }
    return read_name(g, name, &g->r.tool) ||
           refuse(g, "tool_choice", "a name of at most 128 bytes");
}

static bool read_embedding(struct reading *g)
{
    const struct weir_json_node *dimensions = member(g->j, g->root, "dimensions");
    const struct weir_json_node *format = member(g->j, g->root, "encoding_format");
    uint64_t value = DIMENSIONS;
    if (dimensions != NULL &&
        (weir_json_u64(g->j, dimensions, WEIR_MOCK_DIMENSIONS_MAX, &value) != WEIR_OK ||
         value == 0)) {
        return refuse(g, "dimensions", "a whole number from 1 to 4096");
    }
    g->r.dimensions = (uint32_t)value;
    g->r.base64 = format != NULL && format->kind == WEIR_JSON_STRING &&
                  weir_json_string_is(g->j, format, WEIR_STR("base64"));
    return g->r.inputs <= WEIR_MOCK_INPUTS_MAX || refuse(g, "input", "at most 2048 inputs");
}

static bool read_fields(struct reading *g, enum weir_mock_api api)
{
    const struct weir_json_node *model = member(g->j, g->root, "model");
    const struct weir_json_node *choices = member(g->j, g->root, "n");
    uint64_t n = 1;
    if (!read_name(g, model, &g->r.model) || g->r.model.len == 0) {
        return refuse(g, "model", "a name of 1 to 128 bytes");
    }
    if (choices != NULL && (weir_json_u64(g->j, choices, 1, &n) != WEIR_OK || n != 1)) {
        return refuse(g, "n", "1, the only number of choices supported");
    }
    g->r.stream = is_true(member(g->j, g->root, "stream"));
    g->r.include_usage =
        is_true(member(g->j, member(g->j, g->root, "stream_options"), "include_usage"));
    struct weir_str name = weir_mock_name_view(&g->r.model);
    g->r.prompt_hash = XXH3_64bits(name.p, name.len);
    g->encoding = weir_tokens_encoding(name);
    return read_input(g, &apis[api]) && read_maximum(g, &apis[api]) && read_wishes(g) &&
           read_tool(g) && (api != WEIR_MOCK_EMBEDDING || read_embedding(g));
}

enum weir_err weir_mock_request_read(enum weir_mock_api api, struct weir_json *j,
                                     struct weir_buf *space, struct weir_str body,
                                     struct weir_mock_request *ret_request,
                                     struct weir_mock_refusal *ret_refusal)
{
    struct reading g = {.j = j, .space = space, .refusal = ret_refusal};
    g.r.output_asked = WEIR_MOCK_NOT_ASKED;
    weir_buf_recycle(space, SPACE_KEEP_BYTES);
    enum weir_err err = weir_json_parse(j, body);
    if (err == WEIR_ERR_NOMEM) {
        return err;
    }
    if (err != WEIR_OK || weir_json_root(j)->kind != WEIR_JSON_OBJECT) {
        *ret_refusal = (struct weir_mock_refusal){.text = "The body: expected an object in JSON."};
        return WEIR_ERR_INVALID;
    }
    g.root = weir_json_root(j);
    if (!read_fields(&g, api)) {
        return WEIR_ERR_INVALID;
    }
    if (g.no_memory) {
        return WEIR_ERR_NOMEM;
    }
    *ret_request = g.r;
    return WEIR_OK;
}
