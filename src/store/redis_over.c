/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis_over.h"

#include "base/mem.h"
#include "store/redis/command.h"
#include "store/redis_internal.h"
#include "store/shared.h"

enum {
    BUSY_MS = 10,         /* how often it is looked what there is to do while something is */
    CALM_MS = 200,        /* and else */
    AGE_MIN_US = 1000000, /* a grant that is answered later is not used */
    AGES = 2,             /* nor one after so many time-outs, if that is later */
    DRIFT_US = 50000,     /* and this for the clocks, on top */
};

static struct redis_over *over_of(struct weir_redis_shard *shard)
{
    return shard == NULL ? NULL : *weir_redis_shard_data(shard);
}

static uint64_t age_max_us(const struct redis_store *self)
{
    uint64_t ages_us = AGES * (uint64_t)self->config->redis.timeout_ms * 1000;
    return ages_us > AGE_MIN_US ? ages_us : AGE_MIN_US;
}

static void look_soon(struct redis_store *self)
{
    uv_timer_start(&self->over_timer->uv, self->over_timer->uv.timer_cb, BUSY_MS, BUSY_MS);
}

/* ---- which way ---- */

bool redis_over_is_open(const struct redis_store *self)
{
    struct weir_redis_shard *shard;
    for (unsigned at = 0; (shard = weir_redis_shards_next(self->shards, &at)) != NULL;) {
        const struct redis_over *o = over_of(shard);
        bool open =
            o != NULL && o->primary != NULL && weir_primary_state(o->primary) == WEIR_PRIMARY_OPEN;
        if (!open && weir_redis_shard_slots(shard) > 0) {
            return false;
        }
    }
    return true;
}

enum redis_way redis_over_way(struct redis_store *self, struct weir_redis_shard *shard,
                              struct weir_str key)
{
    const struct redis_over *o = over_of(shard);
    if (o == NULL || o->primary == NULL) {
        return REDIS_WAY_NONE;
    }
    bool local = self->config->on_store_failure == WEIR_FAIL_LOCAL;
    switch (weir_primary_state(o->primary)) {
    case WEIR_PRIMARY_OPEN:
        return local && (weir_primary_is_back(o->primary, weir_clock_us()) ||
                         weir_marks_has(&self->shared->marks, key))
                   ? REDIS_WAY_BOTH
                   : REDIS_WAY_STORE;
    case WEIR_PRIMARY_BARRIER:
        return local ? REDIS_WAY_BOTH : REDIS_WAY_NONE;
    case WEIR_PRIMARY_NEW:
    case WEIR_PRIMARY_GOING:
    case WEIR_PRIMARY_LEFT:
        break;
    }
    return REDIS_WAY_NONE;
}

struct weir_primary *redis_over_granted_by(struct redis_store *self, uint64_t sent_us,
                                           uint64_t now_us)
{
    struct weir_redis_shard *shard = weir_redis_shards_answering(self->shards);
    const struct redis_over *o = over_of(shard);
    if (o == NULL || o->primary == NULL || now_us - sent_us > age_max_us(self)) {
        return NULL;
    }
    /* a slot that moves to a shard without slots takes its data along: there is nothing to enter */
    bool grants = weir_redis_shard_slots(shard) == 0
                      ? weir_primary_state(o->primary) != WEIR_PRIMARY_LEFT
                      : weir_primary_grants(o->primary, sent_us);
    return grants ? o->primary : NULL;
}

const struct weir_primary *redis_over_primary(struct redis_store *self,
                                              const struct weir_subject *subject)
{
    char key[WEIR_REDIS_KEY_MAX];
    const struct redis_over *o =
        over_of(weir_redis_shards_at(self->shards, weir_redis_key(subject, key)));
    return o == NULL ? NULL : o->primary;
}

/* ---- sending ---- */

struct weir_buf *redis_over_begin(const struct redis_over *o)
{
    return weir_redis_conn_begin(weir_redis_shard_conn(o->shard));
}

bool redis_over_end(struct redis_over *o, uint8_t what)
{
    return weir_redis_conn_end(weir_redis_shard_conn(o->shard), what, o, weir_clock_us());
}

static const char *tag_of(const struct redis_over *o, char buf[static WEIR_REDIS_TAG_BYTES])
{
    weir_redis_slot_tag(weir_redis_shard_slot(o->shard), buf);
    return buf;
}

/* ---- answers ---- */

/* What this process was granted, and had not been answered when the last beat left that is found
 * there, was granted after this moment of the store. */
static uint64_t covered_until_us(const struct redis_over *o, int64_t beat)
{
    uint64_t now_us = weir_clock_us(), beat_us = (uint64_t)beat * 1000;
    /* a worker that has not asked for long knows little of the clock: no later than it can be */
    uint64_t store_us = weir_clock_rule_bounds(weir_redis_shard_clock(o->shard), now_us).low_us;
    if (beat < 0 || beat_us > now_us) {
        return 0;
    }
    uint64_t ago_us = now_us - beat_us;
    ago_us += ago_us / 1000 + age_max_us(o->store) + DRIFT_US;
    return store_us > ago_us ? store_us - ago_us : 0;
}

static void enter_failed(struct redis_over *o)
{
    o->walk = REDIS_WALK_NONE;
    o->rest_until_us = weir_clock_us() + REDIS_REST_US;
    weir_primary_interrupted(o->store->shared->primaries, o->primary);
}

void redis_over_entered(struct redis_over *o, const redisReply *reply)
{
    struct weir_redis_entered entered;
    o->pending--;
    if (!weir_redis_answer_enter(reply, &entered)) {
        redis_count(&o->store->base.stats.errors, 1);
        enter_failed(o);
        return;
    }
    bool accepted = entered.has_accepted && strcmp(entered.accepted.text, o->primary->id) == 0;
    o->accepted_slot = accepted ? o->enter_slot : WEIR_REDIS_SLOTS;
    o->barrier_until_us = weir_clock_us() + WEIR_BARRIER_US;
    redis_walk_begin(o, REDIS_WALK_OVER, covered_until_us(o, entered.beat));
}

const char *redis_over_looked(const struct redis_over *o, const redisReply *reply)
{
    return o->primary == NULL || weir_redis_identity_is_told(o->primary->id, reply)
               ? NULL
               : "is another primary by now";
}

void redis_over_beaten(struct redis_over *o, const redisReply *reply, bool accepts)
{
    struct weir_redis_beaten beaten;
    if (o->primary == NULL) {
        return;
    }
    if (!weir_redis_answer_beat(reply, &beaten)) {
        redis_count(&o->store->base.stats.errors, 1);
    } else if (!beaten.accepted) {
        weir_primary_missed(o->store->shared->primaries, o->primary, o->beat_slot);
        look_soon(o->store);
    } else {
        atomic_store_explicit(&o->store->shared->nodes, beaten.living, memory_order_relaxed);
        weir_primary_beaten(o->store->shared->primaries, o->primary, o->beat_slot, accepts);
    }
}

void redis_over_lost(struct redis_over *o, bool enters)
{
    o->pending--;
    if (enters) {
        enter_failed(o);
    } else {
        redis_walk_failed(o);
    }
}

/* ---- what there is to do ---- */

/* Whether it is the same primary still, before what follows in the same write: the connection lives
 * through a promotion, and through the first replica, which is a new identity as well. */
static bool look(struct redis_over *o, struct weir_buf *out)
{
    static const struct weir_str info[] = {WEIR_STR_INIT("INFO"), WEIR_STR_INIT("replication")};
    weir_redis_command(out, info, 2);
    return redis_over_end(o, LOOK);
}

static void enter(struct redis_over *o)
{
    const struct weir_redis_identity *id =
        weir_redis_conn_identity(weir_redis_shard_conn(o->shard));
    struct weir_primaries *t = o->store->shared->primaries;
    /* a map that is about to come says of more slots that they are this shard's */
    if (weir_redis_shard_slots(o->shard) == 0 ||
        !weir_redis_shards_map_is_fresh(o->store->shards) ||
        !weir_primary_begin(t, o->primary, id->former, weir_clock_us())) {
        return;
    }
    char tag[WEIR_REDIS_TAG_BYTES];
    struct weir_buf *out = redis_over_begin(o);
    if (out != NULL && !look(o, out)) {
        out = NULL;
    }
    if (out != NULL) {
        o->enter_slot = weir_redis_shard_slot(o->shard);
        weir_redis_enter_command(out, tag_of(o, tag), o->store->shared->epoch);
    }
    if (out == NULL || !redis_over_end(o, ENTER)) {
        enter_failed(o);
        return;
    }
    o->walk = REDIS_WALK_ENTER;
    o->pending++;
}

static void report(struct redis_over *o)
{
    if (atomic_load_explicit(&o->store->shared->marks.count, memory_order_relaxed) == 0 ||
        !weir_primary_report_begin(o->store->shared->primaries, o->primary)) {
        return;
    }
    redis_walk_begin(o, REDIS_WALK_REPORT, UINT64_MAX);
}

static void beat(struct redis_over *o, uint64_t now_us)
{
    /* whichever handle has counted them */
    atomic_store_explicit(&o->store->base.stats.nodes,
                          atomic_load_explicit(&o->store->shared->nodes, memory_order_relaxed),
                          memory_order_relaxed);
    struct weir_buf *out = redis_over_begin(o);
    unsigned slot = weir_redis_shard_slot(o->shard);
    if (out == NULL || slot == WEIR_REDIS_SLOTS) {
        return;
    }
    enum weir_beat due =
        weir_primary_beat_due(o->store->shared->primaries, o->primary, slot, now_us);
    if (due == WEIR_BEAT_NONE) {
        return;
    }
    struct weir_redis_identity id = {0};
    char tag[WEIR_REDIS_TAG_BYTES];
    memcpy(id.text, o->primary->id, sizeof(o->primary->id));
    if (!look(o, out)) {
        return;
    }
    /* the number is read before it is sent, and after all that was answered */
    weir_redis_beat_command(out, tag_of(o, tag), o->store->shared->epoch, now_us / 1000, &id,
                            due == WEIR_BEAT_ACCEPT);
    o->beat_slot = slot;
    (void)redis_over_end(o, due == WEIR_BEAT_ACCEPT ? BEAT_ACCEPT : BEAT);
}

/* None: too many are known already. */
static void get_primary(struct redis_over *o, uint64_t now_us)
{
    const struct weir_redis_identity *id =
        weir_redis_conn_identity(weir_redis_shard_conn(o->shard));
    o->primary = weir_primaries_get(o->store->shared->primaries, id->text, now_us);
}

/* True: there is something under way. */
static bool step(struct redis_over *o, uint64_t now_us)
{
    if (o == NULL || !weir_redis_conn_is_up(weir_redis_shard_conn(o->shard))) {
        return false;
    }
    if (o->primary == NULL) {
        get_primary(o, now_us);
        return false;
    }
    switch (weir_primary_state(o->primary)) {
    case WEIR_PRIMARY_LEFT:
        weir_redis_conn_break(weir_redis_shard_conn(o->shard),
                              "is a former primary, whose place another has taken");
        return true;
    case WEIR_PRIMARY_NEW:
        if (o->walk == REDIS_WALK_NONE && now_us >= o->rest_until_us) {
            enter(o);
        }
        break;
    case WEIR_PRIMARY_GOING:
        break;
    case WEIR_PRIMARY_BARRIER:
    case WEIR_PRIMARY_OPEN:
        if (o->walk == REDIS_WALK_NONE && now_us >= o->rest_until_us) {
            report(o);
        }
        beat(o, now_us);
        break;
    }
    if (o->walk == REDIS_WALK_OVER || o->walk == REDIS_WALK_REPORT) {
        redis_walk_on(o);
    }
    return o->walk != REDIS_WALK_NONE || weir_primary_state(o->primary) != WEIR_PRIMARY_OPEN;
}

/* Servers that keep windows: how many are in reach, and how many are not. */
static void count_shards(struct redis_store *self)
{
    struct weir_store_stats *stats = &self->base.stats;
    struct weir_redis_shard *shard;
    uint64_t up = 0, serving = 0;
    for (unsigned at = 0; (shard = weir_redis_shards_next(self->shards, &at)) != NULL;) {
        if (weir_redis_shard_slots(shard) > 0) {
            serving++;
            up += weir_redis_conn_is_up(weir_redis_shard_conn(shard));
        }
    }
    atomic_store_explicit(&stats->shards_up, up, memory_order_relaxed);
    atomic_store_explicit(&stats->shards_away, serving - up, memory_order_relaxed);
}

/* A connection that is given up tells those who wait, and they may close the store. */
static void on_timer(uv_timer_t *uv)
{
    struct redis_store *self = ((struct lease_timer *)uv)->store;
    bool alive = true, *outer = self->alive;
    uint64_t now_us = weir_clock_us(), pause_ms = CALM_MS;
    struct weir_redis_shard *shard;
    self->alive = &alive;
    for (unsigned at = 0; alive && (shard = weir_redis_shards_next(self->shards, &at)) != NULL;) {
        pause_ms = step(over_of(shard), now_us) ? BUSY_MS : pause_ms;
    }
    if (!alive) {
        return;
    }
    self->alive = outer;
    count_shards(self);
    if (uv_timer_get_repeat(uv) != pause_ms) {
        uv_timer_start(uv, uv->timer_cb, pause_ms, pause_ms);
    }
}

/* ---- shards come and go ---- */

static void down(struct redis_over *o)
{
    if (o->primary == NULL) {
        return;
    }
    if (o->walk == REDIS_WALK_ENTER) {
        enter_failed(o);
    } else if (o->walk != REDIS_WALK_NONE) {
        redis_walk_give_up(o);
    }
    weir_primaries_put(o->store->shared->primaries, o->primary, weir_clock_us());
    o->pending = 0;
    o->primary = NULL;
}

static void up(struct redis_over *o)
{
    o->rest_until_us = 0;
    get_primary(o, weir_clock_us());
    if (o->primary != NULL && weir_primary_state(o->primary) == WEIR_PRIMARY_NEW) {
        enter(o);
    }
    look_soon(o->store);
}

void redis_over_shard(struct redis_store *self, struct weir_redis_shard *shard, bool is_up)
{
    unsigned number = weir_redis_shard_number(shard);
    struct redis_over *o = &self->over[number];
    if (is_up) {
        o->store = self;
        o->shard = shard;
        *weir_redis_shard_data(shard) = o;
        up(o);
        count_shards(self);
    } else if (over_of(shard) != NULL) {
        down(o);
        count_shards(self);
    }
}

/* ---- the beginning and the end ---- */

enum weir_err redis_over_open(struct redis_store *self)
{
    self->over = weir_zalloc_array(WEIR_REDIS_SHARDS_MAX, sizeof(self->over[0]));
    self->over_timer = weir_zalloc(sizeof(*self->over_timer));
    if (self->over == NULL || self->over_timer == NULL) {
        weir_free(self->over);
        weir_free(self->over_timer);
        self->over_timer = NULL;
        return WEIR_ERR_NOMEM;
    }
    self->over_timer->store = self;
    uv_timer_init(&self->loop->uv, &self->over_timer->uv);
    uv_timer_start(&self->over_timer->uv, on_timer, CALM_MS, CALM_MS);
    return WEIR_OK;
}

static void on_timer_closed(uv_handle_t *handle)
{
    weir_free(handle);
}

void redis_over_close(struct redis_store *self)
{
    struct weir_redis_shard *shard;
    if (self->over_timer == NULL) {
        return;
    }
    for (unsigned at = 0;
         self->shards != NULL && (shard = weir_redis_shards_next(self->shards, &at)) != NULL;) {
        struct redis_over *o = over_of(shard);
        char tag[WEIR_REDIS_TAG_BYTES];
        struct weir_buf *out = o == NULL || o->primary == NULL ? NULL : redis_over_begin(o);
        if (out != NULL && weir_redis_shard_slots(shard) > 0) {
            weir_redis_leave_command(out, tag_of(o, tag), self->shared->epoch);
            (void)redis_over_end(o, LEAVE);
        }
    }
    uv_close((uv_handle_t *)&self->over_timer->uv, on_timer_closed);
    self->over_timer = NULL;
}

void redis_over_free(struct redis_store *self)
{
    weir_free(self->over);
    self->over = NULL;
}
