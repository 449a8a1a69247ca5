/* SPDX-License-Identifier: Apache-2.0 */
/* One member of a JSON text, found while its bytes go by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "gateway/member.h"

/* The value of "usage", wherever the text is cut. */
static void expect(struct weir_str text, struct weir_str value)
{
    for (size_t cut = 0; cut <= text.len; cut++) {
        struct weir_member m;
        weir_member_init(&m, WEIR_STR("usage"));
        weir_member_feed(&m, weir_str(text.p, cut));
        weir_member_feed(&m, weir_str(text.p + cut, text.len - cut));
        if (!weir_str_eq(weir_member_value(&m), value)) {
            fail_msg("%s: %.*s", text.p, (int)weir_member_value(&m).len, weir_member_value(&m).p);
        }
        weir_member_deinit(&m);
    }
}

#define EXPECT(text, value) expect(WEIR_STR(text), WEIR_STR(value))

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
        weir_member_init(&m, WEIR_STR("usage"));
        weir_member_feed(&m, weir_buf_view(&text));
        assert_int_equal(weir_member_value(&m).len, more > 0 ? 0 : WEIR_MEMBER_MAX);
        weir_member_deinit(&m);
    }
    weir_buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_of_two_the_last),
        cmocka_unit_test(test_not_there),
        cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
