/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h - what charge.lua answered. Private to store. Pure. */
#ifndef WEIR_STORE_REDIS_ANSWER_H
#define WEIR_STORE_REDIS_ANSWER_H

#include <hiredis/hiredis.h>

#include "limit/decision.h"
#include "limit/subject.h"

/* The decision about a charge of `a`, and what the server's clock said. False: an error, or nothing
 * that the script says; the other results are undefined then. */
bool weir_redis_answer_decision(const redisReply *reply, const struct weir_subject *const *subject,
                                unsigned subjects, const struct weir_amounts *a,
                                struct weir_decision *d, uint64_t *ret_clock_us);

/* The same of a look, and what the values say of a charge of `a`: allowed or denied, the states are
 * those without it. */
bool weir_redis_answer_look(const redisReply *reply, const struct weir_subject *const *subject,
                            unsigned subjects, const struct weir_amounts *a,
                            struct weir_decision *d, uint64_t *ret_clock_us);

/* The same, and the states of what would be allowed are those with it: what a charge is answered.
 */
bool weir_redis_answer_probe(const redisReply *reply, const struct weir_subject *const *subject,
                             unsigned subjects, const struct weir_amounts *a,
                             struct weir_decision *d, uint64_t *ret_clock_us);

/* What a call with requests and a lease was answered. */
struct weir_redis_granted {
    bool all;         /* every request was granted, or there was none: the rest is 0 then */
    const char *mask; /* '1' or '0' for each; in the reply */
    uint64_t at_us, clock_us;
    struct weir_amounts ahead;
    struct weir_decision states;    /* of all limits after it; only when `all` */
    const redisReply *const *value; /* of each subject after it; only when not `all` */
};

/* False: an error, or nothing that the script says to so many requests. */
bool weir_redis_answer_granted(const redisReply *reply, const struct weir_subject *const *subject,
                               unsigned subjects, unsigned asks,
                               struct weir_redis_granted *ret_granted);

/* Whether it is the bytes of a value (limit/window.h). */
bool weir_redis_answer_is_value(const redisReply *reply);

enum weir_redis_settled {
    WEIR_REDIS_SETTLED,
    WEIR_REDIS_SETTLED_BEFORE,
    WEIR_REDIS_NOT_SETTLED, /* an error */
};

enum weir_redis_settled weir_redis_answer_settled(const redisReply *reply);

/* An error that every further call would get as well: the connection is of no use, and a new one is
 * told why by the greeting. */
bool weir_redis_answer_breaks(const redisReply *reply);
/* An error that every further charge would get as well, while looks and denials are answered: no
 * memory, a disk or replicas that fail. The greeting does not see it. */
bool weir_redis_answer_refuses_writes(const redisReply *reply);
/* The key holds something that is no string: no call about it is answered with anything else. */
bool weir_redis_answer_is_wrong_type(const redisReply *reply);
/* An error's own words up to the first control character, at most 120 bytes, for a text. They live
 * as long as the reply. */
struct weir_str weir_redis_error_words(const redisReply *reply);

#endif
