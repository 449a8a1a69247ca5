/* SPDX-License-Identifier: Apache-2.0 */
/* decision.h - two answers to one charge that must be the same. */
#ifndef WEIR_TESTS_SUPPORT_DECISION_H
#define WEIR_TESTS_SUPPORT_DECISION_H

#include "limit/decision.h"

static inline bool same_state(const struct weir_limit_state *a, const struct weir_limit_state *b)
{
    return a->subject == b->subject && a->meter == b->meter && a->shadow == b->shadow &&
           a->window_s == b->window_s && a->capacity == b->capacity && a->used == b->used &&
           a->reset_us == b->reset_us;
}

static inline bool same_states(const struct weir_decision *a, const struct weir_decision *b)
{
    bool same = a->states == b->states;
    for (unsigned i = 0; same && i < a->states; i++) {
        same = same_state(&a->state[i], &b->state[i]);
    }
    return same;
}

static inline bool same_decision(const struct weir_decision *a, const struct weir_decision *b)
{
    bool same_denial = a->allowed || (a->denied_subject == b->denied_subject &&
                                      a->denied_meter == b->denied_meter &&
                                      a->denied_window_s == b->denied_window_s);
    return a->allowed == b->allowed && a->at_us == b->at_us &&
           a->retry_after_us == b->retry_after_us && same_denial && same_states(a, b);
}

#endif
