/* SPDX-License-Identifier: Apache-2.0 */
/* pack_internal.h - one encoding while it is packed. Private to pack*.c. */
#ifndef WEIR_TOKENS_PACK_INTERNAL_H
#define WEIR_TOKENS_PACK_INTERNAL_H

#include "tokens/pack.h"

struct packing {
    const struct weir_pack_source *source;
    uint32_t *order; /* the tokens by their bytes */
    uint32_t *start;
    unsigned char *bytes;
    uint64_t *word, *longer, *pair, *filter;
    uint32_t words, longs, pairs, filters;
    struct weir_state *state;
    uint32_t *state_token;
    size_t states;
    struct weir_halves *halves;
    uint32_t *shorter;
};

/* Sets state, state_token and states, from order and start. */
WEIR_MUSTCHECK enum weir_err weir_pack_states(struct packing *p);

/* count.c: whether merging leaves these two beside each other. */
bool weir_tokens_fit(const struct weir_encoding *e, uint32_t left, uint32_t right);

#endif
