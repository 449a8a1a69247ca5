/* SPDX-License-Identifier: Apache-2.0 */
/* What a node makes of the pages that Redis answers, whatever stands in them. Nobody is connected:
 * what would be asked next is seen by where the reading stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "registry/internal.h"
#include "support/resp.h"

struct fixture {
    struct weir_config config;
    struct weir_registry registry;
    unsigned tells;
};

static void on_entries(void *ctx, struct weir_entries *entries)
{
    (void)entries;
    ((struct fixture *)ctx)->tells++;
}

static int begin(void **state)
{
    struct fixture *f = weir_zalloc(sizeof(*f));
    *state = f;
    assert_non_null(f);
    f->registry.config = &f->config;
    f->registry.owner = (struct weir_registry_owner){.ctx = f, .on_entries = on_entries};
    f->registry.entries = weir_entries_new();
    f->registry.lives_in_redis = f->registry.up = true;
    assert_non_null(f->registry.entries);
    registry_read_begin(&f->registry, true);
    assert_non_null(f->registry.redis.pages);
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    weir_entries_let_go(f->registry.redis.pages);
    weir_entries_let_go(f->registry.entries);
    weir_free(f);
    return 0;
}

/* ---- answers ---- */

static void answer(struct fixture *f, struct weir_str bytes)
{
    redisReply *reply = resp_read(bytes.p, bytes.len);
    assert_non_null(reply);
    registry_read_page(&f->registry, reply);
    freeReplyObject(reply);
}

static void put(struct weir_buf *b, const char *text)
{
    weir_buf_printf(b, "$%zu\r\n%s\r\n", strlen(text), text);
}

/* A page: the version, the floor, and a name, a text and a version for each entry; NULL ends it. */
static void page(struct fixture *f, const char *const *word)
{
    struct weir_buf b;
    size_t words = 0;
    while (word[words] != NULL) {
        words++;
    }
    weir_buf_init(&b, 1 << 20);
    weir_buf_printf(&b, "*%zu\r\n", words);
    for (size_t i = 0; i < words; i++) {
        put(&b, word[i]);
    }
    answer(f, weir_buf_view(&b));
    weir_buf_deinit(&b);
}

#define PAGE(f, ...) page(f, (const char *const[]){__VA_ARGS__, NULL})

/* As many entries as a page has at most, the last of this version. */
static void full_page(struct fixture *f, const char *floor, const char *last)
{
    enum { ENTRIES = 1000 };
    struct weir_buf b;
    char name[16];
    weir_buf_init(&b, 1 << 20);
    weir_buf_printf(&b, "*%d\r\n", 2 + 3 * ENTRIES);
    put(&b, "5000");
    put(&b, floor);
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(name, sizeof(name), "key:%d", i);
        put(&b, name);
        put(&b, "{}");
        put(&b, last);
    }
    answer(f, weir_buf_view(&b));
    weir_buf_deinit(&b);
}

static void check_known(struct fixture *f, const char *version, size_t entries)
{
    assert_true(f->registry.redis.known);
    assert_null(f->registry.redis.pages);
    assert_string_equal(f->registry.redis.version, version);
    assert_int_equal(f->registry.entries->count, entries);
}

static void check_reads_from(struct fixture *f, const char *version, bool whole)
{
    assert_non_null(f->registry.redis.pages);
    assert_string_equal(f->registry.redis.page, version);
    assert_int_equal(f->registry.redis.whole, whole);
}

/* ---- pages ---- */

static void test_all(void **state)
{
    struct fixture *f = *state;
    PAGE(f, "9", "3", "key:b", "{\"n\":1}", "4", "key:c", "", "8", "key:a", "{}", "9");
    check_known(f, "9", 2);
    assert_int_equal(f->tells, 1);
    assert_true(f->registry.copy_due);
    registry_read_begin(&f->registry, false);
    PAGE(f, "12", "3", "key:b", "", "11", "key:d", "{}", "12");
    check_known(f, "12", 2);
    assert_null(weir_entries_find(f->registry.entries, WEIR_STR("key:b")));
    assert_int_equal(f->tells, 2);
    registry_read_begin(&f->registry, false);
    PAGE(f, "13", "3"); /* of a change that was undone */
    check_known(f, "13", 2);
    assert_int_equal(f->tells, 2);
}

/* A Redis without a registry takes nothing away. */
static void test_nothing(void **state)
{
    struct fixture *f = *state;
    PAGE(f, "9", "0", "key:a", "{}", "9");
    registry_read_begin(&f->registry, true);
    PAGE(f, "", "0");
    check_known(f, "", 1);
    assert_int_equal(f->tells, 1);
}

static void test_pages(void **state)
{
    struct fixture *f = *state;
    full_page(f, "0", "1000");
    check_reads_from(f, "1000", true);
    assert_int_equal(f->tells, 0); /* not in part */
    PAGE(f, "5001", "0", "key:0", "", "5001");
    check_known(f, "5001", 999);
    assert_int_equal(f->tells, 1);
}

/* What was deleted meanwhile may have been forgotten. */
static void test_floor_rises_while_all_is_read(void **state)
{
    struct fixture *f = *state;
    full_page(f, "0", "1000");
    PAGE(f, "5001", "7", "key:x", "{}", "5001");
    check_reads_from(f, "0", true);
    assert_int_equal(f->registry.redis.pages->count, 0);
    PAGE(f, "5001", "7", "key:x", "{}", "5001");
    check_known(f, "5001", 1);
}

static void test_who_must_read_all(void **state)
{
    struct fixture *f = *state;
    PAGE(f, "9", "0", "key:a", "{}", "9");
    registry_read_begin(&f->registry, false);
    check_reads_from(f, "9", false);
    PAGE(f, "20", "9", "key:b", "{}", "20"); /* as far as was forgotten */
    check_known(f, "20", 2);
    registry_read_begin(&f->registry, false);
    PAGE(f, "30", "21", "key:c", "{}", "30"); /* farther */
    check_reads_from(f, "0", true);
    PAGE(f, "30", "21", "key:c", "{}", "30");
    check_known(f, "30", 1);
    registry_read_begin(&f->registry, false);
    PAGE(f, "29", "0"); /* what was read last has been lost */
    check_reads_from(f, "0", true);
}

/* ---- what is left out, and what is refused ---- */

static void test_foreign_entries(void **state)
{
    struct fixture *f = *state;
    char text[WEIR_ENTRY_TEXT_MAX + 2], name[WEIR_ENTRY_NAME_MAX + 2];
    memset(text, ' ', sizeof(text) - 1);
    text[0] = '{';
    text[1] = '}';
    text[sizeof(text) - 1] = '\0';
    memset(name, 'k', sizeof(name) - 1);
    memcpy(name, "key:", 4);
    name[sizeof(name) - 1] = '\0';
    PAGE(f, "9", "0", "key:a", "{}", "1", "cow:a", "{}", "2", name, "{}", "3", "key:b", text, "4",
         "key:c", "[1]", "5", "key:d", "{", "6", "key:", "{}", "7", "key:e", text + 1, "8", "key:f",
         "{}", "9");
    check_known(f, "9", 2);
    assert_non_null(weir_entries_find(f->registry.entries, WEIR_STR("key:a")));
    assert_non_null(weir_entries_find(f->registry.entries, WEIR_STR("key:f")));
}

static void test_no_page(void **state)
{
    struct fixture *f = *state;
    static const char *const bytes[] = {
        "+OK\r\n",
        ":5\r\n",
        "$-1\r\n",
        "*0\r\n",
        "*1\r\n$1\r\n9\r\n",
        "*3\r\n$1\r\n9\r\n$1\r\n0\r\n$5\r\nkey:a\r\n",
        "*2\r\n:9\r\n$1\r\n0\r\n",
        "*2\r\n$1\r\n9\r\n$-1\r\n",
        "*2\r\n*0\r\n$1\r\n0\r\n",
        "*2\r\n$24\r\n123456789012345678901234\r\n$1\r\n0\r\n",
        "*2\r\n$1\r\n9\r\n$24\r\n123456789012345678901234\r\n",
        "*5\r\n$1\r\n9\r\n$1\r\n0\r\n$5\r\nkey:a\r\n$2\r\n{}\r\n:9\r\n",
        ("*5\r\n$1\r\n9\r\n$1\r\n0\r\n$5\r\nkey:a\r\n$2\r\n{}\r\n"
         "$24\r\n123456789012345678901234\r\n"),
    };
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        registry_read_begin(&f->registry, true);
        f->registry.up = f->registry.redis.known = true;
        answer(f, weir_str_z(bytes[i]));
        assert_false(f->registry.up);
        assert_false(f->registry.redis.known);
        assert_null(f->registry.redis.pages);
    }
    assert_int_equal(f->tells, 0);
    PAGE(f, "9", "0", "key:a", "{}", "9"); /* an answer that nobody waits for */
    assert_false(f->registry.redis.known);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(test_all),
        CASE(test_nothing),
        CASE(test_pages),
        CASE(test_floor_rises_while_all_is_read),
        CASE(test_who_must_read_all),
        CASE(test_foreign_entries),
        CASE(test_no_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
