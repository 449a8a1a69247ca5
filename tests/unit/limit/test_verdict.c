/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions about parts of a request's subjects, joined: as if one had been made about all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rand.h"
#include "limit/window.h"
#include "support/decision.h"

static const uint64_t NOW_US = UINT64_C(1700000000000000);

enum { ROUNDS = 20000, VALUE_ROOM = 4096 };

struct fixture {
    struct weir_rand random;
    struct weir_plan plan[WEIR_SUBJECTS_MAX];
    struct weir_value value[WEIR_SUBJECTS_MAX];
    uint8_t bytes[WEIR_SUBJECTS_MAX][VALUE_ROOM];
};

/* Limits of any meters of two windows, and something used of them. */
static void subject(struct fixture *f, unsigned s)
{
    struct weir_limit limit[2 * WEIR_METERS];
    size_t limits = 0;
    for (unsigned i = 0; i < 2 * WEIR_METERS; i++) {
        if (weir_rand_below(&f->random, 2) == 0) {
            limit[limits++] = (struct weir_limit){.meter = i % WEIR_METERS,
                                                  .window_s = i < WEIR_METERS ? 1 : 60,
                                                  .capacity = weir_rand_below(&f->random, 50)};
        }
    }
    assert_int_equal(weir_plan_compile(limit, limits, &f->plan[s]), WEIR_OK);
    if (limits > 0 && weir_rand_below(&f->random, 4) == 0) {
        weir_plan_shadow(&f->plan[s], &limit[0]);
    }
    f->value[s] = (struct weir_value){.data = f->bytes[s], .room = VALUE_ROOM};
    const struct weir_amounts a =
        weir_amounts(weir_rand_below(&f->random, 6), weir_rand_below(&f->random, 4),
                     weir_rand_below(&f->random, 4));
    uint64_t at_us = NOW_US - weir_rand_below(&f->random, 900000);
    assert_int_equal(weir_value_prepare(&f->value[s], &f->plan[s], at_us), 0);
    assert_int_equal(weir_value_add(&f->value[s], &f->plan[s], at_us, &a), 0);
    assert_int_equal(weir_value_prepare(&f->value[s], &f->plan[s], NOW_US), 0);
}

static void decide(struct fixture *f, unsigned from, unsigned to, const struct weir_amounts *a,
                   struct weir_decision *d)
{
    struct weir_verdict verdict;
    weir_decision_begin(d, NOW_US);
    for (unsigned s = from; s < to; s++) {
        if (!weir_value_fits(&f->value[s], &f->plan[s], NOW_US, a, &verdict)) {
            weir_decision_deny(d, s - from, &verdict);
        }
        weir_value_states(&f->value[s], &f->plan[s], NOW_US, s - from, d);
    }
}

static void test_joined_as_one(void **state)
{
    (void)state;
    static struct fixture f;
    unsigned denied = 0, by_both = 0;
    weir_rand_init(&f.random, 5);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct weir_decision whole, own, shared;
        for (unsigned s = 0; s < WEIR_SUBJECTS_MAX; s++) {
            subject(&f, s);
        }
        const struct weir_amounts a =
            weir_amounts(1, weir_rand_below(&f.random, 4), weir_rand_below(&f.random, 4));
        unsigned first = 1 + (unsigned)weir_rand_below(&f.random, WEIR_SUBJECTS_MAX - 1);
        decide(&f, 0, WEIR_SUBJECTS_MAX, &a, &whole);
        decide(&f, 0, first, &a, &own);
        decide(&f, first, WEIR_SUBJECTS_MAX, &a, &shared);
        denied += !whole.allowed;
        by_both += !own.allowed && !shared.allowed;
        weir_decision_join(&own, &shared, first);
        assert_true(same_decision(&own, &whole));
    }
    assert_in_range(denied, ROUNDS / 10, ROUNDS - ROUNDS / 10);
    assert_in_range(by_both, ROUNDS / 10, ROUNDS - ROUNDS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joined_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
