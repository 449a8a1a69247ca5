/* SPDX-License-Identifier: Apache-2.0 */
/* tokens.h - how many tokens a text is. Until exact counting is there: an estimate. Pure; any
 * thread. */
#ifndef WEIR_TOKENS_TOKENS_H
#define WEIR_TOKENS_TOKENS_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Estimated tokens of UTF-8 text; 0 only for an empty text. About 4 bytes of English and 1.5
 * code points of other scripts a token. Linear, no allocation. */
uint64_t weir_tokens_estimate(struct weir_str text);

enum {
    /* What the chat format adds (OpenAI cookbook): per message, and once for the reply's priming.
     */
    WEIR_TOKENS_PER_MESSAGE = 3,
    WEIR_TOKENS_PER_REPLY = 3,
    /* 1024 x 1024 at high detail (OpenAI's vision guide): 85, and 170 for each of four tiles. Its
     * real size is not looked at. */
    WEIR_TOKENS_PER_IMAGE = 765,
};

#endif
