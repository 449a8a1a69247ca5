/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis store on a cluster: guarantees 1, 3 and 5 with windows on several shards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "store/redis/command.h"
#include "store/redis/slots.h"
#include "support/redis_cluster.h"
#include "support/store_node.h"

static struct redis_cluster cluster;
static struct fixture f;
static char url[128];

static int start(void **state)
{
    (void)state;
    cluster_start(&cluster);
    cluster_url(&cluster, url, sizeof(url));
    if (weir_loop_init(&f.loop) != WEIR_OK) {
        return -1;
    }
    uv_timer_init(&f.loop.uv, &f.wake);
    uv_timer_start(&f.wake, on_wake, 5, 5);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    uv_close((uv_handle_t *)&f.wake, NULL);
    weir_loop_deinit(&f.loop);
    cluster_end(&cluster);
    return 0;
}

static struct node *open_node(const char *more)
{
    struct node *n = &f.node[0];
    node_open(&f, n, url, more);
    until_ready(&f, n, true);
    return n;
}

/* ---- subjects ---- */

enum { SUBJECTS = 30 };

struct who {
    char name[64], root[64];
    struct weir_subject subject;
    unsigned slot;
};

static void who_is(struct who *w, struct node *n, const char *name, const char *root)
{
    char key[WEIR_REDIS_KEY_MAX];
    snprintf(w->name, sizeof(w->name), "%s", name);
    snprintf(w->root, sizeof(w->root), "%s", root);
    w->subject = (struct weir_subject){
        .name = weir_str_z(w->name), .root = weir_str_z(w->root), .plan = &n->config->plan[0]};
    weir_subject_id(w->subject.name, w->subject.id);
    w->slot = weir_redis_slot(weir_redis_key(&w->subject, key));
}

/* One that this primary serves; another one for another `number`. */
static void who_at(struct who *w, struct node *n, unsigned primary, unsigned number)
{
    char name[32];
    for (unsigned i = number * 1000; i == number * 1000 || w->slot / 5461 != primary; i++) {
        snprintf(name, sizeof(name), "key:k%u", i);
        who_is(w, n, name, "");
    }
}

static struct weir_call *charge(struct node *n, struct one *one, const struct who *a,
                                const struct who *b, uint64_t requests)
{
    unsigned before = n->done;
    *one = (struct one){.node = n, .sent_us = weir_clock_us()};
    one->call.subject[0] = &a->subject;
    one->call.subject[1] = b == NULL ? NULL : &b->subject;
    one->call.subjects = b == NULL ? 1 : 2;
    one->call.amounts = weir_amounts(requests, 0, 0);
    one->call.now_us = one->sent_us;
    one->call.done = on_taken;
    one->call.ctx = one;
    if (weir_store_take(n->store, &one->call) == WEIR_OK) {
        on_taken(&one->call);
    }
    until_done(&f, &n->done, before + 1);
    return &one->call;
}

static void allowed_by_redis(const struct weir_call *call)
{
    assert_int_equal(call->outcome, WEIR_OUTCOME_DECIDED);
    assert_true(call->decision.allowed);
    assert_false(call->local);
}

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

/* Subjects of one root are charged together. Those of two slots are not charged in Redis. */
static void test_subjects_of_a_root(void **state)
{
    (void)state;
    struct who key, org, other;
    struct node *n = open_node(PATIENT);
    struct one one;
    who_is(&org, n, "org:acme", "");
    who_is(&key, n, "key:of-acme", "org:acme");
    who_is(&other, n, "model:m", "");
    assert_int_equal(key.slot, org.slot);
    assert_int_not_equal(key.slot, other.slot);
    allowed_by_redis(charge(n, &one, &key, &org, 7));
    assert_int_equal(charge(n, &one, &org, NULL, 0)->decision.state[0].used, 7);
    assert_int_equal(charge(n, &one, &key, NULL, 0)->decision.state[0].used, 7);
    assert_int_equal(atomic_load(&n->store->stats.errors), 0);
    assert_true(charge(n, &one, &key, &other, 5)->local);
    assert_int_equal(atomic_load(&n->store->stats.errors), 1);
    assert_int_equal(charge(n, &one, &key, NULL, 0)->decision.state[0].used, 7);
    assert_int_equal(charge(n, &one, &other, NULL, 0)->decision.state[0].used, 0);
    assert_true(weir_store_ready(n->store));
    node_close(n);
}

/* Guarantee 5, for each shard by itself: its keys go by the node's share at once, the others by
 * Redis. */
static void test_dead_shard(void **state)
{
    (void)state;
    struct who dead, alive;
    struct node *n = open_node("store_timeout_ms: 200\nstore_connect_timeout_ms: 3000\nnodes: 4");
    struct one one;
    who_at(&dead, n, 1, 2);
    who_at(&alive, n, 0, 2);
    allowed_by_redis(charge(n, &one, &dead, NULL, 20));
    assert_true(redis_server_stop(&cluster.node[1].server));
    assert_true(charge(n, &one, &dead, NULL, 1)->local); /* waits for the time-out */
    assert_false(weir_store_ready(n->store));
    for (unsigned i = 0; i < 10; i++) {
        uint64_t from_us = weir_clock_us();
        const struct weir_call *call = charge(n, &one, &dead, NULL, 1);
        assert_true(call->local);
        assert_true(weir_clock_us() - from_us < 100000);
        assert_int_equal(call->decision.allowed, i < 4); /* 25 of 100, less what it was granted */
        allowed_by_redis(charge(n, &one, &alive, NULL, 1));
    }
    kill(cluster.node[1].server.pid, SIGCONT);
    until_ready(&f, n, true);
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
        cmocka_unit_test(test_each_subject_on_its_shard),
        cmocka_unit_test(test_window_moves),
        cmocka_unit_test(test_subjects_of_a_root),
        cmocka_unit_test(test_dead_shard),
        cmocka_unit_test(test_check),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
