/* SPDX-License-Identifier: Apache-2.0 */
/* Counts that are remembered are those that are counted: of texts that come again, that grow, that
 * change, of any bytes; and where a text may be cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/guard.h"
#include "support/vocabulary.h"
#include "tokens/memory.h"

enum { TEXT_MAX = 8 * 1024, RULES = 2 };

static struct list list;
static struct weir_buf file[RULES];
static struct weir_vocabulary vocabulary[RULES];
static struct weir_rand dice;

static const struct weir_encoding *encoding(unsigned rule)
{
    return &vocabulary[rule].encoding[0];
}

/* Whatever the rules tell apart, and what is no UTF-8: first bytes of characters that are not
 * there, bytes that go on with nothing. */
static const char *const parts[] = {
    "a",
    "b",
    "A",
    "B",
    "word",
    "Word",
    "WORD",
    "'s",
    "'ll",
    "'RE",
    "'",
    "\xc5\xbf",
    "'\xc5\xbf",
    " ",
    "  ",
    "     ",
    "\n",
    "\n\n",
    "\r",
    "\r\n",
    "\t",
    "\v",
    " \n",
    "\n ",
    "/",
    "//",
    "\n/",
    "!",
    "!?",
    "=",
    "0",
    "1",
    "12",
    "1234",
    "\xc2\xbd",
    "\xcc\x81",
    "e\xcc\x81",
    "\xe6\xb0\xb4",
    "\xe6\xb0\xb4\xe6\xb5\x81",
    "\xe3\x80\x82",
    "\xe3\x80\x80",
    "\xc2\xa0",
    "\xe2\x80\xa8",
    "\xc7\x85",
    "\xc3\x89",
    "\xc3\xa9",
    "\xf0\x9f\x98\x80",
    "\xf0\x90\x90\x80",
    "\xc2",
    "\xe6",
    "\xe6\xb0",
    "\xf0",
    "\xf0\x9f",
    "\xf0\x9f\x98",
    "\x80",
    "\xb4\xb4",
    "\xff",
    "\xf8",
};

enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

/* Up to len bytes of a few of the parts, as chance has it. */
static size_t make_text(char *text, size_t len)
{
    const char *some[6];
    unsigned n = 1 + (unsigned)weir_rand_below(&dice, 6);
    size_t at = 0;
    for (unsigned i = 0; i < n; i++) {
        some[i] = parts[weir_rand_below(&dice, PARTS)];
    }
    for (;;) {
        const char *part = weir_rand_below(&dice, 40) == 0 ? parts[weir_rand_below(&dice, PARTS)]
                                                           : some[weir_rand_below(&dice, n)];
        size_t more = strlen(part);
        if (at + more > len) {
            return at;
        }
        memcpy(text + at, part, more);
        at += more;
    }
}

static int setup(void **state)
{
    (void)state;
    weir_rand_init(&dice, 11);
    list_init(&list);
    list_grow(&list, &dice, WEIR_STR("abAB wor \n!1'\xcc\x81\xb0"), 600);
    for (unsigned i = 0; i < RULES; i++) {
        list_open(&list, (enum weir_split_rule)i, &file[i], &vocabulary[i]);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RULES; i++) {
        weir_buf_deinit(&file[i]);
    }
    return 0;
}

static struct weir_token_memory *memory_new(void)
{
    struct weir_token_memory *m = NULL;
    assert_int_equal(weir_token_memory_new(&m), WEIR_OK);
    return m;
}

/* ---- cuts ---- */

typedef const unsigned char bytes;

static bytes *past_piece(unsigned rule, bytes *p, bytes *end)
{
    return rule == WEIR_SPLIT_O200K ? weir_split_o200k(p, end) : weir_split_cl100k(p, end);
}

/* The pieces of the whole text have one end at each cut, and are those of the text before it. */
static void check_cuts(unsigned rule, bytes *begin, bytes *end, uint64_t *cuts)
{
    for (bytes *cut = begin + 1; (cut = weir_split_cut(begin, cut, end)) < end; cut++) {
        bytes *whole = begin, *alone = begin;
        while (whole < cut) {
            whole = past_piece(rule, whole, end);
            alone = past_piece(rule, alone, cut);
            assert_ptr_equal(whole, alone);
        }
        assert_ptr_equal(whole, cut);
        ++*cuts;
    }
}

static void test_cuts(void **state)
{
    (void)state;
    char text[64];
    uint64_t cuts = 0;
    struct guard g;
    guard_init(&g, sizeof(text));
    for (int i = 0; i < 60000; i++) {
        size_t len = make_text(text, 2 + weir_rand_below(&dice, sizeof(text) - 2));
        struct weir_str s = guard_put(&g, weir_str(text, len));
        bytes *begin = (bytes *)s.p;
        if (len > 0) {
            check_cuts((unsigned)i % RULES, begin, begin + len, &cuts);
        }
    }
    assert_true(cuts > 20000);
    guard_deinit(&g);
}

static void test_where(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t cut; /* the first one behind its first byte */
    } cases[] = {
        {"ab cd", 2},
        {"a1 b", 2},
        {"a\nb", 1},
        {"a.\nb", 3},
        {"a. b", 4},
        {"a.  b", 5},
        {".\n b", 4},
        {".\n\nb", 3},
        {".\n/b", 4},
        {"\xe6\xb0\xb4 a", 3},
        {"..\n\xe6\xb0\xb4", 3},
        {"e\xcc\x81 a", 5},
        {"\xe6"
         "aa b",
         5},
        {"\xe6"
         "aaa b",
         4},
        {"\xf0"
         "aa b",
         5},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes *p = (bytes *)cases[i].text;
        assert_int_equal(weir_split_cut(p, p + 1, p + strlen(cases[i].text)) - p, cases[i].cut);
    }
}

/* ---- counts ---- */

static void check(struct weir_token_memory *m, unsigned rule, struct weir_str text)
{
    uint64_t plain = weir_tokens_count(encoding(rule), text);
    assert_int_equal(weir_token_memory_count(m, encoding(rule), text), plain);
}

/* A text of any bytes that grows, with a memory that knows its beginning. */
static void test_growing(void **state)
{
    (void)state;
    static char text[TEXT_MAX];
    struct weir_token_memory *m = memory_new();
    for (int i = 0; i < 120; i++) {
        size_t len = make_text(text, 1 + weir_rand_below(&dice, TEXT_MAX));
        for (int k = 0; k < 10; k++) {
            check(m, (unsigned)(i + k) % RULES, weir_str(text, weir_rand_below(&dice, len + 1)));
        }
        check(m, (unsigned)i % RULES, weir_str(text, len));
    }
    weir_token_memory_free(m);
}

/* The same places hold what differs by a byte, anywhere, and by where it begins. */
static void test_changed(void **state)
{
    (void)state;
    static char text[TEXT_MAX];
    struct weir_token_memory *m = memory_new();
    for (int i = 0; i < 40; i++) {
        size_t len = make_text(text, 3000 + weir_rand_below(&dice, 5000));
        for (int k = 0; k < 10; k++) {
            text[weir_rand_below(&dice, len)] = (char)weir_rand_below(&dice, 256);
            check(m, 0, weir_str(text, len));
            check(m, 1, weir_str(text, len));
            size_t from = weir_rand_below(&dice, 300);
            check(m, (unsigned)k % RULES, weir_str(text + from, len - from));
        }
    }
    weir_token_memory_free(m);
}

static void test_without(void **state)
{
    (void)state;
    struct weir_token_memory *m = NULL;
    struct weir_str text = WEIR_STR("a text");
    assert_int_equal(weir_token_memory_count(NULL, encoding(0), text),
                     weir_tokens_count(encoding(0), text));
    weir_mem_fail_after(0);
    assert_int_equal(weir_token_memory_new(&m), WEIR_ERR_NOMEM);
    weir_mem_fail_after(UINT64_MAX);
    assert_null(m);
    m = memory_new();
    assert_int_equal(weir_token_memory_count(m, NULL, text), weir_tokens_estimate(text));
    assert_int_equal(weir_token_memory_count(m, encoding(0), weir_str("", 0)), 0);
    weir_token_memory_free(m);
    weir_token_memory_free(NULL);
}

/* ---- what is remembered: a piece so long that it cannot be counted without memory ---- */

enum { LONG = 600 };

static char piece[LONG];

static struct weir_str long_piece(unsigned number)
{
    memset(piece, 'a', LONG);
    for (size_t i = 0; number > 0; i++) { /* letters alone */
        piece[i] = (char)('a' + number % 16);
        number /= 16;
    }
    return weir_str(piece, LONG);
}

static bool knows(struct weir_token_memory *m, struct weir_str text)
{
    uint64_t plain = weir_tokens_count(encoding(0), text);
    weir_mem_fail_after(0);
    uint64_t got = weir_token_memory_count(m, encoding(0), text);
    weir_mem_fail_after(UINT64_MAX);
    assert_true(got == plain || got == LONG);
    assert_true(plain < LONG);
    return got == plain;
}

static void test_remembers(void **state)
{
    (void)state;
    struct weir_token_memory *m = memory_new();
    assert_false(knows(m, long_piece(1)));
    assert_false(knows(m, long_piece(1))); /* a count for want of memory is not kept */
    check(m, 0, long_piece(1));
    assert_true(knows(m, long_piece(1)));
    assert_false(knows(m, long_piece(2)));
    weir_token_memory_free(m);
}

/* What is in use stays, what is not goes when there is no room. */
static void test_bounded(void **state)
{
    (void)state;
    const unsigned used = 40, others = 6 * WEIR_TOKEN_MEMORY_PLACES;
    struct weir_token_memory *m = memory_new();
    for (unsigned i = 0; i < others; i++) {
        (void)weir_token_memory_count(m, encoding(0), long_piece(i));
        assert_true(i <= used || i % 256 != 255 || knows(m, long_piece(used)));
        if (i % 256 == 0) {
            (void)weir_token_memory_count(m, encoding(0), long_piece(used));
        }
    }
    for (unsigned i = 0; i < used; i++) {
        assert_false(knows(m, long_piece(i)));
    }
    for (unsigned i = others - 100; i < others; i++) {
        assert_true(knows(m, long_piece(i)));
    }
    weir_token_memory_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),    cmocka_unit_test(test_where),
        cmocka_unit_test(test_growing), cmocka_unit_test(test_changed),
        cmocka_unit_test(test_without), cmocka_unit_test(test_remembers),
        cmocka_unit_test(test_bounded),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
