/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/mem.h"
#include "base/rand.h"
#include "limit/window.h"
#include "store/embedded/embedded.h"
#include "support/decision.h"
#include "support/naive.h"

enum { SUBJECTS = 3 };

static const uint64_t START_US = UINT64_C(1000000000000);

static struct weir_plan plan_of(const struct weir_limit *limits, size_t count)
{
    struct weir_plan plan;
    assert_int_equal(weir_plan_compile(limits, count, &plan), WEIR_OK);
    return plan;
}

static struct weir_subject subject_of(const char *name, const struct weir_plan *plan)
{
    struct weir_subject s = {.name = weir_str_z(name), .plan = plan};
    weir_subject_id(s.name, s.id);
    return s;
}

static struct weir_embedded *table_of(uint64_t max_subjects)
{
    struct weir_embedded *table;
    struct weir_embedded_opts opts = {.max_subjects = max_subjects};
    assert_int_equal(weir_embedded_new(&opts, &table), WEIR_OK);
    return table;
}

/* ---- guarantees 1 to 4 for several subjects of one decision, against the naive model ---- */

struct world {
    struct weir_rand random;
    struct weir_plan plan[SUBJECTS];
    struct weir_subject subject[SUBJECTS];
    struct naive model[SUBJECTS];
    struct weir_embedded *table;
    uint64_t now_us;
};

struct pick {
    const struct weir_subject *subject[SUBJECTS];
    unsigned index[SUBJECTS];
    unsigned count;
};

static struct pick pick_subjects(struct world *w)
{
    struct pick p = {.count = 0};
    unsigned bits = 1 + (unsigned)weir_rand_below(&w->random, (1U << SUBJECTS) - 1);
    for (unsigned i = 0; i < SUBJECTS; i++) {
        if ((bits >> i & 1) != 0) {
            p.subject[p.count] = &w->subject[i];
            p.index[p.count++] = i;
        }
    }
    return p;
}

static bool model_fits(struct world *w, const struct pick *p, const struct weir_amounts *a)
{
    bool fits = true;
    for (unsigned s = 0; s < p->count; s++) {
        struct naive *n = &w->model[p->index[s]];
        const struct weir_plan *plan = &w->plan[p->index[s]];
        naive_pass(n, plan, w->now_us);
        naive_prune(n, plan, w->now_us);
        for (unsigned k = 0; k < plan->windows; k++) {
            const struct weir_window_spec *spec = &plan->window[k];
            for (unsigned i = 0; i < spec->meters; i++) {
                uint64_t ask = a->of[spec->meter[i]];
                uint64_t held = naive_held(n, k, spec->meter[i]);
                fits = fits && (ask == 0 || held + ask <= spec->capacity[i]);
            }
        }
    }
    return fits;
}

static void model_add(struct world *w, const struct pick *p, const struct weir_amounts *a)
{
    for (unsigned s = 0; s < p->count; s++) {
        naive_add(&w->model[p->index[s]], w->now_us, w->now_us, a);
    }
}

static bool take(struct world *w, const struct pick *p, const struct weir_amounts *a,
                 struct weir_decision *d)
{
    struct weir_decision probed;
    assert_int_equal(weir_embedded_probe(w->table, p->subject, p->count, a, w->now_us, &probed),
                     WEIR_OK);
    assert_int_equal(weir_embedded_take(w->table, p->subject, p->count, a, w->now_us, d), WEIR_OK);
    assert_int_equal(d->allowed, model_fits(w, p, a));
    assert_true(same_decision(d, &probed));
    if (d->allowed) {
        model_add(w, p, a);
    }
    return d->allowed;
}

static void settle(struct world *w, const struct pick *p, const struct weir_amounts *reserved)
{
    uint64_t at_us = w->now_us, debt;
    struct weir_amounts used =
        weir_amounts(reserved->of[WEIR_METER_REQUESTS], weir_rand_below(&w->random, 80),
                     weir_rand_below(&w->random, 80));
    struct weir_amounts less, more;
    weir_amounts_settle(reserved, &used, &less, &more);
    w->now_us += weir_rand_below(&w->random, 3000000);
    assert_int_equal(weir_embedded_settle(w->table, p->subject, p->count, at_us, reserved, &used,
                                          w->now_us, &debt),
                     WEIR_OK);
    assert_int_equal(debt, more.of[WEIR_METER_INPUT_TOKENS] + more.of[WEIR_METER_OUTPUT_TOKENS]);
    for (unsigned s = 0; s < p->count; s++) {
        struct naive *n = &w->model[p->index[s]];
        for (unsigned m = 0; m < WEIR_METERS; m++) {
            n->event[n->events - 1].amount[m] -= less.of[m];
        }
    }
    model_add(w, p, &more);
}

static void world_step(struct world *w)
{
    struct pick p = pick_subjects(w);
    struct weir_amounts a =
        weir_amounts(weir_rand_below(&w->random, 2), weir_rand_below(&w->random, 70),
                     weir_rand_below(&w->random, 70));
    struct weir_decision d;
    w->now_us += weir_rand_below(&w->random, 2000000);
    if (take(w, &p, &a, &d)) {
        if (weir_rand_below(&w->random, 2) == 0) {
            settle(w, &p, &a);
        }
    } else if (d.retry_after_us == WEIR_RETRY_NEVER) {
        fail(); /* nothing asked here is larger than a capacity */
    } else if (weir_rand_below(&w->random, 8) == 0) {
        uint64_t then_us = w->now_us + d.retry_after_us;
        w->now_us = then_us - 1;
        assert_false(take(w, &p, &a, &d));
        assert_int_equal(d.retry_after_us, 1);
        w->now_us = then_us;
        assert_true(take(w, &p, &a, &d));
    }
}

static void test_several_subjects(void **state)
{
    (void)state;
    static const struct weir_limit limits[SUBJECTS][4] = {
        {{WEIR_METER_REQUESTS, 2, 5},
         {WEIR_METER_INPUT_TOKENS, 2, 100},
         {WEIR_METER_OUTPUT_TOKENS, 60, 900},
         {WEIR_METER_OUTPUT_TOKENS, 7, 200}},
        {{WEIR_METER_TOTAL_TOKENS, 60, 1500},
         {WEIR_METER_REQUESTS, 60, 30},
         {WEIR_METER_INPUT_TOKENS, 600, 5000},
         {WEIR_METER_REQUESTS, 1, 3}},
        {{WEIR_METER_OUTPUT_TOKENS, 13, 400},
         {WEIR_METER_INPUT_TOKENS, 13, 400},
         {WEIR_METER_REQUESTS, 13, 12},
         {WEIR_METER_TOTAL_TOKENS, 31, 2000}},
    };
    static const char *const names[SUBJECTS] = {"key:a", "team:b", "org:c"};
    struct world *w = weir_zalloc(sizeof(*w));
    weir_rand_init(&w->random, 7);
    w->now_us = START_US;
    w->table = table_of(10);
    for (unsigned i = 0; i < SUBJECTS; i++) {
        w->plan[i] = plan_of(limits[i], 4);
        w->subject[i] = subject_of(names[i], &w->plan[i]);
    }
    for (unsigned i = 0; i < 100000; i++) {
        world_step(w);
    }
    weir_embedded_free(w->table);
    weir_free(w);
}

/* ---- which limit a denial names ---- */

static void test_denial_names(void **state)
{
    (void)state;
    struct weir_limit limits[] = {{WEIR_METER_REQUESTS, 60, 1},
                                  {WEIR_METER_INPUT_TOKENS, 60, 10},
                                  {WEIR_METER_OUTPUT_TOKENS, 60, 10}};
    struct weir_plan plan = plan_of(limits, 3);
    struct weir_subject key = subject_of("key:k", &plan), org = subject_of("org:o", &plan);
    const struct weir_subject *both[] = {&key, &org}, *one[] = {&org};
    struct weir_embedded *table = table_of(10);
    struct weir_decision d;
    struct weir_amounts a = weir_amounts(1, 6, 6), big = weir_amounts(1, 6, 11);
    assert_int_equal(weir_embedded_take(table, one, 1, &a, START_US, &d), WEIR_OK);
    assert_true(d.allowed);
    assert_int_equal(weir_embedded_take(table, both, 2, &a, START_US, &d), WEIR_OK);
    assert_false(d.allowed);
    assert_int_equal(d.denied_subject, 1);
    assert_int_equal(d.denied_meter, WEIR_METER_INPUT_TOKENS);
    assert_int_equal(d.states, 6);
    assert_int_equal(d.state[0].used, 0); /* the key's own meters are as they were */
    assert_int_equal(weir_embedded_take(table, both, 2, &big, START_US, &d), WEIR_OK);
    assert_int_equal(d.denied_subject, 0); /* can never pass: that is what the caller must know */
    assert_int_equal(d.denied_meter, WEIR_METER_OUTPUT_TOKENS);
    assert_true(d.retry_after_us == WEIR_RETRY_NEVER);
    weir_embedded_free(table);
}

/* ---- the bound: guarantee 6 ---- */

static enum weir_err take_one(struct weir_embedded *table, const struct weir_subject *s,
                              uint64_t input, uint64_t now_us, struct weir_decision *d)
{
    struct weir_amounts a = weir_amounts(1, input, 0);
    return weir_embedded_take(table, &s, 1, &a, now_us, d);
}

static enum weir_err probe_one(struct weir_embedded *table, const struct weir_subject *s,
                               uint64_t now_us)
{
    struct weir_amounts a = weir_amounts(1, 1, 0);
    struct weir_decision d;
    return weir_embedded_probe(table, &s, 1, &a, now_us, &d);
}

static void test_bound(void **state)
{
    (void)state;
    struct weir_limit limit = {WEIR_METER_INPUT_TOKENS, 60, 100};
    struct weir_plan plan = plan_of(&limit, 1);
    struct weir_subject reserved = subject_of("key:reserved", &plan);
    struct weir_embedded *table = table_of(101);
    struct weir_decision d;
    assert_int_equal(weir_embedded_reserve(table, &reserved), WEIR_OK);
    char name[16];
    for (unsigned i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "key:%u", i);
        struct weir_subject s = subject_of(name, &plan);
        assert_int_equal(take_one(table, &s, 100, START_US + i * 1000000, &d), WEIR_OK);
    }
    assert_int_equal(weir_embedded_subjects(table), 101);
    struct weir_subject fresh = subject_of("key:new", &plan);
    uint64_t step_us = plan.window[0].step_us;
    uint64_t leaves_us = (START_US / step_us + 1) * step_us + 60000000;
    uint64_t now_us = leaves_us - 1; /* the first one's usage has not quite left */
    assert_int_equal(take_one(table, &fresh, 1, now_us, &d), WEIR_ERR_LIMIT);
    assert_int_equal(take_one(table, &fresh, 0, now_us, &d), WEIR_ERR_LIMIT);
    assert_int_equal(probe_one(table, &fresh, now_us), WEIR_ERR_LIMIT);
    assert_int_equal(probe_one(table, &reserved, now_us), WEIR_OK);
    assert_int_equal(weir_embedded_subjects(table), 101);
    struct weir_amounts look = weir_amounts(0, 0, 0);
    const struct weir_subject *one = &fresh;
    assert_int_equal(weir_embedded_take(table, &one, 1, &look, now_us, &d), WEIR_OK);
    assert_int_equal(take_one(table, &reserved, 1, now_us, &d), WEIR_OK);
    for (unsigned i = 0; i < 100; i++) { /* all that still hold usage are still there */
        snprintf(name, sizeof(name), "key:%u", i);
        struct weir_subject s = subject_of(name, &plan);
        assert_int_equal(take_one(table, &s, 1, now_us, &d), WEIR_OK);
        assert_false(d.allowed);
    }
    now_us += 1; /* now it has: its place goes to the new one */
    assert_int_equal(probe_one(table, &fresh, now_us), WEIR_OK);
    assert_int_equal(take_one(table, &fresh, 1, now_us, &d), WEIR_OK);
    assert_true(d.allowed);
    assert_int_equal(weir_embedded_subjects(table), 101);
    weir_embedded_free(table);
}

/* ---- an operator's reset ---- */

static uint64_t used_at(struct weir_embedded *table, const struct weir_subject *s, uint64_t now_us)
{
    struct weir_amounts look = weir_amounts(0, 0, 0);
    struct weir_decision d;
    assert_int_equal(weir_embedded_take(table, &s, 1, &look, now_us, &d), WEIR_OK);
    return d.state[0].used;
}

static void test_reset(void **state)
{
    (void)state;
    struct weir_limit limit = {WEIR_METER_INPUT_TOKENS, 60, 100};
    struct weir_plan plan = plan_of(&limit, 1);
    struct weir_subject s = subject_of("key:k", &plan), other = subject_of("key:o", &plan);
    const struct weir_subject *one = &s;
    struct weir_embedded *table = table_of(2);
    struct weir_amounts reserved = weir_amounts(1, 90, 0), nothing = weir_amounts(1, 0, 0);
    struct weir_decision d;
    uint64_t debt;
    weir_embedded_reset(table, &s); /* not held: nothing */
    assert_int_equal(take_one(table, &s, 90, START_US, &d), WEIR_OK);
    assert_int_equal(take_one(table, &other, 7, START_US, &d), WEIR_OK);
    weir_embedded_reset(table, &s);
    assert_int_equal(used_at(table, &s, START_US), 0);
    assert_int_equal(used_at(table, &other, START_US), 7);
    /* what was reserved before it is settled: it lowers what is there, and never below 0 */
    assert_int_equal(
        weir_embedded_settle(table, &one, 1, START_US, &reserved, &nothing, START_US, &debt),
        WEIR_OK);
    assert_int_equal(used_at(table, &s, START_US), 0);
    assert_int_equal(take_one(table, &s, 100, START_US, &d), WEIR_OK);
    assert_true(d.allowed);
    assert_int_equal(
        weir_embedded_settle(table, &one, 1, START_US, &reserved, &nothing, START_US, &debt),
        WEIR_OK);
    assert_int_equal(used_at(table, &s, START_US), 10);
    /* its place is one for whoever comes next */
    weir_embedded_reset(table, &s);
    struct weir_subject fresh = subject_of("key:new", &plan);
    assert_int_equal(take_one(table, &fresh, 1, START_US + 61000000, &d), WEIR_OK);
    weir_embedded_free(table);
}

/* Guarantee 6: what a busy subject takes is given back when it has fallen idle. */
static void test_bytes_come_back(void **state)
{
    (void)state;
    struct weir_limit limit = {WEIR_METER_INPUT_TOKENS, 60, 1000000};
    struct weir_plan plan = plan_of(&limit, 1);
    struct weir_subject s = subject_of("key:k", &plan);
    struct weir_embedded *table = table_of(1);
    struct weir_decision d;
    assert_int_equal(take_one(table, &s, 1, START_US, &d), WEIR_OK);
    uint64_t quiet_bytes = weir_embedded_bytes(table);
    for (uint64_t t = 0; t < 60; t++) {
        assert_int_equal(take_one(table, &s, 1, START_US + t * 1000000, &d), WEIR_OK);
    }
    assert_true(weir_embedded_bytes(table) > quiet_bytes);
    assert_int_equal(take_one(table, &s, 1, START_US + 300000000, &d), WEIR_OK);
    assert_int_equal(weir_embedded_bytes(table), quiet_bytes);
    weir_embedded_free(table);
}

/* Guarantee 6: a charge of two new subjects with one place left is refused, and leaves the place.
 */
static void test_bound_of_two(void **state)
{
    (void)state;
    struct weir_limit limit = {WEIR_METER_INPUT_TOKENS, 60, 100};
    struct weir_plan plan = plan_of(&limit, 1);
    struct weir_subject busy = subject_of("key:busy", &plan), a = subject_of("key:a", &plan),
                        b = subject_of("org:b", &plan);
    const struct weir_subject *both[] = {&a, &b};
    struct weir_embedded *table = table_of(2);
    struct weir_decision d;
    struct weir_amounts one = weir_amounts(1, 1, 0);
    assert_int_equal(take_one(table, &busy, 1, START_US, &d), WEIR_OK);
    assert_int_equal(weir_embedded_take(table, both, 2, &one, START_US, &d), WEIR_ERR_LIMIT);
    assert_int_equal(weir_embedded_subjects(table), 1);
    uint64_t later_us = START_US + 61000000; /* the busy one is idle: its place makes two */
    assert_int_equal(weir_embedded_take(table, both, 2, &one, later_us, &d), WEIR_OK);
    assert_true(d.allowed);
    assert_int_equal(weir_embedded_subjects(table), 2);
    weir_embedded_free(table);
}

/* Guarantee 6. Subjects come and go by the thousand at the bound: what holds usage is never lost.
 */
static void test_bound_churn(void **state)
{
    (void)state;
    struct weir_limit limit = {WEIR_METER_INPUT_TOKENS, 1, 10};
    struct weir_plan plan = plan_of(&limit, 1);
    struct weir_embedded *table = table_of(500);
    struct weir_decision d;
    struct weir_rand random;
    uint64_t used_at_us[1000] = {0};
    unsigned refused = 0;
    weir_rand_init(&random, 3);
    uint64_t now_us = START_US;
    for (unsigned i = 0; i < 200000; i++) {
        char name[16];
        unsigned k = (unsigned)weir_rand_below(&random, 1000);
        now_us += weir_rand_below(&random, 2000);
        snprintf(name, sizeof(name), "key:%u", k);
        struct weir_subject s = subject_of(name, &plan);
        enum weir_err err = take_one(table, &s, 10, now_us, &d);
        if (err == WEIR_ERR_LIMIT) {
            refused++;
            assert_true(used_at_us[k] + 1000000 <= now_us);
            continue;
        }
        assert_int_equal(err, WEIR_OK);
        if (d.allowed) {
            assert_true(used_at_us[k] + 1000000 <= now_us);
            used_at_us[k] = now_us;
        }
        assert_true(weir_embedded_subjects(table) <= 500);
    }
    assert_true(refused > 0 && refused < 100000);
    weir_embedded_free(table);
}

/* ---- no memory: guarantee 3, what was not allowed charges nobody ---- */

static void test_out_of_memory(void **state)
{
    (void)state;
    struct weir_limit limits[] = {{WEIR_METER_REQUESTS, 60, 1000}, {WEIR_METER_REQUESTS, 1, 9}};
    struct weir_plan plan = plan_of(limits, 2);
    struct weir_subject a = subject_of("key:a", &plan), b = subject_of("org:b", &plan);
    const struct weir_subject *both[] = {&a, &b};
    struct weir_amounts one = weir_amounts(1, 0, 0), none = weir_amounts(0, 0, 0);
    for (uint64_t n = 0; n < 12; n++) {
        struct weir_embedded *table = table_of(10);
        struct weir_decision d;
        uint64_t charged = 0;
        for (uint64_t t = 0; t < 40; t++) {
            weir_mem_fail_after(t % 3 == 0 ? n % 4 : UINT64_MAX);
            enum weir_err err = weir_embedded_take(table, both, 2, &one, START_US + t * 700000, &d);
            weir_mem_fail_after(UINT64_MAX);
            assert_true(err == WEIR_OK || err == WEIR_ERR_NOMEM);
            charged += err == WEIR_OK && d.allowed;
            assert_int_equal(weir_embedded_take(table, both, 2, &none, START_US + t * 700000, &d),
                             WEIR_OK);
            assert_int_equal(d.state[1].used, charged); /* both or neither */
            assert_int_equal(d.state[3].used, charged);
        }
        weir_embedded_free(table);
    }
}

/* ---- threads: guarantee 1 ---- */

enum { THREADS = 4, TAKES = 30000, CAPACITY = 50000 };

struct racer {
    struct weir_embedded *table;
    const struct weir_subject *subject[2];
    unsigned subjects;
    uint64_t taken;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    struct weir_amounts one = weir_amounts(1, 0, 0);
    for (unsigned i = 0; i < TAKES; i++) {
        struct weir_decision d;
        if (weir_embedded_take(r->table, r->subject, r->subjects, &one, START_US + i, &d) ==
                WEIR_OK &&
            d.allowed) {
            r->taken++;
        }
    }
    return NULL;
}

static uint64_t used_of(struct weir_embedded *table, const struct weir_subject *s)
{
    struct weir_amounts look = weir_amounts(0, 0, 0);
    struct weir_decision d;
    assert_int_equal(weir_embedded_take(table, &s, 1, &look, START_US, &d), WEIR_OK);
    return d.state[0].used;
}

/* The bytes are those of window.h, of small values and of those that have grown. */
static void test_copy(void **state)
{
    (void)state;
    struct weir_limit limit = {WEIR_METER_REQUESTS, 60, CAPACITY};
    struct weir_plan plan = plan_of(&limit, 1);
    struct weir_subject a = subject_of("key:a", &plan), b = subject_of("key:b", &plan);
    const struct weir_subject *named = &a;
    const struct weir_amounts one = {{1}};
    uint8_t copy[WEIR_VALUE_MAX], bytes[4096];
    struct weir_value v = {.data = bytes, .room = sizeof(bytes)};
    struct weir_embedded *table = table_of(2);
    assert_int_equal(weir_embedded_reserve(table, &b), WEIR_OK);
    assert_int_equal(weir_embedded_copy(table, &a, copy, sizeof(copy)), 0);
    assert_int_equal(weir_embedded_copy(table, &b, copy, sizeof(copy)), 0);
    for (unsigned i = 0; i < 200; i++) {
        uint64_t now_us = START_US + i * plan.window[0].step_us;
        assert_int_equal(weir_embedded_record(table, &named, 1, &one, now_us), WEIR_OK);
        assert_int_equal(weir_value_prepare(&v, &plan, now_us), 0);
        assert_int_equal(weir_value_add(&v, &plan, now_us, &one), 0);
        assert_int_equal(weir_embedded_copy(table, &a, copy, sizeof(copy)), v.len);
        assert_memory_equal(copy, v.data, v.len);
    }
    weir_embedded_free(table);
}

static void test_threads(void **state)
{
    (void)state;
    struct weir_limit limit = {WEIR_METER_REQUESTS, 60, CAPACITY};
    struct weir_plan plan = plan_of(&limit, 1);
    struct weir_subject a = subject_of("key:a", &plan), b = subject_of("org:b", &plan);
    struct weir_embedded *table = table_of(10);
    pthread_t thread[THREADS];
    struct racer racer[THREADS] = {/* in both orders: the locks have one */
                                   {table, {&a, &b}, 2, 0},
                                   {table, {&b, &a}, 2, 0},
                                   {table, {&a}, 1, 0},
                                   {table, {&b}, 1, 0}};
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, race, &racer[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    uint64_t of_both = racer[0].taken + racer[1].taken;
    assert_int_equal(of_both + racer[2].taken, used_of(table, &a));
    assert_int_equal(of_both + racer[3].taken, used_of(table, &b));
    assert_true(used_of(table, &a) <= CAPACITY && used_of(table, &b) <= CAPACITY);
    assert_true(used_of(table, &a) == CAPACITY || used_of(table, &b) == CAPACITY);
    weir_embedded_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_subjects),
        cmocka_unit_test(test_denial_names),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_bytes_come_back),
        cmocka_unit_test(test_bound_of_two),
        cmocka_unit_test(test_bound_churn),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
