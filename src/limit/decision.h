/* SPDX-License-Identifier: Apache-2.0 */
/* decision.h - the answer to one charge: allowed or not, which limit of which subject denied it,
 * when the same charge would pass, and what remains of every limit. Pure values. */
#ifndef WEIR_LIMIT_DECISION_H
#define WEIR_LIMIT_DECISION_H

#include <stdbool.h>
#include <stdint.h>

#include "limit/meter.h"
#include "limit/plan.h"

enum {
    WEIR_SUBJECTS_MAX = 4, /* subjects of one decision */
    WEIR_DECISION_LIMITS_MAX = WEIR_SUBJECTS_MAX * WEIR_PLAN_LIMITS_MAX,
};

#define WEIR_RETRY_NEVER UINT64_MAX

/* One limit after the decision (allowed: with the charge in; denied: unchanged). */
struct weir_limit_state {
    uint8_t subject; /* index into the charge's subjects */
    uint8_t meter;   /* enum weir_meter */
    bool shadow;     /* it denies nothing */
    uint32_t window_s;
    uint64_t capacity;
    uint64_t used; /* may pass capacity: debt, or a limit in shadow */
    uint64_t
        reset_us; /* until this limit's window is empty if nothing more is charged; 0: unused */
};

struct weir_decision {
    bool allowed;
    uint8_t denied_subject; /* the next three only when denied */
    uint8_t denied_meter;   /* enum weir_meter */
    uint8_t states;         /* how many of state[] are set */
    uint32_t denied_window_s;
    uint64_t retry_after_us; /* WEIR_RETRY_NEVER: larger than a capacity; 0 when allowed */
    uint64_t at_us;          /* the store's time of the charge; names its entry when settling */
    /* Subjects in order, windows ascending, meters ascending. */
    struct weir_limit_state state[WEIR_DECISION_LIMITS_MAX];
};

static inline uint64_t weir_limit_remaining(const struct weir_limit_state *s)
{
    return s->used >= s->capacity ? 0 : s->capacity - s->used;
}

/* Appends the state of a window's limit i: `used` of it, and nothing is left in the window after
 * empty_in_us. */
static inline void weir_decision_add(struct weir_decision *d, unsigned subject,
                                     const struct weir_window_spec *w, unsigned i, uint64_t used,
                                     uint64_t empty_in_us)
{
    d->state[d->states++] = (struct weir_limit_state){
        .subject = (uint8_t)subject,
        .meter = w->meter[i],
        .shadow = (w->shadow >> i & 1) != 0,
        .window_s = w->window_s,
        .capacity = w->stated[i],
        .used = used,
        .reset_us = used == 0 ? 0 : empty_in_us,
    };
}

/* retry_after_us as whole milliseconds, rounded up; not for WEIR_RETRY_NEVER. */
static inline uint64_t weir_retry_ms(uint64_t retry_after_us)
{
    return retry_after_us / 1000 + (retry_after_us % 1000 != 0);
}

#endif
