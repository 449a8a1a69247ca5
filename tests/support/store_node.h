/* SPDX-License-Identifier: Apache-2.0 */
/* store_node.h - nodes of one loop with the Redis store, on a redis-server of the test's own.
 * Include after cmocka.h. */
#ifndef WEIR_TESTS_SUPPORT_STORE_NODE_H
#define WEIR_TESTS_SUPPORT_STORE_NODE_H

#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/open.h"
#include "store/redis/conn.h"
#include "store/redis/over.h"
#include "store/shared.h"
#include "support/redis_server.h"

enum { CALLS = 1000, NODES = 4, WAIT_US = 30000000 };

struct node;

struct one {
    struct weir_call call;
    struct node *node;
    unsigned done;
    bool idle; /* for the test's own use */
    uint64_t sent_us;
};

struct node {
    struct weir_config *config;
    struct weir_store_shared *shared;
    struct weir_loop *loop;
    struct weir_store *store;
    unsigned done;
    const struct one *again; /* calls before it are followed by another */
    unsigned close_at;       /* 0, or the store is closed when so many are done */
};

struct fixture {
    struct redis_server server;
    redisContext *redis;
    struct weir_loop loop;
    uv_timer_t wake; /* so that waiting ends */
    struct node node[NODES];
    struct one one[CALLS];
};

static inline void on_wake(uv_timer_t *timer)
{
    (void)timer;
}

/* ---- the server ---- */

static inline void command(struct fixture *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = redisvCommand(f->redis, format, args);
    va_end(args);
    assert_non_null(r);
    if (r->type == REDIS_REPLY_ERROR) {
        fail_msg("%s", r->str);
    }
    freeReplyObject(r);
}

static inline void server_start(struct fixture *f)
{
    assert_true(redis_server_start(&f->server, "noeviction"));
    f->redis = redisConnectUnix(f->server.socket);
    assert_int_equal(f->redis->err, 0);
}

static inline struct weir_redis_identity server_identity(struct fixture *f)
{
    struct weir_redis_identity id;
    redisReply *info = redisCommand(f->redis, "INFO");
    assert_non_null(info);
    assert_true(weir_redis_identity_read(info, &id));
    freeReplyObject(info);
    return id;
}

/* As if nodes had been there for long: they take from a Redis that is new to all of them only after
 * WEIR_BARRIER_US. */
static inline void server_accept(struct fixture *f)
{
    char tag[WEIR_REDIS_TAG_BYTES];
    weir_redis_slot_tag(0, tag);
    command(f, "SET weir:{%s}:primary %s", tag, server_identity(f).text);
}

static inline void server_end(struct fixture *f, int signal_number)
{
    redisFree(f->redis);
    f->redis = NULL;
    redis_server_end(&f->server, signal_number);
}

/* Lets it listen on a port. */
static inline unsigned server_port(struct fixture *f)
{
    unsigned port = redis_server_free_port();
    command(f, "CONFIG SET bind 127.0.0.1");
    command(f, "CONFIG SET port %d", (int)port);
    return port;
}

/* ---- nodes ---- */

/* Of the only plan: of requests and of output tokens. What is used is still there when a busy
 * machine comes to look. */
static const char *config_limits = "{requests: 100/min, output_tokens: 1M/min}";

static inline struct weir_config *config_of(const char *url, const char *more)
{
    char yaml[1024];
    struct weir_config *config;
    struct weir_config_error error;
    snprintf(yaml, sizeof(yaml),
             "store: %s\n%s\n%s\nplans: {p: {limits: %s}}\n"
             "keys: [{id: k, secret: sk-k, plan: p}]\n",
             url, more, strstr(more, "mode:") == NULL ? "mode: exact" : "", config_limits);
    if (weir_config_parse(weir_str_z(yaml), NULL, &config, &error) != WEIR_OK) {
        fail_msg("%u:%u %s", error.line, error.column, error.text);
    }
    return config;
}

static inline void node_open(struct fixture *f, struct node *n, const char *url, const char *more)
{
    char unix_url[128];
    snprintf(unix_url, sizeof(unix_url), "redis+unix://%s", f->server.socket);
    *n = (struct node){.config = config_of(url != NULL ? url : unix_url, more), .loop = &f->loop};
    assert_int_equal(weir_store_shared_new(n->config, &n->shared), WEIR_OK);
    assert_int_equal(weir_store_open(n->config, &f->loop, n->shared, &n->store), WEIR_OK);
}

static inline void node_close(struct node *n)
{
    weir_store_close(n->store);
    weir_store_shared_free(n->shared);
    weir_config_free(n->config);
    *n = (struct node){0};
}

static inline void turn(struct fixture *f, uint64_t until_us)
{
    assert_true(weir_clock_us() < until_us);
    uv_run(&f->loop.uv, UV_RUN_ONCE);
}

static inline void until_ready(struct fixture *f, struct node *n, bool ready)
{
    uint64_t until_us = weir_clock_us() + WAIT_US;
    while (weir_store_ready(n->store) != ready) {
        turn(f, until_us);
    }
}

static inline void until_done(struct fixture *f, const unsigned *done, unsigned count)
{
    uint64_t until_us = weir_clock_us() + WAIT_US;
    while (*done < count) {
        turn(f, until_us);
    }
}

static inline void take(struct one *one, struct node *n, struct weir_amounts amounts,
                        void (*done)(struct weir_call *call))
{
    *one = (struct one){.node = n, .sent_us = weir_clock_us()};
    one->call.subject[0] = &n->config->key[0].subject;
    one->call.subjects = 1;
    one->call.amounts = amounts;
    one->call.now_us = one->sent_us;
    one->call.done = done;
    one->call.ctx = one;
    if (weir_store_take(n->store, &one->call) == WEIR_OK) {
        done(&one->call);
    }
}

static inline void on_taken(struct weir_call *call)
{
    struct one *one = call->ctx;
    struct node *n = one->node;
    one->done++;
    n->done++;
    if (n->again != NULL && one < n->again) { /* asks again at once */
        take(one + CALLS / 2, n, weir_amounts(1, 0, 0), on_taken);
    }
    if (n->close_at == n->done) {
        weir_store_close(n->store);
        n->store = NULL;
    }
}

static inline void take_many(struct fixture *f, struct node *n, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        take(&f->one[i], n, weir_amounts(1, 0, 0), on_taken);
    }
}

static inline unsigned count_where(const struct fixture *f, bool allowed, bool local,
                                   enum weir_outcome outcome)
{
    unsigned n = 0;
    for (unsigned i = 0; i < CALLS; i++) {
        const struct weir_call *c = &f->one[i].call;
        assert_int_equal(f->one[i].done, 1);
        n += c->outcome == outcome && c->local == local &&
             (outcome != WEIR_OUTCOME_DECIDED || c->decision.allowed == allowed);
    }
    return n;
}

static inline uint64_t used(struct fixture *f, struct node *n, enum weir_meter meter)
{
    struct one one;
    unsigned before = n->done;
    take(&one, n, weir_amounts(0, 0, 0), on_taken);
    until_done(f, &n->done, before + 1);
    assert_int_equal(one.call.decision.states, 2);
    return one.call.decision.state[meter == WEIR_METER_REQUESTS ? 0 : 1].used;
}

static inline void on_settled(struct weir_settle *settle)
{
    ++*(unsigned *)settle->ctx;
}

static inline int begin(void **state)
{
    struct fixture *f = weir_zalloc(sizeof(*f));
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    *state = f;
    if (weir_loop_init(&f->loop) != WEIR_OK) {
        return -1;
    }
    uv_timer_init(&f->loop.uv, &f->wake);
    uv_timer_start(&f->wake, on_wake, 5, 5);
    server_start(f);
    server_accept(f);
    return 0;
}

static inline int end(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < NODES; i++) {
        node_close(&f->node[i]);
    }
    uv_close((uv_handle_t *)&f->wake, NULL);
    weir_loop_deinit(&f->loop);
    if (f->redis != NULL) {
        redisFree(f->redis);
    }
    redis_server_remove(&f->server);
    weir_free(f);
    return 0;
}

/* For the cases in which Redis is well: a busy test machine must not look like an outage. */
#define PATIENT "store_timeout_ms: 5000\nstore_connect_timeout_ms: 5000"

/* A grant may be no older than a second or two of these time-outs when its answer comes. Here the
 * second counts, for the cases in which beats cover what was granted before. */
#define CLOSED_BEATS                                                                               \
    "store_timeout_ms: 500\nstore_connect_timeout_ms: 5000\nnodes: 2\non_store_failure: closed"

/* That second, a step of a minute, what clocks drift; and what a busy machine's late answers leave
 * unknown of the server's clock. */
enum { COVERED_MS = 1000 + 469 + 50 + 1500 };

/* Until a beat has come to this Redis that covers all that the node was granted by now. The slot is
 * the first one that the shard serves. */
static inline void until_covered(struct fixture *f, const struct node *n, redisContext *redis,
                                 unsigned slot)
{
    char tag[WEIR_REDIS_TAG_BYTES];
    uint64_t now_us = weir_clock_us(), until_us = now_us + WAIT_US, beat_ms = 0;
    weir_redis_slot_tag(slot, tag);
    while (beat_ms < now_us / 1000 + COVERED_MS) {
        turn(f, until_us);
        redisReply *r = redisCommand(redis, "HGET weir:{%s}:beats %016llx", tag,
                                     (unsigned long long)n->shared->epoch);
        assert_non_null(r);
        beat_ms = r->type == REDIS_REPLY_STRING ? strtoull(r->str, NULL, 10) : 0;
        freeReplyObject(r);
    }
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

#endif
