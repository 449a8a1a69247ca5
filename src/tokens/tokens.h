/* SPDX-License-Identifier: Apache-2.0 */
/* tokens.h - how many tokens a text is: exactly, or an estimate where no encoding is known. Any
 * thread. */
#ifndef WEIR_TOKENS_TOKENS_H
#define WEIR_TOKENS_TOKENS_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "tokens/vocabulary.h"

/* Estimated tokens of UTF-8 text; 0 only for an empty text. About 4 bytes of English and 1.5
 * code points of other scripts a token. Linear, no allocation. */
uint64_t weir_tokens_estimate(struct weir_str text);

/* Tokens of UTF-8 text as tiktoken's encode_ordinary makes them: the text of a special token, as
 * <|endoftext|>, counts as any other. e NULL: the estimate. Linear. A piece of more than 256 bytes
 * that is no token (no end of a word in sight) takes 4 bytes of memory per byte while it is
 * counted; where there is none, it counts a token per byte. */
uint64_t weir_tokens_count(const struct weir_encoding *e, struct weir_str text);

/* The same, for who keeps the count; e not NULL. *no_memory: set where it is too high because there
 * was none. */
uint64_t weir_tokens_count_exact(const struct weir_encoding *e, struct weir_str text,
                                 bool *no_memory);

/* The vocabulary of this process, which outlives all counting; NULL: estimates. Set once, before
 * threads start. */
void weir_tokens_use(const struct weir_vocabulary *v);
/* What the model counts with; NULL: it is not known, or not there. */
const struct weir_encoding *weir_tokens_encoding(struct weir_str model);
/* What models count with here whose encoding is not known: o200k_base; NULL: estimates. */
const struct weir_encoding *weir_tokens_base(void);

enum {
    /* What the chat format adds (OpenAI cookbook): per message, and once for the reply's priming.
     */
    WEIR_TOKENS_PER_MESSAGE = 3,
    WEIR_TOKENS_PER_REPLY = 3,
    WEIR_TOKENS_PER_NAME = 1,    /* a message's name, beside its text */
    WEIR_TOKENS_PER_IMAGE = 765, /* whose size is not known, for most models (image.h) */
};

#endif
