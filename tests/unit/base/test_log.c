/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

enum { LINE_ROOM = 4096 };

static int pipe_ends[2], real_stderr;

static void catch_stderr(void)
{
    assert_int_equal(pipe(pipe_ends), 0);
    real_stderr = dup(STDERR_FILENO);
    assert_int_equal(dup2(pipe_ends[1], STDERR_FILENO), STDERR_FILENO);
    close(pipe_ends[1]);
}

/* What was logged since, as one slice of `line`. */
static struct weir_str caught(char line[static LINE_ROOM])
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    ssize_t len = read(pipe_ends[0], line, LINE_ROOM);
    assert_true(len >= 0);
    close(pipe_ends[0]);
    return weir_str(line, (size_t)len);
}

/* "2026-01-02T03:04:05.678Z " */
enum { TIME_LEN = 25 };

static void test_line(void **state)
{
    (void)state;
    char line[LINE_ROOM];
    catch_stderr();
    weir_log(WEIR_LOG_WARN, "%s %d", "a\nb\x1b[31m\x7f\t\xc3\xa9", 7);
    struct weir_str got = caught(line);
    assert_true(got.len > TIME_LEN);
    assert_int_equal(got.p[TIME_LEN - 2], 'Z');
    assert_true(weir_str_eq(weir_str(got.p + TIME_LEN, got.len - TIME_LEN),
                            WEIR_STR("warn a?b?[31m??\xc3\xa9 7\n")));
}

/* A line ends at 1 KiB, whatever is to be said. */
static void test_long_line(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 2000; len += 1) {
        char text[2001], line[LINE_ROOM];
        if (len > 5 && (len < 980 || len > 1040) && len != 2000) {
            continue;
        }
        memset(text, 'x', len);
        text[len] = '\0';
        catch_stderr();
        weir_log(WEIR_LOG_ERROR, "%s", text);
        struct weir_str got = caught(line);
        size_t whole = TIME_LEN + sizeof("error ") - 1 + len + 1;
        size_t expected = whole < 1023 ? whole : 1023; /* a NUL was in its last byte */
        assert_int_equal(got.len, expected);
        assert_int_equal(got.p[got.len - 1], '\n');
    }
}

static void test_gate(void **state)
{
    (void)state;
    enum { TEN_S = 10000000 };
    struct weir_log_gate gate = {0};
    uint32_t held = 9;
    assert_int_equal(weir_log_gate_pass(&gate, 2, 1, &held), 1);
    assert_int_equal(held, 0);
    assert_int_equal(weir_log_gate_pass(&gate, 2, 1, &held), 1);
    assert_int_equal(weir_log_gate_pass(&gate, 2, 1, &held), 0);
    assert_int_equal(weir_log_gate_pass(&gate, 2, TEN_S, &held), 0);
    assert_int_equal(weir_log_gate_pass(&gate, 2, TEN_S + 1, &held), 1);
    assert_int_equal(held, 2);
    assert_int_equal(weir_log_gate_pass(&gate, 2, TEN_S + 1, &held), 1);
    assert_int_equal(held, 0); /* said once */
    assert_int_equal(weir_log_gate_pass(&gate, 2, 2 * TEN_S, &held), 0);
    assert_int_equal(weir_log_gate_pass(&gate, 2, 9 * (uint64_t)TEN_S, &held), 1);
    assert_int_equal(held, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_gate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
