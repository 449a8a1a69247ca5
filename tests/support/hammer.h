/* SPDX-License-Identifier: Apache-2.0 */
/* hammer.h - nodes that ask for one key as fast as they can, and what of it was admitted when.
 * Include after cmocka.h. */
#ifndef WEIR_TESTS_SUPPORT_HAMMER_H
#define WEIR_TESTS_SUPPORT_HAMMER_H

#include "support/store_node.h"

enum { HAMMERS = 4, ADMITTED_MAX = 8000 };

static struct {
    unsigned count;
    struct {
        uint64_t sent_us, answered_us, at_us;
    } of[ADMITTED_MAX];
} admitted;

static inline void on_hammered(struct weir_call *call)
{
    struct one *one = call->ctx;
    assert_false(call->local);
    assert_int_equal(call->outcome, WEIR_OUTCOME_DECIDED);
    if (call->decision.allowed) {
        assert_true(admitted.count < ADMITTED_MAX);
        admitted.of[admitted.count].sent_us = one->sent_us;
        admitted.of[admitted.count].answered_us = weir_clock_us();
        admitted.of[admitted.count++].at_us = call->decision.at_us;
    }
    one->idle = true;
}

/* Those that have their answer ask again. False: none is under way, and none shall be. */
static inline bool hammer(struct fixture *f, bool again)
{
    bool any = false;
    for (unsigned i = 0; i < NODES * HAMMERS; i++) {
        struct one *one = &f->one[i];
        if (one->idle && again) {
            take(one, &f->node[i % NODES], weir_amounts(1, 0, 0), on_hammered);
        }
        any = any || !one->idle;
    }
    return any || again;
}

static inline int by_time(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static inline void never_more_than(unsigned capacity, uint64_t window_us)
{
    static uint64_t at_us[ADMITTED_MAX], sent_us[ADMITTED_MAX], answered_us[ADMITTED_MAX];
    for (unsigned i = 0; i < admitted.count; i++) {
        at_us[i] = admitted.of[i].at_us;
        sent_us[i] = admitted.of[i].sent_us;
        answered_us[i] = admitted.of[i].answered_us;
    }
    qsort(at_us, admitted.count, sizeof(at_us[0]), by_time);
    for (unsigned i = capacity; i < admitted.count; i++) {
        assert_true(at_us[i] - at_us[i - capacity] >= window_us);
    }
    /* between the sending of one and a window later: begun and answered within */
    for (unsigned i = 0; i < admitted.count; i++) {
        unsigned within = 0;
        for (unsigned k = 0; k < admitted.count; k++) {
            within += sent_us[k] >= sent_us[i] && answered_us[k] < sent_us[i] + window_us;
        }
        assert_true(within <= capacity);
    }
}

/* Guarantees 1 and 2. Four nodes ask for one key for two and a half windows of two seconds: never
 * more than the capacity in any interval of that length, and in the three windows that have begun
 * at least `least`. */
static inline void saturate(struct fixture *f, const char *mode, unsigned capacity, unsigned least)
{
    const uint64_t window_us = 2000000;
    memset(&admitted, 0, sizeof(admitted));
    for (unsigned i = 0; i < NODES; i++) {
        node_open(f, &f->node[i], NULL, mode);
        until_ready(f, &f->node[i], true);
    }
    uint64_t from_us = weir_clock_us();
    for (unsigned i = 0; i < NODES * HAMMERS; i++) {
        f->one[i].idle = true;
    }
    while (hammer(f, weir_clock_us() - from_us <= 5 * window_us / 2)) {
        uv_run(&f->loop.uv, UV_RUN_NOWAIT);
    }
    never_more_than(capacity, window_us);
    assert_true(admitted.count >= least);
}

#endif
