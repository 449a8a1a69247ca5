/* SPDX-License-Identifier: Apache-2.0 */
/* parked.h - commands that were answered without being executed and must wait: for the connection
 * to the server that they were sent on to, or for keys that are moving. Copies, in the order of
 * their arrival, bounded. Private to redis. Pure; one owner. */
#ifndef WEIR_STORE_REDIS_PARKED_H
#define WEIR_STORE_REDIS_PARKED_H

#include "store/redis/conn.h"

enum {
    WEIR_REDIS_PARKED_MAX = 4096,
    WEIR_REDIS_PARKED_BYTES_MAX = 16 << 20,
};

struct weir_redis_parked {
    struct weir_redis_parked *_next;
    unsigned shard; /* where it goes */
    uint64_t due_us, until_us;
    struct weir_redis_asked asked; /* its bytes stand behind this */
};

struct weir_redis_park {
    struct weir_redis_parked *_first, **_last;
    unsigned count;
    size_t _bytes;
};

void weir_redis_park_init(struct weir_redis_park *park);
/* Drops what waits. */
void weir_redis_park_deinit(struct weir_redis_park *park);
/* Keeps a copy. False: at the bound, or no memory. */
WEIR_MUSTCHECK bool weir_redis_park_add(struct weir_redis_park *park, unsigned shard,
                                        const struct weir_redis_asked *asked, uint64_t due_us,
                                        uint64_t until_us);
/* Takes out the first one for which `wanted` is true; NULL: none. Free with weir_free. */
struct weir_redis_parked *
weir_redis_park_take(struct weir_redis_park *park,
                     bool (*wanted)(void *ctx, const struct weir_redis_parked *parked), void *ctx);

#endif
