/* SPDX-License-Identifier: Apache-2.0 */
/* Where the access log's lines go: whole lines only, to a pipe no more than it takes at once, and a
 * line that was torn spoils no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/access_sink.h"

enum { LINE_BYTES = 100, LINES = 2000 }; /* together more than a pipe holds */

static char lines[LINES * LINE_BYTES];
static char folder[] = "/tmp/weir-test-XXXXXX";
static char path[sizeof(folder) + 16];

static int begin(void **state)
{
    (void)state;
    memset(lines, 'x', sizeof(lines));
    for (size_t i = 0; i < LINES; i++) {
        lines[(i + 1) * LINE_BYTES - 1] = '\n';
    }
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/access.log", folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static struct weir_access_sink *opened(const char *where)
{
    struct weir_access_sink *sink;
    assert_int_equal(weir_access_sink_open(where, &sink), WEIR_OK);
    return sink;
}

/* How many bytes of the lines from there on are done with; none is torn. */
static size_t taken(struct weir_access_sink *sink, size_t from)
{
    bool torn;
    size_t n = weir_access_sink_write(sink, weir_str(lines + from, sizeof(lines) - from), &torn);
    assert_false(torn);
    return n;
}

static void check_file(const char *expected, size_t len)
{
    static char found[sizeof(lines) + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, found, sizeof(found)), len);
    assert_memory_equal(found, expected, len);
    close(fd);
}

static void test_file(void **state)
{
    (void)state;
    struct stat s;
    mode_t mask = umask(0);
    struct weir_access_sink *sink = opened(path);
    umask(mask);
    assert_int_equal(taken(sink, 0), sizeof(lines));
    check_file(lines, sizeof(lines));
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0640);
    unlink(path);
    weir_access_sink_reopen(sink);
    assert_int_equal(taken(sink, sizeof(lines) - LINE_BYTES), LINE_BYTES);
    check_file(lines, LINE_BYTES);
    weir_access_sink_free(sink);
    sink = opened(path); /* appended to */
    assert_int_equal(taken(sink, sizeof(lines) - LINE_BYTES), LINE_BYTES);
    check_file(lines, (size_t)2 * LINE_BYTES);
    weir_access_sink_free(sink);
    unlink(path);
}

static void test_no_file(void **state)
{
    (void)state;
    struct weir_access_sink *sink;
    assert_int_equal(weir_access_sink_open(folder, &sink), WEIR_ERR_IO);
}

static void set_file_limit(rlim_t bytes)
{
    struct rlimit r;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
    r.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

/* A file that takes two and a half lines, and then more again. */
static void test_torn(void **state)
{
    (void)state;
    bool torn;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    struct weir_access_sink *sink = opened(path);
    set_file_limit(5 * LINE_BYTES / 2);
    size_t n = weir_access_sink_write(sink, weir_str(lines, (size_t)4 * LINE_BYTES), &torn);
    set_file_limit(before.rlim_cur);
    assert_true(torn);
    assert_int_equal(n, 3 * LINE_BYTES);
    assert_int_equal(taken(sink, sizeof(lines) - LINE_BYTES), LINE_BYTES);
    char expected[5 * LINE_BYTES];
    size_t half = 5 * LINE_BYTES / 2;
    memcpy(expected, lines, half);
    expected[half] = '\n';
    memcpy(expected + half + 1, lines, LINE_BYTES);
    check_file(expected, half + 1 + LINE_BYTES);
    weir_access_sink_free(sink);
    unlink(path);
}

/* A blocking pipe, as stdout is: without the question before each write this would wait for ever.
 */
static void test_pipe(void **state)
{
    (void)state;
    static char found[sizeof(lines)];
    int ends[2], own = dup(STDOUT_FILENO);
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    dup2(ends[1], STDOUT_FILENO);
    struct weir_access_sink *sink = opened("stdout");
    size_t first = taken(sink, 0), again = taken(sink, first);
    ssize_t got = read(ends[0], found, sizeof(found));
    size_t second = taken(sink, first);
    weir_access_sink_reopen(sink); /* nothing */
    weir_access_sink_free(sink);
    dup2(own, STDOUT_FILENO);
    close(own);
    close(ends[0]);
    close(ends[1]);
    assert_true(first > PIPE_BUF && first < sizeof(lines) && first % LINE_BYTES == 0);
    assert_int_equal(again, 0);
    assert_int_equal(got, first);
    assert_memory_equal(found, lines, first);
    assert_true(second > 0 && second % LINE_BYTES == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_pipe),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
