/* SPDX-License-Identifier: Apache-2.0 */
/* Requests whose subjects are in two slots of a cluster, and one of their shards is away: guarantee
 * 5, and settlements that are said again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/cluster_spread.h"

/* For the cases in which a shard is away; one that is there answers sooner on a busy machine, too.
 */
#define HASTY "store_timeout_ms: 1000\nstore_connect_timeout_ms: 3000\nnodes: 4\n"

static void shard_back(struct node *n, unsigned primary)
{
    redis_server_continue(&cluster.node[primary].server);
    until_ready(&world, n, true);
}

/* Whoever is told that the store was out of reach settles again: each slot does it once. A
 * settlement that was under way may have been run by a shard that comes back. */
static void settled_without(struct node *n, unsigned number, unsigned away, bool under_way)
{
    static struct request r;
    struct one one;
    request_init(&r, n, number, 0, 1);
    allowed_by_redis(ask(&r, 40));
    struct weir_settle lower = settlement(&r, 5), again = settlement(&r, 5);
    assert_true(redis_server_stop(&cluster.node[away].server));
    if (!under_way) { /* its silence is known */
        assert_true(charge(n, &one, away == 0 ? &r.org : &r.model, NULL, 0)->local);
    }
    settle(n, &lower, WEIR_SETTLE_UNAVAILABLE);
    assert_int_equal(output_of(n, away == 0 ? &r.model : &r.key), 5);
    shard_back(n, away);
    if (under_way) {
        settled = 0;
        assert_int_equal(weir_store_settle(n->store, &again), WEIR_PENDING);
        until_done(&world, &settled, 1);
        assert_true(again.result == WEIR_SETTLE_DONE || again.result == WEIR_SETTLE_REPEATED);
    } else {
        settle(n, &again, WEIR_SETTLE_DONE);
    }
    outputs_are(n, &r, 5);
    settle(n, &again, WEIR_SETTLE_REPEATED);
    outputs_are(n, &r, 5);
}

static void test_settled_with_a_shard_away(void **state)
{
    (void)state;
    /* `local` would report its share of nothing at some time, with all that its step holds */
    struct node *n = open_node(HASTY "on_store_failure: closed");
    for (unsigned i = 0; i < 4; i++) {
        settled_without(n, 18 + i, i % 2, i < 2);
    }
    node_close(n);
}

/* What this node knows to be used of the key, the org and the model, of which one is away. */
static void known_are(struct request *r, uint64_t key, uint64_t org, uint64_t model)
{
    const struct weir_call *call = ask(r, 0);
    assert_true(call->local);
    assert_int_equal(call->decision.states, 6);
    assert_int_equal(call->decision.state[0].used, key);
    assert_int_equal(call->decision.state[2].used, org);
    assert_int_equal(call->decision.state[4].used, model);
}

/* Guarantee 5. The whole request goes by the node's shares, which know what both slots have granted
 * it; what the key's slot granted goes back; the key alone goes by Redis. What is used of the share
 * is told to the key's slot at some time: what is there is no matter of this case. */
static void test_model_away_local(void **state)
{
    (void)state;
    static struct request r, other;
    struct one one;
    struct node *n = open_node(HASTY);
    request_init(&r, n, 24, 0, 1);
    request_init(&other, n, 25, 0, 1);
    other.model = r.model;
    for (unsigned watched = 0; watched < 2; watched++) { /* what was settled is not remembered */
        allowed_by_redis(ask(&r, 10));
        struct weir_settle nothing = settlement(&r, 0);
        nothing.used = weir_amounts(0, 0, 0);
        nothing.claim = watched;
        nothing.done = watched ? on_settled : NULL;
        settle(n, &nothing, WEIR_SETTLE_DONE);
    }
    allowed_by_redis(ask(&r, 20));
    assert_true(redis_server_stop(&cluster.node[1].server));
    assert_true(ask(&other, 3)->local); /* waits for the time-out */
    assert_true(other.one.call.decision.allowed);
    assert_int_equal(other.one.call.reservation.shared_at_us, 0);
    known_are(&other, 3, 3, 23);
    assert_int_equal(ask(&r, 6)->decision.denied_subject, 0); /* 25 of 100, less 20 */
    assert_false(r.one.call.decision.allowed);
    assert_true(ask(&r, 1)->decision.allowed);
    struct weir_settle lower = settlement(&other, 0);
    settle(n, &lower, WEIR_SETTLE_DONE);
    for (unsigned i = 0; i < 10; i++) {
        uint64_t trips = atomic_load(&n->store->stats.round_trips);
        const struct weir_call *call = ask(&other, 1);
        assert_true(call->local);
        assert_int_equal(atomic_load(&n->store->stats.round_trips), trips); /* not asked */
        assert_int_equal(call->decision.allowed, i < 1);                    /* less 20, 3 and 1 */
        assert_true(i < 1 || call->decision.denied_subject == 2);
        allowed_by_redis(charge(n, &one, &other.key, NULL, 1));
    }
    known_are(&other, 3 + 1 + 10, 3 + 1, 25);
    shard_back(n, 1);
    allowed_by_redis(ask(&r, 0));
    node_close(n);
}

static void test_model_away_closed(void **state)
{
    (void)state;
    static struct request r;
    struct node *n = open_node(HASTY "on_store_failure: closed");
    request_init(&r, n, 26, 0, 1);
    assert_true(redis_server_stop(&cluster.node[1].server));
    for (unsigned i = 0; i < 3; i++) {
        uint64_t trips = atomic_load(&n->store->stats.round_trips);
        assert_int_equal(ask(&r, 4)->outcome, WEIR_OUTCOME_UNAVAILABLE);
        assert_true(i == 0 || atomic_load(&n->store->stats.round_trips) == trips); /* not asked */
        assert_int_equal(used_of(n, &r.key), 0);
        assert_int_equal(used_of(n, &r.org), 0);
    }
    shard_back(n, 1);
    allowed_by_redis(ask(&r, 4));
    node_close(n);
}

/* The key denies, and the model's limits cannot be told. */
static void test_denied_with_the_model_away(void **state)
{
    (void)state;
    static struct request r;
    struct node *n = open_node(HASTY);
    request_init(&r, n, 27, 0, 1);
    assert_true(redis_server_stop(&cluster.node[1].server));
    denied_by_redis(ask(&r, 101), 0);
    assert_int_equal(r.one.call.decision.states, 4);
    shard_back(n, 1);
    node_close(n);
}

static void test_key_away(void **state)
{
    (void)state;
    static struct request r;
    struct node *n = open_node(HASTY "on_store_failure: closed");
    request_init(&r, n, 28, 0, 1);
    assert_true(redis_server_stop(&cluster.node[0].server));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(ask(&r, 4)->outcome, WEIR_OUTCOME_UNAVAILABLE);
        assert_int_equal(used_of(n, &r.model), 0);
    }
    shard_back(n, 0);
    node_close(n);
}

/* What a slot answers with an error goes by on_store_failure, too. Only this key is answered so: a
 * beat may come at any time, and is no error. */
static void test_model_refuses(void **state)
{
    (void)state;
    static struct request r;
    struct node *n = open_node(PATIENT "\non_store_failure: closed");
    request_init(&r, n, 29, 0, 1);
    NODE_SAY(&cluster.node[1], "HSET weir:{%s} field value", r.model.name);
    assert_int_equal(ask(&r, 4)->outcome, WEIR_OUTCOME_UNAVAILABLE);
    NODE_SAY(&cluster.node[1], "DEL weir:{%s}", r.model.name);
    used_are(&r, 0, 0);
    assert_int_equal(atomic_load(&n->store->stats.errors), 1);
    node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLUSTER_CASE(test_settled_with_a_shard_away),
        CLUSTER_CASE(test_model_away_local),
        CLUSTER_CASE(test_model_away_closed),
        CLUSTER_CASE(test_denied_with_the_model_away),
        CLUSTER_CASE(test_key_away),
        CLUSTER_CASE(test_model_refuses),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
