/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded loads: files, and files that are wrong somewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "loadgen/trace.h"

#define HEAD "TIMESTAMP,ContextTokens,GeneratedTokens"

static char error[WEIR_LOAD_TRACE_ERROR_BYTES];

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
    struct weir_trace_row row;
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
    struct weir_trace_row row;
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
        cmocka_unit_test(test_file),     cmocka_unit_test(test_wrong_files),
        cmocka_unit_test(test_no_files), cmocka_unit_test(test_a_line_has_a_bound),
        cmocka_unit_test(test_changed),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
