/* SPDX-License-Identifier: Apache-2.0 */
/* All that a worker holds: bounded (guarantee 6), and looked at when it is due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"
#include "store/holdings.h"

enum { TICK = WEIR_HOLDINGS_TICK_US, SLOTS = WEIR_HOLDINGS_SLOTS, MANY = 3000 };

static const uint64_t NOW_US = UINT64_C(5000000000), REST_US = 5000000;

struct fixture {
    struct weir_plan plan[2];
    struct weir_holdings t;
    uint64_t max;
};

static void open_with(struct fixture *f, uint64_t max)
{
    weir_holdings_deinit(&f->t);
    f->max = max;
    assert_int_equal(weir_holdings_init(&f->t, max), WEIR_OK);
}

static int begin(void **state)
{
    const struct weir_limit limit = {WEIR_METER_REQUESTS, 60, 10};
    struct fixture *f = weir_zalloc(sizeof(*f));
    *state = f;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(weir_plan_compile(&limit, 1, &f->plan[i]), WEIR_OK);
        weir_plan_lease(&f->plan[i]);
    }
    open_with(f, UINT64_MAX);
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    weir_holdings_deinit(&f->t);
    weir_free(f);
    return 0;
}

static struct weir_holding *get_of(struct fixture *f, uint64_t id, unsigned plan, uint64_t now_us)
{
    const struct weir_subject s = {
        .id = {weir_mix64(id), id}, .name = WEIR_STR("key:k"), .plan = &f->plan[plan]};
    const struct weir_subject *one[] = {&s};
    return weir_holdings_get(&f->t, one, 1, now_us);
}

static struct weir_holding *get(struct fixture *f, uint64_t id, uint64_t now_us)
{
    return get_of(f, id, 0, now_us);
}

/* ---- the table ---- */

static void test_found_again(void **state)
{
    struct fixture *f = *state;
    static struct weir_holding *made[MANY];
    for (uint64_t i = 0; i < MANY; i++) {
        made[i] = get(f, i, NOW_US);
        assert_non_null(made[i]);
    }
    assert_int_equal(f->t.count, MANY);
    assert_true(f->t.buckets >= MANY); /* short chains */
    for (uint64_t i = 0; i < MANY; i++) {
        assert_ptr_equal(get(f, i, NOW_US), made[i]);
    }
    /* under another plan it is the same one, of another root it is another one */
    assert_ptr_equal(get_of(f, 0, 1, NOW_US), made[0]);
    const struct weir_subject moved = {.id = {weir_mix64(0), 0},
                                       .name = WEIR_STR("key:k"),
                                       .root = WEIR_STR("org:o"),
                                       .plan = &f->plan[0]};
    const struct weir_subject *one[] = {&moved};
    struct weir_holding *other = weir_holdings_get(&f->t, one, 1, NOW_US);
    assert_ptr_not_equal(other, made[0]);
    assert_ptr_equal(weir_holdings_get(&f->t, one, 1, NOW_US), other);
    assert_ptr_equal(get(f, 0, NOW_US), made[0]);
    assert_int_equal(f->t.count, MANY + 1);
}

/* Guarantee 6: no more than `max`; who is idle makes room, who has something to tell does not. */
static void test_bounded(void **state)
{
    struct fixture *f = *state;
    const struct weir_amounts debt = weir_amounts(0, 1, 0);
    open_with(f, 100);
    for (uint64_t i = 0; i < 100; i++) {
        weir_holding_owe(get(f, i, NOW_US), &debt);
    }
    assert_null(get(f, 1000, NOW_US));
    assert_int_equal(f->t.count, 100);
    struct weir_holding *told = get(f, 50, NOW_US);
    assert_non_null(told);
    told->debt = (struct weir_amounts){0};
    weir_holdings_due(&f->t, told, NOW_US, NOW_US + 1); /* freed, it is due no more */
    assert_non_null(get(f, 1000, NOW_US));
    assert_int_equal(f->t.count, 100);
    assert_null(weir_holdings_next_due(&f->t, NOW_US + REST_US));
    weir_holding_owe(get(f, 1000, NOW_US), &debt);
    assert_null(get(f, 1001, NOW_US));
}

/* Holdings that nobody asks for go, as others come. */
static void test_idle_ones_go(void **state)
{
    struct fixture *f = *state;
    uint64_t now_us = NOW_US;
    for (uint64_t i = 0; i < 100 * MANY; i++) {
        now_us += REST_US / MANY;
        struct weir_holding *h = get(f, i, now_us);
        assert_non_null(h);
        assert_ptr_equal(get(f, i, now_us), h);
    }
    assert_true(f->t.count < 4 * MANY);
    assert_non_null(get(f, 100 * MANY - 1, now_us));
}

/* One that was asked for lately knows how fast it is used: it stays. */
static void test_rest(void **state)
{
    struct fixture *f = *state;
    struct weir_holding *h = get(f, 1, NOW_US);
    h->demand.used = weir_amounts(7, 7, 7);
    for (uint64_t i = 2; i < 200; i++) {
        get(f, i, NOW_US + REST_US - 1);
    }
    assert_ptr_equal(get(f, 1, NOW_US + REST_US - 1), h);
    assert_int_equal(h->demand.used.of[0], 7);
}

static void test_no_memory(void **state)
{
    struct fixture *f = *state;
    struct weir_holdings none;
    weir_mem_fail_after(0);
    assert_int_equal(weir_holdings_init(&none, 1), WEIR_ERR_NOMEM);
    assert_null(get(f, 1, NOW_US));
    weir_mem_fail_after(UINT64_MAX);
    weir_holdings_deinit(&none);
    uint32_t buckets = f->t.buckets;
    for (uint64_t i = 0; i < MANY; i++) { /* a table that cannot grow has longer chains */
        weir_mem_fail_after(f->t.count >= buckets ? 2 : 3);
        assert_non_null(get(f, i, NOW_US));
        weir_mem_fail_after(UINT64_MAX);
    }
    assert_int_equal(f->t.buckets, buckets);
    for (uint64_t i = 0; i < MANY; i++) {
        assert_non_null(get(f, i, NOW_US));
    }
    assert_int_equal(f->t.count, MANY);
}

/* ---- the wheel ---- */

/* Due at their moment or a tick later, in order of ticks, each once. */
static void test_due_in_time(void **state)
{
    struct fixture *f = *state;
    struct weir_rand random;
    static uint64_t at_us[MANY];
    uint64_t now_us = NOW_US;
    unsigned due = 0;
    weir_rand_init(&random, 1);
    for (uint64_t i = 0; i < MANY; i++) {
        at_us[i] = now_us + weir_rand_below(&random, (SLOTS - 2) * TICK);
        weir_holdings_due(&f->t, get(f, i, now_us), now_us, at_us[i]);
    }
    assert_int_equal(f->t.dues, MANY);
    while (due < MANY) {
        assert_true(now_us < NOW_US + SLOTS * TICK);
        now_us += 1 + weir_rand_below(&random, TICK / 2);
        for (struct weir_holding *h; (h = weir_holdings_next_due(&f->t, now_us)) != NULL; due++) {
            uint64_t *at = &at_us[h->id[1]];
            assert_true(*at <= now_us && now_us <= *at + TICK + TICK / 2);
            *at = UINT64_MAX;
        }
    }
    assert_int_equal(f->t.dues, 0);
    assert_null(weir_holdings_next_due(&f->t, UINT64_MAX));
}

static void test_due_once(void **state)
{
    struct fixture *f = *state;
    struct weir_holding *h = get(f, 1, NOW_US);
    weir_holdings_due(&f->t, h, NOW_US, NOW_US + 3 * TICK);
    weir_holdings_due(&f->t, h, NOW_US, NOW_US + 9 * TICK);
    assert_null(weir_holdings_next_due(&f->t, NOW_US + 3 * TICK - 1));
    assert_ptr_equal(weir_holdings_next_due(&f->t, NOW_US + 4 * TICK), h);
    assert_null(weir_holdings_next_due(&f->t, NOW_US + 40 * TICK));
    /* what is due in the past, or beyond the wheel, is in it all the same */
    uint64_t now_us = NOW_US + 50 * TICK;
    weir_holdings_due(&f->t, h, now_us, 0);
    assert_ptr_equal(weir_holdings_next_due(&f->t, now_us), h);
    weir_holdings_due(&f->t, h, now_us, UINT64_MAX);
    assert_null(weir_holdings_next_due(&f->t, now_us + (SLOTS - 2) * TICK));
    assert_ptr_equal(weir_holdings_next_due(&f->t, now_us + SLOTS * TICK), h);
}

/* A machine that slept for long: all that were due are, and what is watched anew meanwhile is not
 * looked at over and over. */
static void test_long_sleep(void **state)
{
    struct fixture *f = *state;
    const uint64_t sleep_us = UINT64_C(30) * 86400 * 1000000;
    for (uint64_t i = 0; i < SLOTS; i++) {
        weir_holdings_due(&f->t, get(f, i, NOW_US), NOW_US, NOW_US + i * TICK);
    }
    uint64_t now_us = NOW_US + sleep_us;
    unsigned looked = 0, first = 0;
    for (struct weir_holding *h; (h = weir_holdings_next_due(&f->t, now_us)) != NULL; looked++) {
        first += h->asked_us == NOW_US;
        h->asked_us = now_us;
        weir_holdings_due(&f->t, h, now_us, now_us + 4 * TICK);
    }
    assert_int_equal(first, SLOTS);
    assert_true(looked <= 2 * SLOTS);
    assert_int_equal(f->t.dues, SLOTS);
    for (looked = 0; weir_holdings_next_due(&f->t, now_us + 5 * TICK) != NULL; looked++) {
    }
    assert_int_equal(looked, SLOTS);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_found_again), CASE(test_bounded),    CASE(test_idle_ones_go),
        CASE(test_rest),        CASE(test_no_memory),  CASE(test_due_in_time),
        CASE(test_due_once),    CASE(test_long_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
