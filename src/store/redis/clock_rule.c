/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis/clock_rule.h"

#include "base/err.h"

enum { NS = 1000 };

static int64_t ns_of(uint64_t us)
{
    return (int64_t)us * NS;
}

/* 0.1 % of a time in microseconds, in nanoseconds: one for one. In whole microseconds the drift
 * between two answers would be cut to nothing. */
static int64_t drift_ns(uint64_t from_us, uint64_t to_us)
{
    return to_us > from_us ? (int64_t)(to_us - from_us) : 0;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

void weir_clock_rule_init(struct weir_clock_rule *c, uint64_t now_us, uint64_t store_us)
{
    int64_t ahead_ns = ns_of(store_us) - ns_of(now_us);
    *c = (struct weir_clock_rule){._low_ns = ahead_ns, ._high_ns = ahead_ns, ._at_us = now_us};
}

/* The store's time, rounded down. */
static uint64_t store_us(uint64_t now_us, int64_t ahead_ns)
{
    int64_t t = ns_of(now_us) + ahead_ns;
    return t < 0 ? 0 : (uint64_t)t / NS;
}

uint64_t weir_clock_rule_store_us(const struct weir_clock_rule *c, uint64_t now_us)
{
    return store_us(now_us, c->_low_ns + (c->_high_ns - c->_low_ns) / 2);
}

struct weir_clock_bounds weir_clock_rule_bounds(const struct weir_clock_rule *c, uint64_t now_us)
{
    if (!c->_known) {
        return (struct weir_clock_bounds){0, WEIR_CLOCK_US_MAX};
    }
    int64_t drift = drift_ns(c->_at_us, now_us);
    return (struct weir_clock_bounds){
        .low_us = store_us(now_us, c->_low_ns - drift),
        .high_us = store_us(now_us, c->_high_ns + drift + NS - 1),
    };
}

bool weir_clock_rule_learn(struct weir_clock_rule *c, uint64_t sent_us, uint64_t received_us,
                           uint64_t clock_us)
{
    WEIR_ASSERT(clock_us <= WEIR_CLOCK_US_MAX);
    /* a reading in whole microseconds, at a moment up to the whole round trip ago */
    int64_t drift = drift_ns(sent_us, received_us);
    int64_t low = ns_of(clock_us) - ns_of(received_us) - drift - NS;
    int64_t high = ns_of(clock_us) - ns_of(sent_us) + drift + NS;
    bool believed = true;
    if (c->_known) {
        drift = drift_ns(c->_at_us, received_us);
        int64_t least = c->_low_ns - drift, most = c->_high_ns + drift;
        believed = low <= most && high >= least;
        low = clamp(low, least, most);
        high = clamp(high, least, most);
    }
    *c = (struct weir_clock_rule){
        ._low_ns = low, ._high_ns = high, ._at_us = received_us, ._known = true};
    return believed;
}
