/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/hist.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"

static void test_str_u64(void **state)
{
    (void)state;
    uint64_t v = 7;
    assert_int_equal(weir_str_u64(WEIR_STR("18446744073709551615"), UINT64_MAX, &v), WEIR_OK);
    assert_true(v == UINT64_MAX);
    assert_int_equal(weir_str_u64(WEIR_STR("18446744073709551616"), UINT64_MAX, &v),
                     WEIR_ERR_LIMIT);
    assert_int_equal(weir_str_u64(WEIR_STR("11"), 10, &v), WEIR_ERR_LIMIT);
    assert_int_equal(weir_str_u64(WEIR_STR("99999999999999999999x"), 10, &v), WEIR_ERR_INVALID);
    assert_int_equal(weir_str_u64(WEIR_STR(""), 10, &v), WEIR_ERR_INVALID);
    assert_int_equal(weir_str_u64(WEIR_STR("-1"), 10, &v), WEIR_ERR_INVALID);
    assert_true(v == UINT64_MAX); /* untouched on failure */
}

static void test_str(void **state)
{
    (void)state;
    assert_true(weir_str_eq(weir_str_trim(WEIR_STR(" \ta b\t ")), WEIR_STR("a b")));
    char copy[3] = "xyz";
    assert_int_equal(weir_str_copy(weir_str(NULL, 0), copy, sizeof(copy)), 0);
    assert_int_equal(weir_str_copy(WEIR_STR("a"), copy, sizeof(copy)), 1);
    assert_memory_equal(copy, "ayz", 3);
    assert_int_equal(weir_str_copy(WEIR_STR("abcd"), copy, sizeof(copy)), 3);
    assert_memory_equal(copy, "abc", 3);
    assert_true(weir_str_eq_nocase(WEIR_STR("Content-TYPE"), WEIR_STR("content-type")));
    assert_false(weir_str_eq_nocase(WEIR_STR("content-typ"), WEIR_STR("content-type")));
    assert_true(weir_str_starts(WEIR_STR("Bearer x"), WEIR_STR("Bearer ")));
}

static void test_buf_maximum(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        weir_buf_char(&b, 'x');
    }
    assert_false(b.failed);
    weir_buf_char(&b, 'y'); /* N + 1 */
    assert_true(b.failed);
    assert_int_equal(b.len, 1000);
    weir_buf_consume(&b, 999);
    WEIR_BUF_LIT(&b, "z");
    assert_true(b.failed); /* stays until reset */
    weir_buf_reset(&b);
    weir_buf_u64(&b, UINT64_MAX);
    weir_buf_printf(&b, "-%d", 5);
    assert_true(weir_str_eq(weir_buf_view(&b), WEIR_STR("18446744073709551615-5")));
    weir_buf_deinit(&b);
}

static void test_buf_small_maximum(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 3);
    weir_buf_append(&b, "abc", 3);
    assert_false(b.failed);
    weir_buf_char(&b, 'd');
    assert_true(b.failed);
    assert_int_equal(b.len, 3);
    weir_buf_deinit(&b);
}

static void test_buf_no_memory(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 1 << 20);
    WEIR_BUF_LIT(&b, "kept");
    weir_mem_fail_after(0);
    for (unsigned i = 0; i < 10000; i++) {
        WEIR_BUF_LIT(&b, "0123456789");
    }
    weir_mem_fail_after(UINT64_MAX);
    assert_true(b.failed);
    assert_memory_equal(b.data, "kept", 4);
    weir_buf_deinit(&b);
}

static void test_buf_json(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 1000);
    weir_buf_json(&b, weir_str("a\"\\\n\x01\xc3\xa9", 7));
    assert_true(weir_str_eq(weir_buf_view(&b), WEIR_STR("\"a\\\"\\\\\\n\\u0001\xc3\xa9\"")));
    weir_buf_deinit(&b);
}

/* Every quantile within 3.2 % of the true one, and never above the largest value. */
static void test_hist(void **state)
{
    (void)state;
    struct weir_hist *h = weir_zalloc(sizeof(*h));
    for (uint64_t v = 1; v <= 100000; v++) {
        weir_hist_add(h, v * 1000);
    }
    for (unsigned p = 1; p <= 100; p++) {
        double truth = p * 1e6;
        double got = (double)weir_hist_quantile_ns(h, p / 100.0);
        assert_true(got >= truth * 0.9999 && got <= truth * 1.033);
    }
    assert_int_equal(weir_hist_quantile_ns(h, 1.0), 100000000);
    assert_true(weir_hist_count_upto(h, 50000000) <= 50000);
    assert_true(weir_hist_count_upto(h, 50000000) > 48000);
    struct weir_hist *sum = weir_zalloc(sizeof(*sum));
    weir_hist_add(sum, 7);
    weir_hist_merge(sum, h);
    assert_int_equal(sum->count, h->count + 1);
    assert_int_equal(sum->sum_ns, h->sum_ns + 7);
    assert_int_equal(weir_hist_quantile_ns(sum, 1.0), 100000000);
    assert_int_equal(weir_hist_count_upto(sum, 7), 1);
    weir_free(sum);
    weir_hist_add(h, UINT64_MAX); /* beyond the last bucket */
    assert_true(weir_hist_quantile_ns(h, 1.0) > 100000000);
    weir_free(h);
}

static void test_log_gate(void **state)
{
    (void)state;
    struct weir_log_gate gate = {0};
    uint32_t held = 9;
    unsigned passed = 0;
    for (unsigned i = 0; i < 100; i++) {
        passed += (unsigned)weir_log_gate_pass(&gate, 3, 1000 + i, &held);
    }
    assert_int_equal(passed, 3);
    assert_int_equal(weir_log_gate_pass(&gate, 3, 20000000, &held), 1);
    assert_int_equal(held, 97);
}

static void test_rand(void **state)
{
    (void)state;
    struct weir_rand a, b;
    weir_rand_init(&a, 1);
    weir_rand_init(&b, 1);
    uint64_t seen = 0;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t x = weir_rand_below(&a, 10);
        assert_true(x < 10);
        assert_int_equal(x, weir_rand_below(&b, 10));
        seen |= UINT64_C(1) << x;
    }
    assert_int_equal(seen, (1 << 10) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_str_u64),       cmocka_unit_test(test_str),
        cmocka_unit_test(test_buf_maximum),   cmocka_unit_test(test_buf_small_maximum),
        cmocka_unit_test(test_buf_no_memory), cmocka_unit_test(test_buf_json),
        cmocka_unit_test(test_hist),          cmocka_unit_test(test_log_gate),
        cmocka_unit_test(test_rand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
