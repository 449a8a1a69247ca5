/* SPDX-License-Identifier: Apache-2.0 */
/* One member of a JSON text, found while its bytes go by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "gateway/member.h"

/* What is found, wherever the text is cut. */
static void expect_at(struct weir_member_path path, struct weir_str text, struct weir_str value)
{
    for (size_t cut = 0; cut <= text.len; cut++) {
        struct weir_member m;
        weir_member_init(&m, path);
        weir_member_feed(&m, weir_str(text.p, cut));
        weir_member_feed(&m, weir_str(text.p + cut, text.len - cut));
        if (!weir_str_eq(weir_member_value(&m), value)) {
            fail_msg("%s: %.*s", text.p, (int)weir_member_value(&m).len, weir_member_value(&m).p);
        }
        weir_member_deinit(&m);
    }
}

static const struct weir_member_path outermost = {.name = {"usage", 5}};
static const struct weir_member_path inner = {{"response", 8}, {"usage", 5}};

#define EXPECT(text, value)       expect_at(outermost, WEIR_STR(text), WEIR_STR(value))
#define EXPECT_INNER(text, value) expect_at(inner, WEIR_STR(text), WEIR_STR(value))

static void test_found(void **state)
{
    (void)state;
    EXPECT("{\"usage\":{\"a\":[1,{}]}}", "{\"a\":[1,{}]}");
    EXPECT("{\"x\":[1,\"}\",{\"usage\":2}],\"usage\":{\"b\":\"},\\\"\"},\"y\":3}",
           "{\"b\":\"},\\\"\"}");
    EXPECT("{ \"usage\" : 7 }", " 7 ");
    EXPECT("{\"usage\":null,\"u\":\"usage\"}", "null");
    EXPECT("{\"a\":\"usage\",\"usage\":1}", "1");
}

static void test_of_two_the_last(void **state)
{
    (void)state;
    EXPECT("{\"usage\":1,\"usage\":2}", "2");
    EXPECT("{\"usage\":1,\"usage\":", "");
}

static void test_not_there(void **state)
{
    (void)state;
    EXPECT("", "");
    EXPECT("{}", "");
    EXPECT("{\"usag\":1,\"usages\":2,\"\":3,\"usage\\u0020\":4}", "");
    EXPECT("[{\"usage\":1}]", "");
    EXPECT("{\"a\":{\"usage\":1}}", "");
    EXPECT("{\"a\":\"x\\\",\\\"usage\\\":1\"}", "");
    EXPECT("{\"usage\":{\"a\":1}", ""); /* its end has not come */
    EXPECT("}}]]{\"usage\":1", "");
}

static void test_in_an_object(void **state)
{
    (void)state;
    EXPECT_INNER(
        "event: \"x\ndata: {\"type\":\"a\",\"response\":{\"usage\":{\"a\":1},\"b\":2}}\n\n",
        "{\"a\":1}");
    EXPECT_INNER("{\"response\":{\"a\":{\"usage\":1},\"usage\":2,\"b\":[{}]},\"usage\":3}", "2");
    EXPECT_INNER("{\"a\":{\"usage\":1},\"response\":{\"usage\":2}}", "2");
    EXPECT_INNER("{\"response\":{\"usage\":1},\"a\":{\"b\":0,\"usage\":2}}", "1");
    EXPECT_INNER("{\"response\":1,\"a\":{\"usage\":1}}", "");
    EXPECT_INNER("{\"response\":[{\"usage\":1}]}", "");
    EXPECT_INNER("{\"usage\":1}", "");
    EXPECT_INNER("{\"a\":{\"response\":{\"usage\":1}}}", "");
}

static void test_another_text(void **state)
{
    (void)state;
    struct weir_member m;
    weir_member_init(&m, outermost);
    weir_member_feed(&m, WEIR_STR("{\"usage\":1}"));
    weir_member_reset(&m);
    assert_int_equal(weir_member_value(&m).len, 0);
    weir_member_feed(&m, WEIR_STR("{\"usage\":2}"));
    assert_true(weir_str_eq(weir_member_value(&m), WEIR_STR("2")));
    weir_member_deinit(&m);
}

static void test_too_large(void **state)
{
    (void)state;
    struct weir_buf text;
    weir_buf_init(&text, 2 * WEIR_MEMBER_MAX);
    for (size_t more = 0; more < 2; more++) {
        weir_buf_reset(&text);
        WEIR_BUF_LIT(&text, "{\"usage\":\"");
        for (size_t i = 2; i < WEIR_MEMBER_MAX + more; i++) {
            weir_buf_char(&text, 'x');
        }
        WEIR_BUF_LIT(&text, "\"}");
        struct weir_member m;
        weir_member_init(&m, outermost);
        weir_member_feed(&m, weir_buf_view(&text));
        assert_int_equal(weir_member_value(&m).len, more > 0 ? 0 : WEIR_MEMBER_MAX);
        weir_member_deinit(&m);
    }
    weir_buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),        cmocka_unit_test(test_of_two_the_last),
        cmocka_unit_test(test_not_there),    cmocka_unit_test(test_in_an_object),
        cmocka_unit_test(test_another_text), cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
