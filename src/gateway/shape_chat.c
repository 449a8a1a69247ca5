/* SPDX-License-Identifier: Apache-2.0 */
/* shape_chat.c - OpenAI's chat completions. */
#include "gateway/shape_openai.h"

static const struct weir_shape_form form = {
    .id = WEIR_STR_INIT("chatcmpl-"),
    .object = WEIR_STR_INIT("chat.completion"),
    .chunk = WEIR_STR_INIT("chat.completion.chunk"),
    .usage = WEIR_STR_INIT(",\"completion_tokens_details\":{\"reasoning_tokens\":0}"),
};

static struct weir_str finish_reason(const struct weir_shape *s)
{
    if (s->answer->cut) {
        return WEIR_STR("\"length\"");
    }
    return s->tool_json.len > 0 ? WEIR_STR("\"tool_calls\"") : WEIR_STR("\"stop\"");
}

/* The call up to its arguments. */
static void call_begin(const struct weir_shape *s, struct weir_buf *b)
{
    WEIR_BUF_LIT(b, "\"id\":\"call_");
    weir_buf_str(b, s->id);
    WEIR_BUF_LIT(b, "\",\"type\":\"function\",\"function\":{\"name\":");
    weir_buf_str(b, s->tool_json);
    WEIR_BUF_LIT(b, ",\"arguments\":\"");
}

static void whole(const struct weir_shape *s, struct weir_buf *b)
{
    weir_shape_object(&form, s, b, form.object);
    WEIR_BUF_LIT(b, ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
    if (s->tool_json.len > 0) {
        WEIR_BUF_LIT(b, "null,\"tool_calls\":[{");
        call_begin(s, b);
        weir_shape_arguments(s, b);
        WEIR_BUF_LIT(b, "\"}}]");
    } else {
        WEIR_BUF_LIT(b, "\"");
        weir_shape_words(s, b, 0, s->answer->output_tokens);
        WEIR_BUF_LIT(b, "\"");
    }
    WEIR_BUF_LIT(b, ",\"refusal\":null},\"logprobs\":null,\"finish_reason\":");
    weir_buf_str(b, finish_reason(s));
    WEIR_BUF_LIT(b, "}]");
    weir_shape_usage(&form, s, b);
    WEIR_BUF_LIT(b, ",\"system_fingerprint\":\"fp_weir_mock\"}");
}

/* One event is chunk_begin, its delta and chunk_end. */
static void chunk_begin(const struct weir_shape *s, struct weir_buf *b)
{
    weir_shape_event_begin(&form, s, b);
    WEIR_BUF_LIT(b, "{\"index\":0,\"delta\":");
}

static void chunk_end(const struct weir_shape *s, struct weir_buf *b, struct weir_str reason)
{
    WEIR_BUF_LIT(b, ",\"logprobs\":null,\"finish_reason\":");
    weir_buf_str(b, reason);
    WEIR_BUF_LIT(b, "}");
    weir_shape_event_end(s, b);
}

static void begin(const struct weir_shape *s, struct weir_buf *b)
{
    chunk_begin(s, b);
    if (s->tool_json.len > 0) {
        WEIR_BUF_LIT(b, "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"index\":0,");
        call_begin(s, b);
        WEIR_BUF_LIT(b, "\"}}],\"refusal\":null}");
    } else {
        WEIR_BUF_LIT(b, "{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}");
    }
    chunk_end(s, b, WEIR_STR("null"));
}

static void text_chunk(const struct weir_shape *s, struct weir_buf *b, uint32_t i)
{
    chunk_begin(s, b);
    WEIR_BUF_LIT(b, "{\"content\":\"");
    weir_buf_str(b, weir_mock_word(s->answer, i));
    WEIR_BUF_LIT(b, "\"}");
    chunk_end(s, b, WEIR_STR("null"));
}

static void arguments_chunk(const struct weir_shape *s, struct weir_buf *b, struct weir_str text)
{
    chunk_begin(s, b);
    WEIR_BUF_LIT(b, "{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"");
    weir_buf_str(b, text);
    WEIR_BUF_LIT(b, "\"}}]}");
    chunk_end(s, b, WEIR_STR("null"));
}

static void tokens(const struct weir_shape *s, struct weir_buf *b, uint32_t from, uint32_t until)
{
    bool call = s->tool_json.len > 0;
    if (call && from == 0 && until > 0) {
        arguments_chunk(s, b, WEIR_STR(WEIR_SHAPE_ARGUMENTS_BEGIN));
    }
    for (uint32_t i = from; i < until; i++) {
        if (call) {
            arguments_chunk(s, b, weir_mock_word(s->answer, i));
        } else {
            text_chunk(s, b, i);
        }
    }
}

static void end(const struct weir_shape *s, struct weir_buf *b)
{
    if (s->tool_json.len > 0) {
        arguments_chunk(s, b,
                        s->answer->output_tokens == 0
                            ? WEIR_STR(WEIR_SHAPE_ARGUMENTS_BEGIN WEIR_SHAPE_ARGUMENTS_END)
                            : WEIR_STR(WEIR_SHAPE_ARGUMENTS_END));
    }
    chunk_begin(s, b);
    WEIR_BUF_LIT(b, "{}");
    chunk_end(s, b, finish_reason(s));
    weir_shape_stream_end(&form, s, b);
}

const struct weir_shape_ops weir_shape_chat = {whole, begin, tokens, end};
