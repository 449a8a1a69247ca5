/* SPDX-License-Identifier: Apache-2.0 */
/* Worlds with known answers, and a thousand small ones drawn at random: never over (guarantee 1),
 * nothing stranded, and the audit sees a lease that is used too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"
#include "sim/world.h"
#include "store/embedded/embedded.h"

enum { WORLDS = 1000 };

/* One key on one node beside its store. */
static struct weir_sim_options small(const struct weir_limit *limit, size_t count)
{
    struct weir_sim_options o = {
        .nodes = 1,
        .keys = 1,
        .rate = 100,
        .duration_s = 20,
        .input = {1, 30},
        .output = {1, 50},
        .shards = 1,
        .seed = 1,
    };
    assert_int_equal(weir_plan_compile(limit, count, &o.plan), WEIR_OK);
    return o;
}

static const struct weir_limit some[] = {{WEIR_METER_REQUESTS, 3, 100},
                                         {WEIR_METER_INPUT_TOKENS, 3, 2000},
                                         {WEIR_METER_TOTAL_TOKENS, 7, 9000}};

/* ---- as the embedded store ---- */

struct beside {
    struct weir_embedded *table;
    struct weir_subject subject;
    uint64_t allowed, denied;
};

static void decide_beside(void *ctx, uint64_t arrived_us, uint32_t key,
                          const struct weir_amounts *a, bool allowed)
{
    struct beside *b = ctx;
    const struct weir_subject *one = &b->subject;
    struct weir_decision d;
    assert_int_equal(key, 0);
    assert_int_equal(weir_embedded_take(b->table, &one, 1, a, arrived_us, &d), WEIR_OK);
    assert_int_equal(d.allowed, allowed);
    b->allowed += allowed;
    b->denied += !allowed;
}

static void same_as_embedded(struct weir_sim_options *o)
{
    struct weir_plan plan = o->plan;
    struct weir_sim_result *r = weir_zalloc(sizeof(*r));
    struct beside b = {.subject = {.id = {1, 2}, .name = WEIR_STR("key:k"), .plan = &plan}};
    const struct weir_embedded_opts opts = {.max_subjects = 1};
    if (!o->exact) {
        weir_plan_lease(&plan);
    }
    assert_int_equal(weir_embedded_new(&opts, &b.table), WEIR_OK);
    o->on_decision = decide_beside;
    o->ctx = &b;
    assert_int_equal(weir_sim_run(o, r), WEIR_OK);
    assert_true(b.allowed > 50 && b.denied > 50);
    assert_int_equal(r->allowed, b.allowed);
    assert_int_equal(r->denied, b.denied);
    assert_int_equal(r->requests, b.allowed + b.denied);
    assert_int_equal(r->over, 0);
    assert_int_equal(r->unexplained, 0);
    weir_embedded_free(b.table);
    weir_free(r);
}

/* One node and one key, no way to the store: every decision is the embedded store's. */
static void test_exact_is_embedded(void **state)
{
    (void)state;
    struct weir_sim_options o = small(some, 3);
    o.exact = true;
    same_as_embedded(&o);
}

/* With leases too, until the first entry leaves: the lease's stands where it was granted, the
 * embedded store's where it was used. */
static void test_lease_is_embedded(void **state)
{
    (void)state;
    static const struct weir_limit day[] = {{WEIR_METER_REQUESTS, 86400, 1500},
                                            {WEIR_METER_TOTAL_TOKENS, 86400, 40000}};
    struct weir_sim_options o = small(day, 2);
    same_as_embedded(&o);
}

/* ---- known answers ---- */

static struct weir_sim_result *run(const struct weir_sim_options *o)
{
    struct weir_sim_result *r = weir_zalloc(sizeof(*r));
    assert_non_null(r);
    assert_int_equal(weir_sim_run(o, r), WEIR_OK);
    assert_int_equal(r->requests, r->allowed + r->denied);
    assert_int_equal(r->unexplained, 0);
    return r;
}

static const struct weir_limit hundred[] = {{WEIR_METER_REQUESTS, 60, 100}};

/* Each request is a call, and takes the round trip; the limit is reached to the last unit. */
static void test_exact_calls(void **state)
{
    (void)state;
    struct weir_sim_options o = small(hundred, 1);
    o.exact = true;
    o.nodes = 7;
    o.rtt_us = (struct weir_sim_range){400, 400};
    struct weir_sim_result *r = run(&o);
    assert_int_equal(r->allowed, 100);
    assert_int_equal(r->limit[0].worst, 100);
    assert_int_equal(r->limit[0].took, 100);
    assert_int_equal(r->limit[0].could, 100);
    assert_int_equal(r->lease_calls, r->requests);
    assert_int_equal(r->shard_calls_most, r->requests);
    assert_int_equal(r->latency.max_ns, 400000);
    assert_true(weir_hist_mean_ns(&r->latency) == 400000);
    assert_int_equal(r->keys, 1);
    assert_int_equal(r->saturated, 1);
    weir_free(r);
}

/* A hot key far from its limit: hardly any calls, no wait. */
static void test_hot(void **state)
{
    (void)state;
    static const struct weir_limit much[] = {{WEIR_METER_REQUESTS, 60, 10000000}};
    struct weir_sim_options o = small(much, 1);
    o.nodes = 2;
    o.rate = 4000;
    o.duration_s = 5;
    o.rtt_us = (struct weir_sim_range){200, 800};
    struct weir_sim_result *r = run(&o);
    assert_int_equal(r->denied, 0);
    assert_int_equal(r->saturated, 0);
    assert_true(r->lease_calls * 100 < r->requests);
    assert_true(r->lease_hits * 100 > r->allowed * 97);
    assert_true(r->latency.max_ns < 1700000); /* a call, and the one before */
    uint64_t calls = r->lease_calls;
    weir_free(r);
    o.rate = 20000; /* several come within each round trip */
    r = run(&o);
    assert_true(r->lease_calls <= 2 * calls);
    assert_true(r->lease_hits * 1000 > r->allowed * 998);
    weir_free(r);
    o.rate = 4000;
    o.settles = true; /* that goes along with the calls that take leases */
    r = run(&o);
    assert_int_equal(r->settlements, r->allowed);
    assert_int_equal(r->settle_calls, 0);
    assert_true(r->lease_calls <= calls + calls / 8);
    weir_free(r);
    o.hold_us = (struct weir_sim_range){1, 5000000}; /* nor when they are of many leases */
    r = run(&o);
    assert_int_equal(r->settle_calls, 0);
    assert_true(r->lease_calls * 5 < r->requests);
    weir_free(r);
}

/* A key that is hammered while it is spent: denials come from memory. */
static void test_hammered(void **state)
{
    (void)state;
    struct weir_sim_options o = small(hundred, 1);
    o.rate = 2000;
    o.duration_s = 5;
    o.rtt_us = (struct weir_sim_range){500, 500};
    struct weir_sim_result *r = run(&o);
    assert_int_equal(r->allowed, 100);
    assert_true(r->remembered_denials * 100 > r->denied * 98);
    assert_true(r->lease_calls * 50 < r->requests);
    weir_free(r);
}

/* Guarantee 2, in what it is for: four nodes admit all but a hundredth of what one would. */
static void test_share(void **state)
{
    (void)state;
    static const struct weir_limit tokens[] = {{WEIR_METER_TOTAL_TOKENS, 60, 100000}};
    struct weir_sim_options o = small(tokens, 1);
    o.nodes = 4;
    o.duration_s = 150;
    o.rtt_us = (struct weir_sim_range){200, 1000};
    struct weir_sim_result *r = run(&o);
    assert_int_equal(r->over, 0);
    assert_int_equal(r->saturated, 1);
    assert_true(r->limit[0].took * 100 >= r->limit[0].could * 99);
    weir_free(r);
}

static void test_same_seed(void **state)
{
    (void)state;
    struct weir_sim_options o = small(some, 3);
    o.nodes = 5;
    o.keys = 20;
    o.zipf = 1;
    o.rtt_us = (struct weir_sim_range){100, 2000};
    struct weir_sim_result *a = run(&o), *b = run(&o);
    assert_memory_equal(a, b, sizeof(*a));
    o.seed = 2;
    struct weir_sim_result *c = run(&o);
    assert_memory_not_equal(a, c, sizeof(*a));
    weir_free(a);
    weir_free(b);
    weir_free(c);
}

/* ---- what must always hold ---- */

/* Requests come in bursts, so that leases are held over the pauses between. */
static struct weir_sim_options any_world(uint64_t seed)
{
    struct weir_rand r;
    weir_rand_init(&r, seed);
    const struct weir_limit limit[] = {
        {WEIR_METER_REQUESTS, (uint32_t)(1 + weir_rand_below(&r, 2)), 1 + weir_rand_below(&r, 400)},
        {WEIR_METER_TOTAL_TOKENS, (uint32_t)(1 + weir_rand_below(&r, 2)),
         1 + weir_rand_below(&r, 20000)},
        {WEIR_METER_OUTPUT_TOKENS, 5, 1 + weir_rand_below(&r, 20000)},
    };
    struct weir_sim_options o = small(limit, 1 + weir_rand_below(&r, 3));
    o.nodes = (uint32_t)(1 + weir_rand_below(&r, 3));
    o.keys = 1 + weir_rand_below(&r, 2);
    o.zipf = 2;
    o.rate = (double)(500 + weir_rand_below(&r, 2000));
    o.duration_s = 2.5;
    o.burst_us = 20000 + weir_rand_below(&r, 80000);
    o.pause_us = 100000 + weir_rand_below(&r, 500000);
    o.settles = weir_rand_below(&r, 2) == 0;
    o.used = (struct weir_sim_range){0, 60}; /* of 50 at most: debt, too */
    o.hold_us = (struct weir_sim_range){0, weir_rand_below(&r, 500000)};
    o.settle_anywhere = weir_rand_below(&r, 2) == 0;
    o.by_key = weir_rand_below(&r, 4) == 0;
    o.exact = weir_rand_below(&r, 8) == 0;
    o.rtt_us = (struct weir_sim_range){0, weir_rand_below(&r, 4000)};
    o.shards = 2;
    o.seed = seed;
    return o;
}

/* Guarantee 1. */
static void test_never_over(void **state)
{
    (void)state;
    uint64_t hits = 0, denied = 0, saturated = 0;
    for (uint64_t seed = 0; seed < WORLDS; seed++) {
        struct weir_sim_options o = any_world(seed);
        struct weir_sim_result *r = run(&o);
        if (r->over > 0) {
            fail_msg("world %llu is over", (unsigned long long)seed);
        }
        hits += r->lease_hits;
        denied += r->denied;
        saturated += r->saturated;
        weir_free(r);
    }
    assert_true(hits > WORLDS && denied > WORLDS && saturated > WORLDS / 2);
}

/* What stands in the store is what was admitted and not settled lower: no budget is lost, whoever
 * settles. */
static void test_nothing_stranded(void **state)
{
    (void)state;
    static const struct weir_limit day[] = {{WEIR_METER_REQUESTS, 86400, 700},
                                            {WEIR_METER_TOTAL_TOKENS, 86400, 1000000}};
    for (unsigned anywhere = 0; anywhere < 2; anywhere++) {
        struct weir_sim_options o = small(day, 2);
        o.nodes = 4;
        o.keys = 3;
        o.zipf = 1;
        o.settles = true;
        o.settle_anywhere = anywhere == 1;
        o.output = (struct weir_sim_range){1000, 1000};
        o.used = (struct weir_sim_range){50, 1500}; /* beyond it, too: that is debt */
        o.hold_us = (struct weir_sim_range){0, 2000000};
        o.rtt_us = (struct weir_sim_range){100, 5000};
        struct weir_sim_result *r = run(&o);
        assert_int_equal(r->settlements, r->allowed);
        assert_true(r->returns > 0);
        assert_true(anywhere == 0 || r->settle_calls == r->settlements);
        assert_int_equal(r->held[WEIR_METER_REQUESTS], r->allowed);
        assert_int_equal(r->stands[WEIR_METER_REQUESTS], r->allowed);
        assert_true(r->debt_tokens > 0);
        assert_int_equal(r->held[WEIR_METER_TOTAL_TOKENS],
                         r->stands[WEIR_METER_TOTAL_TOKENS] + r->debt_tokens);
        weir_free(r);
    }
}

/* Leases that are used for longer than they live: the audit sees it in some of these worlds. */
static void test_overstay(void **state)
{
    (void)state;
    unsigned over = 0;
    for (uint64_t seed = 0; seed < WORLDS; seed++) {
        struct weir_sim_options o = any_world(seed);
        o.overstay_us = 2000000;
        struct weir_sim_result *r = run(&o);
        over += r->over > 0;
        weir_free(r);
    }
    assert_true(over > 0);
}

/* Wherever memory ends, the run says so and leaves nothing behind. */
static void test_memory(void **state)
{
    (void)state;
    struct weir_sim_options o = any_world(3);
    struct weir_sim_result *r = weir_zalloc(sizeof(*r));
    enum weir_err err = WEIR_ERR_NOMEM;
    o.duration_s = 1;
    for (uint64_t n = 0; err != WEIR_OK; n++) {
        weir_mem_fail_after(n);
        err = weir_sim_run(&o, r);
        weir_mem_fail_after(UINT64_MAX);
        assert_true(err == WEIR_OK || err == WEIR_ERR_NOMEM);
        assert_true(n < 10000);
    }
    weir_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_is_embedded),
        cmocka_unit_test(test_lease_is_embedded),
        cmocka_unit_test(test_exact_calls),
        cmocka_unit_test(test_hot),
        cmocka_unit_test(test_hammered),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_same_seed),
        cmocka_unit_test(test_never_over),
        cmocka_unit_test(test_nothing_stranded),
        cmocka_unit_test(test_overstay),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
