/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded store and charge.lua in a real Redis, driven with the same operations at the same
 * injected times: equal decisions, and after each charge equal bytes. So guarantees 1 to 4 hold in
 * Redis as they do in C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"
#include "store/embedded/embedded.h"
#include "store/redis/answer.h"
#include "support/decision.h"
#include "support/script.h"

enum { STREAMS = 60, STEPS = 700, SUBJECTS = 3, TAKEN_MAX = 64 };

/* One charge that may be settled later. */
struct taken {
    uint64_t at_us;
    struct weir_amounts reserved;
    unsigned subjects, first;
};

struct stream {
    struct fixture *f;
    struct weir_rand random;
    struct weir_embedded *table;
    struct weir_value value[SUBJECTS]; /* what the bytes must be */
    struct weir_plan plan[2];
    char name[SUBJECTS][32];
    struct weir_subject subject[SUBJECTS];
    uint64_t now_us, mean_gap_us, scale;
    uint64_t floor_us; /* the table let entries leave then, and Redis was not written */
    struct taken taken[TAKEN_MAX];
    unsigned takens;
};

/* ---- the random parts ---- */

static void random_plan(struct stream *s, struct weir_plan *plan)
{
    static const uint32_t lengths[] = {1, 2, 7, 60, 3600, 86400, 30 * 86400};
    do {
        struct weir_limit limit[WEIR_PLAN_LIMITS_MAX];
        size_t count = 0;
        unsigned windows = 1 + (unsigned)weir_rand_below(&s->random, 3);
        for (unsigned k = 0; k < windows; k++) {
            uint32_t window_s = lengths[weir_rand_below(&s->random, 7)];
            for (unsigned m = 0; m < WEIR_METERS; m++) {
                if (weir_rand_below(&s->random, 3) > 0) {
                    uint64_t c = s->scale * (1 + weir_rand_below(&s->random, 300));
                    limit[count++] =
                        (struct weir_limit){m, window_s, c > WEIR_AMOUNT_MAX ? WEIR_AMOUNT_MAX : c};
                }
            }
        }
        if (count > 0 && weir_plan_compile(limit, count, plan) == WEIR_OK) {
            weir_plan_lease(plan); /* as all plans are that Redis keeps windows of */
            if (weir_rand_below(&s->random, 4) == 0) {
                weir_plan_shadow(plan, &limit[weir_rand_below(&s->random, count)]);
            }
            return;
        }
    } while (true);
}

static struct weir_amounts random_amounts(struct stream *s)
{
    uint64_t half = WEIR_AMOUNT_MAX / 2;
    uint64_t in = weir_rand_below(&s->random, 4 * s->scale) * weir_rand_below(&s->random, 2);
    uint64_t out = weir_rand_below(&s->random, 4 * s->scale) * weir_rand_below(&s->random, 3);
    if (weir_rand_below(&s->random, 40) == 0) {
        in = in > half / 1000 ? half : in * 1000;
    }
    return weir_amounts(weir_rand_below(&s->random, 3), in < half ? in : half,
                        out < half ? out : half);
}

static void not_before(struct stream *s, uint64_t floor_us)
{
    s->floor_us = floor_us;
    s->now_us = s->now_us < floor_us ? floor_us : s->now_us;
}

static void pass_time(struct stream *s)
{
    uint64_t dice = weir_rand_below(&s->random, 1000);
    const struct weir_window_spec *w = &s->plan[0].window[0];
    if (dice < 4) {
        s->now_us += UINT64_C(3600000000) * (1 + weir_rand_below(&s->random, 100));
    } else if (dice < 40) { /* onto the edge of a step, one off either way */
        uint64_t edge =
            (s->now_us / w->step_us + 1 + weir_rand_below(&s->random, 140)) * w->step_us;
        s->now_us = edge - 1 + weir_rand_below(&s->random, 3);
    } else if (dice < 800) {
        s->now_us += weir_rand_below(&s->random, 2 * s->mean_gap_us + 1);
    } else if (dice < 850) { /* a clock that steps back, or a call that was long under way */
        s->now_us -= weir_rand_below(&s->random, 4 * w->step_us);
    }
    not_before(s, s->floor_us);
}

/* ---- the same on both sides ---- */

/* The value as weir_embedded keeps it, to compare bytes. */
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

static void same_bytes(struct stream *s, unsigned i)
{
    redisReply *r = redisCommand(s->f->redis, "GET weir:{%s}", s->name[i]);
    const struct weir_value *v = &s->value[i];
    if (v->len == 0) {
        assert_int_equal(r->type, REDIS_REPLY_NIL);
    } else {
        assert_int_equal(r->type, REDIS_REPLY_STRING);
        assert_int_equal(r->len, v->len);
        assert_memory_equal(r->str, v->data, v->len);
    }
    freeReplyObject(r);
}

/* Both say before a charge what it will be answered; nothing changes, as the bytes and decisions
 * show that follow. */
static void probe(struct stream *s, const struct weir_subject *const *subject, unsigned subjects,
                  const struct weir_amounts *a, struct weir_decision *ret_probed)
{
    struct weir_decision theirs;
    uint64_t clock_us;
    assert_int_equal(weir_embedded_probe(s->table, subject, subjects, a, s->now_us, ret_probed),
                     WEIR_OK);
    const struct weir_redis_charge look = {
        .subject = subject, .subjects = subjects, .clock = exactly(s->now_us)};
    redisReply *r = call(s->f, &look);
    assert_true(weir_redis_answer_probe(r, subject, subjects, a, &theirs, &clock_us));
    freeReplyObject(r);
    assert_true(same_decision(ret_probed, &theirs));
}

static bool take(struct stream *s, unsigned first, unsigned subjects, const struct weir_amounts *a)
{
    const struct weir_subject *subject[SUBJECTS];
    struct weir_decision mine, theirs, probed;
    uint64_t clock_us;
    for (unsigned i = 0; i < subjects; i++) {
        subject[i] = &s->subject[first + i];
    }
    probe(s, subject, subjects, a, &probed);
    assert_int_equal(weir_embedded_take(s->table, subject, subjects, a, s->now_us, &mine), WEIR_OK);
    const struct weir_redis_charge charge = {
        .subject = subject, .subjects = subjects, .clock = exactly(s->now_us), .amounts = *a};
    redisReply *r = call(s->f, &charge);
    assert_true(weir_redis_answer_decision(r, subject, subjects, a, &theirs, &clock_us));
    freeReplyObject(r);
    assert_true(same_decision(&mine, &theirs));
    assert_true(same_decision(&mine, &probed));
    bool charged = mine.allowed && !weir_amounts_none(a);
    not_before(s, charged ? s->floor_us : mine.at_us);
    for (unsigned i = 0; i < subjects && charged; i++) {
        edit(&s->value[first + i], subject[i]->plan, mine.at_us, a);
        same_bytes(s, first + i);
    }
    if (charged && s->takens < TAKEN_MAX) {
        s->taken[s->takens++] = (struct taken){mine.at_us, *a, subjects, first};
    }
    return charged;
}

static void settle(struct stream *s, const struct taken *t, const struct weir_amounts *used)
{
    const struct weir_subject *subject[SUBJECTS];
    struct weir_amounts less, more;
    uint64_t debt;
    for (unsigned i = 0; i < t->subjects; i++) {
        subject[i] = &s->subject[t->first + i];
    }
    weir_amounts_settle(&t->reserved, used, &less, &more);
    assert_int_equal(weir_embedded_settle(s->table, subject, t->subjects, t->at_us, &t->reserved,
                                          used, s->now_us, &debt),
                     WEIR_OK);
    const struct weir_redis_charge charge = {.subject = subject,
                                             .subjects = t->subjects,
                                             .clock = exactly(s->now_us),
                                             .amounts = more,
                                             .settles = true,
                                             .less = less,
                                             .taken_at_us = t->at_us};
    redisReply *r = call(s->f, &charge);
    assert_int_equal(weir_redis_answer_settled(r), WEIR_REDIS_SETTLED);
    freeReplyObject(r);
    uint64_t now_us = s->now_us;
    for (unsigned i = 0; i < t->subjects; i++) {
        now_us = weir_value_now_us(&s->value[t->first + i], subject[i]->plan, now_us);
    }
    not_before(s, now_us);
    for (unsigned i = 0; i < t->subjects; i++) {
        struct weir_value *v = &s->value[t->first + i];
        edit(v, subject[i]->plan, now_us, weir_amounts_none(&more) ? NULL : &more);
        weir_value_lower(v, subject[i]->plan, t->at_us, &less);
        if (!weir_amounts_none(&more)) {
            same_bytes(s, t->first + i);
        }
    }
}

/* The operator changes a plan: the next charge adopts the value. */
static void change_plan(struct stream *s, unsigned i)
{
    struct weir_plan *plan = &s->plan[s->subject[i].plan == &s->plan[0]];
    const struct weir_plan *was = s->subject[i].plan;
    *plan = *was;
    do { /* leases live as long: else what a denial let go in the table alone would differ */
        random_plan(s, plan);
    } while (plan->life_us != was->life_us);
    s->subject[i].plan = plan;
}

static void step(struct stream *s)
{
    pass_time(s);
    uint64_t dice = weir_rand_below(&s->random, 100);
    if (dice < 20 && s->takens > 0) {
        unsigned k = (unsigned)weir_rand_below(&s->random, s->takens);
        struct taken t = s->taken[k];
        s->taken[k] = s->taken[--s->takens];
        struct weir_amounts used = random_amounts(s);
        used.of[WEIR_METER_REQUESTS] = t.reserved.of[WEIR_METER_REQUESTS];
        settle(s, &t, &used);
        return;
    }
    unsigned subjects = 1 + (unsigned)weir_rand_below(&s->random, SUBJECTS);
    unsigned first = (unsigned)weir_rand_below(&s->random, SUBJECTS - subjects + 1);
    struct weir_amounts a = dice < 25 ? weir_amounts(0, 0, 0) : random_amounts(s);
    take(s, first, subjects, &a);
}

static void run_stream(struct fixture *f, uint64_t seed, bool plans_change)
{
    static const uint64_t scales[] = {1, 40, 3000, 1000000, UINT64_C(1) << 40};
    struct stream *s = weir_zalloc(sizeof(*s));
    const struct weir_embedded_opts opts = {.max_subjects = SUBJECTS};
    s->f = f;
    weir_rand_init(&s->random, seed);
    s->scale = scales[weir_rand_below(&s->random, 5)];
    s->now_us = UINT64_C(1700000000000000) + weir_rand_below(&s->random, 1000000000);
    random_plan(s, &s->plan[0]);
    s->mean_gap_us = s->plan[0].window[0].step_us * (1 + weir_rand_below(&s->random, 20)) / 8;
    assert_int_equal(weir_embedded_new(&opts, &s->table), WEIR_OK);
    for (unsigned i = 0; i < SUBJECTS; i++) {
        snprintf(s->name[i], sizeof(s->name[i]), "key:%llu-%u", (unsigned long long)seed, i);
        s->subject[i] = (struct weir_subject){.name = weir_str_z(s->name[i]), .plan = &s->plan[0]};
        weir_subject_id(s->subject[i].name, s->subject[i].id);
    }
    for (unsigned i = 0; i < STEPS; i++) {
        step(s);
        if (plans_change && weir_rand_below(&s->random, 60) == 0) {
            /* charged at once: a denial or a look adopts the value in the table only, at its time
             */
            change_plan(s, 0);
            s->takens = 0;
            const struct weir_amounts one = weir_amounts(1, 1, 1);
            for (unsigned k = 0; k < SUBJECTS; k++) {
                s->subject[k].plan = s->subject[0].plan;
                const struct taken t = {.at_us = 0, .subjects = 1, .first = k};
                settle(s, &t, &one); /* always charged */
            }
        }
    }
    for (unsigned i = 0; i < SUBJECTS; i++) {
        weir_free(s->value[i].data);
    }
    weir_embedded_free(s->table);
    weir_free(s);
}

static void test_both_stores_decide_alike(void **state)
{
    for (uint64_t seed = 1; seed <= STREAMS; seed++) {
        run_stream(*state, seed, false);
    }
}

static void test_both_stores_adopt_alike(void **state)
{
    for (uint64_t seed = 1001; seed <= 1000 + STREAMS / 2; seed++) {
        run_stream(*state, seed, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_stores_decide_alike),
        cmocka_unit_test(test_both_stores_adopt_alike),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
