/* SPDX-License-Identifier: Apache-2.0 */
/* memory.h - the counts of texts that were counted before: a chat sends all its earlier messages
 * again with each new one. A text is hashed instead of counted, in stretches, so that one that
 * grew is counted from where it did. Fixed size. One owner; no locks. */
#ifndef WEIR_TOKENS_MEMORY_H
#define WEIR_TOKENS_MEMORY_H

#include "tokens/tokens.h"

enum {
    WEIR_TOKEN_MEMORY_PLACES = 8192,      /* 24 bytes each; one for each stretch */
    WEIR_TOKEN_MEMORY_TEXT_MIN = 256,     /* bytes from which a text is remembered */
    WEIR_TOKEN_MEMORY_STRETCH_MIN = 2048, /* bytes; it goes on to the next place for a cut */
};

struct weir_token_memory;

WEIR_MUSTCHECK enum weir_err weir_token_memory_new(struct weir_token_memory **ret_memory);
/* NULL is allowed. */
void weir_token_memory_free(struct weir_token_memory *m);

/* weir_tokens_count(e, text), always: texts are told apart by 128 bits under a secret of the
 * process. m NULL: nothing is remembered. e: of one vocabulary for all of m's life. */
uint64_t weir_token_memory_count(struct weir_token_memory *m, const struct weir_encoding *e,
                                 struct weir_str text);

#endif
