/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks that drift, calls that are delayed, clocks that are stepped: what the rule lets a call go
 * by. Guarantees 1 and 2 stand on it: a clock that is stepped moves no window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rand.h"
#include "store/redis/clock_rule.h"

enum { RTT_MAX_US = 40000, PIPELINE = 8 };

static const uint64_t START_US = UINT64_C(1700000000000000);

/* A node, its rule, and a store whose clock drifts and may be stepped. */
struct world {
    struct weir_rand random;
    struct weir_clock_rule rule;
    uint64_t now_us; /* the node's clock */
    int64_t ppm;
    int64_t step_us; /* by how much the store's clock was stepped */
};

static uint64_t store_reads(const struct world *w, uint64_t at_us)
{
    int64_t t = (int64_t)START_US + (int64_t)at_us + (int64_t)at_us * w->ppm / 1000000;
    return (uint64_t)(t + w->step_us);
}

/* What charge.lua does with a reading. */
static uint64_t decided(struct weir_clock_bounds b, uint64_t reading_us)
{
    return reading_us < b.low_us ? b.low_us : reading_us > b.high_us ? b.high_us : reading_us;
}

static void begin(struct world *w, uint64_t seed)
{
    weir_rand_init(&w->random, seed);
    w->now_us = 1000000 + weir_rand_below(&w->random, 1000000000);
    w->ppm = (int64_t)weir_rand_below(&w->random, 1001) - 500;
    w->step_us = 0;
    weir_clock_rule_init(&w->rule, w->now_us, START_US + weir_rand_below(&w->random, 1000000));
}

/* Mostly short, now and then long: a queue, a busy worker. */
static uint64_t delay(struct world *w)
{
    uint64_t most = weir_rand_below(&w->random, 10) == 0 ? RTT_MAX_US / 2 : 300;
    return weir_rand_below(&w->random, most);
}

static uint64_t pause(struct world *w)
{
    uint64_t dice = weir_rand_below(&w->random, 1000);
    uint64_t most = dice == 0 ? UINT64_C(3600000000) : dice < 20 ? 1000000 : dice < 300 ? 2000 : 50;
    return weir_rand_below(&w->random, most);
}

/* Some calls in one pipeline: sent, executed and answered in order. */
struct pipeline {
    unsigned calls;
    uint64_t sent_us[PIPELINE], executed_us[PIPELINE];
    uint64_t time_us[PIPELINE]; /* that each was charged at */
};

/* Returns how many readings were not believed. */
static unsigned run_pipeline(struct world *w, struct pipeline *p)
{
    unsigned refused = 0;
    uint64_t at_us;
    p->calls = 1 + (unsigned)weir_rand_below(&w->random, PIPELINE);
    for (unsigned i = 0; i < p->calls; i++) {
        w->now_us += weir_rand_below(&w->random, 20);
        p->sent_us[i] = w->now_us;
    }
    at_us = w->now_us;
    for (unsigned i = 0; i < p->calls; i++) {
        struct weir_clock_bounds b = weir_clock_rule_bounds(&w->rule, p->sent_us[i]);
        at_us += delay(w);
        p->executed_us[i] = at_us;
        p->time_us[i] = decided(b, store_reads(w, at_us));
    }
    for (unsigned i = 0; i < p->calls; i++) {
        at_us += i % 3 == 0 ? delay(w) : 0;
        refused += !weir_clock_rule_learn(&w->rule, p->sent_us[i], at_us,
                                          store_reads(w, p->executed_us[i]));
    }
    w->now_us = at_us;
    return refused;
}

/* Each charge goes by a moment between its sending and its execution, to the microsecond. */
static void test_true_clock(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world w;
        begin(&w, seed);
        for (unsigned n = 0; n < 5000; n++) {
            struct pipeline p;
            assert_int_equal(run_pipeline(&w, &p), 0);
            for (unsigned i = 0; i < p.calls; i++) {
                assert_true(p.time_us[i] >= store_reads(&w, p.sent_us[i]));
                assert_true(p.time_us[i] <= store_reads(&w, p.executed_us[i]));
            }
            w.now_us += pause(&w);
        }
    }
}

/* Answers so close that 0.1 % of the time between them is less than a microsecond. */
static void test_drift_adds_up(void **state)
{
    (void)state;
    for (int64_t ppm = -500; ppm <= 500; ppm += 1000) {
        struct world w;
        begin(&w, 1);
        w.ppm = ppm;
        for (unsigned n = 0; n < 200000; n++) {
            uint64_t reading_us = store_reads(&w, w.now_us + 20);
            assert_true(weir_clock_rule_learn(&w.rule, w.now_us, w.now_us + 40, reading_us));
            w.now_us += 100;
        }
    }
}

static uint64_t apart(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* However far and whenever the clock is stepped, also while a call is under way: time goes on as
 * before, but for 0.1 % of what has passed. */
static void test_steps(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct world w;
        struct pipeline p;
        begin(&w, seed);
        w.ppm = 0;
        assert_int_equal(run_pipeline(&w, &p), 0);
        uint64_t stepped_us = w.now_us, last_at_us = 0, last_time_us = 0;
        for (unsigned n = 0; n < 2000; n++) {
            if (weir_rand_below(&w.random, 500) == 0) {
                uint64_t most = UINT64_C(1) << (1 + weir_rand_below(&w.random, 40));
                w.step_us = (int64_t)weir_rand_below(&w.random, 2 * most) - (int64_t)most;
            }
            w.now_us += pause(&w);
            unsigned refused = run_pipeline(&w, &p);
            assert_true(refused <= p.calls);
            for (unsigned i = 0; i < p.calls; i++) {
                uint64_t passed_us = p.executed_us[i] - stepped_us;
                uint64_t true_us = START_US + p.executed_us[i];
                assert_true(apart(p.time_us[i], true_us) <= passed_us / 1000 + 3 * RTT_MAX_US);
                if (last_at_us > 0) {
                    passed_us = p.executed_us[i] - last_at_us;
                    assert_true(apart(p.time_us[i], last_time_us + passed_us) <=
                                passed_us / 1000 + PIPELINE * RTT_MAX_US);
                }
            }
            last_at_us = p.executed_us[p.calls - 1];
            last_time_us = p.time_us[p.calls - 1];
        }
    }
}

/* Another clock is caught up with, at 0.1 %: ten seconds after a step of ten milliseconds. */
static void test_follows(void **state)
{
    (void)state;
    for (int64_t sign = -1; sign <= 1; sign += 2) {
        struct world w;
        begin(&w, 7);
        w.ppm = 0;
        for (unsigned ms = 0; ms < 11000; ms++) {
            w.step_us = ms == 0 ? 0 : sign * 10000;
            bool believed = weir_clock_rule_learn(&w.rule, w.now_us, w.now_us + 20,
                                                  store_reads(&w, w.now_us + 10));
            if (ms == 0 || ms > 10000) {
                assert_true(believed);
            } else if (ms < 9900) {
                assert_false(believed);
            }
            w.now_us += 1000;
        }
        uint64_t reading_us = store_reads(&w, w.now_us);
        assert_true(apart(weir_clock_rule_store_us(&w.rule, w.now_us), reading_us) < 50);
    }
}

static void test_first_reading(void **state)
{
    (void)state;
    struct weir_clock_rule rule;
    weir_clock_rule_init(&rule, 5000, 1000000);
    assert_int_equal(weir_clock_rule_store_us(&rule, 7000), 1002000);
    struct weir_clock_bounds b = weir_clock_rule_bounds(&rule, 7000);
    assert_int_equal(b.low_us, 0);
    assert_int_equal(b.high_us, WEIR_CLOCK_US_MAX);
    /* far from the guess, and at both ends of what a clock may say */
    assert_true(weir_clock_rule_learn(&rule, 7000, 7100, WEIR_CLOCK_US_MAX));
    assert_true(weir_clock_rule_bounds(&rule, 7100).high_us >= WEIR_CLOCK_US_MAX);
    assert_false(weir_clock_rule_learn(&rule, 7200, 7300, 0));
    weir_clock_rule_init(&rule, 5000, 1000000);
    assert_true(weir_clock_rule_learn(&rule, 7000, 7100, 0));
    b = weir_clock_rule_bounds(&rule, 7000);
    assert_int_equal(b.low_us, 0);
    assert_true(b.high_us <= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_true_clock),    cmocka_unit_test(test_drift_adds_up),
        cmocka_unit_test(test_steps),         cmocka_unit_test(test_follows),
        cmocka_unit_test(test_first_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
