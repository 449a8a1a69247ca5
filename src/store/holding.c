/* SPDX-License-Identifier: Apache-2.0 */
#include "store/holding.h"

#include "base/mem.h"
#include "base/rand.h"
#include "limit/plan_set.h"

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
    for (unsigned i = 1; i < subjects; i++) { /* what was before is mixed, so that order counts */
        ret_id[0] = weir_mix64(ret_id[0]) ^ subject[i]->id[0];
        ret_id[1] = weir_mix64(ret_id[1]) ^ subject[i]->id[1];
    }
}

/* Room for what is said of each limit and window. NULL: no memory. */
static uint64_t *states_new(const struct weir_subject *const *subject, unsigned subjects,
                            unsigned *ret_limits)
{
    unsigned windows;
    limits_of(subject, subjects, ret_limits, &windows);
    return weir_zalloc((*ret_limits + windows + 1) * sizeof(uint64_t));
}

/* Of subjects whose plans are set: what is counted, and how long a lease lives. */
static void learn_plans(struct weir_holding *h)
{
    h->meters = 0;
    h->life_us = WEIR_LEASE_US_MAX;
    for (unsigned i = 0; i < h->subjects; i++) {
        const struct weir_plan *plan = h->subject[i].plan;
        h->meters |= weir_meters_limited(plan);
        if (plan->windows > 0 && plan->life_us < h->life_us) {
            h->life_us = plan->life_us;
        }
    }
}

static void set_plan(struct weir_subject *s, const struct weir_plan *plan)
{
    (void)weir_plan_keep(plan);
    weir_plan_let_go(s->plan);
    s->plan = plan;
}

static struct weir_str copy_text(struct weir_str text, char **at)
{
    struct weir_str copy = weir_str(*at, text.len);
    if (text.len > 0) {
        memcpy(*at, text.p, text.len);
    }
    *at += text.len;
    return copy;
}

struct weir_holding *weir_holding_new(const struct weir_subject *const *subject, unsigned subjects)
{
    unsigned limits;
    size_t texts = 0;
    WEIR_ASSERT(subjects > 0 && subjects <= WEIR_SUBJECTS_MAX);
    for (unsigned i = 0; i < subjects; i++) {
        texts += subject[i]->name.len + subject[i]->root.len;
    }
    struct weir_holding *h = weir_zalloc(sizeof(*h) + texts);
    uint64_t *states = h == NULL ? NULL : states_new(subject, subjects, &limits);
    if (states == NULL) {
        weir_free(h);
        return NULL;
    }
    h->used = states;
    h->empty_us = states + limits;
    char *text = (char *)(h + 1);
    weir_holding_id(subject, subjects, h->id);
    h->subjects = (uint8_t)subjects;
    h->waiting_end = &h->waiting;
    for (unsigned i = 0; i < subjects; i++) {
        h->subject[i] = *subject[i];
        (void)weir_plan_keep(subject[i]->plan);
        h->subject[i].name = copy_text(subject[i]->name, &text);
        h->subject[i].root = copy_text(subject[i]->root, &text);
        h->named[i] = &h->subject[i];
    }
    learn_plans(h);
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
        for (unsigned i = 0; i < h->subjects; i++) {
            weir_plan_let_go(h->subject[i].plan);
        }
        weir_free(h->used);
        weir_free(h);
    }
}

/* ---- plans that change ---- */

bool weir_holding_is_outdated(struct weir_holding *h, const struct weir_subject *const *subject)
{
    bool same = true, alike = true;
    for (unsigned i = 0; i < h->subjects; i++) {
        same = same && h->subject[i].plan == subject[i]->plan;
    }
    for (unsigned i = 0; !same && i < h->subjects; i++) {
        alike = alike && weir_plan_limits_alike(h->subject[i].plan, subject[i]->plan);
    }
    for (unsigned i = 0; !same && alike && i < h->subjects; i++) {
        set_plan(&h->subject[i], subject[i]->plan);
    }
    return !alike;
}

void weir_holding_renew(struct weir_holding *h, const struct weir_subject *const *subject)
{
    unsigned limits;
    WEIR_ASSERT(!h->in_flight && weir_lease_is_empty(&h->lease));
    uint64_t *states = states_new(subject, h->subjects, &limits);
    if (states == NULL) {
        return;
    }
    forget(h);
    weir_free(h->used);
    h->used = states;
    h->empty_us = states + limits;
    for (unsigned i = 0; i < h->subjects; i++) {
        set_plan(&h->subject[i], subject[i]->plan);
    }
    learn_plans(h);
}

/* ---- deciding ---- */

void weir_holding_states(const struct weir_holding *h, uint64_t store_us,
                         const struct weir_amounts *unused, struct weir_decision *d)
{
    unsigned limit = 0, window = 0;
    for (unsigned s = 0; s < h->subjects; s++) {
        const struct weir_plan *plan = h->subject[s].plan;
        for (unsigned k = 0; k < plan->windows; k++, window++) {
            const struct weir_window_spec *w = &plan->window[k];
            uint64_t empty_us = h->empty_us[window];
            uint64_t empty_in_us = empty_us > store_us ? empty_us - store_us : 0;
            for (unsigned i = 0; i < w->meters; i++, limit++) {
                uint64_t left = unused->of[w->meter[i]];
                uint64_t used = h->used[limit] > left ? h->used[limit] - left : 0;
                weir_decision_add(d, s, w, i, used, empty_in_us);
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

static bool reserve(struct weir_value *v, uint32_t room)
{
    if (v->room >= room) {
        return true;
    }
    uint8_t *data = weir_realloc(v->data, room);
    if (data == NULL) {
        return false;
    }
    v->data = data;
    v->room = room;
    return true;
}

/* Brings subject i's value to the present. False: no memory, which only one that was made under
 * another plan can need. */
static bool prepare(struct weir_holding *h, unsigned i, uint64_t store_us)
{
    uint32_t need;
    while ((need = weir_value_prepare(&h->value[i], h->subject[i].plan, store_us)) > 0) {
        if (!reserve(&h->value[i], need)) {
            return false;
        }
    }
    return true;
}

static uint64_t latest_us(const struct weir_holding *h, uint64_t store_us)
{
    for (unsigned i = 0; i < h->subjects; i++) {
        store_us = weir_value_now_us(&h->value[i], h->subject[i].plan, store_us);
    }
    return store_us;
}

bool weir_holding_denies(struct weir_holding *h, uint64_t store_us, const struct weir_amounts *a,
                         struct weir_decision *d)
{
    store_us = latest_us(h, store_us);
    weir_decision_begin(d, store_us);
    for (unsigned i = 0; i < h->subjects; i++) {
        struct weir_verdict verdict;
        if (!prepare(h, i, store_us)) {
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

static bool copy_values(struct weir_holding *h, const struct weir_str *value)
{
    for (unsigned i = 0; i < h->subjects; i++) {
        struct weir_value *v = &h->value[i];
        if (!reserve(v, (uint32_t)value[i].len + WEIR_VALUE_SLACK)) {
            return false;
        }
        memcpy(v->data, value[i].p, value[i].len);
        memset(v->data + value[i].len, 0, WEIR_VALUE_SLACK);
        v->len = (uint32_t)value[i].len;
    }
    return true;
}

bool weir_holding_remember(struct weir_holding *h, const struct weir_str *value, uint64_t store_us,
                           uint64_t now_us)
{
    uint64_t remember_us = WEIR_HOLDING_REMEMBER_US;
    struct weir_decision states;
    bool done = copy_values(h, value);
    store_us = done ? latest_us(h, store_us) : 0;
    weir_decision_begin(&states, store_us);
    for (unsigned i = 0; done && i < h->subjects; i++) {
        const struct weir_plan *plan = h->subject[i].plan;
        done = prepare(h, i, store_us);
        if (done) {
            weir_value_states(&h->value[i], plan, store_us, i, &states);
        }
        if (plan->windows > 0 && plan->window[0].step_us < remember_us) {
            remember_us = plan->window[0].step_us;
        }
    }
    if (!done) {
        forget(h);
        return false;
    }
    weir_holding_learn_states(h, &states);
    h->denied_until_us = now_us + remember_us;
    return true;
}

static enum weir_held decide(struct weir_holding *h, uint64_t now_us, uint64_t store_us,
                             const struct weir_amounts *a, struct weir_decision *d)
{
    if (weir_lease_use(&h->lease, h->meters, now_us, a)) {
        weir_decision_begin(d, h->lease.at_us);
        weir_holding_states(h, store_us, &h->lease.left, d);
        weir_demand_add(&h->demand, a);
        return WEIR_HELD_ALLOWED;
    }
    if (now_us >= h->denied_until_us) {
        if (h->denied_until_us != 0) {
            forget(h);
        }
        return WEIR_HELD_ASK_STORE;
    }
    return weir_holding_denies(h, store_us, a, d) ? WEIR_HELD_DENIED : WEIR_HELD_ASK_STORE;
}

enum weir_held weir_holding_ask(struct weir_holding *h, uint64_t now_us, uint64_t store_us,
                                const struct weir_amounts *a, struct weir_decision *d)
{
    if (h->waiting != NULL) {
        return WEIR_HELD_ASK_STORE; /* in order of arrival */
    }
    return decide(h, now_us, store_us, a, d);
}

/* ---- what the store is told ---- */

void weir_holding_wait(struct weir_holding *h, struct weir_call *call)
{
    call->next = NULL;
    *h->waiting_end = call;
    h->waiting_end = &call->next;
}

struct weir_call *weir_holding_unwait(struct weir_holding *h, unsigned count)
{
    struct weir_call *first = h->waiting, *last = NULL;
    for (unsigned i = 0; i < count && h->waiting != NULL; i++) {
        last = h->waiting;
        h->waiting = last->next;
    }
    if (h->waiting == NULL) {
        h->waiting_end = &h->waiting;
    }
    if (last == NULL) {
        return NULL;
    }
    last->next = NULL;
    return first;
}

struct weir_call *weir_holding_serve(struct weir_holding *h, uint64_t now_us, uint64_t store_us)
{
    struct weir_call *first = NULL, **end = &first, *call;
    while ((call = h->waiting) != NULL &&
           decide(h, now_us, store_us, &call->amounts, &call->decision) != WEIR_HELD_ASK_STORE) {
        *end = weir_holding_unwait(h, 1);
        end = &call->next;
    }
    return first;
}

/* Sums stay what a call can say. */
static void add(struct weir_amounts *sum, const struct weir_amounts *a)
{
    for (unsigned m = 0; m < WEIR_METER_TOTAL_TOKENS; m++) {
        bool fits = a->of[m] < WEIR_AMOUNT_MAX && sum->of[m] < WEIR_AMOUNT_MAX - a->of[m];
        sum->of[m] = fits ? sum->of[m] + a->of[m] : WEIR_AMOUNT_MAX;
    }
    sum->of[WEIR_METER_TOTAL_TOKENS] =
        sum->of[WEIR_METER_INPUT_TOKENS] + sum->of[WEIR_METER_OUTPUT_TOKENS];
}

/* False: there are `max` moments already. */
static bool add_back(struct weir_holding *h, unsigned max, uint64_t store_at_us,
                     const struct weir_amounts *less)
{
    unsigned i = 0;
    while (i < h->backs && h->back[i].at_us != store_at_us) {
        i++;
    }
    if (weir_amounts_none(less) || i == max) {
        return weir_amounts_none(less);
    }
    if (i == h->backs) {
        h->back[h->backs++] = (struct weir_return){.at_us = store_at_us};
    }
    add(&h->back[i].less, less);
    return true;
}

bool weir_holding_give_back(struct weir_holding *h, uint64_t store_at_us,
                            const struct weir_amounts *less)
{
    return add_back(h, WEIR_HOLDING_BACK_MAX - 1, store_at_us, less);
}

bool weir_holding_is_full(const struct weir_holding *h)
{
    return h->backs >= WEIR_HOLDING_BACK_MAX - 1;
}

void weir_holding_owe(struct weir_holding *h, const struct weir_amounts *more)
{
    add(&h->debt, more);
}

void weir_holding_lapse(struct weir_holding *h)
{
    /* the next lease comes with a call, which takes along what goes back */
    bool fits = add_back(h, WEIR_HOLDING_BACK_MAX, h->lease.at_us, &h->lease.left);
    WEIR_ASSERT(fits);
    h->lease = (struct weir_lease){0};
}

void weir_holding_drop(struct weir_holding *h)
{
    forget(h);
    h->lease = (struct weir_lease){0};
    h->backs = 0;
    h->primary = NULL;
}

bool weir_holding_must_tell(const struct weir_holding *h)
{
    return weir_holding_has_news(h) && weir_lease_is_empty(&h->lease);
}

void weir_holding_sent(struct weir_holding *h, unsigned asks)
{
    h->flying = weir_holding_unwait(h, asks);
    h->flights = asks;
    h->backs = 0;
    h->flying_debt = h->debt;
    h->debt = (struct weir_amounts){0};
    h->in_flight = true;
}

void weir_holding_grant(struct weir_holding *h, uint64_t at_us, uint64_t sent_us,
                        const struct weir_amounts *ahead)
{
    h->lease =
        (struct weir_lease){.at_us = at_us, .until_us = sent_us + h->life_us, .left = *ahead};
}

struct weir_call *weir_holding_landed(struct weir_holding *h, bool decided)
{
    struct weir_call *first = h->flying;
    if (!decided) { /* it may have run: what gives back is not said again, what takes is */
        weir_holding_owe(h, &h->flying_debt);
    }
    h->flying_debt = (struct weir_amounts){0};
    h->flying = NULL;
    return first;
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
