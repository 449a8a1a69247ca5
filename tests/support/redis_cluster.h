/* SPDX-License-Identifier: Apache-2.0 */
/* redis_cluster.h - a Redis Cluster of the test's own: three primaries, and replicas of them when
 * asked. Include after cmocka.h. */
#ifndef WEIR_TESTS_SUPPORT_REDIS_CLUSTER_H
#define WEIR_TESTS_SUPPORT_REDIS_CLUSTER_H

#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "support/redis_server.h"

enum { PRIMARIES = 3, CLUSTER_NODES = 6, NODE_WAIT_US = 30000000 };

/* How long a node may be silent. On a busy machine one that lives is silent for half a second at
 * times: then others take it for dead, and a node that meets them gives up. */
#define NODE_PATIENT_MS "5000"
#define NODE_HASTY_MS   "500"

struct cluster_node {
    struct redis_server server;
    redisContext *redis;
    char id[41];
};

struct redis_cluster {
    struct cluster_node node[CLUSTER_NODES]; /* primaries first */
    unsigned nodes;
};

static inline redisReply *node_ask(struct cluster_node *n, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = redisvCommand(n->redis, format, args);
    va_end(args);
    assert_non_null(r);
    return r;
}

#define NODE_SAY(n, ...)                                                                           \
    do {                                                                                           \
        redisReply *node_said = node_ask(n, __VA_ARGS__);                                          \
        if (node_said->type == REDIS_REPLY_ERROR) {                                                \
            fail_msg("%s", node_said->str);                                                        \
        }                                                                                          \
        freeReplyObject(node_said);                                                                \
    } while (0)

static inline bool node_says(struct cluster_node *n, const char *command, const char *text)
{
    redisReply *r = redisCommand(n->redis, command);
    bool says = r != NULL && r->str != NULL && strstr(r->str, text) != NULL;
    freeReplyObject(r);
    return says;
}

/* Asks every 10 ms. */
static inline void node_until(struct cluster_node *n, const char *command, const char *text)
{
    uint64_t until_us = weir_clock_us() + NODE_WAIT_US;
    while (!node_says(n, command, text)) {
        if (weir_clock_us() > until_us) {
            fail_msg("%s never says %s", command, text);
        }
        usleep(10000);
    }
}

static inline bool node_run(struct cluster_node *n)
{
    char port[8], bus[8];
    n->server.port = redis_server_free_port();
    snprintf(port, sizeof(port), "%u", n->server.port);
    snprintf(bus, sizeof(bus), "%u", redis_server_free_port());
    const char *const args[] = {"redis-server",
                                "--port",
                                port,
                                "--bind",
                                "127.0.0.1",
                                "--cluster-enabled",
                                "yes",
                                "--cluster-port",
                                bus,
                                "--cluster-node-timeout",
                                NODE_PATIENT_MS,
                                "--cluster-require-full-coverage",
                                "no",
                                "--cluster-replica-validity-factor",
                                "0",
                                "--repl-diskless-sync-delay",
                                "0",
                                "--save",
                                "",
                                "--appendonly",
                                "no",
                                NULL};
    return redis_server_run(&n->server, args, "eady to accept connections");
}

/* A port that was free may be another program's by then: it tries others. */
static inline void node_start(struct cluster_node *n)
{
    bool runs = false;
    for (unsigned i = 0; i < 3 && !runs; i++) {
        redis_server_end(&n->server, SIGKILL);
        runs = node_run(n);
    }
    assert_true(runs);
    n->redis = redisConnect("127.0.0.1", (int)n->server.port);
    assert_int_equal(n->redis->err, 0);
    redisReply *r = node_ask(n, "CLUSTER MYID");
    memcpy(n->id, r->str, 40);
    freeReplyObject(r);
}

/* All primaries that are there: it waits for no gossip. */
static inline void node_meet(struct redis_cluster *c, struct cluster_node *n)
{
    for (unsigned i = 0; i < PRIMARIES && c->node[i].redis != NULL && &c->node[i] != n; i++) {
        redisReply *r = node_ask(&c->node[i], "CONFIG GET cluster-port");
        NODE_SAY(n, "CLUSTER MEET 127.0.0.1 %d %s", (int)c->node[i].server.port,
                 r->element[1]->str);
        freeReplyObject(r);
    }
}

/* Primaries share the slots evenly: i * 5461 and what follows. */
static inline void cluster_start(struct redis_cluster *c)
{
    char known[32];
    for (unsigned i = 0; i < PRIMARIES; i++) {
        struct cluster_node *n = &c->node[i];
        node_start(n);
        NODE_SAY(n, "CLUSTER SET-CONFIG-EPOCH %d", (int)i + 1);
        NODE_SAY(n, "CLUSTER ADDSLOTSRANGE %d %d", (int)i * 5461,
                 i + 1 < PRIMARIES ? (int)(i + 1) * 5461 - 1 : 16383);
        node_meet(c, n);
    }
    c->nodes = PRIMARIES;
    snprintf(known, sizeof(known), "cluster_size:%d", PRIMARIES);
    for (unsigned i = 0; i < PRIMARIES; i++) {
        node_until(&c->node[i], "CLUSTER INFO", known);
        node_until(&c->node[i], "CLUSTER INFO", "cluster_state:ok");
    }
}

/* Of all that live. With NODE_HASTY_MS a replica takes the place of one that dies soon. */
static inline void cluster_node_timeout(struct redis_cluster *c, const char *ms)
{
    for (unsigned i = 0; i < c->nodes; i++) {
        if (c->node[i].server.pid > 0) {
            NODE_SAY(&c->node[i], "CONFIG SET cluster-node-timeout %s", ms);
        }
    }
}

/* Waits until it follows its primary and all know that: else its first election may find no
 * majority, and the next one is seconds later. */
static inline struct cluster_node *cluster_add_replica(struct redis_cluster *c, unsigned of)
{
    struct cluster_node *n = &c->node[c->nodes++];
    char follows[64];
    node_start(n);
    node_meet(c, n);
    node_until(n, "CLUSTER NODES", c->node[of].id);
    NODE_SAY(n, "CLUSTER REPLICATE %s", c->node[of].id);
    node_until(n, "INFO replication", "master_link_status:up");
    snprintf(follows, sizeof(follows), "slave %s", c->node[of].id);
    for (unsigned i = 0; i < PRIMARIES; i++) {
        node_until(&c->node[i], "CLUSTER NODES", follows);
        node_until(n, "CLUSTER NODES", c->node[i].id);
    }
    node_until(n, "CLUSTER INFO", "cluster_state:ok");
    return n;
}

static inline void cluster_end(struct redis_cluster *c)
{
    for (unsigned i = 0; i < CLUSTER_NODES; i++) {
        if (c->node[i].redis != NULL) {
            redisFree(c->node[i].redis);
        }
        redis_server_remove(&c->node[i].server);
    }
}

/* The node that serves the slot, of those that live. */
static inline struct cluster_node *cluster_owner(struct redis_cluster *c, unsigned slot)
{
    unsigned i = slot / 5461;
    return &c->node[i < PRIMARIES ? i : PRIMARIES - 1];
}

/* ---- a slot that moves ---- */

static inline void begin_move(unsigned slot, struct cluster_node *from, struct cluster_node *to)
{
    NODE_SAY(to, "CLUSTER SETSLOT %d IMPORTING %s", (int)slot, from->id);
    NODE_SAY(from, "CLUSTER SETSLOT %d MIGRATING %s", (int)slot, to->id);
}

static inline void move_keys(unsigned slot, struct cluster_node *from, struct cluster_node *to,
                             int most)
{
    redisReply *keys = node_ask(from, "CLUSTER GETKEYSINSLOT %d %d", (int)slot, most);
    for (size_t i = 0; i < keys->elements; i++) {
        NODE_SAY(from, "MIGRATE 127.0.0.1 %d %s 0 5000", (int)to->server.port,
                 keys->element[i]->str);
    }
    freeReplyObject(keys);
}

static inline void end_move(struct redis_cluster *c, unsigned slot, struct cluster_node *to)
{
    NODE_SAY(to, "CLUSTER SETSLOT %d NODE %s", (int)slot, to->id);
    for (unsigned i = 0; i < PRIMARIES; i++) {
        NODE_SAY(&c->node[i], "CLUSTER SETSLOT %d NODE %s", (int)slot, to->id);
    }
}

/* "redis+cluster://127.0.0.1:p,..." of the primaries. */
static inline void cluster_url(const struct redis_cluster *c, char *text, size_t room)
{
    snprintf(text, room, "redis+cluster://127.0.0.1:%u,127.0.0.1:%u,127.0.0.1:%u",
             c->node[0].server.port, c->node[1].server.port, c->node[2].server.port);
}

#endif
