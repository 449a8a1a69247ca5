/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/plan.h"

#include "limit/block.h"

_Static_assert(WEIR_SHADOW_CAPACITY > WEIR_SUM_MAX + WEIR_AMOUNT_MAX, "every charge fits");

static bool valid(const struct weir_limit *limit)
{
    return limit->meter < WEIR_METERS && limit->window_s >= WEIR_WINDOW_S_MIN &&
           limit->window_s <= WEIR_WINDOW_S_MAX && limit->capacity <= WEIR_AMOUNT_MAX;
}

/* The window of this length, in its place in the ascending order; NULL when there are too many. */
static struct weir_window_spec *window_of(struct weir_plan *plan, uint32_t window_s)
{
    unsigned at = 0;
    while (at < plan->windows && plan->window[at].window_s < window_s) {
        at++;
    }
    if (at < plan->windows && plan->window[at].window_s == window_s) {
        return &plan->window[at];
    }
    if (plan->windows == WEIR_PLAN_WINDOWS_MAX) {
        return NULL;
    }
    for (unsigned i = plan->windows; i > at; i--) {
        plan->window[i] = plan->window[i - 1];
    }
    plan->windows++;
    uint64_t window_us = (uint64_t)window_s * 1000000;
    plan->window[at] = (struct weir_window_spec){
        .window_us = window_us,
        .step_us = (window_us + WEIR_WINDOW_STEPS - 1) / WEIR_WINDOW_STEPS,
        .keep_us = window_us,
        .window_s = window_s,
    };
    return &plan->window[at];
}

/* False when the window has a limit of this meter already. */
static bool window_add(struct weir_window_spec *w, enum weir_meter meter, uint64_t capacity)
{
    if ((w->mask >> meter & 1) != 0) {
        return false;
    }
    unsigned at = w->meters++;
    for (; at > 0 && w->meter[at - 1] > meter; at--) {
        w->meter[at] = w->meter[at - 1];
        w->capacity[at] = w->stated[at] = w->capacity[at - 1];
    }
    w->meter[at] = (uint8_t)meter;
    w->capacity[at] = w->stated[at] = capacity;
    w->mask = (uint8_t)(w->mask | 1U << meter);
    return true;
}

static void set_least(struct weir_plan *plan)
{
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        plan->least[m] = UINT64_MAX;
    }
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        for (unsigned i = 0; i < w->meters; i++) {
            uint64_t *least = &plan->least[w->meter[i]];
            bool held = (w->shadow >> i & 1) == 0;
            *least = held && w->capacity[i] < *least ? w->capacity[i] : *least;
        }
    }
}

enum weir_err weir_plan_compile(const struct weir_limit *limits, size_t count,
                                struct weir_plan *ret_plan)
{
    struct weir_plan plan = {0};
    if (count > WEIR_PLAN_LIMITS_MAX) {
        return WEIR_ERR_LIMIT;
    }
    for (size_t i = 0; i < count; i++) {
        if (!valid(&limits[i])) {
            return WEIR_ERR_INVALID;
        }
        struct weir_window_spec *w = window_of(&plan, limits[i].window_s);
        if (w == NULL) {
            return WEIR_ERR_LIMIT;
        }
        if (!window_add(w, limits[i].meter, limits[i].capacity)) {
            return WEIR_ERR_INVALID;
        }
    }
    for (unsigned i = 0; i < plan.windows; i++) {
        struct weir_window_spec *w = &plan.window[i];
        uint8_t meter[WEIR_METERS];
        unsigned meters;
        w->tag = (uint32_t)w->mask << 2 | w->window_s << 8;
        for (unsigned c = 0; c < WEIR_WIDTH_CLASSES; c++) {
            weir_layout_of_mask(w->mask, c, &w->layout[c], meter, &meters);
        }
    }
    set_least(&plan);
    plan.limits = (uint8_t)count;
    if (plan.windows > 0) {
        plan.longest_us = plan.window[plan.windows - 1].window_us;
    }
    *ret_plan = plan;
    return WEIR_OK;
}

void weir_plan_shadow(struct weir_plan *plan, const struct weir_limit *limit)
{
    for (unsigned k = 0; k < plan->windows; k++) {
        struct weir_window_spec *w = &plan->window[k];
        for (unsigned i = 0; i < w->meters; i++) {
            if (w->window_s == limit->window_s && w->meter[i] == limit->meter) {
                w->shadow = (uint8_t)(w->shadow | 1U << i);
                w->capacity[i] = WEIR_SHADOW_CAPACITY;
            }
        }
    }
    set_least(plan);
}

void weir_plan_lease(struct weir_plan *plan)
{
    if (plan->windows == 0) {
        return;
    }
    uint64_t life_us = plan->window[0].window_us / WEIR_LEASES_IN_WINDOW;
    plan->life_us = life_us < WEIR_LEASE_US_MAX ? life_us : WEIR_LEASE_US_MAX;
    for (unsigned i = 0; i < plan->windows; i++) {
        plan->window[i].keep_us = plan->window[i].window_us + plan->life_us;
    }
}

bool weir_plan_limits_alike(const struct weir_plan *a, const struct weir_plan *b)
{
    bool alike = a->windows == b->windows && a->limits == b->limits && a->life_us == b->life_us;
    for (unsigned i = 0; alike && i < a->windows; i++) {
        const struct weir_window_spec *x = &a->window[i], *y = &b->window[i];
        alike = x->window_s == y->window_s && x->mask == y->mask && x->shadow == y->shadow;
        for (unsigned m = 0; alike && m < x->meters; m++) {
            alike = x->stated[m] == y->stated[m];
        }
    }
    return alike;
}

void weir_plan_share(const struct weir_plan *plan, uint32_t nodes, struct weir_plan *ret_share)
{
    WEIR_ASSERT(nodes > 0);
    *ret_share = *plan;
    for (unsigned i = 0; i < plan->windows; i++) {
        struct weir_window_spec *w = &ret_share->window[i];
        for (unsigned m = 0; m < w->meters; m++) {
            w->stated[m] /= nodes;
            w->capacity[m] = (w->shadow >> m & 1) != 0 ? WEIR_SHADOW_CAPACITY : w->stated[m];
        }
    }
    set_least(ret_share);
}
