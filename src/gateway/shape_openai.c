/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/shape_openai.h"

void weir_shape_object(const struct weir_shape_form *f, const struct weir_shape *s,
                       struct weir_buf *b, struct weir_str object)
{
    WEIR_BUF_LIT(b, "{\"id\":\"");
    weir_buf_str(b, f->id);
    weir_buf_str(b, s->id);
    WEIR_BUF_LIT(b, "\",\"object\":\"");
    weir_buf_str(b, object);
    WEIR_BUF_LIT(b, "\",\"created\":");
    weir_buf_u64(b, s->created_s);
    WEIR_BUF_LIT(b, ",\"model\":");
    weir_buf_str(b, s->model_json);
}

void weir_shape_usage(const struct weir_shape_form *f, const struct weir_shape *s,
                      struct weir_buf *b)
{
    WEIR_BUF_LIT(b, ",\"usage\":{\"prompt_tokens\":");
    weir_buf_u64(b, s->input_tokens);
    WEIR_BUF_LIT(b, ",\"completion_tokens\":");
    weir_buf_u64(b, s->answer->output_tokens);
    WEIR_BUF_LIT(b, ",\"total_tokens\":");
    weir_buf_u64(b, s->input_tokens + s->answer->output_tokens);
    WEIR_BUF_LIT(b, ",\"prompt_tokens_details\":{\"cached_tokens\":");
    weir_buf_u64(b, s->cached_tokens);
    WEIR_BUF_LIT(b, "}");
    weir_buf_str(b, f->usage);
    WEIR_BUF_LIT(b, "}");
}

void weir_shape_event_begin(const struct weir_shape_form *f, const struct weir_shape *s,
                            struct weir_buf *b)
{
    WEIR_BUF_LIT(b, "data: ");
    weir_shape_object(f, s, b, f->chunk);
    WEIR_BUF_LIT(b, ",\"choices\":[");
}

void weir_shape_event_end(const struct weir_shape *s, struct weir_buf *b)
{
    WEIR_BUF_LIT(b, "]");
    if (s->include_usage) {
        WEIR_BUF_LIT(b, ",\"usage\":null");
    }
    WEIR_BUF_LIT(b, "}\n\n");
}

void weir_shape_stream_end(const struct weir_shape_form *f, const struct weir_shape *s,
                           struct weir_buf *b)
{
    if (s->include_usage) {
        weir_shape_event_begin(f, s, b);
        WEIR_BUF_LIT(b, "]");
        weir_shape_usage(f, s, b);
        WEIR_BUF_LIT(b, "}\n\n");
    }
    WEIR_BUF_LIT(b, "data: [DONE]\n\n");
}
