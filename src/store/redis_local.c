/* SPDX-License-Identifier: Apache-2.0 */
/* redis_local.c - what is decided without Redis, by on_store_failure, and on the way back from that
 * with Redis and this node's share together (docs/model/README.md, rules 13 and 14). */
#include "store/redis/command.h"
#include "store/redis_internal.h"
#include "store/shared.h"

/* Whether no limit is smaller than what is asked. */
static bool can_pass(const struct weir_call *call)
{
    for (unsigned i = 0; i < call->subjects; i++) {
        const struct weir_plan *plan = call->subject[i]->plan;
        for (unsigned k = 0; k < plan->windows; k++) {
            const struct weir_window_spec *w = &plan->window[k];
            for (unsigned m = 0; m < w->meters; m++) {
                if (call->amounts.of[w->meter[m]] > w->capacity[m]) {
                    return false;
                }
            }
        }
    }
    return true;
}

/* Whoever tells the store must know of whom. */
void redis_tell_later(struct redis_store *self, const struct weir_subject *const *subject,
                      unsigned subjects, uint64_t at_us)
{
    char key[WEIR_REDIS_KEY_MAX];
    for (unsigned i = 0; i < subjects; i++) {
        (void)weir_roll_add(self->shared->roll, subject[i]); /* else it is not told */
        weir_marks_set(&self->shared->marks, weir_redis_slot(weir_redis_key(subject[i], key)),
                       at_us);
    }
}

static void grant_local(struct redis_store *self, struct weir_call *call)
{
    call->reservation.primary = call->reservation.shared_primary = 0;
    redis_grant(self, call, self->shared->epoch);
    if (!call->probe) {
        redis_tell_later(self, call->subject, call->subjects, call->decision.at_us);
    }
}

/* From this node's fair share, less what it was granted before. What is larger than the share alone
 * may pass when Redis is back: by the moment named here that was tried. */
void redis_take_share(struct redis_store *self, struct weir_call *call)
{
    struct weir_subject share[WEIR_SUBJECTS_MAX];
    const struct weir_subject *subject[WEIR_SUBJECTS_MAX];
    for (unsigned i = 0; i < call->subjects; i++) {
        share[i] = *call->subject[i];
        share[i].plan = call->subject[i]->plan->share;
        subject[i] = &share[i];
    }
    call->outcome = WEIR_OUTCOME_DECIDED;
    enum weir_err err = (call->probe ? weir_embedded_probe : weir_embedded_take)(
        self->shared->table, subject, call->subjects, &call->amounts,
        redis_store_now_us(self, subject[0]), &call->decision);
    if (err != WEIR_OK) {
        call->outcome = err == WEIR_ERR_LIMIT ? WEIR_OUTCOME_FULL : WEIR_OUTCOME_UNAVAILABLE;
        redis_count(&self->base.stats.subjects_refused, err == WEIR_ERR_LIMIT);
    } else if (!call->decision.allowed && call->decision.retry_after_us == WEIR_RETRY_NEVER &&
               can_pass(call)) {
        call->decision.retry_after_us = (uint64_t)WEIR_REDIS_BACK_OFF_MAX_MS * 1000;
    }
}

static void decide_local(struct redis_store *self, struct weir_call *call)
{
    redis_take_share(self, call);
    if (call->outcome == WEIR_OUTCOME_DECIDED && call->decision.allowed) {
        redis_share_used(self, call);
    } else {
        redis_share_denied(self, call);
    }
}

void redis_decide_without_store(struct redis_store *self, struct weir_call *call)
{
    call->local = true;
    switch (self->config->on_store_failure) {
    case WEIR_FAIL_LOCAL:
        decide_local(self, call);
        break;
    case WEIR_FAIL_CLOSED:
        call->outcome = WEIR_OUTCOME_UNAVAILABLE;
        redis_count(&self->base.stats.closed_decisions, 1);
        break;
    case WEIR_FAIL_OPEN:
        weir_decision_begin(&call->decision, redis_store_now_us(self, call->subject[0]));
        call->outcome = WEIR_OUTCOME_DECIDED;
        redis_count(&self->base.stats.open_decisions, 1);
        break;
    }
}

/* ---- on the way back: what fits the share and the store ---- */

void redis_share_used(struct redis_store *self, struct weir_call *call)
{
    call->local = true;
    call->outcome = WEIR_OUTCOME_DECIDED;
    redis_count(&self->base.stats.local_decisions, 1);
    grant_local(self, call);
}

void redis_share_denied(struct redis_store *self, struct weir_call *call)
{
    call->local = true;
    redis_count(&self->base.stats.local_decisions, call->outcome == WEIR_OUTCOME_DECIDED);
}

enum weir_err redis_take_both(struct redis_store *self, struct weir_call *call)
{
    redis_take_share(self, call);
    if (call->outcome != WEIR_OUTCOME_DECIDED || !call->decision.allowed) {
        redis_share_denied(self, call);
        return WEIR_OK;
    }
    if (!redis_send_take(self, call, TAKE_BOTH)) {
        redis_share_used(self, call);
        return WEIR_OK;
    }
    return WEIR_PENDING;
}

void redis_both_answered(struct redis_store *self, struct weir_call *call, const redisReply *reply,
                         uint64_t sent_us)
{
    uint64_t share_at_us = call->decision.at_us;
    enum redis_told told = redis_read_take(self, call, reply, sent_us);
    if (told == REDIS_TOLD_NOTHING) {
        redis_both_lost(self, call);
        return;
    }
    /* what the store has allowed is recorded at its own moment */
    const struct weir_amounts charges = weir_call_charges(call);
    redis_forget(self, call->subject, call->subjects, &charges, share_at_us);
    call->outcome = told == REDIS_TOLD ? WEIR_OUTCOME_DECIDED : WEIR_OUTCOME_FULL;
    if (told == REDIS_TOLD) {
        redis_grant(self, call, redis_granted_epoch(self));
    }
    call->done(call);
}

void redis_both_lost(struct redis_store *self, struct weir_call *call)
{
    redis_share_used(self, call);
    call->done(call);
}
