/* SPDX-License-Identifier: Apache-2.0 */
/* redis_settle.c - settlements: which of them Redis is told, and what it says of them. */
#include "store/embedded_store.h"
#include "store/redis/answer.h"
#include "store/redis_internal.h"
#include "store/shared.h"

static bool is_own(const struct redis_store *self, const struct weir_reservation *r)
{
    return r->epoch == redis_granted_epoch(self);
}

/* `lowers`: else only what was used beyond the reservation. */
static void copy(struct redis_store *self, const struct weir_settle *settle, bool lowers)
{
    const struct weir_reservation *r = &settle->reservation;
    struct weir_amounts reserved = r->reserved;
    uint64_t debt;
    for (unsigned m = 0; m < WEIR_METERS && !lowers; m++) {
        uint64_t used = settle->used.of[m];
        reserved.of[m] = used < reserved.of[m] ? used : reserved.of[m];
    }
    if (is_own(self, r)) {
        enum weir_err err = weir_embedded_settle(
            self->shared->table, settle->subject, settle->subjects, r->at_us, &reserved,
            &settle->used, redis_store_now_us(self, settle->subject[0]), &debt);
        (void)err; /* without room the reservation stands, in the copy only */
    }
}

void redis_settle_copy(struct redis_store *self, const struct weir_settle *settle)
{
    copy(self, settle, true);
}

/* ---- settled by this process before ---- */

/* A primary that is lost takes claims along. What this process has settled it has taken out of its
 * record, of which the next primary is told; there it may not be given back once more. So the
 * process remembers it, too; of a reservation over two slots each part by its moment. */
static uint64_t remembered_as(const struct weir_reservation *r)
{
    return (r->nonce ^ weir_mix64(r->at_us ^ (uint64_t)r->primary << 32)) | 2;
}

static bool is_settled(const struct redis_store *self, const struct weir_settle *settle)
{
    const struct weir_reservation *r = &settle->reservation;
    return settle->claim && is_own(self, r) &&
           weir_settled_has(self->shared->settled, remembered_as(r));
}

/* What cannot be remembered stays in the record. */
static enum weir_settle_result settled_now(struct redis_store *self,
                                           const struct weir_settle *settle)
{
    const struct weir_reservation *r = &settle->reservation;
    enum weir_claim claim = WEIR_CLAIM_FIRST;
    if (settle->claim && is_own(self, r)) {
        claim = weir_settled_claim(self->shared->settled, remembered_as(r),
                                   redis_store_now_us(self, settle->subject[0]));
    }
    if (claim == WEIR_CLAIM_REPEATED) {
        return WEIR_SETTLE_REPEATED;
    }
    copy(self, settle, claim == WEIR_CLAIM_FIRST);
    return WEIR_SETTLE_DONE;
}

/* ---- sending ---- */

/* Lease rule 6: what another process was granted by a primary that is gone may not be there, and
 * then others' use would be lowered. What is this one's own it has charged again. */
static bool may_lower(struct redis_store *self, const struct weir_settle *settle)
{
    const struct weir_reservation *r = &settle->reservation;
    if (is_own(self, r)) {
        return true;
    }
    const struct weir_primary *p = redis_over_primary(self, settle->subject[0]);
    return p != NULL && p->hash == r->primary;
}

void redis_count_debt(struct redis_store *self, const struct weir_settle *settle)
{
    struct weir_amounts less, more;
    weir_amounts_settle(&settle->reservation.reserved, &settle->used, &less, &more);
    redis_count(&self->base.stats.debt_tokens,
                more.of[WEIR_METER_INPUT_TOKENS] + more.of[WEIR_METER_OUTPUT_TOKENS]);
}

/* Where nobody waits nobody tries again either: this node's share may follow what was used, and
 * what was used beyond the reservation is told when Redis is back. */
static enum weir_err settle_not_sent(struct redis_store *self, struct weir_settle *settle)
{
    uint64_t store_us = redis_store_now_us(self, settle->subject[0]);
    struct weir_amounts less, more;
    redis_count(&self->base.stats.errors, 1);
    settle->result = WEIR_SETTLE_UNAVAILABLE;
    if (settle->done == NULL) {
        redis_settle_copy(self, settle);
        weir_amounts_settle(&settle->reservation.reserved, &settle->used, &less, &more);
        if (!weir_amounts_none(&more) && settle->reservation.epoch == redis_granted_epoch(self)) {
            redis_tell_later(self, settle->subject, settle->subjects, store_us);
        }
    }
    return WEIR_OK;
}

bool redis_send_settle(struct redis_store *self, const struct weir_settle *settle, enum what what,
                       void *ptr)
{
    const struct weir_reservation *r = &settle->reservation;
    struct weir_redis_charge charge = {
        .subject = settle->subject,
        .subjects = settle->subjects,
        .settles = true,
        .taken_at_us = r->at_us,
        .claim_nonce = settle->claim ? r->nonce : 0,
        .claim_ms = (uint64_t)self->config->reservation_ttl_s * 1000,
    };
    if (!is_settled(self, settle)) { /* else it claims only */
        weir_amounts_settle(&r->reserved, &settle->used, &charge.less, &charge.amounts);
    }
    if (!may_lower(self, settle)) {
        charge.less = (struct weir_amounts){0};
    }
    return redis_send(self, &charge, what, ptr, settle->now_us);
}

static enum weir_err send_settle(struct redis_store *self, struct weir_settle *settle)
{
    bool watched = settle->done != NULL;
    if (!redis_send_settle(self, settle, watched ? SETTLE : SETTLE_UNWATCHED,
                           watched ? settle : NULL)) {
        return settle_not_sent(self, settle);
    }
    if (watched) {
        return WEIR_PENDING;
    }
    settle->result = WEIR_SETTLE_DONE;
    redis_settle_copy(self, settle);
    redis_count_debt(self, settle);
    return WEIR_OK;
}

enum weir_err redis_settle(struct weir_store *s, struct weir_settle *settle)
{
    struct redis_store *self = (struct redis_store *)s;
    const struct weir_reservation *r = &settle->reservation;
    if (r->nonce == 0) { /* let through by `open`: nothing was taken */
        settle->result = WEIR_SETTLE_DONE;
        return WEIR_OK;
    }
    if (r->epoch == self->shared->epoch) {
        settle->result =
            weir_embedded_settle_call(self->shared->table, self->shared->settled, settle,
                                      redis_store_now_us(self, settle->subject[0]), &s->stats);
        return WEIR_OK;
    }
    if (r->epoch % 2 == 1) {
        settle->result = WEIR_SETTLE_ELSEWHERE;
        return WEIR_OK;
    }
    if (settle->claim && redis_store_now_us(self, settle->subject[0]) >
                             r->at_us + (uint64_t)self->config->reservation_ttl_s * 1000000) {
        settle->result = WEIR_SETTLE_EXPIRED;
        return WEIR_OK;
    }
    settle->own_subjects = redis_own_subjects(self, settle->subject, settle->subjects);
    if (settle->own_subjects < settle->subjects) {
        return redis_spread_settle(self, settle);
    }
    if (!settle->claim && redis_lease_settle(self, settle)) {
        return WEIR_OK;
    }
    return send_settle(self, settle);
}

enum weir_settle_result redis_settle_answered(struct redis_store *self,
                                              const struct weir_settle *settle,
                                              const redisReply *reply, uint64_t sent_us)
{
    redis_count(&self->base.stats.round_trips, 1);
    weir_hist_add(&self->base.stats.round_trip, (weir_clock_us() - sent_us) * 1000);
    switch (weir_redis_answer_settled(reply)) {
    case WEIR_REDIS_SETTLED:
        return settled_now(self, settle);
    case WEIR_REDIS_SETTLED_BEFORE:
        return WEIR_SETTLE_REPEATED;
    case WEIR_REDIS_NOT_SETTLED:
        break;
    }
    redis_count(&self->base.stats.errors, 1);
    return WEIR_SETTLE_UNAVAILABLE;
}

void redis_settle_done(struct redis_store *self, struct weir_settle *settle,
                       const redisReply *reply, uint64_t sent_us)
{
    settle->result = redis_settle_answered(self, settle, reply, sent_us);
    if (settle->result == WEIR_SETTLE_DONE) {
        redis_count_debt(self, settle);
    }
    settle->done(settle);
}
