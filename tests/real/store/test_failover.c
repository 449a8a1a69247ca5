/* SPDX-License-Identifier: Apache-2.0 */
/* Guarantees 1 and 5 across a change of primary: real redis-servers that come back empty, are
 * promoted with a part of what was granted, lose their data, while nodes go by a path that names
 * one of them. Lease rules 8 to 14. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>

#include "store/redis/command.h"
#include "store/shared.h"
#include "support/path_node.h"

/* ---- Redis comes back empty ---- */

/* Nothing is taken before both had the time to charge again, and then the limit is what it was. */
static void test_empty_closed(void **state)
{
    struct fixture *f = *state;
    struct node *n = f->node;
    for (unsigned i = 0; i < 2; i++) {
        open_node(f, &n[i], CLOSED);
        until_ready(f, &n[i], true);
    }
    assert_int_equal(allowed_of(f, &n[0], 20), 20);
    assert_int_equal(allowed_of(f, &n[1], 10), 10);
    server_end(f, SIGKILL);
    until_ready(f, &n[0], false);
    until_ready(f, &n[1], false);
    server_start(f);
    uint64_t from_us = weir_clock_us();
    while (!weir_store_ready(n[0].store) && weir_clock_us() < from_us + 1900000) {
        assert_int_equal(allowed_of(f, &n[0], 1), 0);
        turn(f, from_us + WAIT_US);
    }
    assert_false(weir_store_ready(n[0].store));
    assert_false(weir_store_ready(n[1].store));
    until_back(f, n, 2);
    assert_true(weir_clock_us() - from_us < BACK_US);
    assert_int_equal(used(f, &n[1], WEIR_METER_REQUESTS), 30);
    assert_int_equal(used(f, &n[0], WEIR_METER_OUTPUT_TOKENS), 300);
    assert_int_equal(allowed_of(f, &n[0], LIMIT) + allowed_of(f, &n[1], LIMIT), LIMIT - 30);
}

/* What was used of the shares meanwhile is told once. */
static void test_empty_local(void **state)
{
    struct fixture *f = *state;
    struct node *n = f->node;
    for (unsigned i = 0; i < 2; i++) {
        open_node(f, &n[i], LOCAL);
        until_ready(f, &n[i], true);
    }
    assert_int_equal(allowed_of(f, &n[0], 20), 20);
    server_end(f, SIGKILL);
    until_ready(f, &n[0], false);
    until_ready(f, &n[1], false);
    assert_int_equal(allowed_of(f, &n[0], LIMIT), 10);
    assert_int_equal(allowed_of(f, &n[1], 15), 15);
    server_start(f);
    until_back(f, n, 2);
    assert_int_equal(used(f, &n[0], WEIR_METER_REQUESTS), 45);
    assert_int_equal(allowed_of(f, &n[0], LIMIT) + allowed_of(f, &n[1], LIMIT), LIMIT - 45);
    assert_int_equal(used(f, &n[1], WEIR_METER_REQUESTS), LIMIT);
}

/* ---- Redis was away ---- */

/* Local use is told once; for 2 s what is asked must fit the share, too, and then no more. */
static void test_report(void **state)
{
    struct fixture *f = *state;
    struct node *n = f->node;
    open_node(f, n, LOCAL);
    until_ready(f, n, true);
    assert_int_equal(allowed_of(f, n, 3), 3);
    pass(f, 2100000); /* a step of the window, and a beat */
    cut_off(f, n, 1);
    assert_int_equal(allowed_of(f, n, 20), 20);
    path_to(f, &f->server);
    until_back(f, n, 1);
    uint64_t until_us = weir_clock_us() + WAIT_US;
    while (used(f, n, WEIR_METER_REQUESTS) < 23) {
        turn(f, until_us);
    }
    pass(f, 500000);
    assert_int_equal(used(f, n, WEIR_METER_REQUESTS), 23);
    assert_int_equal(allowed_of(f, n, LIMIT), 7);
    assert_int_equal(used(f, n, WEIR_METER_REQUESTS), 30);
    pass(f, 2000000);
    assert_int_equal(allowed_of(f, n, LIMIT), LIMIT - 30);
    assert_int_equal(n->store->stats.primaries_entered, 1);
}

/* A debt that is known while Redis is away is charged when it is back. */
static void test_debt_of_an_outage(void **state)
{
    struct fixture *f = *state;
    struct node *n = f->node;
    open_node(f, n, CLOSED);
    until_ready(f, n, true);
    assert_int_equal(allowed_of(f, n, 2), 2);
    pass(f, 600000); /* more than a step of the window */
    cut_off(f, n, 1);
    struct weir_settle settle = {.subject = {&n->config->key[0].subject},
                                 .subjects = 1,
                                 .reservation = f->one[0].call.reservation,
                                 .used = weir_amounts(1, 0, 510),
                                 .now_us = weir_clock_us()};
    assert_int_equal(weir_store_settle(n->store, &settle), WEIR_OK);
    assert_int_equal(settle.result, WEIR_SETTLE_UNAVAILABLE);
    path_to(f, &f->server);
    until_back(f, n, 1);
    uint64_t until_us = weir_clock_us() + WAIT_US;
    while (used(f, n, WEIR_METER_OUTPUT_TOKENS) < 520) {
        turn(f, until_us);
    }
    pass(f, 300000);
    assert_int_equal(used(f, n, WEIR_METER_OUTPUT_TOKENS), 520);
    assert_int_equal(used(f, n, WEIR_METER_REQUESTS), 2);
}

/* ---- another Redis takes its place ---- */

/* A replica is promoted that lacks the last grants: just these are charged again, and what is
 * settled of them goes back once. */
static void test_promoted(void **state)
{
    struct fixture *f = *state;
    struct node *n = f->node;
    struct redis_server replica = {0};
    redisContext *redis = start_replica(f, &replica);
    for (unsigned i = 0; i < 2; i++) {
        open_node(f, &n[i], CLOSED_BEATS);
        until_ready(f, &n[i], true);
    }
    assert_int_equal(allowed_of(f, &n[0], 7), 7);
    until_covered(f, &n[0], redis, 0);
    say(redis, "REPLICAOF NO ONE");
    assert_int_equal(allowed_of(f, &n[0], 20), 20);
    struct weir_reservation reservation = f->one[0].call.reservation;
    assert_int_equal(allowed_of(f, &n[1], 5), 5);
    pass(f, 700000); /* more than a step of the window */
    server_end(f, SIGKILL);
    path_to(f, &replica);
    until_ready(f, &n[0], false);
    until_ready(f, &n[1], false);
    until_back(f, n, 2);
    assert_int_equal(used(f, &n[0], WEIR_METER_REQUESTS), 32);
    settle_once(f, &n[0], reservation);
    assert_int_equal(used(f, &n[0], WEIR_METER_OUTPUT_TOKENS), 311);
    assert_int_equal(allowed_of(f, &n[1], LIMIT), LIMIT - 32);
    redisFree(redis);
    redis_server_remove(&replica);
}

/* The process that was the primary is one again, with the data of a replica that lacked the last
 * grants. */
static void test_same_process_again(void **state)
{
    struct fixture *f = *state;
    struct node *n = f->node;
    struct redis_server replica = {0};
    redisContext *redis = start_replica(f, &replica);
    unsigned port = redis_server_free_port();
    say(redis, "CONFIG SET bind 127.0.0.1");
    say(redis, "CONFIG SET port %d", (int)port);
    open_node(f, n, CLOSED);
    until_ready(f, n, true);
    say(redis, "REPLICAOF NO ONE");
    assert_int_equal(allowed_of(f, n, 20), 20);
    cut_off(f, n, 1);
    say(redis, "CONFIG SET repl-diskless-sync-delay 0");
    command(f, "REPLICAOF 127.0.0.1 %d", (int)port);
    until_says(f->redis, "master_link_status:up");
    command(f, "REPLICAOF NO ONE");
    path_to(f, &f->server);
    until_back(f, n, 1);
    assert_int_equal(used(f, n, WEIR_METER_REQUESTS), 20);
    assert_int_equal(n->store->stats.primaries_entered, 2);
    redisFree(redis);
    redis_server_remove(&replica);
}

/* The first replica comes: a new replication id, one needless barrier, nothing is counted twice. */
static void test_first_replica(void **state)
{
    struct fixture *f = *state;
    struct node *n = f->node;
    struct redis_server replica = {0};
    open_node(f, n, CLOSED_BEATS);
    until_ready(f, n, true);
    assert_int_equal(allowed_of(f, n, 20), 20);
    until_covered(f, n, f->redis, 0);
    redisContext *redis = start_other(&replica);
    say(redis, "REPLICAOF 127.0.0.1 %d", (int)server_port(f));
    until_ready(f, n, false);
    until_back(f, n, 1);
    assert_int_equal(n->store->stats.primaries_entered, 2);
    assert_int_equal(used(f, n, WEIR_METER_REQUESTS), 20);
    redisFree(redis);
    redis_server_remove(&replica);
}

/* ---- the data goes, the server stays ---- */

/* The next beat sees it. What was asked before is not used, though the server is the same. */
static void test_flushed(void **state)
{
    struct fixture *f = *state;
    struct node *n = f->node;
    open_node(f, n, CLOSED);
    until_ready(f, n, true);
    assert_int_equal(allowed_of(f, n, 20), 20);
    command(f, "FLUSHALL");
    uint64_t from_us = weir_clock_us();
    until_ready(f, n, false);
    assert_true(weir_clock_us() - from_us < 3000000);
    until_back(f, n, 1);
    assert_int_equal(used(f, n, WEIR_METER_REQUESTS), 20);
    assert_int_equal(n->store->stats.reconnects, 0);
    assert_int_equal(allowed_of(f, n, LIMIT), LIMIT - 20);
}

/* ---- workers of one process ---- */

static enum weir_primary_state state_of(const struct node *n, const char *id)
{
    struct weir_primary *p = weir_primaries_get(n->shared->primaries, id, weir_clock_us());
    assert_non_null(p);
    weir_primaries_put(n->shared->primaries, p, weir_clock_us());
    return weir_primary_state(p);
}

/* One worker goes over for both; what the former primary answers the other one from then on is not
 * used, and it follows. */
static void test_two_workers(void **state)
{
    struct fixture *f = *state;
    struct node *old = &f->node[0], *new = &f->node[1];
    struct redis_server other = {0};
    const struct weir_redis_identity id = server_identity(f);
    open_node(f, old, PATIENT "\non_store_failure: closed");
    until_ready(f, old, true);
    assert_int_equal(allowed_of(f, old, 20), 20);
    redisContext *redis = start_other(&other);
    path_to(f, &other);
    assert_true(redis_server_stop(&f->server));
    take(&f->one[1], old, weir_amounts(1, 0, 0), on_taken);
    uv_run(&f->loop.uv, UV_RUN_NOWAIT); /* written */
    share_node(f, new, old);
    uint64_t until_us = weir_clock_us() + WAIT_US;
    while (state_of(old, id.text) != WEIR_PRIMARY_LEFT) {
        turn(f, until_us);
    }
    redis_server_continue(&f->server);
    usleep(20000); /* it answers before anybody has looked again */
    until_done(f, &old->done, 21);
    assert_int_equal(f->one[1].call.outcome, WEIR_OUTCOME_UNAVAILABLE);
    until_ready(f, new, true);
    until_ready(f, old, true);
    assert_int_equal(new->store->stats.primaries_entered + old->store->stats.primaries_entered, 2);
    uint64_t there = used(f, old, WEIR_METER_REQUESTS);
    /* the late one is charged, too, where it came before the walk */
    assert_in_range(there, 20, 21);
    assert_int_equal(allowed_of(f, new, 30) + allowed_of(f, old, LIMIT), LIMIT - there);
    redisFree(redis);
    redis_server_remove(&other);
}

enum { THREADS = 4, PACE_US = 2000 };

struct worker {
    pthread_t thread;
    const struct node *node; /* of which it is a worker */
    struct weir_loop loop;
    struct weir_store *store;
    struct weir_call call;
    _Atomic bool *over;
    bool asks, opened;
    unsigned allowed;
};

static void on_worker_taken(struct weir_call *call)
{
    struct worker *w = call->ctx;
    w->asks = false;
    w->allowed += call->outcome == WEIR_OUTCOME_DECIDED && call->decision.allowed;
}

static void worker_take(struct worker *w)
{
    w->asks = true;
    w->call = (struct weir_call){.subject = {&w->node->config->key[0].subject},
                                 .subjects = 1,
                                 .amounts = weir_amounts(1, 0, 1),
                                 .now_us = weir_clock_us(),
                                 .done = on_worker_taken,
                                 .ctx = w};
    if (weir_store_take(w->store, &w->call) == WEIR_OK) {
        on_worker_taken(&w->call);
    }
}

static void *worker_run(void *ctx)
{
    struct worker *w = ctx;
    uv_timer_t wake;
    if (weir_loop_init(&w->loop) != WEIR_OK) {
        return NULL;
    }
    uv_timer_init(&w->loop.uv, &wake);
    uv_timer_start(&wake, on_wake, 1, 1);
    w->opened = weir_store_open(w->node->config, &w->loop, w->node->shared, &w->store) == WEIR_OK;
    for (uint64_t next_us = 0; w->opened && (w->asks || !atomic_load(w->over));) {
        if (!w->asks && weir_clock_us() >= next_us) {
            next_us = weir_clock_us() + PACE_US;
            worker_take(w);
        }
        uv_run(&w->loop.uv, UV_RUN_ONCE);
    }
    weir_store_close(w->store);
    uv_close((uv_handle_t *)&wake, NULL);
    weir_loop_deinit(&w->loop);
    return NULL;
}

/* Four workers take all the while, each on its thread; Redis comes back empty among them. */
static void test_threads(void **state)
{
    struct fixture *f = *state;
    struct node *n = f->node;
    struct worker worker[THREADS] = {0};
    _Atomic bool over = false;
    unsigned allowed = 0;
    open_node(f, n, CLOSED);
    until_ready(f, n, true);
    for (unsigned i = 0; i < THREADS; i++) {
        worker[i].node = n;
        worker[i].over = &over;
        assert_int_equal(pthread_create(&worker[i].thread, NULL, worker_run, &worker[i]), 0);
    }
    while (used(f, n, WEIR_METER_REQUESTS) < 200) {
        pass(f, 1000);
    }
    server_end(f, SIGKILL);
    until_ready(f, n, false);
    server_start(f);
    until_ready(f, n, true);
    uint64_t until_us = weir_clock_us() + WAIT_US;
    while (used(f, n, WEIR_METER_REQUESTS) < 600) {
        turn(f, until_us);
    }
    pass(f, 200000); /* in which no more is allowed */
    atomic_store(&over, true);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(worker[i].thread, NULL);
        assert_true(worker[i].opened);
        allowed += worker[i].allowed;
    }
    assert_in_range(allowed, 550, 600);
    assert_in_range(used(f, n, WEIR_METER_REQUESTS), allowed, 600);
}

static int begin_threads(void **state)
{
    int began = begin_path(state);
    config_limits = "{requests: 600/min, output_tokens: 1M/min}";
    return began;
}

/* ---- what is permitted ---- */

/* The list of docs/design/store.md. */
static void permit_documented(struct fixture *f)
{
    static const char *const before = "An ACL user needs `~weir:* ";
    char text[65536];
    FILE *file = fopen(WEIR_SOURCE_DIR "/docs/design/store.md", "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    char *list = strstr(text, before);
    assert_non_null(list);
    list += strlen(before);
    list[strcspn(list, "`")] = '\0';
    command(f, "ACL SETUSER weir on nopass ~weir:* -@all");
    for (char *next; list != NULL; list = next) {
        next = strchr(list, ' ');
        if (next != NULL) {
            *next++ = '\0';
        }
        command(f, "ACL SETUSER weir %s", list);
    }
}

/* A user with what is documented can do all that a node does. */
static void test_acl(void **state)
{
    struct fixture *f = *state;
    struct node *n = f->node;
    char url[160];
    permit_documented(f);
    snprintf(url, sizeof(url), "redis+unix://weir:any@%s", path_of(f));
    node_open(f, n, url, CLOSED);
    until_ready(f, n, true);
    assert_int_equal(allowed_of(f, n, 20), 20);
    settle_once(f, n, f->one[0].call.reservation);
    command(f, "FLUSHALL");
    until_ready(f, n, false);
    until_back(f, n, 1);
    assert_int_equal(used(f, n, WEIR_METER_REQUESTS), 20);
    redisReply *log = redisCommand(f->redis, "ACL LOG");
    assert_non_null(log);
    assert_int_equal(log->elements, 0);
    freeReplyObject(log);
    node_close(n); /* it leaves */
}

/* ---- what cannot be charged ---- */

/* A key that holds no window holds up none of the others. */
static void test_wrong_type(void **state)
{
    struct fixture *f = *state;
    struct node *n = f->node;
    char buf[WEIR_REDIS_KEY_MAX];
    open_node(f, n, CLOSED);
    until_ready(f, n, true);
    struct weir_subject *subject = &n->config->key[0].subject, odd = *subject;
    odd.name = WEIR_STR("key:odd");
    weir_subject_id(odd.name, odd.id);
    take(&f->one[1], n, weir_amounts(1, 0, 10), on_taken);
    f->one[2] = (struct one){.node = n, .call = f->one[1].call};
    f->one[2].call.ctx = &f->one[2];
    f->one[2].call.subject[0] = &odd;
    assert_int_equal(weir_store_take(n->store, &f->one[2].call), WEIR_PENDING);
    until_done(f, &n->done, 2);
    assert_true(f->one[2].call.decision.allowed);
    cut_off(f, n, 1);
    command(f, "FLUSHALL");
    struct weir_str key = weir_redis_key(&odd, buf);
    command(f, "HSET %b field value", key.p, key.len);
    path_to(f, &f->server);
    until_ready(f, n, true);
    until_ready(f, n, false); /* the next beat has seen it */
    until_back(f, n, 1);
    uint64_t charged = n->store->stats.charged_again;
    pass(f, 300000);
    assert_int_equal(n->store->stats.charged_again, charged);
    assert_int_equal(used(f, n, WEIR_METER_REQUESTS), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PATH_CASE(test_empty_closed),
        PATH_CASE(test_empty_local),
        PATH_CASE(test_report),
        PATH_CASE(test_debt_of_an_outage),
        PATH_CASE(test_promoted),
        PATH_CASE(test_same_process_again),
        PATH_CASE(test_first_replica),
        PATH_CASE(test_flushed),
        cmocka_unit_test_setup_teardown(test_two_workers, begin_path, end_workers),
        cmocka_unit_test_setup_teardown(test_threads, begin_threads, end),
        PATH_CASE(test_acl),
        PATH_CASE(test_wrong_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
