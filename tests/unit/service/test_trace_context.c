/* SPDX-License-Identifier: Apache-2.0 */
/* traceparent: what is one, to the letter, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "service/trace_context.h"
#include "support/guard.h"

#define TRACE  "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"

static struct guard guard;

static enum weir_err read_text(const char *text, struct weir_trace_context *ret)
{
    return weir_trace_context_read(guard_put(&guard, weir_str_z(text)), ret);
}

static void test_valid(void **state)
{
    (void)state;
    static const uint8_t trace[] = {0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd,
                                    0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c};
    static const uint8_t parent[] = {0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31};
    static const char *const flags[] = {"00", "01", "ff"};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        char text[64];
        struct weir_trace_context c = {0};
        snprintf(text, sizeof(text), "00-" TRACE "-" PARENT "-%s", flags[i]);
        assert_int_equal(read_text(text, &c), WEIR_OK);
        assert_memory_equal(c.trace_id, trace, sizeof(trace));
        assert_memory_equal(c.parent_id, parent, sizeof(parent));
    }
}

static void test_invalid(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "00",
        "00-" TRACE "-" PARENT "-0",
        "00-" TRACE "-" PARENT "-01-",
        "00-" TRACE "-" PARENT "-01 ",
        " 00-" TRACE "-" PARENT "-01",
        "01-" TRACE "-" PARENT "-01", /* a version that is not known */
        "ff-" TRACE "-" PARENT "-01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01",
        "00-" TRACE "-B7AD6B7169203331-01",
        "00-" TRACE "-" PARENT "-0A",
        "00-0af7651916cd43dd8448eb211c80319g-" PARENT "-01",
        "00-0af7651916cd43dd8448eb211c80319/-" PARENT "-01",
        "00-0af7651916cd43dd8448eb211c80319:-" PARENT "-01",
        "00-0af7651916cd43dd8448eb211c80319`-" PARENT "-01",
        "00_" TRACE "-" PARENT "-01",
        "00-" TRACE "_" PARENT "-01",
        "00-" TRACE "-" PARENT "_01",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_trace_context c, untouched;
        memset(&untouched, 0x55, sizeof(untouched));
        c = untouched;
        if (read_text(cases[i], &c) != WEIR_ERR_INVALID) {
            fail_msg("taken: %s", cases[i]);
        }
        assert_memory_equal(&c, &untouched, sizeof(c));
    }
    struct weir_trace_context c;
    assert_int_equal(weir_trace_context_read(weir_str(NULL, 0), &c), WEIR_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_invalid),
    };
    guard_init(&guard, 100);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_deinit(&guard);
    return failed;
}
