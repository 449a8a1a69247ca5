/* SPDX-License-Identifier: Apache-2.0 */
/* over.lua in a real Redis: who is accepted, who lives (lease rules 10 and 11), and what is charged
 * again (lease rule 12), held to a log that keeps every charge. */
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

enum { STREAMS = 120, EVENTS_MAX = 600, LOOKS = 60, CHARGES = 12 };

static redisReply *send_all(struct fixture *f, struct weir_buf *b)
{
    void *reply = NULL;
    redisAppendFormattedCommand(f->redis, b->data, b->len);
    assert_int_equal(redisGetReply(f->redis, &reply), REDIS_OK);
    weir_buf_deinit(b);
    return reply;
}

static void done(struct fixture *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = redisvCommand(f->redis, format, args);
    va_end(args);
    assert_non_null(r);
    assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
    freeReplyObject(r);
}

/* ---- who is accepted, and who lives ---- */

static const uint64_t PROCESS = 0xfedcba9876543210;

static const struct weir_redis_identity ONE = {
    "0000000000000000000000000000000000000001:0000000000000000000000000000000000000002"};
static const struct weir_redis_identity OTHER = {
    "0000000000000000000000000000000000000001:0000000000000000000000000000000000000003"};

static struct weir_redis_entered enter(struct fixture *f, uint64_t process)
{
    struct weir_buf b;
    struct weir_redis_entered entered;
    weir_buf_init(&b, 1 << 20);
    weir_redis_enter_command(&b, "5", process);
    redisReply *r = send_all(f, &b);
    assert_true(weir_redis_answer_enter(r, &entered));
    freeReplyObject(r);
    return entered;
}

static struct weir_redis_beaten beat(struct fixture *f, uint64_t process, uint64_t number,
                                     const struct weir_redis_identity *identity, bool accept)
{
    struct weir_buf b;
    struct weir_redis_beaten beaten;
    weir_buf_init(&b, 1 << 20);
    weir_redis_beat_command(&b, "5", process, number, identity, accept);
    redisReply *r = send_all(f, &b);
    assert_true(weir_redis_answer_beat(r, &beaten));
    freeReplyObject(r);
    return beaten;
}

static void leave(struct fixture *f, uint64_t process)
{
    struct weir_buf b;
    weir_buf_init(&b, 1 << 20);
    weir_redis_leave_command(&b, "5", process);
    redisReply *r = send_all(f, &b);
    assert_true(weir_redis_answer_leave(r));
    freeReplyObject(r);
}

static long long number_of(struct fixture *f, const char *command)
{
    redisReply *r = redisCommand(f->redis, command);
    assert_int_equal(r->type, REDIS_REPLY_INTEGER);
    long long number = r->integer;
    freeReplyObject(r);
    return number;
}

static void test_identity(void **state)
{
    struct fixture *f = *state;
    done(f, "FLUSHALL");
    struct weir_redis_entered e = enter(f, PROCESS);
    assert_false(e.has_accepted);
    assert_int_equal(e.beat, -1);
    /* data without an identity takes no beat, and neither does data of another one */
    assert_false(beat(f, PROCESS, 1, &ONE, false).accepted);
    assert_int_equal(number_of(f, "DBSIZE"), 0);
    assert_true(beat(f, PROCESS, 7, &ONE, true).accepted);
    assert_true(beat(f, PROCESS, 8, &ONE, false).accepted);
    assert_false(beat(f, PROCESS, 9, &OTHER, false).accepted);
    e = enter(f, PROCESS);
    assert_true(e.has_accepted);
    assert_string_equal(e.accepted.text, ONE.text);
    assert_int_equal(e.beat, 8);
    assert_true(e.clock_us > UINT64_C(1600000000000000));
    assert_int_equal(enter(f, PROCESS + 1).beat, -1);
    assert_true(beat(f, PROCESS, 10, &OTHER, true).accepted);
    assert_false(beat(f, PROCESS, 11, &ONE, false).accepted);
    assert_string_equal(enter(f, PROCESS).accepted.text, OTHER.text);
    /* both are there as long as the values may be */
    assert_int_equal(number_of(f, "PTTL weir:{5}:primary"), -1);
    assert_int_equal(number_of(f, "PTTL weir:{5}:beats"), -1);
    done(f, "FLUSHALL");
    assert_false(beat(f, PROCESS, 12, &OTHER, false).accepted);
    assert_int_equal(number_of(f, "DBSIZE"), 0);
}

static void test_beats(void **state)
{
    struct fixture *f = *state;
    done(f, "FLUSHALL");
    beat(f, PROCESS, 9, &ONE, true);
    beat(f, PROCESS, 10, &ONE, false); /* by number, not by text */
    assert_int_equal(enter(f, PROCESS).beat, 10);
    beat(f, PROCESS, 9, &ONE, false);
    assert_int_equal(enter(f, PROCESS).beat, 10);
    beat(f, PROCESS, (uint64_t)WEIR_REDIS_BEAT_MAX, &ONE, false);
    assert_int_equal(enter(f, PROCESS).beat, WEIR_REDIS_BEAT_MAX);
    beat(f, 1, 3, &ONE, false);
    assert_int_equal(enter(f, 1).beat, 3);
    leave(f, PROCESS);
    assert_int_equal(enter(f, PROCESS).beat, -1);
    assert_int_equal(enter(f, 1).beat, 3);
    leave(f, PROCESS);
}

static unsigned long long seconds(uint64_t clock_us)
{
    return clock_us / 1000000;
}

/* Writes the beat of another process. */
static void other_beat(struct fixture *f, const char *process, uint64_t clock_us, int age_s)
{
    char text[64];
    snprintf(text, sizeof(text), "1 %llu", seconds(clock_us) - (unsigned long long)age_s);
    done(f, "HSET weir:{5}:beats %s %s", process, text);
}

static void test_living(void **state)
{
    struct fixture *f = *state;
    struct weir_redis_beaten b;
    uint64_t from_us;
    /* within one second of the server */
    do {
        done(f, "FLUSHALL");
        from_us = enter(f, PROCESS).clock_us;
        other_beat(f, "now", from_us, 0);
        other_beat(f, "recent", from_us, 3);
        other_beat(f, "late", from_us, 4);
        other_beat(f, "old", from_us, 3600);
        other_beat(f, "gone", from_us, 3601);
        other_beat(f, "ahead", from_us, -4);
        other_beat(f, "ahead_gone", from_us, -3601);
        done(f, "HSET weir:{5}:beats broken x");
        b = beat(f, PROCESS, 1, &ONE, true);
    } while (seconds(b.clock_us) != seconds(from_us));
    assert_int_equal(b.living, 3);
    assert_int_equal(number_of(f, "HEXISTS weir:{5}:beats late"), 1);
    assert_int_equal(number_of(f, "HEXISTS weir:{5}:beats old"), 1);
    assert_int_equal(number_of(f, "HEXISTS weir:{5}:beats ahead"), 1);
    assert_int_equal(number_of(f, "HEXISTS weir:{5}:beats gone"), 0);
    assert_int_equal(number_of(f, "HEXISTS weir:{5}:beats ahead_gone"), 0);
    assert_int_equal(number_of(f, "HEXISTS weir:{5}:beats broken"), 0);
    /* counted once a second; who is new adds itself */
    do {
        from_us = enter(f, PROCESS).clock_us;
        char text[64];
        snprintf(text, sizeof(text), "41 %llu", seconds(from_us));
        done(f, "HSET weir:{5}:beats living %s", text);
        leave(f, 2);
        b = beat(f, PROCESS, 1, &ONE, false);
        assert_true(seconds(b.clock_us) != seconds(from_us) || b.living == 41);
        b = beat(f, 2, 1, &ONE, false);
        assert_true(seconds(b.clock_us) != seconds(from_us) || b.living == 42);
        b = beat(f, PROCESS, 1, &ONE, false);
    } while (seconds(b.clock_us) != seconds(from_us));
    assert_int_equal(b.living, 42);
}

/* Processes that start and die all the time do not fill the store. */
static void test_beats_are_bounded(void **state)
{
    struct fixture *f = *state;
    done(f, "FLUSHALL");
    uint64_t from_us = enter(f, PROCESS).clock_us;
    char text[64];
    snprintf(text, sizeof(text), "1 %llu", seconds(from_us) - 100);
    done(f,
         "EVAL %s 1 weir:{5}:beats %s",
         "for i = 1, 5000 do redis.call('HSET', KEYS[1], 'p' .. i, ARGV[1]) end", text);
    assert_int_equal(beat(f, PROCESS, 1, &ONE, true).living, 1);
    assert_int_equal(number_of(f, "HLEN weir:{5}:beats"), 2);
    assert_int_equal(enter(f, PROCESS).beat, 1);
}

/* ---- what is charged again ---- */

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
        .amounts = weir_amounts(weir_rand_below(&s->random, burst ? 300 : 3),
                                weir_rand_below(&s->random, most),
                                weir_rand_below(&s->random, most)),
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

static void random_history(struct stream *s, bool returns)
{
    uint64_t step_us = s->plan.window[weir_rand_below(&s->random, s->plan.windows)].step_us;
    uint64_t gap_us = step_us * (1 + weir_rand_below(&s->random, 12)) / 4;
    unsigned events = (unsigned)weir_rand_below(&s->random, EVENTS_MAX);
    unsigned empty = (unsigned)weir_rand_below(&s->random, 8); /* one of both, at times */
    for (unsigned i = 0; i < events; i++) {
        s->now_us += weir_rand_below(&s->random, 2 * gap_us);
        unsigned where = empty < 2 ? empty : (unsigned)weir_rand_below(&s->random, 2);
        random_event(s, where);
        if (returns && weir_rand_below(&s->random, 5) == 0) {
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
    redisReply *r = send_all(f, &b);
    if (r->type == REDIS_REPLY_ERROR) {
        fail_msg("%s", r->str);
    }
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
        assert_true(s->since_us > 0 || same_states(&mine, &table));
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
    random_history(s, seed % 3 == 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_beats),
        cmocka_unit_test(test_living),
        cmocka_unit_test(test_beats_are_bounded),
        cmocka_unit_test(test_merge),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
