/* SPDX-License-Identifier: Apache-2.0 */
/* slots.h - who serves which key: hash slots, the map of a cluster, and what servers say about it.
 * Nothing that they say is trusted: addresses and numbers are checked, shards are bounded. Private
 * to redis. Pure. */
#ifndef WEIR_STORE_REDIS_SLOTS_H
#define WEIR_STORE_REDIS_SLOTS_H

#include <hiredis/hiredis.h>

#include "config/config.h"

enum {
    WEIR_REDIS_SLOTS = 16384,
    WEIR_REDIS_SHARDS_MAX = 256,
    WEIR_REDIS_NO_SHARD = 0xffff,
};

struct weir_redis_map {
    unsigned shards; /* each serves at least one slot, and has an address of its own */
    struct weir_redis_host shard[WEIR_REDIS_SHARDS_MAX];
    uint16_t slot[WEIR_REDIS_SLOTS]; /* number of a shard, or WEIR_REDIS_NO_SHARD */
};

/* CRC16 (XMODEM) of what stands between the first brace and the first closing one behind it, or of
 * the whole key where that is nothing. */
uint16_t weir_redis_slot(struct weir_str key);

/* The least number whose decimal text, as a key, has this slot. */
enum { WEIR_REDIS_TAG_BYTES = 8 };
void weir_redis_slot_tag(unsigned slot, char ret_tag[static WEIR_REDIS_TAG_BYTES]);

/* Each of these reads an answer of the server at `asked`, whose address stands for one that a
 * node does not know of itself. False: it is none, or names more shards than the bound; the map is
 * undefined then. */

/* CLUSTER SHARDS (Redis 7); tls: the port for TLS is wanted. */
bool weir_redis_map_read_shards(const redisReply *reply, const struct weir_redis_host *asked,
                                bool tls, struct weir_redis_map *ret_map);
/* CLUSTER SLOTS. */
bool weir_redis_map_read_slots(const redisReply *reply, const struct weir_redis_host *asked,
                               struct weir_redis_map *ret_map);
/* SENTINEL get-master-addr-by-name: one shard that serves all slots. */
bool weir_redis_map_read_primary(const redisReply *reply, const struct weir_redis_host *asked,
                                 struct weir_redis_map *ret_map);

/* What a cluster's node says instead of doing what it was asked. It has done nothing. */
enum weir_redis_redirect {
    WEIR_REDIS_NOT_REDIRECTED,
    WEIR_REDIS_MOVED,       /* another serves this slot from now on */
    WEIR_REDIS_ASK,         /* another serves this key, once, after ASKING */
    WEIR_REDIS_TRY_AGAIN,   /* the slot is moving, and its keys are here and there */
    WEIR_REDIS_UNSERVED,    /* nobody serves this slot */
    WEIR_REDIS_WRONG_WORDS, /* one of the first two, without a slot and an address */
};

/* ret_slot and ret_to are set for the first two. */
enum weir_redis_redirect weir_redis_redirect_read(const redisReply *reply,
                                                  const struct weir_redis_host *asked,
                                                  uint16_t *ret_slot,
                                                  struct weir_redis_host *ret_to);

bool weir_redis_host_eq(const struct weir_redis_host *a, const struct weir_redis_host *b);

#endif
