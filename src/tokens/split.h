/* SPDX-License-Identifier: Apache-2.0 */
/* split.h - the pieces of a text, of which each is tokenized by itself: what the regular
 * expressions of the encodings match (openai/tiktoken, tiktoken_ext/openai_public.py, with the
 * Unicode data of unicode.h), written by hand. Pure; linear. */
#ifndef WEIR_TOKENS_SPLIT_H
#define WEIR_TOKENS_SPLIT_H

#include <stddef.h>

enum weir_split_rule { WEIR_SPLIT_CL100K, WEIR_SPLIT_O200K, WEIR_SPLIT_RULES };

/* Where the piece ends that begins at `p`, which is before `end`: always behind p. Bytes that are
 * no UTF-8 count as characters of the class OTHER. */
const unsigned char *weir_split_cl100k(const unsigned char *p, const unsigned char *end);
const unsigned char *weir_split_o200k(const unsigned char *p, const unsigned char *end);

/* The first place from `p` on, which is behind `begin`, where a piece ends by both rules, whatever
 * stands before and behind what is looked at there: what is in front of it and what begins with it
 * have the same pieces alone as together. `end`: there is none. */
const unsigned char *weir_split_cut(const unsigned char *begin, const unsigned char *p,
                                    const unsigned char *end);

#endif
