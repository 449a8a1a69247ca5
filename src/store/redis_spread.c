/* SPDX-License-Identifier: Apache-2.0 */
/* redis_spread.c - requests whose subjects are in two slots of a cluster: its own ones, and behind
 * them what all share (a model). One script charges one slot, so each slot is asked for itself, and
 * never from a lease. What is under way is told by the command's `what`; the rest is in the call.
 */
#include "store/redis/answer.h"
#include "store/redis_internal.h"

static bool are_apart(const struct redis_store *self, const struct weir_subject *a,
                      const struct weir_subject *b)
{
    char key_a[WEIR_REDIS_KEY_MAX], key_b[WEIR_REDIS_KEY_MAX];
    return weir_redis_shards_apart(self->shards, weir_redis_key(a, key_a),
                                   weir_redis_key(b, key_b));
}

uint8_t redis_own_subjects(const struct redis_store *self,
                           const struct weir_subject *const *subject, uint8_t subjects)
{
    uint8_t own = 1;
    if (self->config->redis_seeds.kind != WEIR_REDIS_CLUSTER) {
        return subjects;
    }
    while (own < subjects && !are_apart(self, subject[0], subject[own])) {
        own++;
    }
    return own;
}

/* ---- taking ---- */

/* The subjects that a command is about. */
struct part {
    const struct weir_subject *const *subject;
    unsigned subjects;
};

static struct part part_of(const struct weir_call *call, enum what what)
{
    unsigned own = call->own_subjects;
    if (what == TAKE_SHARED || what == LOOK_SHARED) {
        return (struct part){call->subject + own, call->subjects - own};
    }
    return (struct part){call->subject, own};
}

static bool ask(struct redis_store *self, struct weir_call *call, enum what what)
{
    struct part part = part_of(call, what);
    struct weir_redis_charge charge = {.subject = part.subject, .subjects = part.subjects};
    if (what == TAKE_OWN || what == TAKE_SHARED) {
        charge.amounts = weir_call_charges(call);
    }
    return redis_send(self, &charge, what, call, weir_clock_us());
}

static enum redis_way way_of(struct redis_store *self, const struct weir_call *call, enum what what)
{
    enum redis_way way;
    struct part part = part_of(call, what);
    const struct weir_redis_conn *conn = redis_conn_of(self, part.subject, part.subjects, &way);
    return conn != NULL && weir_redis_conn_is_up(conn) ? way : REDIS_WAY_NONE;
}

/* Of a call that the share has allowed, too (REDIS_WAY_BOTH): when; 0: it was not asked. Until the
 * call is granted its reservation has no other use. */
static uint64_t *share_at_us(struct weir_call *call)
{
    return &call->reservation.at_us;
}

/* The share need not have allowed it. */
static void leave_share(struct redis_store *self, struct weir_call *call)
{
    const struct weir_amounts charges = weir_call_charges(call);
    if (*share_at_us(call) != 0) {
        redis_forget(self, call->subject, call->subjects, &charges, *share_at_us(call));
        *share_at_us(call) = 0;
    }
}

/* What the own slot has granted: call->decision is still its own. Nobody waits for it and it is not
 * sent again: where it fails the charge stands until its window is over. */
static void give_back(struct redis_store *self, const struct weir_call *call)
{
    struct part own = part_of(call, TAKE_OWN);
    const struct weir_amounts charges = weir_call_charges(call);
    struct weir_redis_charge charge = {
        .subject = own.subject,
        .subjects = own.subjects,
        .settles = true,
        .taken_at_us = call->decision.at_us,
        .less = charges,
    };
    if (!weir_amounts_none(&charges) &&
        !redis_send(self, &charge, SETTLE_UNWATCHED, NULL, weir_clock_us())) {
        redis_count(&self->base.stats.errors, 1);
    }
    redis_forget(self, own.subject, own.subjects, &charges, call->decision.at_us);
}

static void decide_without_store(struct redis_store *self, struct weir_call *call)
{
    if (*share_at_us(call) == 0) {
        redis_decide_without_store(self, call);
        return;
    }
    weir_decision_begin(&call->decision, *share_at_us(call)); /* the share has allowed it */
    redis_share_used(self, call);
}

enum weir_err redis_spread_take(struct redis_store *self, struct weir_call *call)
{
    WEIR_ASSERT(call->own_subjects > 0 && call->own_subjects < call->subjects);
    enum redis_way own_way = way_of(self, call, TAKE_OWN);
    enum redis_way shared_way = way_of(self, call, TAKE_SHARED);
    /* with a slot out of reach nothing need be given back */
    if (own_way == REDIS_WAY_NONE || shared_way == REDIS_WAY_NONE) {
        redis_decide_without_store(self, call);
        return WEIR_OK;
    }
    if ((own_way == REDIS_WAY_BOTH || shared_way == REDIS_WAY_BOTH) &&
        !weir_amounts_none(&call->amounts)) {
        redis_take_share(self, call);
        if (call->outcome != WEIR_OUTCOME_DECIDED || !call->decision.allowed) {
            redis_share_denied(self, call);
            return WEIR_OK;
        }
        *share_at_us(call) = call->decision.at_us;
    }
    if (!ask(self, call, TAKE_OWN)) {
        decide_without_store(self, call);
        return WEIR_OK;
    }
    return WEIR_PENDING;
}

static void without_store(struct redis_store *self, struct weir_call *call)
{
    decide_without_store(self, call);
    call->done(call);
}

static void without_shared(struct redis_store *self, struct weir_call *call)
{
    give_back(self, call);
    without_store(self, call);
}

/* False: it is no answer, or none that counts. What it grants is recorded. A look says of each part
 * what it would answer to the charge. */
static bool read_part(struct redis_store *self, struct weir_call *call, enum what what,
                      const redisReply *reply, uint64_t sent_us, struct weir_decision *d)
{
    struct part part = part_of(call, what);
    uint64_t now_us = weir_clock_us(), clock_us;
    const struct weir_amounts charges = weir_call_charges(call);
    bool looks = what == LOOK_OWN || what == LOOK_SHARED;
    if (!(looks         ? weir_redis_answer_look
          : call->probe ? weir_redis_answer_probe
                        : weir_redis_answer_decision)(reply, part.subject, part.subjects,
                                                      &call->amounts, d, &clock_us)) {
        redis_count(&self->base.stats.errors, 1);
        return false;
    }
    redis_answered(self, part.subject[0], sent_us, now_us, clock_us);
    if (looks) {
        return true;
    }
    bool kept =
        !d->allowed || redis_remember(self, part.subject, part.subjects, &charges, d->at_us);
    const struct weir_primary *by = redis_over_granted_by(self, sent_us, now_us);
    if (!kept || by == NULL) {
        return false;
    }
    *(what == TAKE_OWN ? &call->reservation.primary : &call->reservation.shared_primary) = by->hash;
    return true;
}

static void on_own(struct redis_store *self, struct weir_call *call, const redisReply *reply,
                   uint64_t sent_us)
{
    if (!read_part(self, call, TAKE_OWN, reply, sent_us, &call->decision)) {
        without_store(self, call);
        return;
    }
    call->outcome = WEIR_OUTCOME_DECIDED;
    bool allowed = call->decision.allowed;
    if (!allowed) {
        leave_share(self, call);
    }
    if (ask(self, call, allowed ? TAKE_SHARED : LOOK_SHARED)) {
        return;
    }
    if (allowed) {
        without_shared(self, call);
    } else {
        call->done(call);
    }
}

/* Both have allowed it. */
static void grant(struct redis_store *self, struct weir_call *call, uint64_t shared_at_us)
{
    leave_share(self, call);
    redis_grant(self, call, redis_granted_epoch(self));
    if (call->reservation.nonce != 0) {
        call->reservation.shared_at_us = shared_at_us;
    }
    call->done(call);
}

static void on_shared(struct redis_store *self, struct weir_call *call, const redisReply *reply,
                      uint64_t sent_us)
{
    struct weir_decision shared;
    if (!read_part(self, call, TAKE_SHARED, reply, sent_us, &shared)) {
        without_shared(self, call);
    } else if (shared.allowed) {
        weir_decision_join(&call->decision, &shared, call->own_subjects);
        grant(self, call, shared.at_us);
    } else {
        give_back(self, call);
        leave_share(self, call);
        weir_decision_begin(&call->decision, call->decision.at_us);
        weir_decision_join(&call->decision, &shared, call->own_subjects);
        if (!ask(self, call, LOOK_OWN)) {
            call->done(call);
        }
    }
}

/* It is denied already; this part's limits are told, too, and may deny it for longer. */
static void on_look(struct redis_store *self, struct weir_call *call, enum what what,
                    const redisReply *reply, uint64_t sent_us)
{
    struct weir_decision d;
    if (read_part(self, call, what, reply, sent_us, &d)) {
        if (what == LOOK_OWN) { /* its states stand first */
            weir_decision_join(&d, &call->decision, 0);
            call->decision = d;
        } else {
            weir_decision_join(&call->decision, &d, call->own_subjects);
        }
    }
    call->done(call);
}

/* ---- settling ---- */

static struct weir_settle settle_of(const struct weir_settle *settle, enum what what)
{
    struct weir_settle part = *settle;
    uint8_t own = settle->own_subjects;
    part.subjects = own;
    if (what == SETTLE_SHARED) {
        part.subjects = (uint8_t)(settle->subjects - own);
        memcpy(part.subject, settle->subject + own, part.subjects * sizeof(part.subject[0]));
        part.reservation.at_us = settle->reservation.shared_at_us;
        part.reservation.primary = settle->reservation.shared_primary;
        part.now_us = weir_clock_us();
    }
    return part;
}

/* Each slot is told, whatever the other says. Where somebody waits, one after the other. */
static bool tell(struct redis_store *self, struct weir_settle *settle, enum what what)
{
    const struct weir_settle part = settle_of(settle, what);
    bool watched = settle->done != NULL;
    bool sent =
        redis_send_settle(self, &part, watched ? what : SETTLE_UNWATCHED, watched ? settle : NULL);
    if (!sent) {
        redis_count(&self->base.stats.errors, 1);
        settle->result = WEIR_SETTLE_UNAVAILABLE;
    }
    if (!watched) { /* nobody tries again: this node's share may follow what was used */
        redis_settle_copy(self, &part);
    }
    return sent;
}

enum weir_err redis_spread_settle(struct redis_store *self, struct weir_settle *settle)
{
    WEIR_ASSERT(settle->own_subjects > 0 && settle->own_subjects < settle->subjects);
    settle->result = WEIR_SETTLE_DONE;
    bool sent = tell(self, settle, SETTLE_OWN);
    if (sent && settle->done != NULL) {
        return WEIR_PENDING;
    }
    sent = tell(self, settle, SETTLE_SHARED) || sent;
    if (sent && settle->done != NULL) {
        return WEIR_PENDING;
    }
    if (sent) {
        redis_count_debt(self, settle);
    }
    return WEIR_OK;
}

/* What both say: something is left to do; something was done now; all was done before. */
static enum weir_settle_result both(enum weir_settle_result own, enum weir_settle_result shared)
{
    return own == WEIR_SETTLE_REPEATED || shared == WEIR_SETTLE_UNAVAILABLE ? shared : own;
}

static void own_settled(struct redis_store *self, struct weir_settle *settle,
                        enum weir_settle_result result)
{
    settle->result = result;
    if (result == WEIR_SETTLE_DONE) {
        redis_count_debt(self, settle);
    }
    if (!tell(self, settle, SETTLE_SHARED)) {
        settle->done(settle);
    }
}

static void shared_settled(struct weir_settle *settle, enum weir_settle_result result)
{
    settle->result = both(settle->result, result);
    settle->done(settle);
}

static void on_settled(struct redis_store *self, struct weir_settle *settle, enum what what,
                       const redisReply *reply, uint64_t sent_us)
{
    const struct weir_settle part = settle_of(settle, what);
    enum weir_settle_result result = redis_settle_answered(self, &part, reply, sent_us);
    if (what == SETTLE_OWN) {
        own_settled(self, settle, result);
    } else {
        shared_settled(settle, result);
    }
}

/* ---- answers ---- */

void redis_spread_answered(struct redis_store *self, enum what what, void *ptr,
                           const redisReply *reply, uint64_t sent_us)
{
    switch (what) {
    case TAKE_OWN:
        on_own(self, ptr, reply, sent_us);
        break;
    case TAKE_SHARED:
        on_shared(self, ptr, reply, sent_us);
        break;
    case LOOK_OWN:
    case LOOK_SHARED:
        on_look(self, ptr, what, reply, sent_us);
        break;
    default:
        on_settled(self, ptr, what, reply, sent_us);
        break;
    }
}

void redis_spread_lost(struct redis_store *self, enum what what, void *ptr)
{
    struct weir_call *call = ptr;
    switch (what) {
    case TAKE_OWN:
        without_store(self, call);
        break;
    case TAKE_SHARED:
        without_shared(self, call);
        break;
    case LOOK_OWN:
    case LOOK_SHARED:
        call->done(call);
        break;
    case SETTLE_OWN:
        own_settled(self, ptr, WEIR_SETTLE_UNAVAILABLE);
        break;
    default:
        shared_settled(ptr, WEIR_SETTLE_UNAVAILABLE);
        break;
    }
}
