/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_store.h - the Redis store on a cluster of the test's own, and subjects in slots that the
 * test chooses. Include after cmocka.h. */
#ifndef WEIR_TESTS_SUPPORT_CLUSTER_STORE_H
#define WEIR_TESTS_SUPPORT_CLUSTER_STORE_H

#include "store/redis/command.h"
#include "store/redis/slots.h"
#include "support/redis_cluster.h"
#include "support/store_node.h"

static struct redis_cluster cluster;
static struct fixture world;
static char url[128];

static inline int start(void **state)
{
    (void)state;
    cluster_start(&cluster);
    cluster_url(&cluster, url, sizeof(url));
    if (weir_loop_init(&world.loop) != WEIR_OK) {
        return -1;
    }
    uv_timer_init(&world.loop.uv, &world.wake);
    uv_timer_start(&world.wake, on_wake, 5, 5);
    return 0;
}

static inline int stop(void **state)
{
    (void)state;
    uv_close((uv_handle_t *)&world.wake, NULL);
    weir_loop_deinit(&world.loop);
    cluster_end(&cluster);
    return 0;
}

/* Also after a case that failed, so that no later one does for it. */
static inline int close_nodes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PRIMARIES; i++) {
        redis_server_continue(&cluster.node[i].server);
    }
    for (unsigned i = 0; i < NODES; i++) {
        node_close(&world.node[i]);
    }
    return 0;
}

#define CLUSTER_CASE(fn) cmocka_unit_test_teardown(fn, close_nodes)

static inline struct node *open_node(const char *more)
{
    struct node *n = &world.node[0];
    node_open(&world, n, url, more);
    until_ready(&world, n, true);
    return n;
}

/* ---- subjects ---- */

struct who {
    char name[64], root[64];
    struct weir_subject subject;
    unsigned slot;
};

static inline void who_is(struct who *w, struct node *n, const char *name, const char *root)
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
static inline void who_at(struct who *w, struct node *n, unsigned primary, unsigned number)
{
    char name[32];
    for (unsigned i = number * 1000; i == number * 1000 || w->slot / 5461 != primary; i++) {
        snprintf(name, sizeof(name), "key:k%u", i);
        who_is(w, n, name, "");
    }
}

/* Asks and waits for the answer; probe: of what would be. */
static inline struct weir_call *ask_all(struct node *n, struct one *one,
                                        const struct who *const *who, unsigned count,
                                        struct weir_amounts amounts, bool probe)
{
    unsigned before = n->done;
    *one = (struct one){.node = n, .sent_us = weir_clock_us()};
    for (unsigned i = 0; i < count; i++) {
        one->call.subject[i] = &who[i]->subject;
    }
    one->call.subjects = (uint8_t)count;
    one->call.amounts = amounts;
    one->call.probe = probe;
    one->call.now_us = one->sent_us;
    one->call.done = on_taken;
    one->call.ctx = one;
    if (weir_store_take(n->store, &one->call) == WEIR_OK) {
        on_taken(&one->call);
    }
    until_done(&world, &n->done, before + 1);
    return &one->call;
}

static inline struct weir_call *charge_all(struct node *n, struct one *one,
                                           const struct who *const *who, unsigned count,
                                           struct weir_amounts amounts)
{
    return ask_all(n, one, who, count, amounts, false);
}

/* Of one subject, or of two. */
static inline struct weir_call *charge(struct node *n, struct one *one, const struct who *a,
                                       const struct who *b, uint64_t requests)
{
    const struct who *const who[] = {a, b};
    return charge_all(n, one, who, b == NULL ? 1 : 2, weir_amounts(requests, 0, 0));
}

static inline void allowed_by_redis(const struct weir_call *call)
{
    assert_int_equal(call->outcome, WEIR_OUTCOME_DECIDED);
    assert_true(call->decision.allowed);
    assert_false(call->local);
}

#endif
