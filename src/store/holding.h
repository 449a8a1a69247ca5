/* SPDX-License-Identifier: Apache-2.0 */
/* holding.h - what one worker holds of the subjects that requests of one kind share, and what it
 * has to tell the store: the lease, who waits for the next call, what goes back, and the memory of
 * a denial (docs/design/leases.md). Pure but for memory: no I/O, no clock; the simulation runs on
 * it too. One owner. Times are of the node's own clock unless a name says that they are the
 * store's. */
#ifndef WEIR_STORE_HOLDING_H
#define WEIR_STORE_HOLDING_H

#include "limit/window.h"
#include "store/lease/lease.h"
#include "store/store.h"

enum {
    /* moments to which budget goes back with one call; one place is the lease's */
    WEIR_HOLDING_BACK_MAX = 8,
    WEIR_HOLDING_REMEMBER_US = 100000, /* a denial, and never longer than its step */
};

struct weir_primary;

struct weir_holding {
    struct weir_holding *_next;                /* in its bucket */
    struct weir_holding *_due_next, **_due_at; /* in the wheel of those that have something to do */
    struct weir_holding *_turn_next;           /* that call at the end of this turn */
    uint64_t id[2];
    struct weir_subject subject[WEIR_SUBJECTS_MAX]; /* texts of its own */
    const struct weir_subject *named[WEIR_SUBJECTS_MAX];
    uint64_t asked_us; /* when it was asked last */
    uint8_t subjects;
    bool in_flight, in_turn;
    bool has_slot; /* the store's own: `slot` is that of the first subject's key */
    uint16_t slot;
    unsigned meters; /* that a limit counts, a bit for each */
    uint64_t life_us;
    /* the store's server that answered last, and since when this process goes by it; what is held
     * counts there, and nowhere else */
    const struct weir_primary *primary;
    uint64_t begun_us;
    uint32_t primary_hash; /* its own, as reservations name it */
    struct weir_lease lease;
    struct weir_demand demand;
    struct weir_return back[WEIR_HOLDING_BACK_MAX];
    unsigned backs;
    struct weir_amounts debt;                 /* to be charged with the next call */
    struct weir_amounts flying_debt;          /* with the one under way: if that is lost, again */
    struct weir_call *waiting, **waiting_end; /* for the next call, in order of arrival */
    struct weir_call *flying;                 /* for the answer of the one under way */
    unsigned flights;
    uint64_t denied_until_us; /* until then the values say who is denied */
    struct weir_value value[WEIR_SUBJECTS_MAX];
    /* after the last answer: of each limit what is used, of each window when it is empty by the
     * store's clock; one block */
    uint64_t *used, *empty_us;
};

/* The subjects are copied, with their texts; their plans are kept. NULL: no memory. */
struct weir_holding *weir_holding_new(const struct weir_subject *const *subject, unsigned subjects);
/* Whether these, which are its subjects, have other plans by now. Where all limit alike, it has
 * taken them over. */
bool weir_holding_is_outdated(struct weir_holding *h, const struct weir_subject *const *subject);
/* Takes over their plans: what it knows of the old limits is forgotten, what it has to tell the
 * store stays. Its lease is over, and no call is under way. Without memory nothing changes. */
void weir_holding_renew(struct weir_holding *h, const struct weir_subject *const *subject);
/* NULL is allowed. Nobody waits in it. */
void weir_holding_free(struct weir_holding *h);
/* Identifies the subjects together. */
void weir_holding_id(const struct weir_subject *const *subject, unsigned subjects,
                     uint64_t ret_id[static 2]);

enum weir_held {
    WEIR_HELD_ALLOWED, /* from the lease; *d is set */
    WEIR_HELD_DENIED,  /* as the store would; *d is set */
    WEIR_HELD_ASK_STORE,
};

/* Decides without the store, where that is exact. */
enum weir_held weir_holding_ask(struct weir_holding *h, uint64_t now_us, uint64_t store_us,
                                const struct weir_amounts *a, struct weir_decision *d);

/* The call waits for the store, behind those that wait. */
void weir_holding_wait(struct weir_holding *h, struct weir_call *call);
/* Takes those off the front of it that need no store any more, since a call has been answered; each
 * has its decision. */
struct weir_call *weir_holding_serve(struct weir_holding *h, uint64_t now_us, uint64_t store_us);
/* Takes `count` calls off the front of those that wait. */
struct weir_call *weir_holding_unwait(struct weir_holding *h, unsigned count);
/* Budget of a moment goes back with the next call. False: there are too many moments already. */
bool weir_holding_give_back(struct weir_holding *h, uint64_t store_at_us,
                            const struct weir_amounts *less);
/* There are so many: a call is due, before the next one needs a call of its own. */
bool weir_holding_is_full(const struct weir_holding *h);
/* The lease is over: what is left of it goes back with the next call. */
void weir_holding_lapse(struct weir_holding *h);
/* The server that it is from is no store any more: neither used nor given back, the denial
 * forgotten. What is owed stays. */
void weir_holding_drop(struct weir_holding *h);
/* Use beyond a reservation, which the next call charges whether it fits or not. */
void weir_holding_owe(struct weir_holding *h, const struct weir_amounts *more);
/* Whether there is something to tell the store. */
bool weir_holding_has_news(const struct weir_holding *h);
/* The same, and no lease lives: else the call that takes the next one takes it along. */
bool weir_holding_must_tell(const struct weir_holding *h);
/* A call is under way with the first `asks` of those that wait, and with all there is to tell. */
void weir_holding_sent(struct weir_holding *h, unsigned asks);
/* It took `ahead` at the store's at_us, and was sent at sent_us: the life counts from there. */
void weir_holding_grant(struct weir_holding *h, uint64_t at_us, uint64_t sent_us,
                        const struct weir_amounts *ahead);
/* It is over, decided or lost. Returns those that wait for its answer; in_flight stays with the
 * caller, who tells them first. */
struct weir_call *weir_holding_landed(struct weir_holding *h, bool decided);
/* Nothing is lost when it is freed. */
bool weir_holding_is_idle(const struct weir_holding *h, uint64_t now_us);

/* What the last answer said of every limit, less what of it is not used yet: the rest of the lease,
 * and those who were granted with it behind the one that asks. */
void weir_holding_states(const struct weir_holding *h, uint64_t store_us,
                         const struct weir_amounts *unused, struct weir_decision *d);
/* Takes over what an answer says of every limit. */
void weir_holding_learn_states(struct weir_holding *h, const struct weir_decision *d);
/* Keeps a copy of the subjects' packed windows, which stood in the store at store_us: they say who
 * is denied, for a while. False: no memory; nothing is remembered then. */
bool weir_holding_remember(struct weir_holding *h, const struct weir_str *value, uint64_t store_us,
                           uint64_t now_us);
/* Whether what is remembered denies it at store_us, as the store would. *d is set when it does. */
bool weir_holding_denies(struct weir_holding *h, uint64_t store_us, const struct weir_amounts *a,
                         struct weir_decision *d);

#endif
