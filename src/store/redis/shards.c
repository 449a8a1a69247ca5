/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "store/redis/shards_internal.h"

enum { UNSERVED_US = 1000000 }; /* CLUSTERDOWN counts for so long */

/* ---- telling the owner ---- */

bool weir_redis_shards_are_up(const struct weir_redis_shards *s)
{
    if (s->unserved > 0 ||
        (s->unserved_us != 0 && weir_clock_us() < s->unserved_us + UNSERVED_US)) {
        return false;
    }
    for (unsigned i = 0; i < WEIR_REDIS_SHARDS_MAX; i++) {
        const struct weir_redis_shard *shard = s->shard[i];
        if (shard != NULL && shard->slots > 0 && !weir_redis_conn_is_up(shard->conn)) {
            return false;
        }
    }
    return true;
}

void redis_shards_tell_up(struct weir_redis_shards *s)
{
    if (!s->told_up && weir_redis_shards_are_up(s)) {
        s->told_up = true;
        s->owner.on_up(s->owner.ctx);
    }
}

void redis_shards_tell_down(struct weir_redis_shards *s, enum weir_redis_why why, const char *text)
{
    s->told_up = false;
    s->owner.on_down(s->owner.ctx, why, text);
}

void redis_shard_tell(struct weir_redis_shard *shard, bool up)
{
    if (shard->all->on_shard != NULL) {
        shard->all->on_shard(shard->all->owner.ctx, shard, up);
    }
}

/* ---- the owner of a shard's connection ---- */

static const char *on_reply(void *ctx, uint8_t what, void *ptr, const redisReply *reply,
                            uint64_t sent_us)
{
    struct weir_redis_shard *shard = ctx;
    struct weir_redis_shards *s = shard->all;
    if (reply->type == REDIS_REPLY_ERROR && redis_is_cluster(s) &&
        redis_shard_redirected(shard, reply)) {
        return NULL;
    }
    s->answering = shard;
    return s->owner.on_reply(s->owner.ctx, what, ptr, reply, sent_us);
}

static void on_lost(void *ctx, uint8_t what, void *ptr)
{
    struct weir_redis_shards *s = ((struct weir_redis_shard *)ctx)->all;
    s->owner.on_lost(s->owner.ctx, what, ptr);
}

static void on_up(void *ctx)
{
    struct weir_redis_shard *shard = ctx;
    struct weir_redis_shards *s = shard->all;
    redis_shard_tell(shard, true);
    redis_shards_send_due(s);
    if (!s->closed) {
        redis_shards_tell_up(s);
    }
}

static void on_down(void *ctx, enum weir_redis_why why, const char *text)
{
    struct weir_redis_shard *shard = ctx;
    struct weir_redis_shards *s = shard->all;
    char where[REDIS_SHARDS_TEXT_BYTES];
    unsigned number = shard->number;
    bool serves = shard->slots > 0;
    weir_redis_say_where(&shard->target, text, where, sizeof(where));
    if (serves) {
        redis_shard_tell(shard, false);
        redis_shards_want_map(s);
    } else {
        redis_shard_close(shard);
    }
    redis_shards_lose_parked(s, number);
    if (!s->closed && serves) {
        redis_shards_tell_down(s, why, where);
    }
}

const struct weir_redis_owner redis_shard_owner = {
    .on_reply = on_reply, .on_lost = on_lost, .on_up = on_up, .on_down = on_down};

/* ---- the owner's side ---- */

uint16_t weir_redis_shards_slot(const struct weir_redis_shards *s, struct weir_str key)
{
    return redis_is_cluster(s) ? weir_redis_slot(key) : 0;
}

struct weir_redis_shard *weir_redis_shards_at(const struct weir_redis_shards *s,
                                              struct weir_str key)
{
    return redis_shard_of_slot(s, weir_redis_shards_slot(s, key));
}

bool weir_redis_shards_map_is_fresh(const struct weir_redis_shards *s)
{
    return !redis_is_cluster(s) || (!s->stale && !weir_redis_guide_asks(s->guide));
}

struct weir_redis_shard *weir_redis_shards_next(const struct weir_redis_shards *s, unsigned *at)
{
    while (*at < WEIR_REDIS_SHARDS_MAX) {
        struct weir_redis_shard *shard = s->shard[(*at)++];
        if (shard != NULL) {
            return shard;
        }
    }
    return NULL;
}

struct weir_redis_shard *weir_redis_shards_answering(const struct weir_redis_shards *s)
{
    return s->answering;
}

struct weir_redis_conn *weir_redis_shard_conn(const struct weir_redis_shard *shard)
{
    return shard->conn;
}

struct weir_clock_rule *weir_redis_shard_clock(struct weir_redis_shard *shard)
{
    return &shard->clock;
}

void **weir_redis_shard_data(struct weir_redis_shard *shard)
{
    return &shard->data;
}

unsigned weir_redis_shard_number(const struct weir_redis_shard *shard)
{
    return shard->number;
}

bool weir_redis_shard_serves(const struct weir_redis_shard *shard, unsigned slot)
{
    return redis_shard_of_slot(shard->all, slot) == shard;
}

unsigned weir_redis_shard_slots(const struct weir_redis_shard *shard)
{
    return shard->slots;
}

unsigned weir_redis_shard_slot(const struct weir_redis_shard *shard)
{
    unsigned slot = 0;
    while (slot < WEIR_REDIS_SLOTS && redis_shard_of_slot(shard->all, slot) != shard) {
        slot++;
    }
    return slot;
}

struct weir_clock_rule *weir_redis_shards_clock(struct weir_redis_shards *s, uint16_t slot)
{
    struct weir_redis_shard *shard = redis_shard_of_slot(s, slot);
    return shard == NULL ? &s->clock : &shard->clock;
}

bool weir_redis_shards_apart(const struct weir_redis_shards *s, struct weir_str a,
                             struct weir_str b)
{
    return weir_redis_shards_slot(s, a) != weir_redis_shards_slot(s, b);
}

static void timer_init(struct weir_redis_shards *s, uv_timer_t *timer)
{
    uv_timer_init(&s->loop->uv, timer);
    timer->data = s;
    s->closing++;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct weir_redis_shards *s = handle->data;
    if (--s->closing == 0) {
        weir_free(s);
    }
}

void weir_redis_shards_close(struct weir_redis_shards *s)
{
    s->closed = true;
    weir_redis_guide_free(s->guide);
    for (unsigned i = 0; i < WEIR_REDIS_SHARDS_MAX; i++) {
        if (s->shard[i] != NULL) {
            redis_shard_close(s->shard[i]);
        }
    }
    weir_redis_park_deinit(&s->park);
    weir_redis_tls_free(s->tls);
    uv_close((uv_handle_t *)&s->refresh, on_timer_closed);
    uv_close((uv_handle_t *)&s->tick, on_timer_closed);
}

enum weir_err weir_redis_shards_open(
    struct weir_loop *loop, const struct weir_config *config, const struct weir_redis_owner *owner,
    void (*on_shard)(void *ctx, struct weir_redis_shard *shard, bool up),
    struct weir_redis_shards **ret_shards, char ret_text[static WEIR_REDIS_TLS_TEXT])
{
    struct weir_redis_shards *s = weir_zalloc(sizeof(*s));
    if (s == NULL) {
        return WEIR_ERR_NOMEM;
    }
    enum weir_err err = WEIR_OK;
    if (config->store_tls.on) {
        err = weir_redis_tls_new(&config->store_tls, &s->tls, ret_text);
    }
    if (err != WEIR_OK) {
        weir_free(s);
        return err;
    }
    s->loop = loop;
    s->config = config;
    s->owner = *owner;
    s->on_shard = on_shard;
    s->refresh_ms = WEIR_REDIS_REFRESH_MS;
    s->unserved = WEIR_REDIS_SLOTS;
    memset(s->slot, 0xff, sizeof(s->slot));
    weir_redis_park_init(&s->park);
    weir_clock_rule_init(&s->clock, weir_clock_us(), weir_clock_wall_us());
    timer_init(s, &s->refresh);
    timer_init(s, &s->tick);
    err = redis_shards_open_first(s);
    if (err != WEIR_OK) {
        weir_redis_shards_close(s);
        return err;
    }
    *ret_shards = s;
    return WEIR_OK;
}
