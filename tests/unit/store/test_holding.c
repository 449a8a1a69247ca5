/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker holds of its subjects: what it decides alone (guarantees 1 and 4), what it has to
 * tell the store, and that nothing of it is lost or told twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"
#include "limit/plan_set.h"
#include "store/holding.h"
#include "support/decision.h"

enum { SUBJECTS = 2 };

static const uint64_t NOW_US = UINT64_C(5000000000), STORE_US = UINT64_C(1700000000000000);

struct fixture {
    struct weir_plan plan[SUBJECTS];
    struct weir_subject subject[SUBJECTS];
    const struct weir_subject *named[SUBJECTS];
    struct weir_holding *h;
    struct weir_decision d;
};

static void plan_of(struct weir_plan *plan, const struct weir_limit *limit, size_t count)
{
    assert_int_equal(weir_plan_compile(limit, count, plan), WEIR_OK);
    weir_plan_lease(plan);
}

static int begin(void **state)
{
    static const struct weir_limit key[] = {{WEIR_METER_REQUESTS, 60, 100},
                                            {WEIR_METER_OUTPUT_TOKENS, 3600, 9000}};
    static const struct weir_limit org[] = {{WEIR_METER_TOTAL_TOKENS, 86400, 20000},
                                            {WEIR_METER_REQUESTS, 60, 1000}};
    struct fixture *f = weir_zalloc(sizeof(*f));
    *state = f;
    plan_of(&f->plan[0], key, 2);
    plan_of(&f->plan[1], org, 2);
    f->subject[0].name = WEIR_STR("key:k");
    f->subject[1].name = WEIR_STR("org:o");
    for (unsigned i = 0; i < SUBJECTS; i++) {
        f->subject[i].plan = &f->plan[i];
        weir_subject_id(f->subject[i].name, f->subject[i].id);
        f->named[i] = &f->subject[i];
    }
    f->h = weir_holding_new(f->named, SUBJECTS);
    return f->h == NULL ? -1 : 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    weir_holding_free(f->h);
    weir_free(f);
    return 0;
}

/* ---- making one ---- */

static void test_new(void **state)
{
    struct fixture *f = *state;
    static char name[] = "key:gone";
    const struct weir_subject other = {.id = {1, 2}, .name = weir_str_z(name), .plan = &f->plan[0]};
    const struct weir_subject *one[] = {&other};
    struct weir_holding *h = weir_holding_new(one, 1);
    memset(name, 'x', sizeof(name));
    assert_true(weir_str_eq(h->named[0]->name, WEIR_STR("key:gone"))); /* a copy */
    assert_int_equal(h->life_us, 234375);
    assert_int_equal(h->meters, 1U << WEIR_METER_REQUESTS | 1U << WEIR_METER_OUTPUT_TOKENS);
    assert_true(weir_holding_is_idle(h, NOW_US));
    weir_holding_free(h);
    weir_holding_free(NULL);
    weir_mem_fail_after(0);
    assert_null(weir_holding_new(one, 1));
    weir_mem_fail_after(UINT64_MAX);
    /* no limits, and a lease of them is nothing: its life is a number to add to a clock */
    struct weir_plan none;
    plan_of(&none, NULL, 0);
    const struct weir_subject unlimited = {.name = WEIR_STR("key:u"), .plan = &none};
    one[0] = &unlimited;
    h = weir_holding_new(one, 1);
    assert_int_equal(h->meters, 0);
    assert_int_equal(h->life_us, WEIR_LEASE_US_MAX);
    weir_holding_free(h);
}

/* The shortest life of all subjects; each set of subjects in its order is one of its own. */
static void test_subjects_together(void **state)
{
    struct fixture *f = *state;
    uint64_t id[4][2];
    const struct weir_subject *turned[] = {f->named[1], f->named[0]};
    weir_holding_id(f->named, 1, id[0]);
    weir_holding_id(turned, 1, id[1]);
    weir_holding_id(f->named, 2, id[2]);
    weir_holding_id(turned, 2, id[3]);
    assert_memory_equal(id[0], f->subject[0].id, sizeof(id[0]));
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned k = 0; k < i; k++) {
            assert_true(id[i][0] != id[k][0] && id[i][1] != id[k][1]);
        }
    }
    assert_int_equal(f->h->life_us, 234375);
    assert_int_equal(f->h->meters, (1U << WEIR_METERS) - 1);
}

/* ---- plans that change ---- */

/* What a holding keeps of a subject outlives the configuration that it comes from. */
static void test_keeps_its_plans(void **state)
{
    struct fixture *f = *state;
    static char root[] = "org:o";
    struct weir_plan_set *set = weir_plan_set_new(1);
    set->plan[0] = f->plan[0];
    weir_plan_set_finish(set, 1, 4);
    assert_int_equal(set->plan[0].share->window[0].capacity[0], 25);
    struct weir_subject s = f->subject[0];
    s.root = weir_str_z(root);
    s.plan = &set->plan[0];
    const struct weir_subject *one[] = {&s};
    struct weir_holding *h = weir_holding_new(one, 1), *other = weir_holding_new(one, 1);
    assert_int_equal(atomic_load(&set->keepers), 3);
    memset(root, 'x', sizeof(root));
    assert_true(weir_str_eq(h->named[0]->root, WEIR_STR("org:o")));
    s.plan = &f->plan[1];
    assert_true(weir_holding_is_outdated(h, one));
    weir_holding_renew(h, one);
    assert_int_equal(atomic_load(&set->keepers), 2);
    s.plan = &f->plan[0]; /* alike */
    assert_false(weir_holding_is_outdated(other, one));
    assert_ptr_equal(other->named[0]->plan, s.plan);
    assert_int_equal(atomic_load(&set->keepers), 1);
    weir_holding_free(h);
    weir_holding_free(other);
    weir_plan_set_let_go(set);
}

/* It asks by the new limits, and loses nothing that it has to tell. */
static void test_renewed(void **state)
{
    struct fixture *f = *state;
    static const struct weir_limit lower[] = {{WEIR_METER_REQUESTS, 60, 10}};
    static const struct weir_limit same[] = {{WEIR_METER_REQUESTS, 60, 100},
                                             {WEIR_METER_OUTPUT_TOKENS, 3600, 9000}};
    struct weir_plan changed, alike;
    const struct weir_amounts debt = weir_amounts(0, 5, 6), less = weir_amounts(1, 2, 3);
    plan_of(&changed, lower, 1);
    plan_of(&alike, same, 2);
    weir_holding_owe(f->h, &debt);
    assert_true(weir_holding_give_back(f->h, STORE_US, &less));
    f->h->used[0] = 7;
    f->h->denied_until_us = NOW_US;
    assert_false(weir_holding_is_outdated(f->h, f->named));
    f->subject[0].plan = &alike;
    assert_false(weir_holding_is_outdated(f->h, f->named));
    assert_int_equal(f->h->used[0], 7);
    f->subject[0].plan = &changed;
    assert_true(weir_holding_is_outdated(f->h, f->named));
    weir_mem_fail_after(0);
    weir_holding_renew(f->h, f->named);
    weir_mem_fail_after(UINT64_MAX);
    assert_true(weir_holding_is_outdated(f->h, f->named));
    weir_holding_renew(f->h, f->named);
    assert_false(weir_holding_is_outdated(f->h, f->named));
    assert_int_equal(f->h->meters, (1U << WEIR_METERS) - 1); /* the other one counts all */
    assert_int_equal(f->h->denied_until_us, 0);
    weir_decision_begin(&f->d, STORE_US);
    weir_holding_states(f->h, STORE_US, &(struct weir_amounts){0}, &f->d);
    assert_int_equal(f->d.states, 3);
    assert_int_equal(f->d.state[0].capacity, 10);
    assert_int_equal(f->d.state[0].used, 0);
    assert_int_equal(f->h->backs, 1);
    assert_int_equal(f->h->debt.of[WEIR_METER_OUTPUT_TOKENS], 6);
}

/* ---- the lease ---- */

static void lease(struct fixture *f, uint64_t requests, uint64_t input, uint64_t output)
{
    f->h->lease = (struct weir_lease){.at_us = STORE_US,
                                      .until_us = NOW_US + 1000,
                                      .left = weir_amounts(requests, input, output)};
}

static enum weir_held ask(struct fixture *f, uint64_t now_us, uint64_t requests, uint64_t input,
                          uint64_t output)
{
    const struct weir_amounts a = weir_amounts(requests, input, output);
    return weir_holding_ask(f->h, now_us, STORE_US + 7, &a, &f->d);
}

/* What the store has said of every limit, less what is left of the lease; by its clock. */
static void test_decides_from_the_lease(void **state)
{
    struct fixture *f = *state;
    struct weir_decision said;
    weir_decision_begin(&said, STORE_US);
    const uint64_t used[] = {50, 4000, 60, 9000};
    const uint32_t window_s[] = {60, 3600, 60, 86400};
    const uint8_t meter[] = {WEIR_METER_REQUESTS, WEIR_METER_OUTPUT_TOKENS, WEIR_METER_REQUESTS,
                             WEIR_METER_TOTAL_TOKENS};
    for (uint8_t i = 0; i < 4; i++) {
        said.state[said.states++] = (struct weir_limit_state){.subject = i / 2,
                                                              .meter = meter[i],
                                                              .window_s = window_s[i],
                                                              .used = used[i],
                                                              .reset_us = 1000 * (i + 1)};
    }
    weir_holding_learn_states(f->h, &said);
    lease(f, 10, 300, 200);
    assert_int_equal(ask(f, NOW_US, 1, 100, 50), WEIR_HELD_ALLOWED);
    assert_true(f->d.allowed);
    assert_int_equal(f->d.at_us, STORE_US); /* the moment of the grant: settlements go there */
    assert_int_equal(f->d.states, 4);
    const uint64_t expected[] = {50 - 9, 4000 - 150, 60 - 9, 9000 - 350};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(f->d.state[i].used, expected[i]);
        assert_int_equal(f->d.state[i].meter, meter[i]);
        assert_int_equal(f->d.state[i].window_s, window_s[i]);
        assert_int_equal(f->d.state[i].subject, i / 2);
        assert_int_equal(f->d.state[i].reset_us, 1000 * (i + 1) - 7);
    }
    assert_int_equal(f->d.state[1].capacity, 9000);
    assert_int_equal(f->h->demand.used.of[WEIR_METER_OUTPUT_TOKENS], 50);
    /* what is not covered, and what is after its life, is the store's to decide */
    assert_int_equal(ask(f, NOW_US, 1, 0, 151), WEIR_HELD_ASK_STORE);
    assert_int_equal(ask(f, NOW_US + 1000, 1, 0, 0), WEIR_HELD_ASK_STORE);
    assert_int_equal(f->h->demand.used.of[WEIR_METER_REQUESTS], 1);
}

/* Who comes later does not pass those who wait for the store. */
static void test_waits_in_order(void **state)
{
    struct fixture *f = *state;
    struct weir_call call[3];
    lease(f, 10, 300, 200);
    for (unsigned i = 0; i < 3; i++) {
        weir_holding_wait(f->h, &call[i]);
        assert_int_equal(ask(f, NOW_US, 1, 1, 1), WEIR_HELD_ASK_STORE);
    }
    assert_ptr_equal(f->h->waiting, &call[0]);
    assert_ptr_equal(call[0].next, &call[1]);
    assert_ptr_equal(call[1].next, &call[2]);
    assert_null(call[2].next);
    assert_true(weir_holding_has_news(f->h));
    f->h->waiting = NULL;
}

/* ---- what goes back, and what is owed ---- */

static void same(const struct weir_amounts *a, uint64_t requests, uint64_t input, uint64_t output)
{
    const struct weir_amounts b = weir_amounts(requests, input, output);
    assert_memory_equal(a, &b, sizeof(b));
}

/* What a call has brought decides those that came meanwhile, in their order, up to the first that
 * needs the store: nobody is passed over. */
static void test_serve(void **state)
{
    enum { WAIT = 4 };
    struct fixture *f = *state;
    struct weir_call call[WAIT] = {0};
    assert_null(weir_holding_serve(f->h, NOW_US, STORE_US));
    for (unsigned i = 0; i < WAIT; i++) {
        call[i].amounts = weir_amounts(1, i == 2 ? 500 : 100, 10);
        weir_holding_wait(f->h, &call[i]);
    }
    assert_null(weir_holding_serve(f->h, NOW_US, STORE_US));
    lease(f, 10, 300, 200);
    assert_ptr_equal(weir_holding_serve(f->h, NOW_US, STORE_US), &call[0]);
    assert_ptr_equal(call[0].next, &call[1]);
    assert_null(call[1].next);
    assert_true(call[0].decision.allowed && call[1].decision.allowed);
    assert_int_equal(call[1].decision.at_us, STORE_US);
    same(&f->h->lease.left, 8, 100, 180);
    assert_ptr_equal(f->h->waiting, &call[2]); /* the lease would cover what is behind it */
    assert_ptr_equal(call[2].next, &call[3]);
    assert_null(weir_holding_serve(f->h, NOW_US + 1000, STORE_US));
    assert_ptr_equal(weir_holding_unwait(f->h, WAIT), &call[2]);
    assert_null(f->h->waiting);
}

static void test_returns(void **state)
{
    struct fixture *f = *state;
    struct weir_holding *h = f->h;
    const struct weir_amounts less = weir_amounts(0, 5, 7), none = weir_amounts(0, 0, 0);
    assert_true(weir_holding_give_back(h, STORE_US, &none));
    assert_false(weir_holding_has_news(h));
    assert_false(weir_holding_must_tell(h));
    for (unsigned n = 0; n < 3; n++) { /* of one moment: together */
        assert_true(weir_holding_give_back(h, STORE_US, &less));
        assert_true(weir_holding_give_back(h, STORE_US + 1, &less));
    }
    assert_int_equal(h->backs, 2);
    assert_int_equal(h->back[1].at_us, STORE_US + 1);
    same(&h->back[0].less, 0, 15, 21);
    same(&h->back[1].less, 0, 15, 21);
    for (unsigned n = 2; n < WEIR_HOLDING_BACK_MAX - 1; n++) {
        assert_false(weir_holding_is_full(h));
        assert_true(weir_holding_give_back(h, STORE_US + n, &less));
    }
    assert_true(weir_holding_is_full(h));
    /* full: nothing is lost, it has to go by a call of its own; one that is there takes more */
    assert_false(weir_holding_give_back(h, STORE_US + 99, &less));
    assert_true(weir_holding_give_back(h, STORE_US + 99, &none));
    assert_true(weir_holding_give_back(h, STORE_US, &less));
    same(&h->back[0].less, 0, 20, 28);
    assert_int_equal(h->backs, WEIR_HOLDING_BACK_MAX - 1);
    /* and one place is the lease's */
    assert_true(weir_holding_must_tell(h));
    lease(f, 10, 300, 200);
    assert_false(weir_holding_must_tell(h)); /* the next lease's call takes it along */
    h->lease.at_us = STORE_US + 100;
    weir_holding_lapse(h);
    assert_true(weir_holding_must_tell(h));
    assert_int_equal(h->backs, WEIR_HOLDING_BACK_MAX);
    same(&h->back[WEIR_HOLDING_BACK_MAX - 1].less, 10, 300, 200);
    assert_false(weir_holding_is_idle(h, UINT64_MAX));
}

/* What has lapsed is out of the books at once: not used, not given back again. */
static void test_lapse(void **state)
{
    struct fixture *f = *state;
    lease(f, 10, 300, 200);
    assert_false(weir_holding_is_idle(f->h, UINT64_MAX));
    assert_int_equal(ask(f, NOW_US, 2, 100, 50), WEIR_HELD_ALLOWED);
    const struct weir_amounts settled = weir_amounts(0, 0, 20);
    assert_true(weir_holding_give_back(f->h, f->d.at_us, &settled));
    weir_holding_lapse(f->h);
    assert_int_equal(ask(f, NOW_US, 1, 1, 1), WEIR_HELD_ASK_STORE);
    weir_holding_lapse(f->h);
    assert_int_equal(f->h->backs, 1);
    same(&f->h->back[0].less, 8, 200, 170);
}

/* Lease rule 12: of a server that is no store any more nothing is used or given back; what is owed
 * is owed to whoever comes after it. */
static void test_drop(void **state)
{
    struct fixture *f = *state;
    const struct weir_amounts less = weir_amounts(0, 5, 7), more = weir_amounts(0, 1, 2);
    lease(f, 10, 300, 200);
    f->h->primary = (const struct weir_primary *)(const void *)f;
    assert_true(weir_holding_give_back(f->h, STORE_US, &less));
    weir_holding_owe(f->h, &more);
    f->h->flying_debt = more;
    f->h->denied_until_us = UINT64_MAX;
    weir_holding_drop(f->h);
    assert_null(f->h->primary);
    assert_int_equal(ask(f, NOW_US, 1, 1, 1), WEIR_HELD_ASK_STORE);
    weir_holding_lapse(f->h); /* nothing */
    assert_int_equal(f->h->backs, 0);
    assert_int_equal(f->h->denied_until_us, 0);
    same(&f->h->debt, 0, 1, 2);
    same(&f->h->flying_debt, 0, 1, 2);
    assert_true(weir_holding_has_news(f->h));
}

static void test_debt(void **state)
{
    struct fixture *f = *state;
    const struct weir_amounts more = weir_amounts(0, 5, 7);
    weir_holding_owe(f->h, &more);
    weir_holding_owe(f->h, &more);
    same(&f->h->debt, 0, 10, 14);
    assert_true(weir_holding_has_news(f->h));
    assert_false(weir_holding_is_idle(f->h, NOW_US));
}

/* Sums end at what a call can say, and never begin anew at 0. */
static void test_sums_end(void **state)
{
    struct fixture *f = *state;
    const uint64_t half = WEIR_AMOUNT_MAX / 2;
    const struct weir_amounts largest = weir_amounts(half, half, half);
    for (unsigned n = 0; n < 70000; n++) {
        weir_holding_owe(f->h, &largest);
        assert_true(weir_holding_give_back(f->h, STORE_US, &largest));
    }
    same(&f->h->debt, WEIR_AMOUNT_MAX, WEIR_AMOUNT_MAX, WEIR_AMOUNT_MAX);
    same(&f->h->back[0].less, WEIR_AMOUNT_MAX, WEIR_AMOUNT_MAX, WEIR_AMOUNT_MAX);
}

/* ---- the memory of denials ---- */

struct packed {
    uint8_t bytes[WEIR_VALUE_MAX + WEIR_VALUE_SLACK];
    struct weir_value v;
};

static void pack(struct packed *p, const struct weir_plan *plan, uint64_t at_us,
                 const struct weir_amounts *a)
{
    p->v.data = p->bytes;
    p->v.room = sizeof(p->bytes);
    assert_int_equal(weir_value_prepare(&p->v, plan, at_us), 0);
    assert_int_equal(weir_value_add(&p->v, plan, at_us, a), 0);
}

/* What the store would decide. */
static void decide(struct fixture *f, const struct packed *value, uint64_t store_us,
                   const struct weir_amounts *a, struct weir_decision *d)
{
    static struct packed copy[SUBJECTS];
    for (unsigned i = 0; i < SUBJECTS; i++) {
        copy[i] = value[i];
        copy[i].v.data = copy[i].bytes;
        copy[i].v.room = sizeof(copy[i].bytes);
        store_us = weir_value_now_us(&copy[i].v, &f->plan[i], store_us);
    }
    weir_decision_begin(d, store_us);
    for (unsigned i = 0; i < SUBJECTS; i++) {
        struct weir_verdict verdict;
        assert_int_equal(weir_value_prepare(&copy[i].v, &f->plan[i], store_us), 0);
        if (!weir_value_fits(&copy[i].v, &f->plan[i], store_us, a, &verdict)) {
            weir_decision_deny(d, i, &verdict);
        }
        weir_value_states(&copy[i].v, &f->plan[i], store_us, i, d);
    }
}

static bool remember(struct fixture *f, const struct packed *value)
{
    const struct weir_str bytes[] = {weir_str((const char *)value[0].bytes, value[0].v.len),
                                     weir_str((const char *)value[1].bytes, value[1].v.len)};
    return weir_holding_remember(f->h, bytes, STORE_US, NOW_US);
}

static void random_values(struct fixture *f, struct weir_rand *random, struct packed *value)
{
    for (unsigned i = 0; i < SUBJECTS; i++) {
        value[i] = (struct packed){0};
        for (uint64_t n = weir_rand_below(random, 40); n > 0; n--) {
            const struct weir_amounts a =
                weir_amounts(weir_rand_below(random, 6), weir_rand_below(random, 400),
                             weir_rand_below(random, 400));
            uint64_t ago_us = n * weir_rand_below(random, 3000000);
            pack(&value[i], &f->plan[i], STORE_US - ago_us, &a);
        }
        if (weir_rand_below(random, 4) == 0) { /* the store's clock has stepped back since */
            const struct weir_amounts later = weir_amounts(1, 1, 1);
            pack(&value[i], &f->plan[i], STORE_US + weir_rand_below(random, 2000000), &later);
        }
    }
}

/* Guarantee 4: every size is decided as the store would by the same bytes, or passed on to it. */
static void test_denies_as_the_store(void **state)
{
    struct fixture *f = *state;
    static struct packed value[SUBJECTS];
    struct weir_rand random;
    struct weir_decision theirs;
    unsigned denied = 0, passed = 0;
    weir_rand_init(&random, 1);
    for (unsigned n = 0; n < 400; n++) {
        random_values(f, &random, value);
        assert_true(remember(f, value));
        for (unsigned k = 0; k < 20; k++) {
            const struct weir_amounts a =
                weir_amounts(weir_rand_below(&random, 110), weir_rand_below(&random, 20100),
                             weir_rand_below(&random, 9100));
            uint64_t store_us = STORE_US + weir_rand_below(&random, 90000);
            enum weir_held held = weir_holding_ask(f->h, NOW_US + 99999, store_us, &a, &f->d);
            decide(f, value, store_us, &a, &theirs);
            assert_int_equal(held, theirs.allowed ? WEIR_HELD_ASK_STORE : WEIR_HELD_DENIED);
            assert_true(theirs.allowed || same_decision(&f->d, &theirs));
            denied += !theirs.allowed;
            passed += theirs.allowed;
        }
    }
    assert_true(denied > 1000 && passed > 1000);
}

static void fill(struct fixture *f, struct packed *value)
{
    const struct weir_amounts all = weir_amounts(100, 0, 1);
    memset(value, 0, SUBJECTS * sizeof(value[0]));
    pack(&value[0], &f->plan[0], STORE_US - 1, &all);
    pack(&value[1], &f->plan[1], STORE_US - 1, &all);
}

/* It ends after 100 ms, or a step where that is shorter; then the bytes are let go. */
static void test_memory_ends(void **state)
{
    struct fixture *f = *state;
    static struct packed value[SUBJECTS];
    fill(f, value);
    assert_true(remember(f, value));
    assert_int_equal(f->h->used[0], 100); /* what is left of each limit is learnt as well */
    assert_int_equal(f->h->used[2], 100);
    assert_int_equal(ask(f, NOW_US + 99999, 1, 0, 0), WEIR_HELD_DENIED);
    assert_false(weir_holding_is_idle(f->h, NOW_US + 99999));
    assert_true(weir_holding_is_idle(f->h, NOW_US + 100000));
    assert_int_equal(ask(f, NOW_US + 100000, 1, 0, 0), WEIR_HELD_ASK_STORE);
    assert_null(f->h->value[0].data);
    assert_int_equal(ask(f, NOW_US, 1, 0, 0), WEIR_HELD_ASK_STORE);
    weir_holding_free(f->h);
    const struct weir_limit quick = {WEIR_METER_REQUESTS, 1, 10};
    plan_of(&f->plan[1], &quick, 1);
    f->h = weir_holding_new(f->named, SUBJECTS);
    memset(value, 0, sizeof(value));
    const struct weir_amounts ten = weir_amounts(10, 0, 0);
    pack(&value[1], &f->plan[1], STORE_US - 1, &ten);
    assert_true(remember(f, value));
    assert_int_equal(ask(f, NOW_US + 7812, 1, 0, 0), WEIR_HELD_DENIED);
    assert_int_equal(ask(f, NOW_US + 7813, 1, 0, 0), WEIR_HELD_ASK_STORE);
}

/* Guarantee 1: a value that was made under another plan denies as well. It may need more room than
 * it came with. */
static void test_value_of_another_plan(void **state)
{
    struct fixture *f = *state;
    static struct packed value[SUBJECTS], mine[SUBJECTS];
    const struct weir_limit old_limit = {WEIR_METER_REQUESTS, 60, 500};
    struct weir_plan old;
    plan_of(&old, &old_limit, 1);
    memset(value, 0, sizeof(value));
    const struct weir_amounts many = weir_amounts(100, 0, 0), one = weir_amounts(1, 0, 0);
    pack(&value[0], &old, STORE_US - 1, &many);
    memcpy(mine, value, sizeof(mine));
    assert_true(remember(f, value));
    assert_true(f->h->value[0].len > value[0].v.len);
    assert_int_equal(ask(f, NOW_US, 1, 0, 0), WEIR_HELD_DENIED);
    struct weir_decision theirs;
    decide(f, mine, STORE_US + 7, &one, &theirs);
    assert_true(same_decision(&f->d, &theirs));
}

/* Without memory nothing is remembered, not even what was before. */
static void test_no_memory(void **state)
{
    struct fixture *f = *state;
    static struct packed value[SUBJECTS];
    const struct weir_limit old_limit = {WEIR_METER_REQUESTS, 60, 500};
    struct weir_plan old;
    plan_of(&old, &old_limit, 1);
    for (uint64_t n = 0;; n++) {
        const struct weir_amounts all = weir_amounts(100, 0, 1);
        memset(value, 0, sizeof(value));
        pack(&value[0], &old, STORE_US - 1, &all);
        pack(&value[1], &f->plan[1], STORE_US - 1, &all);
        weir_mem_fail_after(n);
        bool remembered = remember(f, value);
        weir_mem_fail_after(UINT64_MAX);
        assert_int_equal(ask(f, NOW_US, 1, 0, 0),
                         remembered ? WEIR_HELD_DENIED : WEIR_HELD_ASK_STORE);
        if (remembered) {
            assert_int_equal(n, 3); /* two copies, and room for the plan's blocks */
            break;
        }
        assert_null(f->h->value[0].data);
        assert_true(weir_holding_is_idle(f->h, NOW_US));
    }
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_new),
        CASE(test_subjects_together),
        CASE(test_keeps_its_plans),
        CASE(test_renewed),
        CASE(test_decides_from_the_lease),
        CASE(test_waits_in_order),
        CASE(test_serve),
        CASE(test_returns),
        CASE(test_lapse),
        CASE(test_drop),
        CASE(test_debt),
        CASE(test_sums_end),
        CASE(test_denies_as_the_store),
        CASE(test_memory_ends),
        CASE(test_value_of_another_plan),
        CASE(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
