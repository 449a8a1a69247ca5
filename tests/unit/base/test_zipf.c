/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks by Zipf's law: against the law's own sums, at both ends, and as large as they may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>

#include "base/zipf.h"

enum { RANKS = 50, DRAWS = 400000 };

/* Every rank comes up as often as the law says, within five deviations. */
static void test_shares(void **state)
{
    (void)state;
    static const double exponents[] = {0, 0.5, 1, 1.2, 3};
    for (size_t e = 0; e < sizeof(exponents) / sizeof(exponents[0]); e++) {
        struct weir_rand r;
        struct weir_zipf z;
        unsigned drawn[RANKS] = {0};
        double sum = 0;
        weir_rand_init(&r, 1);
        weir_zipf_init(&z, RANKS, exponents[e]);
        for (unsigned i = 0; i < DRAWS; i++) {
            uint64_t rank = weir_zipf_draw(&z, &r);
            assert_in_range(rank, 0, RANKS - 1);
            drawn[rank]++;
        }
        for (unsigned k = 1; k <= RANKS; k++) {
            sum += pow(k, -exponents[e]);
        }
        for (unsigned k = 1; k <= RANKS; k++) {
            double expected = DRAWS * pow(k, -exponents[e]) / sum;
            assert_true(fabs(drawn[k - 1] - expected) < 5 * sqrt(expected) + 5);
        }
    }
}

static void test_bounds(void **state)
{
    (void)state;
    struct weir_rand r;
    struct weir_zipf z;
    weir_rand_init(&r, 1);
    for (int s = 0; s <= 10; s++) {
        weir_zipf_init(&z, 1, s);
        assert_int_equal(weir_zipf_draw(&z, &r), 0);
        weir_zipf_init(&z, UINT64_C(1) << 50, s);
        uint64_t highest = 0;
        for (int i = 0; i < 1000; i++) {
            uint64_t rank = weir_zipf_draw(&z, &r);
            assert_true(rank < UINT64_C(1) << 50);
            highest = rank > highest ? rank : highest;
        }
        assert_true(s > 1 || highest > UINT64_C(1) << 40);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
