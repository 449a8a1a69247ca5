/* SPDX-License-Identifier: Apache-2.0 */
#include "store/holding.h"

#include "base/mem.h"
#include "base/rand.h"

static void limits_of(const struct weir_subject *const *subject, unsigned subjects,
                      unsigned *ret_limits, unsigned *ret_windows)
{
    *ret_limits = *ret_windows = 0;
    for (unsigned i = 0; i < subjects; i++) {
        *ret_limits += subject[i]->plan->limits;
        *ret_windows += subject[i]->plan->windows;
    }
}

void weir_holding_id(const struct weir_subject *const *subject, unsigned subjects,
                     uint64_t ret_id[static 2])
{
    ret_id[0] = subject[0]->id[0];
    ret_id[1] = subject[0]->id[1];
    for (unsigned i = 1; i < subjects; i++) { /* in order: each step mixes what was before */
        ret_id[0] = weir_mix64(ret_id[0] ^ subject[i]->id[0]);
        ret_id[1] = weir_mix64(ret_id[1] ^ subject[i]->id[1]);
    }
}

struct weir_holding *weir_holding_new(const struct weir_subject *const *subject, unsigned subjects)
{
    unsigned limits, windows;
    size_t names = 0;
    WEIR_ASSERT(subjects > 0 && subjects <= WEIR_SUBJECTS_MAX);
    limits_of(subject, subjects, &limits, &windows);
    for (unsigned i = 0; i < subjects; i++) {
        names += subject[i]->name.len;
    }
    struct weir_holding *h =
        weir_zalloc(sizeof(*h) + (limits + windows) * sizeof(uint64_t) + names);
    if (h == NULL) {
        return NULL;
    }
    h->used = (uint64_t *)(h + 1);
    h->empty_us = h->used + limits;
    char *name = (char *)(h->empty_us + windows);
    weir_holding_id(subject, subjects, h->id);
    h->subjects = (uint8_t)subjects;
    h->life_us = UINT64_MAX;
    h->waiting_end = &h->waiting;
    for (unsigned i = 0; i < subjects; i++) {
        const struct weir_plan *plan = subject[i]->plan;
        h->subject[i] = *subject[i];
        memcpy(name, subject[i]->name.p, subject[i]->name.len);
        h->subject[i].name.p = name;
        name += subject[i]->name.len;
        h->named[i] = &h->subject[i];
        h->meters |= weir_meters_limited(plan);
        if (plan->windows > 0 && plan->life_us < h->life_us) {
            h->life_us = plan->life_us;
        }
    }
    return h;
}

static void forget(struct weir_holding *h)
{
    for (unsigned i = 0; i < h->subjects; i++) {
        weir_free(h->value[i].data);
        h->value[i] = (struct weir_value){0};
    }
    h->denied_until_us = 0;
}

void weir_holding_free(struct weir_holding *h)
{
    if (h != NULL) {
        forget(h);
        weir_free(h);
    }
}

/* ---- deciding ---- */

void weir_holding_states(const struct weir_holding *h, uint64_t store_us, struct weir_decision *d)
{
    unsigned limit = 0, window = 0;
    for (unsigned s = 0; s < h->subjects; s++) {
        const struct weir_plan *plan = h->subject[s].plan;
        for (unsigned k = 0; k < plan->windows; k++, window++) {
            const struct weir_window_spec *w = &plan->window[k];
            uint64_t empty_us = h->empty_us[window];
            for (unsigned i = 0; i < w->meters; i++, limit++) {
                uint64_t left = h->lease.left.of[w->meter[i]];
                uint64_t used = h->used[limit] > left ? h->used[limit] - left : 0;
                d->state[d->states++] = (struct weir_limit_state){
                    .subject = (uint8_t)s,
                    .meter = w->meter[i],
                    .window_s = w->window_s,
                    .capacity = w->capacity[i],
                    .used = used,
                    .reset_us = used > 0 && empty_us > store_us ? empty_us - store_us : 0,
                };
            }
        }
    }
}

void weir_holding_learn_states(struct weir_holding *h, const struct weir_decision *d)
{
    unsigned limit = 0, window = 0;
    for (unsigned s = 0; s < h->subjects; s++) {
        const struct weir_plan *plan = h->subject[s].plan;
        for (unsigned k = 0; k < plan->windows; k++, window++) {
            h->empty_us[window] = 0;
            for (unsigned i = 0; i < plan->window[k].meters; i++, limit++) {
                uint64_t empty_us = d->at_us + d->state[limit].reset_us;
                h->used[limit] = d->state[limit].used;
                if (d->state[limit].used > 0 && empty_us > h->empty_us[window]) {
                    h->empty_us[window] = empty_us;
                }
            }
        }
    }
}

/* Whether the remembered values deny it, as the store would. */
static bool denied_by_memory(struct weir_holding *h, uint64_t store_us,
                             const struct weir_amounts *a, struct weir_decision *d)
{
    for (unsigned i = 0; i < h->subjects; i++) {
        store_us = weir_value_now_us(&h->value[i], h->subject[i].plan, store_us);
    }
    weir_decision_begin(d, store_us);
    for (unsigned i = 0; i < h->subjects; i++) {
        struct weir_verdict verdict;
        if (weir_value_prepare(&h->value[i], h->subject[i].plan, store_us) != 0) {
            return false;
        }
        if (!weir_value_fits(&h->value[i], h->subject[i].plan, store_us, a, &verdict)) {
            weir_decision_deny(d, i, &verdict);
        }
    }
    for (unsigned i = 0; i < h->subjects && !d->allowed; i++) {
        weir_value_states(&h->value[i], h->subject[i].plan, store_us, i, d);
    }
    return !d->allowed;
}

enum weir_held weir_holding_ask(struct weir_holding *h, uint64_t now_us, uint64_t store_us,
                                const struct weir_amounts *a, struct weir_decision *d)
{
    if (h->waiting != NULL) {
        return WEIR_HELD_ASK_STORE; /* in order of arrival */
    }
    if (weir_lease_use(&h->lease, h->meters, now_us, a)) {
        weir_decision_begin(d, h->lease.at_us);
        weir_holding_states(h, store_us, d);
        weir_demand_add(&h->demand, a);
        return WEIR_HELD_ALLOWED;
    }
    if (now_us >= h->denied_until_us) {
        if (h->denied_until_us != 0) {
            forget(h);
        }
        return WEIR_HELD_ASK_STORE;
    }
    return denied_by_memory(h, store_us, a, d) ? WEIR_HELD_DENIED : WEIR_HELD_ASK_STORE;
}

bool weir_holding_remember(struct weir_holding *h, unsigned i, struct weir_str value)
{
    struct weir_value *v = &h->value[i];
    uint32_t room = (uint32_t)value.len + WEIR_VALUE_SLACK;
    if (v->room < room) {
        uint8_t *data = weir_realloc(v->data, room);
        if (data == NULL) {
            return false;
        }
        v->data = data;
        v->room = room;
    }
    memcpy(v->data, value.p, value.len);
    memset(v->data + value.len, 0, WEIR_VALUE_SLACK);
    v->len = (uint32_t)value.len;
    return true;
}

/* ---- what the store is told ---- */

void weir_holding_wait(struct weir_holding *h, struct weir_call *call)
{
    call->next = NULL;
    *h->waiting_end = call;
    h->waiting_end = &call->next;
}

bool weir_holding_give_back(struct weir_holding *h, uint64_t store_at_us,
                            const struct weir_amounts *less)
{
    if (weir_amounts_none(less)) {
        return true;
    }
    unsigned i = 0;
    while (i < h->backs && h->back[i].at_us != store_at_us) {
        i++;
    }
    if (i == WEIR_HOLDING_BACK_MAX) {
        return false;
    }
    if (i == h->backs) {
        h->back[h->backs++] = (struct weir_return){.at_us = store_at_us};
    }
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        h->back[i].less.of[m] += less->of[m];
    }
    return true;
}

void weir_holding_owe(struct weir_holding *h, const struct weir_amounts *more)
{
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        h->debt.of[m] += more->of[m];
    }
}

bool weir_holding_lapse(struct weir_holding *h)
{
    h->lease.until_us = 0;
    if (!weir_holding_give_back(h, h->lease.at_us, &h->lease.left)) {
        return false;
    }
    h->lease = (struct weir_lease){0};
    return true;
}

bool weir_holding_has_news(const struct weir_holding *h)
{
    return h->waiting != NULL || h->backs > 0 || !weir_amounts_none(&h->debt);
}

bool weir_holding_is_idle(const struct weir_holding *h, uint64_t now_us)
{
    return !h->in_flight && !h->in_turn && !weir_holding_has_news(h) &&
           weir_lease_is_empty(&h->lease) && now_us >= h->denied_until_us;
}
