/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of a registry's entries: what a change makes of one, and the document that keeps it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "config/entries.h"

static struct weir_entry_change put(const char *name, const char *text)
{
    return (struct weir_entry_change){weir_str_z(name), weir_str_z(text)};
}

static struct weir_entry_change gone(const char *name)
{
    return (struct weir_entry_change){.name = weir_str_z(name)};
}

/* `before`, which is let go, with the changes. */
static struct weir_entries *with(struct weir_entries *before,
                                 const struct weir_entry_change *change, size_t changes)
{
    struct weir_entries *after = NULL;
    assert_non_null(before);
    assert_int_equal(weir_entries_with(before, change, changes, &after), WEIR_OK);
    weir_entries_let_go(before);
    return after;
}

static void check_text(const struct weir_entries *entries, const char *name, const char *text)
{
    const struct weir_entry *e = weir_entries_find(entries, weir_str_z(name));
    if (text == NULL) {
        assert_null(e);
        return;
    }
    assert_non_null(e);
    assert_true(weir_str_eq(e->name, weir_str_z(name)));
    assert_true(weir_str_eq(e->text, weir_str_z(text)));
}

static struct weir_entries *three(void)
{
    const struct weir_entry_change change[] = {put("key:b", "{\"n\":2}"), put("key:a", "{\"n\":1}"),
                                               put("key:c", "{\"n\":3}")};
    return with(weir_entries_new(), change, 3);
}

/* ---- changes ---- */

static void test_names(void **state)
{
    (void)state;
    char name[112];
    static const struct {
        const char *scope;
        int max;
    } kinds[] = {{"plan:", 63}, {"org:", 100}, {"team:", 100}, {"key:", 100}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        snprintf(name, sizeof(name), "%s", kinds[i].scope);
        assert_false(weir_entry_name_valid(weir_str_z(name)));
        snprintf(name, sizeof(name), "%s%0*d", kinds[i].scope, kinds[i].max, 0);
        assert_true(weir_entry_name_valid(weir_str_z(name)));
        snprintf(name, sizeof(name), "%s%0*d", kinds[i].scope, kinds[i].max + 1, 0);
        assert_false(weir_entry_name_valid(weir_str_z(name)));
    }
    assert_false(weir_entry_name_valid(WEIR_STR("")));
    assert_false(weir_entry_name_valid(WEIR_STR("key")));
    assert_false(weir_entry_name_valid(WEIR_STR("model:a")));
    assert_false(weir_entry_name_valid(WEIR_STR("Key:a")));
}

/* Added in any order, they stand in that of their bytes: a name before a longer one, and bytes
 * above 127 last. */
static void test_order(void **state)
{
    (void)state;
    const struct weir_entry_change change[] = {put("key:\xc3\xa9", "{}"), put("key:ab", "{}"),
                                               put("org:a", "{}"), put("key:a", "{}"),
                                               put("key:B", "{}")};
    static const char *const order[] = {"key:B", "key:a", "key:ab", "key:\xc3\xa9", "org:a"};
    struct weir_entries *e = with(weir_entries_new(), change, 5);
    assert_int_equal(e->count, 5);
    for (size_t i = 0; i < e->count; i++) {
        assert_true(weir_str_eq(e->entry[i]->name, weir_str_z(order[i])));
        assert_ptr_equal(weir_entries_find(e, weir_str_z(order[i])), e->entry[i]);
    }
    assert_null(weir_entries_find(e, WEIR_STR("key:")));
    assert_null(weir_entries_find(e, WEIR_STR("key:aa")));
    assert_null(weir_entries_find(e, WEIR_STR("team:a")));
    weir_entries_let_go(e);
}

static void test_changes(void **state)
{
    (void)state;
    const struct weir_entry_change change[] = {put("key:d", "{\"n\":4}"), gone("key:a"),
                                               put("key:b", "{\"n\":5}"), gone("key:x")};
    struct weir_entries *before = three(), *after = NULL;
    const struct weir_entry *kept = weir_entries_find(before, WEIR_STR("key:c"));
    assert_int_equal(weir_entries_with(before, change, 4, &after), WEIR_OK);
    assert_int_equal(before->count, 3); /* as it was */
    check_text(before, "key:a", "{\"n\":1}");
    check_text(before, "key:b", "{\"n\":2}");
    weir_entries_let_go(before);
    assert_int_equal(after->count, 3);
    check_text(after, "key:a", NULL);
    check_text(after, "key:b", "{\"n\":5}");
    check_text(after, "key:d", "{\"n\":4}");
    assert_ptr_equal(weir_entries_find(after, WEIR_STR("key:c")), kept); /* it is shared */
    weir_entries_let_go(after);
}

/* In the place of a list that others keep, or nobody: then entries go over as they are. */
static void test_add(void **state)
{
    (void)state;
    const struct weir_entry_change change[] = {put("key:d", "{\"n\":4}"), gone("key:a"),
                                               put("key:b", "{\"n\":5}"), gone("key:x")};
    for (int kept = 0; kept < 2; kept++) {
        struct weir_entries *list = three(), *other = kept ? weir_entries_keep(list) : NULL;
        const struct weir_entry *stays = weir_entries_find(list, WEIR_STR("key:c"));
        assert_int_equal(weir_entries_add(&list, change, 4), WEIR_OK);
        assert_int_equal(list->count, 3);
        check_text(list, "key:a", NULL);
        check_text(list, "key:b", "{\"n\":5}");
        check_text(list, "key:d", "{\"n\":4}");
        assert_ptr_equal(weir_entries_find(list, WEIR_STR("key:c")), stays);
        if (kept) {
            check_text(other, "key:a", "{\"n\":1}");
            check_text(other, "key:b", "{\"n\":2}");
        }
        weir_entries_let_go(other);
        check_text(list, "key:c", "{\"n\":3}");
        weir_entries_let_go(list);
    }
}

/* Whatever fails, the list has gone, and what others keep has not. */
static void test_add_fails(void **state)
{
    (void)state;
    char name[WEIR_ENTRY_NAME_MAX + 2];
    memset(name, 'k', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    const struct weir_entry_change change[] = {put("key:a", "{\"n\":4}"), put("key:d", "{}")};
    const struct weir_entry_change long_name = put(name, "{}");
    enum weir_err err = WEIR_ERR_NOMEM;
    for (uint64_t n = 0; err != WEIR_OK; n++) {
        struct weir_entries *alone = three(), *shared = three(), *other = weir_entries_keep(shared);
        weir_mem_fail_after(n);
        err = weir_entries_add(&alone, change, 2);
        weir_mem_fail_after(n);
        enum weir_err second = weir_entries_add(&shared, change, 2);
        weir_mem_fail_after(UINT64_MAX);
        assert_int_equal(err, second);
        assert_true(err == WEIR_OK || err == WEIR_ERR_NOMEM);
        assert_int_equal(alone == NULL, err != WEIR_OK);
        assert_int_equal(shared == NULL, err != WEIR_OK);
        check_text(other, "key:a", "{\"n\":1}");
        weir_entries_let_go(other);
        weir_entries_let_go(alone);
        weir_entries_let_go(shared);
    }
    struct weir_entries *list = three();
    assert_int_equal(weir_entries_add(&list, &long_name, 1), WEIR_ERR_LIMIT);
    assert_null(list);
}

/* Of several of one name the last counts, also when it deletes. */
static void test_several_of_one_name(void **state)
{
    (void)state;
    const struct weir_entry_change change[] = {gone("key:a"),
                                               put("key:b", "{\"n\":6}"),
                                               put("key:z", "{\"n\":7}"),
                                               put("key:a", "{\"n\":8}"),
                                               gone("key:b"),
                                               put("key:z", "{\"n\":9}")};
    struct weir_entries *e = with(three(), change, 6);
    assert_int_equal(e->count, 3);
    check_text(e, "key:a", "{\"n\":8}");
    check_text(e, "key:b", NULL);
    check_text(e, "key:z", "{\"n\":9}");
    weir_entries_let_go(e);
}

static void test_keepers(void **state)
{
    (void)state;
    struct weir_entries *e = three();
    assert_ptr_equal(weir_entries_keep(e), e);
    weir_entries_let_go(e);
    check_text(e, "key:a", "{\"n\":1}");
    weir_entries_let_go(e);
    weir_entries_let_go(NULL);
}

static void test_alike(void **state)
{
    (void)state;
    struct weir_entries *a = three(), *b = three();
    const struct weir_entry_change text = put("key:b", "{\"n\":9}"), name = put("key:e", "{}");
    assert_true(weir_entries_alike(a, a));
    assert_true(weir_entries_alike(a, b));
    b = with(b, &text, 1);
    assert_false(weir_entries_alike(a, b));
    weir_entries_let_go(b);
    b = with(three(), &name, 1);
    assert_false(weir_entries_alike(a, b));
    const struct weir_entry_change less = gone("key:c");
    b = with(b, &less, 1); /* as many, of other names */
    assert_false(weir_entries_alike(a, b));
    weir_entries_let_go(a);
    weir_entries_let_go(b);
}

/* What is one byte too long is refused, and the list is as it was. */
static void test_limits(void **state)
{
    (void)state;
    static char text[WEIR_ENTRY_TEXT_MAX + 1];
    struct weir_entries *before = three(), *after = NULL;
    memset(text, ' ', sizeof(text));
    struct weir_entry_change change = {weir_str(text, WEIR_ENTRY_NAME_MAX),
                                       weir_str(text, WEIR_ENTRY_TEXT_MAX)};
    assert_int_equal(weir_entries_with(before, &change, 1, &after), WEIR_OK);
    weir_entries_let_go(after);
    after = NULL;
    change.name.len++;
    assert_int_equal(weir_entries_with(before, &change, 1, &after), WEIR_ERR_LIMIT);
    change = (struct weir_entry_change){WEIR_STR("key:d"), weir_str(text, WEIR_ENTRY_TEXT_MAX + 1)};
    assert_int_equal(weir_entries_with(before, &change, 1, &after), WEIR_ERR_LIMIT);
    assert_null(after);
    assert_int_equal(before->count, 3);
    weir_entries_let_go(before);
}

/* Without memory for the n-th piece there is no list, and nothing is lost or left. */
static void test_no_memory(void **state)
{
    (void)state;
    const struct weir_entry_change change[] = {put("key:d", "{}"), put("key:b", "{}"),
                                               gone("key:a")};
    struct weir_entries *before = three(), *after = NULL;
    enum weir_err err = WEIR_ERR_NOMEM;
    uint64_t n = 0;
    for (; err == WEIR_ERR_NOMEM; n++) {
        assert_null(after);
        weir_mem_fail_after(n);
        err = weir_entries_with(before, change, 3, &after);
        weir_mem_fail_after(UINT64_MAX);
    }
    assert_int_equal(err, WEIR_OK);
    assert_int_equal(n, 5); /* two lists, two entries; then there is enough */
    weir_entries_let_go(before);
    assert_int_equal(after->count, 3);
    weir_entries_let_go(after);
    weir_mem_fail_after(0);
    assert_null(weir_entries_new());
    weir_mem_fail_after(UINT64_MAX);
}

/* ---- a document ---- */

static void check_read(const char *text, enum weir_err expected, size_t count)
{
    struct weir_entries *e = NULL;
    char why[256] = "";
    enum weir_err err = weir_entries_read(weir_str_z(text), &e, why, sizeof(why));
    if (err != expected || (err == WEIR_OK && e->count != count)) {
        fail_msg("%s: %s, %s", text, weir_err_name(err), why);
    }
    assert_int_equal(err == WEIR_OK, why[0] == '\0');
    weir_entries_let_go(e);
}

static void test_round_trip(void **state)
{
    (void)state;
    const struct weir_entry_change change[] = {
        put("key:a", "{ \"secret\" : \"\\u0041\\\"\",\n\"n\":[1,{}]}"),
        put("plan:\"\\/\xc3\xa9", "{}"), put("org:\x01\n", "{\"a\":null}")};
    struct weir_entries *e = with(weir_entries_new(), change, 3), *again = NULL;
    struct weir_buf b;
    char why[256];
    weir_buf_init(&b, 4096);
    weir_entries_write(e, &b);
    assert_int_equal(weir_entries_read(weir_buf_view(&b), &again, why, sizeof(why)), WEIR_OK);
    assert_true(weir_entries_alike(e, again)); /* the texts byte for byte */
    weir_buf_deinit(&b);
    weir_entries_let_go(e);
    weir_entries_let_go(again);
}

static void test_form(void **state)
{
    (void)state;
    struct weir_entries *e = three();
    struct weir_buf b;
    weir_buf_init(&b, 4096);
    weir_entries_write(e, &b);
    assert_true(weir_str_eq(weir_buf_view(&b),
                            WEIR_STR("{\"weir_registry\":1,\"entries\":{\n\"key:a\":{\"n\":1},\n"
                                     "\"key:b\":{\"n\":2},\n\"key:c\":{\"n\":3}\n}}\n")));
    weir_buf_deinit(&b);
    weir_entries_let_go(e);
}

static void test_documents(void **state)
{
    (void)state;
    check_read("{\"weir_registry\":1,\"entries\":{}}", WEIR_OK, 0);
    check_read(" {\"weir_registry\":1,\"entries\":{ \"key:a\":{}, \"k\\u0065y:b\" : {}\n}}\n",
               WEIR_OK, 2);
    check_read("{\"weir_registry\":1,\"entries\":{\"key:a\":{\"n\":\"}{\\\"\"}}}", WEIR_OK, 1);
    check_read("{\"weir_registry\":1,\"entries\":{\"key:a\":{\"n\":1},\"key:a\":{}}}",
               WEIR_ERR_INVALID, 0);
    check_read("{\"entries\":{},\"weir_registry\":1}", WEIR_ERR_INVALID, 0);
    static const char *const wrong[] = {
        "",
        "[]",
        "1",
        "{}",
        "{\"weir_registry\":1}",
        "{\"entries\":{}}",
        "{\"weir_registry\":2,\"entries\":{}}",
        "{\"weir_registry\":\"1\",\"entries\":{}}",
        "{\"weir_registry\":1,\"entries\":[]}",
        "{\"weir_registry\":1,\"entries\":{}",
        "{\"weir_registry\":1,\"entries\":{}}x",
        "{\"weir_registry\":1,\"entries\":{\"key:a\":1}}",
        "{\"weir_registry\":1,\"entries\":{\"key:a\":\"{}\"}}",
        "{\"weir_registry\":1,\"entries\":{\"key:a\":[]}}",
        "{\"weir_registry\":1,\"entries\":{\"key:\":{}}}",
        "{\"weir_registry\":1,\"entries\":{\"model:a\":{}}}",
        "{\"weir_registry\":1,\"entries\":{\"key:a\":{\"a\":\"\xff\"}}}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        check_read(wrong[i], WEIR_ERR_INVALID, 0);
    }
}

static void test_document_without_memory(void **state)
{
    (void)state;
    static const char text[] =
        "{\"weir_registry\":1,\"entries\":{\"k\\u0065y:a\":{},\"key:b\":{}}}";
    enum weir_err err = WEIR_ERR_NOMEM;
    struct weir_entries *e = NULL;
    for (uint64_t n = 0; err == WEIR_ERR_NOMEM; n++) {
        char why[32] = "";
        weir_mem_fail_after(n);
        err = weir_entries_read(weir_str_z(text), &e, why, sizeof(why));
        weir_mem_fail_after(UINT64_MAX);
        assert_string_equal(why, err == WEIR_OK ? "" : "out of memory");
    }
    assert_int_equal(err, WEIR_OK);
    assert_int_equal(e->count, 2);
    weir_entries_let_go(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),      cmocka_unit_test(test_order),
        cmocka_unit_test(test_changes),    cmocka_unit_test(test_several_of_one_name),
        cmocka_unit_test(test_add),        cmocka_unit_test(test_add_fails),
        cmocka_unit_test(test_keepers),    cmocka_unit_test(test_alike),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_form),
        cmocka_unit_test(test_documents),  cmocka_unit_test(test_document_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
