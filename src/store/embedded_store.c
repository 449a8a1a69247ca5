/* SPDX-License-Identifier: Apache-2.0 */
#include "store/embedded_store.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"

struct embedded_store {
    struct weir_store base;
    struct weir_embedded *table;
    struct weir_settled *settled;
    uint64_t epoch;
    struct weir_rand nonces;
};

static struct embedded_store *self_of(struct weir_store *s)
{
    return (struct embedded_store *)s;
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t was = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, was + n, memory_order_relaxed);
}

static enum weir_err take(struct weir_store *s, struct weir_call *call)
{
    struct embedded_store *self = self_of(s);
    call->local = false;
    const struct weir_amounts charges = weir_call_charges(call);
    enum weir_err err = (call->probe ? weir_embedded_probe : weir_embedded_take)(
        self->table, call->subject, call->subjects, &call->amounts, call->now_us, &call->decision);
    if (WEIR_UNLIKELY(err != WEIR_OK)) {
        call->outcome = err == WEIR_ERR_LIMIT ? WEIR_OUTCOME_FULL : WEIR_OUTCOME_UNAVAILABLE;
        count(err == WEIR_ERR_LIMIT ? &s->stats.subjects_refused : &s->stats.errors, 1);
        return WEIR_OK;
    }
    call->outcome = WEIR_OUTCOME_DECIDED;
    if (call->decision.allowed && !weir_amounts_none(&charges)) {
        call->reservation = (struct weir_reservation){
            .nonce = weir_rand_u64(&self->nonces) | 2, /* neither 0 nor 1 */
            .epoch = self->epoch,
            .at_us = call->decision.at_us,
            .reserved = call->amounts,
        };
    }
    return WEIR_OK;
}

enum weir_settle_result weir_embedded_settle_call(struct weir_embedded *table,
                                                  struct weir_settled *settled,
                                                  const struct weir_settle *settle, uint64_t now_us,
                                                  struct weir_store_stats *stats)
{
    const struct weir_reservation *r = &settle->reservation;
    if (settle->claim) {
        if (r->nonce < 2 || now_us > r->at_us + weir_settled_ttl_us(settled)) {
            return WEIR_SETTLE_EXPIRED;
        }
        switch (weir_settled_claim(settled, r->nonce, now_us)) {
        case WEIR_CLAIM_FIRST:
            break;
        case WEIR_CLAIM_REPEATED:
            return WEIR_SETTLE_REPEATED;
        case WEIR_CLAIM_FULL:
            return WEIR_SETTLE_UNAVAILABLE;
        }
    }
    uint64_t debt;
    if (weir_embedded_settle(table, settle->subject, settle->subjects, r->at_us, &r->reserved,
                             &settle->used, now_us, &debt) != WEIR_OK) {
        if (settle->claim) {
            weir_settled_forget(settled, r->nonce);
        }
        count(&stats->errors, 1);
        return WEIR_SETTLE_UNAVAILABLE;
    }
    count(&stats->debt_tokens, debt);
    return WEIR_SETTLE_DONE;
}

static enum weir_err settle(struct weir_store *s, struct weir_settle *settle)
{
    struct embedded_store *self = self_of(s);
    settle->result = WEIR_SETTLE_EXPIRED; /* of a process that is gone, with its windows */
    if (settle->reservation.epoch == self->epoch) {
        settle->result = weir_embedded_settle_call(self->table, self->settled, settle,
                                                   settle->now_us, &s->stats);
    }
    return WEIR_OK;
}

static enum weir_err reset(struct weir_store *s, struct weir_reset *reset)
{
    weir_embedded_reset(self_of(s)->table, reset->subject);
    reset->emptied = true;
    return WEIR_OK;
}

static bool ready(const struct weir_store *s)
{
    (void)s;
    return true;
}

static uint64_t subjects(const struct weir_store *s)
{
    return weir_embedded_subjects(((const struct embedded_store *)s)->table);
}

static void close_store(struct weir_store *s)
{
    weir_free(s);
}

static const struct weir_store_ops ops = {
    .take = take,
    .settle = settle,
    .reset = reset,
    .ready = ready,
    .subjects = subjects,
    .close = close_store,
};

enum weir_err weir_embedded_store_open(struct weir_embedded *table, struct weir_settled *settled,
                                       uint64_t epoch, struct weir_store **ret_store)
{
    struct embedded_store *self = weir_zalloc(sizeof(*self));
    if (self == NULL) {
        return WEIR_ERR_NOMEM;
    }
    uint64_t seed;
    weir_random_bytes(&seed, sizeof(seed));
    weir_rand_init(&self->nonces, seed);
    self->base.ops = &ops;
    atomic_store(&self->base.stats.up, 1);
    self->table = table;
    self->settled = settled;
    self->epoch = epoch;
    *ret_store = &self->base;
    return WEIR_OK;
}
