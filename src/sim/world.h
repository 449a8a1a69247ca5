/* SPDX-License-Identifier: Apache-2.0 */
/* world.h - nodes, a store and their clients in virtual time. One thread, no clock, no I/O; the
 * same options give the same result. */
#ifndef WEIR_SIM_WORLD_H
#define WEIR_SIM_WORLD_H

#include "base/hist.h"
#include "sim/options.h"
#include "sim/shards.h"

struct weir_sim_result {
    uint64_t requests, allowed, denied;
    uint64_t lease_hits;         /* allowed without a call */
    uint64_t remembered_denials; /* denied without a call */
    uint64_t returns;            /* leases of which a rest went back */
    uint64_t lease_calls;        /* of charge.lua for leases; or for one request, in exact mode */
    uint64_t settle_calls;       /* of their own */
    uint64_t settlements;
    uint64_t debt_tokens;
    uint64_t unexplained;      /* denials that the values behind them do not explain: 0 */
    uint64_t shard_calls_most; /* of the shard that had the most */
    struct weir_hist latency;
    struct weir_sim_limit_result limit[WEIR_PLAN_LIMITS_MAX]; /* in the plan's order */
    uint64_t keys, saturated, over; /* that were used; asked for more than they may; had more */
    uint64_t held[WEIR_METERS];     /* what stands in the store in the end */
    uint64_t stands[WEIR_METERS];   /* and what of it was admitted: the rest was stranded, as long
                                     * as no window is over */
};

static inline uint64_t weir_sim_calls(const struct weir_sim_result *r)
{
    return r->lease_calls + r->settle_calls;
}

/* WEIR_ERR_NOMEM. The plan is compiled for leases unless the mode is exact. */
WEIR_MUSTCHECK enum weir_err weir_sim_run(const struct weir_sim_options *options,
                                          struct weir_sim_result *ret_result);

#endif
