/* SPDX-License-Identifier: Apache-2.0 */
/* shape_message.c - Anthropic's messages. Cached input is not part of its input_tokens. */
#include "gateway/shape.h"

/* {"id":...,"type":"message","role":"assistant","model":... */
static void begin_object(const struct weir_shape *s, struct weir_buf *b)
{
    WEIR_BUF_LIT(b, "{\"id\":\"msg_");
    weir_buf_str(b, s->id);
    WEIR_BUF_LIT(b, "\",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    weir_buf_str(b, s->model_json);
}

static void usage(const struct weir_shape *s, struct weir_buf *b, uint64_t output_tokens)
{
    WEIR_BUF_LIT(b, "{\"input_tokens\":");
    weir_buf_u64(b, s->input_tokens - s->cached_tokens);
    WEIR_BUF_LIT(b, ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":");
    weir_buf_u64(b, s->cached_tokens);
    WEIR_BUF_LIT(b, ",\"output_tokens\":");
    weir_buf_u64(b, output_tokens);
    WEIR_BUF_LIT(b, ",\"service_tier\":\"standard\"}");
}

static struct weir_str stop_reason(const struct weir_shape *s)
{
    if (s->answer->cut) {
        return WEIR_STR("\"max_tokens\"");
    }
    return s->tool_json.len > 0 ? WEIR_STR("\"tool_use\"") : WEIR_STR("\"end_turn\"");
}

/* A call's block up to its input. */
static void call_begin(const struct weir_shape *s, struct weir_buf *b)
{
    WEIR_BUF_LIT(b, "{\"type\":\"tool_use\",\"id\":\"toolu_");
    weir_buf_str(b, s->id);
    WEIR_BUF_LIT(b, "\",\"name\":");
    weir_buf_str(b, s->tool_json);
    WEIR_BUF_LIT(b, ",\"input\":{");
}

static void whole(const struct weir_shape *s, struct weir_buf *b)
{
    begin_object(s, b);
    WEIR_BUF_LIT(b, ",\"content\":[");
    if (s->tool_json.len > 0) {
        call_begin(s, b);
        WEIR_BUF_LIT(b, "\"words\":\"");
        weir_shape_words(s, b, 0, s->answer->output_tokens);
        WEIR_BUF_LIT(b, "\"}}");
    } else {
        WEIR_BUF_LIT(b, "{\"type\":\"text\",\"text\":\"");
        weir_shape_words(s, b, 0, s->answer->output_tokens);
        WEIR_BUF_LIT(b, "\"}");
    }
    WEIR_BUF_LIT(b, "],\"stop_reason\":");
    weir_buf_str(b, stop_reason(s));
    WEIR_BUF_LIT(b, ",\"stop_sequence\":null,\"usage\":");
    usage(s, b, s->answer->output_tokens);
    WEIR_BUF_LIT(b, "}");
}

static void begin(const struct weir_shape *s, struct weir_buf *b)
{
    WEIR_BUF_LIT(b, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
    begin_object(s, b);
    WEIR_BUF_LIT(b, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":");
    usage(s, b, s->answer->output_tokens > 0 ? 1 : 0);
    WEIR_BUF_LIT(b, "}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\","
                    "\"index\":0,\"content_block\":");
    if (s->tool_json.len > 0) {
        call_begin(s, b);
        WEIR_BUF_LIT(b, "}}");
    } else {
        WEIR_BUF_LIT(b, "{\"type\":\"text\",\"text\":\"\"}");
    }
    WEIR_BUF_LIT(b, "}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n");
}

static void delta(const struct weir_shape *s, struct weir_buf *b, struct weir_str text)
{
    WEIR_BUF_LIT(b, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
                    "\"index\":0,\"delta\":{\"type\":\"");
    if (s->tool_json.len > 0) {
        WEIR_BUF_LIT(b, "input_json_delta\",\"partial_json\":\"");
    } else {
        WEIR_BUF_LIT(b, "text_delta\",\"text\":\"");
    }
    weir_buf_str(b, text);
    WEIR_BUF_LIT(b, "\"}}\n\n");
}

static void tokens(const struct weir_shape *s, struct weir_buf *b, uint32_t from, uint32_t until)
{
    if (s->tool_json.len > 0 && from == 0 && until > 0) {
        delta(s, b, WEIR_STR(WEIR_SHAPE_ARGUMENTS_BEGIN));
    }
    for (uint32_t i = from; i < until; i++) {
        delta(s, b, weir_mock_word(s->answer, i));
    }
}

static void end(const struct weir_shape *s, struct weir_buf *b)
{
    if (s->tool_json.len > 0) {
        delta(s, b,
              s->answer->output_tokens == 0
                  ? WEIR_STR(WEIR_SHAPE_ARGUMENTS_BEGIN WEIR_SHAPE_ARGUMENTS_END)
                  : WEIR_STR(WEIR_SHAPE_ARGUMENTS_END));
    }
    WEIR_BUF_LIT(b, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\","
                    "\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\","
                    "\"delta\":{\"stop_reason\":");
    weir_buf_str(b, stop_reason(s));
    WEIR_BUF_LIT(b, ",\"stop_sequence\":null},\"usage\":");
    usage(s, b, s->answer->output_tokens);
    WEIR_BUF_LIT(b, "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

const struct weir_shape_ops weir_shape_message = {whole, begin, tokens, end};
