/* SPDX-License-Identifier: Apache-2.0 */
/* clock_rule.h - what a node knows of the store's clock: how far it is ahead of its own, as an
 * interval. Each answer narrows it (the store read its clock between sending and receiving), time
 * widens it by 0.1 % of what has passed. A reading that does not fit in is not believed, so a clock
 * that was stepped, or a failover to another one, moves no window. Pure; one owner. Times in
 * microseconds; the own clock is CLOCK_BOOTTIME. */
#ifndef WEIR_STORE_REDIS_CLOCK_RULE_H
#define WEIR_STORE_REDIS_CLOCK_RULE_H

#include <stdbool.h>
#include <stdint.h>

struct weir_clock_rule {
    int64_t _low_us, _high_us; /* the store's clock is ahead by this at _at_us */
    uint64_t _at_us;
    bool _known;
};

/* What a call tells the store: a reading from low to high is believed, else it goes by middle. */
struct weir_clock_bounds {
    uint64_t low_us, high_us, middle_us;
};

/* Before the first answer every reading is believed; store_us is the best guess of the store's time
 * at now_us. */
void weir_clock_rule_init(struct weir_clock_rule *c, uint64_t now_us, uint64_t store_us);
/* For a call that is about to be sent. */
struct weir_clock_bounds weir_clock_rule_bounds(const struct weir_clock_rule *c, uint64_t now_us);
/* The store's clock read clock_us between the two moments. False: that is not believed. */
bool weir_clock_rule_learn(struct weir_clock_rule *c, uint64_t sent_us, uint64_t received_us,
                           uint64_t clock_us);
/* The store's time as this node sees it. */
uint64_t weir_clock_rule_store_us(const struct weir_clock_rule *c, uint64_t now_us);

#endif
