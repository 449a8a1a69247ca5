/* SPDX-License-Identifier: Apache-2.0 */
/* redis_granted.c - mode: lease. What the answer to a holding's call says to those that wait, and
 * what it leaves. */
#include "store/redis/answer.h"
#include "store/redis_lease.h"

static void grant(struct redis_store *self, const struct weir_holding *h, struct weir_call *call)
{
    call->reservation.primary = h->primary_hash;
    redis_grant(self, call, redis_granted_epoch(self));
}

void redis_lease_decide_held(struct redis_store *self, const struct weir_holding *h,
                             struct weir_call *call)
{
    call->outcome = WEIR_OUTCOME_DECIDED;
    if (call->decision.allowed) {
        grant(self, h, call);
        redis_count(&self->base.stats.lease_decisions, 1);
        redis_lease_count(self, WEIR_LEASED_USED, h->meters, &call->amounts);
    } else {
        redis_count(&self->base.stats.remembered_denials, 1);
    }
}

/* ---- the answer ---- */

/* What was granted in all, as Redis has it. */
static struct weir_amounts sum_granted(const struct weir_holding *h,
                                       const struct weir_redis_granted *g)
{
    struct weir_amounts sum = g->ahead;
    unsigned i = 0;
    for (const struct weir_call *c = h->flying; c != NULL; c = c->next, i++) {
        for (unsigned m = 0; m < WEIR_METERS && g->mask[i] == '1'; m++) {
            sum.of[m] += c->amounts.of[m];
        }
    }
    return sum;
}

/* The values after the call say who is denied, for a while. */
static void remember_denial(struct weir_holding *h, const struct weir_redis_granted *g,
                            uint64_t now_us)
{
    struct weir_str value[WEIR_SUBJECTS_MAX];
    for (unsigned i = 0; i < h->subjects; i++) {
        value[i] = weir_str(g->value[i]->str, (size_t)g->value[i]->len);
    }
    (void)weir_holding_remember(h, value, g->at_us, now_us);
}

/* Redis has denied it. Where the values do not say why, nobody knows when it may pass. */
static void decide_denied(struct weir_holding *h, struct weir_call *call,
                          const struct weir_redis_granted *g)
{
    bool known = h->denied_until_us != 0 &&
                 weir_holding_denies(h, g->at_us, &call->amounts, &call->decision);
    call->outcome = known ? WEIR_OUTCOME_DECIDED : WEIR_OUTCOME_UNAVAILABLE;
}

/* `unused`: what was granted in all, less those before this one; in the end without it, too. */
static void decide_allowed(struct redis_store *self, struct weir_holding *h, struct weir_call *call,
                           const struct weir_redis_granted *g, struct weir_amounts *unused)
{
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        unused->of[m] -= call->amounts.of[m];
    }
    call->outcome = WEIR_OUTCOME_DECIDED;
    weir_decision_begin(&call->decision, g->at_us);
    weir_holding_states(h, g->at_us, unused, &call->decision);
    weir_demand_add(&h->demand, &call->amounts);
    grant(self, h, call);
}

/* Decides what was asked. `kept`: what was granted, in all, is recorded; else it is not used. */
static void decide_flying(struct redis_store *self, struct weir_holding *h,
                          const struct weir_redis_granted *g, struct weir_amounts granted,
                          uint64_t sent_us, uint64_t now_us, bool kept)
{
    if (g->all) {
        h->denied_until_us = 0;
        weir_holding_learn_states(h, &g->states);
    } else {
        remember_denial(h, g, now_us);
    }
    if (kept) {
        weir_holding_grant(h, g->at_us, sent_us, &g->ahead);
        redis_lease_count(self, WEIR_LEASED_TAKEN, h->meters, &g->ahead);
    }
    unsigned i = 0;
    for (struct weir_call *call = h->flying; call != NULL; call = call->next, i++) {
        if (g->mask[i] == '1' && !kept) {
            call->outcome = WEIR_OUTCOME_FULL;
        } else if (g->mask[i] == '1') {
            decide_allowed(self, h, call, g, &granted);
        } else {
            decide_denied(h, call, g);
        }
    }
}

/* Those that came while the call was under way, as far as its answer decides them, too: else a key
 * that is asked for all the time would never be without a call. False: the store was closed. */
static bool serve_waiting(struct redis_store *self, struct weir_holding *h)
{
    uint64_t now_us = weir_clock_us();
    struct weir_call *first =
        weir_holding_serve(h, now_us, weir_clock_rule_store_us(redis_lease_clock(self, h), now_us));
    for (struct weir_call *call = first; call != NULL; call = call->next) {
        redis_lease_decide_held(self, h, call);
    }
    return redis_lease_finish(self, first);
}

/* The call is over: those that waited for it are told, and the next one goes. */
static void land(struct redis_store *self, struct weir_holding *h, bool decided)
{
    struct weir_call *first = weir_holding_landed(h, decided);
    /* in_flight until all are told: it must not go meanwhile */
    if (!(decided ? redis_lease_finish(self, first) && serve_waiting(self, h)
                  : redis_lease_decide_all_without_store(self, first))) {
        return;
    }
    h->in_flight = false;
    /* a debt that Redis does not take is not told it at once again */
    if (h->waiting != NULL || (decided && !weir_amounts_none(&h->debt))) {
        redis_lease_call_this_turn(self, h);
    } else {
        redis_lease_watch(self, h, weir_clock_us());
    }
}

void redis_lease_answered(struct redis_store *self, struct weir_holding *h, const redisReply *reply,
                          uint64_t sent_us)
{
    struct weir_redis_granted g;
    uint64_t now_us = weir_clock_us();
    bool decided = weir_redis_answer_granted(reply, h->named, h->subjects, h->flights, &g);
    if (decided) {
        redis_answered(self, h->named[0], sent_us, now_us, g.clock_us);
        struct weir_amounts granted = sum_granted(h, &g);
        bool kept = redis_remember(self, h->named, h->subjects, &granted, g.at_us);
        const struct weir_primary *by = redis_over_granted_by(self, sent_us, now_us);
        decided = by != NULL; /* else it is as if it had been lost */
        if (decided) {
            redis_lease_drop_if_left(self, h);
            redis_lease_hold_of(h, by, atomic_load(&by->begun_us));
        }
        if (decided && h->flights > 0) {
            decide_flying(self, h, &g, granted, sent_us, now_us, kept);
        }
    } else {
        redis_count(&self->base.stats.errors, 1);
    }
    land(self, h, decided);
}

void redis_lease_lost(struct redis_store *self, struct weir_holding *h)
{
    land(self, h, false);
}
