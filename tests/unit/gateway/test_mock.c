/* SPDX-License-Identifier: Apache-2.0 */
/* The mock model: the same request gets the same answer, lengths follow the distribution. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rand.h"
#include "gateway/mock.h"

static const struct weir_mock_config MOCK = {.seed = 1, .output_mean = 150, .output_max = 512};

static void test_same_request_same_answer(void **state)
{
    (void)state;
    for (uint64_t prompt = 0; prompt < 100; prompt++) {
        struct weir_mock_answer a = weir_mock_answer(&MOCK, prompt, 512);
        struct weir_mock_answer b = weir_mock_answer(&MOCK, prompt, 512);
        assert_int_equal(a.output_tokens, b.output_tokens);
        assert_int_equal(a.cut, b.cut);
        for (uint32_t i = 0; i < a.output_tokens; i++) {
            assert_true(weir_str_eq(weir_mock_word(&a, i), weir_mock_word(&b, i)));
        }
    }
}

static unsigned differences(const struct weir_mock_config *one, uint64_t prompt_one,
                            const struct weir_mock_config *two, uint64_t prompt_two)
{
    struct weir_mock_answer a = weir_mock_answer(one, prompt_one, 1000);
    struct weir_mock_answer b = weir_mock_answer(two, prompt_two, 1000);
    unsigned n = 0;
    for (uint32_t i = 0; i < 64; i++) { /* words are defined beyond the end, too */
        n += !weir_str_eq(weir_mock_word(&a, i), weir_mock_word(&b, i));
    }
    return n;
}

static void test_seed_and_request_both_matter(void **state)
{
    (void)state;
    struct weir_mock_config other = MOCK;
    other.seed = 2;
    for (uint64_t prompt = 0; prompt < 100; prompt++) {
        assert_true(differences(&MOCK, prompt, &other, prompt) > 32);
        assert_true(differences(&MOCK, prompt, &MOCK, prompt + 1) > 32);
    }
}

/* Of 100 000 exponential lengths around 150, rounded down: the mean is 149.5, one standard error
 * is 0.47. The seeds are fixed. */
static void test_mean(void **state)
{
    (void)state;
    const struct weir_mock_config mock = {.seed = 1, .output_mean = 150, .output_max = 1000000};
    uint64_t sum = 0;
    unsigned above_twice = 0;
    enum { N = 100000 };
    for (uint64_t i = 0; i < N; i++) {
        struct weir_mock_answer a = weir_mock_answer(&mock, weir_mix64(i), UINT64_MAX);
        assert_false(a.cut);
        sum += a.output_tokens;
        above_twice += a.output_tokens > 300;
    }
    double mean = (double)sum / N;
    assert_true(mean > 148 && mean < 151);
    assert_true(above_twice > N * 0.125 && above_twice < N * 0.145); /* e^-2 = 0.135 */
}

static void test_never_above_a_maximum(void **state)
{
    (void)state;
    static const uint64_t maxima[] = {0, 1, 2, 100, 511, 512, 513, 1000000, UINT64_MAX};
    for (size_t m = 0; m < sizeof(maxima) / sizeof(maxima[0]); m++) {
        uint64_t most = maxima[m] < 512 ? maxima[m] : 512;
        bool cut = false;
        for (uint64_t i = 0; i < 2000; i++) {
            struct weir_mock_answer a = weir_mock_answer(&MOCK, weir_mix64(i), maxima[m]);
            struct weir_mock_answer whole = weir_mock_answer(&MOCK, weir_mix64(i), 512);
            assert_true(a.output_tokens <= most);
            assert_true(a.output_tokens >= 1 || maxima[m] == 0);
            /* the maximum cuts the answer, it does not make another one */
            uint64_t expected = whole.output_tokens < most ? whole.output_tokens : most;
            assert_int_equal(a.output_tokens, expected);
            assert_true(!a.cut || a.output_tokens == most);
            cut = cut || a.cut;
        }
        assert_true(cut);
    }
}

/* Words go into JSON as they are. */
static void test_words(void **state)
{
    (void)state;
    struct weir_mock_answer a = weir_mock_answer(&MOCK, 7, 512);
    for (uint32_t i = 0; i < 10000; i++) {
        struct weir_str word = weir_mock_word(&a, i);
        assert_int_equal(word.p[0] == ' ', i > 0);
        for (size_t k = i > 0; k < word.len; k++) {
            assert_true(word.p[k] >= 'a' && word.p[k] <= 'z');
        }
        assert_true(word.len > (i > 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_request_same_answer),
        cmocka_unit_test(test_seed_and_request_both_matter),
        cmocka_unit_test(test_mean),
        cmocka_unit_test(test_never_above_a_maximum),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
