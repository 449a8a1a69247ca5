/* SPDX-License-Identifier: Apache-2.0 */
/* index.h - numbers found by a text: an open hash table that holds no text, its caller compares.
 * Private to config. Any thread may search one that is complete. */
#ifndef WEIR_CONFIG_INDEX_H
#define WEIR_CONFIG_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* Zero: empty, and may be searched. */
struct weir_index {
    uint32_t slots;   /* a power of two, at most half of them used */
    uint32_t *number; /* 0: free */
};

/* Room for this many numbers. */
WEIR_MUSTCHECK enum weir_err weir_index_init(struct weir_index *x, size_t count);
void weir_index_deinit(struct weir_index *x);
/* number: not 0. At most `count` times. */
void weir_index_add(struct weir_index *x, struct weir_str text, uint32_t number);

/* Where the search for a text begins, and each number that may be its; 0: there is no further one.
 */
uint32_t weir_index_first(const struct weir_index *x, struct weir_str text);
uint32_t weir_index_next(const struct weir_index *x, uint32_t *at);

#endif
