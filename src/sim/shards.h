/* SPDX-License-Identifier: Apache-2.0 */
/* shards.h - the store of a simulation: the packed windows of the keys that were used, and the
 * rules of src/store/redis/charge.lua for one subject, on the same windows. Beside each key's
 * window stand two ledgers: what the nodes admitted, and what they would have if every node knew of
 * every request at once. Time is an argument, one clock for all. One owner. */
#ifndef WEIR_SIM_SHARDS_H
#define WEIR_SIM_SHARDS_H

#include "limit/window.h"
#include "sim/index.h"
#include "sim/ledger.h"
#include "sim/options.h"
#include "store/holding.h"

/* A key that was used. It stands still until the next one is added. */
struct weir_sim_key {
    struct weir_value value;
    struct weir_sim_ledger admitted, ideal;
    uint64_t used_us;             /* when it was asked for last */
    uint64_t took[WEIR_METERS];   /* what was admitted in all, as it stands in the end */
    uint64_t could[WEIR_METERS];  /* and in the ideal ledger */
    bool over, saturated;         /* more than a limit stood in a window; the ideal one denied */
    struct weir_sim_span _span[]; /* of admitted, then of ideal: one for each window */
};

struct weir_sim_limit_result {
    uint64_t worst;       /* the most that ever stood in a window of one key */
    uint64_t took, could; /* of the saturated keys */
};

struct weir_sim_shards {
    const struct weir_sim_options *options;
    struct weir_sim_index index;
    uint64_t *calls; /* of each shard */
    /* Of the keys that were let go so far; of all after weir_sim_shards_end. */
    struct weir_sim_limit_result limit[WEIR_PLAN_LIMITS_MAX];
    uint64_t keys, saturated, over;
    uint64_t held[WEIR_METERS], stands[WEIR_METERS]; /* in the end: in windows, in ledgers */

    unsigned char *_key;
    size_t _key_bytes;
    uint32_t _room, _hand;
};

WEIR_MUSTCHECK enum weir_err weir_sim_shards_init(struct weir_sim_shards *s,
                                                  const struct weir_sim_options *options);
void weir_sim_shards_deinit(struct weir_sim_shards *s);
/* NULL: it was never used, or so long ago that nothing stands of it. */
struct weir_sim_key *weir_sim_shards_find(struct weir_sim_shards *s, uint32_t key);
/* NULL: no memory. */
struct weir_sim_key *weir_sim_shards_get(struct weir_sim_shards *s, uint32_t key, uint64_t now_us);
/* Counts a call. */
void weir_sim_shards_called(struct weir_sim_shards *s, uint32_t key);
/* Takes the figures of all keys together. */
void weir_sim_shards_end(struct weir_sim_shards *s, uint64_t now_us);

/* ---- the script ---- */

/* One call: what comes back is taken out, what is owed is added, then the requests are granted in
 * their order, and some of `want` when all of them were. */
struct weir_sim_call {
    const struct weir_return *back;
    unsigned backs;
    struct weir_amounts debt, want;
    const struct weir_call *ask; /* a list; NULL: none */
    /* out */
    uint64_t at_us;
    uint64_t granted; /* a bit for each request */
    bool all;
    struct weir_amounts ahead;
};

/* False: no memory. */
bool weir_sim_charge(struct weir_sim_key *key, const struct weir_plan *plan, uint64_t now_us,
                     struct weir_sim_call *call);

/* ---- the ledgers ---- */

/* A request that was admitted now, of which `stays` stands in the end. False: no memory. */
bool weir_sim_admit(struct weir_sim_shards *s, struct weir_sim_key *key, uint64_t now_us,
                    const struct weir_amounts *a, const struct weir_amounts *stays,
                    uint32_t *ret_number);
/* One that came now, as a store without distance would decide. False: no memory. */
bool weir_sim_admit_ideal(struct weir_sim_shards *s, struct weir_sim_key *key, uint64_t now_us,
                          const struct weir_amounts *a, const struct weir_amounts *stays,
                          bool *ret_allowed, uint32_t *ret_number);
/* Takes output tokens out of what was admitted under the number. */
void weir_sim_lower(struct weir_sim_shards *s, struct weir_sim_key *key, bool ideal,
                    uint32_t number, uint32_t output_less);

#endif
