/* SPDX-License-Identifier: Apache-2.0 */
/* redis_walk.c - charges again at one shard what this process has recorded, subject by subject:
 * when it goes over to a primary, and to tell what was used of the share (docs/model/README.md,
 * rules 12 to 14). */
#include "limit/plan_set.h"
#include "limit/window.h"
#include "store/redis/answer.h"
#include "store/redis_internal.h"
#include "store/shared.h"

enum {
    MERGES_MAX = 64,   /* under way for one shard */
    LOOKS_MAX = 10000, /* at the roll in one go: a worker has other things to do */
};

static bool serves(void *ctx, unsigned slot)
{
    const struct redis_over *o = ctx;
    return weir_redis_shard_serves(o->shard, slot);
}

static void walk_end(struct redis_over *o, bool done)
{
    struct redis_store *self = o->store;
    struct weir_primaries *t = self->shared->primaries;
    enum redis_walk walk = o->walk;
    uint64_t now_us = weir_clock_us();
    uint64_t back_until_us = done && o->marked.count > 0 ? now_us + WEIR_BARRIER_US : 0;
    o->walk = REDIS_WALK_NONE;
    if (!done) {
        weir_marks_put_back(&self->shared->marks, &o->marked);
    }
    o->marked.count = 0;
    o->rest_until_us = now_us + REDIS_REST_US;
    if (walk == REDIS_WALK_REPORT) {
        weir_primary_report_end(t, o->primary, back_until_us);
    } else if (done) {
        weir_primary_gone_over(t, o->primary, o->accepted_slot, o->barrier_until_us, back_until_us);
        redis_count(&self->base.stats.primaries_entered, 1);
    } else {
        weir_primary_interrupted(t, o->primary);
    }
}

/* Charges again what is recorded of one subject. False: it cannot be sent now. */
static bool merge(struct redis_over *o, const struct weir_subject *subject, uint64_t since_us)
{
    struct redis_store *self = o->store;
    uint8_t bytes[WEIR_VALUE_MAX];
    size_t len = weir_embedded_copy(self->shared->table, subject, bytes, sizeof(bytes));
    struct weir_value v = {bytes, (uint32_t)len, (uint32_t)len};
    if (len == 0 ||
        weir_value_now_us(&v, subject->plan, 0) + subject->plan->window[0].step_us <= since_us) {
        return true; /* nothing since */
    }
    struct weir_buf *out = redis_over_begin(o);
    if (out == NULL) {
        return false;
    }
    const struct weir_clock_bounds clock =
        weir_clock_rule_bounds(weir_redis_shard_clock(o->shard), weir_clock_us());
    weir_redis_merge_command(out, subject, clock, since_us, weir_str((const char *)bytes, len));
    if (!redis_over_end(o, MERGE)) {
        return false;
    }
    o->pending++;
    redis_count(&self->base.stats.charged_again, 1);
    return true;
}

/* From when on the subject's record is charged again; UINT64_MAX: it is not. */
static uint64_t since_of(const struct redis_over *o, const struct weir_subject *subject)
{
    char buf[WEIR_REDIS_KEY_MAX];
    struct weir_str key = weir_redis_key(subject, buf);
    if (weir_redis_shards_at(o->store->shards, key) != o->shard) {
        return UINT64_MAX;
    }
    bool marked = weir_marked_has(&o->marked, weir_redis_slot(key));
    return marked && o->marked.since_us < o->since_us ? o->marked.since_us : o->since_us;
}

static void fail(struct redis_over *o)
{
    o->failed = true;
    o->rest_until_us = weir_clock_us() + REDIS_REST_US;
}

/* In batches, each answered before the next one: one that failed is sent again, after a while, and
 * what is sent again is charged again. */
void redis_walk_on(struct redis_over *o)
{
    struct weir_roll_entry entry;
    if (o->pending > 0 || (o->failed && weir_clock_us() < o->rest_until_us)) {
        return;
    }
    if (o->failed) {
        o->at = o->batch_at;
        o->walked = false;
    }
    o->failed = false;
    o->batch_at = o->at;
    for (unsigned i = 0; i < LOOKS_MAX && !o->failed && !o->walked && o->pending < MERGES_MAX;
         i++) {
        o->walked = !weir_roll_next(o->store->shared->roll, &o->at, &entry);
        uint64_t since_us = o->walked ? UINT64_MAX : since_of(o, &entry.subject);
        if (since_us != UINT64_MAX && !merge(o, &entry.subject, since_us)) {
            fail(o);
        }
        weir_plan_let_go(o->walked ? NULL : entry.subject.plan);
    }
    if (o->walked && !o->failed && o->pending == 0) {
        walk_end(o, true);
    }
}

void redis_walk_begin(struct redis_over *o, enum redis_walk walk, uint64_t since_us)
{
    o->walk = walk;
    o->failed = o->walked = false;
    o->at = o->batch_at = 0;
    o->since_us = since_us;
    unsigned marked = weir_marks_take(&o->store->shared->marks, serves, o, &o->marked);
    if (walk == REDIS_WALK_REPORT && marked == 0) { /* all that is marked is of other shards */
        walk_end(o, true);
        return;
    }
    redis_walk_on(o);
}

/* What cannot be charged is skipped: a key that is no window at all, which no call is granted
 * either, and one under another plan, whose nodes keep another limit anyway. */
void redis_walk_answered(struct redis_over *o, const redisReply *reply)
{
    struct weir_redis_merged merged = {0};
    o->pending--;
    bool answered = weir_redis_answer_merge(reply, &merged);
    if (!answered || !merged.merged) {
        redis_count(&o->store->base.stats.errors, 1);
    }
    if (!answered && !weir_redis_answer_is_wrong_type(reply)) {
        fail(o);
    }
    redis_walk_on(o);
}

void redis_walk_failed(struct redis_over *o)
{
    o->pending--;
    fail(o);
}

void redis_walk_give_up(struct redis_over *o)
{
    walk_end(o, false);
}
