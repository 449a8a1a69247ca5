/* SPDX-License-Identifier: Apache-2.0 */
/* Traces: what is read, in any order of lines, and what is refused, with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/trace.h"

#define NAMES "TIMESTAMP,ContextTokens,GeneratedTokens\n"

static struct weir_trace taken(const char *text)
{
    struct weir_trace trace;
    struct weir_trace_error error;
    if (weir_trace_parse(weir_str_z(text), &trace, &error) != WEIR_OK) {
        fail_msg("refused: %s\nline %zu: %s", text, error.line, error.text);
    }
    return trace;
}

static void refused(const char *text, size_t line, const char *why)
{
    struct weir_trace trace;
    struct weir_trace_error error;
    enum weir_err err = weir_trace_parse(weir_str_z(text), &trace, &error);
    if (err != WEIR_ERR_INVALID || error.line != line || strstr(error.text, why) == NULL) {
        fail_msg("%s\nis answered %s, line %zu: %s", text, weir_err_name(err), error.line,
                 error.text);
    }
}

static void is_row(const struct weir_trace *t, size_t i, uint64_t at_ns, uint32_t input,
                   uint32_t output)
{
    assert_true(i < t->rows);
    assert_int_equal(t->row[i].at_ns, at_ns);
    assert_int_equal(t->row[i].input_tokens, input);
    assert_int_equal(t->row[i].output_tokens, output);
}

static void test_rows(void **state)
{
    (void)state;
    struct weir_trace t = taken("TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
                                "2023-11-16 18:15:46.6805900,374,44\r\n"
                                "2023-11-16 18:15:50.9951699,396,109\r\n"
                                "2023-11-17 00:00:00,0,100000000");
    assert_int_equal(t.rows, 3);
    is_row(&t, 0, 0, 374, 44);
    is_row(&t, 1, 4314579900, 396, 109); /* 50.9951699 - 46.6805900 */
    is_row(&t, 2, 20653319410000, 0, 100000000);
    weir_trace_deinit(&t);
}

static void test_columns_and_order(void **state)
{
    (void)state;
    struct weir_trace t = taken("output_tokens, model ,input_tokens,ARRIVAL_TIME\n"
                                "1,m,2,12.5\n"
                                "\n"
                                "3,,4,12.25\n"
                                "5,m,6,1000\n");
    assert_int_equal(t.rows, 3);
    is_row(&t, 0, 0, 4, 3);
    is_row(&t, 1, 250000000, 2, 1);
    is_row(&t, 2, 987750000000, 6, 5);
    weir_trace_deinit(&t);
}

/* The same two moments, ten seconds apart, in each form; over the ends of months and years. */
static void test_times(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"2024-05-10 00:00:00.009930+00:00", "2024-05-10T00:00:10.00993Z"},
        {"2023-12-31 23:59:55", "2024-01-01 00:00:05"},
        {"2024-02-28 23:59:55", "2024-02-29 00:00:05"},
        {"2023-02-28 23:59:55", "2023-03-01 00:00:05"},
        {"2000-02-29 23:59:55", "2000-03-01 00:00:05"},
        {"2100-02-28 23:59:55", "2100-03-01 00:00:05"},
        {"2024-05-10 02:00:00+02:00", "2024-05-09 19:00:10-05:00"},
        {"0", "10"},
        {"9999999990.000001", "10000000000.000001"},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        char text[256];
        snprintf(text, sizeof(text), NAMES "%s,1,1\n%s,2,2\n", pairs[i][0], pairs[i][1]);
        struct weir_trace t = taken(text);
        is_row(&t, 0, 0, 1, 1);
        is_row(&t, 1, 10000000000, 2, 2);
        weir_trace_deinit(&t);
    }
}

static void test_refused(void **state)
{
    (void)state;
    refused(NAMES "1,1,1\n1.,1,1\n", 3, "a time");
    refused("", 0, "at least one row");
    refused(NAMES, 0, "at least one row");
    refused("TIMESTAMP,ContextTokens\n1,1\n", 1, "columns");
    refused("TIMESTAMP,ContextTokens,input_tokens,GeneratedTokens\n1,1,1,1\n", 1, "once");
    refused(NAMES "1,1\n", 2, "expected 3 fields");
    refused(NAMES "1,1,1,1\n", 2, "expected 3 fields");
    refused(NAMES "1,1,100000001\n", 2, "Tokens");
    refused(NAMES "1,1.5,1\n", 2, "Tokens");
    refused(NAMES "1,,1\n", 2, "Tokens");
}

static void append_columns(char *text, size_t room, const char *column, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        size_t len = strlen(text);
        snprintf(text + len, room - len, "%s", column);
    }
}

/* 64 columns are taken, 65 are not. */
static void test_bound_of_columns(void **state)
{
    (void)state;
    for (unsigned more = WEIR_TRACE_COLUMNS_MAX - 3; more <= WEIR_TRACE_COLUMNS_MAX - 2; more++) {
        char text[1024] = "TIMESTAMP,ContextTokens,GeneratedTokens";
        append_columns(text, sizeof(text), ",c", more);
        append_columns(text, sizeof(text), "\n1,1,1", 1);
        append_columns(text, sizeof(text), ",", more);
        if (more == WEIR_TRACE_COLUMNS_MAX - 3) {
            struct weir_trace t = taken(text);
            assert_int_equal(t.rows, 1);
            weir_trace_deinit(&t);
        } else {
            refused(text, 1, "at most 64");
        }
    }
}

static void test_many_rows_and_no_memory(void **state)
{
    (void)state;
    enum { ROWS = 5000, BYTES = 100000 };
    char *text = weir_zalloc(BYTES);
    size_t len = (size_t)snprintf(text, BYTES, NAMES);
    for (unsigned i = 0; i < ROWS; i++) {
        len += (size_t)snprintf(text + len, BYTES - len, "%u,%u,1\n", ROWS - i, i);
    }
    struct weir_trace t = taken(text);
    assert_int_equal(t.rows, ROWS);
    is_row(&t, 0, 0, ROWS - 1, 1);
    is_row(&t, ROWS - 1, (ROWS - 1) * UINT64_C(1000000000), 0, 1);
    weir_trace_deinit(&t);
    for (uint64_t n = 0; n < 4; n++) {
        struct weir_trace_error error;
        weir_mem_fail_after(n);
        enum weir_err err = weir_trace_parse(weir_str_z(text), &t, &error);
        weir_mem_fail_after(UINT64_MAX);
        if (n < 3) { /* room for 1024, 2048, 4096 and 8192 rows */
            assert_int_equal(err, WEIR_ERR_NOMEM);
        }
        if (err == WEIR_OK) {
            weir_trace_deinit(&t);
        }
    }
    weir_free(text);
}

static void test_no_file(void **state)
{
    (void)state;
    struct weir_trace trace;
    struct weir_trace_error error;
    assert_int_equal(weir_trace_load("/nowhere/a-trace.csv", &trace, &error), WEIR_ERR_IO);
    assert_int_equal(error.line, 0);
    assert_non_null(strstr(error.text, "cannot read it"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_columns_and_order),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bound_of_columns),
        cmocka_unit_test(test_many_rows_and_no_memory),
        cmocka_unit_test(test_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
