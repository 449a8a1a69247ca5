/* SPDX-License-Identifier: Apache-2.0 */
#include "service/dialect_read.h"

#include <xxhash.h>

#include "tokens/tools.h"

bool weir_refuse_field(struct weir_reading *g, const char *param, const char *expected)
{
    snprintf(g->refusal->param, sizeof(g->refusal->param), "%s", param);
    snprintf(g->refusal->text, sizeof(g->refusal->text), "%s: expected %s.", param, expected);
    return false;
}

bool weir_refuse_element(struct weir_reading *g, const char *list, unsigned i, const char *field,
                         const char *expected)
{
    char param[sizeof(g->refusal->param)];
    snprintf(param, sizeof(param), "%s[%u].%s", list, i, field);
    return weir_refuse_field(g, param, expected);
}

/* The text of a string, until the next one is asked for. */
static struct weir_str text_of(struct weir_reading *g, const struct weir_json_node *n)
{
    weir_buf_reset(g->space);
    struct weir_str text = weir_json_string(g->j, n, g->space);
    g->no_memory |= g->space->failed;
    return text;
}

/* ---- what the model reads ---- */

static void read_string(struct weir_reading *g, const struct weir_json_node *string)
{
    struct weir_str s = text_of(g, string);
    g->r.input_tokens += weir_count_text(&g->counter, s);
    g->r.prompt_hash = XXH3_64bits_withSeed(s.p, s.len, g->r.prompt_hash);
}

void weir_read_text(struct weir_reading *g, const struct weir_json_node *string)
{
    uint64_t before = g->r.input_tokens;
    read_string(g, string);
    g->r.text_tokens += g->r.input_tokens - before;
}

void weir_read_value(struct weir_reading *g, const struct weir_json_node *value)
{
    const struct weir_json_node *past = g->j->node + value->past;
    for (const struct weir_json_node *n = value; n < past; n++) {
        if (n->kind == WEIR_JSON_STRING) {
            read_string(g, n);
        } else if (n->kind < WEIR_JSON_STRING) {
            struct weir_str raw = weir_json_raw(g->j, n);
            g->r.input_tokens += n->kind == WEIR_JSON_NULL ? 0 : 1;
            g->r.prompt_hash = XXH3_64bits_withSeed(raw.p, raw.len, g->r.prompt_hash + n->kind);
        }
    }
}

void weir_read_tools(struct weir_reading *g, const struct weir_json_node *tools)
{
    uint64_t before = g->r.input_tokens, tokens;
    weir_read_value(g, tools);
    if (g->counter.exact &&
        weir_tools_tokens(g->counter.encoding, g->counter.memory, g->j, tools, &tokens)) {
        g->r.input_tokens = before + tokens;
    }
}

/* Its bytes are not text. `low`: its part's detail, which counts where `value` is the URL itself.
 */
static void read_image(struct weir_reading *g, bool low, const struct weir_json_node *value)
{
    uint64_t before = g->r.input_tokens;
    weir_read_value(g, value);
    const struct weir_json_node *url =
        value->kind == WEIR_JSON_OBJECT ? weir_member_of(g->j, value, WEIR_STR("url")) : value;
    struct weir_str text = weir_str("", 0);
    if (url != NULL && url->kind == WEIR_JSON_STRING) {
        text = text_of(g, url);
    }
    if (value->kind == WEIR_JSON_OBJECT) {
        low = weir_member_is(g->j, value, WEIR_STR("detail"), WEIR_STR("low"));
    }
    g->r.input_tokens = before + weir_count_image(&g->counter, text, low);
}

/* Parts within parts: the results of Anthropic's tools hold lists of them. */
enum { PARTS_DEPTH_MAX = 2 };

static bool read_parts(struct weir_reading *g, const struct weir_json_node *content,
                       unsigned depth);

/* False: not what a part looks like. A name that is there twice counts twice. */
static bool read_part(struct weir_reading *g, const struct weir_json_node *part, unsigned depth)
{
    if (part->kind != WEIR_JSON_OBJECT) {
        return false;
    }
    bool image = weir_member_is(g->j, part, WEIR_STR("type"), WEIR_STR("image"));
    bool sealed = weir_member_is(g->j, part, WEIR_STR("type"), WEIR_STR("thinking"));
    bool low = weir_member_is(g->j, part, WEIR_STR("detail"), WEIR_STR("low"));
    for (const struct weir_json_node *name = weir_json_first(g->j, part), *value; name != NULL;
         name = weir_json_next(g->j, part, value)) {
        value = name + 1;
        if (weir_json_string_is(g->j, name, WEIR_STR("text"))) {
            if (value->kind != WEIR_JSON_STRING) {
                return false;
            }
            weir_read_text(g, value);
        } else if (weir_json_string_is(g->j, name, WEIR_STR("image_url")) ||
                   (image && weir_json_string_is(g->j, name, WEIR_STR("source")))) {
            read_image(g, low, value);
        } else if (weir_json_string_is(g->j, name, WEIR_STR("content")) &&
                   value->kind == WEIR_JSON_ARRAY && depth + 1 < PARTS_DEPTH_MAX) {
            if (!read_parts(g, value, depth + 1)) {
                return false;
            }
        } else if (weir_json_string_is(g->j, name, WEIR_STR("content")) &&
                   value->kind == WEIR_JSON_STRING) {
            weir_read_text(g, value); /* what a tool said */
        } else if (value->kind != WEIR_JSON_STRING ||
                   !(weir_json_string_is(g->j, name, WEIR_STR("type")) ||
                     (sealed && weir_json_string_is(g->j, name, WEIR_STR("signature"))))) {
            weir_read_value(g, value);
        }
    }
    return true;
}

static bool read_parts(struct weir_reading *g, const struct weir_json_node *content, unsigned depth)
{
    for (const struct weir_json_node *part = weir_json_first(g->j, content); part != NULL;
         part = weir_json_next(g->j, content, part)) {
        if (!read_part(g, part, depth)) {
            return false;
        }
    }
    return true;
}

bool weir_read_content(struct weir_reading *g, const struct weir_json_node *content)
{
    if (content->kind == WEIR_JSON_STRING) {
        weir_read_text(g, content);
        return true;
    }
    if (content->kind != WEIR_JSON_ARRAY) {
        return content->kind == WEIR_JSON_NULL;
    }
    return read_parts(g, content, 0);
}

static bool read_message(struct weir_reading *g, const struct weir_json_node *message, unsigned i)
{
    const struct weir_json_node *role = NULL;
    const struct weir_json_node *name =
        message->kind == WEIR_JSON_OBJECT ? weir_json_first(g->j, message) : NULL;
    const bool exact = g->counter.exact; /* else the ratio has the role in it */
    g->r.input_tokens += WEIR_TOKENS_PER_MESSAGE;
    for (const struct weir_json_node *value; name != NULL;
         name = weir_json_next(g->j, message, value)) {
        value = name + 1;
        if (weir_json_string_is(g->j, name, WEIR_STR("role"))) {
            if (role != NULL) {
                return weir_refuse_element(g, "messages", i, "role", "it once");
            }
            role = value;
        } else if (!weir_json_string_is(g->j, name, WEIR_STR("content"))) {
            weir_read_value(g, value); /* name, tool_calls, what else there may come to be */
            g->r.input_tokens += exact && weir_json_string_is(g->j, name, WEIR_STR("name"))
                                     ? WEIR_TOKENS_PER_NAME
                                     : 0;
        } else if (!weir_read_content(g, value)) {
            return weir_refuse_element(g, "messages", i, "content", "a text or a list of parts");
        }
    }
    if (role == NULL || role->kind != WEIR_JSON_STRING) {
        return weir_refuse_element(g, "messages", i, "role", "a message with a role");
    }
    if (exact) {
        g->r.input_tokens += weir_count_text(&g->counter, text_of(g, role));
    }
    return true;
}

bool weir_read_messages(struct weir_reading *g, const struct weir_json_node *messages)
{
    unsigned i = 0;
    if (!weir_given(messages) || messages->kind != WEIR_JSON_ARRAY ||
        weir_json_first(g->j, messages) == NULL) {
        return weir_refuse_field(g, "messages", "a list of at least one message");
    }
    for (const struct weir_json_node *m = weir_json_first(g->j, messages); m != NULL;
         m = weir_json_next(g->j, messages, m)) {
        if (!read_message(g, m, i++)) {
            return false;
        }
    }
    return true;
}

/* ---- the fields ---- */

/* Which of the names it is; `fields`: none. Most are told apart by their lengths. */
static unsigned field_of(const struct weir_json *j, const struct weir_json_node *name,
                         const struct weir_str *names, unsigned fields)
{
    unsigned i = 0;
    if (WEIR_UNLIKELY(name->escaped)) {
        while (i < fields && !weir_json_escaped_is(j, name, names[i])) {
            i++;
        }
        return i;
    }
    const char *p = j->text.p + name->at;
    size_t len = name->len;
    while (i < fields && (names[i].len != len || memcmp(names[i].p, p, len) != 0)) {
        i++;
    }
    return i;
}

bool weir_find_fields(struct weir_reading *g, const struct weir_str *names, unsigned fields,
                      const struct weir_json_node **item)
{
    const struct weir_json_node *root = weir_json_root(g->j);
    for (const struct weir_json_node *name = weir_json_first(g->j, root); name != NULL;
         name = weir_json_next(g->j, root, name + 1)) {
        unsigned i = field_of(g->j, name, names, fields);
        if (i == fields) {
            continue;
        }
        if (item[i] != NULL) {
            return weir_refuse_field(g, names[i].p, "it once");
        }
        item[i] = name + 1;
    }
    return true;
}

bool weir_read_model(struct weir_reading *g, const struct weir_json_node *item)
{
    struct weir_str model =
        weir_given(item) && item->kind == WEIR_JSON_STRING ? text_of(g, item) : weir_str(NULL, 0);
    g->model = item;
    g->counter = weir_counter_of(model, g->counting);
    return (model.len > 0 && model.len <= WEIR_MODEL_MAX) ||
           weir_refuse_field(g, "model", "a name of 1 to 128 bytes");
}

bool weir_read_maximum(struct weir_reading *g, const struct weir_json_node *item, const char *name)
{
    uint64_t value;
    if (!weir_given(item)) {
        return true;
    }
    if (weir_json_u64(g->j, item, INT32_MAX, &value) != WEIR_OK || value == 0) {
        return weir_refuse_field(g, name, "a whole number from 1 to 2147483647");
    }
    g->r.output_max = value > g->r.output_max ? value : g->r.output_max;
    return true;
}

bool weir_read_choices(struct weir_reading *g, const struct weir_json_node *item, const char *name,
                       uint32_t *choices)
{
    uint64_t value;
    if (!weir_given(item)) {
        return true;
    }
    if (weir_json_u64(g->j, item, WEIR_CHOICES_MAX, &value) != WEIR_OK || value == 0) {
        return weir_refuse_field(g, name, "a whole number from 1 to 128");
    }
    *choices = value > *choices ? (uint32_t)value : *choices;
    return true;
}

bool weir_read_prompts(struct weir_reading *g, const struct weir_json_node *item, const char *name,
                       uint32_t *ret_prompts)
{
    const struct weir_json_node *first =
        weir_given(item) && item->kind == WEIR_JSON_ARRAY ? weir_json_first(g->j, item) : NULL;
    if (!weir_given(item) || (first == NULL && item->kind != WEIR_JSON_STRING)) {
        return weir_refuse_field(g, name, "a text, or a list of texts or tokens");
    }
    uint64_t before = g->r.input_tokens;
    weir_read_value(g, item);
    if ((first != NULL ? first : item)->kind == WEIR_JSON_STRING) {
        g->r.text_tokens += g->r.input_tokens - before;
    }
    *ret_prompts = 0;
    for (const struct weir_json_node *n = first; n != NULL; n = weir_json_next(g->j, item, n)) {
        *ret_prompts += n->kind != WEIR_JSON_NUMBER; /* a number is a token of the only one */
    }
    *ret_prompts += *ret_prompts == 0;
    return true;
}

bool weir_read_bool(struct weir_reading *g, const struct weir_json_node *item, const char *name,
                    bool *ret_value)
{
    if (weir_given(item) && item->kind > WEIR_JSON_TRUE) {
        return weir_refuse_field(g, name, "true or false");
    }
    *ret_value = item != NULL && item->kind == WEIR_JSON_TRUE;
    return true;
}

/* So that the stream ends with its usage. */
static struct weir_edit ask_for_usage(const struct weir_json *j,
                                      const struct weir_json_node *options,
                                      const struct weir_json_node *include_usage)
{
    if (options == NULL) {
        return (struct weir_edit){weir_json_root(j)->at + 1, 0,
                                  WEIR_STR("\"stream_options\":{\"include_usage\":true},")};
    }
    if (options->kind == WEIR_JSON_NULL) {
        return (struct weir_edit){options->at, options->len, WEIR_STR("{\"include_usage\":true}")};
    }
    if (include_usage != NULL) {
        return (struct weir_edit){include_usage->at, include_usage->len, WEIR_STR("true")};
    }
    return (struct weir_edit){options->at + 1, 0,
                              weir_json_first(j, options) != NULL
                                  ? WEIR_STR("\"include_usage\":true,")
                                  : WEIR_STR("\"include_usage\":true")};
}

bool weir_read_stream(struct weir_reading *g, const struct weir_json_node *stream,
                      const struct weir_json_node *options)
{
    static const char param[] = "stream_options.include_usage";
    const struct weir_json_node *item = NULL;
    if (!weir_read_bool(g, stream, "stream", &g->r.stream)) {
        return false;
    }
    if (weir_given(options) && options->kind != WEIR_JSON_OBJECT) {
        return weir_refuse_field(g, "stream_options", "an object");
    }
    for (const struct weir_json_node *name = weir_given(options) ? weir_json_first(g->j, options)
                                                                 : NULL;
         name != NULL; name = weir_json_next(g->j, options, name + 1)) {
        if (weir_json_string_is(g->j, name, WEIR_STR("include_usage"))) {
            if (item != NULL) {
                return weir_refuse_field(g, param, "it once");
            }
            item = name + 1;
        }
    }
    if (!weir_read_bool(g, item, param, &g->r.include_usage)) {
        return false;
    }
    if (g->r.stream && !g->r.include_usage) {
        g->r.edit = ask_for_usage(g->j, options, item);
    }
    return true;
}
