/* SPDX-License-Identifier: Apache-2.0 */
/* What a lease covers and for how long (guarantee 1), and how much is taken ahead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "store/lease/lease.h"

enum { LIFE_US = 400000 };

static const uint64_t NOW_US = UINT64_C(5000000000);
static const unsigned ALL =
    1U << WEIR_METER_REQUESTS | 1U << WEIR_METER_INPUT_TOKENS | 1U << WEIR_METER_OUTPUT_TOKENS;

static void same(const struct weir_amounts *a, uint64_t requests, uint64_t input, uint64_t output)
{
    const struct weir_amounts b = weir_amounts(requests, input, output);
    assert_memory_equal(a, &b, sizeof(b));
}

/* ---- use ---- */

static void test_covers_all_or_nothing(void **state)
{
    (void)state;
    struct weir_lease lease = {.until_us = NOW_US + 1, .left = weir_amounts(3, 100, 50)};
    const struct weir_amounts whole = weir_amounts(1, 60, 50),
                              more[] = {weir_amounts(4, 1, 1), weir_amounts(1, 101, 1),
                                        weir_amounts(1, 1, 51)};
    for (unsigned i = 0; i < 3; i++) {
        assert_false(weir_lease_use(&lease, ALL, NOW_US, &more[i]));
        same(&lease.left, 3, 100, 50);
    }
    assert_true(weir_lease_use(&lease, ALL, NOW_US, &whole));
    same(&lease.left, 2, 40, 0);
    assert_false(weir_lease_use(&lease, ALL, NOW_US, &whole));
    const struct weir_amounts rest = weir_amounts(2, 40, 0);
    assert_true(weir_lease_use(&lease, ALL, NOW_US, &rest));
    assert_true(weir_lease_is_empty(&lease));
}

/* A meter that no limit counts is neither covered nor taken. */
static void test_meters_without_a_limit(void **state)
{
    (void)state;
    struct weir_lease lease = {.until_us = NOW_US + 1, .left = weir_amounts(2, 0, 0)};
    const struct weir_amounts a = weir_amounts(1, WEIR_AMOUNT_MAX / 2, WEIR_AMOUNT_MAX / 2);
    assert_true(weir_lease_use(&lease, 1U << WEIR_METER_REQUESTS, NOW_US, &a));
    same(&lease.left, 1, 0, 0);
}

static void test_total_tokens(void **state)
{
    (void)state;
    const struct weir_limit limits[] = {{WEIR_METER_REQUESTS, 60, 1},
                                        {WEIR_METER_TOTAL_TOKENS, 3600, 1}};
    struct weir_plan plan;
    assert_int_equal(weir_plan_compile(limits, 2, &plan), WEIR_OK);
    unsigned meters = weir_meters_limited(&plan); /* input and output too: a lease has both */
    assert_int_equal(meters, ALL | 1U << WEIR_METER_TOTAL_TOKENS);
    struct weir_lease lease = {.until_us = NOW_US + 1, .left = weir_amounts(9, 10, 20)};
    const struct weir_amounts input = weir_amounts(1, 11, 0), both = weir_amounts(1, 10, 20);
    assert_false(weir_lease_use(&lease, meters, NOW_US, &input));
    assert_true(weir_lease_use(&lease, meters, NOW_US, &both));
    same(&lease.left, 8, 0, 0);
    assert_int_equal(weir_plan_compile(limits, 1, &plan), WEIR_OK);
    assert_int_equal(weir_meters_limited(&plan), 1U << WEIR_METER_REQUESTS);
    assert_int_equal(weir_plan_compile(limits, 0, &plan), WEIR_OK);
    assert_int_equal(weir_meters_limited(&plan), 0);
}

/* Guarantee 1: used before its end, and not at it. */
static void test_end_of_life(void **state)
{
    (void)state;
    struct weir_lease lease = {.until_us = NOW_US, .left = weir_amounts(9, 9, 9)};
    const struct weir_amounts one = weir_amounts(1, 1, 1);
    assert_true(weir_lease_use(&lease, ALL, NOW_US - 1, &one));
    assert_false(weir_lease_use(&lease, ALL, NOW_US, &one));
    assert_false(weir_lease_use(&lease, ALL, UINT64_MAX, &one));
    same(&lease.left, 8, 8, 8);
    const struct weir_lease none = {0};
    lease = none;
    assert_false(weir_lease_use(&lease, 0, 0, &one));
}

/* ---- how long a lease lives ---- */

static void test_life(void **state)
{
    (void)state;
    static const struct {
        uint32_t shortest_s;
        uint64_t life_us;
    } of[] = {{1, 3906}, {60, 234375}, {102, 398437}, {103, 400000}, {86400, 400000}};
    for (unsigned i = 0; i < 5; i++) {
        const struct weir_limit limits[] = {{WEIR_METER_REQUESTS, 30 * 86400, 9},
                                            {WEIR_METER_REQUESTS, of[i].shortest_s, 9}};
        struct weir_plan plan;
        assert_int_equal(weir_plan_compile(limits, 2, &plan), WEIR_OK);
        assert_int_equal(plan.life_us, 0);
        assert_int_equal(plan.window[0].keep_us, plan.window[0].window_us);
        weir_plan_lease(&plan);
        assert_int_equal(plan.life_us, of[i].life_us);
        for (unsigned k = 0; k < 2; k++) {
            assert_int_equal(plan.window[k].keep_us, plan.window[k].window_us + of[i].life_us);
        }
    }
    struct weir_plan none;
    assert_int_equal(weir_plan_compile(NULL, 0, &none), WEIR_OK);
    weir_plan_lease(&none);
    assert_int_equal(none.life_us, 0);
}

/* ---- demand ---- */

/* Lives in which so many requests come, evenly; what is wanted at the end. */
static struct weir_amounts after(struct weir_demand *d, uint64_t *now_us, unsigned lives,
                                 unsigned requests, unsigned asks_in_life)
{
    const struct weir_amounts one = weir_amounts(1, 300, 200);
    struct weir_amounts want = {0};
    for (unsigned i = 0; i < lives * asks_in_life; i++) {
        for (unsigned k = 0; k < requests / asks_in_life; k++) {
            weir_demand_add(d, &one);
        }
        *now_us += LIFE_US / asks_in_life;
        want = weir_demand_want(d, ALL, *now_us, LIFE_US);
    }
    return want;
}

static void about(uint64_t value, uint64_t expected)
{
    if (value < expected * 9 / 10 || value > expected * 11 / 10) {
        fail_msg("%llu is not about %llu", (unsigned long long)value, (unsigned long long)expected);
    }
}

/* However often the store is asked: one and a half of what one life uses. */
static void test_steady(void **state)
{
    (void)state;
    static const unsigned asks_in_life[] = {1, 2, 10, 50};
    for (unsigned i = 0; i < 4; i++) {
        struct weir_demand d = {0};
        uint64_t now_us = NOW_US;
        struct weir_amounts want = after(&d, &now_us, 30, 100, asks_in_life[i]);
        about(want.of[WEIR_METER_REQUESTS], 150);
        about(want.of[WEIR_METER_INPUT_TOKENS], 150 * 300);
        about(want.of[WEIR_METER_OUTPUT_TOKENS], 150 * 200);
        assert_int_equal(want.of[WEIR_METER_TOTAL_TOKENS], 0); /* the store adds them up */
    }
}

static void test_asked_seldom(void **state)
{
    (void)state;
    struct weir_demand d = {0};
    const struct weir_amounts one = weir_amounts(1, 300, 200);
    uint64_t now_us = NOW_US;
    for (unsigned n = 0; n < 10; n++) { /* 70 requests in 7 lives between two calls */
        for (unsigned i = 0; i < 70; i++) {
            weir_demand_add(&d, &one);
        }
        now_us += 7 * LIFE_US;
        about(weir_demand_want(&d, ALL, now_us, LIFE_US).of[WEIR_METER_REQUESTS], n > 0 ? 15 : 0);
    }
}

/* Below one request in a life nothing is taken ahead, whatever its tokens. */
static void test_slow(void **state)
{
    (void)state;
    struct weir_demand d = {0};
    const struct weir_amounts large = weir_amounts(1, 1000000, 1000000);
    uint64_t now_us = NOW_US;
    for (unsigned n = 0; n < 100; n++) {
        weir_demand_add(&d, &large);
        now_us += LIFE_US + LIFE_US / 4;
        struct weir_amounts want = weir_demand_want(&d, ALL, now_us, LIFE_US);
        assert_true(weir_amounts_none(&want));
    }
}

static void test_burst_and_silence(void **state)
{
    (void)state;
    struct weir_demand d = {0};
    uint64_t now_us = NOW_US;
    after(&d, &now_us, 20, 100, 10);
    uint64_t burst = after(&d, &now_us, 1, 1000, 10).of[WEIR_METER_REQUESTS];
    assert_true(burst > 300 && burst < 1500); /* it follows, and not at once */
    about(after(&d, &now_us, 20, 1000, 10).of[WEIR_METER_REQUESTS], 1500);
    uint64_t calm = after(&d, &now_us, 4, 10, 10).of[WEIR_METER_REQUESTS];
    assert_true(calm > 15 && calm < 1500 / 2);
    after(&d, &now_us, 20, 1000, 10);
    now_us += UINT64_C(100) * 24 * 3600 * 1000000; /* nobody asks for a hundred days */
    struct weir_amounts want = weir_demand_want(&d, ALL, now_us, LIFE_US);
    assert_true(weir_amounts_none(&want));
    now_us -= 1000; /* and a clock that stands still or goes back does no harm */
    want = weir_demand_want(&d, ALL, now_us, LIFE_US);
    assert_true(weir_amounts_none(&want));
}

/* Sums that a node can make are wanted as they are; larger ones end at a bound. */
static void test_bounds(void **state)
{
    (void)state;
    struct weir_demand d = {0};
    const uint64_t half = WEIR_AMOUNT_MAX / 2;
    const struct weir_amounts largest = weir_amounts(1, half, half);
    uint64_t now_us = NOW_US;
    for (unsigned n = 0; n < 100000; n++) {
        weir_demand_add(&d, &largest);
        if (n % 8 == 7) {
            now_us += n < 50000 ? 0 : LIFE_US / 100;
            struct weir_amounts want = weir_demand_want(&d, ALL, now_us, LIFE_US);
            for (unsigned m = 0; m < WEIR_METERS; m++) {
                assert_true(want.of[m] <= 500000000);
            }
        }
    }
    uint64_t most = weir_demand_want(&d, ALL, now_us, LIFE_US).of[WEIR_METER_INPUT_TOKENS];
    assert_true(most > 100000000);
    /* what no limit counts is not wanted */
    struct weir_amounts want = weir_demand_want(&d, 1U << WEIR_METER_REQUESTS, now_us, LIFE_US);
    same(&want, want.of[WEIR_METER_REQUESTS], 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_covers_all_or_nothing),
        cmocka_unit_test(test_meters_without_a_limit),
        cmocka_unit_test(test_total_tokens),
        cmocka_unit_test(test_end_of_life),
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_steady),
        cmocka_unit_test(test_asked_seldom),
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_burst_and_silence),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
