/* SPDX-License-Identifier: Apache-2.0 */
/* The index against an array, the events against their order, the ledger by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rand.h"
#include "sim/events.h"
#include "sim/index.h"
#include "sim/ledger.h"

static void test_index(void **state)
{
    (void)state;
    enum { IDS = 3000, OPS = 40000 };
    static uint32_t slot[IDS];
    struct weir_sim_index x = {0};
    struct weir_rand r;
    weir_rand_init(&r, 1);
    memset(slot, 0xff, sizeof(slot));
    assert_int_equal(weir_sim_index_find(&x, 5), WEIR_SIM_NO_SLOT);
    uint32_t count = 0;
    for (unsigned i = 0; i < OPS; i++) {
        uint64_t id = weir_rand_below(&r, IDS);
        assert_int_equal(weir_sim_index_find(&x, id << 32), slot[id]);
        if (slot[id] == WEIR_SIM_NO_SLOT) {
            slot[id] = weir_sim_index_add(&x, id << 32);
            assert_true(slot[id] < x.slots && x.slots <= weir_sim_index_room(&x));
            assert_true(weir_sim_index_id(&x, slot[id]) == id << 32);
            count++;
        } else if (weir_rand_below(&r, 2) == 0) {
            weir_sim_index_remove(&x, slot[id]);
            slot[id] = WEIR_SIM_NO_SLOT;
            count--;
        }
        assert_int_equal(x.count, count);
    }
    weir_sim_index_deinit(&x);
}

static void test_events(void **state)
{
    (void)state;
    enum { EVENTS = 5000 };
    struct weir_sim_events q = {0};
    struct weir_rand r;
    weir_rand_init(&r, 1);
    assert_true(weir_sim_events_next_us(&q) == UINT64_MAX);
    for (uint32_t i = 0; i < EVENTS; i++) {
        const struct weir_sim_event e = {.at_us = 1 + weir_rand_below(&r, 50), .number = i};
        assert_true(weir_sim_events_add(&q, &e));
    }
    struct weir_sim_event before = {0};
    for (uint32_t i = 0; i < EVENTS; i++) {
        uint64_t next_us = weir_sim_events_next_us(&q);
        struct weir_sim_event e = weir_sim_events_take(&q);
        assert_int_equal(e.at_us, next_us);
        assert_true(e.at_us > before.at_us ||
                    (e.at_us == before.at_us && e.number > before.number));
        before = e;
    }
    assert_true(weir_sim_events_next_us(&q) == UINT64_MAX);
    weir_sim_events_deinit(&q);
}

static void test_ledger(void **state)
{
    (void)state;
    static const struct weir_limit limit[] = {{WEIR_METER_OUTPUT_TOKENS, 1, 100},
                                              {WEIR_METER_TOTAL_TOKENS, 2, 1000}};
    struct weir_plan plan;
    struct weir_sim_ledger l = {0};
    struct weir_sim_span span[2] = {{0}};
    uint32_t number;
    assert_int_equal(weir_plan_compile(limit, 2, &plan), WEIR_OK);
    for (uint32_t i = 0; i < 10; i++) { /* ten in a second */
        struct weir_amounts a = weir_amounts(1, 20, 10);
        assert_true(weir_sim_ledger_fits(span, &plan, &a));
        assert_true(weir_sim_ledger_add(&l, span, &plan, 5 + i, &a, &number));
        assert_int_equal(number, i);
    }
    struct weir_amounts one = weir_amounts(1, 0, 1), none = weir_amounts(1, 5, 0);
    assert_false(weir_sim_ledger_fits(span, &plan, &one));
    assert_true(weir_sim_ledger_fits(span, &plan, &none)); /* asks nothing of the full limit */
    weir_sim_ledger_lower(&l, span, &plan, 9, 4);
    weir_sim_ledger_lower(&l, span, &plan, 9, 400); /* what is left of it */
    assert_int_equal(weir_sim_span_of(&span[0], WEIR_METER_OUTPUT_TOKENS), 90);
    assert_int_equal(weir_sim_span_of(&span[1], WEIR_METER_TOTAL_TOKENS), 290);
    assert_int_equal(weir_sim_span_of(&span[1], WEIR_METER_INPUT_TOKENS), 200);
    weir_sim_ledger_expire(&l, span, &plan, 1000004);
    assert_int_equal(weir_sim_span_of(&span[0], WEIR_METER_REQUESTS), 10);
    weir_sim_ledger_expire(&l, span, &plan, 1000005); /* half-open: the first is out */
    assert_int_equal(weir_sim_span_of(&span[0], WEIR_METER_REQUESTS), 9);
    assert_int_equal(weir_sim_span_of(&span[1], WEIR_METER_REQUESTS), 10);
    weir_sim_ledger_lower(&l, span, &plan, 0, 3); /* out of the one, still in the other */
    assert_int_equal(span[0].output, 80);
    assert_int_equal(span[1].output, 87);
    weir_sim_ledger_expire(&l, span, &plan, 3000000);
    weir_sim_ledger_lower(&l, span, &plan, 9, 1); /* gone */
    for (unsigned k = 0; k < 2; k++) {
        assert_int_equal(span[k].requests, 0);
        assert_int_equal(span[k].input + span[k].output, 0);
    }
    weir_sim_ledger_deinit(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_ledger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
