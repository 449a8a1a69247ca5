/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "store/settled.h"

enum { TTL_US = 1000000 };

static struct weir_settled *settled_of(uint32_t max)
{
    struct weir_settled *s;
    assert_int_equal(weir_settled_new(max, TTL_US, &s), WEIR_OK);
    return s;
}

static void test_claims(void **state)
{
    (void)state;
    struct weir_settled *s = settled_of(100000);
    for (uint64_t n = 2; n < 5000; n++) {
        assert_false(weir_settled_has(s, n));
        assert_int_equal(weir_settled_claim(s, n, n), WEIR_CLAIM_FIRST);
        assert_int_equal(weir_settled_claim(s, n, n), WEIR_CLAIM_REPEATED);
        assert_true(weir_settled_has(s, n));
    }
    /* remembered for at least the ttl, over a rotation */
    assert_int_equal(weir_settled_claim(s, 4000, 4000 + TTL_US), WEIR_CLAIM_REPEATED);
    assert_int_equal(weir_settled_claim(s, 4001, 4001 + TTL_US), WEIR_CLAIM_REPEATED);
    assert_true(weir_settled_has(s, 4002));
    /* and not for ever */
    assert_int_equal(weir_settled_claim(s, 4000, 10 * TTL_US), WEIR_CLAIM_FIRST);
    weir_settled_free(s);
}

/* Whenever it was claimed: for at least the ttl, over every rotation. */
static void test_remembered_for_the_ttl(void **state)
{
    (void)state;
    struct weir_settled *s = settled_of(100);
    for (uint64_t n = 0; n < 100; n++) {
        uint64_t now_us = n * TTL_US / 8;
        assert_int_equal(weir_settled_claim(s, 2 + n, now_us), WEIR_CLAIM_FIRST);
        for (uint64_t before = 0; before <= 8 && before <= n; before++) {
            assert_int_equal(weir_settled_claim(s, 2 + n - before, now_us), WEIR_CLAIM_REPEATED);
        }
    }
    weir_settled_free(s);
}

/* Guarantee 6. */
static void test_bound(void **state)
{
    (void)state;
    struct weir_settled *s = settled_of(3);
    assert_int_equal(weir_settled_claim(s, 10, 1), WEIR_CLAIM_FIRST);
    assert_int_equal(weir_settled_claim(s, 11, 1), WEIR_CLAIM_FIRST);
    assert_int_equal(weir_settled_claim(s, 12, 1), WEIR_CLAIM_FIRST);
    assert_int_equal(weir_settled_claim(s, 13, 1), WEIR_CLAIM_FULL);
    assert_int_equal(weir_settled_claim(s, 12, 1), WEIR_CLAIM_REPEATED);
    assert_int_equal(weir_settled_claim(s, 13, 1 + TTL_US), WEIR_CLAIM_FIRST);
    weir_settled_free(s);
}

static void test_forget(void **state)
{
    (void)state;
    struct weir_settled *s = settled_of(10);
    assert_int_equal(weir_settled_claim(s, 10, 1), WEIR_CLAIM_FIRST);
    weir_settled_forget(s, 10);
    assert_int_equal(weir_settled_claim(s, 10, 1), WEIR_CLAIM_FIRST);
    weir_settled_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_remembered_for_the_ttl),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
