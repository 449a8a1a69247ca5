/* SPDX-License-Identifier: Apache-2.0 */
/* charge.lua when it is called for leases: a list of requests, what is wanted ahead, what comes
 * back and what is owed. Its decisions and its bytes against src/limit, asked one after the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rand.h"
#include "limit/window.h"
#include "store/redis/answer.h"
#include "support/script.h"

enum { STREAMS = 80, STEPS = 250, SUBJECTS = 2, RETURNS = 4, ASKS = 9, GRANTS = 32 };

/* What a subject's value must be. */
struct mirror {
    struct weir_value v;
    struct weir_plan plan;
    char name[32];
    struct weir_subject subject;
};

struct stream {
    struct fixture *f;
    struct weir_rand random;
    struct mirror of[SUBJECTS];
    const struct weir_subject *named[SUBJECTS];
    unsigned subjects;
    uint64_t now_us, scale;
    struct {
        uint64_t at_us;
        struct weir_amounts left;
    } grant[GRANTS];
    unsigned grants;
};

/* One call, and the answer to it. */
struct asked {
    struct weir_amounts amount[WEIR_CALL_ASKS_MAX];
    const struct weir_amounts *ask[WEIR_CALL_ASKS_MAX];
    struct weir_return back[WEIR_CALL_RETURNS_MAX];
    struct weir_redis_lease lease;
    struct weir_amounts debt;
    redisReply *reply;
    struct weir_redis_granted granted;
};

static void send_ask(struct stream *s, struct asked *a)
{
    for (unsigned i = 0; i < a->lease.asks; i++) {
        a->ask[i] = &a->amount[i];
    }
    a->lease.ask = a->ask;
    a->lease.back = a->back;
    const struct weir_redis_charge charge = {.subject = s->named,
                                             .subjects = s->subjects,
                                             .clock = exactly(s->now_us),
                                             .amounts = a->debt,
                                             .lease = &a->lease};
    a->reply = call(s->f, &charge);
    assert_true(
        weir_redis_answer_granted(a->reply, s->named, s->subjects, a->lease.asks, &a->granted));
}

/* ---- the same on this side ---- */

static void prepare(struct mirror *m, uint64_t now_us)
{
    uint32_t need;
    while ((need = weir_value_prepare(&m->v, &m->plan, now_us)) > 0) {
        m->v.data = weir_realloc(m->v.data, need);
        m->v.room = need;
    }
}

static void add(struct mirror *m, uint64_t now_us, const struct weir_amounts *a)
{
    uint32_t need;
    while ((need = weir_value_add(&m->v, &m->plan, now_us, a)) > 0) {
        m->v.data = weir_realloc(m->v.data, need);
        m->v.room = need;
    }
}

static void sum(struct weir_amounts *to, const struct weir_amounts *a)
{
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        to->of[m] += a->of[m];
    }
}

/* The remainder of every limit, the least of each meter; what no limit counts has no end. */
static struct weir_amounts remaining(const struct stream *s, uint64_t now_us)
{
    struct weir_amounts left = {{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};
    struct weir_decision d = {0};
    for (unsigned i = 0; i < s->subjects; i++) {
        weir_value_states(&s->of[i].v, &s->of[i].plan, now_us, i, &d);
    }
    for (unsigned i = 0; i < d.states; i++) {
        uint64_t *of = &left.of[d.state[i].meter], is = weir_limit_remaining(&d.state[i]);
        *of = is < *of ? is : *of;
    }
    return left;
}

static bool fits(const struct stream *s, uint64_t now_us, const struct weir_amounts *a)
{
    bool all = true;
    for (unsigned i = 0; i < s->subjects; i++) {
        struct weir_verdict verdict;
        all = weir_value_fits(&s->of[i].v, &s->of[i].plan, now_us, a, &verdict) && all;
    }
    return all;
}

/* A sixteenth of what remains at most; all of what is wanted where that is less. */
static void check_ahead(const struct stream *s, const struct asked *a, uint64_t now_us)
{
    const struct weir_amounts left = remaining(s, now_us), *ahead = &a->granted.ahead;
    bool cut_by_total =
        ahead->of[WEIR_METER_TOTAL_TOKENS] + 1 >= left.of[WEIR_METER_TOTAL_TOKENS] / 16;
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        uint64_t most = left.of[m] == UINT64_MAX ? UINT64_MAX : left.of[m] / 16;
        uint64_t want = a->lease.want.of[m] < most ? a->lease.want.of[m] : most;
        assert_true(ahead->of[m] <= most);
        assert_true(ahead->of[m] <= a->lease.want.of[m]);
        assert_true(ahead->of[m] == want || m == WEIR_METER_TOTAL_TOKENS ||
                    (m != WEIR_METER_REQUESTS && cut_by_total));
    }
}

static void lower(struct stream *s, const struct asked *a)
{
    for (unsigned i = 0; i < s->subjects; i++) {
        for (unsigned k = 0; k < a->lease.returns; k++) {
            weir_value_lower(&s->of[i].v, &s->of[i].plan, a->back[k].at_us, &a->back[k].less);
        }
    }
}

static void charge_all(struct stream *s, uint64_t now_us, const struct weir_amounts *amounts)
{
    for (unsigned i = 0; i < s->subjects; i++) {
        add(&s->of[i], now_us, amounts);
    }
}

/* The requests, each a charge of its own. Returns what is charged in all. */
static struct weir_amounts follow_each(struct stream *s, const struct asked *a, uint64_t now_us)
{
    struct weir_amounts total = a->debt;
    bool all = true;
    charge_all(s, now_us, &a->debt);
    for (unsigned k = 0; k < a->lease.asks; k++) {
        bool passes = fits(s, now_us, &a->amount[k]);
        assert_int_equal(a->granted.mask[k], passes ? '1' : '0');
        all = all && passes;
        if (passes) {
            charge_all(s, now_us, &a->amount[k]);
            sum(&total, &a->amount[k]);
        }
    }
    assert_int_equal(a->granted.all, all);
    if (a->lease.asks > 0 && all) {
        check_ahead(s, a, now_us);
    }
    sum(&total, &a->granted.ahead);
    return total;
}

static void keep(struct stream *s, struct weir_value ret_kept[static SUBJECTS])
{
    for (unsigned i = 0; i < s->subjects; i++) {
        ret_kept[i] = s->of[i].v;
        ret_kept[i].data = weir_zalloc(s->of[i].v.room + 1);
        if (s->of[i].v.len > 0) {
            memcpy(ret_kept[i].data, s->of[i].v.data, s->of[i].v.len);
        }
    }
}

static void go_back(struct stream *s, const struct weir_value *kept)
{
    for (unsigned i = 0; i < s->subjects; i++) {
        weir_free(s->of[i].v.data);
        s->of[i].v = kept[i];
    }
}

/* What comes back, then what is owed, then each request in its order, then what is taken ahead; the
 * bytes are those of one charge of it all, or only of what comes back. */
static void follow(struct stream *s, const struct asked *a)
{
    struct weir_value first[SUBJECTS];
    uint64_t now_us = s->now_us;
    keep(s, first);
    for (unsigned i = 0; i < s->subjects; i++) {
        now_us = weir_value_now_us(&s->of[i].v, &s->of[i].plan, now_us);
    }
    for (unsigned i = 0; i < s->subjects; i++) {
        prepare(&s->of[i], now_us);
    }
    lower(s, a);
    if (a->lease.asks > 0) {
        assert_int_equal(a->granted.at_us, now_us);
    }
    struct weir_amounts total = follow_each(s, a, now_us);
    go_back(s, first);
    for (unsigned i = 0; i < s->subjects && !weir_amounts_none(&total); i++) {
        prepare(&s->of[i], now_us);
    }
    lower(s, a);
    charge_all(s, now_us, &total);
}

static void with_copy(const struct mirror *m, const void *bytes, uint32_t len, uint64_t now_us,
                      struct mirror *ret_copy)
{
    uint32_t room = WEIR_VALUE_MAX + WEIR_VALUE_SLACK;
    *ret_copy = *m;
    ret_copy->v = (struct weir_value){.data = weir_zalloc(room), .len = len, .room = room};
    memcpy(ret_copy->v.data, len == 0 ? "" : bytes, len);
    prepare(ret_copy, now_us);
}

/* The bytes in Redis, without what has left by now: a call that charges nothing writes none of
 * that. */
static void same_bytes(struct stream *s, uint64_t now_us)
{
    for (unsigned i = 0; i < s->subjects; i++) {
        struct mirror mine, theirs;
        const struct weir_value *v = &s->of[i].v;
        redisReply *r = redisCommand(s->f->redis, "GET weir:{%s}", s->of[i].name);
        with_copy(&s->of[i], v->data, v->len, now_us, &mine);
        with_copy(&s->of[i], r->str, r->str == NULL ? 0 : (uint32_t)r->len, now_us, &theirs);
        assert_int_equal(theirs.v.len, mine.v.len);
        assert_memory_equal(theirs.v.data, mine.v.data, mine.v.len);
        weir_free(mine.v.data);
        weir_free(theirs.v.data);
        freeReplyObject(r);
    }
}

/* ---- random calls ---- */

static struct weir_amounts random_amounts(struct stream *s)
{
    return weir_amounts(weir_rand_below(&s->random, 3), weir_rand_below(&s->random, 3 * s->scale),
                        weir_rand_below(&s->random, 3 * s->scale) * weir_rand_below(&s->random, 2));
}

/* Part of a grant, or more than that, or of a moment that nobody was granted anything at. */
static void random_return(struct stream *s, struct weir_return *back)
{
    unsigned k = (unsigned)weir_rand_below(&s->random, s->grants);
    back->at_us = s->grant[k].at_us;
    back->less = s->grant[k].left;
    switch (weir_rand_below(&s->random, 6)) {
    case 0:
        back->less = random_amounts(s);
        break;
    case 1:
        back->at_us -= weir_rand_below(&s->random, 3 * s->of[0].plan.window[0].step_us);
        break;
    default:
        s->grant[k] = s->grant[--s->grants];
        break;
    }
}

/* Whether the moment's entry has left one of the windows: what is lowered there is nothing, and the
 * script does not touch the free place. */
static bool has_left(const struct stream *s, uint64_t at_us)
{
    bool left = false;
    for (unsigned i = 0; i < s->subjects; i++) {
        for (unsigned k = 0; k < s->of[i].plan.windows; k++) {
            const struct weir_window_spec *w = &s->of[i].plan.window[k];
            left = left || (at_us / w->step_us + 1) * w->step_us + w->keep_us <= s->now_us;
        }
    }
    return left;
}

static void step(struct stream *s)
{
    struct asked a = {0};
    const struct weir_window_spec *w = &s->of[0].plan.window[0];
    s->now_us += weir_rand_below(&s->random, 20) == 0
                     ? weir_rand_below(&s->random, 2 * w->window_us)
                     : weir_rand_below(&s->random, 3) * weir_rand_below(&s->random, w->step_us);
    a.lease.asks = (unsigned)weir_rand_below(&s->random, ASKS);
    for (unsigned i = 0; i < a.lease.asks; i++) {
        do {
            a.amount[i] = random_amounts(s);
        } while (weir_amounts_none(&a.amount[i]));
    }
    if (a.lease.asks > 0) {
        a.lease.want = weir_amounts(weir_rand_below(&s->random, 10),
                                    weir_rand_below(&s->random, 20 * s->scale),
                                    weir_rand_below(&s->random, 20 * s->scale));
    }
    for (unsigned i = 0; s->grants > 0 && i < weir_rand_below(&s->random, RETURNS); i++) {
        struct weir_return *back = &a.back[a.lease.returns++];
        random_return(s, back);
        if (has_left(s,
                     back->at_us)) { /* something is charged: the value is brought to the present */
            a.debt = weir_amounts(1, 1, 1);
        }
    }
    if (weir_rand_below(&s->random, 8) == 0) {
        a.debt = random_amounts(s);
        a.debt.of[WEIR_METER_REQUESTS]++;
    }
    send_ask(s, &a);
    follow(s, &a);
    same_bytes(s, s->now_us > a.granted.at_us ? s->now_us : a.granted.at_us);
    if (!weir_amounts_none(&a.granted.ahead) && s->grants < GRANTS) {
        s->grant[s->grants].at_us = a.granted.at_us;
        s->grant[s->grants++].left = a.granted.ahead;
    }
    freeReplyObject(a.reply);
}

static void random_plan(struct stream *s, struct weir_plan *plan)
{
    static const uint32_t lengths[] = {1, 60, 86400};
    struct weir_limit limit[WEIR_PLAN_LIMITS_MAX];
    size_t count = 0;
    for (unsigned k = 0; k < 3; k++) {
        for (unsigned m = 0; m < WEIR_METERS; m++) {
            if (weir_rand_below(&s->random, 3) == 0) {
                uint64_t c = (m == 0 ? 20 : 20 * s->scale) * (1 + weir_rand_below(&s->random, 8));
                limit[count++] =
                    (struct weir_limit){m, lengths[k], c < WEIR_AMOUNT_MAX ? c : WEIR_AMOUNT_MAX};
            }
        }
    }
    if (count == 0) {
        limit[count++] = (struct weir_limit){WEIR_METER_TOTAL_TOKENS, 60, 100 * s->scale};
    }
    assert_int_equal(weir_plan_compile(limit, count, plan), WEIR_OK);
    weir_plan_lease(plan);
}

static void stream_begin(struct stream *s, struct fixture *f, uint64_t seed)
{
    static const uint64_t scales[] = {1, 30, 5000, UINT64_C(1) << 42};
    *s = (struct stream){.f = f, .subjects = 1 + seed % SUBJECTS};
    weir_rand_init(&s->random, seed);
    s->scale = scales[weir_rand_below(&s->random, 4)];
    s->now_us = UINT64_C(1700000000000000);
    for (unsigned i = 0; i < SUBJECTS; i++) {
        struct mirror *m = &s->of[i];
        snprintf(m->name, sizeof(m->name), "key:%llu-%u", (unsigned long long)seed, i);
        random_plan(s, &m->plan);
        m->subject = (struct weir_subject){.name = weir_str_z(m->name), .plan = &m->plan};
        s->named[i] = &m->subject;
    }
}

static void stream_end(struct stream *s)
{
    for (unsigned i = 0; i < SUBJECTS; i++) {
        weir_free(s->of[i].v.data);
    }
}

static void test_lists_are_decided_in_order(void **state)
{
    static struct stream s;
    for (uint64_t seed = 1; seed <= STREAMS; seed++) {
        stream_begin(&s, *state, seed);
        for (unsigned i = 0; i < STEPS; i++) {
            step(&s);
        }
        stream_end(&s);
    }
}

/* ---- chosen calls ---- */

static void limits_begin(struct stream *s, struct fixture *f, uint64_t seed,
                         const struct weir_limit *limit, size_t count)
{
    stream_begin(s, f, seed);
    s->subjects = 1;
    assert_int_equal(weir_plan_compile(limit, count, &s->of[0].plan), WEIR_OK);
    weir_plan_lease(&s->of[0].plan);
}

static struct asked ask(struct stream *s, const struct weir_amounts *amount, unsigned asks,
                        struct weir_amounts want)
{
    struct asked a = {.lease = {.asks = asks, .want = want}};
    memcpy(a.amount, amount, asks * sizeof(amount[0]));
    send_ask(s, &a);
    return a;
}

/* Guarantee 1: nothing is taken ahead of what does not remain, also where input and output share a
 * limit of their total, whose parts are rounded. */
static void test_ahead_of_totals(void **state)
{
    static struct stream s;
    for (unsigned total = 1; total < 1200; total += 7) {
        const struct weir_limit limits[] = {{WEIR_METER_OUTPUT_TOKENS, 60, 0},
                                            {WEIR_METER_TOTAL_TOKENS, 60, total}};
        limits_begin(&s, *state, 10000 + total, limits, 2);
        const struct weir_amounts one = weir_amounts(1, 1, 0);
        struct asked a = ask(&s, &one, 1, weir_amounts(5, 49 + total, 3));
        assert_true(a.granted.all);
        assert_int_equal(a.granted.ahead.of[WEIR_METER_OUTPUT_TOKENS], 0);
        assert_true(a.granted.ahead.of[WEIR_METER_INPUT_TOKENS] <= (total - 1) / 16);
        assert_true(a.granted.ahead.of[WEIR_METER_INPUT_TOKENS] + 1 >= (total - 1) / 16);
        freeReplyObject(a.reply);
        stream_end(&s);
    }
}

/* In order of arrival; what does not fit is passed over, and then nothing is taken ahead. */
static void test_passed_over(void **state)
{
    static struct stream s;
    const struct weir_limit limit = {WEIR_METER_INPUT_TOKENS, 60, 1000};
    const struct weir_amounts asks[] = {{{1, 600, 0, 600}}, {{1, 401, 0, 401}}, {{1, 300, 0, 300}},
                                        {{1, 101, 0, 101}}, {{1, 0, 7, 7}},     {{1, 100, 0, 100}},
                                        {{1, 1, 0, 1}}};
    limits_begin(&s, *state, 20000, &limit, 1);
    struct asked a = ask(&s, asks, 7, weir_amounts(9, 9, 9));
    assert_memory_equal(a.granted.mask, "1010110", 7);
    assert_true(weir_amounts_none(&a.granted.ahead));
    assert_false(a.granted.all);
    freeReplyObject(a.reply);
    /* what comes back makes room for what is asked beside it */
    struct asked back = {.lease = {.asks = 1, .returns = 1}};
    back.back[0] = (struct weir_return){s.now_us, {{1, 300, 0, 300}}};
    back.amount[0] = weir_amounts(1, 300, 0);
    send_ask(&s, &back);
    assert_true(back.granted.all);
    freeReplyObject(back.reply);
    /* what is owed comes before what is asked, and is charged whether it fits or not */
    struct asked debt = {.lease = {.asks = 1, .returns = 1}, .debt = {{0, 50, 0, 50}}};
    debt.back[0] = (struct weir_return){s.now_us, {{1, 49, 0, 49}}};
    debt.amount[0] = weir_amounts(1, 1, 0);
    send_ask(&s, &debt);
    assert_memory_equal(debt.granted.mask, "0", 1);
    freeReplyObject(debt.reply);
    const struct weir_redis_charge look = {
        .subject = s.named, .subjects = 1, .clock = exactly(s.now_us)};
    struct weir_decision d;
    uint64_t clock_us;
    redisReply *r = call(s.f, &look);
    assert_true(weir_redis_answer_decision(r, s.named, 1, &look.amounts, &d, &clock_us));
    assert_int_equal(d.state[0].used, 1001);
    freeReplyObject(r);
    stream_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_are_decided_in_order),
        cmocka_unit_test(test_ahead_of_totals),
        cmocka_unit_test(test_passed_over),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
