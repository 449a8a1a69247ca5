/* SPDX-License-Identifier: Apache-2.0 */
/* settled.h - which reservations were settled already, so that settling twice changes nothing. A
 * bounded set of nonces, each remembered for at least `ttl` and at most twice as long. Thread-safe.
 * Time is the caller's, one non-decreasing clock. */
#ifndef WEIR_STORE_SETTLED_H
#define WEIR_STORE_SETTLED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct weir_settled;

enum weir_claim {
    WEIR_CLAIM_FIRST,
    WEIR_CLAIM_REPEATED,
    WEIR_CLAIM_FULL, /* cannot be remembered: the bound is reached, or there is no memory */
};

/* Remembers at most `max` nonces of one ttl (twice that over two). */
WEIR_MUSTCHECK enum weir_err weir_settled_new(uint32_t max, uint64_t ttl_us,
                                              struct weir_settled **ret_settled);
/* NULL is allowed. */
void weir_settled_free(struct weir_settled *settled);
uint64_t weir_settled_ttl_us(const struct weir_settled *settled);

/* The first claim of a nonce wins. Nonces are at least 2. */
WEIR_MUSTCHECK enum weir_claim weir_settled_claim(struct weir_settled *settled, uint64_t nonce,
                                                  uint64_t now_us);
bool weir_settled_has(struct weir_settled *settled, uint64_t nonce);
/* Takes back the claim just won: what it stood for could not be done. */
void weir_settled_forget(struct weir_settled *settled, uint64_t nonce);

#endif
