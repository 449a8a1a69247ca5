/* SPDX-License-Identifier: Apache-2.0 */
#include "service/access_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct weir_access_sink {
    pthread_mutex_t mutex;
    int fd;
    bool patient; /* a file: takes any length, and is always ready */
    bool torn;    /* what was written last is the beginning of a line */
    struct weir_log_gate gate;
    char path[]; /* empty: stderr or stdout */
};

static int open_path(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

static bool is_file(int fd)
{
    struct stat s;
    return fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
}

enum weir_err weir_access_sink_open(const char *where, struct weir_access_sink **ret_sink)
{
    bool to_stderr = strcmp(where, "stderr") == 0, to_stdout = strcmp(where, "stdout") == 0;
    int fd = to_stderr ? STDERR_FILENO : to_stdout ? STDOUT_FILENO : open_path(where);
    if (fd < 0) {
        return WEIR_ERR_IO;
    }
    struct weir_access_sink *sink = weir_zalloc(sizeof(*sink) + strlen(where) + 1);
    if (sink == NULL) {
        if (fd > STDERR_FILENO) {
            close(fd);
        }
        return WEIR_ERR_NOMEM;
    }
    pthread_mutex_init(&sink->mutex, NULL);
    memcpy(sink->path, where, to_stderr || to_stdout ? 0 : strlen(where));
    sink->fd = fd;
    sink->patient = is_file(fd);
    *ret_sink = sink;
    return WEIR_OK;
}

void weir_access_sink_free(struct weir_access_sink *sink)
{
    if (sink == NULL) {
        return;
    }
    if (sink->path[0] != '\0') {
        close(sink->fd);
    }
    pthread_mutex_destroy(&sink->mutex);
    weir_free(sink);
}

void weir_access_sink_reopen(struct weir_access_sink *sink)
{
    if (sink == NULL || sink->path[0] == '\0') {
        return;
    }
    int fd = open_path(sink->path);
    if (fd < 0) {
        weir_log(WEIR_LOG_ERROR, "access log: cannot open %s again, the old file is kept: %s",
                 sink->path, strerror(errno));
        return;
    }
    pthread_mutex_lock(&sink->mutex);
    int old = sink->fd;
    sink->fd = fd;
    sink->patient = is_file(fd);
    sink->torn = false;
    pthread_mutex_unlock(&sink->mutex);
    close(old);
    weir_log(WEIR_LOG_INFO, "access log: %s was opened again", sink->path);
}

/* ---- writing; under the mutex ---- */

static bool is_ready(const struct weir_access_sink *sink)
{
    struct pollfd p = {.fd = sink->fd, .events = POLLOUT};
    return sink->patient || poll(&p, 1, 0) == 1; /* what is wrong with it the write says */
}

/* The length of the whole lines at the front of it, at most `max`. */
static size_t whole_lines(struct weir_str lines, size_t max)
{
    const char *end = memrchr(lines.p, '\n', lines.len < max ? lines.len : max);
    return end == NULL ? 0 : (size_t)(end - lines.p) + 1;
}

static void say_failed(struct weir_access_sink *sink, int why)
{
    uint32_t held;
    if (weir_log_gate_pass(&sink->gate, 1, weir_clock_us(), &held)) {
        weir_log(WEIR_LOG_ERROR, "access log: cannot be written: %s (%u more of these)",
                 strerror(why), held);
    }
}

/* How many bytes were taken; 0: none now. */
static size_t write_some(struct weir_access_sink *sink, struct weir_str bytes)
{
    ssize_t n = is_ready(sink) ? write(sink->fd, bytes.p, bytes.len) : 0;
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            say_failed(sink, errno);
        }
        return 0;
    }
    return (size_t)n;
}

/* Ends the line that is there only in part. False: not now. */
static bool mend(struct weir_access_sink *sink)
{
    if (sink->torn && write_some(sink, WEIR_STR("\n")) == 1) {
        sink->torn = false;
    }
    return !sink->torn;
}

size_t weir_access_sink_write(struct weir_access_sink *sink, struct weir_str lines, bool *ret_torn)
{
    size_t done = 0;
    pthread_mutex_lock(&sink->mutex);
    while (done < lines.len && mend(sink)) {
        struct weir_str rest = weir_str(lines.p + done, lines.len - done);
        rest.len = whole_lines(rest, sink->patient ? rest.len : PIPE_BUF);
        size_t n = write_some(sink, rest);
        if (n == 0) {
            break;
        }
        sink->torn = rest.p[n - 1] != '\n';
        done += n;
        if (sink->torn) {
            const char *end = memchr(rest.p + n, '\n', rest.len - n);
            done += (size_t)(end - (rest.p + n)) + 1;
            break;
        }
    }
    *ret_torn = done > 0 && sink->torn;
    pthread_mutex_unlock(&sink->mutex);
    return done;
}
