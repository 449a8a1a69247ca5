/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded loads: lines, times, and files that are wrong somewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "loadgen/trace.h"

#define HEAD "TIMESTAMP,ContextTokens,GeneratedTokens"

static char error[WEIR_LOAD_TRACE_ERROR_BYTES];

/* ---- lines ---- */

static void test_header(void **state)
{
    (void)state;
    struct weir_load_columns c;
    assert_true(weir_load_trace_header(WEIR_STR(HEAD), &c, error));
    assert_int_equal(c.columns, 3);
    assert_int_equal(c.at, 0);
    assert_int_equal(c.output, 2);
    assert_true(weir_load_trace_header(WEIR_STR("GeneratedTokens,Model,ContextTokens,TIMESTAMP,"),
                                       &c, error));
    assert_int_equal(c.columns, 5);
    assert_int_equal(c.at, 3);
    assert_int_equal(c.input, 2);
    assert_int_equal(c.output, 0);
    static const struct {
        const char *line, *said;
    } wrong[] = {
        {"", "TIMESTAMP is missing"},
        {"2023-11-16 18:15:46,1,2", "TIMESTAMP is missing"},
        {"TIMESTAMP,ContextTokens", "GeneratedTokens is missing"},
        {"TIMESTAMP,ContextTokens,GeneratedTokens,TIMESTAMP", "TIMESTAMP once"},
        {"timestamp,ContextTokens,GeneratedTokens", "TIMESTAMP is missing"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(weir_load_trace_header(weir_str_z(wrong[i].line), &c, error));
        assert_non_null(strstr(error, wrong[i].said));
    }
}

static void test_columns_have_a_bound(void **state)
{
    (void)state;
    for (int more = 0; more < 2; more++) {
        struct weir_load_columns c;
        char line[256] = HEAD;
        size_t len = strlen(line), commas = WEIR_LOAD_TRACE_COLUMNS_MAX - 3 + (size_t)more;
        memset(line + len, ',', commas);
        bool good = weir_load_trace_header(weir_str(line, len + commas), &c, error);
        assert_true(good == (more == 0));
    }
}

static const struct weir_load_columns COLUMNS = {3, 0, 1, 2};

static uint64_t time_of(const char *text)
{
    char line[128];
    struct weir_load_row row;
    snprintf(line, sizeof(line), "%s,1,2", text);
    if (!weir_load_trace_line(&COLUMNS, weir_str_z(line), &row, error)) {
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
    assert_int_equal(time_of("0"), 0);
    assert_int_equal(time_of("17.25"), 17 * second + 250000000);
    static const char *const wrong[] = {
        "",
        " ",
        "-1",
        "1e3",
        "1.",
        ".5",
        "1.0000000001",
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
        "2023-11-16 18:15:60",
        "2501-01-01 00:00:00",
        "1969-12-31 23:59:59",
        "2023-11-16 18:15:46.",
        "2023-11-16 18:15:46 ",
        "2023-11-16 18:15:46.1234567890",
        "2023-11-16 18:15:46+2:00",
        "2023-11-16 18:15:46ZZ",
        "1970-01-01 00:00:00+00:01",
        "\"2023-11-16 18:15:46\"",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char line[128];
        struct weir_load_row row;
        snprintf(line, sizeof(line), "%s,1,2", wrong[i]);
        if (weir_load_trace_line(&COLUMNS, weir_str_z(line), &row, error)) {
            fail_msg("%s was taken", wrong[i]);
        }
        assert_non_null(strstr(error, "TIMESTAMP: expected a time"));
    }
}

static void test_lines(void **state)
{
    (void)state;
    struct weir_load_row row;
    assert_true(weir_load_trace_line(&COLUMNS, WEIR_STR("5,1000000,0"), &row, error));
    assert_int_equal(row.input_tokens, 1000000);
    assert_int_equal(row.output_tokens, 0);
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
        {"5, 1,2", "ContextTokens"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(weir_load_trace_line(&COLUMNS, weir_str_z(wrong[i].line), &row, error));
        assert_non_null(strstr(error, wrong[i].said));
    }
}

/* ---- files ---- */

static char path[] = "/tmp/weir-trace-XXXXXX";

static void write_file(const char *text, size_t len)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void test_file(void **state)
{
    (void)state;
    struct weir_load_trace t;
    struct weir_load_row row;
    static const char text[] = HEAD "\r\n10,5,6\r\n10.5,70,8\n12,9,100"; /* the last one unended */
    write_file(text, strlen(text));
    assert_true(weir_load_trace_open(&t, path, UINT64_MAX, error));
    assert_int_equal(t.rows, 3);
    assert_int_equal(t.span_ns, 2000000000);
    assert_int_equal(t.input_max, 70);
    assert_int_equal(t.output_max, 100);
    assert_int_equal(weir_load_trace_next(&t, &row), WEIR_OK);
    assert_int_equal(row.at_ns, 0);
    assert_int_equal(row.output_tokens, 6);
    assert_int_equal(weir_load_trace_next(&t, &row), WEIR_OK);
    assert_int_equal(row.at_ns, 500000000);
    assert_int_equal(weir_load_trace_next(&t, &row), WEIR_OK);
    assert_int_equal(weir_load_trace_next(&t, &row), WEIR_ERR_NOT_FOUND);
    weir_load_trace_close(&t);
    /* a part of it */
    assert_true(weir_load_trace_open(&t, path, 500000000, error));
    assert_int_equal(t.rows, 2);
    assert_int_equal(t.span_ns, 500000000);
    weir_load_trace_close(&t);
}

static void test_wrong_files(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t nul; /* where a NUL stands; 0: none */
        const char *said;
    } cases[] = {
        {"", 0, ":1: expected a header"},
        {"a,b\n", 0, ":1: expected a header with the columns"},
        {HEAD "\n", 0, ":1: expected at least one row"},
        {HEAD "\n1,2,3\n2,2,x\n3,2,3\n", 0, ":3: GeneratedTokens: expected a whole number"},
        {HEAD "\n1,2,3\n\n", 0, ":3: expected 3 fields, as the header has, got 1"},
        {HEAD "\n2,2,3\n1,2,3\n", 0, ":3: TIMESTAMP: expected a time that is not before"},
        {HEAD "\n2,2,3\n3,#,3\n", 47, ":3: expected text, got a NUL"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_load_trace t;
        char text[256];
        snprintf(text, sizeof(text), "%s", cases[i].text);
        size_t len = strlen(text);
        if (cases[i].nul > 0) {
            *strchr(text, '#') = '\0';
        }
        write_file(text, len);
        assert_false(weir_load_trace_open(&t, path, UINT64_MAX, error));
        if (strstr(error, cases[i].said) == NULL) {
            fail_msg("%s: %s", cases[i].said, error);
        }
        weir_load_trace_close(&t);
    }
}

static void test_a_line_has_a_bound(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        struct weir_load_trace t;
        char text[2 * WEIR_LOAD_TRACE_LINE_MAX] = HEAD ",more\n1,2,3,";
        size_t head = strlen(HEAD ",more\n"), len = head + WEIR_LOAD_TRACE_LINE_MAX + more;
        memset(text + strlen(text), 'x', len - strlen(text));
        write_file(text, len);
        bool good = weir_load_trace_open(&t, path, UINT64_MAX, error);
        assert_true(good == (more == 0));
        weir_load_trace_close(&t);
    }
    assert_non_null(strstr(error, ":2: expected at most 4096 bytes in a line"));
}

static void test_no_files(void **state)
{
    (void)state;
    struct weir_load_trace t;
    assert_false(weir_load_trace_open(&t, "/nowhere/trace.csv", UINT64_MAX, error));
    assert_non_null(strstr(error, "cannot read /nowhere/trace.csv: No such file"));
    weir_load_trace_close(&t);
    assert_false(weir_load_trace_open(&t, "/dev/null", UINT64_MAX, error));
    assert_non_null(strstr(error, "expected a regular file"));
    weir_load_trace_close(&t);
}

static void test_changed(void **state)
{
    (void)state;
    struct weir_load_trace t;
    struct weir_load_row row;
    static const char text[] = HEAD "\n1,2,3\n2,2,3\n";
    static const char other[] = HEAD "\n1,9,3\n2,2,3\n";
    write_file(text, strlen(text));
    assert_true(weir_load_trace_open(&t, path, UINT64_MAX, error));
    write_file(other, strlen(other)); /* more input than a request has room for */
    fflush(NULL);
    rewind(t._file);
    assert_int_equal(weir_load_trace_next(&t, &row), WEIR_ERR_INVALID);
    weir_load_trace_close(&t);
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),   cmocka_unit_test(test_columns_have_a_bound),
        cmocka_unit_test(test_times),    cmocka_unit_test(test_lines),
        cmocka_unit_test(test_file),     cmocka_unit_test(test_wrong_files),
        cmocka_unit_test(test_no_files), cmocka_unit_test(test_a_line_has_a_bound),
        cmocka_unit_test(test_changed),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
