/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis store on a loop, against a real redis-server that forgets the script, is killed, is
 * stopped, wants a password, evicts: each call is done once, and the limit holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/open.h"
#include "support/redis_server.h"

enum { CALLS = 1000, NODES = 4, WAIT_US = 8000000 };

struct node;

struct one {
    struct weir_call call;
    struct node *node;
    unsigned done;
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

static void on_wake(uv_timer_t *timer)
{
    (void)timer;
}

/* ---- the server ---- */

static void command(struct fixture *f, const char *format, ...)
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

static void server_start(struct fixture *f)
{
    assert_true(redis_server_start(&f->server, "noeviction"));
    f->redis = redisConnectUnix(f->server.socket);
    assert_int_equal(f->redis->err, 0);
}

static void server_end(struct fixture *f, int signal_number)
{
    redisFree(f->redis);
    f->redis = NULL;
    redis_server_end(&f->server, signal_number);
}

/* Lets it listen on a port that the kernel chose. */
static unsigned server_port(struct fixture *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    command(f, "CONFIG SET bind 127.0.0.1");
    command(f, "CONFIG SET port %d", (int)ntohs(address.sin_port));
    return ntohs(address.sin_port);
}

/* ---- nodes ---- */

static struct weir_config *config_of(const char *url, const char *more)
{
    char yaml[1024];
    struct weir_config *config;
    struct weir_config_error error;
    snprintf(yaml, sizeof(yaml),
             "store: %s\n%s\nplans: {p: {limits: {requests: 100/2s, output_tokens: 1M/2s}}}\n"
             "keys: [{id: k, secret: sk-k, plan: p}]\n",
             url, more);
    if (weir_config_parse(weir_str_z(yaml), NULL, &config, &error) != WEIR_OK) {
        fail_msg("%u:%u %s", error.line, error.column, error.text);
    }
    return config;
}

static void node_open(struct fixture *f, struct node *n, const char *url, const char *more)
{
    char unix_url[128];
    snprintf(unix_url, sizeof(unix_url), "redis+unix://%s", f->server.socket);
    *n = (struct node){.config = config_of(url != NULL ? url : unix_url, more), .loop = &f->loop};
    assert_int_equal(weir_store_shared_new(n->config, &n->shared), WEIR_OK);
    assert_int_equal(weir_store_open(n->config, &f->loop, n->shared, &n->store), WEIR_OK);
}

static void node_close(struct node *n)
{
    weir_store_close(n->store);
    weir_store_shared_free(n->shared);
    weir_config_free(n->config);
    *n = (struct node){0};
}

static void turn(struct fixture *f, uint64_t until_us)
{
    assert_true(weir_clock_us() < until_us);
    uv_run(&f->loop.uv, UV_RUN_ONCE);
}

static void until_ready(struct fixture *f, struct node *n, bool ready)
{
    uint64_t until_us = weir_clock_us() + WAIT_US;
    while (weir_store_ready(n->store) != ready) {
        turn(f, until_us);
    }
}

static void until_done(struct fixture *f, const unsigned *done, unsigned count)
{
    uint64_t until_us = weir_clock_us() + WAIT_US;
    while (*done < count) {
        turn(f, until_us);
    }
}

static void take(struct one *one, struct node *n, struct weir_amounts amounts,
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

static void on_taken(struct weir_call *call)
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

static void take_many(struct fixture *f, struct node *n, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        take(&f->one[i], n, weir_amounts(1, 0, 0), on_taken);
    }
}

static unsigned count_where(const struct fixture *f, bool allowed, bool local,
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

static uint64_t used(struct fixture *f, struct node *n, enum weir_meter meter)
{
    struct one one;
    unsigned before = n->done;
    take(&one, n, weir_amounts(0, 0, 0), on_taken);
    until_done(f, &n->done, before + 1);
    assert_int_equal(one.call.decision.states, 2);
    return one.call.decision.state[meter == WEIR_METER_REQUESTS ? 0 : 1].used;
}

static int begin(void **state)
{
    struct fixture *f = weir_zalloc(sizeof(*f));
    *state = f;
    if (weir_loop_init(&f->loop) != WEIR_OK) {
        return -1;
    }
    uv_timer_init(&f->loop.uv, &f->wake);
    uv_timer_start(&f->wake, on_wake, 5, 5);
    server_start(f);
    return 0;
}

static int end(void **state)
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

/* ---- the script is forgotten ---- */

static void test_script_flush(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_open(f, n, NULL, PATIENT);
    until_ready(f, n, true);
    take_many(f, n, 0, CALLS / 2);
    uv_run(&f->loop.uv, UV_RUN_NOWAIT);
    command(f, "SCRIPT FLUSH");
    take_many(f, n, CALLS / 2, CALLS);
    until_done(f, &n->done, CALLS);
    assert_int_equal(count_where(f, true, false, WEIR_OUTCOME_DECIDED), 100);
    assert_int_equal(count_where(f, false, false, WEIR_OUTCOME_DECIDED), CALLS - 100);
    assert_int_equal(used(f, n, WEIR_METER_REQUESTS), 100);
    assert_int_equal(n->store->stats.errors, 0);
    assert_int_equal(n->store->stats.reconnects, 0);
}

/* ---- outages ---- */

/* A thousand calls are with a server that is killed before it answers one. */
static void lose_all(struct fixture *f, struct node *n, const char *more)
{
    node_open(f, n, NULL, more);
    until_ready(f, n, true);
    assert_true(redis_server_stop(&f->server));
    take_many(f, n, 0, CALLS);
    uv_run(&f->loop.uv, UV_RUN_NOWAIT); /* written */
    assert_int_equal(n->done, 0);
    server_end(f, SIGKILL);
}

static void test_killed(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    lose_all(f, n, PATIENT "\nnodes: 4\non_store_failure: local");
    until_done(f, &n->done, CALLS);
    assert_int_equal(count_where(f, true, true, WEIR_OUTCOME_DECIDED), 25);
    assert_int_equal(count_where(f, false, true, WEIR_OUTCOME_DECIDED), CALLS - 25);
    node_close(n);
    server_start(f);
    lose_all(f, n, PATIENT "\non_store_failure: closed");
    until_done(f, &n->done, CALLS);
    assert_int_equal(count_where(f, false, true, WEIR_OUTCOME_UNAVAILABLE), CALLS);
    node_close(n);
    server_start(f);
    lose_all(f, n, PATIENT "\non_store_failure: open");
    until_done(f, &n->done, CALLS);
    assert_int_equal(count_where(f, true, true, WEIR_OUTCOME_DECIDED), CALLS);
    assert_false(weir_store_ready(n->store));
    /* and it finds the next one */
    server_start(f);
    until_ready(f, n, true);
    take_many(f, n, 0, 10);
    until_done(f, &n->done, CALLS + 10);
    assert_false(f->one[9].call.local);
    assert_int_equal(n->store->stats.reconnects, 1);
}

/* Those that were lost ask again from within. */
static void test_asked_again_while_lost(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_open(f, n, NULL, PATIENT "\nnodes: 2");
    until_ready(f, n, true);
    assert_true(redis_server_stop(&f->server));
    n->again = &f->one[CALLS / 2];
    take_many(f, n, 0, CALLS / 2);
    uv_run(&f->loop.uv, UV_RUN_NOWAIT);
    server_end(f, SIGKILL);
    until_done(f, &n->done, CALLS);
    assert_int_equal(count_where(f, true, true, WEIR_OUTCOME_DECIDED), 50);
}

/* Nobody is called after the store was closed, by one of those that were lost. */
static void test_closed_while_lost(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    lose_all(f, n, PATIENT);
    n->close_at = 10;
    until_done(f, &n->done, 10);
    for (unsigned i = 0; i < 20; i++) {
        uv_run(&f->loop.uv, UV_RUN_ONCE);
    }
    assert_int_equal(n->done, 10);
}

static void test_stopped(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_open(f, n, NULL, "nodes: 4");
    until_ready(f, n, true);
    assert_true(redis_server_stop(&f->server));
    uint64_t from_us = weir_clock_us();
    take_many(f, n, 0, CALLS);
    until_done(f, &n->done, CALLS);
    assert_true(weir_clock_us() - from_us >= 50000);
    assert_int_equal(count_where(f, true, true, WEIR_OUTCOME_DECIDED), 25);
    assert_false(weir_store_ready(n->store));
    kill(f->server.pid, SIGCONT);
    until_ready(f, n, true);
    /* what was with the server when it stopped is charged there, and granted to nobody */
    assert_int_equal(used(f, n, WEIR_METER_REQUESTS), 100);
}

/* Guarantee 5: a Redis without memory answers each charge with an error; that is no leave to pass.
 */
static void test_out_of_memory(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_open(f, n, NULL, PATIENT "\nnodes: 4");
    until_ready(f, n, true);
    command(f, "CONFIG SET maxmemory 1");
    take_many(f, n, 0, CALLS);
    until_done(f, &n->done, CALLS);
    assert_int_equal(count_where(f, true, true, WEIR_OUTCOME_DECIDED), 25);
    assert_int_equal(n->store->stats.errors, CALLS);
    assert_false(weir_store_ready(n->store));
    command(f, "CONFIG SET maxmemory 0");
    until_ready(f, n, true); /* asked again after a second: no call is needed to find out */
    take_many(f, n, 0, 1);
    until_done(f, &n->done, CALLS + 1);
    assert_false(f->one[0].call.local);
    assert_int_equal(used(f, n, WEIR_METER_REQUESTS), 1);
    assert_int_equal(n->store->stats.reconnects, 0);
    node_close(n);
    node_open(f, n, NULL, PATIENT "\non_store_failure: closed");
    until_ready(f, n, true);
    command(f, "CONFIG SET maxmemory 1");
    take_many(f, n, 0, CALLS);
    until_done(f, &n->done, CALLS);
    assert_int_equal(count_where(f, false, true, WEIR_OUTCOME_UNAVAILABLE), CALLS);
}

static void take_in_outage(struct fixture *f, struct node *n, uint64_t output)
{
    take(&f->one[0], n, weir_amounts(1, 0, output), on_taken);
    assert_true(f->one[0].call.local);
}

/* Guarantee 5: this node's share of each meter, less what it was granted in the last window, and no
 * longer. Guarantee 4 in an outage: only what is larger than the limit itself never passes. */
static void test_share_less_what_was_granted(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_open(f, n, NULL, PATIENT "\nnodes: 3");
    until_ready(f, n, true);
    take_many(f, n, 0, 30);
    until_done(f, &n->done, 30);
    server_end(f, SIGKILL);
    until_ready(f, n, false);
    take_in_outage(f, n, 333334);
    assert_false(f->one[0].call.decision.allowed);
    assert_int_equal(f->one[0].call.decision.retry_after_us, 1000000);
    take_in_outage(f, n, 1000001);
    assert_true(f->one[0].call.decision.retry_after_us == WEIR_RETRY_NEVER);
    take_in_outage(f, n, 333333);
    assert_true(f->one[0].call.decision.allowed);
    for (unsigned i = 0; i < 2; i++) {
        take_in_outage(f, n, 0);
        assert_true(f->one[0].call.decision.allowed);
    }
    take_in_outage(f, n, 0);
    assert_false(f->one[0].call.decision.allowed);
    assert_int_equal(f->one[0].call.decision.state[0].capacity, 33);
    assert_int_equal(f->one[0].call.decision.state[0].used, 33);
    assert_int_equal(n->store->stats.local_decisions, 6);
    uint64_t retry_us = f->one[0].call.decision.retry_after_us;
    assert_true(retry_us > 1000000 && retry_us < 2020000);
}

/* Who settles what: what this process granted from its share, here only; what another one did,
 * there only; what nobody took, nowhere; what is too old, not at all. */
static void test_settled_where_taken(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0], *other = &f->node[1];
    for (unsigned i = 0; i < 2; i++) {
        node_open(f, &f->node[i], NULL, PATIENT "\nreservation_ttl: 1s");
        until_ready(f, &f->node[i], true);
    }
    server_end(f, SIGKILL);
    until_ready(f, n, false);
    until_ready(f, other, false);
    take_in_outage(f, n, 500);
    struct weir_settle settle = {.subject = {&n->config->key[0].subject},
                                 .subjects = 1,
                                 .reservation = f->one[0].call.reservation,
                                 .used = weir_amounts(1, 0, 20),
                                 .claim = true};
    assert_int_equal(weir_store_settle(other->store, &settle), WEIR_OK);
    assert_int_equal(settle.result, WEIR_SETTLE_ELSEWHERE);
    assert_int_equal(weir_store_settle(n->store, &settle), WEIR_OK);
    assert_int_equal(settle.result, WEIR_SETTLE_DONE);
    assert_int_equal(weir_store_settle(n->store, &settle), WEIR_OK);
    assert_int_equal(settle.result, WEIR_SETTLE_REPEATED);
    assert_int_equal(used(f, n, WEIR_METER_OUTPUT_TOKENS), 20);
    struct weir_settle of_open = settle, old = settle;
    of_open.reservation = (struct weir_reservation){0};
    assert_int_equal(weir_store_settle(n->store, &of_open), WEIR_OK);
    assert_int_equal(of_open.result, WEIR_SETTLE_DONE);
    assert_int_equal(used(f, n, WEIR_METER_OUTPUT_TOKENS), 20);
    old.reservation.epoch--; /* of Redis */
    old.reservation.at_us -= 1500000;
    assert_int_equal(weir_store_settle(n->store, &old), WEIR_OK);
    assert_int_equal(old.result, WEIR_SETTLE_EXPIRED);
}

/* A request that ends during an outage gives back to this node's share what it has not used. */
static void test_settled_during_an_outage(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_open(f, n, NULL, PATIENT);
    until_ready(f, n, true);
    take(&f->one[0], n, weir_amounts(1, 0, 500), on_taken);
    until_done(f, &n->done, 1);
    assert_true(f->one[0].call.decision.allowed && !f->one[0].call.local);
    server_end(f, SIGKILL);
    until_ready(f, n, false);
    assert_int_equal(used(f, n, WEIR_METER_OUTPUT_TOKENS), 500);
    struct weir_settle settle = {.subject = {&n->config->key[0].subject},
                                 .subjects = 1,
                                 .reservation = f->one[0].call.reservation,
                                 .used = weir_amounts(1, 0, 20),
                                 .now_us = weir_clock_us()};
    assert_int_equal(weir_store_settle(n->store, &settle), WEIR_OK);
    assert_int_equal(used(f, n, WEIR_METER_OUTPUT_TOKENS), 20);
}

/* ---- who may be used ---- */

static void check(const char *url, enum weir_err expected, const char *says)
{
    char text[512] = "";
    struct weir_config *config = config_of(url, PATIENT);
    assert_int_equal(weir_store_check(config, text, sizeof(text)), expected);
    if (strstr(text, says) == NULL || strstr(text, "hunter") != NULL) {
        fail_msg("%s", text);
    }
    weir_config_free(config);
}

static void test_who_may_be_used(void **state)
{
    struct fixture *f = *state;
    char url[5][160];
    unsigned port = server_port(f);
    snprintf(url[0], sizeof(url[0]), "redis+unix://%s", f->server.socket);
    snprintf(url[1], sizeof(url[1]), "redis://127.0.0.1:%u", port);
    snprintf(url[2], sizeof(url[2]), "redis://weir:hunter2@127.0.0.1:%u/3", port);
    snprintf(url[3], sizeof(url[3]), "redis://weir:hunter3@127.0.0.1:%u/3", port);
    snprintf(url[4], sizeof(url[4]), "redis://weir:hunter2@127.0.0.1:%u/99", port);
    check(url[0], WEIR_OK, "");
    check(url[1], WEIR_OK, "");
    command(f, "CONFIG SET maxmemory-policy allkeys-lru");
    check(url[1], WEIR_ERR_INVALID, "expected maxmemory-policy noeviction, it is allkeys-lru");
    command(f, "CONFIG SET maxmemory-policy noeviction");
    command(f, "ACL SETUSER weir on >hunter2 ~weir:* +@all");
    check(url[2], WEIR_OK, "");
    check(url[3], WEIR_ERR_INVALID, "refuses the user or password: WRONGPASS");
    check(url[4], WEIR_ERR_INVALID, "refuses the database");
    command(f, "CONFIG SET requirepass other");
    check(url[0], WEIR_ERR_INVALID, "wants a password");
    check(url[2], WEIR_OK, "");
    node_open(f, &f->node[0], url[2], PATIENT);
    until_ready(f, &f->node[0], true);
    take_many(f, &f->node[0], 0, 10);
    until_done(f, &f->node[0].done, 10);
    assert_false(f->one[9].call.local);
    assert_int_equal(used(f, &f->node[0], WEIR_METER_REQUESTS), 10);
}

/* ---- several nodes ---- */

static void on_settled(struct weir_settle *settle)
{
    ++*(unsigned *)settle->ctx;
}

/* A reservation that two nodes settle at once is settled once. */
static void test_claim_raced(void **state)
{
    struct fixture *f = *state;
    struct weir_settle settle[2];
    unsigned done = 0;
    for (unsigned i = 0; i < 2; i++) {
        node_open(f, &f->node[i], NULL, PATIENT);
        until_ready(f, &f->node[i], true);
    }
    struct node *n = &f->node[0];
    take(&f->one[0], n, weir_amounts(1, 0, 900), on_taken);
    take(&f->one[1], n, weir_amounts(1, 0, 900), on_taken);
    until_done(f, &n->done, 2);
    for (unsigned i = 0; i < 2; i++) {
        settle[i] = (struct weir_settle){
            .subject = {&f->node[i].config->key[0].subject},
            .subjects = 1,
            .reservation = f->one[0].call.reservation,
            .used = weir_amounts(1, 0, 100),
            .now_us = weir_clock_us(),
            .claim = true,
            .done = on_settled,
            .ctx = &done,
        };
        assert_int_equal(weir_store_settle(f->node[i].store, &settle[i]), WEIR_PENDING);
    }
    until_done(f, &done, 2);
    assert_int_equal(settle[0].result == WEIR_SETTLE_DONE, settle[1].result != WEIR_SETTLE_DONE);
    assert_int_equal(settle[0].result == WEIR_SETTLE_REPEATED,
                     settle[1].result != WEIR_SETTLE_REPEATED);
    assert_int_equal(used(f, n, WEIR_METER_OUTPUT_TOKENS), 1000);
}

enum { HAMMERS = 4, ADMITTED_MAX = 1000 };

static const uint64_t WINDOW_US = 2000000;

static struct {
    unsigned count, pending;
    bool over;
    struct {
        uint64_t sent_us, answered_us, at_us;
    } of[ADMITTED_MAX];
} admitted;

static void on_hammered(struct weir_call *call)
{
    struct one *one = call->ctx;
    assert_false(call->local);
    if (call->decision.allowed) {
        assert_true(admitted.count < ADMITTED_MAX);
        admitted.of[admitted.count].sent_us = one->sent_us;
        admitted.of[admitted.count].answered_us = weir_clock_us();
        admitted.of[admitted.count++].at_us = call->decision.at_us;
    }
    admitted.pending--;
    if (!admitted.over) {
        admitted.pending++;
        take(one, one->node, weir_amounts(1, 0, 0), on_hammered);
    }
}

static int by_time(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Four nodes ask for one key as fast as they can: never more than the capacity in any interval of
 * the window's length, and of what has left within one step the most is taken again. */
static void test_never_over(void **state)
{
    struct fixture *f = *state;
    uint64_t at_us[ADMITTED_MAX];
    memset(&admitted, 0, sizeof(admitted));
    for (unsigned i = 0; i < NODES; i++) {
        node_open(f, &f->node[i], NULL, PATIENT);
        until_ready(f, &f->node[i], true);
    }
    uint64_t from_us = weir_clock_us();
    for (unsigned i = 0; i < NODES * HAMMERS; i++) {
        admitted.pending++;
        take(&f->one[i], &f->node[i % NODES], weir_amounts(1, 0, 0), on_hammered);
    }
    while (!admitted.over || admitted.pending > 0) {
        uv_run(&f->loop.uv, UV_RUN_ONCE);
        admitted.over = weir_clock_us() - from_us > 5 * WINDOW_US / 2;
    }
    for (unsigned i = 0; i < admitted.count; i++) {
        unsigned within = 0;
        uint64_t end_us = admitted.of[i].sent_us + WINDOW_US;
        for (unsigned k = 0; k < admitted.count; k++) {
            within += admitted.of[k].sent_us >= admitted.of[i].sent_us &&
                      admitted.of[k].answered_us < end_us;
        }
        assert_true(within <= 100);
        at_us[i] = admitted.of[i].at_us;
    }
    qsort(at_us, admitted.count, sizeof(at_us[0]), by_time);
    for (unsigned i = 100; i < admitted.count; i++) {
        assert_true(at_us[i] - at_us[i - 100] >= WINDOW_US);
    }
    assert_true(admitted.count >= 300); /* three windows have begun */
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_script_flush),
        CASE(test_killed),
        CASE(test_asked_again_while_lost),
        CASE(test_closed_while_lost),
        CASE(test_stopped),
        CASE(test_settled_during_an_outage),
        CASE(test_out_of_memory),
        CASE(test_share_less_what_was_granted),
        CASE(test_settled_where_taken),
        CASE(test_who_may_be_used),
        CASE(test_claim_raced),
        CASE(test_never_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
