/* SPDX-License-Identifier: Apache-2.0 */
/* The estimate of a text's tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/guard.h"
#include "tokens/tokens.h"

static void test_known_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t tokens;
    } cases[] = {
        {"", 0},
        {"a", 1},
        {"abcd", 1},
        {"abcde", 2},
        {"        ", 2},
        {"\xc3\xa9", 1},                             /* two bytes, one code point */
        {"\xe6\xb2\xb3\xe5\xb7\x9d\xe6\xb0\xb4", 2}, /* three code points */
        {"\xf0\x9f\x98\x80", 1},                     /* four bytes */
        {"caf\xc3\xa9", 2},                          /* each script rounds by itself */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(weir_tokens_estimate(weir_str_z(cases[i].text)), cases[i].tokens);
    }
}

/* Nobody writes for free, not even bytes that are no UTF-8; and a longer text costs no less. */
static void test_never_free_never_falling(void **state)
{
    (void)state;
    char text[600];
    for (unsigned c = 1; c < 256; c++) {
        uint64_t before = 0;
        memset(text, (int)c, sizeof(text));
        for (size_t len = 1; len <= sizeof(text); len++) {
            uint64_t tokens = weir_tokens_estimate(weir_str(text, len));
            assert_true(tokens >= 1 && tokens >= before && tokens <= len);
            before = tokens;
        }
    }
}

/* A text in two pieces costs no less than in one: splitting gains nothing. */
static void test_pieces(void **state)
{
    (void)state;
    static const char text[] = "The Volga, \xd0\x92\xd0\xbe\xd0\xbb\xd0\xb3\xd0\xb0, is 3530 km.";
    const size_t len = sizeof(text) - 1;
    uint64_t whole = weir_tokens_estimate(weir_str(text, len));
    for (size_t at = 0; at <= len; at++) {
        uint64_t pieces = weir_tokens_estimate(weir_str(text, at)) +
                          weir_tokens_estimate(weir_str(text + at, len - at));
        assert_true(pieces >= whole);
    }
}

static void test_reads_no_byte_too_many(void **state)
{
    (void)state;
    struct guard g;
    guard_init(&g, 100);
    for (size_t len = 0; len <= 100; len++) {
        char text[100];
        memset(text, 'a', sizeof(text));
        assert_int_equal(weir_tokens_estimate(guard_put(&g, weir_str(text, len))), (len + 3) / 4);
    }
    guard_deinit(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_texts),
        cmocka_unit_test(test_never_free_never_falling),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_reads_no_byte_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
