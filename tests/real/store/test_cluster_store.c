/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis store on a cluster: guarantees 1, 3 and 5 with windows on several shards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/cluster_store.h"

enum { SUBJECTS = 30 };

/* ---- windows on several shards ---- */

static void test_each_subject_on_its_shard(void **state)
{
    (void)state;
    static struct who who[SUBJECTS];
    struct node *n = open_node(PATIENT);
    struct one one;
    char name[32];
    for (unsigned i = 0; i < SUBJECTS; i++) {
        snprintf(name, sizeof(name), "key:each-%u", i);
        who_is(&who[i], n, name, "");
        allowed_by_redis(charge(n, &one, &who[i], NULL, i + 1));
        if (i == SUBJECTS / 2) {
            NODE_SAY(&cluster.node[1], "SCRIPT FLUSH"); /* each node has it for itself */
        }
    }
    for (unsigned i = 0; i < SUBJECTS; i++) {
        const struct weir_call *call = charge(n, &one, &who[i], NULL, 0);
        assert_false(call->local);
        assert_int_equal(call->decision.state[0].used, i + 1);
        redisReply *r =
            node_ask(cluster_owner(&cluster, who[i].slot), "EXISTS weir:{%s}", who[i].name);
        assert_int_equal(r->integer, 1);
        freeReplyObject(r);
    }
    node_close(n);
}

/* A window that moves takes its use along: never over. */
static void test_window_moves(void **state)
{
    (void)state;
    struct who who;
    struct node *n = open_node(PATIENT);
    struct one one;
    who_at(&who, n, 0, 1);
    struct cluster_node *from = &cluster.node[0], *to = &cluster.node[2];
    allowed_by_redis(charge(n, &one, &who, NULL, 60));
    NODE_SAY(to, "CLUSTER SETSLOT %d IMPORTING %s", (int)who.slot, from->id);
    NODE_SAY(from, "CLUSTER SETSLOT %d MIGRATING %s", (int)who.slot, to->id);
    NODE_SAY(to, "SCRIPT FLUSH"); /* found out only after ASKING */
    NODE_SAY(from, "MIGRATE 127.0.0.1 %d weir:{%s} 0 5000", (int)to->server.port, who.name);
    allowed_by_redis(charge(n, &one, &who, NULL, 30));
    NODE_SAY(to, "CLUSTER SETSLOT %d NODE %s", (int)who.slot, to->id);
    NODE_SAY(from, "CLUSTER SETSLOT %d NODE %s", (int)who.slot, to->id);
    const struct weir_call *call = charge(n, &one, &who, NULL, 11);
    assert_false(call->local);
    assert_false(call->decision.allowed);
    assert_int_equal(call->decision.state[0].used, 90);
    allowed_by_redis(charge(n, &one, &who, NULL, 10));
    assert_int_equal(atomic_load(&n->store->stats.errors), 0);
    node_close(n);
}

/* Subjects of one root are charged together, in one call. */
static void test_subjects_of_a_root(void **state)
{
    (void)state;
    struct who key, org;
    struct node *n = open_node(PATIENT);
    struct one one;
    who_is(&org, n, "org:acme", "");
    who_is(&key, n, "key:of-acme", "org:acme");
    assert_int_equal(key.slot, org.slot);
    allowed_by_redis(charge(n, &one, &key, &org, 7));
    assert_int_equal(one.call.reservation.shared_at_us, 0);
    assert_int_equal(charge(n, &one, &org, NULL, 0)->decision.state[0].used, 7);
    assert_int_equal(charge(n, &one, &key, NULL, 0)->decision.state[0].used, 7);
    assert_int_equal(atomic_load(&n->store->stats.round_trips), 3);
    assert_int_equal(atomic_load(&n->store->stats.errors), 0);
    node_close(n);
}

/* Guarantee 5, for each shard by itself: its keys go by the node's share at once, the others by
 * Redis. */
static void test_dead_shard(void **state)
{
    (void)state;
    struct who dead, alive;
    struct node *n = open_node("store_timeout_ms: 1000\nstore_connect_timeout_ms: 3000\nnodes: 4");
    struct one one;
    who_at(&dead, n, 1, 2);
    who_at(&alive, n, 0, 2);
    allowed_by_redis(charge(n, &one, &dead, NULL, 20));
    assert_true(redis_server_stop(&cluster.node[1].server));
    assert_true(charge(n, &one, &dead, NULL, 1)->local); /* waits for the time-out */
    assert_false(weir_store_ready(n->store));
    for (unsigned i = 0; i < 10; i++) {
        uint64_t errors = atomic_load(&n->store->stats.errors);
        const struct weir_call *call = charge(n, &one, &dead, NULL, 1);
        assert_true(call->local);
        assert_int_equal(atomic_load(&n->store->stats.errors), errors); /* nothing was asked */
        assert_int_equal(call->decision.allowed, i < 4); /* 25 of 100, less what it was granted */
        allowed_by_redis(charge(n, &one, &alive, NULL, 1));
    }
    redis_server_continue(&cluster.node[1].server);
    until_ready(&world, n, true);
    assert_false(charge(n, &one, &dead, NULL, 0)->local);
    node_close(n);
}

/* ---- before serving ---- */

static void test_check(void **state)
{
    (void)state;
    static const struct {
        const char *form, *text;
    } wrong[] = {
        {"redis://127.0.0.1:%u", "is a node of a Redis Cluster: expected redis+cluster://HOST"},
        {"redis+sentinel://127.0.0.1:%u/s", "is no Sentinel: expected redis+sentinel://"},
    };
    char text[512] = "", wrong_url[128];
    struct weir_config *c = config_of(url, PATIENT);
    assert_int_equal(weir_store_check(c, text, sizeof(text)), WEIR_OK);
    weir_config_free(c);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(wrong_url, sizeof(wrong_url), wrong[i].form, cluster.node[0].server.port);
#pragma GCC diagnostic pop
        c = config_of(wrong_url, PATIENT);
        assert_int_equal(weir_store_check(c, text, sizeof(text)), WEIR_ERR_INVALID);
        assert_non_null(strstr(text, wrong[i].text));
        weir_config_free(c);
    }
    /* one shard of three would evict */
    NODE_SAY(&cluster.node[2], "CONFIG SET maxmemory-policy allkeys-lru");
    c = config_of(url, PATIENT);
    assert_int_equal(weir_store_check(c, text, sizeof(text)), WEIR_ERR_INVALID);
    snprintf(wrong_url, sizeof(wrong_url), "store: Redis at 127.0.0.1:%u would evict usage",
             cluster.node[2].server.port);
    assert_non_null(strstr(text, wrong_url));
    weir_config_free(c);
    NODE_SAY(&cluster.node[2], "CONFIG SET maxmemory-policy noeviction");
    /* a store that is not there does not keep a node from starting */
    c = config_of("redis+cluster://127.0.0.1:1,127.0.0.1:2", PATIENT);
    assert_int_equal(weir_store_check(c, text, sizeof(text)), WEIR_OK);
    weir_config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLUSTER_CASE(test_each_subject_on_its_shard),
        CLUSTER_CASE(test_window_moves),
        CLUSTER_CASE(test_subjects_of_a_root),
        CLUSTER_CASE(test_dead_shard),
        CLUSTER_CASE(test_check),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
