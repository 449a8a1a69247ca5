/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/utf8.h"

/* As RFC 3629 would write it, were there no bound: 1 to 4 bytes. */
static size_t encode(uint32_t c, char out[static 4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, c >>= 6) {
        out[i] = (char)(0x80 | (c & 0x3f));
    }
    out[0] = (char)((0xf00U >> len) | c);
    return len;
}

static void test_every_code_point(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x200000; c++) {
        char bytes[4];
        size_t len = encode(c, bytes);
        bool good = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
        if (weir_utf8_valid(weir_str(bytes, len)) != good) {
            fail_msg("U+%04X", (unsigned)c);
        }
        for (size_t cut = 1; cut < len; cut++) {
            if (weir_utf8_valid(weir_str(bytes, cut)) ||
                weir_utf8_valid(weir_str(bytes + cut, len - cut))) {
                fail_msg("U+%04X in two at %zu", (unsigned)c, cut);
            }
        }
    }
}

/* All pairs of bytes, and what may not begin or go on: against the definition. */
static void test_pairs(void **state)
{
    (void)state;
    for (unsigned pair = 0; pair < 65536; pair++) {
        unsigned char a = (unsigned char)(pair >> 8), b = (unsigned char)pair;
        const char bytes[2] = {(char)a, (char)b};
        bool good = (a < 0x80 && b < 0x80) || (a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf);
        assert_int_equal(weir_utf8_valid(weir_str(bytes, 2)), good);
    }
}

static void test_overlong(void **state)
{
    (void)state;
    assert_false(weir_utf8_valid(WEIR_STR("\xc0\x80")));
    assert_false(weir_utf8_valid(WEIR_STR("\xc1\xbf")));
    assert_false(weir_utf8_valid(WEIR_STR("\xe0\x80\x80")));
    assert_false(weir_utf8_valid(WEIR_STR("\xe0\x9f\xbf")));
    assert_false(weir_utf8_valid(WEIR_STR("\xf0\x80\x80\x80")));
    assert_false(weir_utf8_valid(WEIR_STR("\xf0\x8f\xbf\xbf")));
    assert_false(weir_utf8_valid(WEIR_STR("\xf4\x90\x80\x80")));
    assert_false(weir_utf8_valid(WEIR_STR("\xf8\x88\x80\x80\x80")));
    assert_true(weir_utf8_valid(WEIR_STR("\0")));
    assert_true(weir_utf8_valid(weir_str(NULL, 0)));
}

/* Eight bytes at a time are looked at together: the mistake is seen at each place among them. */
static void test_places(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        bool good;
    } part[] = {
        {"\xc3\xa9", 2, true},      {"\xe2\x82\xac", 3, true}, {"\xf0\x9f\x98\x80", 4, true},
        {"\x80", 1, false},         {"\xc3", 1, false},        {"\xe2\x82", 2, false},
        {"\xf0\x9f\x98", 3, false}, {"\xff", 1, false}};
    for (size_t before = 0; before <= 20; before++) {
        for (size_t after = 0; after <= 20; after++) {
            for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
                char text[64];
                memset(text, 'x', sizeof(text));
                memcpy(text + before, part[i].bytes, part[i].len);
                assert_int_equal(weir_utf8_valid(weir_str(text, before + part[i].len + after)),
                                 part[i].good);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_point),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_overlong),
        cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
