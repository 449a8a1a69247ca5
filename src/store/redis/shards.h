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
};

struct weir_redis_shards;

/* The owner's side is that of a connection, with these differences:
 * on_reply never gets what a cluster answers instead of an answer (MOVED, ASK, TRYAGAIN): the
 * command has not run and goes where it belongs, at most for store_timeout_ms.
 * on_lost also gets what could not be sent on.
 * on_up: all shards are up, and every slot is served.
 * on_down: some shard is not, or nobody knows the shards. The text names it.
 * config outlives it. WEIR_ERR_INVALID: ret_text says which certificate cannot be used. */
WEIR_MUSTCHECK enum weir_err weir_redis_shards_open(struct weir_loop *loop,
                                                    const struct weir_config *config,
                                                    const struct weir_redis_owner *owner,
                                                    struct weir_redis_shards **ret_shards,
                                                    char ret_text[static WEIR_REDIS_TLS_TEXT]);
/* As weir_redis_conn_close, of all connections. */
void weir_redis_shards_close(struct weir_redis_shards *s);

/* Whether no key fails for want of a connection. */
bool weir_redis_shards_are_up(const struct weir_redis_shards *s);
/* The connection that serves this key, for weir_redis_conn_begin and weir_redis_conn_end. NULL:
 * nobody is known to serve it. Use it before the next call of the loop. */
struct weir_redis_conn *weir_redis_shards_conn(struct weir_redis_shards *s, struct weir_str key);
/* What is known of the clock of the key's shard. Each server has a clock of its own. As long. */
struct weir_clock_rule *weir_redis_shards_clock(struct weir_redis_shards *s, struct weir_str key);
/* One script cannot have both keys: they are in different slots of a cluster. */
bool weir_redis_shards_apart(const struct weir_redis_shards *s, struct weir_str a,
                             struct weir_str b);

#endif
