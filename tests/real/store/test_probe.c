/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator asks of the Redis store: what a charge would be answered, which charges nothing,
 * and a reset. On a loop, against a real redis-server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rand.h"
#include "limit/window.h"
#include "store/shared.h"
#include "support/store_node.h"

enum { SLACK_US = 2000000 };

/* Of a window that lasts longer than any test. */
static int begin_hours(void **state)
{
    config_limits = "{requests: 100/h, output_tokens: 1M/h}";
    return begin(state);
}

#define HOURS(fn) cmocka_unit_test_setup_teardown(fn, begin_hours, end)

static void ask(struct fixture *f, struct node *n, struct one *one, bool probe, uint64_t requests,
                uint64_t output)
{
    unsigned before = n->done;
    *one = (struct one){.node = n, .sent_us = weir_clock_us()};
    one->call = (struct weir_call){
        .subject = {&n->config->key[0].subject},
        .subjects = 1,
        .amounts = weir_amounts(requests, 0, output),
        .probe = probe,
        .now_us = one->sent_us,
        .done = on_taken,
        .ctx = one,
    };
    if (weir_store_take(n->store, &one->call) == WEIR_OK) {
        on_taken(&one->call);
    }
    until_done(f, &n->done, before + 1);
}

static void about(uint64_t us, uint64_t expected_us)
{
    if (expected_us == WEIR_RETRY_NEVER) {
        assert_true(us == WEIR_RETRY_NEVER);
    } else {
        assert_in_range(us + SLACK_US, expected_us, expected_us + 2 * SLACK_US);
    }
}

/* The same answer, but for the time between them. */
static void same_answer(const struct weir_call *probed, const struct weir_call *charged)
{
    const struct weir_decision *a = &probed->decision, *b = &charged->decision;
    assert_int_equal(probed->outcome, charged->outcome);
    assert_int_equal(probed->local, charged->local);
    assert_int_equal(probed->reservation.nonce, 0);
    assert_int_equal(a->allowed, b->allowed);
    assert_int_equal(a->states, b->states);
    for (unsigned i = 0; i < a->states; i++) {
        assert_int_equal(a->state[i].used, b->state[i].used);
        about(a->state[i].reset_us, b->state[i].reset_us);
    }
    if (!a->allowed) {
        assert_int_equal(a->denied_meter, b->denied_meter);
        assert_int_equal(a->denied_window_s, b->denied_window_s);
        about(a->retry_after_us, b->retry_after_us);
    }
}

static void probe_and_charge(struct fixture *f, struct node *n, struct weir_rand *random)
{
    struct one probed, again, charged;
    uint64_t requests = weir_rand_below(random, 4), output = weir_rand_below(random, 60000);
    requests *= weir_rand_below(random, 10) == 0 ? 100 : 1;
    ask(f, n, &probed, true, requests, output);
    ask(f, n, &again, true, requests, output);
    same_answer(&again.call, &probed.call);
    ask(f, n, &charged, false, requests, output);
    same_answer(&probed.call, &charged.call);
}

static void test_exact(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    struct weir_rand random;
    weir_rand_init(&random, 5);
    node_open(f, n, NULL, PATIENT);
    until_ready(f, n, true);
    for (unsigned i = 0; i < 150; i++) {
        probe_and_charge(f, n, &random);
    }
    assert_int_equal(n->store->stats.errors, 0);
}

static uint64_t held_now(struct fixture *f, struct node *n)
{
    struct one one;
    ask(f, n, &one, true, 0, 0);
    return one.call.decision.state[0].used;
}

/* A node that holds no lease is told what a node with one may be told otherwise: what leases hold
 * is used. */
static void test_lease(void **state)
{
    struct fixture *f = *state;
    struct node *holds = &f->node[0], *asks = &f->node[1];
    struct one one;
    for (unsigned i = 0; i < 2; i++) {
        node_open(f, &f->node[i], NULL, PATIENT "\nmode: lease");
        until_ready(f, &f->node[i], true);
    }
    for (unsigned i = 0; i < 30; i++) {
        ask(f, holds, &one, false, 1, 10);
    }
    struct one fits;
    uint64_t held;
    do { /* unless the lease went back meanwhile */
        held = held_now(f, asks);
        ask(f, asks, &fits, true, 100 - held, 0);
        ask(f, asks, &one, true, 100 - held + 1, 0);
    } while (held_now(f, asks) != held);
    assert_in_range(held, 30, 99);
    assert_true(fits.call.decision.allowed);
    assert_int_equal(fits.call.decision.state[0].used, 100);
    assert_false(one.call.decision.allowed);
    assert_int_equal(one.call.decision.denied_meter, WEIR_METER_REQUESTS);
    assert_int_equal(one.call.decision.state[0].used, held);
    assert_int_equal(asks->store->stats.lease_decisions, 0);
}

/* With Redis gone: by this node's share, as a charge. */
static void test_outage(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    struct weir_rand random;
    weir_rand_init(&random, 6);
    node_open(f, n, NULL, PATIENT "\nnodes: 2");
    until_ready(f, n, true);
    server_end(f, SIGKILL);
    until_ready(f, n, false);
    for (unsigned i = 0; i < 60; i++) {
        probe_and_charge(f, n, &random);
    }
    struct one one;
    ask(f, n, &one, true, 1, 0);
    assert_true(one.call.local);
}

/* ---- a reset ---- */

static void on_reset(struct weir_reset *reset)
{
    ++*(unsigned *)reset->ctx;
}

static bool reset(struct fixture *f, struct node *n)
{
    unsigned done = 0;
    struct weir_reset r = {.subject = &n->config->key[0].subject, .done = on_reset, .ctx = &done};
    if (weir_store_reset(n->store, &r) == WEIR_PENDING) {
        until_done(f, &done, 1);
    }
    return r.emptied;
}

static size_t recorded(struct node *n)
{
    uint8_t record[WEIR_VALUE_MAX];
    return weir_embedded_copy(n->shared->table, &n->config->key[0].subject, record, sizeof(record));
}

static void test_reset(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0], *other = &f->node[1];
    struct one one, early;
    for (unsigned i = 0; i < 2; i++) {
        node_open(f, &f->node[i], NULL, PATIENT);
        until_ready(f, &f->node[i], true);
    }
    ask(f, n, &early, false, 90, 1000);
    ask(f, other, &one, false, 11, 0);
    assert_false(one.call.decision.allowed);
    command(f, "ACL SETUSER default -del"); /* a user that may not */
    assert_false(reset(f, n));
    assert_true(recorded(n) > 0);
    command(f, "ACL SETUSER default +del");
    assert_true(reset(f, n));
    assert_true(reset(f, n)); /* of nothing */
    assert_int_equal(used(f, other, WEIR_METER_REQUESTS), 0);
    assert_int_equal(recorded(n), 0);
    /* what was reserved before it is settled after it */
    struct weir_settle s = {.subject = {&n->config->key[0].subject},
                            .subjects = 1,
                            .reservation = early.call.reservation,
                            .used = weir_amounts(90, 0, 10),
                            .now_us = weir_clock_us()};
    unsigned settled = 0;
    s.done = on_settled;
    s.ctx = &settled;
    assert_int_equal(weir_store_settle(n->store, &s), WEIR_PENDING);
    until_done(f, &settled, 1);
    assert_int_equal(s.result, WEIR_SETTLE_DONE);
    assert_int_equal(used(f, other, WEIR_METER_OUTPUT_TOKENS), 0);
    ask(f, other, &one, false, 100, 1);
    assert_true(one.call.decision.allowed);
}

/* Nothing is emptied that is not emptied in Redis. */
static void test_reset_in_an_outage(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    struct one one;
    node_open(f, n, NULL, PATIENT);
    until_ready(f, n, true);
    ask(f, n, &one, false, 90, 0);
    server_end(f, SIGKILL);
    until_ready(f, n, false);
    assert_false(reset(f, n));
    ask(f, n, &one, true, 11, 0);
    assert_false(one.call.decision.allowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOURS(test_exact),
        HOURS(test_lease),
        HOURS(test_outage),
        HOURS(test_reset),
        HOURS(test_reset_in_an_outage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
