/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the world that a simulation plays. */
#ifndef WEIR_SIM_OPTIONS_H
#define WEIR_SIM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "limit/plan.h"

enum {
    WEIR_SIM_NODES_MAX = 1000000,
    WEIR_SIM_SHARDS_MAX = 4096,
    WEIR_SIM_DURATION_MAX_S = 3600, /* microseconds of it fit 32 bits */
    WEIR_SIM_RATE_MAX = 100000000,
    WEIR_SIM_TOKENS_MAX = 100000000,
    WEIR_SIM_RTT_MAX_US = 10000000,
    WEIR_SIM_HOLD_MAX_US = 600000000,
    WEIR_SIM_BURST_MAX_US = 600000000,
    WEIR_SIM_ZIPF_MAX = 10,
    WEIR_SIM_STORE_US_MAX = 1000000,
};

#define WEIR_SIM_KEYS_MAX UINT64_C(4000000000)

/* Both ends are included; drawn evenly. */
struct weir_sim_range {
    uint64_t low, high;
};

struct weir_sim_options {
    uint32_t nodes;    /* of one worker each */
    uint64_t keys;     /* all on one plan */
    double zipf;       /* their popularity: the k-th in proportion to k^-zipf */
    double rate;       /* requests per second of all nodes together, at random moments */
    double duration_s; /* in which requests come; what is under way then still ends */
    /* They come for burst_us and pause for pause_us, and again; 0: without a pause. */
    uint64_t burst_us, pause_us;
    struct weir_plan plan;
    struct weir_sim_range input, output; /* tokens that a request takes; output is a reservation */
    bool settles;
    struct weir_sim_range used;    /* output tokens that a reservation is settled to */
    struct weir_sim_range hold_us; /* how long after the decision */
    bool settle_anywhere;          /* by a node drawn at random; false: by the one that reserved */
    bool by_key; /* a key's requests go to one node; false: to nodes drawn at random */
    bool exact;  /* a call for each request; false: leases */
    struct weir_sim_range rtt_us; /* to the store and back */
    uint32_t shards;
    double store_us_per_call; /* CPU of the store, for the estimate */
    uint64_t seed;

    /* Tests. Leases are used for so much longer than they live. */
    uint64_t overstay_us;
    /* Each decision in its order; NULL: nobody looks. */
    void (*on_decision)(void *ctx, uint64_t arrived_us, uint32_t key, const struct weir_amounts *a,
                        bool allowed);
    void *ctx;
};

#endif
