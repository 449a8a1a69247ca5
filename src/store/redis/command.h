/* SPDX-License-Identifier: Apache-2.0 */
/* command.h - commands in RESP2, and the call of charge.lua. Pure; one owner of each buffer. */
#ifndef WEIR_STORE_REDIS_COMMAND_H
#define WEIR_STORE_REDIS_COMMAND_H

#include "base/buf.h"
#include "limit/subject.h"
#include "limit/window.h"
#include "store/lease/lease.h"
#include "store/redis/clock_rule.h"

/* Appends one command of n words. */
void weir_redis_command(struct weir_buf *b, const struct weir_str *word, unsigned n);

enum { WEIR_CALL_ASKS_MAX = 64, WEIR_CALL_RETURNS_MAX = 16 };

/* What a call says of leases (store/lease/lease.h). */
struct weir_redis_lease {
    const struct weir_amounts *const *ask; /* the requests, in the order in which they came */
    unsigned asks;
    struct weir_amounts want; /* ahead of need */
    const struct weir_return *back;
    unsigned returns;
};

/* Where a subject's value is: weir:{root}:name, or weir:{name} for one that is its own root. The
 * braces keep a request's own subjects in one slot of a cluster. */
enum { WEIR_REDIS_KEY_MAX = 2 * WEIR_SUBJECT_NAME_MAX + sizeof("weir:{}:") };
struct weir_str weir_redis_key(const struct weir_subject *subject,
                               char buf[static WEIR_REDIS_KEY_MAX]);

/* The plan as the scripts read it. */
enum { WEIR_REDIS_PLAN_MAX = WEIR_PLAN_WINDOWS_MAX * (5 + WEIR_METERS * 8) };
struct weir_str weir_redis_plan(const struct weir_plan *plan, char buf[static WEIR_REDIS_PLAN_MAX]);

/* One call of charge.lua. */
struct weir_redis_charge {
    const struct weir_subject *const *subject;
    unsigned subjects;
    struct weir_clock_bounds clock;
    struct weir_amounts amounts; /* asked, or when settling: used beyond the reservation */
    bool settles;                /* charges whether it fits or not, then takes `less` out */
    struct weir_amounts less;    /* of the entry of taken_at_us */
    uint64_t taken_at_us;
    uint64_t claim_nonce; /* 0: no claim */
    uint64_t claim_ms;    /* how long it is remembered */
    /* NULL: one request, or a settlement. Else `amounts` is charged whether it fits or not. */
    const struct weir_redis_lease *lease;
};

/* The script, and its SHA-1 in hex as EVALSHA wants it. Static. */
struct weir_str weir_redis_script(void);
/* Thread-safe. */
void weir_redis_script_sha(char ret_hex[static 40]);

/* Appends EVALSHA with the call. */
void weir_redis_charge_command(struct weir_buf *b, const char sha[static 40],
                               const struct weir_redis_charge *charge);

#endif
