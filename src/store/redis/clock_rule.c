/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis/clock_rule.h"

enum { DRIFT_PARTS = 1000 }; /* one part of so many: 0.1 % */

static const uint64_t BELIEVE_ALL_US = UINT64_C(1) << 53;

void weir_clock_rule_init(struct weir_clock_rule *c, uint64_t now_us, uint64_t store_us)
{
    int64_t ahead = (int64_t)store_us - (int64_t)now_us;
    *c = (struct weir_clock_rule){._low_us = ahead, ._high_us = ahead, ._at_us = now_us};
}

static int64_t drift_us(const struct weir_clock_rule *c, uint64_t now_us)
{
    return now_us > c->_at_us ? (int64_t)((now_us - c->_at_us) / DRIFT_PARTS) : 0;
}

static uint64_t ahead_of(uint64_t now_us, int64_t ahead_us)
{
    int64_t t = (int64_t)now_us + ahead_us;
    return t < 0 ? 0 : (uint64_t)t;
}

uint64_t weir_clock_rule_store_us(const struct weir_clock_rule *c, uint64_t now_us)
{
    return ahead_of(now_us, c->_low_us + (c->_high_us - c->_low_us) / 2);
}

struct weir_clock_bounds weir_clock_rule_bounds(const struct weir_clock_rule *c, uint64_t now_us)
{
    struct weir_clock_bounds b = {.middle_us = weir_clock_rule_store_us(c, now_us)};
    if (c->_known) {
        b.low_us = ahead_of(now_us, c->_low_us - drift_us(c, now_us));
        b.high_us = ahead_of(now_us, c->_high_us + drift_us(c, now_us));
    } else {
        b.high_us = BELIEVE_ALL_US;
    }
    return b;
}

bool weir_clock_rule_learn(struct weir_clock_rule *c, uint64_t sent_us, uint64_t received_us,
                           uint64_t clock_us)
{
    int64_t low = (int64_t)clock_us - (int64_t)received_us;
    int64_t high = (int64_t)clock_us - (int64_t)sent_us;
    if (c->_known) {
        int64_t drift = drift_us(c, received_us);
        int64_t old_low = c->_low_us - drift, old_high = c->_high_us + drift;
        low = old_low > low ? old_low : low;
        high = old_high < high ? old_high : high;
        if (low > high) {
            return false;
        }
    }
    *c = (struct weir_clock_rule){
        ._low_us = low, ._high_us = high, ._at_us = received_us, ._known = true};
    return true;
}
