/* SPDX-License-Identifier: Apache-2.0 */
/* dialect_messages.c - Anthropic's messages, and the counting of their tokens, which runs no model
 * and is charged as a request alone. */
#include "service/dialect_read.h"

enum field {
    MODEL,
    MESSAGES,
    MAX_TOKENS,
    STREAM,
    SYSTEM,
    READ_BY_MODEL, /* from here on: what is told beside the messages */
    TOOLS = READ_BY_MODEL,
    OUTPUT_CONFIG,
    FIELDS,
};

static const struct weir_str names[FIELDS] = {
    [MODEL] = WEIR_STR_INIT("model"),
    [MESSAGES] = WEIR_STR_INIT("messages"),
    [MAX_TOKENS] = WEIR_STR_INIT("max_tokens"),
    [STREAM] = WEIR_STR_INIT("stream"),
    [SYSTEM] = WEIR_STR_INIT("system"),
    [TOOLS] = WEIR_STR_INIT("tools"),
    [OUTPUT_CONFIG] = WEIR_STR_INIT("output_config"),
};

static bool read_prompt(struct weir_reading *g, const struct weir_json_node **item)
{
    if (!weir_find_fields(g, names, FIELDS, item) || !weir_read_model(g, item[MODEL]) ||
        !weir_read_messages(g, item[MESSAGES])) {
        return false;
    }
    g->r.input_tokens += WEIR_TOKENS_PER_REPLY;
    if (weir_given(item[SYSTEM]) && !weir_read_content(g, item[SYSTEM])) {
        return weir_refuse_field(g, "system", "a text or a list of parts");
    }
    for (unsigned i = READ_BY_MODEL; i < FIELDS; i++) {
        if (weir_given(item[i])) {
            weir_read_value(g, item[i]);
        }
    }
    return true;
}

static bool read_messages(struct weir_reading *g)
{
    const struct weir_json_node *item[FIELDS] = {NULL};
    if (!read_prompt(g, item) || !weir_read_bool(g, item[STREAM], "stream", &g->r.stream)) {
        return false;
    }
    g->r.include_usage = g->r.stream; /* it is told to everyone */
    return weir_given(item[MAX_TOKENS])
               ? weir_read_maximum(g, item[MAX_TOKENS], "max_tokens")
               : weir_refuse_field(g, "max_tokens", "a whole number from 1 to 2147483647");
}

static bool read_count(struct weir_reading *g)
{
    const struct weir_json_node *item[FIELDS] = {NULL};
    bool good = read_prompt(g, item);
    g->r.input_tokens = g->r.text_tokens = 0;
    g->r.no_output = true;
    return good;
}

/* ---- streams ---- */

static void delta_produced(const struct weir_dialect_event *e, const struct weir_json_node *delta,
                           struct weir_progress *p)
{
    weir_produced(e, weir_member_of(e->j, delta, WEIR_STR("text")), p);
    weir_produced(e, weir_member_of(e->j, delta, WEIR_STR("thinking")), p);
    weir_produced(e, weir_member_of(e->j, delta, WEIR_STR("partial_json")), p);
}

static struct weir_verdict on_event(const struct weir_dialect_event *e, struct weir_progress *p)
{
    const struct weir_json_node *root = weir_json_root(e->j);
    const struct weir_json_node *node = weir_member_of(e->j, root, WEIR_STR("type"));
    struct weir_str type =
        node != NULL && node->kind == WEIR_JSON_STRING ? weir_json_raw(e->j, node) : e->name;
    if (weir_str_eq(type, WEIR_STR("content_block_delta"))) {
        delta_produced(e, weir_member_of(e->j, root, WEIR_STR("delta")), p);
    } else if (weir_str_eq(type, WEIR_STR("content_block_start"))) {
        const struct weir_json_node *block = weir_member_of(e->j, root, WEIR_STR("content_block"));
        delta_produced(e, block, p);
        weir_produced(e, weir_member_of(e->j, block, WEIR_STR("name")), p); /* of a tool */
    } else if (weir_str_eq(type, WEIR_STR("message_start"))) {
        const struct weir_json_node *message = weir_member_of(e->j, root, WEIR_STR("message"));
        weir_progress_read(p, e->j, weir_member_of(e->j, message, WEIR_STR("usage")));
        p->used.output_known = false; /* of the first token, if at all */
        p->used.output_tokens = 0;
    } else if (weir_str_eq(type, WEIR_STR("message_delta"))) {
        weir_progress_read(p, e->j, weir_member_of(e->j, root, WEIR_STR("usage")));
    } else if (weir_str_eq(type, WEIR_STR("message_stop"))) {
        p->ended = true;
    } else if (weir_str_eq(type, WEIR_STR("error"))) {
        p->failed = true;
    }
    return (struct weir_verdict){0};
}

const struct weir_dialect weir_dialect_messages = {
    .name = "messages",
    .path = WEIR_STR_INIT("/v1/messages"),
    .api = &weir_api_anthropic,
    .read = read_messages,
    .usage.name = WEIR_STR_INIT("usage"),
    .on_event = on_event,
};

const struct weir_dialect weir_dialect_count = {
    .name = "count_tokens",
    .path = WEIR_STR_INIT("/v1/messages/count_tokens"),
    .api = &weir_api_anthropic,
    .read = read_count,
};
