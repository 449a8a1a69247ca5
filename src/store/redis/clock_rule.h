/* SPDX-License-Identifier: Apache-2.0 */
/* clock_rule.h - what a node knows of the store's clock: how far it is ahead of its own, as an
 * interval. Each answer narrows it (the store read its clock between sending and receiving), time
 * widens it by 0.1 % of what has passed. A reading outside moves the interval to its nearest end
 * and no further, so a clock that was stepped, or a failover to another one, is followed at 0.1 %
 * and moves no window. Pure; one owner. Times in microseconds; the own clock is CLOCK_BOOTTIME.
 *
 * With a true clock a call that is charged goes by a moment between its sending and its execution:
 * the reading itself, or, where the call was long under way, the high bound, which the store's
 * clock had passed by then and had not when the call was sent. */
#ifndef WEIR_STORE_REDIS_CLOCK_RULE_H
#define WEIR_STORE_REDIS_CLOCK_RULE_H

#include <stdbool.h>
#include <stdint.h>

/* No clock reads later (the year 2112): nanoseconds stay within 63 bits. */
#define WEIR_CLOCK_US_MAX (UINT64_C(1) << 52)

struct weir_clock_rule {
    int64_t _low_ns, _high_ns; /* the store's clock is ahead by this at _at_us */
    uint64_t _at_us;
    bool _known;
};

/* What a call tells the store, which goes by what lies between them and is nearest to its clock. */
struct weir_clock_bounds {
    uint64_t low_us, high_us;
};

/* Before the first answer every reading is believed; store_us is the best guess of the store's time
 * at now_us. */
void weir_clock_rule_init(struct weir_clock_rule *c, uint64_t now_us, uint64_t store_us);
/* For a call that is about to be sent. */
struct weir_clock_bounds weir_clock_rule_bounds(const struct weir_clock_rule *c, uint64_t now_us);
/* The store's clock read clock_us (at most WEIR_CLOCK_US_MAX) between the two moments; received_us
 * never goes back. False: that was not believed. */
bool weir_clock_rule_learn(struct weir_clock_rule *c, uint64_t sent_us, uint64_t received_us,
                           uint64_t clock_us);
/* The store's time as this node sees it. */
uint64_t weir_clock_rule_store_us(const struct weir_clock_rule *c, uint64_t now_us);

#endif
