/* SPDX-License-Identifier: Apache-2.0 */
/* What over.lua charges again (lease rule 12), in a real Redis: a node's record and what is there
 * already, held to a log that keeps every charge and to a table that was charged with both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rand.h"
#include "limit/window.h"
#include "store/embedded/embedded.h"
#include "store/redis/over.h"
#include "support/decision.h"
#include "support/script.h"

enum { STREAMS = 300, EVENTS_MAX = 600, LOOKS = 60, CHARGES = 12 };

enum { MINE, THERE }; /* in this node's record, or in the store */

struct event {
    uint64_t at_us;
    struct weir_amounts amounts;
    unsigned where;
};

struct stream {
    struct fixture *f;
    struct weir_rand random;
    struct weir_plan plan;
    struct weir_subject subject;
    struct weir_embedded *table[2], *both;
    struct weir_value merged; /* what the script answered */
    uint64_t now_us, since_us, scale;
    bool returns; /* some of it was given back */
    struct event event[EVENTS_MAX];
    unsigned events;
    uint8_t bytes[WEIR_VALUE_MAX + WEIR_VALUE_SLACK];
};

static void random_plan(struct stream *s)
{
    static const uint32_t lengths[] = {1, 2, 7, 60, 3600, 86400, 30 * 86400};
    size_t count;
    do {
        struct weir_limit limit[WEIR_PLAN_LIMITS_MAX];
        unsigned windows = 1 + (unsigned)weir_rand_below(&s->random, 3);
        count = 0;
        for (unsigned k = 0; k < windows; k++) {
            uint32_t window_s = lengths[weir_rand_below(&s->random, 7)];
            for (unsigned m = 0; m < WEIR_METERS; m++) {
                if (weir_rand_below(&s->random, 2) > 0) {
                    limit[count++] = (struct weir_limit){m, window_s, 1000};
                }
            }
        }
        if (count > 0 && weir_plan_compile(limit, count, &s->plan) != WEIR_OK) {
            count = 0;
        }
    } while (count == 0);
    weir_plan_lease(&s->plan);
}

static void record(struct weir_embedded *table, const struct stream *s,
                   const struct weir_amounts *a)
{
    const struct weir_subject *subject = &s->subject;
    assert_int_equal(weir_embedded_record(table, &subject, 1, a, s->now_us), WEIR_OK);
}

static void random_event(struct stream *s, unsigned where)
{
    struct event *e = &s->event[s->events++];
    bool burst = weir_rand_below(&s->random, 30) == 0;
    uint64_t most = burst ? 300 * s->scale : s->scale;
    *e = (struct event){
        .at_us = s->now_us,
        .where = where,
        .amounts =
            weir_amounts(weir_rand_below(&s->random, burst ? 300 : 3),
                         weir_rand_below(&s->random, most), weir_rand_below(&s->random, most)),
    };
    record(s->table[where], s, &e->amounts);
    record(s->both, s, &e->amounts);
}

/* Gives back a part of what an event has. */
static void random_return(struct stream *s)
{
    struct event *e = &s->event[weir_rand_below(&s->random, s->events)];
    struct weir_amounts used = e->amounts;
    uint64_t debt;
    const struct weir_subject *subject = &s->subject;
    used = weir_amounts(used.of[WEIR_METER_REQUESTS], used.of[WEIR_METER_INPUT_TOKENS] / 2, 0);
    struct weir_embedded *const tables[] = {s->table[e->where], s->both};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(weir_embedded_settle(tables[i], &subject, 1, e->at_us, &e->amounts, &used,
                                              s->now_us, &debt),
                         WEIR_OK);
    }
    e->amounts = used;
}

static void random_history(struct stream *s)
{
    uint64_t step_us = s->plan.window[weir_rand_below(&s->random, s->plan.windows)].step_us;
    uint64_t gap_us = step_us * (1 + weir_rand_below(&s->random, 12)) / 4;
    unsigned events = (unsigned)weir_rand_below(&s->random, EVENTS_MAX);
    unsigned empty = (unsigned)weir_rand_below(&s->random, 8); /* one of both, at times */
    for (unsigned i = 0; i < events; i++) {
        s->now_us += weir_rand_below(&s->random, 2 * gap_us);
        unsigned where = empty < 2 ? empty : (unsigned)weir_rand_below(&s->random, 2);
        random_event(s, where);
        if (s->returns && weir_rand_below(&s->random, 5) == 0) {
            random_return(s);
        }
    }
    s->now_us += weir_rand_below(&s->random, 3 * gap_us);
}

/* What a window holds of a meter at t: all that was there, and of the record what ended later than
 * since. */
static uint64_t held(const struct stream *s, const struct weir_window_spec *w, unsigned meter,
                     uint64_t t_us)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < s->events; i++) {
        const struct event *e = &s->event[i];
        uint64_t end_us = (e->at_us / w->step_us + 1) * w->step_us;
        if (end_us + w->keep_us > t_us && (e->where == THERE || end_us > s->since_us)) {
            sum += e->amounts.of[meter];
        }
    }
    return sum;
}

static void edit(struct weir_value *v, const struct weir_plan *plan, uint64_t now_us,
                 const struct weir_amounts *add)
{
    uint32_t need;
    while ((need = weir_value_prepare(v, plan, now_us)) > 0 ||
           (add != NULL && (need = weir_value_add(v, plan, now_us, add)) > 0)) {
        v->data = weir_realloc(v->data, need);
        assert_non_null(v->data);
        v->room = need;
    }
}

static void take_value(struct weir_value *v, const char *bytes, size_t len)
{
    weir_free(v->data);
    *v = (struct weir_value){.len = (uint32_t)len, .room = (uint32_t)len + WEIR_VALUE_SLACK};
    v->data = weir_zalloc(v->room);
    assert_non_null(v->data);
    memcpy(v->data, bytes, len);
}

static redisReply *merge(struct fixture *f, const struct weir_subject *subject, uint64_t now_us,
                         uint64_t since_us, struct weir_str bytes,
                         struct weir_redis_merged *ret_merged)
{
    struct weir_buf b;
    weir_buf_init(&b, 1 << 20);
    weir_redis_merge_command(&b, subject, exactly(now_us), since_us, bytes);
    redisReply *r = answer_of(f, &b);
    assert_true(weir_redis_answer_merge(r, ret_merged));
    return r;
}

static struct weir_str value_of(struct stream *s, unsigned where)
{
    size_t len = weir_embedded_copy(s->table[where], &s->subject, s->bytes, sizeof(s->bytes));
    return weir_str((const char *)s->bytes, len);
}

/* Merges the record, and keeps what is there then. */
static void merge_record(struct stream *s)
{
    struct weir_redis_merged m;
    struct weir_str mine = value_of(s, MINE);
    if (mine.len == 0) { /* a node without a record has nothing to say */
        mine = value_of(s, THERE);
        take_value(&s->merged, mine.p, mine.len);
        return;
    }
    redisReply *r = merge(s->f, &s->subject, s->now_us, s->since_us, mine, &m);
    assert_true(m.merged);
    take_value(&s->merged, m.value->str, (size_t)m.value->len);
    freeReplyObject(r);
    r = redisCommand(s->f->redis, "GET weir:{%s}", s->subject.name.p);
    assert_int_equal(r->type == REDIS_REPLY_NIL ? 0 : r->len, s->merged.len);
    assert_true(s->merged.len == 0 || memcmp(r->str, s->merged.data, s->merged.len) == 0);
    freeReplyObject(r);
}

/* Equal sums now, and at moments until all has left. */
static void check_looks(struct stream *s)
{
    const struct weir_subject *subject = &s->subject;
    static const struct weir_amounts none = {{0}};
    uint64_t t_us = s->now_us, end_us = s->now_us + 2 * s->plan.longest_us;
    struct weir_value v = {0};
    take_value(&v, (const char *)s->merged.data, s->merged.len);
    for (unsigned i = 0; i < LOOKS; i++) {
        struct weir_decision mine, table;
        unsigned at = 0;
        edit(&v, &s->plan, t_us, NULL);
        assert_true(weir_value_valid(v.data, v.len));
        weir_decision_begin(&mine, t_us);
        weir_value_states(&v, &s->plan, t_us, 0, &mine);
        for (unsigned k = 0; k < s->plan.windows; k++) {
            const struct weir_window_spec *w = &s->plan.window[k];
            for (unsigned m = 0; m < w->meters; m++, at++) {
                assert_int_equal(mine.state[at].used, held(s, w, w->meter[m], t_us));
            }
        }
        assert_int_equal(weir_embedded_take(s->both, &subject, 1, &none, t_us, &table), WEIR_OK);
        /* an entry that was given back whole may be there or not, and with it when all is empty */
        assert_true(s->since_us > 0 || s->returns || same_states(&mine, &table));
        /* to just before or at a moment at which something may leave */
        const struct weir_window_spec *w =
            &s->plan.window[weir_rand_below(&s->random, s->plan.windows)];
        uint64_t steps = weir_rand_below(&s->random, 9);
        uint64_t later = (t_us / w->step_us + steps) * w->step_us + w->keep_us % w->step_us;
        later -= weir_rand_below(&s->random, 2);
        t_us = i == LOOKS - 1 ? end_us : later > t_us ? later : t_us;
    }
    weir_free(v.data);
}

/* What comes after a merge goes on as in C, byte by byte. */
static void check_charges(struct stream *s)
{
    const struct weir_subject *subject = &s->subject;
    for (unsigned i = 0; i < CHARGES && s->merged.len > 0; i++) {
        const struct weir_amounts a = weir_amounts(1 + i, s->scale, weir_rand_below(&s->random, 9));
        const struct weir_redis_charge charge = {.subject = &subject,
                                                 .subjects = 1,
                                                 .clock = exactly(s->now_us),
                                                 .amounts = a,
                                                 .settles = true};
        redisReply *r = call(s->f, &charge);
        freeReplyObject(r);
        edit(&s->merged, &s->plan, s->now_us, &a);
        r = redisCommand(s->f->redis, "GET weir:{%s}", s->subject.name.p);
        assert_int_equal(r->len, s->merged.len);
        assert_memory_equal(r->str, s->merged.data, s->merged.len);
        freeReplyObject(r);
        s->now_us += weir_rand_below(&s->random, 3 * s->plan.window[0].step_us);
    }
}

static void check_expiry(struct stream *s, const struct weir_str there)
{
    redisReply *r = redisCommand(s->f->redis, "PTTL weir:{%s}", s->subject.name.p);
    struct weir_value v = {0};
    take_value(&v, (const char *)s->merged.data, s->merged.len);
    uint64_t idle_us = weir_value_idle_at_us(&v) + s->plan.life_us;
    bool written = v.len > 0 && (there.len != v.len || memcmp(there.p, v.data, v.len) != 0);
    assert_true(!written || r->integer > 0);
    assert_true(!written || s->now_us + (uint64_t)r->integer * 1000 > idle_us + 60000000);
    assert_true(!written || s->now_us + (uint64_t)r->integer * 1000 <
                                s->now_us + s->plan.longest_us * 102 / 100 + 66000000);
    weir_free(v.data);
    freeReplyObject(r);
}

static void run_stream(struct fixture *f, uint64_t seed)
{
    static const uint64_t scales[] = {2, 100, 5000, 3000000, UINT64_C(1) << 34};
    struct stream *s = weir_zalloc(sizeof(*s));
    const struct weir_embedded_opts opts = {.max_subjects = 1};
    char name[32];
    assert_non_null(s);
    s->f = f;
    weir_rand_init(&s->random, seed);
    s->scale = scales[weir_rand_below(&s->random, 5)];
    s->now_us = UINT64_C(1700000000000000) + weir_rand_below(&s->random, 1000000000);
    random_plan(s);
    snprintf(name, sizeof(name), "key:over-%llu", (unsigned long long)seed);
    s->subject = (struct weir_subject){.name = weir_str_z(name), .plan = &s->plan};
    weir_subject_id(s->subject.name, s->subject.id);
    assert_int_equal(weir_embedded_new(&opts, &s->table[MINE]), WEIR_OK);
    assert_int_equal(weir_embedded_new(&opts, &s->table[THERE]), WEIR_OK);
    assert_int_equal(weir_embedded_new(&opts, &s->both), WEIR_OK);
    s->returns = seed % 3 == 0;
    random_history(s);
    if (seed % 2 == 0) {
        uint64_t back_us = weir_rand_below(&s->random, 2 * s->plan.window[0].window_us);
        s->since_us = s->now_us - back_us;
    }
    struct weir_str there = value_of(s, THERE);
    if (there.len > 0) {
        done(f, "SET weir:{%s} %b", name, there.p, there.len);
    }
    struct weir_value before = {0};
    take_value(&before, there.p, there.len);
    merge_record(s);
    check_expiry(s, weir_str((const char *)before.data, before.len));
    weir_free(before.data);
    check_looks(s);
    check_charges(s);
    weir_free(s->merged.data);
    weir_embedded_free(s->table[MINE]);
    weir_embedded_free(s->table[THERE]);
    weir_embedded_free(s->both);
    weir_free(s);
}

static void test_merge(void **state)
{
    for (uint64_t seed = 1; seed <= STREAMS; seed++) {
        run_stream(*state, seed);
    }
}

/* ---- particular values ---- */

static const uint64_t NOW_US = UINT64_C(1700000000000000);

/* A subject of one window. */
struct single {
    struct weir_plan plan;
    struct weir_subject subject;
};

static void single_of(struct single *s, const char *name, enum weir_meter meter, uint32_t window_s)
{
    const struct weir_limit limit = {meter, window_s, 100};
    assert_int_equal(weir_plan_compile(&limit, 1, &s->plan), WEIR_OK);
    weir_plan_lease(&s->plan);
    s->subject = (struct weir_subject){.name = weir_str_z(name), .plan = &s->plan};
}

static void charged(struct weir_value *v, const struct single *s, uint64_t tokens, uint64_t at_us)
{
    const struct weir_amounts a = weir_amounts(1, tokens, 0);
    edit(v, &s->plan, at_us, &a);
}

static struct weir_str bytes_of(const struct weir_value *v)
{
    return weir_str((const char *)v->data, v->len);
}

/* The sum that the merged value of a single window holds; of the value in the answer. */
static uint64_t merged_sum(struct fixture *f, const struct single *s, uint64_t now_us,
                           const struct weir_value *v)
{
    struct weir_redis_merged m;
    struct weir_value after = {0};
    struct weir_decision d;
    redisReply *r = merge(f, &s->subject, now_us, 0, bytes_of(v), &m);
    assert_true(m.merged);
    take_value(&after, m.value->str, (size_t)m.value->len);
    weir_decision_begin(&d, now_us);
    weir_value_states(&after, &s->plan, now_us, 0, &d);
    weir_free(after.data);
    freeReplyObject(r);
    return d.state[0].used;
}

static void test_merge_again(void **state)
{
    struct fixture *f = *state;
    struct single s;
    struct weir_value v = {0};
    single_of(&s, "key:again", WEIR_METER_INPUT_TOKENS, 60);
    charged(&v, &s, 5, NOW_US);
    assert_int_equal(merged_sum(f, &s, NOW_US, &v), 5);
    assert_int_equal(merged_sum(f, &s, NOW_US, &v), 10);
    /* what has left is not charged, and nothing is written for it */
    done(f, "DEL weir:{key:again}");
    assert_int_equal(merged_sum(f, &s, NOW_US + 61000000, &v), 0);
    assert_int_equal(number_of(f, "EXISTS weir:{key:again}"), 0);
    weir_free(v.data);
}

/* A primary whose clock is behind: the record has seen a later time, and all goes by that. */
static void test_merge_of_a_later_time(void **state)
{
    struct fixture *f = *state;
    struct single s;
    struct weir_value v = {0}, old = {0};
    single_of(&s, "key:later", WEIR_METER_INPUT_TOKENS, 60);
    charged(&old, &s, 7, NOW_US - 61000000);
    charged(&v, &s, 5, NOW_US);
    done(f, "SET weir:{key:later} %b", old.data, (size_t)old.len);
    assert_int_equal(merged_sum(f, &s, NOW_US - 30000000, &v), 5); /* the 7 have left by then */
    weir_free(old.data);
    weir_free(v.data);
}

static void test_merge_saturates(void **state)
{
    struct fixture *f = *state;
    struct single s;
    struct weir_value v = {0};
    single_of(&s, "key:much", WEIR_METER_INPUT_TOKENS, 60);
    for (unsigned i = 0; i < 6; i++) {
        charged(&v, &s, WEIR_AMOUNT_MAX / 2, NOW_US + i * UINT64_C(1000000));
    }
    uint64_t now_us = NOW_US + 6000000;
    assert_int_equal(merged_sum(f, &s, now_us, &v), 6 * (WEIR_AMOUNT_MAX / 2));
    assert_int_equal(merged_sum(f, &s, now_us, &v), WEIR_SUM_MAX);
    assert_int_equal(merged_sum(f, &s, now_us, &v), WEIR_SUM_MAX);
    weir_free(v.data);
}

/* Both have each step that can be alive. */
static void test_merge_of_full_rings(void **state)
{
    struct fixture *f = *state;
    struct single s;
    struct weir_value v = {0}, there = {0};
    single_of(&s, "key:full", WEIR_METER_INPUT_TOKENS, 60);
    uint64_t step_us = s.plan.window[0].step_us, at_us = NOW_US / step_us * step_us;
    for (unsigned i = 0; i < 400; i++, at_us += step_us) {
        charged(i % 2 == 0 ? &v : &there, &s, 1, at_us);
        charged(i % 3 == 0 ? &v : &there, &s, 1, at_us);
    }
    done(f, "SET weir:{key:full} %b", there.data, (size_t)there.len);
    assert_int_equal(merged_sum(f, &s, at_us - step_us, &v), 2 * 130);
    weir_free(v.data);
    weir_free(there.data);
}

/* What is there is left alone when it or the record is of another plan, or no value at all. */
static void other_plan(struct fixture *f, const struct single *s, struct weir_str there,
                       struct weir_str bytes)
{
    struct weir_redis_merged m;
    done(f, "SET weir:{key:plan} %b", there.p, there.len);
    redisReply *r = merge(f, &s->subject, NOW_US, 0, bytes, &m);
    assert_false(m.merged);
    assert_true(m.clock_us > 0);
    freeReplyObject(r);
    r = redisCommand(f->redis, "GET weir:{key:plan}");
    assert_int_equal(r->len, there.len);
    assert_memory_equal(r->str, there.p, there.len);
    freeReplyObject(r);
}

static void test_other_plans(void **state)
{
    struct fixture *f = *state;
    struct single s, length, meter;
    struct weir_value v = {0}, of_length = {0}, of_meter = {0};
    single_of(&s, "key:plan", WEIR_METER_INPUT_TOKENS, 60);
    single_of(&length, "key:plan", WEIR_METER_INPUT_TOKENS, 61);
    single_of(&meter, "key:plan", WEIR_METER_TOTAL_TOKENS, 60);
    charged(&v, &s, 1, NOW_US);
    charged(&of_length, &length, 1, NOW_US);
    charged(&of_meter, &meter, 1, NOW_US);
    char twice[256] = {0};
    memcpy(twice, v.data, v.len);
    memcpy(twice + v.len, v.data, v.len);
    const struct weir_str wrong[] = {
        bytes_of(&of_length),         bytes_of(&of_meter),        weir_str(twice, 2 * v.len),
        weir_str(twice, v.len + 1),   weir_str(twice, v.len - 1), weir_str(twice, 3),
        WEIR_STR("what is not ours"),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        other_plan(f, &s, wrong[i], bytes_of(&v));
        other_plan(f, &s, bytes_of(&v), wrong[i]);
    }
    weir_free(v.data);
    weir_free(of_length.data);
    weir_free(of_meter.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_merge_again),
        cmocka_unit_test(test_merge_of_a_later_time),
        cmocka_unit_test(test_merge_saturates),
        cmocka_unit_test(test_merge_of_full_rings),
        cmocka_unit_test(test_other_plans),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
