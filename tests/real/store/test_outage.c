/* SPDX-License-Identifier: Apache-2.0 */
/* Guarantee 5: the Redis store on a loop, with a redis-server that is killed, is stopped, has no
 * memory. Each call is done once, by the policy, and what is settled meanwhile is settled where it
 * belongs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/store_node.h"

/* Guarantee 5. A thousand calls are with a server that is killed before it answers one. */
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
    node_open(f, n, NULL, "store_timeout_ms: 1000\nnodes: 4");
    until_ready(f, n, true);
    assert_true(redis_server_stop(&f->server));
    take_many(f, n, 0, CALLS);
    uv_run(&f->loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(n->done, 0); /* they wait for the time-out */
    until_done(f, &n->done, CALLS);
    assert_int_equal(count_where(f, true, true, WEIR_OUTCOME_DECIDED), 25);
    assert_false(weir_store_ready(n->store));
    redis_server_continue(&f->server);
    until_ready(f, n, true);
    /* what was with the server when it stopped is charged there, and granted to nobody; what was
     * used of the share is told */
    uint64_t until_us = weir_clock_us() + WAIT_US;
    while (used(f, n, WEIR_METER_REQUESTS) < 100 + 25) {
        turn(f, until_us);
    }
    assert_int_equal(used(f, n, WEIR_METER_REQUESTS), 100 + 25);
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
    assert_true(n->store->stats.errors >= CALLS); /* what was used is told in vain, too */
    assert_false(weir_store_ready(n->store));
    command(f, "CONFIG SET maxmemory 0");
    until_ready(f, n, true); /* asked again after a second: no call is needed to find out */
    /* what was used of the share is told, and then what fits both is allowed */
    uint64_t until_us = weir_clock_us() + WAIT_US;
    while (used(f, n, WEIR_METER_REQUESTS) < 25) {
        turn(f, until_us);
    }
    take_many(f, n, 0, 1); /* decided at once: it does not fit the share */
    assert_true(f->one[0].call.local);
    assert_false(f->one[0].call.decision.allowed);
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
    uint64_t from_us = weir_clock_us();
    node_open(f, n, NULL, PATIENT "\nnodes: 3");
    until_ready(f, n, true);
    take_many(f, n, 0, 30);
    take(&f->one[30], n, weir_amounts(1, 0, 1000001), on_taken); /* denied: no grant */
    until_done(f, &n->done, 31);
    server_end(f, SIGKILL);
    until_ready(f, n, false);
    take_in_outage(f, n, 333334);
    assert_false(f->one[0].call.decision.allowed);
    assert_int_equal(f->one[0].call.decision.retry_after_us, WEIR_REDIS_BACK_OFF_MAX_MS * 1000);
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
    /* a window, at most a step and a lease's life; and as long as this took: so far the store's
     * clock may be known too early, and so much of it has passed */
    uint64_t retry_us = f->one[0].call.decision.retry_after_us;
    uint64_t took_us = weir_clock_us() - from_us;
    assert_in_range(retry_us + took_us, 60000000, 60710000 + 2 * took_us);
}

/* Guarantee 5: what this node was granted is known here as it was settled, whoever waited for that,
 * and what another node was granted does not count. */
static void test_copy_follows_settlements(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    unsigned done = 0;
    node_open(f, n, NULL, PATIENT);
    until_ready(f, n, true);
    for (unsigned i = 0; i < 3; i++) {
        take(&f->one[i], n, weir_amounts(1, 0, 500), on_taken);
    }
    until_done(f, &n->done, 3);
    struct weir_settle settle = {.subject = {&n->config->key[0].subject},
                                 .subjects = 1,
                                 .reservation = f->one[0].call.reservation,
                                 .used = weir_amounts(1, 0, 100),
                                 .now_us = weir_clock_us()};
    assert_int_equal(weir_store_settle(n->store, &settle), WEIR_OK); /* nobody waits */
    struct weir_settle waited = settle, of_other = settle;
    waited.reservation = f->one[1].call.reservation;
    of_other.reservation = f->one[2].call.reservation;
    of_other.reservation.epoch += 2;
    waited.done = of_other.done = on_settled;
    waited.ctx = of_other.ctx = &done;
    assert_int_equal(weir_store_settle(n->store, &waited), WEIR_PENDING);
    assert_int_equal(weir_store_settle(n->store, &of_other), WEIR_PENDING);
    until_done(f, &done, 2);
    assert_int_equal(used(f, n, WEIR_METER_OUTPUT_TOKENS), 300);
    server_end(f, SIGKILL);
    until_ready(f, n, false);
    assert_int_equal(used(f, n, WEIR_METER_OUTPUT_TOKENS), 700);
}

/* Who settles what: what this process granted from its share, here only; what another one did,
 * there only; what nobody took, nowhere; what is too old, not at all. */
static void test_settled_where_taken(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0], *other = &f->node[1];
    for (unsigned i = 0; i < 2; i++) {
        node_open(f, &f->node[i], NULL, PATIENT "\nreservation_ttl: 60s");
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
                                 .now_us = weir_clock_us(),
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
    old.reservation.at_us -= 61000000;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_killed),
        CASE(test_asked_again_while_lost),
        CASE(test_closed_while_lost),
        CASE(test_stopped),
        CASE(test_out_of_memory),
        CASE(test_share_less_what_was_granted),
        CASE(test_copy_follows_settlements),
        CASE(test_settled_where_taken),
        CASE(test_settled_during_an_outage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
