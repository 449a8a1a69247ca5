/* SPDX-License-Identifier: Apache-2.0 */
/* primaries.h - which Redis primaries this process knows, by identity, and how far it has gone over
 * to each (docs/model/README.md, rules 9 to 12). One for all workers: they share the record of what
 * was granted, so one of them goes over for all. Thread-safe; no I/O, no clock: times are
 * arguments, in microseconds of the node's own clock. */
#ifndef WEIR_STORE_REDIS_PRIMARIES_H
#define WEIR_STORE_REDIS_PRIMARIES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/redis/slots.h"

enum {
    WEIR_PRIMARY_ID_BYTES = 82, /* run id, colon, replication id, NUL */
    WEIR_PRIMARIES_MAX = 512,   /* that are remembered; more than any worker has connections to */
    WEIR_BARRIER_US = 2000000,  /* nobody takes from a new primary sooner */
    WEIR_BEAT_US = 1000000,
};

enum weir_primary_state {
    WEIR_PRIMARY_NEW,     /* nobody has gone over, or whoever tried was interrupted */
    WEIR_PRIMARY_GOING,   /* one worker is on the way */
    WEIR_PRIMARY_BARRIER, /* what it lacked is charged again there; others may not have come yet */
    WEIR_PRIMARY_OPEN,    /* budget is taken from it */
    WEIR_PRIMARY_LEFT,    /* another took its place: it is never gone back to */
};

/* Its memory lives as long as the registry; without users it may become another one's. */
struct weir_primary {
    /* any thread reads these */
    _Atomic int state; /* enum weir_primary_state */
    /* when this process began to go over to it, the last time: what was sent before that is charged
     * again without being waited for, or is not there any more */
    _Atomic uint64_t begun_us;
    /* until then only what fits the share, too, is taken from it (rule 14); and while reporting */
    _Atomic uint64_t back_until_us;
    _Atomic bool reporting;
    char id[WEIR_PRIMARY_ID_BYTES];
    uint32_t hash; /* of id, the same in every process: what its reservations name */
    /* the registry's own */
    uint64_t barrier_until_us;
    uint64_t beat_due_us;
    uint64_t used_us; /* when somebody came or went the last time */
    unsigned slot;    /* under which its identity was seen the last time; WEIR_REDIS_SLOTS: none */
    unsigned users;
};

static inline enum weir_primary_state weir_primary_state(const struct weir_primary *p)
{
    return (enum weir_primary_state)atomic_load_explicit(&p->state, memory_order_seq_cst);
}

/* Whether all that this process has recorded was charged again there, or was there. */
static inline bool weir_primary_has_record(const struct weir_primary *p)
{
    enum weir_primary_state state = weir_primary_state(p);
    return state == WEIR_PRIMARY_OPEN || state == WEIR_PRIMARY_BARRIER;
}

/* Whether what it was asked at sent_us, and has granted, may be used: looked at after the grant was
 * recorded, so that whoever goes over meanwhile either finds it recorded or is found here. */
static inline bool weir_primary_grants(const struct weir_primary *p, uint64_t sent_us)
{
    return weir_primary_has_record(p) &&
           sent_us >= atomic_load_explicit(&p->begun_us, memory_order_seq_cst);
}

/* Whether this process is on its way back to it from an outage. */
static inline bool weir_primary_is_back(const struct weir_primary *p, uint64_t now_us)
{
    return atomic_load_explicit(&p->reporting, memory_order_seq_cst) ||
           now_us < atomic_load_explicit(&p->back_until_us, memory_order_seq_cst);
}

struct weir_primaries;

/* `single`: there is one primary at a time, so that a new one replaces all others. */
WEIR_MUSTCHECK enum weir_err weir_primaries_new(bool single, struct weir_primaries **ret_primaries);
/* NULL is allowed. */
void weir_primaries_free(struct weir_primaries *t);

/* The primary of this identity (a text below WEIR_PRIMARY_ID_BYTES), which has a user more until
 * weir_primaries_put. NULL: more primaries than can be remembered have users, or no memory. */
struct weir_primary *weir_primaries_get(struct weir_primaries *t, const char *id, uint64_t now_us);
void weir_primaries_put(struct weir_primaries *t, struct weir_primary *p, uint64_t now_us);
/* True: the caller goes over for this process, and says how that ends. The primary whose replica it
 * was (by its replication id; empty: nobody's) is left: its grants are worth nothing from now on,
 * and whoever has recorded one and then finds it left does not use it. */
bool weir_primary_begin(struct weir_primaries *t, struct weir_primary *p, const char *former_replid,
                        uint64_t now_us);
/* All is charged again. accepted_slot: the store's data under it says that its barrier is over;
 * WEIR_REDIS_SLOTS: it does not. back_until_us: as that of a report. */
void weir_primary_gone_over(struct weir_primaries *t, struct weir_primary *p,
                            unsigned accepted_slot, uint64_t barrier_until_us,
                            uint64_t back_until_us);
/* It did not work: anybody may try again. */
void weir_primary_interrupted(struct weir_primaries *t, struct weir_primary *p);
/* It has lost its data, or is another one by now: from the beginning. */
void weir_primary_again(struct weir_primaries *t, struct weir_primary *p);

/* True: the caller tells it what this process used of its share, and says when it is done. */
bool weir_primary_report_begin(struct weir_primaries *t, struct weir_primary *p);
/* back_until_us: 0 where nothing was told. */
void weir_primary_report_end(struct weir_primaries *t, struct weir_primary *p,
                             uint64_t back_until_us);

enum weir_beat {
    WEIR_BEAT_NONE,   /* none is due, or another worker sends it */
    WEIR_BEAT_SEND,   /* the caller sends one */
    WEIR_BEAT_ACCEPT, /* the same, and its identity is the accepted one from then on, which ends
                         the barrier: the caller says when it is answered */
};

/* Whether the caller is to send a beat, under the least slot that the primary serves. With another
 * slot than the last time, which has moved, what stood under that is not there: it is written. */
enum weir_beat weir_primary_beat_due(struct weir_primaries *t, struct weir_primary *p,
                                     unsigned slot, uint64_t now_us);
/* A beat under this slot was answered: the identity stands there. `accepts`: it was a
 * WEIR_BEAT_ACCEPT, and ends the barrier. */
void weir_primary_beaten(struct weir_primaries *t, struct weir_primary *p, unsigned slot,
                         bool accepts);
/* It was answered that the identity is not there. Where it stood before the data is gone, and all
 * begins again; else the slot has moved, and the next beat writes it. */
void weir_primary_missed(struct weir_primaries *t, struct weir_primary *p, unsigned slot);

#endif
