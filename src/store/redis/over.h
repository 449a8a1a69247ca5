/* SPDX-License-Identifier: Apache-2.0 */
/* over.h - the calls of over.lua and what it answers: a node goes over to a primary, beats there,
 * leaves, and charges again what it was granted before (rules 8 to 12 of docs/model/README.md).
 * Pure. */
#ifndef WEIR_STORE_REDIS_OVER_H
#define WEIR_STORE_REDIS_OVER_H

#include <hiredis/hiredis.h>

#include "base/buf.h"
#include "limit/subject.h"
#include "store/redis/clock_rule.h"
#include "store/redis/slots.h"

/* Which primary: its run id, a colon, its replication id, which is new at each promotion. Empty:
 * none. */
enum { WEIR_REDIS_ID_DIGITS = 40 };
struct weir_redis_identity {
    char text[2 * WEIR_REDIS_ID_DIGITS + 2];
    /* the replication id of the primary whose replica it was before; empty: it was none's */
    char former[WEIR_REDIS_ID_DIGITS + 1];
};

/* From an answer to INFO. False: it does not say. */
bool weir_redis_identity_read(const redisReply *info, struct weir_redis_identity *ret_identity);
/* Whether the answer to INFO has the identity's replication id. */
bool weir_redis_identity_is_told(const char *identity, const redisReply *info);

/* The script. Static. */
struct weir_str weir_redis_over_script(void);

/* Each of these appends one EVALSHA of it. `tag` is what weir_redis_slot_tag says of a slot that
 * the shard serves: where the shard's data says who was accepted and who lives. */
void weir_redis_enter_command(struct weir_buf *b, const char *tag, uint64_t process_id);
/* number: at most WEIR_REDIS_BEAT_MAX. accept: the identity is the accepted one from now on. */
void weir_redis_beat_command(struct weir_buf *b, const char *tag, uint64_t process_id,
                             uint64_t number, const struct weir_redis_identity *identity,
                             bool accept);
void weir_redis_leave_command(struct weir_buf *b, const char *tag, uint64_t process_id);
/* Adds what `record` has, a value made under the subject's plan, in steps that end after since_us,
 * each amount in its own step, whether it fits or not. Sent again it is charged again. */
void weir_redis_merge_command(struct weir_buf *b, const struct weir_subject *subject,
                              struct weir_clock_bounds clock, uint64_t since_us,
                              struct weir_str record);

#define WEIR_REDIS_BEAT_MAX ((int64_t)1 << 52)

struct weir_redis_entered {
    struct weir_redis_identity accepted; /* has_accepted */
    bool has_accepted;
    int64_t beat; /* the last of this process that is there; -1: none */
    uint64_t clock_us;
};

struct weir_redis_beaten {
    bool accepted; /* false: another identity is, or none, and nothing was written: go over again */
    uint32_t living; /* processes, about: a beat of the last 3 s, counted once a second */
    uint64_t clock_us;
};

struct weir_redis_merged {
    bool merged; /* false: another plan made what is there, or the record; nothing was written */
    const redisReply *value; /* the subject's value after it; in the reply */
    uint64_t clock_us;
};

/* False: an error, or nothing that the script says; the result is undefined then. */
bool weir_redis_answer_enter(const redisReply *reply, struct weir_redis_entered *ret_entered);
bool weir_redis_answer_beat(const redisReply *reply, struct weir_redis_beaten *ret_beaten);
bool weir_redis_answer_merge(const redisReply *reply, struct weir_redis_merged *ret_merged);

#endif
