/* SPDX-License-Identifier: Apache-2.0 */
/* conn_try.c - the tries of a connection: connecting and greeting, silence, and the pause before
 * the next one. */
#include "base/clock.h"
#include "store/redis/conn_internal.h"
#include "store/redis/greet.h"

enum { TICKS = 5 }; /* looks at silence in one time-out */

void redis_conn_reader_free(struct weir_redis_conn *c)
{
    if (c->reader != NULL) {
        redisReaderFree(c->reader);
        c->reader = NULL;
    }
}

void redis_conn_link_give_up(struct weir_redis_conn *c)
{
    struct redis_link *l = c->link;
    c->link = NULL;
    redis_link_close(l);
}

static void on_open(void *ctx)
{
    struct weir_redis_conn *c = ctx;
    c->state = WEIR_REDIS_GREETING;
    enum redis_greeting last = redis_greeting_last(c->target);
    for (unsigned what = REDIS_AUTH; what <= last; what++) {
        if (redis_greeting_command(&c->pipe.out, c->target, (enum redis_greeting)what) &&
            !weir_redis_conn_end(c, (uint8_t)what, NULL, weir_clock_us())) {
            redis_conn_down(c, WEIR_REDIS_OUT_OF_REACH, "cannot be greeted: out of memory");
            return;
        }
    }
}

static void on_broken(void *ctx, enum weir_redis_why why, const char *text)
{
    redis_conn_down(ctx, why, text);
}

static void try_connect(struct weir_redis_conn *c)
{
    const struct redis_link_owner owner = {
        .ctx = c,
        .on_open = on_open,
        .on_bytes = redis_conn_on_bytes,
        .on_writable = redis_conn_on_writable,
        .on_broken = on_broken,
    };
    c->state = WEIR_REDIS_CONNECTING;
    c->reader = redisReaderCreate();
    if (c->reader == NULL) {
        redis_conn_down(c, WEIR_REDIS_OUT_OF_REACH, "cannot be reached: out of memory");
        return;
    }
    uv_timer_start(&c->timer, redis_conn_on_timer, c->target->connect_timeout_ms, 0);
    const char *why = redis_link_open(c->loop, c->target, c->tls, c->address, &owner, &c->link);
    if (why != NULL) {
        redis_conn_down(c, WEIR_REDIS_OUT_OF_REACH, why);
    }
}

/* ---- silence, and the next try ---- */

static void drop_all(struct weir_redis_conn *c)
{
    while (c->pipe.in_flight > 0) {
        struct redis_sent s = redis_pipe_pop(&c->pipe);
        if (s.what < REDIS_AUTH && !c->closed) {
            c->owner.on_lost(c->owner.ctx, s.what, s.ptr);
        }
    }
    redis_pipe_reset(&c->pipe);
}

void redis_conn_down(struct weir_redis_conn *c, enum weir_redis_why why, const char *text)
{
    if (c->closed || c->state == WEIR_REDIS_WAITING) {
        return;
    }
    c->address += c->state != WEIR_REDIS_UP; /* next time another, where the name has several */
    c->state = WEIR_REDIS_WAITING;
    c->ticking = c->suspect = c->loading = false;
    c->unread = 0;
    redis_conn_link_give_up(c);
    redis_conn_reader_free(c);
    drop_all(c);
    if (c->closed) { /* by one of those that were lost */
        return;
    }
    /* twice as long each time; spread, so that not all nodes come back in one moment */
    c->back_off_ms = c->back_off_ms == 0                               ? WEIR_REDIS_BACK_OFF_MIN_MS
                     : 2 * c->back_off_ms < WEIR_REDIS_BACK_OFF_MAX_MS ? 2 * c->back_off_ms
                                                                       : WEIR_REDIS_BACK_OFF_MAX_MS;
    uint64_t pause_ms = c->back_off_ms / 2 + weir_rand_u64(&c->jitter) % c->back_off_ms;
    uv_timer_start(&c->timer, redis_conn_on_timer, pause_ms, 0);
    c->owner.on_down(c->owner.ctx, why, text);
}

uint64_t redis_conn_tick_ms(const struct weir_redis_conn *c)
{
    return c->target->timeout_ms / TICKS + 1;
}

/* A worker that was busy itself finds the answers with its next look at the socket: silence counts
 * when it is still there one tick later. */
static void tick(struct weir_redis_conn *c)
{
    if (c->pipe.in_flight == 0) {
        uv_timer_stop(&c->timer);
        c->ticking = false;
        return;
    }
    if (weir_clock_us() - c->heard_us < (uint64_t)c->target->timeout_ms * 1000) {
        return;
    }
    if (c->suspect) {
        redis_conn_down(c, WEIR_REDIS_OUT_OF_REACH, "is silent");
        return;
    }
    c->suspect = true;
}

void redis_conn_on_timer(uv_timer_t *timer)
{
    struct weir_redis_conn *c = timer->data;
    switch (c->state) {
    case WEIR_REDIS_WAITING:
        try_connect(c);
        break;
    case WEIR_REDIS_CONNECTING:
        redis_conn_down(c, WEIR_REDIS_OUT_OF_REACH,
                        redis_link_is_connected(c->link)
                            ? "does not answer with TLS"
                            : "cannot be connected to: nobody answers");
        break;
    case WEIR_REDIS_GREETING:
        redis_conn_down(c, WEIR_REDIS_OUT_OF_REACH, "is silent");
        break;
    case WEIR_REDIS_UP:
        tick(c);
        break;
    }
}
