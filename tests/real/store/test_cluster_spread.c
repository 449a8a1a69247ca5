/* SPDX-License-Identifier: Apache-2.0 */
/* Requests whose subjects are in two slots of a cluster: a key with its org, and a model that all
 * share. Guarantees 1, 3 and 4 over both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/cluster_spread.h"
#include "support/hammer.h"

/* ---- taking ---- */

static void test_allowed_by_both(void **state)
{
    (void)state;
    static struct request r;
    struct node *n = open_node(PATIENT "\nmode: lease");
    request_init(&r, n, 10, 0, 1);
    allowed_by_redis(ask(&r, 7));
    states_are(&r.one.call, 7, 7);
    assert_int_not_equal(r.one.call.reservation.nonce, 0);
    assert_int_equal(r.one.call.reservation.at_us, r.one.call.decision.at_us);
    about(r.one.call.reservation.shared_at_us, r.one.call.reservation.at_us);
    allowed_by_redis(ask(&r, 3));
    states_are(&r.one.call, 10, 10);
    allowed_by_redis(ask(&r, 0)); /* a look */
    states_are(&r.one.call, 10, 10);
    assert_int_equal(r.one.call.reservation.nonce, 0);
    used_are(&r, 10, 10);
    assert_int_equal(atomic_load(&n->store->stats.errors), 0);
    node_close(n);
}

/* Both slots may be one server's. */
static void test_slots_of_one_server(void **state)
{
    (void)state;
    static struct request r;
    struct node *n = open_node(PATIENT);
    request_init(&r, n, 11, 2, 2);
    allowed_by_redis(ask(&r, 60));
    denied_by_redis(ask(&r, 50), 0);
    used_are(&r, 60, 60);
    node_close(n);
}

/* What the key's slot has granted goes back. */
static void test_denied_by_the_model(void **state)
{
    (void)state;
    static struct request r, other;
    struct one one;
    struct node *n = open_node(PATIENT);
    request_init(&r, n, 12, 0, 1);
    request_init(&other, n, 13, 2, 1);
    other.model = r.model;
    allowed_by_redis(ask(&other, 60));
    allowed_by_redis(ask(&r, 30));
    denied_by_redis(ask(&r, 20), 2);
    uint64_t retry_us = r.one.call.decision.retry_after_us;
    states_are(&r.one.call, 30, 90);
    used_are(&r, 30, 90);
    about(retry_us, charge(n, &one, &r.model, NULL, 20)->decision.retry_after_us);
    allowed_by_redis(ask(&r, 10));
    states_are(&r.one.call, 40, 100);
    denied_by_redis(ask(&r, 101), 0); /* never: the first of them is named */
    assert_true(r.one.call.decision.retry_after_us == WEIR_RETRY_NEVER);
    assert_int_equal(atomic_load(&n->store->stats.errors), 0);
    node_close(n);
}

/* The model's slot is not charged, and says when it has room. */
static void test_denied_by_the_key(void **state)
{
    (void)state;
    static struct request r, other;
    struct one one;
    struct node *n = open_node(PATIENT);
    request_init(&r, n, 14, 0, 1);
    request_init(&other, n, 15, 2, 1);
    other.model = r.model;
    allowed_by_redis(ask(&r, 90));
    denied_by_redis(ask(&r, 5 + 6), 0);
    states_are(&r.one.call, 90, 90);
    used_are(&r, 90, 90);
    /* both deny: the later of the two moments counts, though the key says no first */
    usleep(1200000);
    allowed_by_redis(ask(&other, 10));
    denied_by_redis(ask(&r, 95), 0);
    states_are(&r.one.call, 90, 100);
    uint64_t retry_us = r.one.call.decision.retry_after_us;
    about(retry_us, charge(n, &one, &r.model, NULL, 95)->decision.retry_after_us);
    assert_true(retry_us > charge(n, &one, &r.org, NULL, 95)->decision.retry_after_us + 800000);
    node_close(n);
}

/* What is charged of both slots is told before, and nothing is charged by asking. */
static void test_probed(void **state)
{
    (void)state;
    static struct request r, other;
    struct one one;
    struct node *n = open_node(PATIENT "\nmode: lease");
    request_init(&r, n, 20, 0, 1);
    request_init(&other, n, 21, 2, 1);
    other.model = r.model;
    /* by both; by the model; by the key; never */
    static const uint64_t asked[] = {40, 1, 60, 1, 101};
    for (unsigned i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        const struct weir_amounts a = weir_amounts(asked[i], 0, asked[i]);
        for (unsigned k = 0; k < 2; k++) {
            const struct weir_decision *would = &ask_all(n, &one, r.who, 3, a, true)->decision;
            assert_int_equal(one.call.reservation.nonce, 0);
            const struct weir_decision *is =
                k == 0 ? would : &charge_all(n, &r.one, r.who, 3, a)->decision;
            assert_int_equal(would->allowed, is->allowed);
            assert_int_equal(would->states, is->states);
            for (unsigned s = 0; s < is->states; s++) {
                assert_int_equal(would->state[s].used, is->state[s].used);
            }
            assert_true(is->allowed || (would->denied_subject == is->denied_subject &&
                                        would->denied_meter == is->denied_meter));
        }
        if (i == 0) {
            allowed_by_redis(ask(&other, 55));
        }
    }
    assert_int_equal(atomic_load(&n->store->stats.errors), 0);
    node_close(n);
}

/* ---- settling ---- */

/* Each slot in the entry of its own moment. Here these are in two steps: the model is asked when
 * the key's server, which pauses, has answered. */
static void test_settled_at_two_moments(void **state)
{
    (void)state;
    static struct request r;
    struct node *n = open_node(PATIENT);
    request_init(&r, n, 50, 0, 1);
    allowed_by_redis(ask(&r, 0));
    NODE_SAY(&cluster.node[0], "CLIENT PAUSE 600");
    allowed_by_redis(ask(&r, 40));
    const struct weir_reservation *taken = &r.one.call.reservation;
    assert_true(taken->shared_at_us - taken->at_us > 60 * UINT64_C(1000000) / 128);
    struct weir_settle lower = settlement(&r, 5);
    settle(n, &lower, WEIR_SETTLE_DONE);
    outputs_are(n, &r, 5);
    node_close(n);
}

static void test_settled_once(void **state)
{
    (void)state;
    static struct request r;
    struct node *n = open_node(PATIENT "\nmode: lease");
    node_open(&world, &world.node[1], url, PATIENT);
    until_ready(&world, &world.node[1], true);
    request_init(&r, n, 16, 0, 1);
    allowed_by_redis(ask(&r, 40));
    struct weir_settle lower = settlement(&r, 5), again = settlement(&r, 0);
    settle(&world.node[1], &lower, WEIR_SETTLE_DONE);
    outputs_are(n, &r, 5);
    settle(n, &again, WEIR_SETTLE_REPEATED);
    outputs_are(n, &r, 5);
    allowed_by_redis(ask(&r, 1));
    struct weir_settle higher = settlement(&r, 1001);
    settle(n, &higher, WEIR_SETTLE_DONE);
    outputs_are(n, &r, 1006);
    settle(&world.node[1], &higher, WEIR_SETTLE_REPEATED);
    outputs_are(n, &r, 1006);
    assert_int_equal(atomic_load(&n->store->stats.debt_tokens), 1000);
    assert_int_equal(atomic_load(&world.node[1].store->stats.debt_tokens), 0);
    higher.reservation.at_us -= UINT64_C(601) * 1000000;
    settle(n, &higher, WEIR_SETTLE_EXPIRED);
    node_close(&world.node[1]);
    node_close(n);
}

/* A chat request's settlement: nobody waits, and no answer is awaited between the slots. */
static void test_settled_unwatched(void **state)
{
    (void)state;
    static struct request r;
    struct node *n = open_node(PATIENT "\nmode: lease");
    request_init(&r, n, 17, 0, 1);
    allowed_by_redis(ask(&r, 40));
    struct weir_settle lower = settlement(&r, 3), higher = lower;
    lower.claim = false;
    lower.done = NULL;
    settle(n, &lower, WEIR_SETTLE_DONE);
    outputs_are(n, &r, 3);
    allowed_by_redis(ask(&r, 1));
    higher = settlement(&r, 501);
    higher.claim = false;
    higher.done = NULL;
    settle(n, &higher, WEIR_SETTLE_DONE);
    outputs_are(n, &r, 504);
    assert_int_equal(atomic_load(&n->store->stats.debt_tokens), 500);
    node_close(n);
}

/* ---- never over ---- */

enum { HAMMERED_NODES = 2 };

static struct request hammered[HAMMERED_NODES * HAMMERS];

static void on_spread(struct weir_call *call)
{
    if (call->decision.allowed) {
        call->decision.at_us = call->reservation.shared_at_us; /* as the model's slot has it */
    }
    on_hammered(call);
}

static void hammer_again(struct request *r)
{
    struct one *one = &r->one;
    *one = (struct one){.node = r->node, .sent_us = weir_clock_us()};
    for (unsigned i = 0; i < 3; i++) {
        one->call.subject[i] = &r->who[i]->subject;
    }
    one->call.subjects = 3;
    one->call.amounts = weir_amounts(1, 0, 1);
    one->call.now_us = one->sent_us;
    one->call.done = on_spread;
    one->call.ctx = one;
    if (weir_store_take(r->node->store, &one->call) == WEIR_OK) {
        on_spread(&one->call);
    }
}

/* Two nodes for so long, each key of both: the model is what limits them. */
static void hammer_model(unsigned number, uint64_t for_us, unsigned least)
{
    memset(&admitted, 0, sizeof(admitted));
    for (unsigned i = 0; i < HAMMERED_NODES * HAMMERS; i++) {
        struct request *r = &hammered[i];
        request_init(r, &world.node[i % HAMMERED_NODES], number + i / HAMMERED_NODES,
                     i % 2 == 0 ? 0 : 2, 1);
        r->model = hammered[0].model;
        r->one.idle = true;
    }
    struct span span = span_of(for_us, least);
    for (bool any = true; any;) {
        bool stalled = false;
        for (unsigned i = 0; i < HAMMERED_NODES * HAMMERS; i++) {
            stalled = stalled || is_stalled(&hammered[i].one, &span);
        }
        bool again = span_goes_on(&span, stalled);
        any = again;
        for (unsigned i = 0; i < HAMMERED_NODES * HAMMERS; i++) {
            if (hammered[i].one.idle && again) {
                hammer_again(&hammered[i]);
            }
            any = any || !hammered[i].one.idle;
        }
        uv_run(&world.loop.uv, UV_RUN_NOWAIT);
    }
}

static void open_two(void)
{
    for (unsigned i = 0; i < HAMMERED_NODES; i++) {
        node_open(&world, &world.node[i], url, PATIENT "\nmode: lease");
        until_ready(&world, &world.node[i], true);
    }
}

static void close_two(void)
{
    for (unsigned i = 0; i < HAMMERED_NODES; i++) {
        node_close(&world.node[i]);
    }
}

/* Guarantees 1 and 2 for the model: three windows have begun. */
static void test_never_over(void **state)
{
    (void)state;
    const char *limits = config_limits;
    config_limits = "{requests: 100/2s, output_tokens: 1M/2s}";
    open_two();
    hammer_model(30, 5000000, 290);
    never_more_than(100, 2000000);
    assert_in_range(admitted.count, 290, ADMITTED_MAX);
    close_two();
    config_limits = limits;
}

/* Guarantee 3: after thousands of denials by the model the keys have what was admitted, no more. */
static void test_nothing_remains(void **state)
{
    (void)state;
    uint64_t own = 0;
    open_two();
    hammer_model(40, 1000000, 100);
    assert_int_equal(admitted.count, 100);
    for (unsigned i = 0; i < HAMMERED_NODES * HAMMERS; i += HAMMERED_NODES) {
        for (unsigned k = 0; k < HAMMERED_NODES; k++) {
            const struct request *r = &hammered[i + k];
            own += used_of(r->node, &r->key);
        }
    }
    assert_int_equal(own, 100);
    assert_int_equal(used_of(&world.node[0], &hammered[0].model), 100);
    close_two();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLUSTER_CASE(test_allowed_by_both),        CLUSTER_CASE(test_slots_of_one_server),
        CLUSTER_CASE(test_denied_by_the_model),    CLUSTER_CASE(test_denied_by_the_key),
        CLUSTER_CASE(test_settled_at_two_moments), CLUSTER_CASE(test_settled_once),
        CLUSTER_CASE(test_settled_unwatched),      CLUSTER_CASE(test_never_over),
        CLUSTER_CASE(test_nothing_remains),        CLUSTER_CASE(test_probed),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
