/* SPDX-License-Identifier: Apache-2.0 */
/* in_step.c - the common charge in one pass. It decides nothing that the general calls would decide
 * otherwise: where it is not sure it declines. */
#include "limit/block.h"
#include "limit/window.h"

/* Whether now is in the block's current step and no closed entry has to leave. */
static bool in_step(const uint8_t *b, const struct weir_window_spec *w,
                    const struct weir_layout *l, uint64_t now_us)
{
    uint64_t step = block_step(b);
    uint64_t start_us = step * w->step_us;
    if (now_us < start_us || now_us - start_us >= w->step_us) {
        return false;
    }
    return b[BLOCK_RING_COUNT] == 0 ||
           leaves_at_us(w, entry_step(b + ring_offset(b, l, 0), step)) > now_us;
}

/* The sums and current amounts of one window with the charge in, by index in the window. */
struct charged {
    uint64_t sum[WEIR_METERS];
    uint64_t current[WEIR_METERS];
};

/* Whether `a` fits the limits and the bytes of the block as they stand, and leaves something in the
 * current entry, which is then the newest one that holds something. */
static bool fits_in_place(const uint8_t *b, const struct weir_window_spec *w,
                          const struct weir_layout *l, const struct weir_amounts *a,
                          struct charged *ret_charged)
{
    uint64_t any = 0, over = 0;
    for (unsigned i = 0; i < w->meters; i++) {
        uint64_t ask = a->of[w->meter[i]];
        uint64_t sum = block_sum(b, l, i) + ask;
        uint64_t current = block_current(b, l, i) + ask;
        ret_charged->sum[i] = sum;
        ret_charged->current[i] = current;
        over |= (sum > w->capacity[i] && ask > 0) | sum >> (8 * l->sum_bytes[i]) |
                current >> (8 * l->amount_bytes[i]);
        any |= current;
    }
    return over == 0 && any != 0;
}

static void write_in_place(uint8_t *b, const struct weir_window_spec *w,
                           const struct weir_layout *l, const struct charged *c)
{
    for (unsigned i = 0; i < w->meters; i++) {
        store_bytes(b + l->sum[i], l->sum_bytes[i], c->sum[i]);
        store_bytes(b + l->current[i], l->amount_bytes[i], c->current[i]);
    }
}

static void add_states(const struct weir_window_spec *w, const struct charged *c,
                       uint64_t reset_us, unsigned subject, struct weir_decision *d)
{
    for (unsigned i = 0; i < w->meters; i++) {
        d->state[d->states++] = (struct weir_limit_state){
            .subject = (uint8_t)subject,
            .meter = w->meter[i],
            .window_s = w->window_s,
            .capacity = w->capacity[i],
            .used = c->sum[i],
            .reset_us = c->sum[i] == 0 ? 0 : reset_us,
        };
    }
}

bool weir_value_take_in_step(struct weir_value *v, const struct weir_plan *plan, uint64_t now_us,
                             const struct weir_amounts *a, unsigned subject,
                             struct weir_decision *d)
{
    struct charged charged[WEIR_PLAN_WINDOWS_MAX];
    uint32_t at = 0;
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        const uint8_t *b = v->data + at;
        if (at >= v->len || block_tag(b) != w->tag) {
            return false;
        }
        const struct weir_layout *l = block_layout(b, w);
        if (!in_step(b, w, l, now_us) || !fits_in_place(b, w, l, a, &charged[k])) {
            return false;
        }
        at += block_bytes(b, l);
    }
    if (at != v->len) {
        return false;
    }
    uint8_t *b = v->data;
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        const struct weir_layout *l = block_layout(b, w);
        add_states(w, &charged[k], leaves_at_us(w, block_step(b)) - now_us, subject, d);
        write_in_place(b, w, l, &charged[k]);
        b += block_bytes(b, l);
    }
    return true;
}
