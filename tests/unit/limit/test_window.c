/* SPDX-License-Identifier: Apache-2.0 */
/* Random streams of operations on packed windows against the naive model: guarantees 1 to 4 of the
 * design are checked at every step. tests/fuzz/limit goes on where these end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rand.h"

#define WORLD_CHECK(that) assert_true(that)
#include "support/window_world.h"

enum { STREAMS = 100, STEPS = 1500 };

struct stream {
    struct weir_rand random;
    struct window_world world;
    uint64_t mean_gap_us;
    uint64_t scale; /* of amounts */
};

static void random_plan(struct stream *s)
{
    static const uint32_t lengths[] = {1, 2, 7, 60, 61, 600, 3600, 86400, 30 * 86400};
    struct weir_limit limit[WEIR_PLAN_LIMITS_MAX];
    size_t count = 0;
    unsigned windows = 1 + (unsigned)weir_rand_below(&s->random, 3);
    uint32_t shortest = lengths[weir_rand_below(&s->random, 9)];
    for (unsigned k = 0; k < windows; k++) {
        uint32_t window_s = k == 0 ? shortest : lengths[weir_rand_below(&s->random, 9)];
        for (unsigned m = 0; m < WEIR_METERS; m++) {
            if (weir_rand_below(&s->random, 3) > 0) {
                uint64_t per_step = s->scale * (1 + weir_rand_below(&s->random, 300));
                limit[count++] = (struct weir_limit){
                    m, window_s, per_step > WEIR_AMOUNT_MAX ? WEIR_AMOUNT_MAX : per_step};
            }
        }
    }
    struct weir_plan plan;
    if (weir_plan_compile(limit, count, &plan) == WEIR_OK) {
        s->world.plan = plan; /* else the same length was drawn twice: the plan stays */
    }
}

static struct weir_amounts random_amounts(struct stream *s)
{
    uint64_t in =
        weir_rand_below(&s->random, 8) == 0 ? 0 : weir_rand_below(&s->random, 4 * s->scale);
    uint64_t out =
        weir_rand_below(&s->random, 8) == 0 ? 0 : weir_rand_below(&s->random, 4 * s->scale);
    if (weir_rand_below(&s->random, 50) == 0) {
        in *= 100;
    }
    uint64_t half = WEIR_AMOUNT_MAX / 2;
    return weir_amounts(weir_rand_below(&s->random, 3), in < half ? in : half,
                        out < half ? out : half);
}

static void pass_time(struct stream *s)
{
    uint64_t dice = weir_rand_below(&s->random, 1000);
    const struct weir_window_spec *w =
        &s->world.plan.window[s->world.plan.windows == 0
                                  ? 0
                                  : weir_rand_below(&s->random, s->world.plan.windows)];
    uint64_t now_us = s->world.now_us;
    if (dice < 1 && now_us > UINT64_C(1000000000000)) {
        now_us -= weir_rand_below(&s->random, 5000000); /* the clock steps back */
    } else if (dice < 5) {
        now_us += UINT64_C(3600000000) * (1 + weir_rand_below(&s->random, 100));
    } else if (dice < 30 &&
               s->world.plan.windows > 0) { /* onto the edge of a step, one off either way */
        uint64_t n = weir_rand_below(&s->random, 2) * (1 + weir_rand_below(&s->random, 140));
        uint64_t edge = world_edge_us(&s->world, w, n);
        now_us = edge - 1 + weir_rand_below(&s->random, 3);
    } else if (dice < 700) {
        now_us += weir_rand_below(&s->random, 2 * s->mean_gap_us);
    }
    world_time(&s->world, now_us);
}

static void settle(struct stream *s)
{
    struct naive *model = &s->world.model;
    if (model->events == 0) {
        return;
    }
    struct naive_event *e = &model->event[weir_rand_below(&s->random, model->events)];
    uint64_t in = e->amount[WEIR_METER_INPUT_TOKENS], out = e->amount[WEIR_METER_OUTPUT_TOKENS];
    uint64_t less_in = in == 0 ? 0 : weir_rand_below(&s->random, in + 1);
    uint64_t less_out = out == 0 ? 0 : weir_rand_below(&s->random, out + 1);
    struct weir_amounts less = weir_amounts(0, less_in, less_out);
    world_lower(&s->world, e, &less);
}

static void debt(struct stream *s)
{
    if (s->scale > 1 << 30) {
        return; /* sums are cut at WEIR_SUM_MAX: test_debt_is_cut */
    }
    struct weir_amounts a = weir_amounts(0, weir_rand_below(&s->random, 9 * s->scale), 0);
    world_debt(&s->world, &a);
}

static void run_stream(struct stream *s, uint64_t seed)
{
    static const uint64_t scales[] = {1, 10, 1000, 60000, 1000000, 1 << 30, WEIR_AMOUNT_MAX / 8};
    weir_rand_init(&s->random, seed);
    s->scale = scales[weir_rand_below(&s->random, 7)];
    s->world.now_us = UINT64_C(1790000000000000) + weir_rand_below(&s->random, 1000000000);
    s->world.real_us = s->world.now_us;
    s->world.model.events = 0;
    s->world.plan = (struct weir_plan){0};
    random_plan(s);
    s->mean_gap_us = s->world.plan.windows == 0 ? 1
                                                : s->world.plan.window[0].step_us /
                                                      (1 + weir_rand_below(&s->random, 3)) * 2;
    for (unsigned i = 0; i < STEPS; i++) {
        pass_time(s);
        naive_prune(&s->world.model, &s->world.plan, s->world.now_us);
        if (s->world.model.events > 300) { /* long windows: let them empty */
            world_time(&s->world, s->world.now_us + s->world.plan.longest_us / 2);
            continue;
        }
        uint64_t dice = weir_rand_below(&s->random, 10);
        if (dice < 7) {
            world_charge(&s->world, random_amounts(s));
        } else if (dice < 9) {
            settle(s);
        } else if (weir_rand_below(&s->random, 8) == 0) {
            debt(s);
        }
        world_check(&s->world);
    }
    weir_free(s->world.value.data);
    s->world.value = (struct weir_value){0};
}

static void test_streams(void **state)
{
    (void)state;
    struct stream *s = weir_zalloc(sizeof(*s));
    for (uint64_t seed = 1; seed <= STREAMS; seed++) {
        run_stream(s, seed);
    }
    weir_free(s);
}

static struct weir_plan plan_of(uint32_t window_s, uint64_t capacity)
{
    struct weir_plan plan;
    struct weir_limit limit = {WEIR_METER_INPUT_TOKENS, window_s, capacity};
    assert_int_equal(weir_plan_compile(&limit, 1, &plan), WEIR_OK);
    return plan;
}

static uint64_t used(const struct weir_value *v, const struct weir_plan *plan, uint64_t now_us)
{
    struct weir_decision d;
    weir_decision_begin(&d, now_us);
    weir_value_states(v, plan, now_us, 0, &d);
    return d.state[0].used;
}

static void test_debt_is_cut(void **state)
{
    (void)state;
    struct weir_plan plan = plan_of(60, 100);
    struct weir_value v = {0};
    struct weir_amounts a = weir_amounts(0, WEIR_AMOUNT_MAX, 0);
    for (unsigned i = 0; i < 6; i++) {
        add(&v, &plan, 1000 + i * 1000000, &a);
        assert_true(weir_value_valid(v.data, v.len));
    }
    assert_int_equal(used(&v, &plan, 6000000), WEIR_SUM_MAX);
    weir_free(v.data);
}

static void test_packed_size(void **state)
{
    (void)state;
    struct weir_limit limit[] = {{WEIR_METER_REQUESTS, 60, 1000},
                                 {WEIR_METER_INPUT_TOKENS, 60, 100000},
                                 {WEIR_METER_OUTPUT_TOKENS, 60, 100000}};
    struct weir_plan plan;
    struct weir_value v = {0};
    struct weir_amounts a = weir_amounts(1, 1155, 211);
    assert_int_equal(weir_plan_compile(limit, 3, &plan), WEIR_OK);
    for (unsigned i = 0; i < 1000; i++) {
        prepare(&v, &plan, i * 1000000);
        add(&v, &plan, i * 1000000, &a);
        assert_true(weir_value_valid(v.data, v.len));
        if (i == 5) {
            assert_int_equal(v.len, 25 + 5 * 6); /* six requests: 55 bytes */
        }
    }
    assert_true(v.len <= 25 + 70 * 6);
    weir_free(v.data);
}

/* What is given back twice, or was never taken, is given back once: an entry ends at 0. */
static void test_lower_ends_at_0(void **state)
{
    (void)state;
    struct weir_plan plan = plan_of(60, 100);
    struct weir_value v = {0};
    struct weir_amounts a = weir_amounts(0, 30, 0), more = weir_amounts(0, 31, 0);
    for (uint64_t t = 0; t < 3; t++) { /* two closed entries and the current one */
        add(&v, &plan, t * 1000000, &a);
    }
    for (uint64_t t = 0; t < 3; t++) {
        for (unsigned i = 0; i < 2; i++) {
            weir_value_lower(&v, &plan, t * 1000000, &more);
            assert_int_equal(used(&v, &plan, 2000000), 60 - 30 * t);
            assert_true(weir_value_valid(v.data, v.len));
        }
    }
    weir_free(v.data);
}

/* A value that fell idle goes by the time at which that was seen: a clock that steps back charges
 * nothing into a step whose settlements may still come. */
static void test_idle_value_keeps_time(void **state)
{
    (void)state;
    struct weir_plan plan = plan_of(60, 100);
    struct weir_value v = {0};
    struct weir_amounts a = weir_amounts(0, 30, 0);
    uint64_t start_us = UINT64_C(1790000000000000), later_us = start_us + 120000000;
    add(&v, &plan, start_us, &a);
    prepare(&v, &plan, later_us);
    uint64_t now_us = weir_value_now_us(&v, &plan, start_us);
    assert_true(now_us > later_us - plan.window[0].step_us && now_us <= later_us);
    add(&v, &plan, now_us, &a);
    weir_value_lower(&v, &plan, start_us, &a);
    assert_int_equal(used(&v, &plan, now_us), 30);
    weir_free(v.data);
}

/* Guarantee 4: "rounded up to 1 ms". */
static void test_retry_in_ms(void **state)
{
    (void)state;
    assert_int_equal(weir_retry_ms(0), 0);
    assert_int_equal(weir_retry_ms(1), 1);
    assert_int_equal(weir_retry_ms(1000), 1);
    assert_int_equal(weir_retry_ms(1001), 2);
}

/* Guarantee 6: a value that was busy and fell idle is small again with its next charge. */
static void test_idle_value_is_small(void **state)
{
    (void)state;
    struct weir_plan plan = plan_of(60, WEIR_AMOUNT_MAX);
    struct weir_value v = {0};
    struct weir_amounts small = weir_amounts(0, 1, 0), large = weir_amounts(0, 1 << 20, 0);
    add(&v, &plan, 0, &small);
    uint32_t small_len = v.len;
    for (uint64_t t = 1; t < 300; t++) {
        prepare(&v, &plan, t * 1000000);
        add(&v, &plan, t * 1000000, &large);
    }
    assert_true(v.len > 60 * 5);
    prepare(&v, &plan, UINT64_C(3600000000));
    assert_int_equal(v.len, small_len);
    weir_free(v.data);
}

/* Guarantee 5: the share of each limit is rounded down, so that all shares together are no more. */
static void test_share(void **state)
{
    (void)state;
    struct weir_limit limits[] = {{WEIR_METER_REQUESTS, 60, 100},
                                  {WEIR_METER_INPUT_TOKENS, 60, 1001},
                                  {WEIR_METER_OUTPUT_TOKENS, 3600, 2}};
    struct weir_plan plan, share;
    assert_int_equal(weir_plan_compile(limits, 3, &plan), WEIR_OK);
    weir_plan_share(&plan, 3, &share);
    assert_int_equal(share.window[0].capacity[0], 33);
    assert_int_equal(share.window[0].capacity[1], 333);
    assert_int_equal(share.window[1].capacity[0], 0);
    weir_plan_share(&plan, 1, &share);
    assert_memory_equal(&share, &plan, sizeof(plan));
}

static struct weir_decision charge(struct weir_value *v, const struct weir_plan *plan,
                                   const struct weir_amounts *a)
{
    const uint64_t now_us = UINT64_C(1790000000000000);
    struct weir_decision d;
    struct weir_verdict verdict;
    weir_decision_begin(&d, now_us);
    if (weir_value_take_in_step(v, plan, now_us, a, 0, &d)) {
        return d;
    }
    prepare(v, plan, now_us);
    if (weir_value_fits(v, plan, now_us, a, &verdict)) {
        add(v, plan, now_us, a);
    } else {
        weir_decision_deny(&d, 0, &verdict);
    }
    weir_value_states(v, plan, now_us, 0, &d);
    return d;
}

/* A limit in shadow says what it has and denies nothing, not even beyond all amounts; the one
 * beside it still does, and alone says when to come again. */
static void test_shadow(void **state)
{
    (void)state;
    struct weir_limit limits[] = {{WEIR_METER_REQUESTS, 60, 3},
                                  {WEIR_METER_OUTPUT_TOKENS, 60, 10},
                                  {WEIR_METER_OUTPUT_TOKENS, 3600, 500}};
    const struct weir_amounts a = weir_amounts(1, 0, 400);
    struct weir_plan plan, share;
    struct weir_value v = {0};
    assert_int_equal(weir_plan_compile(limits, 3, &plan), WEIR_OK);
    weir_plan_shadow(&plan, &limits[1]);
    weir_plan_shadow(&plan, &limits[2]);
    for (unsigned i = 1; i <= 4; i++) {
        struct weir_decision d = charge(&v, &plan, &a);
        unsigned charged = i < 3 ? i : 3;
        assert_int_equal(d.allowed, i <= 3);
        assert_int_equal(d.states, 3);
        assert_false(d.state[0].shadow);
        assert_true(d.state[1].shadow && d.state[2].shadow);
        assert_int_equal(d.state[0].capacity, 3);
        assert_int_equal(d.state[1].capacity, 10);
        assert_int_equal(d.state[2].capacity, 500);
        assert_int_equal(d.state[1].used, 400 * charged);
        assert_int_equal(d.state[2].used, 400 * charged);
        if (!d.allowed) {
            assert_int_equal(d.denied_meter, WEIR_METER_REQUESTS);
            assert_true(d.retry_after_us < UINT64_C(62000000));
        }
    }
    const struct weir_amounts most = weir_amounts(0, 0, WEIR_AMOUNT_MAX / 2);
    for (unsigned i = 0; i < 12; i++) { /* until the sum is cut */
        assert_true(charge(&v, &plan, &most).allowed);
    }
    assert_int_equal(charge(&v, &plan, &most).state[1].used, WEIR_SUM_MAX);
    weir_plan_share(&plan, 3, &share); /* the share of what it says, and still it denies nothing */
    assert_int_equal(charge(&v, &share, &most).state[1].capacity, 3);
    assert_true(charge(&v, &share, &most).allowed);
    weir_free(v.data);
}

/* Guarantee 1 when a limit changes: a window whose length changed starts with what the old one
 * held, as one entry. */
static void test_adopt(void **state)
{
    (void)state;
    struct weir_plan minute = plan_of(60, 100), hour = plan_of(3600, 1000);
    struct weir_value v = {0};
    struct weir_amounts a = weir_amounts(0, 30, 0);
    uint64_t start_us = UINT64_C(1790000000000000);
    add(&v, &minute, start_us, &a);
    add(&v, &minute, start_us + 20000000, &a);
    prepare(&v, &hour, start_us + 30000000);
    assert_true(weir_value_valid(v.data, v.len));
    assert_int_equal(used(&v, &hour, start_us + 30000000), 60);
    prepare(&v, &hour, start_us + UINT64_C(3600000000));
    assert_int_equal(used(&v, &hour, start_us + UINT64_C(3600000000)), 60);
    uint64_t later_us = start_us + UINT64_C(3600000000) + 60000000;
    prepare(&v, &hour, later_us);
    assert_int_equal(used(&v, &hour, later_us), 0);
    weir_free(v.data);
}

/* The same length with other meters keeps what it has; new meters start at 0. */
static void test_adopt_meters(void **state)
{
    (void)state;
    struct weir_limit two[] = {{WEIR_METER_INPUT_TOKENS, 60, 100}, {WEIR_METER_REQUESTS, 60, 9}};
    struct weir_plan one = plan_of(60, 100), both;
    struct weir_value v = {0};
    struct weir_amounts a = weir_amounts(1, 30, 0);
    struct weir_decision d;
    assert_int_equal(weir_plan_compile(two, 2, &both), WEIR_OK);
    for (uint64_t t = 0; t < 10; t++) {
        add(&v, &one, t * 1000000, &a);
    }
    prepare(&v, &both, 10000000);
    assert_true(weir_value_valid(v.data, v.len));
    weir_decision_begin(&d, 10000000);
    weir_value_states(&v, &both, 10000000, 0, &d);
    assert_int_equal(d.state[0].used, 0);
    assert_int_equal(d.state[1].used, 300);
    prepare(&v, &both, 62000000); /* the first two have left, each in its own time */
    assert_int_equal(used(&v, &both, 62000000), 0);
    weir_decision_begin(&d, 62000000);
    weir_value_states(&v, &both, 62000000, 0, &d);
    assert_int_equal(d.state[1].used, 300 - 2 * 30);
    weir_free(v.data);
}

/* Bytes from outside: every single-byte change of a value is refused or read without harm. */
static void test_foreign_bytes(void **state)
{
    (void)state;
    struct weir_plan plan = plan_of(60, 100);
    struct weir_value v = {0};
    struct weir_amounts a = weir_amounts(0, 3, 0);
    for (uint64_t t = 0; t < 20; t++) {
        add(&v, &plan, t * 1000000, &a);
    }
    for (uint32_t i = 0; i < v.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct weir_value bad = copy_of(&v);
            bad.data[i] ^= (uint8_t)(1U << bit);
            if (weir_value_valid(bad.data, bad.len)) {
                prepare(&bad, &plan, 20000000);
                add(&bad, &plan, 20000000, &a);
            }
            weir_free(bad.data);
        }
        assert_false(i > 0 && weir_value_valid(v.data, i));
    }
    weir_free(v.data);
}

static void test_plan_refuses(void **state)
{
    (void)state;
    struct weir_plan plan;
    struct weir_limit short_window = {WEIR_METER_REQUESTS, 0, 1};
    struct weir_limit long_window = {WEIR_METER_REQUESTS, WEIR_WINDOW_S_MAX + 1, 1};
    struct weir_limit huge = {WEIR_METER_REQUESTS, 60, WEIR_AMOUNT_MAX + 1};
    struct weir_limit twice[] = {{WEIR_METER_REQUESTS, 60, 1}, {WEIR_METER_REQUESTS, 60, 2}};
    assert_int_equal(weir_plan_compile(&short_window, 1, &plan), WEIR_ERR_INVALID);
    assert_int_equal(weir_plan_compile(&long_window, 1, &plan), WEIR_ERR_INVALID);
    assert_int_equal(weir_plan_compile(&huge, 1, &plan), WEIR_ERR_INVALID);
    assert_int_equal(weir_plan_compile(twice, 2, &plan), WEIR_ERR_INVALID);
    struct weir_limit many[WEIR_PLAN_WINDOWS_MAX + 1];
    for (unsigned i = 0; i <= WEIR_PLAN_WINDOWS_MAX; i++) {
        many[i] = (struct weir_limit){WEIR_METER_REQUESTS, i + 1, 1};
    }
    assert_int_equal(weir_plan_compile(many, WEIR_PLAN_WINDOWS_MAX, &plan), WEIR_OK);
    assert_int_equal(weir_plan_compile(many, WEIR_PLAN_WINDOWS_MAX + 1, &plan), WEIR_ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_debt_is_cut),
        cmocka_unit_test(test_packed_size),
        cmocka_unit_test(test_adopt),
        cmocka_unit_test(test_adopt_meters),
        cmocka_unit_test(test_foreign_bytes),
        cmocka_unit_test(test_plan_refuses),
        cmocka_unit_test(test_lower_ends_at_0),
        cmocka_unit_test(test_retry_in_ms),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_shadow),
        cmocka_unit_test(test_idle_value_is_small),
        cmocka_unit_test(test_idle_value_keeps_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
