/* SPDX-License-Identifier: Apache-2.0 */
/* shape_completion.c - OpenAI's completions, the API before chats. It calls no tools. */
#include "gateway/shape_openai.h"

static const struct weir_shape_form form = {
    .id = WEIR_STR_INIT("cmpl-"),
    .object = WEIR_STR_INIT("text_completion"),
    .chunk = WEIR_STR_INIT("text_completion"),
};

static struct weir_str finish_reason(const struct weir_shape *s)
{
    return s->answer->cut ? WEIR_STR("\"length\"") : WEIR_STR("\"stop\"");
}

/* The one choice. */
static void text(const struct weir_shape *s, struct weir_buf *b, uint32_t from, uint32_t until,
                 struct weir_str reason)
{
    WEIR_BUF_LIT(b, "{\"text\":\"");
    weir_shape_words(s, b, from, until);
    WEIR_BUF_LIT(b, "\",\"index\":0,\"logprobs\":null,\"finish_reason\":");
    weir_buf_str(b, reason);
    WEIR_BUF_LIT(b, "}");
}

static void whole(const struct weir_shape *s, struct weir_buf *b)
{
    weir_shape_object(&form, s, b, form.object);
    WEIR_BUF_LIT(b, ",\"choices\":[");
    text(s, b, 0, s->answer->output_tokens, finish_reason(s));
    WEIR_BUF_LIT(b, "]");
    weir_shape_usage(&form, s, b);
    WEIR_BUF_LIT(b, "}");
}

static void chunk(const struct weir_shape *s, struct weir_buf *b, uint32_t from, uint32_t until,
                  struct weir_str reason)
{
    weir_shape_event_begin(&form, s, b);
    text(s, b, from, until, reason);
    weir_shape_event_end(s, b);
}

static void begin(const struct weir_shape *s, struct weir_buf *b)
{
    (void)s;
    (void)b; /* nothing comes before the first token */
}

static void tokens(const struct weir_shape *s, struct weir_buf *b, uint32_t from, uint32_t until)
{
    for (uint32_t i = from; i < until; i++) {
        chunk(s, b, i, i + 1, WEIR_STR("null"));
    }
}

static void end(const struct weir_shape *s, struct weir_buf *b)
{
    chunk(s, b, 0, 0, finish_reason(s));
    weir_shape_stream_end(&form, s, b);
}

const struct weir_shape_ops weir_shape_completion = {whole, begin, tokens, end};
