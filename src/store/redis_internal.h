/* SPDX-License-Identifier: Apache-2.0 */
/* redis_internal.h - one worker's handle on Redis, as its parts share it. Private to store.
 *   redis_store.c   one request to a call, the connection's news
 *   redis_settle.c  settlements
 *   redis_local.c   decisions without Redis, and on the way back
 *   redis_lease.c   mode: lease (docs/design/leases.md)
 *   redis_granted.c its answers
 *   redis_spread.c  requests whose subjects are in two slots of a cluster
 *   redis_reset.c   emptying a subject's windows
 *   redis_over.c    going over to new primaries, beats
 *   redis_walk.c    charging the record again, reports */
#ifndef WEIR_STORE_REDIS_INTERNAL_H
#define WEIR_STORE_REDIS_INTERNAL_H

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "store/holdings.h"
#include "store/redis/command.h"
#include "store/redis/shards.h"
#include "store/redis_over.h"
#include "store/redis_store.h"

/* What a command is, and what its pointer is about. */
enum what {
    TAKE,             /* struct weir_call */
    SETTLE,           /* struct weir_settle; somebody waits for it */
    SETTLE_UNWATCHED, /* nobody does */
    LEASE,            /* struct weir_holding */
    TAKE_BOTH,        /* struct weir_call; it was taken from the share as well */
    /* Of redis_spread.c: struct weir_call, then struct weir_settle. */
    TAKE_OWN,
    TAKE_SHARED,
    LOOK_OWN,
    LOOK_SHARED,
    SETTLE_OWN,
    SETTLE_SHARED,
    RESET, /* struct weir_reset */
    /* about one shard, struct redis_over */
    ENTER = WEIR_REDIS_STAYS,
    MERGE,
    LOOK,
    BEAT,
    BEAT_ACCEPT,
    LEAVE,
};

/* Looks at what is due; its handle outlives the store until libuv has closed it. */
struct lease_timer {
    uv_timer_t uv;
    struct redis_store *store;
};

struct redis_store {
    struct weir_store base;
    const struct weir_config *config;
    struct weir_store_shared *shared;
    struct weir_loop *loop;
    struct weir_redis_shards *shards;
    struct weir_rand nonces;
    struct weir_log_gate log, error_log;
    bool was_up; /* or nothing was tried yet */
    enum weir_redis_why why_down;
    uint64_t refused_until_us; /* Redis answers, and takes no writes; then it may again */
    char sha[40];

    struct weir_holdings holdings;
    struct weir_holding *turn_first, **turn_last; /* call at the end of the turn */
    struct weir_turn_end turn;
    struct lease_timer *timer;
    struct redis_over *over; /* by number of the shard */
    struct lease_timer *over_timer;
    bool *alive; /* of whoever calls others back: false when they have closed the store */
};

static inline void redis_count(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t was = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, was + n, memory_order_relaxed);
}

/* Of reservations that Redis granted to this process. */
static inline uint64_t redis_granted_epoch(const struct redis_store *self)
{
    return self->shared->epoch - 1;
}

/* ---- redis_store.c ---- */

/* The time of the subject's shard as this node sees it: what the table goes by. */
uint64_t redis_store_now_us(struct redis_store *self, const struct weir_subject *subject);
/* The connection that has all of them, and the way their requests go; NULL where that is
 * REDIS_WAY_NONE, as where they are in several slots, which one script cannot charge. */
struct weir_redis_conn *redis_conn_of(struct redis_store *self,
                                      const struct weir_subject *const *subject, unsigned subjects,
                                      enum redis_way *ret_way);
/* Makes the reservation of a call that is allowed. Which primaries have granted it stands there
 * before. */
void redis_grant(struct redis_store *self, struct weir_call *call, uint64_t epoch);
/* One call of the script, about `ptr`, sent at now_us; the clock's bounds are set here. False:
 * nothing was sent. */
bool redis_send(struct redis_store *self, struct weir_redis_charge *charge, enum what what,
                void *ptr, uint64_t now_us);
/* The same with what a request asks for. */
bool redis_send_take(struct redis_store *self, struct weir_call *call, enum what what);
enum redis_told {
    /* call->decision is the store's, and by which primary; what it allows is recorded */
    REDIS_TOLD,
    REDIS_TOLD_NO_ROOM, /* it is allowed, and there is no room for the record */
    REDIS_TOLD_NOTHING, /* no answer, or none that counts; call->decision is as it was */
};
/* What an answer says to a call that redis_send_take sent. */
enum redis_told redis_read_take(struct redis_store *self, struct weir_call *call,
                                const redisReply *reply, uint64_t sent_us);
/* With a call of its own. */
enum weir_err redis_take_alone(struct redis_store *self, struct weir_call *call);
/* Writes down what Redis granted. False: there is no room for that, and it must not be used. */
WEIR_MUSTCHECK bool redis_remember(struct redis_store *self,
                                   const struct weir_subject *const *subject, unsigned subjects,
                                   const struct weir_amounts *a, uint64_t at_us);
/* Takes it out again, of the entry of at_us. */
void redis_forget(struct redis_store *self, const struct weir_subject *const *subject,
                  unsigned subjects, const struct weir_amounts *a, uint64_t at_us);
/* What an answer says of the shard's clock, and that there was one. */
void redis_answered(struct redis_store *self, const struct weir_subject *subject, uint64_t sent_us,
                    uint64_t now_us, uint64_t clock_us);

/* ---- redis_local.c ---- */

/* By on_store_failure. */
void redis_decide_without_store(struct redis_store *self, struct weir_call *call);
/* From this node's share: sets the decision. Of what it allows redis_share_used is told, or it is
 * given back by redis_forget. */
void redis_take_share(struct redis_store *self, struct weir_call *call);
/* What the record has of these since at_us Redis has not been told. */
void redis_tell_later(struct redis_store *self, const struct weir_subject *const *subject,
                      unsigned subjects, uint64_t at_us);
/* The share alone has allowed it. */
void redis_share_used(struct redis_store *self, struct weir_call *call);
/* The share, and it alone, has denied it. */
void redis_share_denied(struct redis_store *self, struct weir_call *call);
/* With a call of its own, if it fits this node's share, too. */
enum weir_err redis_take_both(struct redis_store *self, struct weir_call *call);
void redis_both_answered(struct redis_store *self, struct weir_call *call, const redisReply *reply,
                         uint64_t sent_us);
void redis_both_lost(struct redis_store *self, struct weir_call *call);

/* ---- redis_settle.c ---- */

/* `settle` of the handle's ops. */
enum weir_err redis_settle(struct weir_store *s, struct weir_settle *settle);
/* SETTLE was answered. */
void redis_settle_done(struct redis_store *self, struct weir_settle *settle,
                       const redisReply *reply, uint64_t sent_us);
/* False: nothing was sent. */
bool redis_send_settle(struct redis_store *self, const struct weir_settle *settle, enum what what,
                       void *ptr);
/* The table's copy of what this process was granted follows, if it granted this. */
void redis_settle_copy(struct redis_store *self, const struct weir_settle *settle);
/* Of a settlement that was sent. The copy follows, the debt is the caller's to count. */
enum weir_settle_result redis_settle_answered(struct redis_store *self,
                                              const struct weir_settle *settle,
                                              const redisReply *reply, uint64_t sent_us);
/* What it charges beyond the reservation. */
void redis_count_debt(struct redis_store *self, const struct weir_settle *settle);

/* ---- redis_reset.c ---- */

/* `reset` of the handle's ops. */
enum weir_err redis_reset(struct weir_store *s, struct weir_reset *reset);
void redis_reset_answered(struct redis_store *self, struct weir_reset *reset,
                          const redisReply *reply);
void redis_reset_lost(struct weir_reset *reset);

/* ---- redis_lease.c, and redis_granted.c: answered, lost ---- */

WEIR_MUSTCHECK enum weir_err redis_leases_open(struct redis_store *self, struct weir_loop *loop);
/* Gives back what is held, as far as the connection takes it. */
void redis_leases_close(struct redis_store *self);
/* A shard has answered: it may take the next call. */
void redis_leases_go_on(struct redis_store *self);
enum weir_err redis_lease_take(struct redis_store *self, struct weir_call *call);
/* False: it must be settled by a call of its own. */
bool redis_lease_settle(struct redis_store *self, struct weir_settle *settle);
void redis_lease_answered(struct redis_store *self, struct weir_holding *h, const redisReply *reply,
                          uint64_t sent_us);
void redis_lease_lost(struct redis_store *self, struct weir_holding *h);

/* ---- redis_spread.c ---- */

/* How many subjects, from the first on, are in the slot of the first: all, but for a cluster. */
uint8_t redis_own_subjects(const struct redis_store *self,
                           const struct weir_subject *const *subject, uint8_t subjects);
/* Those behind own_subjects, which is set, are in another slot. */
enum weir_err redis_spread_take(struct redis_store *self, struct weir_call *call);
enum weir_err redis_spread_settle(struct redis_store *self, struct weir_settle *settle);
void redis_spread_answered(struct redis_store *self, enum what what, void *ptr,
                           const redisReply *reply, uint64_t sent_us);
void redis_spread_lost(struct redis_store *self, enum what what, void *ptr);

#endif
