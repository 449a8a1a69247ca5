/* SPDX-License-Identifier: Apache-2.0 */
/* shards.h - a worker's way to all the servers that keep windows: the one that the URL names, the
 * one that Sentinels name, or the primaries of a cluster. Finds out who serves which key, keeps a
 * connection to each, follows when that changes. A shard that is out of reach fails its own keys,
 * at once. Replicas are never asked. Everything belongs to the loop's thread. */
#ifndef WEIR_STORE_REDIS_SHARDS_H
#define WEIR_STORE_REDIS_SHARDS_H

#include "store/redis/clock_rule.h"
#include "store/redis/conn.h"
#include "store/redis/tls.h"

enum {
    WEIR_REDIS_HOPS_MAX = 5,     /* servers that may send one command on */
    WEIR_REDIS_REFRESH_MS = 100, /* between two questions for the map, at least */
    WEIR_REDIS_STAYS = 0x80,     /* `what` from here on is about one server: never sent on */
};

struct weir_redis_shards;
struct weir_redis_shard; /* one server that keeps windows */

/* The owner's side is that of a connection, with these differences:
 * on_reply never gets what a cluster answers instead of an answer (MOVED, ASK, TRYAGAIN): the
 * command has not run and goes where it belongs, at most for store_timeout_ms.
 * on_lost also gets what could not be sent on.
 * on_up: all shards are up, and every slot is served.
 * on_down: some shard is not, or nobody knows the shards. The text names it.
 * on_shard (NULL: nobody) tells of one shard that it is up, or that it is not any more (or never
 * was): its commands were lost before, or are not answered any more when it goes for good. config
 * outlives it. WEIR_ERR_INVALID: ret_text says which certificate cannot be used. */
WEIR_MUSTCHECK enum weir_err weir_redis_shards_open(
    struct weir_loop *loop, const struct weir_config *config, const struct weir_redis_owner *owner,
    void (*on_shard)(void *ctx, struct weir_redis_shard *shard, bool up),
    struct weir_redis_shards **ret_shards, char ret_text[static WEIR_REDIS_TLS_TEXT]);
/* As weir_redis_conn_close, of all connections. */
void weir_redis_shards_close(struct weir_redis_shards *s);

/* Whether no key fails for want of a connection. */
bool weir_redis_shards_are_up(const struct weir_redis_shards *s);
/* The shard that serves this key. NULL: nobody is known to serve it. Use it before the next call of
 * the loop, as what these return. */
struct weir_redis_shard *weir_redis_shards_at(const struct weir_redis_shards *s,
                                              struct weir_str key);
/* Nobody has said that the map is wrong since it was asked for, and it has come. Without a cluster
 * there is no map. */
bool weir_redis_shards_map_is_fresh(const struct weir_redis_shards *s);
/* From *at (at first 0) on, and moves it. NULL: no more. */
struct weir_redis_shard *weir_redis_shards_next(const struct weir_redis_shards *s, unsigned *at);
/* Within on_reply: whose answer it is. */
struct weir_redis_shard *weir_redis_shards_answering(const struct weir_redis_shards *s);
struct weir_redis_conn *weir_redis_shard_conn(const struct weir_redis_shard *shard);
struct weir_clock_rule *weir_redis_shard_clock(struct weir_redis_shard *shard);
/* A pointer of the owner's, NULL at first. */
void **weir_redis_shard_data(struct weir_redis_shard *shard);
/* Its own among those that are there, below WEIR_REDIS_SHARDS_MAX. */
unsigned weir_redis_shard_number(const struct weir_redis_shard *shard);
bool weir_redis_shard_serves(const struct weir_redis_shard *shard, unsigned slot);
/* How many slots it serves. None: another one sends commands on to it while a slot moves. */
unsigned weir_redis_shard_slots(const struct weir_redis_shard *shard);
/* The lowest slot that it serves; WEIR_REDIS_SLOTS: none. */
unsigned weir_redis_shard_slot(const struct weir_redis_shard *shard);
/* The key's slot; without a cluster all keys are in one. */
uint16_t weir_redis_shards_slot(const struct weir_redis_shards *s, struct weir_str key);
/* What is known of the clock of the slot's shard. Each server has a clock of its own. As long. */
struct weir_clock_rule *weir_redis_shards_clock(struct weir_redis_shards *s, uint16_t slot);
/* One script cannot have both keys: they are in different slots of a cluster. */
bool weir_redis_shards_apart(const struct weir_redis_shards *s, struct weir_str a,
                             struct weir_str b);

#endif
