/* SPDX-License-Identifier: Apache-2.0 */
#include "service/access_log.h"

#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    LINES_BYTES_MAX = 256 * 1024, /* that wait */
    LINES_BYTES_MANY = 64 * 1024, /* are written before the turn ends */
    RETRY_MS = 100,               /* until what was not taken is offered again */
    TIME_LEN = 24,                /* "2026-01-31T23:59:59.999Z" */
};

struct weir_access_log {
    struct weir_loop *loop;
    struct weir_access_sink *sink;
    _Atomic uint64_t *dropped;
    struct weir_buf lines;
    struct weir_access *spare;
    struct weir_turn_end turn_end;
    uv_timer_t retry;
    bool retry_open, closing;
    uint64_t time_s; /* of which `time` has the text */
    char time[TIME_LEN + 1];
};

/* ---- writing ---- */

static void on_retry(uv_timer_t *timer);

static void retry_later(struct weir_access_log *log)
{
    if (log->closing) {
        return;
    }
    if (!log->retry_open) {
        uv_timer_init(&log->loop->uv, &log->retry);
        uv_unref((uv_handle_t *)&log->retry);
        log->retry.data = log;
        log->retry_open = true;
    }
    uv_timer_start(&log->retry, on_retry, RETRY_MS, 0);
}

static void write_lines(struct weir_access_log *log)
{
    bool torn;
    size_t done = weir_access_sink_write(log->sink, weir_buf_view(&log->lines), &torn);
    weir_count(log->dropped, torn);
    weir_buf_consume(&log->lines, done);
}

static void on_retry(uv_timer_t *timer)
{
    struct weir_access_log *log = timer->data;
    write_lines(log);
    if (log->lines.len > 0) {
        retry_later(log);
    }
}

/* What was not taken the last time waits for its moment, so that a pipe that is full is not asked
 * in each turn. */
static bool waits(const struct weir_access_log *log)
{
    return log->retry_open && uv_is_active((const uv_handle_t *)&log->retry);
}

static void flush(struct weir_access_log *log)
{
    if (log->lines.len > 0 && !waits(log)) {
        write_lines(log);
        if (log->lines.len > 0) {
            retry_later(log);
        }
    }
}

static void on_turn_end(struct weir_turn_end *w)
{
    flush((struct weir_access_log *)((char *)w - offsetof(struct weir_access_log, turn_end)));
}

/* ---- lines ---- */

static struct weir_str time_text(struct weir_access_log *log)
{
    uint64_t wall_us = weir_clock_wall_us(), wall_s = wall_us / 1000000;
    if (wall_s != log->time_s) {
        time_t seconds = (time_t)wall_s;
        struct tm utc;
        gmtime_r(&seconds, &utc);
        strftime(log->time, sizeof(log->time), "%Y-%m-%dT%H:%M:%S.000Z", &utc);
        log->time_s = wall_s;
    }
    unsigned ms = (unsigned)(wall_us / 1000 % 1000);
    char *places = log->time + TIME_LEN - 4;
    places[0] = (char)('0' + ms / 100);
    places[1] = (char)('0' + ms / 10 % 10);
    places[2] = (char)('0' + ms % 10);
    return weir_str(log->time, TIME_LEN);
}

static void add_line(struct weir_access_log *log, const struct weir_access *a)
{
    size_t before = log->lines.len;
    weir_access_line(&log->lines, a, time_text(log), weir_clock_ns());
    if (log->lines.failed || log->lines.len - before > WEIR_ACCESS_LINE_MAX) {
        log->lines.len = before;
        log->lines.failed = false;
        weir_count(log->dropped, 1);
        return;
    }
    if (log->lines.len > LINES_BYTES_MANY) {
        flush(log);
    }
    weir_loop_at_turn_end(log->loop, &log->turn_end);
}

/* ---- records ---- */

/* NULL: no memory. */
static struct weir_access *take_record(struct weir_access_log *log)
{
    struct weir_access *a = log->spare;
    if (a != NULL) {
        log->spare = a->next;
    } else {
        a = weir_zalloc(sizeof(*a));
    }
    if (a == NULL) {
        weir_count(log->dropped, 1);
        return NULL;
    }
    *a = (struct weir_access){.log = log};
    return a;
}

void weir_access_begin(struct weir_service *s, struct weir_http_exchange *x,
                       const struct weir_http_request *http, uint64_t started_ns)
{
    struct weir_access *a = take_record(s->access_log);
    if (a != NULL) {
        a->snapshot = weir_snapshot_keep(s);
        a->started_ns = started_ns;
        weir_access_asked(a, http);
        *weir_http_exchange_note(x) = a;
    }
}

void weir_access_end(struct weir_access **held)
{
    struct weir_access *a = *held;
    if (a != NULL) {
        *held = NULL;
        add_line(a->log, a);
        weir_snapshot_let_go(a->snapshot);
        a->snapshot = NULL;
        a->next = a->log->spare;
        a->log->spare = a;
    }
}

void weir_access_malformed(struct weir_access_log *log, const struct weir_http_request *http,
                           int status)
{
    struct weir_access *a = take_record(log);
    if (a == NULL) {
        return;
    }
    if (http != NULL) {
        weir_access_asked(a, http);
    }
    weir_access_outcome(a, WEIR_ACCESS_REFUSED);
    weir_access_status(a, status, NULL);
    weir_access_end(&a);
}

/* ---- its life ---- */

enum weir_err weir_access_log_new(struct weir_loop *loop, struct weir_access_sink *sink,
                                  _Atomic uint64_t *dropped, struct weir_access_log **ret_log)
{
    struct weir_access_log *log = weir_zalloc(sizeof(*log));
    if (log == NULL) {
        return WEIR_ERR_NOMEM;
    }
    log->loop = loop;
    log->sink = sink;
    log->dropped = dropped;
    log->turn_end.run = on_turn_end;
    weir_buf_init(&log->lines, LINES_BYTES_MAX);
    *ret_log = log;
    return WEIR_OK;
}

void weir_access_log_close(struct weir_access_log *log)
{
    log->closing = true;
    if (log->retry_open) {
        log->retry_open = false;
        uv_close((uv_handle_t *)&log->retry, NULL);
    }
}

void weir_access_log_free(struct weir_access_log *log)
{
    if (log == NULL) {
        return;
    }
    weir_loop_turn_end_cancel(log->loop, &log->turn_end);
    write_lines(log);
    if (log->lines.len > 0) {
        weir_log(WEIR_LOG_WARN, "access log: its last %zu bytes were not taken", log->lines.len);
    }
    while (log->spare != NULL) {
        struct weir_access *a = log->spare;
        log->spare = a->next;
        weir_free(a);
    }
    weir_buf_deinit(&log->lines);
    weir_free(log);
}
