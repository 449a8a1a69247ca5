/* SPDX-License-Identifier: Apache-2.0 */
/* What an entry of the registry becomes: members laid over it, and grants behind those that hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "admin/internal.h"
#include "base/mem.h"

/* The text of an entry; NULL: there is none. */
static struct weir_str entry(const char *text)
{
    return text == NULL ? weir_str(NULL, 0) : weir_str_z(text);
}

/* expected NULL: it is refused. */
static void check_merge(const char *before, const char *patch, const char *expected)
{
    struct weir_buf b;
    weir_buf_init(&b, WEIR_ENTRY_TEXT_MAX);
    enum weir_err err = admin_entry_merge(entry(before), weir_str_z(patch), &b);
    bool made =
        err == WEIR_OK && expected != NULL && weir_str_eq(weir_buf_view(&b), weir_str_z(expected));
    if (!made && (expected != NULL || err != WEIR_ERR_INVALID)) {
        fail_msg("%s with %s: %s, %.*s", before == NULL ? "nothing" : before, patch,
                 weir_err_name(err), (int)b.len, b.data);
    }
    weir_buf_deinit(&b);
}

static void test_merge(void **state)
{
    (void)state;
    check_merge(NULL, "{}", "{}");
    check_merge(NULL, "{\"plan\":\"a\",\"n\":1.50}", "{\"plan\":\"a\",\"n\":1.50}");
    check_merge("{\"plan\":\"a\",\"team\":\"t\"}", "{}", "{\"plan\":\"a\",\"team\":\"t\"}");
    check_merge("{\"plan\":\"a\",\"team\":\"t\"}", "{\"plan\":\"b\"}",
                "{\"team\":\"t\",\"plan\":\"b\"}");
    check_merge("{ \"a\" : [1, {\"b\":2}] , \"c\" : {\"d\": \"e\"} }", "{\"c\":{ \"f\": [ ] }}",
                "{\"a\":[1, {\"b\":2}],\"c\":{ \"f\": [ ] }}"); /* values as they stand, whole */
}

static void test_merge_null(void **state)
{
    (void)state;
    check_merge("{\"plan\":\"a\",\"team\":\"t\"}", "{\"plan\":null}", "{\"team\":\"t\"}");
    check_merge("{\"plan\":\"a\"}", "{\"plan\":null,\"team\":null}", "{}");
    check_merge(NULL, "{\"plan\":null}", "{}");
    check_merge("{\"a\":{\"b\":1}}", "{\"a\":{\"b\":null}}", "{\"a\":{\"b\":null}}");
}

/* A name is what it spells, with escapes or without. */
static void test_merge_escapes(void **state)
{
    (void)state;
    check_merge("{\"pl\\u0061n\":\"a\"}", "{\"plan\":\"b\"}", "{\"plan\":\"b\"}");
    check_merge("{\"plan\":\"a\"}", "{\"pl\\u0061n\":\"\\\"\\n\"}", "{\"pl\\u0061n\":\"\\\"\\n\"}");
    check_merge("{\"plan\":\"a\"}", "{\"pl\\u0061n\":null}", "{}");
}

static void test_merge_refused(void **state)
{
    (void)state;
    check_merge(NULL, "[]", NULL);
    check_merge(NULL, "1", NULL);
    check_merge(NULL, "{", NULL);
    check_merge(NULL, "", NULL);
    check_merge("[]", "{}", NULL);
    check_merge("{", "{}", NULL);
}

/* Nor one without room or memory for it. */
static void test_merge_bounded(void **state)
{
    (void)state;
    static const char before[] = "{\"pl\\u0061n\":1}", patch[] = "{\"te\\u0061m\":22}";
    struct weir_buf b;
    weir_buf_init(&b, 20);
    assert_int_equal(admin_entry_merge(weir_str_z(before), weir_str_z(patch), &b), WEIR_ERR_NOMEM);
    weir_buf_deinit(&b);
    enum weir_err err = WEIR_ERR_NOMEM;
    for (uint64_t n = 0; err != WEIR_OK; n++) {
        assert_int_equal(err, WEIR_ERR_NOMEM);
        weir_buf_init(&b, WEIR_ENTRY_TEXT_MAX);
        weir_mem_fail_after(n);
        err = admin_entry_merge(weir_str_z(before), weir_str_z(patch), &b);
        weir_mem_fail_after(UINT64_MAX);
        if (err == WEIR_OK) {
            assert_true(
                weir_str_eq(weir_buf_view(&b), WEIR_STR("{\"pl\\u0061n\":1,\"te\\u0061m\":22}")));
        }
        weir_buf_deinit(&b);
    }
}

/* ---- fields ---- */

static void check_fields(const char *text, bool has)
{
    static const char *const fields[] = {"plan", "team", NULL};
    struct weir_json j;
    weir_json_init(&j);
    assert_int_equal(weir_json_parse(&j, weir_str_z(text)), WEIR_OK);
    assert_int_equal(admin_entry_has_only(&j, fields), has);
    weir_json_deinit(&j);
}

static void check_twice(const char *text, bool twice)
{
    struct weir_json j;
    weir_json_init(&j);
    assert_int_equal(weir_json_parse(&j, weir_str_z(text)), WEIR_OK);
    assert_int_equal(admin_entry_has_twice(&j), twice);
    weir_json_deinit(&j);
}

static void test_twice(void **state)
{
    (void)state;
    check_twice("{}", false);
    check_twice("{\"plan\":1,\"team\":{\"plan\":2}}", false);
    check_twice("{\"plan\":null,\"team\":1,\"plan\":null}", true);
    check_twice("{\"plan\":1,\"pl\\u0061n\":2}", true);
}

static void test_fields(void **state)
{
    (void)state;
    check_fields("{}", true);
    check_fields("{\"team\":{\"x\":1},\"plan\":[2]}", true); /* its own members alone */
    check_fields("{\"pl\\u0061n\":1}", true);
    check_fields("{\"plan\":1,\"Team\":2}", false);
    check_fields("{\"plans\":1,\"x\":2}", false);
    check_fields("{\"\":1}", false);
}

/* ---- grants ---- */

#define UNTIL(ms) "{\"amount\":1,\"until_ms\":" ms "}"

static void check_grants(const char *before, const char *grants, const char *expected)
{
    struct weir_buf b;
    weir_buf_init(&b, WEIR_ENTRY_TEXT_MAX);
    assert_int_equal(admin_entry_grant(entry(before), weir_str_z(grants), 1000, &b), WEIR_OK);
    if (!weir_str_eq(weir_buf_view(&b), weir_str_z(expected))) {
        fail_msg("%s: %.*s\nexpected %s", before == NULL ? "nothing" : before, (int)b.len, b.data,
                 expected);
    }
    weir_buf_deinit(&b);
}

/* Those that have ended are not kept, nor what is no grant. */
static void test_grants(void **state)
{
    (void)state;
    check_grants(NULL, "{}", "[{}]");
    check_grants("{\"plan\":\"p\"}", "{}", "[{}]");
    check_grants("{\"grants\":[]}", "{},{}", "[{},{}]");
    check_grants("{\"grants\":[" UNTIL("1001") "]}", "{}", "[" UNTIL("1001") ",{}]");
    check_grants("{\"grants\":[" UNTIL("1000") "," UNTIL("2000") "," UNTIL("999") "]}", "{}",
                 "[" UNTIL("2000") ",{}]");
    check_grants("{\"grants\":[1,{},{\"until_ms\":\"x\"},{\"until_ms\":-1}]}", "{}", "[{}]");
    check_grants("{\"grants\":{\"until_ms\":2000}}", "{}", "[{}]");
}

static void test_grants_refused(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 8);
    assert_int_equal(admin_entry_grant(WEIR_STR("{"), WEIR_STR("{}"), 1000, &b), WEIR_ERR_INVALID);
    weir_buf_reset(&b);
    assert_int_equal(
        admin_entry_grant(WEIR_STR("{\"grants\":[" UNTIL("1001") "]}"), WEIR_STR("{}"), 1000, &b),
        WEIR_ERR_NOMEM); /* there is no room */
    weir_buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge),          cmocka_unit_test(test_merge_null),
        cmocka_unit_test(test_merge_escapes),  cmocka_unit_test(test_merge_refused),
        cmocka_unit_test(test_merge_bounded),  cmocka_unit_test(test_fields),
        cmocka_unit_test(test_twice),          cmocka_unit_test(test_grants),
        cmocka_unit_test(test_grants_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
