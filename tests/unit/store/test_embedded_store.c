/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's handle on the embedded table: what is settled once, twice, too late, elsewhere. What
 * is given back twice would break guarantee 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "store/embedded_store.h"

enum { TTL_US = 1000000, EPOCH = 7, CLAIMS_MAX = 2 };

static const uint64_t START_US = UINT64_C(1000000000000);

struct fixture {
    struct weir_plan plan;
    struct weir_subject subject;
    struct weir_embedded *table;
    struct weir_settled *settled;
    struct weir_store *store;
};

static int begin(void **state)
{
    struct fixture *f = weir_zalloc(sizeof(*f));
    const struct weir_limit limit = {WEIR_METER_OUTPUT_TOKENS, 60, 1000};
    const struct weir_embedded_opts opts = {.max_subjects = 1};
    *state = f;
    assert_int_equal(weir_plan_compile(&limit, 1, &f->plan), WEIR_OK);
    f->subject = (struct weir_subject){.name = WEIR_STR("key:k"), .plan = &f->plan};
    weir_subject_id(f->subject.name, f->subject.id);
    assert_int_equal(weir_embedded_new(&opts, &f->table), WEIR_OK);
    assert_int_equal(weir_settled_new(CLAIMS_MAX, TTL_US, &f->settled), WEIR_OK);
    assert_int_equal(weir_embedded_store_open(f->table, f->settled, EPOCH, &f->store), WEIR_OK);
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    weir_store_close(f->store);
    weir_embedded_free(f->table);
    weir_settled_free(f->settled);
    weir_free(f);
    return 0;
}

static uint64_t used_at(struct fixture *f, uint64_t now_us)
{
    const struct weir_subject *one = &f->subject;
    const struct weir_amounts look = weir_amounts(0, 0, 0);
    struct weir_decision d;
    assert_int_equal(weir_embedded_take(f->table, &one, 1, &look, now_us, &d), WEIR_OK);
    return d.state[0].used;
}

/* Takes `output` from the table at now_us; what settles it, with 10 used. */
static struct weir_settle taken(struct fixture *f, uint64_t nonce, uint64_t output, uint64_t now_us)
{
    struct weir_settle s = {.subject = {&f->subject},
                            .subjects = 1,
                            .reservation = {.nonce = nonce,
                                            .epoch = EPOCH,
                                            .at_us = now_us,
                                            .reserved = weir_amounts(1, 0, output)},
                            .used = weir_amounts(1, 0, 10),
                            .claim = true};
    struct weir_decision d;
    assert_int_equal(
        weir_embedded_take(f->table, s.subject, 1, &s.reservation.reserved, now_us, &d), WEIR_OK);
    assert_true(d.allowed);
    return s;
}

static enum weir_settle_result settle(struct fixture *f, const struct weir_settle *s,
                                      uint64_t now_us)
{
    return weir_embedded_settle_call(f->table, f->settled, s, now_us, &f->store->stats);
}

static void test_once(void **state)
{
    struct fixture *f = *state;
    struct weir_settle s = taken(f, 5, 300, START_US), other = taken(f, 6, 300, START_US);
    assert_int_equal(settle(f, &s, START_US + 1), WEIR_SETTLE_DONE);
    assert_int_equal(used_at(f, START_US + 1), 310);
    assert_int_equal(settle(f, &s, START_US + 2), WEIR_SETTLE_REPEATED);
    assert_int_equal(used_at(f, START_US + 2), 310);
    other.used = weir_amounts(1, 0, 350); /* 50 more than reserved: debt, once */
    assert_int_equal(settle(f, &other, START_US + 3), WEIR_SETTLE_DONE);
    assert_int_equal(settle(f, &other, START_US + 4), WEIR_SETTLE_REPEATED);
    assert_int_equal(used_at(f, START_US + 4), 360);
    assert_int_equal(f->store->stats.debt_tokens, 50);
}

/* A chat request knows itself that it settles once: no room is spent on it. */
static void test_without_claim(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 0; i < 2 * CLAIMS_MAX; i++) {
        struct weir_settle s = taken(f, 5, 300, START_US);
        s.claim = false;
        assert_int_equal(settle(f, &s, START_US), WEIR_SETTLE_DONE);
        assert_int_equal(used_at(f, START_US), 10 * (i + 1));
    }
}

static void test_too_late(void **state)
{
    struct fixture *f = *state;
    struct weir_settle in_time = taken(f, 5, 300, START_US), late = taken(f, 6, 300, START_US);
    assert_int_equal(settle(f, &in_time, START_US + TTL_US), WEIR_SETTLE_DONE);
    assert_int_equal(settle(f, &late, START_US + TTL_US + 1), WEIR_SETTLE_EXPIRED);
    assert_int_equal(used_at(f, START_US + TTL_US + 1), 310);
    late.reservation.nonce = 0; /* never granted */
    assert_int_equal(settle(f, &late, START_US), WEIR_SETTLE_EXPIRED);
}

/* Guarantee 6: without room to remember it nothing is settled, and it may be tried again. */
static void test_no_room(void **state)
{
    struct fixture *f = *state;
    struct weir_settle s[CLAIMS_MAX + 1];
    for (unsigned i = 0; i <= CLAIMS_MAX; i++) {
        s[i] = taken(f, 5 + i, 300, START_US);
    }
    for (unsigned i = 0; i < CLAIMS_MAX; i++) {
        assert_int_equal(settle(f, &s[i], START_US), WEIR_SETTLE_DONE);
    }
    assert_int_equal(settle(f, &s[CLAIMS_MAX], START_US), WEIR_SETTLE_UNAVAILABLE);
    assert_int_equal(used_at(f, START_US), 10 * CLAIMS_MAX + 300);
    assert_int_equal(settle(f, &s[CLAIMS_MAX], START_US + TTL_US), WEIR_SETTLE_DONE);
    assert_int_equal(used_at(f, START_US + TTL_US), 10 * (CLAIMS_MAX + 1));
}

/* A settlement that finds no place for its debt takes its claim back. */
static void test_tried_again(void **state)
{
    struct fixture *f = *state;
    struct weir_settle s = taken(f, 5, 300, START_US);
    const struct weir_subject other = {.name = f->subject.name, .id = {1, 2}, .plan = &f->plan};
    const struct weir_settle of_other = {.subject = {&other},
                                         .subjects = 1,
                                         .reservation = s.reservation,
                                         .used = weir_amounts(1, 0, 400),
                                         .claim = true};
    assert_int_equal(settle(f, &of_other, START_US), WEIR_SETTLE_UNAVAILABLE);
    assert_int_equal(f->store->stats.errors, 1);
    assert_int_equal(settle(f, &s, START_US), WEIR_SETTLE_DONE);
}

/* Of a process that is gone, with its windows: what stands here is another's. */
static void test_of_another_process(void **state)
{
    struct fixture *f = *state;
    struct weir_call call = {.subject = {&f->subject}, .subjects = 1};
    call.amounts = weir_amounts(1, 0, 300);
    assert_int_equal(weir_store_take(f->store, &call), WEIR_OK);
    assert_true(call.outcome == WEIR_OUTCOME_DECIDED && call.decision.allowed && !call.local);
    struct weir_settle s = {.subject = {&f->subject},
                            .subjects = 1,
                            .reservation = call.reservation,
                            .used = weir_amounts(1, 0, 10)};
    s.reservation.epoch++;
    assert_int_equal(weir_store_settle(f->store, &s), WEIR_OK);
    assert_int_equal(s.result, WEIR_SETTLE_EXPIRED);
    assert_int_equal(used_at(f, call.decision.at_us), 300);
    s.reservation.epoch--;
    assert_int_equal(weir_store_settle(f->store, &s), WEIR_OK);
    assert_int_equal(s.result, WEIR_SETTLE_DONE);
    assert_int_equal(used_at(f, call.decision.at_us), 10);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_once),    CASE(test_without_claim), CASE(test_too_late),
        CASE(test_no_room), CASE(test_tried_again),   CASE(test_of_another_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
