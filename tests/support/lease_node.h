/* SPDX-License-Identifier: Apache-2.0 */
/* lease_node.h - nodes with mode: lease, and budget that one of them has ahead. Include after
 * cmocka.h. */
#ifndef WEIR_TESTS_SUPPORT_LEASE_NODE_H
#define WEIR_TESTS_SUPPORT_LEASE_NODE_H

#include "support/store_node.h"

#define LEASE PATIENT "\nmode: lease"

enum { LIFE_US = 234375, TICK_US = 50000, SLACK_US = 100000 };

static inline int begin_minute(void **state)
{
    config_limits = "{requests: 600/min, output_tokens: 1M/min}";
    return begin(state);
}

#define MINUTE(fn) cmocka_unit_test_setup_teardown(fn, begin_minute, end)

static inline void node_ready(struct fixture *f, unsigned i, const char *more)
{
    node_open(f, &f->node[i], NULL, more);
    until_ready(f, &f->node[i], true);
}

static inline void pass(struct fixture *f, uint64_t us)
{
    uint64_t until_us = weir_clock_us() + us;
    while (weir_clock_us() < until_us) {
        uv_run(&f->loop.uv, UV_RUN_ONCE);
    }
}

static inline void take_one(struct fixture *f, struct node *n, unsigned i, uint64_t output)
{
    unsigned done = n->done;
    assert_true(i < CALLS);
    take(&f->one[i], n, weir_amounts(1, 0, output), on_taken);
    until_done(f, &n->done, done + 1);
    assert_true(f->one[i].call.decision.allowed);
}

/* Takes until one is answered from a lease, which is the last. Returns how many requests that were.
 */
static inline unsigned take_leased(struct fixture *f, struct node *n, uint64_t output)
{
    uint64_t leased = atomic_load(&n->store->stats.lease_decisions);
    unsigned count = 0;
    while (atomic_load(&n->store->stats.lease_decisions) == leased) {
        take_one(f, n, count++, output);
    }
    return count;
}

/* Takes until the node has budget ahead. Returns how many requests that were. */
static inline unsigned take_ahead(struct fixture *f, struct node *n, uint64_t output)
{
    unsigned count = 0;
    do {
        take_one(f, n, count++, output);
    } while (used(f, n, WEIR_METER_REQUESTS) == count);
    return count;
}

#endif
