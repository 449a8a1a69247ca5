/* SPDX-License-Identifier: Apache-2.0 */
/* Slices, buffers, memory, histograms and random numbers at their bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/hist.h"
#include "base/mem.h"
#include "base/rand.h"

/* ---- slices ---- */

static void test_u64_forms(void **state)
{
    (void)state;
    static const char *const wrong[] = {"+1", " 1", "1 ", "0x1", "1.0", "1e3", "١", ":", "/"};
    uint64_t v = 7;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(weir_str_u64(weir_str_z(wrong[i]), UINT64_MAX, &v), WEIR_ERR_INVALID);
    }
    assert_int_equal(weir_str_u64(weir_str("1\0", 2), 10, &v), WEIR_ERR_INVALID);
    assert_int_equal(weir_str_u64(WEIR_STR("18446744073709551620"), UINT64_MAX, &v),
                     WEIR_ERR_LIMIT); /* over by the digit */
    assert_int_equal(weir_str_u64(WEIR_STR("184467440737095516150"), UINT64_MAX, &v),
                     WEIR_ERR_LIMIT); /* over by its place */
    assert_int_equal(weir_str_u64(WEIR_STR("36893488147419103232"), UINT64_MAX, &v),
                     WEIR_ERR_LIMIT); /* 2^65 */
    assert_int_equal(v, 7);
    assert_int_equal(weir_str_u64(WEIR_STR("10"), 10, &v), WEIR_OK);
    assert_int_equal(v, 10);
    assert_int_equal(weir_str_u64(WEIR_STR("000000000000000000000000010"), 10, &v), WEIR_OK);
    assert_int_equal(weir_str_u64(WEIR_STR("0"), 0, &v), WEIR_OK);
    assert_int_equal(v, 0);
}

static void test_slices(void **state)
{
    (void)state;
    assert_int_equal(weir_str_trim(WEIR_STR(" \t ")).len, 0);
    assert_int_equal(weir_str_trim(weir_str(NULL, 0)).len, 0);
    assert_true(weir_str_eq(weir_str_trim(WEIR_STR("\na")), WEIR_STR("\na"))); /* no line end */
    assert_true(weir_str_eq(weir_str(NULL, 0), WEIR_STR("")));
    assert_false(weir_str_eq(WEIR_STR("a"), WEIR_STR("ab")));
    assert_false(weir_str_eq(WEIR_STR("a\0b"), WEIR_STR("a\0c")));
    assert_false(weir_str_starts(WEIR_STR("Bear"), WEIR_STR("Bearer ")));
    assert_true(weir_str_starts(WEIR_STR("Bear"), WEIR_STR("Bear")));
    assert_false(weir_str_eq_nocase(WEIR_STR("@[`{"), WEIR_STR("`{@[")));
    assert_true(weir_str_eq_nocase(WEIR_STR("AZaz"), WEIR_STR("azaz")));
}

/* ---- buffers ---- */

static void test_buf_reserve(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 1000);
    assert_true(weir_buf_reserve(&b, 1000));
    assert_int_equal(b.room, 1000); /* never more than the maximum */
    weir_buf_char(&b, 'x');
    assert_false(weir_buf_reserve(&b, SIZE_MAX)); /* len + more overflows */
    assert_true(b.failed);
    weir_buf_reset(&b);
    assert_false(weir_buf_reserve(&b, 1001));
    weir_buf_reset(&b);
    weir_buf_append(&b, NULL, 0);
    assert_int_equal(b.len, 0);
    weir_buf_consume(&b, 0);
    weir_buf_deinit(&b);
    assert_null(b.data);
    weir_buf_init(&b, 0);
    weir_buf_append(&b, NULL, 0);
    assert_false(b.failed);
    weir_buf_char(&b, 'x');
    assert_true(b.failed);
    weir_buf_deinit(&b);
}

/* An append of many bytes lies whole in the buffer or not at all. */
static void test_buf_whole(void **state)
{
    (void)state;
    struct weir_buf b;
    char kilobyte[1024];
    memset(kilobyte, 'k', sizeof(kilobyte));
    weir_buf_init(&b, 1500);
    weir_buf_append(&b, kilobyte, sizeof(kilobyte));
    weir_buf_append(&b, kilobyte, sizeof(kilobyte));
    assert_true(b.failed);
    assert_int_equal(b.len, 1024);
    weir_buf_consume(&b, 1000);
    assert_int_equal(b.len, 24);
    weir_buf_reset(&b);
    weir_buf_printf(&b, "%01499d", 7); /* and its NUL */
    assert_false(b.failed);
    assert_int_equal(b.len, 1499);
    weir_buf_reset(&b);
    weir_buf_printf(&b, "%01500d", 7);
    assert_true(b.failed);
    assert_int_equal(b.len, 0);
    weir_buf_deinit(&b);
}

static void test_buf_numbers(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 1000);
    for (uint64_t v = 1, power = 1; power != 0; power = power > UINT64_MAX / 10 ? 0 : power * 10) {
        for (v = power - 1; v <= power; v++) {
            char expected[32];
            int len = snprintf(expected, sizeof(expected), "%llu", (unsigned long long)v);
            weir_buf_reset(&b);
            weir_buf_u64(&b, v);
            assert_true(weir_str_eq(weir_buf_view(&b), weir_str(expected, (size_t)len)));
        }
    }
    weir_buf_deinit(&b);
}

/* Every control character is escaped, nothing else but the quote and the backslash. */
static void test_json_bytes(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 1000);
    for (unsigned c = 0; c < 256; c++) {
        char byte = (char)c, expected[16];
        int len = c == '\n'               ? snprintf(expected, sizeof(expected), "\"\\n\"")
                  : c < 0x20              ? snprintf(expected, sizeof(expected), "\"\\u%04x\"", c)
                  : c == '"' || c == '\\' ? snprintf(expected, sizeof(expected), "\"\\%c\"", byte)
                                          : snprintf(expected, sizeof(expected), "\"%c\"", byte);
        weir_buf_reset(&b);
        weir_buf_json(&b, weir_str(&byte, 1));
        assert_true(weir_str_eq(weir_buf_view(&b), weir_str(expected, (size_t)len)));
    }
    weir_buf_reset(&b);
    weir_buf_json(&b, weir_str(NULL, 0));
    assert_true(weir_str_eq(weir_buf_view(&b), WEIR_STR("\"\"")));
    weir_buf_deinit(&b);
}

/* ---- memory ---- */

static void test_memory(void **state)
{
    (void)state;
    assert_null(weir_zalloc_array(SIZE_MAX / 8 + 2, 8)); /* 8 bytes, were the overflow not seen */
    char *block = weir_zalloc_aligned(64, 256);
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % 64, 0);
    for (unsigned i = 0; i < 256; i++) {
        assert_int_equal(block[i], 0);
    }
    weir_free(block);
    char secret[] = "ab";
    weir_wipe(secret, 2);
    assert_memory_equal(secret, "\0\0", 2);
    weir_free(NULL);
}

static void test_injected_failure(void **state)
{
    (void)state;
    weir_mem_fail_after(2);
    char *first = weir_zalloc(8), *second = weir_realloc(NULL, 8);
    assert_non_null(first);
    assert_non_null(second);
    assert_null(weir_zalloc(8));
    assert_null(weir_zalloc_array(1, 8));
    assert_null(weir_zalloc_aligned(8, 8));
    assert_null(weir_realloc(first, 16)); /* `first` stays */
    weir_mem_fail_after(UINT64_MAX);
    weir_free(first);
    weir_free(second);
}

/* ---- histograms ---- */

static void test_hist_edges(void **state)
{
    (void)state;
    struct weir_hist *h = weir_zalloc(sizeof(*h)), *sum = weir_zalloc(sizeof(*sum));
    assert_int_equal(weir_hist_quantile_ns(h, 0.5), 0);
    assert_int_equal(weir_hist_count_upto(h, UINT64_MAX), 0);
    assert_true(weir_hist_mean_ns(h) <= 0.0);
    /* one value: every quantile is that value, or what its bucket ends with */
    for (unsigned power = 0; power < 40; power++) {
        for (int off = -1; off <= 1; off++) {
            uint64_t value = (UINT64_C(1) << power) + (uint64_t)off;
            memset(h, 0, sizeof(*h));
            weir_hist_add(h, value);
            assert_int_equal(weir_hist_quantile_ns(h, 0.0), value);
            assert_int_equal(weir_hist_quantile_ns(h, 1.0), value);
            assert_int_equal(weir_hist_count_upto(h, value - (value > 0)), value > 0 ? 0 : 1);
            assert_int_equal(weir_hist_count_upto(h, value + value / 31 + 1), 1);
            weir_hist_add(sum, value);
        }
    }
    assert_int_equal(sum->count, 120);
    assert_int_equal(weir_hist_quantile_ns(sum, 1.0), (UINT64_C(1) << 39) + 1);
    weir_free(h);
    weir_free(sum);
}

/* The last bucket has no end: what is in it is at most no bound. */
static void test_hist_beyond(void **state)
{
    (void)state;
    struct weir_hist *h = weir_zalloc(sizeof(*h));
    weir_hist_add(h, UINT64_C(1) << 50);
    assert_int_equal(weir_hist_count_upto(h, UINT64_C(1) << 41), 0);
    assert_int_equal(weir_hist_count_upto(h, UINT64_MAX), 0);
    weir_free(h);
}

static void test_hist_quantiles(void **state)
{
    (void)state;
    struct weir_hist *h = weir_zalloc(sizeof(*h));
    for (unsigned i = 0; i < 90; i++) {
        weir_hist_add(h, 10);
    }
    for (unsigned i = 0; i < 10; i++) {
        weir_hist_add(h, 20);
    }
    assert_int_equal(weir_hist_quantile_ns(h, 0.5), 10);
    assert_int_equal(weir_hist_quantile_ns(h, 0.9), 10);
    assert_int_equal(weir_hist_quantile_ns(h, 0.91), 20);
    weir_hist_add(h, 64); /* the bucket of 64 and 65 */
    assert_int_equal(weir_hist_quantile_ns(h, 1.0), 64);
    weir_hist_add(h, 1000);
    assert_int_equal(weir_hist_quantile_ns(h, 101.0 / 102), 65);
    assert_int_equal(weir_hist_count_upto(h, 64), 100);
    assert_int_equal(weir_hist_count_upto(h, 65), 101);
    weir_free(h);
}

static void test_hist_mean(void **state)
{
    (void)state;
    struct weir_hist *h = weir_zalloc(sizeof(*h));
    for (unsigned i = 0; i < 10; i++) {
        weir_hist_add(h, i < 9 ? 10 : 20);
    }
    assert_true(weir_hist_mean_ns(h) > 10.99 && weir_hist_mean_ns(h) < 11.01);
    weir_free(h);
}

/* ---- random numbers and hashes ---- */

static void test_random(void **state)
{
    (void)state;
    struct weir_rand r;
    weir_rand_init(&r, 0);
    assert_true(weir_mix64(0) == UINT64_C(0xe220a8397b1dcdaf)); /* splitmix64's first of seed 0 */
    double sum = 0;
    for (unsigned i = 0; i < 10000; i++) {
        double unit = weir_rand_unit(&r);
        assert_true(unit >= 0.0 && unit < 1.0);
        sum += unit;
        assert_int_equal(weir_rand_below(&r, 1), 0);
    }
    assert_true(sum > 4850 && sum < 5150);
    uint64_t a[2], b[2], c[2];
    weir_hash128("ab", 2, a);
    weir_hash128("ab", 2, b);
    weir_hash128("ac", 2, c);
    assert_memory_equal(a, b, sizeof(a));
    assert_memory_not_equal(a, c, sizeof(a));
    unsigned char noise[1000] = {0};
    unsigned zeros = 0;
    weir_random_bytes(noise, sizeof(noise));
    for (size_t i = 0; i < sizeof(noise); i++) {
        zeros += noise[i] == 0;
    }
    assert_true(zeros < 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_u64_forms),      cmocka_unit_test(test_slices),
        cmocka_unit_test(test_buf_reserve),    cmocka_unit_test(test_buf_whole),
        cmocka_unit_test(test_buf_numbers),    cmocka_unit_test(test_json_bytes),
        cmocka_unit_test(test_memory),         cmocka_unit_test(test_injected_failure),
        cmocka_unit_test(test_hist_edges),     cmocka_unit_test(test_hist_beyond),
        cmocka_unit_test(test_hist_quantiles), cmocka_unit_test(test_hist_mean),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
