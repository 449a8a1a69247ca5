/* SPDX-License-Identifier: Apache-2.0 */
/* mode: lease, and Redis goes away: what this node goes on with (guarantees 1 and 5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/lease_node.h"

/* Guarantee 5: the share of this node less what it was granted; what went back is not counted. */
static void test_share_after_leases(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_ready(f, 0, LEASE "\nnodes: 3");
    unsigned count = take_ahead(f, n, 0);
    assert_true(count < 200);
    server_end(f, SIGKILL);
    until_ready(f, n, false);
    pass(f, LIFE_US + 2 * TICK_US); /* the lease is over */
    unsigned done = n->done;
    take_many(f, n, 0, CALLS);
    until_done(f, &n->done, done + CALLS);
    assert_int_equal(count_where(f, true, true, WEIR_OUTCOME_DECIDED), 200 - count);
    assert_int_equal(count_where(f, false, true, WEIR_OUTCOME_DECIDED), CALLS - 200 + count);
}

/* Guarantee 1 in an outage: what is left of a lease is used to its end, and counts as granted. */
static void test_lease_outlives_the_store(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_ready(f, 0, LEASE "\non_store_failure: closed");
    take_ahead(f, n, 0);
    server_end(f, SIGKILL);
    until_ready(f, n, false);
    uint64_t leased = n->store->stats.lease_decisions;
    take_many(f, n, 0, CALLS);
    unsigned allowed = count_where(f, true, false, WEIR_OUTCOME_DECIDED);
    assert_int_equal(n->store->stats.lease_decisions, leased + allowed);
    assert_true(allowed <= 600 / 16);
    assert_int_equal(count_where(f, false, true, WEIR_OUTCOME_UNAVAILABLE), CALLS - allowed);
}

/* Each of those that wait, for the call under way and for the next one, is decided once when the
 * store is lost, also those that ask again from within; nobody is after the store was closed. */
static void lose(struct fixture *f, struct node *n, unsigned count)
{
    assert_true(redis_server_stop(&f->server));
    take_many(f, n, 0, count);
    uv_run(&f->loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(n->done, 0);
    server_end(f, SIGKILL);
}

static void test_lost(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_ready(f, 0, LEASE "\nnodes: 4");
    n->again = &f->one[CALLS / 2];
    lose(f, n, CALLS / 2);
    until_done(f, &n->done, CALLS);
    assert_int_equal(count_where(f, true, true, WEIR_OUTCOME_DECIDED), 150);
}

static void test_closed_while_lost(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_ready(f, 0, LEASE);
    n->close_at = 10;
    lose(f, n, CALLS);
    until_done(f, &n->done, 10);
    pass(f, SLACK_US);
    assert_int_equal(n->done, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MINUTE(test_share_after_leases),
        MINUTE(test_lease_outlives_the_store),
        MINUTE(test_lost),
        MINUTE(test_closed_while_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
