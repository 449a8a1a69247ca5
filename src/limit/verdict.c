/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.c - what a prepared value says: whether a charge fits, when it would, what is used. */
#include "limit/block.h"
#include "limit/window.h"

/* When enough of meter i has left for `need` more to have room: need <= the meter's sum. */
static uint64_t freed_at_us(const uint8_t *b, const struct weir_window_spec *w, unsigned i,
                            uint64_t need)
{
    const struct weir_layout *l = block_layout(b, w);
    uint64_t step = block_step(b);
    uint64_t freed = 0;
    for (unsigned e = 0; e < b[BLOCK_RING_COUNT]; e++) {
        const uint8_t *entry = b + ring_offset(b, l, e);
        freed += load_bytes(entry + l->amount[i], l->amount_bytes[i]);
        if (freed >= need) {
            return leaves_at_us(w, entry_step(entry, step));
        }
    }
    return leaves_at_us(w, step);
}

/* The order in which a denial names limits: smaller first. */
static unsigned meter_rank(unsigned meter)
{
    static const uint8_t rank[WEIR_METERS] = {
        [WEIR_METER_INPUT_TOKENS] = 0,
        [WEIR_METER_OUTPUT_TOKENS] = 1,
        [WEIR_METER_TOTAL_TOKENS] = 2,
        [WEIR_METER_REQUESTS] = 3,
    };
    return rank[meter];
}

/* Whether a limit that fails is named before the one named so far. */
static bool named_before(bool never, unsigned meter, bool than_never, unsigned than_meter)
{
    if (never != than_never) {
        return never;
    }
    return meter_rank(meter) < meter_rank(than_meter);
}

static void verdict_fail(struct weir_verdict *verdict, const struct weir_window_spec *w, unsigned i,
                         uint64_t retry_after_us)
{
    bool never = retry_after_us == WEIR_RETRY_NEVER;
    if (verdict->fits ||
        named_before(never, w->meter[i], verdict->retry_after_us == WEIR_RETRY_NEVER,
                     verdict->meter)) {
        verdict->meter = w->meter[i];
        verdict->window_s = w->window_s;
    }
    verdict->fits = false;
    if (retry_after_us > verdict->retry_after_us) {
        verdict->retry_after_us = retry_after_us;
    }
}

bool weir_value_fits(const struct weir_value *v, const struct weir_plan *plan, uint64_t now_us,
                     const struct weir_amounts *a, struct weir_verdict *ret_verdict)
{
    struct weir_verdict verdict = {.fits = true};
    const uint8_t *b = v->len > 0 ? v->data : NULL;
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        const struct weir_layout *l = b == NULL ? NULL : block_layout(b, w);
        for (unsigned i = 0; i < w->meters; i++) {
            uint64_t ask = a->of[w->meter[i]];
            uint64_t used = b == NULL ? 0 : block_sum(b, l, i);
            if (WEIR_LIKELY(used + ask <= w->capacity[i]) || ask == 0) {
                continue;
            }
            uint64_t retry_us = WEIR_RETRY_NEVER;
            if (ask <= w->capacity[i]) {
                retry_us = freed_at_us(b, w, i, used + ask - w->capacity[i]) - now_us;
            }
            verdict_fail(&verdict, w, i, retry_us);
        }
        b = b == NULL ? NULL : b + block_bytes(b, l);
    }
    if (WEIR_UNLIKELY(!verdict.fits)) {
        *ret_verdict = verdict;
    }
    return verdict.fits;
}

uint64_t weir_block_idle_at_us(const uint8_t *b, const struct weir_window_spec *w)
{
    const struct weir_layout *l = block_layout(b, w);
    uint64_t current = 0, sum = 0;
    for (unsigned i = 0; i < w->meters; i++) {
        current |= block_current(b, l, i);
        sum |= block_sum(b, l, i);
    }
    if (sum == 0) {
        return 0;
    }
    uint64_t step = block_step(b);
    if (current == 0) {
        step = entry_step(b + ring_offset(b, l, b[BLOCK_RING_COUNT] - 1U), step);
    }
    return leaves_at_us(w, step);
}

void weir_value_states(const struct weir_value *v, const struct weir_plan *plan, uint64_t now_us,
                       unsigned subject, struct weir_decision *d)
{
    const uint8_t *b = v->len > 0 ? v->data : NULL;
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        const struct weir_layout *l = b == NULL ? NULL : block_layout(b, w);
        uint64_t idle_us = b == NULL ? 0 : weir_block_idle_at_us(b, w);
        uint64_t reset_us = idle_us > now_us ? idle_us - now_us : 0;
        for (unsigned i = 0; i < w->meters; i++) {
            weir_decision_add(d, subject, w, i, b == NULL ? 0 : block_sum(b, l, i), reset_us);
        }
        b = b == NULL ? NULL : b + block_bytes(b, l);
    }
}

void weir_value_states_with(const struct weir_value *v, const struct weir_plan *plan,
                            uint64_t now_us, const struct weir_amounts *a, unsigned subject,
                            struct weir_decision *d)
{
    uint8_t bytes[WEIR_VALUE_MAX + WEIR_VALUE_SLACK] = {0};
    struct weir_value with = {.data = bytes, .len = v->len, .room = sizeof(bytes)};
    if (v->len > 0) {
        memcpy(bytes, v->data, v->len);
    }
    uint32_t need = weir_value_add(&with, plan, now_us, a);
    WEIR_ASSERT(need == 0);
    weir_value_states(&with, plan, now_us, subject, d);
}

void weir_decision_begin(struct weir_decision *d, uint64_t at_us)
{
    d->allowed = true;
    d->states = 0;
    d->retry_after_us = 0;
    d->at_us = at_us;
}

void weir_decision_deny(struct weir_decision *d, unsigned subject, const struct weir_verdict *v)
{
    if (d->allowed || named_before(v->retry_after_us == WEIR_RETRY_NEVER, v->meter,
                                   d->retry_after_us == WEIR_RETRY_NEVER, d->denied_meter)) {
        d->denied_subject = (uint8_t)subject;
        d->denied_meter = v->meter;
        d->denied_window_s = v->window_s;
    }
    d->allowed = false;
    if (v->retry_after_us > d->retry_after_us) {
        d->retry_after_us = v->retry_after_us;
    }
}

void weir_decision_join(struct weir_decision *d, const struct weir_decision *part, unsigned subject)
{
    WEIR_ASSERT(d->states + part->states <= WEIR_DECISION_LIMITS_MAX);
    for (unsigned i = 0; i < part->states; i++) {
        struct weir_limit_state *state = &d->state[d->states++];
        *state = part->state[i];
        state->subject = (uint8_t)(state->subject + subject);
    }
    if (!part->allowed) {
        const struct weir_verdict verdict = {.meter = part->denied_meter,
                                             .window_s = part->denied_window_s,
                                             .retry_after_us = part->retry_after_us};
        weir_decision_deny(d, subject + part->denied_subject, &verdict);
    }
}
