/* SPDX-License-Identifier: Apache-2.0 */
/* decision.h - two answers to one charge that must be the same. Include after cmocka.h. */
#ifndef WEIR_TESTS_SUPPORT_DECISION_H
#define WEIR_TESTS_SUPPORT_DECISION_H

#include "limit/decision.h"

static inline void same_states(const struct weir_decision *a, const struct weir_decision *b)
{
    assert_int_equal(a->states, b->states);
    for (unsigned i = 0; i < a->states; i++) {
        assert_int_equal(a->state[i].subject, b->state[i].subject);
        assert_int_equal(a->state[i].meter, b->state[i].meter);
        assert_int_equal(a->state[i].window_s, b->state[i].window_s);
        assert_int_equal(a->state[i].capacity, b->state[i].capacity);
        assert_int_equal(a->state[i].used, b->state[i].used);
        assert_int_equal(a->state[i].reset_us, b->state[i].reset_us);
    }
}

static inline void same_decision(const struct weir_decision *a, const struct weir_decision *b)
{
    assert_int_equal(a->allowed, b->allowed);
    assert_int_equal(a->at_us, b->at_us);
    assert_int_equal(a->retry_after_us, b->retry_after_us);
    if (!a->allowed) {
        assert_int_equal(a->denied_subject, b->denied_subject);
        assert_int_equal(a->denied_meter, b->denied_meter);
        assert_int_equal(a->denied_window_s, b->denied_window_s);
    }
    same_states(a, b);
}

#endif
