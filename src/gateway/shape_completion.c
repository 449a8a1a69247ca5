/* SPDX-License-Identifier: Apache-2.0 */
/* shape_completion.c - OpenAI's completions, the API before chats. It calls no tools. */
#include "gateway/shape.h"

/* {"id":...,"object":...,"created":...,"model":... */
static void begin_object(const struct weir_shape *s, struct weir_buf *b)
{
    WEIR_BUF_LIT(b, "{\"id\":\"cmpl-");
    weir_buf_str(b, s->id);
    WEIR_BUF_LIT(b, "\",\"object\":\"text_completion\",\"created\":");
    weir_buf_u64(b, s->created_s);
    WEIR_BUF_LIT(b, ",\"model\":");
    weir_buf_str(b, s->model_json);
}

static void usage(const struct weir_shape *s, struct weir_buf *b)
{
    WEIR_BUF_LIT(b, "{\"prompt_tokens\":");
    weir_buf_u64(b, s->input_tokens);
    WEIR_BUF_LIT(b, ",\"completion_tokens\":");
    weir_buf_u64(b, s->answer->output_tokens);
    WEIR_BUF_LIT(b, ",\"total_tokens\":");
    weir_buf_u64(b, s->input_tokens + s->answer->output_tokens);
    WEIR_BUF_LIT(b, ",\"prompt_tokens_details\":{\"cached_tokens\":");
    weir_buf_u64(b, s->cached_tokens);
    WEIR_BUF_LIT(b, "}}");
}

static struct weir_str finish_reason(const struct weir_shape *s)
{
    return s->answer->cut ? WEIR_STR("\"length\"") : WEIR_STR("\"stop\"");
}

/* The object with its one choice, up to what may stand behind the choices. */
static void with_text(const struct weir_shape *s, struct weir_buf *b, uint32_t from, uint32_t until,
                      struct weir_str reason)
{
    begin_object(s, b);
    WEIR_BUF_LIT(b, ",\"choices\":[{\"text\":\"");
    weir_shape_words(s, b, from, until);
    WEIR_BUF_LIT(b, "\",\"index\":0,\"logprobs\":null,\"finish_reason\":");
    weir_buf_str(b, reason);
    WEIR_BUF_LIT(b, "}]");
}

static void whole(const struct weir_shape *s, struct weir_buf *b)
{
    with_text(s, b, 0, s->answer->output_tokens, finish_reason(s));
    WEIR_BUF_LIT(b, ",\"usage\":");
    usage(s, b);
    WEIR_BUF_LIT(b, "}");
}

static void chunk(const struct weir_shape *s, struct weir_buf *b, uint32_t from, uint32_t until,
                  struct weir_str reason)
{
    WEIR_BUF_LIT(b, "data: ");
    with_text(s, b, from, until, reason);
    if (s->include_usage) {
        WEIR_BUF_LIT(b, ",\"usage\":null");
    }
    WEIR_BUF_LIT(b, "}\n\n");
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
    if (s->include_usage) {
        WEIR_BUF_LIT(b, "data: ");
        begin_object(s, b);
        WEIR_BUF_LIT(b, ",\"choices\":[],\"usage\":");
        usage(s, b);
        WEIR_BUF_LIT(b, "}\n\n");
    }
    WEIR_BUF_LIT(b, "data: [DONE]\n\n");
}

const struct weir_shape_ops weir_shape_completion = {whole, begin, tokens, end};
