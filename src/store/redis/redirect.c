/* SPDX-License-Identifier: Apache-2.0 */
/* redirect.c - commands that a shard did not execute, because another serves the slot, or does not
 * yet: they are sent on, or wait until they can be. */
#include "base/clock.h"
#include "base/mem.h"
#include "store/redis/answer.h"
#include "store/redis/shards_internal.h"

enum {
    TICK_MS = 5, /* how often what is parked is looked at */
    TRY_AGAIN_US = 5000,
};

static void lose(struct weir_redis_shards *s, const struct weir_redis_asked *asked)
{
    s->owner.on_lost(s->owner.ctx, asked->what, asked->ptr);
}

static bool is_due(void *ctx, const struct weir_redis_parked *p)
{
    const struct weir_redis_shards *s = ctx;
    uint64_t now_us = weir_clock_us();
    const struct weir_redis_shard *to = s->shard[p->shard];
    return now_us >= p->until_us ||
           (now_us >= p->due_us && to != NULL && weir_redis_conn_is_up(to->conn));
}

void redis_shards_send_due(struct weir_redis_shards *s)
{
    struct weir_redis_parked *p;
    while (!s->closed && (p = weir_redis_park_take(&s->park, is_due, s)) != NULL) {
        uint64_t now_us = weir_clock_us();
        struct weir_redis_shard *to = s->shard[p->shard];
        if (now_us >= p->until_us || to == NULL ||
            !weir_redis_conn_send(to->conn, &p->asked, now_us)) {
            lose(s, &p->asked);
        }
        weir_free(p);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct weir_redis_shards *s = timer->data;
    redis_shards_send_due(s);
    if (!s->closed && s->park.count == 0) {
        uv_timer_stop(timer);
    }
}

/* Until its time is over: nobody waits longer for a call than for a silent server. */
static bool park(struct weir_redis_shards *s, struct weir_redis_shard *to,
                 const struct weir_redis_asked *asked, uint64_t pause_us)
{
    uint64_t due_us = weir_clock_us() + pause_us;
    uint64_t until_us = asked->sent_us + (uint64_t)s->config->redis.timeout_ms * 1000;
    if (due_us > until_us || !weir_redis_park_add(&s->park, to->number, asked, due_us, until_us)) {
        return false;
    }
    if (!uv_is_active((uv_handle_t *)&s->tick)) {
        uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
    }
    return true;
}

/* False: it goes nowhere. */
static bool send_on(struct weir_redis_shards *s, struct weir_redis_shard *to,
                    struct weir_redis_asked *asked)
{
    to->asked_us = weir_clock_us();
    if (asked->hops++ >= WEIR_REDIS_HOPS_MAX) {
        return false;
    }
    return weir_redis_conn_is_up(to->conn) ? weir_redis_conn_send(to->conn, asked, to->asked_us)
                                           : park(s, to, asked, 0);
}

static void on_unserved(struct weir_redis_shard *from, const redisReply *reply)
{
    struct weir_redis_shards *s = from->all;
    struct weir_str words = weir_redis_error_words(reply);
    char answers[REDIS_SHARDS_TEXT_BYTES / 2], text[REDIS_SHARDS_TEXT_BYTES];
    bool news = s->told_up;
    s->unserved_us = weir_clock_us();
    if (news) {
        snprintf(answers, sizeof(answers), "answers %.*s", (int)words.len, words.p);
        weir_redis_say_where(&from->target, answers, text, sizeof(text));
        redis_shards_tell_down(s, WEIR_REDIS_OUT_OF_REACH, text);
    }
}

bool redis_shard_redirected(struct weir_redis_shard *from, const redisReply *reply)
{
    struct weir_redis_shards *s = from->all;
    struct weir_redis_host asked_host, to_host;
    uint16_t slot;
    memcpy(asked_host.name, from->target.host, sizeof(asked_host.name));
    asked_host.port = from->target.port;
    enum weir_redis_redirect is = weir_redis_redirect_read(reply, &asked_host, &slot, &to_host);
    if (is == WEIR_REDIS_NOT_REDIRECTED) {
        return false;
    }
    struct weir_redis_asked asked = weir_redis_conn_asked(from->conn);
    struct weir_redis_shard *to = from;
    bool sent = false;
    if (is == WEIR_REDIS_TRY_AGAIN) {
        sent = asked.what < WEIR_REDIS_STAYS && park(s, from, &asked, TRY_AGAIN_US);
    } else if (is == WEIR_REDIS_MOVED || is == WEIR_REDIS_ASK) {
        to = redis_shard_named(s, &to_host, &from->clock);
        asked.asking = is == WEIR_REDIS_ASK;
        if (to != NULL && is == WEIR_REDIS_MOVED) {
            redis_shards_set_slot(s, slot, to);
        }
        sent = asked.what < WEIR_REDIS_STAYS && to != NULL && to != from && send_on(s, to, &asked);
    }
    if (is != WEIR_REDIS_ASK && is != WEIR_REDIS_TRY_AGAIN) {
        s->stale = true;
        redis_shards_want_map(s);
    }
    if (!sent) {
        lose(s, &asked);
    }
    if (is == WEIR_REDIS_UNSERVED && !s->closed) {
        on_unserved(from, reply);
    }
    return true;
}

static bool is_for(void *ctx, const struct weir_redis_parked *p)
{
    return p->shard == *(const unsigned *)ctx;
}

void redis_shards_lose_parked(struct weir_redis_shards *s, unsigned number)
{
    struct weir_redis_parked *p;
    while (!s->closed && (p = weir_redis_park_take(&s->park, is_for, &number)) != NULL) {
        lose(s, &p->asked);
        weir_free(p);
    }
}
