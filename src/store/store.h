/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - where the authoritative windows live. One handle per worker; a handle belongs to its
 * worker's loop. Homes: embedded (answers at once), redis (answers later, on the loop). */
#ifndef WEIR_STORE_STORE_H
#define WEIR_STORE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hist.h"
#include "base/str.h"
#include "limit/decision.h"
#include "limit/plan.h"
#include "limit/subject.h"

enum weir_outcome {
    WEIR_OUTCOME_DECIDED,     /* decision is set */
    WEIR_OUTCOME_UNAVAILABLE, /* store out of reach, `closed` */
    WEIR_OUTCOME_FULL,        /* max_subjects reached and no idle subject: nothing was charged */
};

/* What a charge took and what settles it. Plain data, kept by the request or packed into the
 * reservation text that acquire hands out. */
struct weir_reservation {
    uint64_t nonce; /* makes it unique; 0 until granted */
    uint64_t epoch; /* whose windows it was taken from (store/shared.h); at_us is their time */
    uint64_t at_us; /* the store's time of the charge */
    /* The same for what all share, where that is in another slot of a cluster; else 0. */
    uint64_t shared_at_us;
    /* Which primaries of Redis granted it, hashes of their identities; as shared_at_us, 0: none. */
    uint32_t primary, shared_primary;
    struct weir_amounts reserved;
};

/* One charge. The caller owns it and leaves it alone until it is done. */
struct weir_call {
    /* in */
    const struct weir_subject *subject[WEIR_SUBJECTS_MAX];
    uint8_t subjects;
    struct weir_amounts amounts; /* all 0: a look, which charges nothing and is always allowed */
    bool probe; /* asks what a charge would be answered now by the store itself: charges nothing */
    uint64_t now_us;                      /* weir_clock_us, read right before */
    void (*done)(struct weir_call *call); /* only after WEIR_PENDING */
    void *ctx;
    /* the store's own while it is pending */
    struct weir_call *next;
    uint8_t own_subjects; /* so many of them, the first ones, are in one slot of a cluster */
    /* out */
    enum weir_outcome outcome;
    bool local; /* decided from this node's share, or let through by `open` */
    struct weir_reservation reservation; /* set when allowed and charged */
    struct weir_decision decision;
};

/* What it charges when it is allowed. */
static inline struct weir_amounts weir_call_charges(const struct weir_call *call)
{
    return call->probe ? (struct weir_amounts){0} : call->amounts;
}

enum weir_settle_result {
    WEIR_SETTLE_DONE,        /* applied now */
    WEIR_SETTLE_REPEATED,    /* was settled before: nothing changed */
    WEIR_SETTLE_EXPIRED,     /* too old, or its store state is gone: the reservation stands */
    WEIR_SETTLE_ELSEWHERE,   /* taken from another node's local share: only that node settles it */
    WEIR_SETTLE_UNAVAILABLE, /* store out of reach, or no room to remember it: may be tried again */
};

struct weir_settle {
    const struct weir_subject *subject[WEIR_SUBJECTS_MAX];
    uint8_t subjects;
    struct weir_reservation reservation;
    struct weir_amounts used;
    uint64_t now_us; /* weir_clock_us, read right before */
    bool claim;      /* false: the caller settles it once and knows so (chat requests);
                      * true: remembered by nonce, for reservation_ttl after at_us */
    void (*done)(struct weir_settle *settle); /* NULL: nobody waits; the store keeps no pointer */
    void *ctx;
    uint8_t own_subjects; /* the store's own, as that of a call */
    enum weir_settle_result result;
};

/* All that a subject has used is forgotten, in the store and in this process's record: an
 * operator's wish, docs/design/store.md says what it means. */
struct weir_reset {
    const struct weir_subject *subject;
    void (*done)(struct weir_reset *reset); /* only after WEIR_PENDING */
    void *ctx;
    bool emptied; /* out; false: out of reach, or it refused. It may be tried again */
};

/* What becomes of budget that a lease takes ahead of need. */
enum weir_leased_fate {
    WEIR_LEASED_TAKEN,
    WEIR_LEASED_USED,
    WEIR_LEASED_RETURNED,
    WEIR_LEASED_DROPPED, /* with its primary: neither used nor given back */
    WEIR_LEASED_FATES,
};

/* Counters of one handle. The owner writes (relaxed), /metrics reads from any thread. */
struct weir_store_stats {
    _Atomic uint64_t round_trips; /* answers received */
    _Atomic uint64_t errors;      /* calls without a usable answer */
    _Atomic uint64_t reconnects;
    _Atomic uint64_t local_decisions;
    _Atomic uint64_t open_decisions;
    _Atomic uint64_t closed_decisions;
    _Atomic uint64_t subjects_refused;
    _Atomic uint64_t lease_decisions;    /* allowed from a lease, without a call */
    _Atomic uint64_t remembered_denials; /* denied by what a call had answered before */
    _Atomic uint64_t lease_returns;      /* leases of which a rest went back */
    _Atomic uint64_t leased[WEIR_LEASED_FATES][WEIR_METERS];
    _Atomic uint64_t clock_refusals;    /* answers whose time was not believed */
    _Atomic uint64_t debt_tokens;       /* tokens charged beyond a reservation */
    _Atomic uint64_t primaries_entered; /* gone over to, the first included */
    _Atomic uint64_t charged_again; /* records of subjects sent to a new primary, or on return */
    _Atomic uint64_t nodes;         /* alive, as the store last counted them */
    _Atomic uint64_t up;            /* 1 while the store is reachable */
    _Atomic uint64_t shards_up;     /* servers that keep windows, in reach */
    _Atomic uint64_t shards_away;   /* and not in reach */
    struct weir_hist round_trip;
};

struct weir_store;

struct weir_store_ops {
    /* WEIR_OK: decided, call->outcome is set and done is not called. WEIR_PENDING: done will be. */
    enum weir_err (*take)(struct weir_store *s, struct weir_call *call);
    enum weir_err (*settle)(struct weir_store *s, struct weir_settle *settle);
    enum weir_err (*reset)(struct weir_store *s, struct weir_reset *reset);
    bool (*ready)(const struct weir_store *s);
    /* How many subjects are held (0 where the store does not know). */
    uint64_t (*subjects)(const struct weir_store *s);
    void (*close)(struct weir_store *s);
};

/* First member of every home's own struct. */
struct weir_store {
    const struct weir_store_ops *ops;
    struct weir_store_stats stats;
};

static inline enum weir_err weir_store_take(struct weir_store *s, struct weir_call *call)
{
    return s->ops->take(s, call);
}

static inline enum weir_err weir_store_settle(struct weir_store *s, struct weir_settle *settle)
{
    return s->ops->settle(s, settle);
}

static inline enum weir_err weir_store_reset(struct weir_store *s, struct weir_reset *reset)
{
    return s->ops->reset(s, reset);
}

static inline bool weir_store_ready(const struct weir_store *s)
{
    return s->ops->ready(s);
}

static inline uint64_t weir_store_subjects(const struct weir_store *s)
{
    return s->ops->subjects(s);
}

/* NULL is allowed. Calls still pending are dropped: their done is not called. */
static inline void weir_store_close(struct weir_store *s)
{
    if (s != NULL) {
        s->ops->close(s);
    }
}

#endif
