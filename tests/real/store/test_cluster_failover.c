/* SPDX-License-Identifier: Apache-2.0 */
/* Guarantees 1 and 5 while a Redis Cluster changes: slots move, a replica is promoted. Lease rules
 * 9 to 12, of each shard by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "store/shared.h"
#include "support/cluster_spread.h"

#define CLOSED PATIENT "\non_store_failure: closed"

static void pass(uint64_t us)
{
    uint64_t until_us = weir_clock_us() + us;
    while (weir_clock_us() < until_us) {
        uv_run(&world.loop.uv, UV_RUN_ONCE);
    }
}

static void move_slot(unsigned slot, struct cluster_node *from, struct cluster_node *to)
{
    NODE_SAY(to, "CLUSTER SETSLOT %d NODE %s", (int)slot, to->id);
    NODE_SAY(from, "CLUSTER SETSLOT %d NODE %s", (int)slot, to->id);
}

static struct weir_redis_identity identity_of(struct cluster_node *node)
{
    struct weir_redis_identity id;
    redisReply *info = node_ask(node, "INFO");
    assert_true(weir_redis_identity_read(info, &id));
    freeReplyObject(info);
    return id;
}

/* Where beats stand is not where they were: nothing is lost, and nothing ends. */
static void test_lowest_slot_moves(void **state)
{
    (void)state;
    struct who who;
    struct one one;
    struct node *n = open_node(CLOSED);
    who_at(&who, n, 0, 1);
    allowed_by_redis(charge(n, &one, &who, NULL, 20));
    pass(1200000); /* a beat under the old slot */
    char tag[WEIR_REDIS_TAG_BYTES];
    weir_redis_slot_tag(0, tag);
    struct cluster_node *from = &cluster.node[0], *to = &cluster.node[2];
    NODE_SAY(from, "DEL weir:{%s}:primary weir:{%s}:beats", tag, tag);
    move_slot(0, from, to);
    pass(2200000); /* found out by a beat; another one under the new slot */
    assert_true(weir_store_ready(n->store));
    allowed_by_redis(charge(n, &one, &who, NULL, 1));
    assert_int_equal(charge(n, &one, &who, NULL, 0)->decision.state[0].used, 21);
    assert_int_equal(n->store->stats.primaries_entered, 3);
}

/* A slot moves to a node that serves nothing yet: what that one grants counts. */
static void test_moves_to_new_node(void **state)
{
    (void)state;
    struct who who;
    struct one one;
    struct node *n = open_node(CLOSED);
    struct cluster_node *from = &cluster.node[0], *to = &cluster.node[cluster.nodes++];
    who_at(&who, n, 0, 2);
    allowed_by_redis(charge(n, &one, &who, NULL, 20));
    node_start(to);
    node_meet(&cluster, to);
    node_until(to, "CLUSTER NODES", from->id);
    node_until(from, "CLUSTER NODES", to->id);
    node_until(to, "CLUSTER INFO", "cluster_state:ok");
    NODE_SAY(to, "CLUSTER SETSLOT %d IMPORTING %s", (int)who.slot, from->id);
    NODE_SAY(from, "CLUSTER SETSLOT %d MIGRATING %s", (int)who.slot, to->id);
    NODE_SAY(from, "MIGRATE 127.0.0.1 %d weir:{%s} 0 5000", (int)to->server.port, who.name);
    for (unsigned i = 0; i < 10; i++) {
        allowed_by_redis(charge(n, &one, &who, NULL, 1));
        pass(30000);
    }
    assert_int_equal(charge(n, &one, &who, NULL, 0)->decision.state[0].used, 30);
    assert_true(weir_store_ready(n->store));
    move_slot(who.slot, from, to);
    until_ready(&world, n, true);
}

/* Its former primary is left for good, and what the new one has of the beats is not charged again.
 * Whoever settles what another node was granted does not know what it has: only the slot that has
 * the same primary still is given back to (lease rule 6). */
static void test_replica_promoted(void **state)
{
    (void)state;
    struct who who;
    struct one one;
    struct cluster_node *dying = &cluster.node[1], *replica = cluster_add_replica(&cluster, 1);
    static struct request r;
    struct node *n = open_node(CLOSED_BEATS), *other = &world.node[1];
    node_open(&world, other, url, CLOSED_BEATS);
    until_ready(&world, other, true);
    const struct weir_redis_identity former = identity_of(dying);
    who_at(&who, n, 1, 3);
    allowed_by_redis(charge(n, &one, &who, NULL, 20));
    request_init(&r, n, 60, 0, 1);
    allowed_by_redis(ask(&r, 40));
    NODE_SAY(replica, "READONLY");
    until_covered(&world, n, replica->redis, 5461);
    unsigned entered = (unsigned)n->store->stats.primaries_entered;
    cluster_node_timeout(&cluster, NODE_HASTY_MS);
    redis_server_end(&dying->server, SIGKILL);
    until_ready(&world, n, false);
    until_ready(&world, other, false);
    node_until(replica, "INFO replication", "role:master");
    cluster_node_timeout(&cluster, NODE_PATIENT_MS);
    until_ready(&world, n, true);
    assert_int_equal(charge(n, &one, &who, NULL, 0)->decision.state[0].used, 20);
    assert_int_equal(n->store->stats.primaries_entered, entered + 1);
    struct weir_primaries *t = n->shared->primaries;
    struct weir_primary *left = weir_primaries_get(t, former.text, weir_clock_us());
    assert_int_equal(weir_primary_state(left), WEIR_PRIMARY_LEFT);
    until_ready(&world, other, true);
    struct weir_settle lower = settlement(&r, 5);
    settle(other, &lower, WEIR_SETTLE_DONE);
    used_are(&r, 40, 40);
    assert_int_equal(output_of(other, &r.key), 5);
    assert_int_equal(output_of(other, &r.org), 5);
    assert_int_equal(output_of(other, &r.model), 40);
    settle(other, &lower, WEIR_SETTLE_REPEATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLUSTER_CASE(test_lowest_slot_moves),
        CLUSTER_CASE(test_moves_to_new_node),
        CLUSTER_CASE(test_replica_promoted),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
