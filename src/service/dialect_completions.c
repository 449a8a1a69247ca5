/* SPDX-License-Identifier: Apache-2.0 */
/* dialect_completions.c - OpenAI's completions: one text or several, without roles. */
#include "service/dialect_read.h"

enum field {
    MODEL,
    PROMPT,
    SUFFIX,
    MAX_TOKENS,
    STREAM,
    STREAM_OPTIONS,
    N,
    BEST_OF,
    FIELDS,
};

static const struct weir_str names[FIELDS] = {
    [MODEL] = WEIR_STR_INIT("model"),   [PROMPT] = WEIR_STR_INIT("prompt"),
    [SUFFIX] = WEIR_STR_INIT("suffix"), [MAX_TOKENS] = WEIR_STR_INIT("max_tokens"),
    [STREAM] = WEIR_STR_INIT("stream"), [STREAM_OPTIONS] = WEIR_STR_INIT("stream_options"),
    [N] = WEIR_STR_INIT("n"),           [BEST_OF] = WEIR_STR_INIT("best_of"),
};

static bool read_completions(struct weir_reading *g)
{
    const struct weir_json_node *item[FIELDS] = {NULL};
    uint32_t prompts = 0;
    if (!weir_find_fields(g, names, FIELDS, item) || !weir_read_model(g, item[MODEL]) ||
        !weir_read_prompts(g, item[PROMPT], "prompt", &prompts) ||
        !weir_read_maximum(g, item[MAX_TOKENS], "max_tokens") ||
        !weir_read_stream(g, item[STREAM], item[STREAM_OPTIONS]) ||
        !weir_read_choices(g, item[N], "n", &g->r.choices) ||
        !weir_read_choices(g, item[BEST_OF], "best_of", &g->r.choices)) {
        return false;
    }
    if (weir_given(item[SUFFIX])) {
        weir_read_value(g, item[SUFFIX]);
    }
    g->r.choices *= prompts;
    return true;
}

static void choice_produced(const struct weir_dialect_event *e, const struct weir_json_node *choice,
                            struct weir_progress *p)
{
    weir_produced(e, weir_member_of(e->j, choice, WEIR_STR("text")), p);
}

static struct weir_verdict on_event(const struct weir_dialect_event *e, struct weir_progress *p)
{
    weir_choices_produced(e, choice_produced, p);
    return weir_openai_event(e, p);
}

const struct weir_dialect weir_dialect_completions = {
    .name = "completions",
    .path = WEIR_STR_INIT("/v1/completions"),
    .api = &weir_api_openai,
    .read = read_completions,
    .usage.name = WEIR_STR_INIT("usage"),
    .on_event = on_event,
};
