/* SPDX-License-Identifier: Apache-2.0 */
/* shard_map.c - who serves which slot: shards come and go as the map says, and it is asked for
 * again while something is wrong. */
#include "base/clock.h"
#include "base/mem.h"
#include "store/redis/shards_internal.h"

enum {
    REFRESH_MAX_MS = 400, /* between two questions while something is wrong */
    ASKED_US = 5000000,   /* a shard without slots stays for so long after an ASK */
};

/* ---- shards ---- */

static struct weir_redis_shard *shard_at(const struct weir_redis_shards *s,
                                         const struct weir_redis_host *host)
{
    for (unsigned i = 0; i < WEIR_REDIS_SHARDS_MAX; i++) {
        struct weir_redis_shard *shard = s->shard[i];
        if (shard != NULL && shard->target.port == host->port &&
            strcmp(shard->target.host, host->name) == 0) {
            return shard;
        }
    }
    return NULL;
}

/* `clock`: of the one that served its keys before. NULL: no place or no memory. */
static struct weir_redis_shard *shard_open(struct weir_redis_shards *s,
                                           const struct weir_redis_target *target,
                                           const struct weir_clock_rule *clock)
{
    unsigned number = 0;
    while (number < WEIR_REDIS_SHARDS_MAX && s->shard[number] != NULL) {
        number++;
    }
    struct weir_redis_shard *shard =
        number == WEIR_REDIS_SHARDS_MAX ? NULL : weir_zalloc(sizeof(*shard));
    if (shard == NULL) {
        return NULL;
    }
    struct weir_redis_owner owner = redis_shard_owner;
    owner.ctx = shard;
    shard->all = s;
    shard->number = number;
    shard->target = *target;
    shard->clock = *clock;
    if (weir_redis_conn_open(s->loop, &shard->target, s->tls, &owner, &shard->conn) != WEIR_OK) {
        weir_free(shard);
        return NULL;
    }
    s->shard[number] = shard;
    return shard;
}

struct weir_redis_shard *redis_shard_named(struct weir_redis_shards *s,
                                           const struct weir_redis_host *host,
                                           const struct weir_clock_rule *clock)
{
    struct weir_redis_shard *shard = shard_at(s, host);
    if (shard != NULL) {
        return shard;
    }
    struct weir_redis_target target = s->config->redis;
    target.part = redis_is_cluster(s) ? WEIR_REDIS_SHARD : WEIR_REDIS_PRIMARY;
    memcpy(target.host, host->name, sizeof(target.host));
    target.port = host->port;
    shard = shard_open(s, &target, clock);
    weir_wipe(&target, sizeof(target));
    return shard;
}

void redis_shard_close(struct weir_redis_shard *shard)
{
    struct weir_redis_shards *s = shard->all;
    s->shard[shard->number] = NULL;
    redis_shard_tell(shard, false);
    weir_redis_conn_close(shard->conn);
    weir_wipe(&shard->target, sizeof(shard->target));
    weir_free(shard);
}

void redis_shards_set_slot(struct weir_redis_shards *s, unsigned slot,
                           struct weir_redis_shard *shard)
{
    struct weir_redis_shard *was = redis_shard_of_slot(s, slot);
    if (was != NULL) {
        was->slots--;
    } else {
        s->unserved--;
    }
    s->slot[slot] = shard == NULL ? WEIR_REDIS_NO_SHARD : (uint16_t)shard->number;
    if (shard != NULL) {
        shard->slots++;
    } else {
        s->unserved++;
    }
}

/* Shards that serve nothing any more, unless somebody waits for their answer. One that stays goes
 * with a later map, or when its connection breaks. */
static void sweep(struct weir_redis_shards *s, uint64_t now_us)
{
    for (unsigned i = 0; i < WEIR_REDIS_SHARDS_MAX; i++) {
        struct weir_redis_shard *shard = s->shard[i];
        if (shard != NULL && shard->slots == 0 && now_us >= shard->asked_us + ASKED_US &&
            weir_redis_conn_is_idle(shard->conn)) {
            redis_shard_close(shard);
        }
    }
}

/* ---- the map ---- */

/* Whoever is new at a slot goes by the clock of whom it follows, so that a failover moves no
 * window. */
static void take_map(struct weir_redis_shards *s, const struct weir_redis_map *map)
{
    struct weir_redis_shard *named[WEIR_REDIS_SHARDS_MAX] = {NULL};
    bool tried[WEIR_REDIS_SHARDS_MAX] = {false};
    for (unsigned i = 0; i < WEIR_REDIS_SLOTS; i++) {
        uint16_t n = map->slot[i];
        if (n != WEIR_REDIS_NO_SHARD && !tried[n]) {
            const struct weir_redis_shard *before = redis_shard_of_slot(s, i);
            tried[n] = true;
            named[n] =
                redis_shard_named(s, &map->shard[n], before != NULL ? &before->clock : &s->clock);
        }
        redis_shards_set_slot(s, i, n == WEIR_REDIS_NO_SHARD ? NULL : named[n]);
    }
}

static void on_map(void *ctx, const struct weir_redis_map *map)
{
    struct weir_redis_shards *s = ctx;
    take_map(s, map);
    sweep(s, weir_clock_us());
    if (s->unserved > 0) {
        char text[REDIS_SHARDS_TEXT_BYTES];
        snprintf(text, sizeof(text), "Cluster has %u slots that nobody serves", s->unserved);
        redis_shards_tell_down(s, WEIR_REDIS_OUT_OF_REACH, text);
    } else {
        redis_shards_tell_up(s);
    }
    if (!s->closed) {
        redis_shards_want_map(s); /* again, until all is well */
    }
}

static void on_map_failed(void *ctx, enum weir_redis_why why, const char *text)
{
    struct weir_redis_shards *s = ctx;
    s->stale = true;
    if (!weir_redis_shards_are_up(s)) { /* else there is no need of it yet */
        redis_shards_tell_down(s, why, text);
    }
    if (!s->closed) {
        redis_shards_want_map(s);
    }
}

static bool map_is_good(const struct weir_redis_shards *s)
{
    return !s->stale && weir_redis_shards_are_up(s);
}

static void ask(struct weir_redis_shards *s)
{
    struct weir_redis_host known[WEIR_REDIS_SHARDS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; redis_is_cluster(s) && i < WEIR_REDIS_SHARDS_MAX; i++) {
        if (s->shard[i] != NULL) {
            memcpy(known[count].name, s->shard[i]->target.host, sizeof(known[count].name));
            known[count++].port = s->shard[i]->target.port;
        }
    }
    s->stale = false;
    s->asked_us = weir_clock_us();
    s->refresh_ms = 2 * s->refresh_ms < REFRESH_MAX_MS ? 2 * s->refresh_ms : REFRESH_MAX_MS;
    weir_redis_guide_ask(s->guide, known, count);
}

static void on_refresh(uv_timer_t *timer)
{
    struct weir_redis_shards *s = timer->data;
    if (map_is_good(s)) {
        s->refresh_ms = WEIR_REDIS_REFRESH_MS;
        redis_shards_tell_up(s);
    } else if (!weir_redis_guide_asks(s->guide)) {
        ask(s);
    }
}

void redis_shards_want_map(struct weir_redis_shards *s)
{
    if (s->guide == NULL || uv_is_active((uv_handle_t *)&s->refresh) ||
        weir_redis_guide_asks(s->guide)) {
        return;
    }
    uint64_t due_us = s->asked_us + (uint64_t)s->refresh_ms * 1000, now_us = weir_clock_us();
    uv_timer_start(&s->refresh, on_refresh, due_us > now_us ? (due_us - now_us + 999) / 1000 : 0,
                   0);
}

/* ---- the beginning ---- */

enum weir_err redis_shards_open_first(struct weir_redis_shards *s)
{
    const struct weir_redis_guide_owner owner = {
        .ctx = s, .on_map = on_map, .on_failed = on_map_failed};
    if (s->config->redis_seeds.kind != WEIR_REDIS_SINGLE) {
        s->stale = true;
        WEIR_TRY(weir_redis_guide_new(s->loop, s->config, s->tls, &owner, &s->guide));
        redis_shards_want_map(s);
        return WEIR_OK;
    }
    struct weir_redis_shard *only = shard_open(s, &s->config->redis, &s->clock);
    for (unsigned i = 0; only != NULL && i < WEIR_REDIS_SLOTS; i++) {
        redis_shards_set_slot(s, i, only);
    }
    return only == NULL ? WEIR_ERR_NOMEM : WEIR_OK;
}
