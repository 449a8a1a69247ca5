/* SPDX-License-Identifier: Apache-2.0 */
/* replay.h - a workload trace played in virtual time on the embedded store, with the code that
 * decides and reserves in `weir serve`, once by each rule of `reserve` and once by an oracle that
 * knows each output beforehand. Nobody tries again after a denial. One owner; deterministic by
 * options, but for which of more histories than there are places goes first. */
#ifndef WEIR_SIM_REPLAY_H
#define WEIR_SIM_REPLAY_H

#include "base/trace.h"
#include "limit/plan.h"

enum {
    WEIR_REPLAY_ORACLE = WEIR_RESERVES, /* behind the rules of enum weir_reserve */
    WEIR_REPLAY_RULES,
    WEIR_REPLAY_KEYS_MAX = 1000000,
    WEIR_REPLAY_SEEDS_MAX = 1000,
    WEIR_REPLAY_RATE_MAX = 1000000,
    WEIR_REPLAY_FIRST_MAX_MS = 600000,
};

struct weir_replay_options {
    const struct weir_trace *trace;
    uint64_t keys; /* tenants: each row's is drawn by Zipf's law */
    double zipf;
    /* The limits of each of them; `reserve` itself is set by the replay, its numbers are taken. */
    struct weir_plan plan;
    /* What each client says its output is at most; where a row's output is longer, that. */
    uint64_t output_max;
    /* When an answer is complete after its admission: the first token, then so many a second. */
    uint64_t first_token_us, tokens_per_s;
    uint64_t seed;
    uint32_t seeds; /* runs, of seeds from `seed` on; results are sums over them */
};

/* Of one rule. A window is one of a tenant's that ends at a charge; half-open. */
struct weir_replay_result {
    uint64_t admitted, denied;
    uint64_t input_tokens, output_tokens; /* of what was admitted */
    uint64_t reserved_tokens;             /* for output */
    uint64_t beyond, beyond_tokens;    /* answers longer than their reservation, and by how much */
    uint64_t windows, windows_in_debt; /* more stands in it than a limit allows */
    double worst;                      /* window, in parts of its capacity */
};

/* WEIR_ERR_NOMEM. */
WEIR_MUSTCHECK enum weir_err
weir_replay_run(const struct weir_replay_options *options,
                struct weir_replay_result ret_result[static WEIR_REPLAY_RULES]);

#endif
