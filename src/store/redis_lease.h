/* SPDX-License-Identifier: Apache-2.0 */
/* redis_lease.h - leases, as the two parts of mode: lease share them. Private to store.
 *   redis_lease.c    what is asked, told and given back
 *   redis_granted.c  what is answered */
#ifndef WEIR_STORE_REDIS_LEASE_H
#define WEIR_STORE_REDIS_LEASE_H

#include "store/redis_internal.h"

/* The clock of its first subject's shard. Use it before the next call of the loop. */
static inline struct weir_clock_rule *redis_lease_clock(struct redis_store *self,
                                                        const struct weir_holding *h)
{
    return weir_redis_shards_clock(self->shards, h->slot);
}

/* What it holds counts at this primary. */
static inline void redis_lease_hold_of(struct weir_holding *h, const struct weir_primary *p,
                                       uint64_t begun_us)
{
    h->primary = p;
    h->primary_hash = p->hash;
    h->begun_us = begun_us;
}

/* What is from a primary that was left, or has lost its data, is worth nothing any more (rule 12).
 */
void redis_lease_drop_if_left(struct redis_store *self, struct weir_holding *h);
/* What became of budget of leases; `meters`: a bit for each that is leased. */
void redis_lease_count(struct redis_store *self, enum weir_leased_fate fate, unsigned meters,
                       const struct weir_amounts *a);
/* Each may ask again, or close the store: then nobody else is called. False: it was closed. */
bool redis_lease_finish(struct redis_store *self, struct weir_call *first);
/* By on_store_failure; as redis_lease_finish. */
bool redis_lease_decide_all_without_store(struct redis_store *self, struct weir_call *first);
/* It calls at the end of the turn, unless a call is under way. */
void redis_lease_call_this_turn(struct redis_store *self, struct weir_holding *h);
/* Whatever it holds or has to tell has a moment at which it is looked at, unless a call is under
 * way or about to be: that ends here. */
void redis_lease_watch(struct redis_store *self, struct weir_holding *h, uint64_t now_us);

/* ---- redis_granted.c ---- */

/* One that needs no call: the lease covers it, or what a call had answered denies it. */
void redis_lease_decide_held(struct redis_store *self, const struct weir_holding *h,
                             struct weir_call *call);

#endif
