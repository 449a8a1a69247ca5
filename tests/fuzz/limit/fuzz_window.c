/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes drive one packed value and the naive model beside it: charges, settlements up and down,
 * time forward and back, changes of the plan. Guarantees 1 to 4 are checked at each step. Seeds:
 * fuzz_window/. */
#include <stdlib.h>

#define WORLD_CHECK(that)                                                                          \
    do {                                                                                           \
        if (!(that)) {                                                                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)
#include "support/window_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 400 };

struct bytes {
    const uint8_t *p, *end;
};

static uint64_t next(struct bytes *b)
{
    return b->p < b->end ? *b->p++ : 0;
}

/* 0 to 255, times a power of 16 up to 2^48: small and huge numbers from two bytes. */
static uint64_t number(struct bytes *b)
{
    uint64_t digits = next(b);
    return digits << 4 * (next(b) % 11);
}

static uint64_t at_most(uint64_t n, uint64_t most)
{
    return n < most ? n : most;
}

/* Up to four windows of lengths that later plans share, each of some meters. */
static void read_plan(struct bytes *b, struct weir_plan *ret_plan)
{
    static const uint32_t lengths[] = {1, 2, 7, 60, 61, 3600, 86400, 30 * 86400};
    struct weir_limit limit[WEIR_PLAN_LIMITS_MAX];
    size_t count = 0;
    unsigned picked = (unsigned)next(b);
    for (unsigned k = 0; k < 8 && count <= WEIR_PLAN_LIMITS_MAX - WEIR_METERS; k++) {
        unsigned meters = (picked >> k & 1) == 0 ? 0 : (unsigned)next(b) % 16;
        for (unsigned m = 0; m < WEIR_METERS; m++) {
            if ((meters >> m & 1) != 0) {
                limit[count++] = (struct weir_limit){m, lengths[k], number(b)};
            }
        }
    }
    WORLD_CHECK(weir_plan_compile(limit, count, ret_plan) == WEIR_OK);
}

static struct weir_amounts read_amounts(struct bytes *b)
{
    uint64_t requests = next(b) % 4, input = number(b), output = number(b);
    return weir_amounts(requests, at_most(input, WEIR_AMOUNT_MAX / 2),
                        at_most(output, WEIR_AMOUNT_MAX / 2));
}

static const struct weir_window_spec *window_like(const struct weir_plan *plan, uint32_t window_s)
{
    for (unsigned k = 0; k < plan->windows; k++) {
        if (plan->window[k].window_s == window_s) {
            return &plan->window[k];
        }
    }
    return NULL;
}

/* The model's log under the new plan (window.h, the last rule): of the k-th window, from what the
 * `old` one has held. */
static void adopt_window(struct naive *model, const struct naive *was, const struct weir_plan *old,
                         const struct weir_plan *plan, unsigned k, uint64_t now_us)
{
    const struct weir_window_spec *w = &plan->window[k], *kept = window_like(old, w->window_s);
    for (unsigned i = 0; i < was->events; i++) {
        model->event[i].left |= kept == NULL ? naive_bits(k) : 0;
        for (unsigned m = 0; kept != NULL && m < WEIR_METERS; m++) {
            bool gone = (was->event[i].left & naive_bit((unsigned)(kept - old->window), m)) != 0;
            model->event[i].left |= gone || (kept->mask >> m & 1) == 0 ? naive_bit(k, m) : 0;
        }
    }
    struct weir_amounts largest = {{0}};
    for (unsigned o = 0; kept == NULL && o < old->windows; o++) {
        for (unsigned m = 0; m < WEIR_METERS; m++) {
            uint64_t held = (old->window[o].mask >> m & 1) == 0 ? 0 : naive_held(was, o, m);
            bool goes = window_like(plan, old->window[o].window_s) == NULL;
            largest.of[m] = goes && held > largest.of[m] ? held : largest.of[m];
        }
    }
    if (!weir_amounts_none(&largest)) {
        naive_add(model, now_us, 0, &largest)->left = ~naive_bits(k);
    }
}

/* The operator changes the plan. Returns how many events are of the time before. */
static unsigned change_plan(struct window_world *s, struct bytes *b)
{
    static struct naive was;
    struct weir_plan old = s->plan;
    bool used = s->value.len > 0;
    read_plan(b, &s->plan);
    /* the time that the value goes by is looked for in blocks of the plan alone */
    prepare(&s->value, &s->plan, s->now_us);
    memcpy(&was, &s->model, sizeof(was));
    for (unsigned i = 0; i < s->model.events; i++) {
        s->model.event[i].left = used ? 0 : UINT32_MAX;
        s->model.event[i].real_us = 0; /* guarantee 1 speaks of limits that stand */
    }
    for (unsigned k = 0; used && k < s->plan.windows; k++) {
        adopt_window(&s->model, &was, &old, &s->plan, k, s->now_us);
    }
    return s->model.events;
}

/* Settles one of the events from `first` on. */
static void settle(struct window_world *s, struct bytes *b, unsigned first)
{
    uint64_t which = next(b), share_in = next(b), share_out = next(b);
    if (first == s->model.events) {
        return;
    }
    struct naive_event *e = &s->model.event[first + which % (s->model.events - first)];
    struct weir_amounts less = weir_amounts(0, e->amount[WEIR_METER_INPUT_TOKENS] / 255 * share_in,
                                            e->amount[WEIR_METER_OUTPUT_TOKENS] / 255 * share_out);
    world_lower(s, e, &less);
}

/* Forward by any time, onto an edge of a step or the moment when an entry leaves, or back. */
static void pass_time(struct window_world *s, struct bytes *b)
{
    uint64_t how = next(b), by = number(b), now_us = s->now_us;
    uint64_t latest_us = UINT64_C(1) << 51;
    if (how % 4 == 0 && s->plan.windows > 0) {
        const struct weir_window_spec *w = &s->plan.window[how / 4 % s->plan.windows];
        now_us = world_edge_us(s, w, by % 141) - 1 + how / 64 % 3;
    } else {
        now_us = how % 4 == 1 ? now_us - at_most(by, 5000000) : now_us + by;
    }
    world_time(s, at_most(now_us, latest_us));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct window_world s;
    struct bytes b = {data, data + size};
    unsigned first = 0; /* event since the last change of the plan: those before are not settled */
    uint64_t debt_left = WEIR_AMOUNT_MAX; /* so that no sum is cut at WEIR_SUM_MAX */
    s.now_us = s.real_us = UINT64_C(1790000000000000);
    s.model.events = 0;
    read_plan(&b, &s.plan);
    for (unsigned i = 0; i < STEPS_MAX && b.p < b.end; i++) {
        uint64_t what = next(&b);
        if (what % 8 < 3) {
            world_charge(&s, read_amounts(&b));
        } else if (what % 8 < 5) {
            pass_time(&s, &b);
        } else if (what % 8 < 7) {
            settle(&s, &b, first);
        } else if (what < 128) {
            struct weir_amounts a = weir_amounts(0, at_most(number(&b), debt_left), 0);
            debt_left -= a.of[WEIR_METER_INPUT_TOKENS];
            world_debt(&s, &a);
        } else {
            first = change_plan(&s, &b);
        }
        world_check(&s);
    }
    weir_free(s.value.data);
    s.value = (struct weir_value){0};
    return 0;
}
