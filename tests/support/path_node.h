/* SPDX-License-Identifier: Apache-2.0 */
/* path_node.h - nodes that go by a path which names one redis-server after the other, and servers
 * that take each other's place. Include after cmocka.h. */
#ifndef WEIR_TESTS_SUPPORT_PATH_NODE_H
#define WEIR_TESTS_SUPPORT_PATH_NODE_H

#include "store/redis/primaries.h"
#include "support/lease_node.h"

enum { LIMIT = 60, BACK_US = 2 * WEIR_BARRIER_US }; /* back in less: there was one barrier */

#define CLOSED PATIENT "\nnodes: 2\non_store_failure: closed"
#define LOCAL  PATIENT "\nnodes: 2\non_store_failure: local"

/* ---- who is at the path ---- */

static inline const char *path_of(const struct fixture *f)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/path", f->server.folder);
    return path;
}

static inline void path_to(struct fixture *f, const struct redis_server *server)
{
    (void)unlink(path_of(f));
    assert_int_equal(symlink(server->socket, path_of(f)), 0);
}

static inline void open_node(struct fixture *f, struct node *n, const char *more)
{
    char url[160];
    snprintf(url, sizeof(url), "redis+unix://%s", path_of(f));
    node_open(f, n, url, more);
}

static inline int begin_path(void **state)
{
    config_limits = "{requests: 60/min, output_tokens: 1M/min}";
    if (begin(state) != 0) {
        return -1;
    }
    path_to(*state, &((struct fixture *)*state)->server);
    return 0;
}

#define PATH_CASE(fn) cmocka_unit_test_setup_teardown(fn, begin_path, end)

/* Nobody is at the path, and who was there is asked nothing more. */
static inline void cut_off(struct fixture *f, struct node *n, unsigned nodes)
{
    assert_int_equal(unlink(path_of(f)), 0);
    command(f, "CLIENT KILL TYPE normal");
    for (unsigned i = 0; i < nodes; i++) {
        until_ready(f, &n[i], false);
    }
}

/* ---- taking ---- */

/* Of `count` requests one after the other. */
static inline unsigned allowed_of(struct fixture *f, struct node *n, unsigned count)
{
    unsigned allowed = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned done = n->done;
        take(&f->one[0], n, weir_amounts(1, 0, 10), on_taken);
        until_done(f, &n->done, done + 1);
        allowed +=
            f->one[0].call.outcome == WEIR_OUTCOME_DECIDED && f->one[0].call.decision.allowed;
    }
    return allowed;
}

static inline void until_back(struct fixture *f, struct node *n, unsigned nodes)
{
    uint64_t from_us = weir_clock_us();
    for (unsigned i = 0; i < nodes; i++) {
        until_ready(f, &n[i], true);
    }
    assert_true(weir_clock_us() - from_us < BACK_US);
}

/* ---- another Redis ---- */

static inline redisContext *start_other(struct redis_server *other)
{
    assert_true(redis_server_start(other, "noeviction"));
    redisContext *redis = redisConnectUnix(other->socket);
    assert_int_equal(redis->err, 0);
    return redis;
}

static inline void say(redisContext *redis, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = redisvCommand(redis, format, args);
    va_end(args);
    assert_non_null(r);
    assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
    freeReplyObject(r);
}

static inline void until_says(redisContext *redis, const char *text)
{
    bool says = false;
    for (unsigned i = 0; i < 1000 && !says; i++) {
        redisReply *r = redisCommand(redis, "INFO replication");
        assert_non_null(r);
        says = strstr(r->str, text) != NULL;
        freeReplyObject(r);
        usleep(says ? 0 : 5000);
    }
    assert_true(says);
}

/* A replica of the fixture's server, with all that is there. Promoted, it lacks what comes after.
 */
static inline redisContext *start_replica(struct fixture *f, struct redis_server *replica)
{
    redisContext *redis = start_other(replica);
    command(f, "CONFIG SET repl-diskless-sync-delay 0");
    say(redis, "REPLICAOF 127.0.0.1 %d", (int)server_port(f));
    until_says(redis, "master_link_status:up");
    server_accept(f); /* its replication id is new */
    return redis;
}

/* ---- settling ---- */

/* Claims it, and waits for the answer. */
static inline void settle_as(struct fixture *f, struct node *n,
                             const struct weir_reservation *reservation, uint64_t output,
                             enum weir_settle_result expected)
{
    unsigned done = 0;
    struct weir_settle settle = {.subject = {&n->config->key[0].subject},
                                 .subjects = 1,
                                 .reservation = *reservation,
                                 .used = weir_amounts(1, 0, output),
                                 .now_us = weir_clock_us(),
                                 .claim = true,
                                 .done = on_settled,
                                 .ctx = &done};
    assert_int_equal(weir_store_settle(n->store, &settle), WEIR_PENDING);
    until_done(f, &done, 1);
    assert_int_equal(settle.result, expected);
}

static inline void settle_once(struct fixture *f, struct node *n,
                               struct weir_reservation reservation)
{
    settle_as(f, n, &reservation, 1, WEIR_SETTLE_DONE);
    settle_as(f, n, &reservation, 1, WEIR_SETTLE_REPEATED);
}

/* ---- workers of one process ---- */

/* The others have what is the first one's. */
static inline int end_workers(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 1; i < NODES; i++) {
        weir_store_close(f->node[i].store);
        f->node[i] = (struct node){0};
    }
    return end(state);
}

static inline void share_node(struct fixture *f, struct node *n, const struct node *with)
{
    *n = (struct node){.config = with->config, .shared = with->shared, .loop = &f->loop};
    assert_int_equal(weir_store_open(n->config, &f->loop, n->shared, &n->store), WEIR_OK);
}

#endif
