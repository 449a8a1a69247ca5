/* SPDX-License-Identifier: Apache-2.0 */
/* shape.h - the mock's answers in the form of each API: whole, or as the events of a stream. One
 * file per API; the forms are those that the official clients read (openai 6.49, @anthropic-ai/sdk
 * 1.14). Pure: no I/O, no clock; a failed append shows in the buffer. Any thread. */
#ifndef WEIR_GATEWAY_SHAPE_H
#define WEIR_GATEWAY_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "gateway/mock.h"

/* One answer. All slices are borrowed. */
struct weir_shape {
    struct weir_str id;         /* goes behind the API's prefix, as chatcmpl- */
    struct weir_str model_json; /* with its quotes */
    struct weir_str tool_json;  /* a function's name with quotes: it is called; len 0: text */
    uint64_t created_s;         /* Unix time */
    uint64_t input_tokens, cached_tokens; /* all of the input, and what of it was cached */
    const struct weir_mock_answer *answer;
    bool include_usage; /* of a stream, in the APIs where the client chooses */
};

/* What was appended after `begin`, `tokens` for 0 to all, and `end` is a whole stream. */
struct weir_shape_ops {
    void (*whole)(const struct weir_shape *s, struct weir_buf *b);
    void (*begin)(const struct weir_shape *s, struct weir_buf *b);
    /* Tokens from `from` up to and without `until`. */
    void (*tokens)(const struct weir_shape *s, struct weir_buf *b, uint32_t from, uint32_t until);
    void (*end)(const struct weir_shape *s, struct weir_buf *b);
};

extern const struct weir_shape_ops weir_shape_chat;       /* OpenAI: /v1/chat/completions */
extern const struct weir_shape_ops weir_shape_completion; /* OpenAI: /v1/completions */
extern const struct weir_shape_ops weir_shape_response;   /* OpenAI: /v1/responses */
extern const struct weir_shape_ops weir_shape_message;    /* Anthropic: /v1/messages */

/* ---- for the files of the shapes ---- */

/* Tokens from `from` up to and without `until`, as they stand inside a JSON string. */
static inline void weir_shape_words(const struct weir_shape *s, struct weir_buf *b, uint32_t from,
                                    uint32_t until)
{
    for (uint32_t i = from; i < until; i++) {
        weir_buf_str(b, weir_mock_word(s->answer, i));
    }
}

/* The arguments of a call are {"words":"..."}, here as they stand inside a JSON string. */
#define WEIR_SHAPE_ARGUMENTS_BEGIN "{\\\"words\\\":\\\""
#define WEIR_SHAPE_ARGUMENTS_END   "\\\"}"

static inline void weir_shape_arguments(const struct weir_shape *s, struct weir_buf *b)
{
    WEIR_BUF_LIT(b, WEIR_SHAPE_ARGUMENTS_BEGIN);
    weir_shape_words(s, b, 0, s->answer->output_tokens);
    WEIR_BUF_LIT(b, WEIR_SHAPE_ARGUMENTS_END);
}

#endif
