/* SPDX-License-Identifier: Apache-2.0 */
/* lease.h - budget that a worker took from the store ahead of need, and how much it is going to
 * need (docs/design/leases.md). Pure: no I/O; times are arguments, in microseconds of the node's
 * own clock unless a name says that they are the store's. One owner. */
#ifndef WEIR_STORE_LEASE_LEASE_H
#define WEIR_STORE_LEASE_LEASE_H

#include <stdbool.h>

#include "limit/plan.h"

/* Granted at one moment of the store, whose entry it stands in. Zeroed: nothing. */
struct weir_lease {
    uint64_t at_us;    /* the store's moment */
    uint64_t until_us; /* from then on nothing of it is used */
    struct weir_amounts left;
};

/* Budget that goes back to the entry of a moment. */
struct weir_return {
    uint64_t at_us; /* the store's moment of its grant */
    struct weir_amounts less;
};

/* Which meters any of the subjects' plans limits: a bit for each. */
unsigned weir_meters_limited(const struct weir_plan *plan);

/* Takes `a` from the lease if it covers all of it; a meter outside `meters` needs no cover. now_us
 * is read right before, so that a process that was stopped spends no dead lease. */
bool weir_lease_use(struct weir_lease *lease, unsigned meters, uint64_t now_us,
                    const struct weir_amounts *a);
static inline bool weir_lease_is_empty(const struct weir_lease *lease)
{
    return weir_amounts_none(&lease->left);
}

enum { WEIR_DEMAND_ONE = 4096 };

/* How fast a worker uses the subjects: a moving average over some lives of a lease. */
struct weir_demand {
    uint64_t noted_us;
    struct weir_amounts used;       /* since then */
    uint64_t per_life[WEIR_METERS]; /* what one life uses, in 1 / WEIR_DEMAND_ONE */
};

void weir_demand_add(struct weir_demand *d, const struct weir_amounts *a);
/* What to take ahead at now_us: half more than one life is going to use, of the limited meters;
 * none when that is less than one more request. */
struct weir_amounts weir_demand_want(struct weir_demand *d, unsigned meters, uint64_t now_us,
                                     uint64_t life_us);

#endif
