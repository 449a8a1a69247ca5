/* SPDX-License-Identifier: Apache-2.0 */
/* Where pieces end: what the regular expressions of the encodings match. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rand.h"
#include "base/str.h"
#include "support/guard.h"
#include "tokens/split.h"

typedef const unsigned char *split_fn(const unsigned char *p, const unsigned char *end);

/* The text of `pieces` without its bars is cut where these stand. */
static void check(split_fn *split, const char *pieces, struct guard *g)
{
    char text[256], cut[512];
    size_t len = 0, n = 0;
    for (const char *p = pieces; *p != '\0'; p++) {
        if (*p != '|') {
            text[len++] = *p;
        }
    }
    struct weir_str s = guard_put(g, weir_str(text, len));
    const unsigned char *p = (const unsigned char *)s.p, *end = p + len;
    while (p < end) {
        const unsigned char *past = split(p, end);
        assert_true(past > p && past <= end);
        memcpy(cut + n, p, (size_t)(past - p));
        n += (size_t)(past - p);
        cut[n++] = '|';
        p = past;
    }
    cut[n > 0 ? n - 1 : 0] = '\0';
    assert_string_equal(cut, pieces);
}

static void check_all(split_fn *split, const char *const *cases, size_t n)
{
    struct guard g;
    guard_init(&g, 256);
    for (size_t i = 0; i < n; i++) {
        check(split, cases[i], &g);
    }
    guard_deinit(&g);
}

#define ACUTE      "\xcc\x81"         /* U+0301, a mark */
#define LONG_S     "\xc5\xbf"         /* U+017F */
#define NBSP       "\xc2\xa0"         /* U+00A0, a space */
#define BOM        "\xef\xbb\xbf"     /* U+FEFF, none */
#define HAN        "\xe6\xb0\xb4"     /* a letter without case */
#define TITLE      "\xc7\x85"         /* U+01C5, a title case letter */
#define BIG_E      "\xc3\x89"         /* an upper case letter */
#define SMALL_E    "\xc3\xa9"         /* a lower case letter */
#define HALF       "\xc2\xbd"         /* U+00BD, a number */
#define NEW_LETTER "\xf0\x90\xa5\x80" /* U+10940, a letter since Unicode 17 */

static void test_cl100k(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "Hello|,| world|!",
        "I|'m| sure| it|'s| HTTP|'Re|'LL|'d",
        "x|'" LONG_S "|a",
        "'r|'l|'",
        "don|'t|op",
        "''|t|'",
        "camelCase" HAN "| word",
        "123|456|7| |12",
        HALF "12|3|a",
        "a|  | b|   |\tc| \t\n\n|c",
        "a| \n  \n| | b",
        "a|   ",
        " \n",
        NBSP "a|" NBSP "|" NBSP "|1",
        BOM BOM "\n\n|a",
        "!!!\r\n\n| | a",
        " !|a|" ACUTE "b",
        ACUTE ACUTE "|a|" NEW_LETTER NEW_LETTER "\n|a",
        "\tx|\n|x| \xff\xfe\xe6\xb0",
        "//|a|//\n|/b",
    };
    check_all(weir_split_cl100k, cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_o200k(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "Hello|,| world|!",
        "I'm| sure| it's| HTTP'Re|'LL'd",
        "x'" LONG_S "|a",
        "'r|'l|'",
        "don't|op",
        "camel|Case" HAN "| word",
        "HTTPServer|Error| HTML|!",
        "AB" HAN "|CD|!",
        "AB" HAN "C" SMALL_E "x|D" TITLE "|1",
        "A" ACUTE "|BC|!",
        "A" ACUTE "BCa|!",
        " " ACUTE "|ABC",
        ACUTE "|ABC| x",
        BIG_E SMALL_E "|" BIG_E BIG_E,
        "123|456|7| |12",
        "a|  | b|   |\tc| \t\n\n|c",
        "a| \n  \n| | b",
        "!!" ACUTE "|a",
        "//|a|//\n/\r\n//|b",
        "\tx|\n|x| \xff\xfe\xe6\xb0",
    };
    check_all(weir_split_o200k, cases, sizeof(cases) / sizeof(cases[0]));
}

/* Whatever the bytes, a piece has some, ends within the text and is found without reading on. */
static void test_any_bytes(void **state)
{
    (void)state;
    struct weir_rand dice;
    struct guard g;
    guard_init(&g, 16);
    weir_rand_init(&dice, 5);
    for (int i = 0; i < 100000; i++) {
        uint64_t bytes[2] = {weir_rand_u64(&dice), weir_rand_u64(&dice) | weir_rand_u64(&dice)};
        struct weir_str s =
            guard_put(&g, weir_str((const char *)bytes, 1 + weir_rand_below(&dice, sizeof(bytes))));
        const unsigned char *p = (const unsigned char *)s.p, *end = p + s.len;
        split_fn *split = i % 2 == 0 ? weir_split_cl100k : weir_split_o200k;
        while (p < end) {
            const unsigned char *past = split(p, end);
            assert_true(past > p && past <= end);
            p = past;
        }
    }
    guard_deinit(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cl100k),
        cmocka_unit_test(test_o200k),
        cmocka_unit_test(test_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
