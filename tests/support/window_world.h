/* SPDX-License-Identifier: Apache-2.0 */
/* window_world.h - one packed value beside the naive model, and the guarantees checked at each
 * step, for tests that choose the steps: at random, or from the bytes of a fuzzer. Define
 * WORLD_CHECK(that) before including it. */
#ifndef WEIR_TESTS_SUPPORT_WINDOW_WORLD_H
#define WEIR_TESTS_SUPPORT_WINDOW_WORLD_H

#include "base/mem.h"
#include "limit/window.h"
#include "support/decision.h"
#include "support/naive.h"

struct window_world {
    struct weir_plan plan;
    struct weir_value value;
    struct naive model;
    uint64_t now_us; /* the clock, which may step back */
    uint64_t real_us;
};

static inline void grow(struct weir_value *v, uint32_t room)
{
    v->data = weir_realloc(v->data, room);
    WORLD_CHECK(v->data != NULL);
    v->room = room;
}

static inline void prepare(struct weir_value *v, const struct weir_plan *plan, uint64_t now_us)
{
    for (uint32_t need; (need = weir_value_prepare(v, plan, now_us)) > 0;) {
        grow(v, need);
    }
}

static inline void add(struct weir_value *v, const struct weir_plan *plan, uint64_t now_us,
                       const struct weir_amounts *a)
{
    for (uint32_t need; (need = weir_value_add(v, plan, now_us, a)) > 0;) {
        WORLD_CHECK(need > v->room);
        grow(v, need);
    }
}

static inline struct weir_value copy_of(const struct weir_value *v)
{
    struct weir_value copy = {0};
    grow(&copy, v->len + WEIR_VALUE_SLACK);
    if (v->len > 0) {
        memcpy(copy.data, v->data, v->len);
    }
    copy.len = v->len;
    return copy;
}

/* Whether the same charge would pass later. */
static inline bool fits_at(const struct window_world *s, uint64_t at_us,
                           const struct weir_amounts *a)
{
    struct weir_value copy = copy_of(&s->value);
    struct weir_verdict verdict;
    prepare(&copy, &s->plan, at_us);
    bool fits = weir_value_fits(&copy, &s->plan, at_us, a, &verdict);
    weir_free(copy.data);
    return fits;
}

/* The states against the model: exactly what a step-wise log holds. */
static inline void check_states(const struct window_world *s)
{
    struct weir_decision d;
    weir_decision_begin(&d, s->now_us);
    weir_value_states(&s->value, &s->plan, s->now_us, 0, &d);
    WORLD_CHECK(d.states == s->plan.limits);
    unsigned at = 0;
    for (unsigned k = 0; k < s->plan.windows; k++) {
        const struct weir_window_spec *w = &s->plan.window[k];
        for (unsigned i = 0; i < w->meters; i++, at++) {
            uint64_t held = naive_held(&s->model, k, w->meter[i]);
            WORLD_CHECK(d.state[at].used == held);
            WORLD_CHECK((d.state[at].reset_us == 0) == (held == 0));
        }
    }
}

static inline void check_allowed(const struct window_world *s, const struct weir_amounts *a)
{
    for (unsigned k = 0; k < s->plan.windows; k++) {
        const struct weir_window_spec *w = &s->plan.window[k];
        for (unsigned i = 0; i < w->meters; i++) {
            uint64_t ask = a->of[w->meter[i]];
            uint64_t used = naive_in_window(&s->model, w->meter[i], s->real_us, w->window_us);
            WORLD_CHECK(ask == 0 || used + ask <= w->capacity[i]); /* guarantee 1 */
        }
    }
}

static inline void check_denied(const struct window_world *s, const struct weir_amounts *a,
                                const struct weir_verdict *verdict)
{
    bool late = false, never = false;
    for (unsigned k = 0; k < s->plan.windows; k++) {
        const struct weir_window_spec *w = &s->plan.window[k];
        for (unsigned i = 0; i < w->meters; i++) {
            uint64_t ask = a->of[w->meter[i]];
            uint64_t recent =
                naive_recent(&s->model, w->meter[i], s->now_us, w->window_us + w->step_us);
            late = late || (ask > 0 && recent + ask > w->capacity[i]);
            never = never || ask > w->capacity[i];
        }
    }
    WORLD_CHECK(late); /* guarantee 2: what fits beside the last W + r is admitted */
    WORLD_CHECK(never == (verdict->retry_after_us == WEIR_RETRY_NEVER));
    if (!never) { /* guarantee 4 */
        WORLD_CHECK(verdict->retry_after_us > 0);
        WORLD_CHECK(!fits_at(s, s->now_us + verdict->retry_after_us - 1, a));
        WORLD_CHECK(fits_at(s, s->now_us + verdict->retry_after_us, a));
    }
}

/* The short way decides nothing that the general calls, after which `s` is, would decide otherwise.
 * `before`: the value as it was. */
static inline void check_in_step(const struct window_world *s, struct weir_value *before,
                                 const struct weir_amounts *a, bool fits)
{
    struct weir_decision shortly, general;
    struct weir_value untouched = copy_of(before);
    weir_decision_begin(&shortly, s->now_us);
    weir_decision_begin(&general, s->now_us);
    const struct weir_value *expected = &untouched;
    if (weir_value_take_in_step(before, &s->plan, s->now_us, a, 0, &shortly)) {
        WORLD_CHECK(fits);
        weir_value_states(&s->value, &s->plan, s->now_us, 0, &general);
        WORLD_CHECK(same_states(&shortly, &general));
        expected = &s->value;
    }
    WORLD_CHECK(before->len == expected->len);
    WORLD_CHECK(before->len == 0 || memcmp(before->data, expected->data, before->len) == 0);
    weir_free(untouched.data);
}

/* Charges `a` if it fits. */
static inline bool world_charge(struct window_world *s, struct weir_amounts a)
{
    struct weir_verdict verdict;
    struct weir_value raw = copy_of(&s->value);
    prepare(&s->value, &s->plan, s->now_us);
    bool fits = weir_value_fits(&s->value, &s->plan, s->now_us, &a, &verdict);
    if (fits) {
        check_allowed(s, &a);
        add(&s->value, &s->plan, s->now_us, &a);
        naive_add(&s->model, s->now_us, s->real_us, &a);
    } else {
        struct weir_value before = copy_of(&s->value);
        check_denied(s, &a, &verdict);
        WORLD_CHECK(before.len == s->value.len); /* guarantee 3 */
        WORLD_CHECK(before.len == 0 || memcmp(before.data, s->value.data, before.len) == 0);
        weir_free(before.data);
    }
    check_in_step(s, &raw, &a, fits);
    weir_free(raw.data);
    return fits;
}

/* Takes `less` out of what event e holds. */
static inline void world_lower(struct window_world *s, struct naive_event *e,
                               const struct weir_amounts *less)
{
    prepare(&s->value, &s->plan, s->now_us);
    weir_value_lower(&s->value, &s->plan, e->at_us, less);
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        e->amount[m] -= less->of[m];
    }
}

/* Charges whether it fits or not. */
static inline void world_debt(struct window_world *s, const struct weir_amounts *a)
{
    prepare(&s->value, &s->plan, s->now_us);
    add(&s->value, &s->plan, s->now_us, a);
    naive_add(&s->model, s->now_us, s->real_us, a);
}

/* The clock reads now_us. A value goes by its latest step until a clock that stepped back has
 * caught up. */
static inline void world_time(struct window_world *s, uint64_t now_us)
{
    s->real_us += now_us > s->now_us ? now_us - s->now_us : 0;
    s->now_us = weir_value_now_us(&s->value, &s->plan, now_us);
    naive_pass(&s->model, &s->plan, s->now_us);
}

/* An edge of time: of the n-th step from now on (n > 0), or for n = 0 the next moment at which an
 * entry may leave. */
static inline uint64_t world_edge_us(const struct window_world *s, const struct weir_window_spec *w,
                                     uint64_t n)
{
    uint64_t step = s->now_us / w->step_us;
    if (n > 0) {
        return (step + n) * w->step_us;
    }
    uint64_t leaves_us = (step - WEIR_WINDOW_STEPS) * w->step_us + w->window_us;
    while (leaves_us <= s->now_us) {
        leaves_us += w->step_us;
    }
    return leaves_us;
}

static inline void world_check(struct window_world *s)
{
    WORLD_CHECK(s->value.len == 0 || weir_value_valid(s->value.data, s->value.len));
    prepare(&s->value, &s->plan, s->now_us);
    check_states(s);
}

#endif
