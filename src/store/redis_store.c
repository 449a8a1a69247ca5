/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis_store.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "store/redis/answer.h"
#include "store/redis_internal.h"
#include "store/shared.h"

enum { LOG_BURST = 5, REFUSED_US = 1000000 };

static struct redis_store *self_of(struct weir_store *s)
{
    return (struct redis_store *)s;
}

/* ---- where a subject is ---- */

/* What is known of the clock of the subject's shard. Used before the next call of the loop. */
static struct weir_clock_rule *clock_of(struct redis_store *self,
                                        const struct weir_subject *subject)
{
    char key[WEIR_REDIS_KEY_MAX];
    uint16_t slot = weir_redis_shards_slot(self->shards, weir_redis_key(subject, key));
    return weir_redis_shards_clock(self->shards, slot);
}

uint64_t redis_store_now_us(struct redis_store *self, const struct weir_subject *subject)
{
    return weir_clock_rule_store_us(clock_of(self, subject), weir_clock_us());
}

struct weir_redis_conn *redis_conn_of(struct redis_store *self,
                                      const struct weir_subject *const *subject, unsigned subjects,
                                      enum redis_way *ret_way)
{
    char first[WEIR_REDIS_KEY_MAX], other[WEIR_REDIS_KEY_MAX];
    struct weir_str key = weir_redis_key(subject[0], first);
    *ret_way = REDIS_WAY_NONE;
    for (unsigned i = 1; i < subjects; i++) {
        uint32_t held;
        if (!weir_redis_shards_apart(self->shards, key, weir_redis_key(subject[i], other))) {
            continue;
        }
        redis_count(&self->base.stats.errors, 1);
        if (weir_log_gate_pass(&self->error_log, 1, weir_clock_us(), &held)) {
            weir_log(WEIR_LOG_WARN, "store: a request's subjects are in more than two slots of "
                                    "the Redis Cluster: not charged there");
        }
        return NULL;
    }
    struct weir_redis_shard *shard = weir_redis_shards_at(self->shards, key);
    *ret_way = redis_over_way(self, shard, key);
    return *ret_way == REDIS_WAY_NONE ? NULL : weir_redis_shard_conn(shard);
}

/* ---- taking ---- */

void redis_grant(struct redis_store *self, struct weir_call *call, uint64_t epoch)
{
    const struct weir_amounts charges = weir_call_charges(call);
    if (call->decision.allowed && !weir_amounts_none(&charges)) {
        struct weir_reservation *r = &call->reservation;
        r->nonce = weir_rand_u64(&self->nonces) | 2; /* neither 0 nor 1 */
        r->epoch = epoch;
        r->at_us = call->decision.at_us;
        r->reserved = charges;
    }
}

/* Through the connection that redis_conn_of has found. */
static bool send_on(struct redis_store *self, struct weir_redis_conn *conn,
                    struct weir_redis_charge *charge, enum what what, void *ptr, uint64_t now_us)
{
    struct weir_buf *out = weir_redis_conn_begin(conn);
    if (out == NULL) {
        return false;
    }
    charge->clock = weir_clock_rule_bounds(clock_of(self, charge->subject[0]), now_us);
    weir_redis_charge_command(out, self->sha, charge);
    return weir_redis_conn_end(conn, (uint8_t)what, ptr, now_us);
}

bool redis_send(struct redis_store *self, struct weir_redis_charge *charge, enum what what,
                void *ptr, uint64_t now_us)
{
    enum redis_way way;
    struct weir_redis_conn *conn = redis_conn_of(self, charge->subject, charge->subjects, &way);
    return send_on(self, conn, charge, what, ptr, now_us);
}

bool redis_send_take(struct redis_store *self, struct weir_call *call, enum what what)
{
    struct weir_redis_charge charge = {
        .subject = call->subject, .subjects = call->subjects, .amounts = weir_call_charges(call)};
    return redis_send(self, &charge, what, call, call->now_us);
}

enum weir_err redis_take_alone(struct redis_store *self, struct weir_call *call)
{
    enum redis_way way;
    struct weir_redis_conn *conn = redis_conn_of(self, call->subject, call->subjects, &way);
    if (way == REDIS_WAY_BOTH && !weir_amounts_none(&call->amounts)) {
        return redis_take_both(self, call);
    }
    struct weir_redis_charge charge = {
        .subject = call->subject, .subjects = call->subjects, .amounts = weir_call_charges(call)};
    if (!send_on(self, conn, &charge, TAKE, call, call->now_us)) {
        redis_decide_without_store(self, call);
        return WEIR_OK;
    }
    return WEIR_PENDING;
}

static enum weir_err take(struct weir_store *s, struct weir_call *call)
{
    struct redis_store *self = self_of(s);
    call->local = false;
    call->reservation = (struct weir_reservation){0};
    call->own_subjects = redis_own_subjects(self, call->subject, call->subjects);
    if (call->own_subjects < call->subjects) {
        return redis_spread_take(self, call);
    }
    if (self->config->mode == WEIR_MODE_LEASE && !call->probe &&
        !weir_amounts_none(&call->amounts)) {
        return redis_lease_take(self, call);
    }
    return redis_take_alone(self, call);
}

bool redis_remember(struct redis_store *self, const struct weir_subject *const *subject,
                    unsigned subjects, const struct weir_amounts *a, uint64_t at_us)
{
    if (weir_amounts_none(a)) {
        return true;
    }
    bool kept = weir_embedded_record(self->shared->table, subject, subjects, a, at_us) == WEIR_OK;
    bool named = kept;
    for (unsigned i = 0; i < subjects && named; i++) { /* after it: the roll forgets who has none */
        named = weir_roll_add(self->shared->roll, subject[i]);
    }
    if (kept && !named) {
        redis_forget(self, subject, subjects, a, at_us);
    }
    return named;
}

void redis_forget(struct redis_store *self, const struct weir_subject *const *subject,
                  unsigned subjects, const struct weir_amounts *a, uint64_t at_us)
{
    const struct weir_amounts nothing = {0};
    uint64_t debt;
    enum weir_err err = weir_embedded_settle(self->shared->table, subject, subjects, at_us, a,
                                             &nothing, at_us, &debt);
    (void)err; /* lower only: needs no memory */
}

/* What an answer says of the store's clock, and that there was one. */
void redis_answered(struct redis_store *self, const struct weir_subject *subject, uint64_t sent_us,
                    uint64_t now_us, uint64_t clock_us)
{
    if (!weir_clock_rule_learn(clock_of(self, subject), sent_us, now_us, clock_us)) {
        redis_count(&self->base.stats.clock_refusals, 1);
    }
    redis_count(&self->base.stats.round_trips, 1);
    weir_hist_add(&self->base.stats.round_trip, (now_us - sent_us) * 1000);
}

enum redis_told redis_read_take(struct redis_store *self, struct weir_call *call,
                                const redisReply *reply, uint64_t sent_us)
{
    uint64_t now_us = weir_clock_us(), clock_us;
    const struct weir_amounts charges = weir_call_charges(call);
    struct weir_decision d;
    if (!(call->probe ? weir_redis_answer_probe : weir_redis_answer_decision)(
            reply, call->subject, call->subjects, &call->amounts, &d, &clock_us)) {
        redis_count(&self->base.stats.errors, 1);
        return REDIS_TOLD_NOTHING;
    }
    redis_answered(self, call->subject[0], sent_us, now_us, clock_us);
    bool kept =
        !d.allowed || redis_remember(self, call->subject, call->subjects, &charges, d.at_us);
    const struct weir_primary *by = redis_over_granted_by(self, sent_us, now_us);
    if (by == NULL) { /* looked at only now: it is recorded */
        return REDIS_TOLD_NOTHING;
    }
    if (!kept) {
        redis_count(&self->base.stats.subjects_refused, 1);
        return REDIS_TOLD_NO_ROOM;
    }
    call->decision = d;
    call->reservation.primary = by->hash;
    return REDIS_TOLD;
}

static void on_take(struct redis_store *self, struct weir_call *call, const redisReply *reply,
                    uint64_t sent_us)
{
    switch (redis_read_take(self, call, reply, sent_us)) {
    case REDIS_TOLD:
        call->outcome = WEIR_OUTCOME_DECIDED;
        redis_grant(self, call, redis_granted_epoch(self));
        break;
    case REDIS_TOLD_NO_ROOM:
        call->outcome = WEIR_OUTCOME_FULL;
        break;
    case REDIS_TOLD_NOTHING:
        redis_decide_without_store(self, call);
        break;
    }
    call->done(call);
}

/* ---- the connection ---- */

static const char *policy_name(const struct redis_store *self)
{
    static const char *const names[] = {
        [WEIR_FAIL_LOCAL] = "local", [WEIR_FAIL_CLOSED] = "closed", [WEIR_FAIL_OPEN] = "open"};
    return names[self->config->on_store_failure];
}

/* Redis is there and does not do what it is asked: its operator must hear why. */
static void on_error(struct redis_store *self, const redisReply *reply)
{
    uint64_t now_us = weir_clock_us();
    uint32_t held;
    if (weir_redis_answer_refuses_writes(reply)) {
        self->refused_until_us = now_us + REFUSED_US;
    }
    if (weir_log_gate_pass(&self->error_log, 1, now_us, &held)) {
        struct weir_str words = weir_redis_error_words(reply);
        weir_log(WEIR_LOG_WARN, "store: Redis answers a call with %.*s; on_store_failure: %s",
                 (int)words.len, words.p, policy_name(self));
    }
}

/* Whoever waits may close the store: nothing of it is touched after that. */
static const char *on_reply(void *ctx, uint8_t what, void *ptr, const redisReply *reply,
                            uint64_t sent_us)
{
    struct redis_store *self = ctx;
    const char *useless = weir_redis_answer_breaks(reply) ? "takes no calls any more" : NULL;
    redis_leases_go_on(self);
    if (reply->type == REDIS_REPLY_ERROR && useless == NULL) {
        on_error(self, reply);
    }
    switch ((enum what)what) {
    case TAKE:
        on_take(self, ptr, reply, sent_us);
        break;
    case SETTLE:
        redis_settle_done(self, ptr, reply, sent_us);
        break;
    case LEASE:
        redis_lease_answered(self, ptr, reply, sent_us);
        break;
    case TAKE_BOTH:
        redis_both_answered(self, ptr, reply, sent_us);
        break;
    case TAKE_OWN:
    case TAKE_SHARED:
    case LOOK_OWN:
    case LOOK_SHARED:
    case SETTLE_OWN:
    case SETTLE_SHARED:
        redis_spread_answered(self, (enum what)what, ptr, reply, sent_us);
        break;
    case RESET:
        redis_reset_answered(self, ptr, reply);
        break;
    case ENTER:
        redis_over_entered(ptr, reply);
        break;
    case MERGE:
        redis_walk_answered(ptr, reply);
        break;
    case LOOK:
        useless = useless != NULL ? useless : redis_over_looked(ptr, reply);
        break;
    case BEAT:
    case BEAT_ACCEPT:
        redis_over_beaten(ptr, reply, what == BEAT_ACCEPT);
        break;
    case LEAVE:
        break;
    case SETTLE_UNWATCHED:
        redis_count(reply->type == REDIS_REPLY_ERROR ? &self->base.stats.errors
                                                     : &self->base.stats.round_trips,
                    1);
        break;
    }
    return useless;
}

/* A charge that was sent may stand in Redis, unused: it was not granted here. */
static void on_lost(void *ctx, uint8_t what, void *ptr)
{
    struct redis_store *self = ctx;
    redis_count(&self->base.stats.errors, 1);
    redis_leases_go_on(self);
    if (what == TAKE) {
        struct weir_call *call = ptr;
        redis_decide_without_store(self, call);
        call->done(call);
    } else if (what == SETTLE) {
        struct weir_settle *settle = ptr;
        settle->result = WEIR_SETTLE_UNAVAILABLE;
        settle->done(settle);
    } else if (what == LEASE) {
        redis_lease_lost(self, ptr);
    } else if (what == TAKE_BOTH) {
        redis_both_lost(self, ptr);
    } else if (what == RESET) {
        redis_reset_lost(ptr);
    } else if (what == ENTER || what == MERGE) {
        redis_over_lost(ptr, what == ENTER);
    } else if (what != SETTLE_UNWATCHED && what < ENTER) {
        redis_spread_lost(self, (enum what)what, ptr);
    }
}

static void on_up(void *ctx)
{
    struct redis_store *self = ctx;
    if (!self->was_up) {
        weir_log(WEIR_LOG_INFO, "store: Redis is in reach again");
        redis_count(&self->base.stats.reconnects, 1);
    }
    self->was_up = true;
    atomic_store_explicit(&self->base.stats.up, 1, memory_order_relaxed);
}

static void on_down(void *ctx, enum weir_redis_why why, const char *text)
{
    struct redis_store *self = ctx;
    uint32_t held;
    bool news = self->was_up || why != self->why_down;
    if (news && weir_log_gate_pass(&self->log, LOG_BURST, weir_clock_us(), &held)) {
        weir_log(WEIR_LOG_WARN, "store: Redis %s; deciding by on_store_failure: %s", text,
                 policy_name(self));
    }
    self->was_up = false;
    self->why_down = why;
    atomic_store_explicit(&self->base.stats.up, 0, memory_order_relaxed);
}

static void on_shard(void *ctx, struct weir_redis_shard *shard, bool up)
{
    redis_over_shard(ctx, shard, up);
}

/* ---- the handle ---- */

static bool ready(const struct weir_store *s)
{
    const struct redis_store *self = (const struct redis_store *)s;
    return weir_redis_shards_are_up(self->shards) && redis_over_is_open(self) &&
           weir_clock_us() >= self->refused_until_us;
}

static uint64_t subjects(const struct weir_store *s)
{
    return weir_embedded_subjects(((const struct redis_store *)s)->shared->table);
}

static void close_store(struct weir_store *s)
{
    struct redis_store *self = self_of(s);
    redis_leases_close(self);
    redis_over_close(self);
    weir_redis_shards_close(self->shards);
    redis_over_free(self);
    weir_free(self);
}

static const struct weir_store_ops ops = {
    .take = take,
    .settle = redis_settle,
    .reset = redis_reset,
    .ready = ready,
    .subjects = subjects,
    .close = close_store,
};

enum weir_err weir_redis_store_open(const struct weir_config *config, struct weir_loop *loop,
                                    struct weir_store_shared *shared, struct weir_store **ret_store)
{
    struct redis_store *self = weir_zalloc(sizeof(*self));
    if (self == NULL) {
        return WEIR_ERR_NOMEM;
    }
    const struct weir_redis_owner owner = {
        .ctx = self,
        .on_reply = on_reply,
        .on_lost = on_lost,
        .on_up = on_up,
        .on_down = on_down,
    };
    uint64_t seed;
    weir_random_bytes(&seed, sizeof(seed));
    weir_rand_init(&self->nonces, seed);
    weir_redis_script_sha(self->sha);
    self->base.ops = &ops;
    self->config = config;
    self->shared = shared;
    self->was_up = true;
    char text[WEIR_REDIS_TLS_TEXT];
    enum weir_err err = redis_leases_open(self, loop);
    if (err == WEIR_OK) {
        err = redis_over_open(self);
    }
    if (err == WEIR_OK) {
        err = weir_redis_shards_open(loop, config, &owner, on_shard, &self->shards, text);
    }
    if (err != WEIR_OK) {
        if (err == WEIR_ERR_INVALID) {
            weir_log(WEIR_LOG_ERROR, "store: %s", text);
        }
        redis_leases_close(self);
        redis_over_close(self);
        redis_over_free(self);
        weir_free(self);
        return err;
    }
    *ret_store = &self->base;
    return WEIR_OK;
}
