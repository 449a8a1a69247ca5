/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "store/redis/command.h"
#include "store/redis/conn_internal.h"
#include "store/redis/greet.h"

enum {
    OUT_BYTES_MAX = 128 << 20,
    ANSWER_BYTES_MAX = 16 << 20,
    ASKING_BYTES = sizeof("*1\r\n$6\r\nASKING\r\n"),
};

/* ---- sending ---- */

/* What was appended to `out` is this command. False: no memory, nothing was sent. */
static bool sent(struct weir_redis_conn *c, const struct redis_sent *s, uint64_t now_us)
{
    if (!redis_pipe_end(&c->pipe, s)) {
        return false;
    }
    if (c->pipe.in_flight == 1) {
        c->heard_us = now_us; /* silence begins with the first question */
    }
    if (c->state == WEIR_REDIS_UP && !c->ticking) {
        c->ticking = true;
        uv_timer_start(&c->timer, redis_conn_on_timer, redis_conn_tick_ms(c),
                       redis_conn_tick_ms(c));
    }
    weir_loop_at_turn_end(c->loop, &c->flush);
    return true;
}

bool weir_redis_conn_end(struct weir_redis_conn *c, uint8_t what, void *ptr, uint64_t now_us)
{
    const struct redis_sent s = {.ptr = ptr, .sent_us = now_us, .what = what};
    return sent(c, &s, now_us);
}

/* ---- reading ---- */

/* Appends the bytes of a command that was sent before. */
static bool send_as(struct weir_redis_conn *c, struct weir_str bytes, const struct redis_sent *s,
                    uint64_t now_us)
{
    static const struct weir_str asking = WEIR_STR_INIT("ASKING");
    if (s->asking) {
        weir_redis_command(&c->pipe.out, &asking, 1);
        if (!weir_redis_conn_end(c, REDIS_ASKING, NULL, now_us)) {
            return false;
        }
    }
    weir_buf_str(&c->pipe.out, bytes);
    return sent(c, s, now_us);
}

/* The scripts are gone (a restart, SCRIPT FLUSH), and so the command was not executed: all are sent
 * again. The bytes name the moment at which they were first sent, and that stays their time.
 * False: there is no memory. */
static bool send_again(struct weir_redis_conn *c, const struct redis_sent *s, uint64_t now_us)
{
    if (!c->loading) {
        for (unsigned what = REDIS_OVER_SCRIPT; what <= REDIS_SCRIPT; what++) {
            redis_greeting_command(&c->pipe.out, c->target, (enum redis_greeting)what);
            if (!weir_redis_conn_end(c, (uint8_t)what, NULL, now_us)) {
                return false;
            }
        }
        c->loading = true;
    }
    /* room first: the bytes that are copied may move; without room weir_redis_conn_end says so */
    struct redis_sent again = *s;
    again.resent = true;
    if (!weir_buf_reserve(&c->pipe.out, s->bytes + ASKING_BYTES) ||
        !send_as(c, redis_pipe_bytes(&c->pipe, s), &again, now_us)) {
        c->pipe.out.failed = false;
        return false;
    }
    return true;
}

static void on_greeted(struct weir_redis_conn *c, const struct redis_sent *s,
                       const redisReply *reply)
{
    char text[REDIS_WHY_BYTES];
    enum weir_redis_why why;
    if (!redis_greeting_check(c->target, (enum redis_greeting)s->what, reply, &why, text)) {
        redis_conn_down(c, why, text);
        return;
    }
    if (s->what == REDIS_SCRIPT) {
        c->loading = false;
    } else if (s->what == REDIS_INFO && redis_keeps_windows(c->target)) {
        bool read = weir_redis_identity_read(reply, &c->identity);
        WEIR_ASSERT(read); /* the check has */
    }
    if (c->state == WEIR_REDIS_GREETING && s->what == redis_greeting_last(c->target)) {
        c->state = WEIR_REDIS_UP;
        uv_timer_stop(&c->timer);
        c->owner.on_up(c->owner.ctx);
    }
}

static void on_reply(struct weir_redis_conn *c, const redisReply *reply, uint64_t now_us)
{
    /* an answer to what was not even written would leave `answered` past `written` */
    if (c->pipe.in_flight == 0 || !redis_pipe_is_written(&c->pipe)) {
        redis_conn_down(c, WEIR_REDIS_OUT_OF_REACH, "said something unasked");
        return;
    }
    struct redis_sent s = redis_pipe_pop(&c->pipe);
    bool no_script =
        reply->type == REDIS_REPLY_ERROR &&
        weir_str_starts(weir_str(reply->str, (size_t)reply->len), WEIR_STR("NOSCRIPT"));
    if (s.what == REDIS_ASKING) {
        return; /* the answer to what follows it counts */
    }
    if (s.what >= REDIS_AUTH) {
        on_greeted(c, &s, reply);
        return;
    }
    c->back_off_ms = 0; /* not before: one that greets and then fails is no better */
    if (!no_script || s.resent || !send_again(c, &s, now_us)) {
        c->asked = &s;
        const char *useless = c->owner.on_reply(c->owner.ctx, s.what, s.ptr, reply, s.sent_us);
        c->asked = NULL;
        if (useless != NULL) {
            redis_conn_down(c, WEIR_REDIS_OUT_OF_REACH, useless);
        }
    }
}

void redis_conn_on_bytes(void *ctx, const char *bytes, size_t len)
{
    struct weir_redis_conn *c = ctx;
    struct redis_link *l = c->link;
    void *reply = NULL;
    uint64_t now_us = weir_clock_us();
    c->heard_us = now_us;
    c->suspect = false;
    if (redisReaderFeed(c->reader, bytes, len) != REDIS_OK) {
        redis_conn_down(c, WEIR_REDIS_OUT_OF_REACH, "cannot be read: out of memory");
        return;
    }
    c->unread += len;
    while (c->link == l && redisReaderGetReply(c->reader, &reply) == REDIS_OK && reply != NULL) {
        c->unread = c->reader->len - c->reader->pos;
        on_reply(c, reply, now_us);
        freeReplyObject(reply);
        reply = NULL;
    }
    if (c->link != l) {
        return;
    }
    if (c->reader->err != 0 || c->unread > ANSWER_BYTES_MAX) {
        redis_conn_down(c, WEIR_REDIS_OUT_OF_REACH, "does not speak RESP");
        return;
    }
    redis_pipe_trim(&c->pipe);
}

/* ---- writing ---- */

void redis_conn_on_writable(void *ctx)
{
    struct weir_redis_conn *c = ctx;
    weir_loop_at_turn_end(c->loop, &c->flush);
}

static void run_flush(struct weir_turn_end *w)
{
    struct weir_redis_conn *c =
        (struct weir_redis_conn *)((char *)w - offsetof(struct weir_redis_conn, flush));
    if (c->link == NULL || c->state < WEIR_REDIS_GREETING) {
        return;
    }
    while (c->pipe.written < c->pipe.out.len && !redis_link_busy(c->link)) {
        size_t taken;
        const char *why = redis_link_write(c->link, c->pipe.out.data + c->pipe.written,
                                           c->pipe.out.len - c->pipe.written, &taken);
        if (why != NULL) {
            redis_conn_down(c, WEIR_REDIS_OUT_OF_REACH, why);
            return;
        }
        c->pipe.written += taken;
    }
}

/* ---- the owner's side ---- */

bool weir_redis_conn_is_up(const struct weir_redis_conn *c)
{
    return c->state == WEIR_REDIS_UP;
}

const struct weir_redis_identity *weir_redis_conn_identity(const struct weir_redis_conn *c)
{
    WEIR_ASSERT(c->state == WEIR_REDIS_UP && redis_keeps_windows(c->target));
    return &c->identity;
}

struct weir_buf *weir_redis_conn_begin(struct weir_redis_conn *c)
{
    return c != NULL && c->state == WEIR_REDIS_UP && c->pipe.in_flight < WEIR_REDIS_IN_FLIGHT_MAX
               ? &c->pipe.out
               : NULL;
}

uint32_t weir_redis_conn_in_flight(const struct weir_redis_conn *c)
{
    return c->pipe.in_flight;
}

void weir_redis_conn_break(struct weir_redis_conn *c, const char *why)
{
    redis_conn_down(c, WEIR_REDIS_OUT_OF_REACH, why);
}

bool weir_redis_conn_is_idle(const struct weir_redis_conn *c)
{
    return c->pipe.in_flight == 0;
}

struct weir_redis_asked weir_redis_conn_asked(const struct weir_redis_conn *c)
{
    return (struct weir_redis_asked){
        .bytes = redis_pipe_bytes(&c->pipe, c->asked),
        .ptr = c->asked->ptr,
        .sent_us = c->asked->sent_us,
        .what = c->asked->what,
        .hops = c->asked->hops,
        .asking = c->asked->asking,
    };
}

bool weir_redis_conn_send(struct weir_redis_conn *c, const struct weir_redis_asked *asked,
                          uint64_t now_us)
{
    const struct redis_sent as = {
        .ptr = asked->ptr,
        .sent_us = asked->sent_us,
        .what = asked->what,
        .hops = asked->hops,
        .asking = asked->asking,
    };
    return weir_redis_conn_begin(c) != NULL && send_as(c, asked->bytes, &as, now_us);
}

enum weir_err weir_redis_conn_open(struct weir_loop *loop, const struct weir_redis_target *target,
                                   const struct weir_redis_tls *tls,
                                   const struct weir_redis_owner *owner,
                                   struct weir_redis_conn **ret_conn)
{
    struct weir_redis_conn *c = weir_zalloc(sizeof(*c));
    if (c == NULL) {
        return WEIR_ERR_NOMEM;
    }
    uint64_t seed;
    weir_random_bytes(&seed, sizeof(seed));
    weir_rand_init(&c->jitter, seed);
    redis_pipe_init(&c->pipe, OUT_BYTES_MAX);
    c->loop = loop;
    c->target = target;
    c->tls = tls;
    c->owner = *owner;
    c->flush.run = run_flush;
    c->timer.data = c;
    uv_timer_init(&loop->uv, &c->timer);
    uv_timer_start(&c->timer, redis_conn_on_timer, 0, 0); /* waiting, for no time */
    *ret_conn = c;
    return WEIR_OK;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct weir_redis_conn *c = handle->data;
    redis_conn_reader_free(c);
    redis_pipe_deinit(&c->pipe);
    weir_free(c);
}

void weir_redis_conn_close(struct weir_redis_conn *c)
{
    c->closed = true;
    run_flush(&c->flush); /* what waits, as the last settlements */
    weir_loop_turn_end_cancel(c->loop, &c->flush);
    redis_conn_link_give_up(c);
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
