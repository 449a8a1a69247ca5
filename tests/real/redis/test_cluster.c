/* SPDX-License-Identifier: Apache-2.0 */
/* The shards of a real Redis Cluster: slots that move under traffic, nodes that stop and die:
 * guarantee 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "store/redis/slots.h"
#include "support/redis_cluster.h"
#include "support/shards_owner.h"

struct fixture {
    struct redis_cluster cluster;
    struct shards_owner owner;
};

static struct fixture f; /* the cluster is started once: its nodes need a second to agree */

static unsigned slot_of(const char *key)
{
    return weir_redis_slot(weir_str_z(key));
}

/* weir:{x}, with an x such that the primary serves it; different ones for different `n`. */
static void key_of(unsigned primary, unsigned n, char ret_key[static 32])
{
    for (unsigned i = n * 1000;; i++) {
        snprintf(ret_key, 32, "weir:{k%u}", i);
        if (slot_of(ret_key) / 5461 == primary) {
            return;
        }
    }
}

static void open_all(const char *more)
{
    char url[128];
    cluster_url(&f.cluster, url, sizeof(url));
    owner_open(&f.owner, url, more);
}

static int start(void **state)
{
    (void)state;
    cluster_start(&f.cluster);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_end(&f.cluster);
    return 0;
}

/* ---- who serves what ---- */

static void test_each_key_where_it_belongs(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    open_all(NULL);
    assert_false(weir_redis_shards_are_up(o->shards));
    OWNER_UNTIL(o, o->ups > 0);
    for (unsigned i = 0; i < 100; i++) {
        char key[32];
        snprintf(key, sizeof(key), "weir:{each-%u}", i);
        assert_string_equal(owner_ask(o, "SET", key, "v"), "OK");
        redisReply *r = node_ask(cluster_owner(&f.cluster, slot_of(key)), "GET %s", key);
        assert_int_equal(r->type, REDIS_REPLY_STRING); /* not sent elsewhere and back */
        freeReplyObject(r);
    }
    assert_int_equal(o->ups, 1);
    assert_int_equal(o->downs, 0);
    owner_close(o);
}

/* One seed that lives is enough. */
static void test_dead_seeds(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    char url[128];
    snprintf(url, sizeof(url), "redis+cluster://127.0.0.1:%u,127.0.0.1:%u",
             redis_server_free_port(), f.cluster.node[1].server.port);
    owner_open(o, url, NULL);
    OWNER_UNTIL(o, o->ups > 0);
    assert_string_equal(owner_ask(o, "SET", "weir:{a}", "v"), "OK");
    owner_close(o);
    /* and none is none: told each time that all were tried */
    snprintf(url, sizeof(url), "redis+cluster://127.0.0.1:%u", redis_server_free_port());
    owner_open(o, url, NULL);
    OWNER_UNTIL(o, o->downs > 2);
    assert_int_equal(o->why, WEIR_REDIS_OUT_OF_REACH);
    assert_non_null(strstr(o->text, "connection refused"));
    assert_null(weir_redis_shards_at(o->shards, WEIR_STR("a")));
    owner_close(o);
}

static void test_single_server(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    struct redis_server server = {{0}, {0}, 0, 0};
    char url[128], port[8];
    server.port = redis_server_free_port();
    snprintf(port, sizeof(port), "%u", server.port);
    const char *const args[] = {"redis-server", "--port", port, "--bind",
                                "127.0.0.1",    "--save", "",   NULL};
    assert_true(redis_server_run(&server, args, "eady to accept connections"));
    snprintf(url, sizeof(url), "redis+cluster://127.0.0.1:%u", server.port);
    owner_open(o, url, NULL);
    OWNER_UNTIL(o, o->downs > 0);
    assert_int_equal(o->why, WEIR_REDIS_REFUSED);
    assert_non_null(strstr(o->text, "is no node of a Redis Cluster: expected redis://HOST"));
    owner_close(o);
    redis_server_remove(&server);
    /* the other way round */
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", f.cluster.node[0].server.port);
    owner_open(o, url, NULL);
    OWNER_UNTIL(o, o->downs > 0);
    assert_int_equal(o->why, WEIR_REDIS_REFUSED);
    assert_non_null(strstr(o->text, "is a node of a Redis Cluster: expected redis+cluster://"));
    owner_close(o);
}

/* ---- slots that move, under traffic ---- */

enum { COUNTERS = 16 };

struct counter {
    char key[48];
    uint64_t said; /* answered increments */
};

static struct counter counters[COUNTERS];
static bool traffic_on;
static unsigned under_way;

static void increment(struct shards_owner *o, struct counter *c)
{
    const struct weir_str words[] = {WEIR_STR("INCR"), weir_str_z(c->key)};
    assert_true(owner_send(o, words, 2, c));
    under_way++;
}

static void on_incremented(struct shards_owner *o, uint8_t what, void *ptr, bool answered)
{
    struct counter *c = ptr;
    assert_int_equal(what, OWNER_KIND);
    assert_true(answered);
    assert_string_equal(o->answer, "integer");
    c->said++;
    under_way--;
    if (traffic_on) {
        increment(o, c);
    }
}

static void traffic_start(struct shards_owner *o, const char *tag)
{
    traffic_on = true;
    o->on_end = on_incremented;
    for (unsigned i = 0; i < COUNTERS; i++) {
        snprintf(counters[i].key, sizeof(counters[i].key), "%s:%u", tag, i);
        counters[i].said = 0;
        increment(o, &counters[i]);
    }
}

/* So many more answers. */
static void traffic_flows(struct shards_owner *o, unsigned more)
{
    unsigned until = o->answered + more;
    OWNER_UNTIL(o, o->answered >= until);
}

static void traffic_stop(struct shards_owner *o)
{
    traffic_on = false;
    OWNER_UNTIL(o, under_way == 0);
    o->on_end = NULL;
}

/* Every increment that was answered was made once. */
static void each_once(struct cluster_node *at)
{
    for (unsigned i = 0; i < COUNTERS; i++) {
        redisReply *r = node_ask(at, "GET %s", counters[i].key);
        assert_int_equal(r->type, REDIS_REPLY_STRING);
        assert_int_equal(strtoull(r->str, NULL, 10), counters[i].said);
        freeReplyObject(r);
    }
}

static uint64_t redirections(struct cluster_node *n, const char *what)
{
    char field[64];
    redisReply *r = node_ask(n, "INFO errorstats");
    snprintf(field, sizeof(field), "errorstat_%s:count=", what);
    const char *at = strstr(r->str, field);
    uint64_t count = at == NULL ? 0 : strtoull(at + strlen(field), NULL, 10);
    freeReplyObject(r);
    return count;
}

/* Which of the two says so depends on Redis's version. */
static uint64_t try_agains(void)
{
    return redirections(&f.cluster.node[1], "TRYAGAIN") +
           redirections(&f.cluster.node[2], "TRYAGAIN");
}

static void test_slot_moves_under_traffic(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    char tag[32];
    key_of(0, 1, tag);
    unsigned slot = slot_of(tag);
    struct cluster_node *from = &f.cluster.node[0], *to = &f.cluster.node[1];
    open_all(NULL);
    OWNER_UNTIL(o, o->ups > 0);
    traffic_start(o, tag);
    traffic_flows(o, 200);
    begin_move(slot, from, to);
    traffic_flows(o, 200);
    move_keys(slot, from, to, COUNTERS / 2); /* half of them are asked for there */
    traffic_flows(o, 500);
    move_keys(slot, from, to, COUNTERS);
    traffic_flows(o, 200);
    assert_true(redirections(from, "ASK") >= 200);
    end_move(&f.cluster, slot, to);
    traffic_flows(o, 2000);
    traffic_stop(o);
    each_once(to);
    assert_int_equal(o->lost, 0);
    assert_int_equal(o->downs, 0);
    /* what was learnt by being told MOVED is kept: at most those under way were */
    uint64_t moved = redirections(from, "MOVED");
    assert_true(moved > 0 && moved <= COUNTERS);
    NODE_SAY(&f.cluster.node[1], "DEL %s", tag); /* and back, for the other tests */
    begin_move(slot, to, from);
    move_keys(slot, to, from, COUNTERS);
    end_move(&f.cluster, slot, from);
    owner_close(o);
}

/* Keys of one command that are here and there: it waits until they are together. */
static void test_try_again(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    char tag[32], one[48], other[48];
    key_of(1, 2, tag);
    snprintf(one, sizeof(one), "%s:1", tag);
    snprintf(other, sizeof(other), "%s:2", tag);
    unsigned slot = slot_of(tag);
    struct cluster_node *from = &f.cluster.node[1], *to = &f.cluster.node[2];
    open_all(NULL);
    OWNER_UNTIL(o, o->ups > 0);
    assert_string_equal(owner_ask(o, "SET", one, "1"), "OK");
    begin_move(slot, from, to);
    const struct weir_str words[] = {WEIR_STR("MSET"), weir_str_z(one), WEIR_STR("3"),
                                     weir_str_z(other), WEIR_STR("4")};
    unsigned answered = o->answered;
    uint64_t before = try_agains();
    assert_true(owner_send(o, words, 5, NULL));
    OWNER_UNTIL(o, try_agains() >= before + 3);
    assert_int_equal(o->answered, answered);
    move_keys(slot, from, to, 10);
    before = try_agains();
    OWNER_UNTIL(o, try_agains() >= before + 3); /* now the one that gets the slot has one of two */
    assert_int_equal(o->answered, answered);
    end_move(&f.cluster, slot, to);
    OWNER_UNTIL(o, o->answered > answered);
    assert_string_equal(o->answer, "OK");
    assert_string_equal(owner_ask(o, "GET", other, NULL), "4");
    assert_int_equal(o->lost, 0);
    begin_move(slot, to, from);
    move_keys(slot, to, from, 10);
    end_move(&f.cluster, slot, from);
    owner_close(o);
}

/* Not for ever: what waits longer than for a silent server is lost, and told once. */
static void test_try_again_in_vain(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    char tag[32], one[48], other[48];
    key_of(1, 3, tag);
    snprintf(one, sizeof(one), "%s:1", tag);
    snprintf(other, sizeof(other), "%s:2", tag);
    unsigned slot = slot_of(tag);
    open_all("store_timeout_ms: 1000");
    OWNER_UNTIL(o, o->ups > 0);
    assert_string_equal(owner_ask(o, "SET", one, "1"), "OK");
    begin_move(slot, &f.cluster.node[1], &f.cluster.node[2]);
    const struct weir_str words[] = {WEIR_STR("MSET"), weir_str_z(one), WEIR_STR("3"),
                                     weir_str_z(other), WEIR_STR("4")};
    uint64_t from_us = weir_clock_us();
    assert_true(owner_send(o, words, 5, NULL));
    OWNER_UNTIL(o, o->lost > 0);
    assert_true(weir_clock_us() - from_us >= 900000);
    assert_int_equal(o->lost, 1);
    assert_int_equal(o->downs, 0); /* the shard is well */
    NODE_SAY(&f.cluster.node[1], "CLUSTER SETSLOT %d STABLE", (int)slot);
    NODE_SAY(&f.cluster.node[2], "CLUSTER SETSLOT %d STABLE", (int)slot);
    owner_close(o);
}

/* Closing while a command waits: nobody is told any more. */
static void test_close_while_parked(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    char tag[32], one[48], other[48];
    key_of(1, 4, tag);
    snprintf(one, sizeof(one), "%s:1", tag);
    snprintf(other, sizeof(other), "%s:2", tag);
    unsigned slot = slot_of(tag);
    open_all(NULL);
    OWNER_UNTIL(o, o->ups > 0);
    owner_ask(o, "SET", one, "1");
    begin_move(slot, &f.cluster.node[1], &f.cluster.node[2]);
    const struct weir_str words[] = {WEIR_STR("MSET"), weir_str_z(one), WEIR_STR("3"),
                                     weir_str_z(other), WEIR_STR("4")};
    uint64_t before = try_agains();
    assert_true(owner_send(o, words, 5, NULL));
    OWNER_UNTIL(o, try_agains() > before);
    owner_close(o);
    assert_int_equal(o->lost, 0);
    NODE_SAY(&f.cluster.node[1], "CLUSTER SETSLOT %d STABLE", (int)slot);
    NODE_SAY(&f.cluster.node[2], "CLUSTER SETSLOT %d STABLE", (int)slot);
}

/* Two nodes that name each other: the command is lost after a few hops. */
static void test_endless_hops(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    struct cluster_node *a = &f.cluster.node[0], *b = &f.cluster.node[1];
    char key[32];
    key_of(0, 5, key);
    open_all(NULL);
    OWNER_UNTIL(o, o->ups > 0);
    uint64_t before = redirections(a, "MOVED") + redirections(b, "MOVED");
    NODE_SAY(a, "CLUSTER SETSLOT %d NODE %s", (int)slot_of(key), b->id);
    assert_true(owner_say(o, "GET", key, NULL));
    OWNER_UNTIL(o, o->lost + o->answered > 0);
    uint64_t hops = redirections(a, "MOVED") + redirections(b, "MOVED") - before;
    assert_int_equal(o->lost, 1);
    assert_int_equal(hops, WEIR_REDIS_HOPS_MAX + 1);
    NODE_SAY(b, "CLUSTER BUMPEPOCH");
    NODE_SAY(b, "CLUSTER SETSLOT %d NODE %s", (int)slot_of(key), a->id);
    NODE_SAY(a, "CLUSTER SETSLOT %d NODE %s", (int)slot_of(key), a->id);
    owner_close(o);
}

/* ---- shards that fail ---- */

/* The keys of a shard that is silent are lost with its connection, and then refused at once. Those
 * of the others notice nothing. */
static void test_silent_shard(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    char dead[32], alive[32];
    key_of(2, 6, dead);
    key_of(0, 6, alive);
    open_all("store_timeout_ms: 1000");
    OWNER_UNTIL(o, o->ups > 0);
    assert_true(redis_server_stop(&f.cluster.node[2].server));
    assert_true(owner_say(o, "SET", dead, "1"));
    for (unsigned i = 0; i < 20; i++) {
        assert_true(owner_say(o, "SET", alive, "1"));
    }
    OWNER_UNTIL(o, o->lost > 0);
    assert_int_equal(o->lost, 1);
    assert_int_equal(o->answered, 20);
    assert_false(weir_redis_shards_are_up(o->shards));
    assert_non_null(strstr(o->text, "is silent"));
    uint64_t until_us = weir_clock_us() + 500000; /* while it is tried again */
    for (unsigned answered = o->answered; weir_clock_us() < until_us; answered = o->answered) {
        assert_false(owner_say(o, "SET", dead, "2"));
        assert_true(owner_say(o, "SET", alive, "2"));
        OWNER_UNTIL(o, o->answered > answered);
    }
    assert_int_equal(o->lost, 1);
    redis_server_continue(&f.cluster.node[2].server);
    node_until(&f.cluster.node[2], "CLUSTER INFO", "cluster_state:ok");
    unsigned ups = o->ups;
    OWNER_UNTIL(o, o->ups > ups);
    assert_string_equal(owner_ask(o, "SET", dead, "3"), "OK");
    owner_close(o);
}

static void test_close_by_a_loss(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    char key[32];
    key_of(2, 7, key);
    open_all("store_timeout_ms: 100");
    OWNER_UNTIL(o, o->ups > 0);
    o->close_on_lost = true;
    assert_true(redis_server_stop(&f.cluster.node[2].server));
    for (unsigned i = 0; i < 5; i++) {
        assert_true(owner_say(o, "SET", key, "1"));
    }
    OWNER_UNTIL(o, o->lost > 0);
    assert_int_equal(o->lost, 1); /* no further callbacks */
    owner_close(o);
    redis_server_continue(&f.cluster.node[2].server);
    for (unsigned i = 0; i < PRIMARIES; i++) {
        node_until(&f.cluster.node[i], "CLUSTER INFO", "cluster_slots_fail:0");
        node_until(&f.cluster.node[i], "CLUSTER INFO", "cluster_slots_pfail:0");
    }
}

/* Replication is not waited for by whoever writes. */
static void until_replicated(unsigned port, const char *key, const char *value)
{
    redisContext *c = redisConnect("127.0.0.1", (int)port);
    freeReplyObject(redisCommand(c, "READONLY"));
    uint64_t until_us = weir_clock_us() + NODE_WAIT_US;
    for (bool there = false; !there;) {
        redisReply *r = redisCommand(c, "GET %s", key);
        there = r != NULL && r->type == REDIS_REPLY_STRING && strcmp(r->str, value) == 0;
        freeReplyObject(r);
        assert_true(weir_clock_us() < until_us);
    }
    redisFree(c);
}

/* A primary dies, its replica takes over: found without anybody being asked twice. Replicas that
 * live get nothing. The last test: it leaves a cluster of two. */
static void test_failover(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    char key[32];
    key_of(0, 8, key);
    struct cluster_node *replica = cluster_add_replica(&f.cluster, 0);
    open_all(NULL);
    OWNER_UNTIL(o, o->ups > 0);
    assert_string_equal(owner_ask(o, "SET", key, "1"), "OK");
    until_replicated(replica->server.port, key, "1");
    cluster_node_timeout(&f.cluster, NODE_HASTY_MS);
    redis_server_end(&f.cluster.node[0].server, SIGKILL);
    OWNER_UNTIL(o, o->downs > 0);
    assert_false(owner_say(o, "GET", key, NULL));
    unsigned ups = o->ups;
    OWNER_UNTIL(o, o->ups > ups);
    assert_string_equal(owner_ask(o, "GET", key, NULL), "1");
    assert_true(node_says(replica, "INFO replication", "role:master"));
    unsigned downs = o->downs;
    for (unsigned i = 0; i < 50; i++) { /* the dead one is not tried any more */
        usleep(10000);
        uv_run(&o->loop.uv, UV_RUN_NOWAIT);
    }
    assert_int_equal(o->downs, downs);
    owner_close(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_key_where_it_belongs),
        cmocka_unit_test(test_dead_seeds),
        cmocka_unit_test(test_single_server),
        cmocka_unit_test(test_slot_moves_under_traffic),
        cmocka_unit_test(test_try_again),
        cmocka_unit_test(test_try_again_in_vain),
        cmocka_unit_test(test_close_while_parked),
        cmocka_unit_test(test_endless_hops),
        cmocka_unit_test(test_silent_shard),
        cmocka_unit_test(test_close_by_a_loss),
        cmocka_unit_test(test_failover),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
