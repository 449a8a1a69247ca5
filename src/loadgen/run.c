/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - the schedule is an open loop: request i is due at i / rate after the start, or when its
 * row of the trace came, whatever the answers do. A free client takes the next request that is due;
 * when none is free, the request waits, and its latency counts from when it was due. */
#include "loadgen/run.h"

#include <errno.h>
#include <signal.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "loadgen/progress.h"

enum {
    TICK_MS = 100,
    /* An idle machine wakes up 0.1 to 0.2 ms late, and that is not the target's latency. So the run
     * wakes up earlier and polls until the request is due; not at a high rate, when it hardly
     * sleeps and polling would cost a whole core. */
    EARLY_NS = 200000,
    EARLY_RATE_MAX = 1000,
};

struct run {
    const struct weir_load_options *o;
    struct weir_load_trace *trace; /* NULL: none */
    struct weir_trace_row row;     /* of the next request */
    struct weir_load_tally *tally;
    struct weir_load_record *record; /* NULL: none */
    struct weir_load_clients clients;
    bool progress;
    struct weir_load_client **free; /* a ring: all clients get their turn */
    uint32_t free_at, free_count;
    uint64_t next;  /* the first request that was not sent */
    uint64_t total; /* how many become due; UINT64_MAX without a rate */
    uint64_t end_ns;
    uint64_t answered;
    uint64_t armed_ns; /* what `due` waits for */
    uint64_t early_ns;
    uv_loop_t loop;
    uv_timer_t tick;
    uv_poll_t due;  /* a timerfd: libuv's timers know milliseconds only */
    uv_idle_t poll; /* while it runs the loop does not sleep */
    int due_fd;
    uv_signal_t interrupt, terminate;
    bool began;
    bool failed; /* `error` says why */
    bool over;
    char *error;
};

/* Nothing more is sent or counted, and the loop runs out. */
static void stop(struct run *r)
{
    r->over = true;
    weir_load_clients_close(&r->clients);
    uv_close((uv_handle_t *)&r->tick, NULL);
    uv_close((uv_handle_t *)&r->due, NULL);
    uv_close((uv_handle_t *)&r->poll, NULL);
    uv_close((uv_handle_t *)&r->interrupt, NULL);
    uv_close((uv_handle_t *)&r->terminate, NULL);
}

static uint64_t next_due_ns(const struct run *r)
{
    double after_ns =
        r->trace != NULL ? (double)r->row.at_ns / r->o->speed : (double)r->next / r->o->rate * 1e9;
    return r->tally->start_ns + (uint64_t)after_ns;
}

/* The row of the request that is next. Only the file's own fault, for all of it was read before. */
static void read_row(struct run *r)
{
    if (r->trace != NULL && r->next < r->total &&
        weir_load_trace_next(r->trace, &r->row) != WEIR_OK) {
        snprintf(r->error, WEIR_LOAD_RUN_ERROR_BYTES, "%.200s changed while it was replayed",
                 r->o->trace);
        r->failed = true;
        stop(r);
    }
}

/* Whether a request is due by now, and since when. */
static bool is_due(const struct run *r, uint64_t now_ns, uint64_t *ret_due_ns)
{
    if (r->o->rate == 0) {
        *ret_due_ns = now_ns;
        return now_ns < r->end_ns;
    }
    *ret_due_ns = next_due_ns(r);
    return r->next < r->total && *ret_due_ns <= now_ns;
}

static void on_poll(uv_idle_t *poll);

/* There is a free client: wake up when the next request is due. */
static void await_next(struct run *r)
{
    if (r->over || r->o->rate == 0 || r->next >= r->total) {
        uv_idle_stop(&r->poll);
        return;
    }
    uint64_t at_ns = next_due_ns(r);
    if (at_ns <= weir_clock_ns() + r->early_ns) {
        uv_idle_start(&r->poll, on_poll);
        return;
    }
    uv_idle_stop(&r->poll);
    if (r->armed_ns == at_ns) {
        return;
    }
    r->armed_ns = at_ns;
    at_ns -= r->early_ns;
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at_ns / 1000000000),
                                           .tv_nsec = (long)(at_ns % 1000000000)}};
    timerfd_settime(r->due_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void send_due(struct run *r)
{
    uint64_t due;
    while (!r->over && r->free_count > 0 && is_due(r, weir_clock_ns(), &due)) {
        struct weir_load_client *client = r->free[r->free_at];
        r->free_at = (r->free_at + 1) % r->o->clients;
        r->free_count--;
        r->next++;
        weir_load_client_send(client, due, r->trace != NULL ? &r->row : NULL);
        if (!r->over) {
            read_row(r);
        }
    }
    if (r->free_count > 0) {
        await_next(r);
    } else {
        uv_idle_stop(&r->poll);
    }
}

static void on_poll(uv_idle_t *poll)
{
    send_due(poll->data);
}

static void on_due(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct run *r = poll->data;
    uint64_t times;
    if (read(r->due_fd, &times, sizeof(times)) > 0) {
        r->armed_ns = 0;
    }
    send_due(r);
}

/* Ends the run when all that was due has its answer, or has waited long enough. */
static void end_if_done(struct run *r, uint64_t now_ns)
{
    if (r->over || !r->began || now_ns < r->end_ns) {
        return;
    }
    uint64_t due = r->o->rate == 0 ? r->next : r->total;
    if (r->answered == due || now_ns >= r->end_ns + WEIR_LOAD_TIMEOUT_S * 1000000000ULL) {
        /* the last answer may lie some time back: this was found out by a tick */
        uint64_t last_ns = r->answered == due ? r->tally->last_ns : now_ns;
        weir_load_tally_end(r->tally, last_ns > r->end_ns ? last_ns : r->end_ns, due - r->answered);
        stop(r);
    }
}

static void on_free(void *ctx, struct weir_load_client *client)
{
    struct run *r = ctx;
    r->free[(r->free_at + r->free_count) % r->o->clients] = client;
    r->free_count++;
    send_due(r);
    if (r->free_count == r->o->clients) {
        end_if_done(r, weir_clock_ns());
    }
}

static void on_answer(void *ctx, const struct weir_load_answer *answer)
{
    struct run *r = ctx;
    r->answered++;
    weir_load_tally_add(r->tally, answer, weir_clock_ns());
    if (r->record != NULL && answer->outcome == WEIR_LOAD_ALLOWED) {
        weir_load_record_add(r->record, answer);
    }
}

static void cannot_connect(struct run *r, uint32_t target, int err)
{
    struct weir_str url = r->o->target[target].url;
    snprintf(r->error, WEIR_LOAD_RUN_ERROR_BYTES, "cannot connect to %.*s: %s", (int)url.len, url.p,
             uv_strerror(err));
    stop(r);
}

static void on_tick(uv_timer_t *timer)
{
    struct run *r = timer->data;
    uint64_t now_ns = weir_clock_ns();
    if (!r->began) {
        if (now_ns >= r->end_ns) {
            cannot_connect(r, weir_load_clients_unopened(&r->clients), UV_ETIMEDOUT);
        }
        return;
    }
    weir_load_clients_tick(&r->clients);
    end_if_done(r, now_ns);
    if (!r->over && r->progress) {
        weir_load_progress_draw(r->tally, now_ns);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct run *r = handle->data;
    if (r->began) {
        r->tally->interrupted = true;
        weir_load_tally_end(r->tally, weir_clock_ns(), 0);
    } else {
        snprintf(r->error, WEIR_LOAD_RUN_ERROR_BYTES, "interrupted before it had connected");
    }
    stop(r);
}

static void on_open(void *ctx, uint32_t target, int err)
{
    struct run *r = ctx;
    if (err < 0) {
        cannot_connect(r, target, err);
        return;
    }
    r->began = true;
    uint64_t now_ns = weir_clock_ns();
    r->end_ns = now_ns + (uint64_t)(r->o->duration_s * 1e9);
    weir_load_tally_start(r->tally, now_ns);
    read_row(r);
}

/* How many requests become due before the end. */
static uint64_t count_due(const struct weir_load_options *o)
{
    if (o->rate == 0) {
        return UINT64_MAX;
    }
    double exact = o->rate * o->duration_s;
    uint64_t whole = (uint64_t)exact;
    return whole + ((double)whole < exact);
}

/* All that `stop` closes. False: said why. */
static bool open_handles(struct run *r)
{
    r->due_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (r->due_fd < 0 || uv_loop_init(&r->loop) != 0) {
        snprintf(r->error, WEIR_LOAD_RUN_ERROR_BYTES, "the kernel gives no event loop: %s",
                 strerror(errno));
        if (r->due_fd >= 0) {
            close(r->due_fd);
        }
        return false;
    }
    r->tick.data = r->due.data = r->poll.data = r->interrupt.data = r->terminate.data = r;
    uv_timer_init(&r->loop, &r->tick);
    uv_poll_init(&r->loop, &r->due, r->due_fd);
    uv_idle_init(&r->loop, &r->poll);
    uv_signal_init(&r->loop, &r->interrupt);
    uv_signal_init(&r->loop, &r->terminate);
    uv_timer_start(&r->tick, on_tick, TICK_MS, TICK_MS);
    uv_poll_start(&r->due, UV_READABLE, on_due);
    uv_signal_start(&r->interrupt, on_signal, SIGINT);
    uv_signal_start(&r->terminate, on_signal, SIGTERM);
    return true;
}

static bool start(struct run *r)
{
    r->free = weir_zalloc_array(r->o->clients, sizeof(struct weir_load_client *));
    if (r->free != NULL && weir_load_clients_open(&r->clients) == WEIR_OK) {
        return true;
    }
    snprintf(r->error, WEIR_LOAD_RUN_ERROR_BYTES, "out of memory");
    stop(r);
    return false;
}

bool weir_load_run(const struct weir_load_options *o, struct weir_load_trace *trace,
                   struct weir_load_tally *t, struct weir_load_record *record, bool progress,
                   char error[WEIR_LOAD_RUN_ERROR_BYTES])
{
    struct run r = {
        .o = o,
        .trace = trace,
        .tally = t,
        .record = record,
        .progress = progress,
        .total = trace != NULL ? trace->rows : count_due(o),
        .early_ns = o->rate <= EARLY_RATE_MAX ? EARLY_NS : 0,
        .end_ns = weir_clock_ns() + WEIR_LOAD_TIMEOUT_S * 1000000000ULL, /* to connect */
        .error = error,
    };
    r.clients = (struct weir_load_clients){
        .loop = &r.loop,
        .options = o,
        .on_open = on_open,
        .on_answer = on_answer,
        .on_free = on_free,
        .ctx = &r,
    };
    if (!open_handles(&r)) {
        return false;
    }
    bool started = start(&r);
    uv_run(&r.loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&r.loop);
    WEIR_ASSERT(left == 0); /* a handle was left open */
    close(r.due_fd);
    if (progress) {
        weir_load_progress_erase();
    }
    weir_load_clients_deinit(&r.clients);
    weir_free(r.free);
    return started && r.began && !r.failed;
}
