/* SPDX-License-Identifier: Apache-2.0 */
/* Counting by a packed vocabulary against merging done the plain way, and which encoding a model
 * has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/guard.h"
#include "support/vocabulary.h"

static struct list list;
static struct weir_buf file;
static struct weir_vocabulary vocabulary;

static void open_list(enum weir_split_rule rule)
{
    list_open(&list, rule, &file, &vocabulary);
}

static uint64_t count(const char *text)
{
    return weir_tokens_count(&vocabulary.encoding[0], weir_str_z(text));
}

static void test_by_hand(void **state)
{
    (void)state;
    static const char *const merges[] = {"ab", "bc", "abc", "cd", " a", " ab"};
    list_init(&list);
    for (size_t i = 0; i < sizeof(merges) / sizeof(merges[0]); i++) {
        list_add(&list, merges[i], strlen(merges[i]));
    }
    open_list(WEIR_SPLIT_O200K);
    assert_int_equal(count(""), 0);
    assert_int_equal(count("a"), 1);
    assert_int_equal(count("ab"), 1);
    assert_int_equal(count("abc"), 1);
    assert_int_equal(count("abcd"), 2);     /* ab is merged first, then abc: abc d, not ab cd */
    assert_int_equal(count("bcd"), 2);      /* bc d */
    assert_int_equal(count("xcd"), 2);      /* x cd */
    assert_int_equal(count("abc ab a"), 3); /* three pieces */
    assert_int_equal(count("abcabcabc"), 3);
    assert_int_equal(count(" b"), 2);
    weir_buf_deinit(&file);
}

static void test_random(void **state)
{
    (void)state;
    struct weir_rand dice;
    struct guard g;
    guard_init(&g, 1024);
    weir_rand_init(&dice, 3);
    for (int round = 0; round < 12; round++) {
        static const char letters[] = "abcdefgh";
        struct weir_str some = weir_str(letters, 1 + (size_t)round % 8);
        list_init(&list);
        list_grow(&list, &dice, some, 256 + 20 * (size_t)(round + 1));
        open_list(round % 2 == 0 ? WEIR_SPLIT_O200K : WEIR_SPLIT_CL100K);
        for (int i = 0; i < 300; i++) {
            char text[300]; /* letters are one piece */
            size_t len = i == 0 ? sizeof(text) : 1 + weir_rand_below(&dice, 40);
            for (size_t at = 0; at < len; at++) {
                text[at] = some.p[weir_rand_below(&dice, some.len)];
            }
            struct weir_str s = guard_put(&g, weir_str(text, len));
            assert_int_equal(weir_tokens_count(&vocabulary.encoding[0], s), list_count(&list, s));
        }
        weir_buf_deinit(&file);
    }
    guard_deinit(&g);
}

/* A piece that is padded like a token, and tokens that end with a NUL. */
static void test_nul(void **state)
{
    (void)state;
    list_init(&list);
    list_add(&list, "!#", 2);
    list_add(&list, "\0\0", 2);
    list_add(&list, "!\0", 2);
    open_list(WEIR_SPLIT_CL100K);
    static const char *const texts[] = {"!#\0", "!\0", "\0\0", "\0\0\0", "!#\0\0", "!!\0"};
    static const size_t lengths[] = {3, 2, 2, 3, 4, 3};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct weir_str s = weir_str(texts[i], lengths[i]);
        assert_int_equal(weir_tokens_count(&vocabulary.encoding[0], s), list_count(&list, s));
    }
    weir_buf_deinit(&file);
}

/* A long piece needs memory; without it is counted too high. */
static void test_no_memory(void **state)
{
    (void)state;
    char text[600];
    memset(text, 'a', sizeof(text));
    list_init(&list);
    list_add(&list, "aa", 2);
    open_list(WEIR_SPLIT_O200K);
    for (size_t len = 255; len <= 258; len++) {
        weir_mem_fail_after(0);
        uint64_t without = weir_tokens_count(&vocabulary.encoding[0], weir_str(text, len));
        weir_mem_fail_after(1);
        uint64_t half = weir_tokens_count(&vocabulary.encoding[0], weir_str(text, len));
        weir_mem_fail_after(UINT64_MAX);
        assert_int_equal(weir_tokens_count(&vocabulary.encoding[0], weir_str(text, len)),
                         (len + 1) / 2);
        assert_int_equal(without, len <= 256 ? (len + 1) / 2 : len);
        assert_int_equal(half, without);
    }
    weir_buf_deinit(&file);
}

static void test_without_encoding(void **state)
{
    (void)state;
    struct weir_str text = WEIR_STR("some text");
    assert_int_equal(weir_tokens_count(NULL, text), weir_tokens_estimate(text));
}

static void test_models(void **state)
{
    (void)state;
    static const struct {
        const char *model, *encoding;
    } cases[] = {
        {"gpt-4o", "o200k_base"},
        {"gpt-4o-mini-2024-07-18", "o200k_base"},
        {"chatgpt-4o-latest", "o200k_base"},
        {"gpt-4.1-nano", "o200k_base"},
        {"gpt-5", "o200k_base"},
        {"gpt-5.1-codex", "o200k_base"},
        {"o1", "o200k_base"},
        {"o1-mini", "o200k_base"},
        {"o3-pro", "o200k_base"},
        {"o4-mini", "o200k_base"},
        {"ft:gpt-4o-mini:org::id", "o200k_base"},
        {"gpt-4", "cl100k_base"},
        {"gpt-4-0613", "cl100k_base"},
        {"gpt-4-turbo", "cl100k_base"},
        {"gpt-3.5-turbo-16k", "cl100k_base"},
        {"gpt-35-turbo", "cl100k_base"},
        {"ft:gpt-3.5-turbo:org::id", "cl100k_base"},
        {"text-embedding-3-large", "cl100k_base"},
        {"text-embedding-ada-002", "cl100k_base"},
        {"", ""},
        {"o11", ""},
        {"gpt-40", ""},
        {"gpt-", ""},
        {"claude-3", ""},
        {"GPT-4o", ""},
        {"weir-mock", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_str is = weir_encoding_of_model(weir_str_z(cases[i].model));
        assert_true(weir_str_eq(is, weir_str_z(cases[i].encoding)));
    }
    assert_null(weir_vocabulary_for_model(NULL, WEIR_STR("gpt-4o")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand), cmocka_unit_test(test_random),
        cmocka_unit_test(test_nul),     cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_models),  cmocka_unit_test(test_without_encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
