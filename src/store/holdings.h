/* SPDX-License-Identifier: Apache-2.0 */
/* holdings.h - all that one worker holds: a bounded table, and a wheel of those that have something
 * to do later. Pure but for memory. One owner. */
#ifndef WEIR_STORE_HOLDINGS_H
#define WEIR_STORE_HOLDINGS_H

#include "store/holding.h"

enum {
    WEIR_HOLDINGS_TICK_US = 50000,
    WEIR_HOLDINGS_SLOTS = 32, /* so far ahead that a lease's life, and one more, fits */
};

struct weir_holdings {
    struct weir_holding **bucket; /* `buckets` of them, a power of two */
    uint32_t buckets, hand;
    uint64_t count, max;
    struct weir_holding *due[WEIR_HOLDINGS_SLOTS];
    uint64_t tick; /* the first that has not been looked at */
    uint32_t dues;
};

WEIR_MUSTCHECK enum weir_err weir_holdings_init(struct weir_holdings *t, uint64_t max);
void weir_holdings_deinit(struct weir_holdings *t);
/* That of these subjects, by whatever plans, made if it is not there. NULL: no memory, or `max` of
 * them are in use. */
struct weir_holding *weir_holdings_get(struct weir_holdings *t,
                                       const struct weir_subject *const *subject, unsigned subjects,
                                       uint64_t now_us);
/* It is due at at_us, or a tick later; sooner if it was due sooner. */
void weir_holdings_due(struct weir_holdings *t, struct weir_holding *h, uint64_t now_us,
                       uint64_t at_us);
/* Takes out one that is due by now_us; NULL: none. */
struct weir_holding *weir_holdings_next_due(struct weir_holdings *t, uint64_t now_us);

#endif
