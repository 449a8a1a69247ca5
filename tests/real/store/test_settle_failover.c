/* SPDX-License-Identifier: Apache-2.0 */
/* Settlements after a change of primary that lost what was granted: none lowers what others use.
 * The last sentence of lease rule 6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/path_node.h"

enum { STEP_US = 60 * 1000000 / 128, ROOM_US = 300000, OTHERS = 5 };

/* What follows is taken in one step of the window: in one entry. */
static void begin_step(struct fixture *f, struct node *n)
{
    uint64_t now_us;
    do {
        unsigned done = n->done;
        pass(f, 5000);
        take(&f->one[0], n, weir_amounts(0, 0, 0), on_taken);
        until_done(f, &n->done, done + 1);
        now_us = f->one[0].call.decision.at_us;
    } while (now_us % STEP_US > STEP_US - ROOM_US);
}

static struct weir_reservation reserve(struct fixture *f, struct node *n)
{
    unsigned done = n->done;
    take(&f->one[1], n, weir_amounts(1, 0, 1000), on_taken);
    until_done(f, &n->done, done + 1);
    assert_int_not_equal(f->one[1].call.reservation.nonce, 0);
    return f->one[1].call.reservation;
}

/* `count` of them, and five requests of n that stay: of one step. */
static void reserve_in_a_step(struct fixture *f, struct node *n, struct node *by, unsigned count,
                              struct weir_reservation *ret_reservation)
{
    begin_step(f, n);
    for (unsigned i = 0; i < count; i++) {
        take(&f->one[i], by, weir_amounts(1, 0, 1000), on_taken);
    }
    for (unsigned i = count; i < count + OTHERS; i++) {
        take(&f->one[i], n, weir_amounts(1, 0, 10), on_taken);
    }
    for (unsigned i = 0; i < count + OTHERS; i++) {
        const struct weir_reservation *r = &f->one[i].call.reservation;
        until_done(f, &f->one[i].done, 1);
        assert_int_not_equal(r->nonce, 0);
        assert_int_equal(r->at_us / STEP_US, f->one[0].call.reservation.at_us / STEP_US);
        if (i < count) {
            ret_reservation[i] = *r;
        }
    }
}

static void output_is(struct fixture *f, struct node *n, uint64_t expected)
{
    assert_int_equal(used(f, n, WEIR_METER_OUTPUT_TOKENS), expected);
}

static void redis_dies(struct fixture *f, struct node *n, unsigned nodes)
{
    server_end(f, SIGKILL);
    for (unsigned i = 0; i < nodes; i++) {
        until_ready(f, &n[i], false);
    }
}

/* Without data: another one. */
static void redis_returns(struct fixture *f, struct node *n, unsigned nodes)
{
    server_start(f);
    until_back(f, n, nodes);
}

/* The node that reserved is gone, and nobody charges again what it was granted. */
static void test_of_another_node(void **state)
{
    struct fixture *f = *state;
    struct node *gone = &f->node[1], *n = &f->node[0];
    for (unsigned i = 0; i < 2; i++) {
        open_node(f, &f->node[i], CLOSED);
        until_ready(f, &f->node[i], true);
    }
    const struct weir_reservation before = reserve(f, gone);
    settle_as(f, n, &before, 1, WEIR_SETTLE_DONE);
    output_is(f, n, 1);
    enum { LOWER, HIGHER, ALL };
    struct weir_reservation of[ALL];
    reserve_in_a_step(f, n, gone, ALL, of);
    node_close(gone);
    redis_dies(f, n, 1);
    redis_returns(f, n, 1);
    output_is(f, n, 50);
    settle_as(f, n, &of[LOWER], 1, WEIR_SETTLE_DONE);
    settle_as(f, n, &of[LOWER], 1, WEIR_SETTLE_REPEATED);
    output_is(f, n, 50);
    settle_as(f, n, &of[HIGHER], 1200, WEIR_SETTLE_DONE);
    settle_as(f, n, &of[HIGHER], 1200, WEIR_SETTLE_REPEATED);
    output_is(f, n, 250);
}

/* With the same primary it goes back, of what was granted from a lease, too. */
static void test_of_a_lease(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0], *other = &f->node[1];
    for (unsigned i = 0; i < 2; i++) {
        open_node(f, &f->node[i], CLOSED "\nmode: lease");
        until_ready(f, &f->node[i], true);
    }
    unsigned count = take_leased(f, n, 10);
    assert_true(count > 1); /* the first one is not of a lease */
    pass(f, 1000000);       /* what is left of it has gone back */
    output_is(f, n, 10 * count);
    settle_as(f, other, &f->one[0].call.reservation, 1, WEIR_SETTLE_DONE);
    settle_as(f, other, &f->one[count - 1].call.reservation, 1, WEIR_SETTLE_DONE);
    output_is(f, n, 10 * (count - 2) + 2);
}

/* The claim is lost with the settlement; the node has taken it out of what it charges again. */
static void test_own_settled_before(void **state)
{
    struct fixture *f = *state;
    struct node *n = f->node;
    open_node(f, n, CLOSED);
    until_ready(f, n, true);
    enum { SETTLED, OPEN, ALL };
    struct weir_reservation of[ALL];
    reserve_in_a_step(f, n, n, ALL, of);
    settle_as(f, n, &of[SETTLED], 1, WEIR_SETTLE_DONE);
    output_is(f, n, 1051);
    redis_dies(f, n, 1);
    redis_returns(f, n, 1);
    output_is(f, n, 1051);
    settle_as(f, n, &of[SETTLED], 1, WEIR_SETTLE_REPEATED);
    output_is(f, n, 1051);
    settle_once(f, n, of[OPEN]);
    output_is(f, n, 52);
}

/* Then what was settled lower is charged again as it was reserved, and can be settled again. */
static void test_own_not_remembered(void **state)
{
    struct fixture *f = *state;
    struct node *n = f->node;
    open_node(f, n, CLOSED "\nreservations_max: 1");
    until_ready(f, n, true);
    enum { KEPT, LOWER, HIGHER, ALL };
    struct weir_reservation of[ALL];
    reserve_in_a_step(f, n, n, ALL, of);
    settle_as(f, n, &of[KEPT], 1, WEIR_SETTLE_DONE);
    settle_as(f, n, &of[LOWER], 1, WEIR_SETTLE_DONE);
    settle_as(f, n, &of[HIGHER], 1200, WEIR_SETTLE_DONE);
    output_is(f, n, 1252);
    redis_dies(f, n, 1);
    redis_returns(f, n, 1);
    output_is(f, n, 2251);
    settle_as(f, n, &of[KEPT], 1, WEIR_SETTLE_REPEATED);
    output_is(f, n, 2251);
    settle_once(f, n, of[LOWER]);
    output_is(f, n, 1252);
}

static void settle_unwatched(struct node *n, const struct weir_reservation *reservation)
{
    struct weir_settle settle = {.subject = {&n->config->key[0].subject},
                                 .subjects = 1,
                                 .reservation = *reservation,
                                 .used = weir_amounts(1, 0, 100),
                                 .now_us = weir_clock_us()};
    assert_int_equal(weir_store_settle(n->store, &settle), WEIR_OK);
}

/* What was to go back to a primary that is lost, or while there is none, is taken out of what is
 * charged again, and does not go back to the next one as well. */
static void test_returns_of_before(void **state)
{
    struct fixture *f = *state;
    struct node *n = f->node, *worker = &f->node[1], *idle = &f->node[2];
    open_node(f, n, CLOSED "\nmode: lease");
    until_ready(f, n, true);
    share_node(f, worker, n);
    share_node(f, idle, n);
    until_ready(f, worker, true);
    until_ready(f, idle, true);
    const struct weir_reservation before = reserve(f, n);
    settle_unwatched(worker, &before);
    pass(f, 1000000);
    output_is(f, n, 100);
    enum { QUEUED, LATER, ALL };
    struct weir_reservation of[ALL];
    reserve_in_a_step(f, n, n, ALL, of);
    pass(f, 1000000); /* what was taken ahead has gone back */
    settle_unwatched(worker, &of[QUEUED]);
    redis_dies(f, n, 3);
    settle_unwatched(idle, &of[LATER]);
    redis_returns(f, n, 3);
    pass(f, 1000000);
    output_is(f, n, 350);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PATH_CASE(test_of_another_node),
        PATH_CASE(test_of_a_lease),
        PATH_CASE(test_own_settled_before),
        PATH_CASE(test_own_not_remembered),
        cmocka_unit_test_setup_teardown(test_returns_of_before, begin_path, end_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
