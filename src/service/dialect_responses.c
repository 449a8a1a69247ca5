/* SPDX-License-Identifier: Apache-2.0 */
/* dialect_responses.c - OpenAI's responses. What the upstream keeps of earlier ones (a response, a
 * conversation, a prompt) is not seen here: it is charged when the usage is told. */
#include "service/dialect_read.h"

enum field {
    MODEL,
    INPUT,
    MAX_OUTPUT_TOKENS,
    STREAM,
    BACKGROUND,
    ELSEWHERE, /* from here on: where the input may be instead */
    PREVIOUS_RESPONSE_ID = ELSEWHERE,
    CONVERSATION,
    PROMPT,
    READ_BY_MODEL, /* from here on: what is told beside the input */
    INSTRUCTIONS = READ_BY_MODEL,
    TOOLS,
    TEXT,
    FIELDS,
};

static const struct weir_str names[FIELDS] = {
    [MODEL] = WEIR_STR_INIT("model"),
    [INPUT] = WEIR_STR_INIT("input"),
    [MAX_OUTPUT_TOKENS] = WEIR_STR_INIT("max_output_tokens"),
    [STREAM] = WEIR_STR_INIT("stream"),
    [BACKGROUND] = WEIR_STR_INIT("background"),
    [PREVIOUS_RESPONSE_ID] = WEIR_STR_INIT("previous_response_id"),
    [CONVERSATION] = WEIR_STR_INIT("conversation"),
    [PROMPT] = WEIR_STR_INIT("prompt"),
    [INSTRUCTIONS] = WEIR_STR_INIT("instructions"),
    [TOOLS] = WEIR_STR_INIT("tools"),
    [TEXT] = WEIR_STR_INIT("text"),
};

/* A message, a call, a call's result: what is not its content counts as it stands, but for what
 * says which item it is. */
static bool read_item(struct weir_reading *g, const struct weir_json_node *object, unsigned i)
{
    static const struct weir_str about[] = {WEIR_STR_INIT("type"), WEIR_STR_INIT("id"),
                                            WEIR_STR_INIT("role"), WEIR_STR_INIT("status"),
                                            WEIR_STR_INIT("call_id")};
    if (object->kind != WEIR_JSON_OBJECT) {
        return weir_refuse_element(g, "input", i, "type", "an item");
    }
    g->r.input_tokens += WEIR_TOKENS_PER_MESSAGE;
    for (const struct weir_json_node *name = weir_json_first(g->j, object), *value; name != NULL;
         name = weir_json_next(g->j, object, value)) {
        bool passed_over = false;
        value = name + 1;
        for (unsigned k = 0; k < sizeof(about) / sizeof(about[0]); k++) {
            passed_over |=
                value->kind == WEIR_JSON_STRING && weir_json_string_is(g->j, name, about[k]);
        }
        bool content = weir_json_string_is(g->j, name, WEIR_STR("content")) ||
                       weir_json_string_is(g->j, name, WEIR_STR("output"));
        if (content && !weir_read_content(g, value)) {
            return weir_refuse_element(g, "input", i, "content", "a text or a list of parts");
        }
        if (!content && !passed_over) {
            weir_read_value(g, value);
        }
    }
    return true;
}

static bool read_input(struct weir_reading *g, const struct weir_json_node *input, bool elsewhere)
{
    unsigned i = 0;
    if (!weir_given(input)) {
        return elsewhere || weir_refuse_field(g, "input", "a text or a list of items");
    }
    if (input->kind == WEIR_JSON_STRING) {
        g->r.input_tokens += WEIR_TOKENS_PER_MESSAGE;
        weir_read_text(g, input);
        return true;
    }
    if (input->kind != WEIR_JSON_ARRAY) {
        return weir_refuse_field(g, "input", "a text or a list of items");
    }
    for (const struct weir_json_node *n = weir_json_first(g->j, input); n != NULL;
         n = weir_json_next(g->j, input, n)) {
        if (!read_item(g, n, i++)) {
            return false;
        }
    }
    return true;
}

static bool read_responses(struct weir_reading *g)
{
    const struct weir_json_node *item[FIELDS] = {NULL};
    bool elsewhere = false;
    if (!weir_find_fields(g, names, FIELDS, item) || !weir_read_model(g, item[MODEL])) {
        return false;
    }
    for (unsigned i = ELSEWHERE; i < READ_BY_MODEL; i++) {
        elsewhere |= weir_given(item[i]);
    }
    if (!read_input(g, item[INPUT], elsewhere) ||
        !weir_read_maximum(g, item[MAX_OUTPUT_TOKENS], "max_output_tokens") ||
        !weir_read_bool(g, item[STREAM], "stream", &g->r.stream) ||
        !weir_read_bool(g, item[BACKGROUND], "background", &g->r.background)) {
        return false;
    }
    g->r.input_tokens += WEIR_TOKENS_PER_REPLY;
    if (weir_given(item[PROMPT])) {
        weir_read_value(g, item[PROMPT]); /* with the texts that are put into it */
    }
    for (unsigned i = READ_BY_MODEL; i < FIELDS; i++) {
        if (weir_given(item[i]) && item[i]->kind == WEIR_JSON_STRING) {
            weir_read_text(g, item[i]);
        } else if (weir_given(item[i])) {
            weir_read_value(g, item[i]);
        }
    }
    g->r.include_usage = g->r.stream; /* the last event tells it, whoever asked */
    return true;
}

/* ---- streams ---- */

static bool ends_with(struct weir_str s, struct weir_str end)
{
    return s.len >= end.len && memcmp(s.p + s.len - end.len, end.p, end.len) == 0;
}

/* All text comes as the string `delta` of an event whose type ends so; sound comes so too. */
static bool is_text(struct weir_str type)
{
    return ends_with(type, WEIR_STR(".delta")) && !ends_with(type, WEIR_STR("audio.delta"));
}

static struct weir_verdict on_event(const struct weir_dialect_event *e, struct weir_progress *p)
{
    const struct weir_json_node *root = weir_json_root(e->j);
    const struct weir_json_node *response = weir_member_of(e->j, root, WEIR_STR("response"));
    const struct weir_json_node *node = weir_member_of(e->j, root, WEIR_STR("type"));
    if (node == NULL || node->kind != WEIR_JSON_STRING) {
        return weir_openai_event(e, p);
    }
    struct weir_str type = weir_json_raw(e->j, node);
    if (is_text(type)) {
        weir_produced(e, weir_member_of(e->j, root, WEIR_STR("delta")), p);
    } else if (response != NULL) {
        weir_progress_read(p, e->j, weir_member_of(e->j, response, WEIR_STR("usage")));
    }
    bool failed = weir_str_eq(type, WEIR_STR("response.failed"));
    p->failed |= failed || weir_str_eq(type, WEIR_STR("error"));
    p->ended |= failed || weir_str_eq(type, WEIR_STR("response.completed")) ||
                weir_str_eq(type, WEIR_STR("response.incomplete"));
    return (struct weir_verdict){0};
}

const struct weir_dialect weir_dialect_responses = {
    .name = "responses",
    .path = WEIR_STR_INIT("/v1/responses"),
    .api = &weir_api_openai,
    .read = read_responses,
    .usage.name = WEIR_STR_INIT("usage"),
    .end_usage = {WEIR_STR_INIT("response"), WEIR_STR_INIT("usage")}, /* beside all that was said */
    .on_event = on_event,
};
