/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of traces: names, times, and what is wrong with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/trace_row.h"

#define HEAD "TIMESTAMP,ContextTokens,GeneratedTokens"

static char error[WEIR_TRACE_ERROR_BYTES];

static void test_header(void **state)
{
    (void)state;
    struct weir_trace_columns c;
    assert_true(weir_trace_names(WEIR_STR(HEAD), &c, error));
    assert_int_equal(c.columns, 3);
    assert_int_equal(c.at, 0);
    assert_int_equal(c.output, 2);
    assert_true(
        weir_trace_names(WEIR_STR("GeneratedTokens,Model,ContextTokens,TIMESTAMP,"), &c, error));
    assert_int_equal(c.columns, 5);
    assert_int_equal(c.at, 3);
    assert_int_equal(c.input, 2);
    assert_int_equal(c.output, 0);
    assert_true(
        weir_trace_names(WEIR_STR("output_tokens, model ,\tInput_Tokens,ARRIVAL_TIME"), &c, error));
    assert_int_equal(c.at, 3);
    assert_int_equal(c.input, 2);
    assert_int_equal(c.output, 0);
    static const struct {
        const char *line, *said;
    } wrong[] = {
        {"", "TIMESTAMP is missing"},
        {"2023-11-16 18:15:46,1,2", "TIMESTAMP is missing"},
        {"TIMESTAMP,ContextTokens", "GeneratedTokens is missing"},
        {"TIMESTAMP,ContextTokens,GeneratedTokens,TIMESTAMP", "TIMESTAMP (or arrival_time) once"},
        {"TIMESTAMP,ContextTokens,GeneratedTokens,arrival_time", "(or arrival_time) once"},
        {"TIMESTAMPS,ContextTokens,GeneratedTokens", "TIMESTAMP is missing"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(weir_trace_names(weir_str_z(wrong[i].line), &c, error));
        assert_non_null(strstr(error, wrong[i].said));
    }
}

static void test_columns_have_a_bound(void **state)
{
    (void)state;
    for (int more = 0; more < 2; more++) {
        struct weir_trace_columns c;
        char line[256] = HEAD;
        size_t len = strlen(line), commas = WEIR_TRACE_COLUMNS_MAX - 3 + (size_t)more;
        memset(line + len, ',', commas);
        bool good = weir_trace_names(weir_str(line, len + commas), &c, error);
        assert_true(good == (more == 0));
    }
}

static const struct weir_trace_columns COLUMNS = {3, 0, 1, 2};

static uint64_t time_of(const char *text)
{
    char line[128];
    struct weir_trace_row row;
    snprintf(line, sizeof(line), "%s,1,2", text);
    if (!weir_trace_read(&COLUMNS, weir_str_z(line), 1000000, &row, error)) {
        fail_msg("%s: %s", text, error);
    }
    return row.at_ns;
}

static void test_times(void **state)
{
    (void)state;
    const uint64_t second = 1000000000;
    assert_int_equal(time_of("1970-01-01 00:00:00"), 0);
    assert_int_equal(time_of("2023-11-16 18:15:46.6805900"), 1700158546 * second + 680590000);
    assert_int_equal(time_of("2023-11-16T18:15:46Z"), 1700158546 * second);
    assert_int_equal(time_of("2023-11-16 20:15:46+02:00"), 1700158546 * second);
    assert_int_equal(time_of("2023-11-16 13:45:46.5-04:30"), 1700158546 * second + 500000000);
    assert_int_equal(time_of("2024-02-29 00:00:00"), 1709164800 * second);
    assert_int_equal(time_of("2024-03-01 00:00:00"), 1709251200 * second);
    assert_int_equal(time_of("2100-03-01 00:00:00"), 4107542400 * second);
    assert_int_equal(time_of("2499-12-31 23:59:59.999999999"), 16725225599 * second + 999999999);
    assert_int_equal(time_of("2023-12-31 23:59:60"), 1704067200 * second); /* a leap second */
    assert_int_equal(time_of(" 2023-11-16 18:15:46\t"), 1700158546 * second);
    assert_int_equal(time_of("0"), 0);
    assert_int_equal(time_of("1.1234567899"), 1123456789); /* no finer than that */
    assert_int_equal(time_of("10000000000"), 10000000000 * second);
    assert_int_equal(time_of("17.25"), 17 * second + 250000000);
    static const char *const wrong[] = {
        "",
        " . ",
        "-1",
        "1e3",
        "1.",
        ".5",
        "10000000001",
        "2023-11-16",
        "2023-11-16 18:15",
        "2023-13-16 18:15:46",
        "2023-02-29 18:15:46",
        "2100-02-29 00:00:00",
        "2023-11-31 18:15:46",
        "2023-00-01 00:00:00",
        "2023-11-00 00:00:00",
        "2023-11-16 24:00:00",
        "2023-11-16 18:60:00",
        "2023-11-16 18:15:61",
        "2023-11-16 18:15:46 UTC",
        "2023-11-16_18:15:46",
        "2023-11-16 18:15:46+24:00",
        "2501-01-01 00:00:00",
        "1969-12-31 23:59:59",
        "2023-11-16 18:15:46.",
        "2023-11-16 18:15:46+2:00",
        "2023-11-16 18:15:46ZZ",
        "1970-01-01 00:00:00+00:01",
        "\"2023-11-16 18:15:46\"",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char line[128];
        struct weir_trace_row row;
        snprintf(line, sizeof(line), "%s,1,2", wrong[i]);
        if (weir_trace_read(&COLUMNS, weir_str_z(line), 1000000, &row, error)) {
            fail_msg("%s was taken", wrong[i]);
        }
        assert_non_null(strstr(error, "TIMESTAMP: expected a time"));
    }
}

static void test_lines(void **state)
{
    (void)state;
    struct weir_trace_row row;
    assert_true(weir_trace_read(&COLUMNS, WEIR_STR("5,1000000,0"), 1000000, &row, error));
    assert_int_equal(row.input_tokens, 1000000);
    assert_int_equal(row.output_tokens, 0);
    assert_true(weir_trace_read(&COLUMNS, WEIR_STR("5, 1,2 "), 2, &row, error));
    assert_false(weir_trace_read(&COLUMNS, WEIR_STR("5,1,3"), 2, &row, error));
    static const struct {
        const char *line, *said;
    } wrong[] = {
        {"", "expected 3 fields, as the header has, got 1"},
        {"5,1", "got 2"},
        {"5,1,2,", "got 4"},
        {"5,1000001,2",
         "ContextTokens: expected a whole number from 0 to 1000000, got \"1000001\""},
        {"5,1,-2", "GeneratedTokens: expected a whole number from 0 to 1000000, got \"-2\""},
        {"5,1,", "GeneratedTokens"},
        {"5,1 1,2", "ContextTokens"},
        {"5,\"1\",2", "ContextTokens: expected a whole number from 0 to 1000000, got \"\"1\"\""},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(weir_trace_read(&COLUMNS, weir_str_z(wrong[i].line), 1000000, &row, error));
        assert_non_null(strstr(error, wrong[i].said));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_columns_have_a_bound),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
