/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "loadgen/record.h"

static struct weir_str keys[] = {{"sk-secret-a", 11}, {"sk-secret-b", 11}};
static struct weir_str ids[] = {{"a", 1}, {"b\"", 2}};

static void expect(const struct weir_load_options *o, const struct weir_load_answer *answer,
                   const char *expected, uint64_t without_usage)
{
    char text[512] = "";
    struct weir_load_record r;
    FILE *file = fmemopen(text, sizeof(text), "w");
    assert_non_null(file);
    weir_load_record_init(&r, o, file);
    weir_load_record_add(&r, answer);
    fclose(file);
    assert_string_equal(text, expected);
    assert_int_equal(r.without_usage, without_usage);
    weir_load_record_deinit(&r);
}

/* The interval is rounded outwards; the key itself does not appear. */
static void test_line(void **state)
{
    (void)state;
    struct weir_load_options o = {.key_list = keys, .keys = 2};
    struct weir_load_answer answer = {
        .key = 1,
        .sent_ns = 5999,
        .head_ns = 7001,
        .has_usage = true,
        .input_tokens = 30,
        .output_tokens = 16,
    };
    expect(&o, &answer,
           "{\"subject\":\"key:2\",\"sent_us\":5,\"received_us\":8,\"requests\":1,"
           "\"input_tokens\":30,\"output_tokens\":16}\n",
           0);
    answer.head_ns = 7000;
    o.key_ids = ids;
    expect(&o, &answer,
           "{\"subject\":\"key:b\\\"\",\"sent_us\":5,\"received_us\":7,\"requests\":1,"
           "\"input_tokens\":30,\"output_tokens\":16}\n",
           0);
    answer.has_usage = false;
    expect(&o, &answer, "", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_line)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
