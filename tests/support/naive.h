/* SPDX-License-Identifier: Apache-2.0 */
/* naive.h - the limiter as one would write it down: it keeps every charge with its time and adds
 * up. The oracle for the packed windows and the stores. */
#ifndef WEIR_TESTS_SUPPORT_NAIVE_H
#define WEIR_TESTS_SUPPORT_NAIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "limit/plan.h"

enum { NAIVE_EVENTS_MAX = 8192 };

struct naive_event {
    uint64_t at_us;   /* by the clock that the log goes by */
    uint64_t real_us; /* by a clock that nobody steps: guarantee 1 speaks of real time */
    uint64_t amount[WEIR_METERS];
    /* bit per window and meter (naive_bit): it has left that log, also if time steps back */
    uint32_t left;
};

struct naive {
    unsigned events;
    struct naive_event event[NAIVE_EVENTS_MAX];
};

_Static_assert(WEIR_PLAN_WINDOWS_MAX *WEIR_METERS <= 32, "a bit for each");

static inline uint32_t naive_bit(unsigned k, unsigned meter)
{
    return UINT32_C(1) << (k * WEIR_METERS + meter);
}

static inline uint32_t naive_bits(unsigned k)
{
    return ((UINT32_C(1) << WEIR_METERS) - 1) << k * WEIR_METERS;
}

/* Charged in the real (now - window, now]: what guarantee 1 speaks of. */
static inline uint64_t naive_in_window(const struct naive *n, unsigned meter, uint64_t real_us,
                                       uint64_t window_us)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < n->events; i++) {
        if (n->event[i].real_us + window_us > real_us) {
            sum += n->event[i].amount[meter];
        }
    }
    return sum;
}

/* Charged after now - span by the log's clock: what guarantee 2 speaks of. */
static inline uint64_t naive_recent(const struct naive *n, unsigned meter, uint64_t now_us,
                                    uint64_t span_us)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < n->events; i++) {
        if (n->event[i].at_us + span_us > now_us) {
            sum += n->event[i].amount[meter];
        }
    }
    return sum;
}

/* Time passes: a charge leaves a window's log when all of its step is older than W. */
static inline void naive_pass(struct naive *n, const struct weir_plan *plan, uint64_t now_us)
{
    for (unsigned i = 0; i < n->events; i++) {
        for (unsigned k = 0; k < plan->windows; k++) {
            const struct weir_window_spec *w = &plan->window[k];
            uint64_t step = n->event[i].at_us / w->step_us;
            if ((step + 1) * w->step_us + w->window_us <= now_us) {
                n->event[i].left |= naive_bits(k);
            }
        }
    }
}

/* What the log of the plan's k-th window holds. */
static inline uint64_t naive_held(const struct naive *n, unsigned k, unsigned meter)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < n->events; i++) {
        if ((n->event[i].left & naive_bit(k, meter)) == 0) {
            sum += n->event[i].amount[meter];
        }
    }
    return sum;
}

/* Forgets what no window of the plan can see any more. */
static inline void naive_prune(struct naive *n, const struct weir_plan *plan, uint64_t now_us)
{
    unsigned kept = 0;
    uint64_t horizon_us = 2 * plan->longest_us;
    for (unsigned i = 0; i < n->events; i++) {
        if (n->event[i].at_us + horizon_us > now_us) {
            n->event[kept++] = n->event[i];
        }
    }
    n->events = kept;
}

static inline struct naive_event *naive_add(struct naive *n, uint64_t at_us, uint64_t real_us,
                                            const struct weir_amounts *a)
{
    struct naive_event *e = &n->event[n->events++];
    e->at_us = at_us;
    e->real_us = real_us;
    e->left = 0;
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        e->amount[m] = a->of[m];
    }
    return e;
}

#endif
