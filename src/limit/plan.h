/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h - a named set of limits, compiled for the decision path: the limits of one window length
 * stand together as one window, shortest first. Immutable once built; any thread may read. */
#ifndef WEIR_LIMIT_PLAN_H
#define WEIR_LIMIT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limit/meter.h"

/* What a shadow limit enforces: above every sum and what is asked beside it, and whole in Lua's
 * doubles and in the seven bytes that Redis is told it in. */
#define WEIR_SHADOW_CAPACITY (UINT64_C(1) << 55)

enum {
    WEIR_PLAN_WINDOWS_MAX = 8, /* window lengths of one plan */
    WEIR_PLAN_LIMITS_MAX = 16, /* limits of one plan */
    WEIR_WINDOW_S_MIN = 1,
    WEIR_WINDOW_S_MAX = 30 * 24 * 3600,
    WEIR_WINDOW_STEPS = 128, /* r = W / 128, rounded up to whole microseconds */
    WEIR_LEASES_IN_WINDOW = 256,
    WEIR_LEASE_US_MAX = 400000,
};

struct weir_limit {
    enum weir_meter meter;
    uint32_t window_s;
    uint64_t capacity; /* 0 admits nothing of this meter */
};

enum { WEIR_WIDTH_CLASSES = 3 };

/* Where the fields of a packed block (limit/window.h) stand in one width class. Offsets in bytes:
 * sum and current from the block's start, amount from an entry's. */
struct weir_layout {
    uint64_t sum_max[WEIR_METERS]; /* the largest that the bytes hold */
    uint64_t amount_max[WEIR_METERS];
    uint8_t sum[WEIR_METERS];
    uint8_t current[WEIR_METERS];
    uint8_t amount[WEIR_METERS];
    uint8_t sum_bytes[WEIR_METERS];
    uint8_t amount_bytes[WEIR_METERS];
    uint8_t ring; /* where the ring begins: the length of a block without one */
    uint8_t entry_bytes;
};

/* The limits that share a window length. */
struct weir_window_spec {
    uint64_t window_us;
    uint64_t step_us; /* r */
    uint64_t keep_us; /* an entry of step s leaves at (s + 1) r + keep_us */
    struct weir_layout layout[WEIR_WIDTH_CLASSES];
    uint32_t window_s;
    uint32_t tag;                   /* the block's first four bytes in width class 0 */
    uint8_t mask;                   /* bit per meter */
    uint8_t meters;                 /* how many; the next three are indexed below it */
    uint8_t shadow;                 /* bit per index: a limit that denies nothing */
    uint8_t meter[WEIR_METERS];     /* ascending */
    uint64_t capacity[WEIR_METERS]; /* what meter[i] is held to; WEIR_SHADOW_CAPACITY in shadow */
    uint64_t stated[WEIR_METERS];   /* what the limit says: capacity, but for one in shadow */
};

/* What is reserved for an output whose length is not known yet (limit/forecast.h). */
enum weir_reserve { WEIR_RESERVE_MAX, WEIR_RESERVE_FORECAST, WEIR_RESERVE_FIXED };

enum { WEIR_RESERVES = 3 };

struct weir_plan {
    uint8_t windows;
    uint8_t limits;                                        /* over all windows */
    struct weir_window_spec window[WEIR_PLAN_WINDOWS_MAX]; /* ascending by window_s */
    uint64_t longest_us;            /* the longest window; 0 without limits */
    uint64_t life_us;               /* of a lease; 0: none are taken */
    uint64_t least[WEIR_METERS];    /* that a meter is held to; UINT64_MAX: to nothing */
    uint64_t default_output_tokens; /* reserved when a request names no maximum */
    bool cut_on_overrun;            /* a stream that outgrows what it may take ends */
    enum weir_reserve reserve;      /* how much of the maximum is reserved */
    uint32_t forecast_permille;     /* the quantile of WEIR_RESERVE_FORECAST */
    uint64_t reserve_fixed;         /* tokens of WEIR_RESERVE_FIXED */
    uint32_t cached_permille;       /* what a token counts that came from the upstream's cache */
    bool shadow;                    /* all its limits are in shadow */
    bool charge_failed;             /* whether a request counts whose upstream failed */
    char name[64];
    const struct weir_plan *share; /* this node's fair share of it; NULL: of no set */
    struct weir_plan_set *set;     /* with which it lives (limit/plan_set.h); NULL: none */
};

/* Compiles limits. WEIR_ERR_INVALID: a window length outside 1 s..30 days, a capacity above
 * WEIR_AMOUNT_MAX, or two limits of one meter and window; WEIR_ERR_LIMIT: more limits or lengths
 * than the maxima above. *ret_plan is untouched on failure; the name and what is reserved and
 * charged are left zero for the caller to set. */
WEIR_MUSTCHECK enum weir_err weir_plan_compile(const struct weir_limit *limits, size_t count,
                                               struct weir_plan *ret_plan);

/* The plan's limit of this meter and length is one in shadow from here on: it is charged, told and
 * counted as the others are, and denies nothing. */
void weir_plan_shadow(struct weir_plan *plan, const struct weir_limit *limit);

/* Lets budget of the plan be leased, for W / 256 of its shortest window and at most 400 ms: entries
 * are kept for so much longer. All who share the windows do so, or none. */
void weir_plan_lease(struct weir_plan *plan);

/* Whether both limit alike, window by window. */
bool weir_plan_limits_alike(const struct weir_plan *a, const struct weir_plan *b);

/* The plan with each capacity divided by `nodes` (rounded down): the fair share of `local` mode. */
void weir_plan_share(const struct weir_plan *plan, uint32_t nodes, struct weir_plan *ret_share);

#endif
