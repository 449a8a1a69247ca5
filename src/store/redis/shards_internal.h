/* SPDX-License-Identifier: Apache-2.0 */
/* shards_internal.h - all the servers that keep windows, as the parts of shards.h share them.
 *   shards.c     the owner's side, and that of each connection
 *   shard_map.c  who serves which slot; shards come and go
 *   redirect.c   commands that were sent on, and those that wait for that */
#ifndef WEIR_STORE_REDIS_SHARDS_INTERNAL_H
#define WEIR_STORE_REDIS_SHARDS_INTERNAL_H

#include "store/redis/guide.h"
#include "store/redis/parked.h"
#include "store/redis/shards.h"

enum { REDIS_SHARDS_TEXT_BYTES = 512 }; /* what is said of one that is down */

struct weir_redis_shard {
    struct weir_redis_shards *all;
    struct weir_redis_conn *conn;
    struct weir_redis_target target;
    struct weir_clock_rule clock;
    unsigned number;   /* its place in `shard` */
    unsigned slots;    /* that it serves */
    uint64_t asked_us; /* the last time that another sent a command on to it; 0: never */
    void *data;        /* the owner's */
};

struct weir_redis_shards {
    struct weir_loop *loop;
    const struct weir_config *config;
    struct weir_redis_owner owner;
    void (*on_shard)(void *ctx, struct weir_redis_shard *shard, bool up);
    struct weir_redis_shard *answering; /* within on_reply and on_lost */
    struct weir_redis_tls *tls;         /* NULL: in clear */
    struct weir_redis_guide *guide;     /* NULL: the URL names the only server */
    struct weir_clock_rule clock;       /* for a key that nobody serves */
    uv_timer_t refresh, tick;
    unsigned closing; /* timers that libuv still has */
    bool closed, told_up;
    bool stale; /* the map is known to be wrong */
    uint32_t refresh_ms;
    uint64_t asked_us, unserved_us;
    unsigned unserved; /* slots of which nobody is known */
    struct weir_redis_park park;
    struct weir_redis_shard *shard[WEIR_REDIS_SHARDS_MAX]; /* NULL: a free place */
    uint16_t slot[WEIR_REDIS_SLOTS];                       /* number of a shard */
};

static inline bool redis_is_cluster(const struct weir_redis_shards *s)
{
    return s->config->redis_seeds.kind == WEIR_REDIS_CLUSTER;
}

static inline struct weir_redis_shard *redis_shard_of_slot(const struct weir_redis_shards *s,
                                                           unsigned slot)
{
    return s->slot[slot] == WEIR_REDIS_NO_SHARD ? NULL : s->shard[s->slot[slot]];
}

/* ---- shards.c ---- */

extern const struct weir_redis_owner redis_shard_owner;
/* If all is well, and that is news. */
void redis_shards_tell_up(struct weir_redis_shards *s);
void redis_shards_tell_down(struct weir_redis_shards *s, enum weir_redis_why why, const char *text);
void redis_shard_tell(struct weir_redis_shard *shard, bool up);

/* ---- shard_map.c ---- */

/* The one of this host, which is made if there is none. `clock`: of the one that served its keys
 * before. NULL: no place or no memory. */
struct weir_redis_shard *redis_shard_named(struct weir_redis_shards *s,
                                           const struct weir_redis_host *host,
                                           const struct weir_clock_rule *clock);
/* The connection lives on for a moment, and looks at nothing of the shard any more. */
void redis_shard_close(struct weir_redis_shard *shard);
/* NULL: nobody is known to serve it. */
void redis_shards_set_slot(struct weir_redis_shards *s, unsigned slot,
                           struct weir_redis_shard *shard);
/* At once, or WEIR_REDIS_REFRESH_MS after the last time, or later the longer it is of no use: once
 * for all that is redirected meanwhile. */
void redis_shards_want_map(struct weir_redis_shards *s);
/* The only server, or somebody to ask for them. */
WEIR_MUSTCHECK enum weir_err redis_shards_open_first(struct weir_redis_shards *s);

/* ---- redirect.c ---- */

/* True: the answer was none, and is dealt with. */
bool redis_shard_redirected(struct weir_redis_shard *from, const redisReply *reply);
/* Of what is parked. */
void redis_shards_send_due(struct weir_redis_shards *s);
/* What is parked for this one. */
void redis_shards_lose_parked(struct weir_redis_shards *s, unsigned number);

#endif
