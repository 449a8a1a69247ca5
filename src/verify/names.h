/* SPDX-License-Identifier: Apache-2.0 */
/* names.h - texts as numbers, counted from 0 in the order in which they came. A name takes its
 * bytes and at most 40 more. One owner. */
#ifndef WEIR_VERIFY_NAMES_H
#define WEIR_VERIFY_NAMES_H

#include <stdint.h>

#include "base/buf.h"

struct weir_names {
    uint32_t count;
    uint64_t *_at;          /* count + 1: where each begins in the text */
    struct weir_buf _text;  /* all of them, one behind the other */
    uint32_t *_slot;        /* an open hash table of number + 1; 0: free */
    uint32_t _slots, _room; /* _slots: a power of two or 0 */
};

/* At most `bytes_max` bytes of text. Allocates nothing. */
void weir_names_init(struct weir_names *n, size_t bytes_max);
void weir_names_deinit(struct weir_names *n);
/* The number of this text, which is copied when it is new. WEIR_ERR_LIMIT, WEIR_ERR_NOMEM. */
WEIR_MUSTCHECK enum weir_err weir_names_number(struct weir_names *n, struct weir_str text,
                                               uint32_t *ret_number);
/* Valid until the next new one. */
struct weir_str weir_names_text(const struct weir_names *n, uint32_t number);

#endif
