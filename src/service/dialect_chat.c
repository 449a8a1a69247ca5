/* SPDX-License-Identifier: Apache-2.0 */
/* dialect_chat.c - OpenAI's chat completions. */
#include "service/dialect_read.h"

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

static const struct weir_str names[FIELDS] = {
    [MODEL] = WEIR_STR_INIT("model"),
    [MESSAGES] = WEIR_STR_INIT("messages"),
    [MAX_TOKENS] = WEIR_STR_INIT("max_tokens"),
    [MAX_COMPLETION_TOKENS] = WEIR_STR_INIT("max_completion_tokens"),
    [STREAM] = WEIR_STR_INIT("stream"),
    [STREAM_OPTIONS] = WEIR_STR_INIT("stream_options"),
    [N] = WEIR_STR_INIT("n"),
    [TOOLS] = WEIR_STR_INIT("tools"),
    [FUNCTIONS] = WEIR_STR_INIT("functions"),
    [RESPONSE_FORMAT] = WEIR_STR_INIT("response_format"),
};

static bool read_chat(struct weir_reading *g)
{
    const struct weir_json_node *item[FIELDS] = {NULL};
    if (!weir_find_fields(g, names, FIELDS, item) || !weir_read_model(g, item[MODEL]) ||
        !weir_read_messages(g, item[MESSAGES]) ||
        !weir_read_maximum(g, item[MAX_TOKENS], "max_tokens") ||
        !weir_read_maximum(g, item[MAX_COMPLETION_TOKENS], "max_completion_tokens") ||
        !weir_read_stream(g, item[STREAM], item[STREAM_OPTIONS]) ||
        !weir_read_choices(g, item[N], "n", &g->r.choices)) {
        return false;
    }
    g->r.input_tokens += WEIR_TOKENS_PER_REPLY;
    for (unsigned i = READ_BY_MODEL; i < FIELDS; i++) {
        if (weir_given(item[i]) && (i == TOOLS || i == FUNCTIONS)) {
            weir_read_tools(g, item[i]);
        } else if (weir_given(item[i])) {
            weir_read_value(g, item[i]);
        }
    }
    return true;
}

/* ---- streams ---- */

/* A call of a function, or of a tool that takes free text: its name and arguments. */
static void call_produced(const struct weir_dialect_event *e, const struct weir_json_node *call,
                          struct weir_progress *p)
{
    weir_produced(e, weir_member_of(e->j, call, WEIR_STR("name")), p);
    weir_produced(e, weir_member_of(e->j, call, WEIR_STR("arguments")), p);
    weir_produced(e, weir_member_of(e->j, call, WEIR_STR("input")), p);
}

static void delta_produced(const struct weir_dialect_event *e, const struct weir_json_node *delta,
                           struct weir_progress *p)
{
    static const struct weir_str texts[] = {
        WEIR_STR_INIT("content"),
        WEIR_STR_INIT("refusal"),
        WEIR_STR_INIT("reasoning_content"), /* vLLM, DeepSeek */
        WEIR_STR_INIT("reasoning"),
    };
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        weir_produced(e, weir_member_of(e->j, delta, texts[i]), p);
    }
    call_produced(e, weir_member_of(e->j, delta, WEIR_STR("function_call")), p);
    const struct weir_json_node *calls = weir_member_of(e->j, delta, WEIR_STR("tool_calls"));
    if (calls == NULL || calls->kind != WEIR_JSON_ARRAY) {
        return;
    }
    for (const struct weir_json_node *call = weir_json_first(e->j, calls); call != NULL;
         call = weir_json_next(e->j, calls, call)) {
        call_produced(e, weir_member_of(e->j, call, WEIR_STR("function")), p);
        call_produced(e, weir_member_of(e->j, call, WEIR_STR("custom")), p);
    }
}

static void choice_produced(const struct weir_dialect_event *e, const struct weir_json_node *choice,
                            struct weir_progress *p)
{
    delta_produced(e, weir_member_of(e->j, choice, WEIR_STR("delta")), p);
}

static struct weir_verdict on_event(const struct weir_dialect_event *e, struct weir_progress *p)
{
    weir_choices_produced(e, choice_produced, p);
    return weir_openai_event(e, p);
}

const struct weir_dialect weir_dialect_chat = {
    .name = "chat",
    .path = WEIR_STR_INIT("/v1/chat/completions"),
    .api = &weir_api_openai,
    .read = read_chat,
    .usage.name = WEIR_STR_INIT("usage"),
    .on_event = on_event,
};
