/* SPDX-License-Identifier: Apache-2.0 */
/* redis_over.h - a worker's part in going over to new primaries: it learns whom it talks to,
 * charges again there what they may lack, tells what was used of the share, beats, and says which
 * way a request may go (docs/model/README.md, rules 8 to 14). Private to store. */
#ifndef WEIR_STORE_OVER_H
#define WEIR_STORE_OVER_H

#include <hiredis/hiredis.h>

#include "store/redis/marks.h"
#include "store/redis/over.h"
#include "store/redis/primaries.h"
#include "store/redis/shards.h"

struct redis_store;

enum redis_walk {
    REDIS_WALK_NONE,
    REDIS_WALK_ENTER,  /* asked whom it talks to */
    REDIS_WALK_OVER,   /* charges again */
    REDIS_WALK_REPORT, /* tells what was used of the share */
};

/* Of one shard. */
struct redis_over {
    struct redis_store *store;
    struct weir_redis_shard *shard;
    struct weir_primary *primary; /* NULL: not up */
    unsigned beat_slot;           /* of the last beat that was sent */
    unsigned enter_slot;          /* of the last way over */
    unsigned accepted_slot; /* where its barrier is said to be over; WEIR_REDIS_SLOTS: it is not */
    enum redis_walk walk;
    bool failed;            /* some of the walk's last batch */
    bool walked;            /* the roll is at its end */
    uint32_t at, batch_at;  /* how far the roll is walked, and where its last batch began */
    unsigned pending;       /* answers that the walk waits for */
    uint64_t rest_until_us; /* no new try before */
    uint64_t since_us;
    uint64_t barrier_until_us;
    struct weir_marked marked; /* what the walk tells of the share */
};

enum redis_way {
    REDIS_WAY_STORE, /* the store decides */
    REDIS_WAY_BOTH,  /* the store and this node's share decide */
    REDIS_WAY_NONE,  /* on_store_failure decides */
};

/* For keys of this shard; NULL: nobody serves them. */
enum redis_way redis_over_way(struct redis_store *self, struct weir_redis_shard *shard,
                              struct weir_str key);
/* Whether that is REDIS_WAY_STORE or REDIS_WAY_BOTH for all shards, the barriers over. */
bool redis_over_is_open(const struct redis_store *self);
/* The primary whose answer is being read, if what it grants may be used: looked at after the grant
 * was recorded. NULL: it may not. */
struct weir_primary *redis_over_granted_by(struct redis_store *self, uint64_t sent_us,
                                           uint64_t now_us);

/* The one that serves the subject's key now. NULL: none that is up. */
const struct weir_primary *redis_over_primary(struct redis_store *self,
                                              const struct weir_subject *subject);

void redis_over_shard(struct redis_store *self, struct weir_redis_shard *shard, bool up);
void redis_over_entered(struct redis_over *o, const redisReply *reply);
/* NULL, or why the connection is to be given up. */
const char *redis_over_looked(const struct redis_over *o, const redisReply *reply);
void redis_over_beaten(struct redis_over *o, const redisReply *reply, bool accepts);
/* One was lost that the walk waits for. */
void redis_over_lost(struct redis_over *o, bool enters);

WEIR_MUSTCHECK enum weir_err redis_over_open(struct redis_store *self);
/* Tells the shards that this process leaves. */
void redis_over_close(struct redis_store *self);
/* After the shards were closed. */
void redis_over_free(struct redis_store *self);

/* Where to append one command to the shard; redis_over_end follows at once. NULL: not now. */
struct weir_buf *redis_over_begin(const struct redis_over *o);
/* `what` as in redis_internal.h, about the shard. False: no memory, nothing was sent. */
bool redis_over_end(struct redis_over *o, uint8_t what);

/* ---- redis_walk.c: charging the record again ---- */

enum { REDIS_REST_US = 200000 }; /* between two tries */

/* From since_us on; what was used of the share, and not told, from its own moment on. */
void redis_walk_begin(struct redis_over *o, enum redis_walk walk, uint64_t since_us);
/* Sends what can be sent now. It ends by itself. */
void redis_walk_on(struct redis_over *o);
void redis_walk_answered(struct redis_over *o, const redisReply *reply);
/* One of its commands was lost, or has not run. */
void redis_walk_failed(struct redis_over *o);
/* The connection is gone. */
void redis_walk_give_up(struct redis_over *o);

#endif
