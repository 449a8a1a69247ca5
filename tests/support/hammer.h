/* SPDX-License-Identifier: Apache-2.0 */
/* hammer.h - nodes that ask for one key as fast as they can, and what of it was admitted when.
 * Include after cmocka.h. */
#ifndef WEIR_TESTS_SUPPORT_HAMMER_H
#define WEIR_TESTS_SUPPORT_HAMMER_H

#include "support/store_node.h"

enum { HAMMERS = 4, ADMITTED_MAX = 8000, STALL_US = 20000, STALLS_MAX_US = 30000000 };

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

/* For how long to ask. Turns in which a call has been without an answer for long are added, up to a
 * bound: then the machine does something else, and what is admitted in so many windows is no matter
 * of how fast it is. A denial is an answer. */
struct span {
    uint64_t until_us, turn_us, stalls_max_us;
    unsigned least; /* when so many were admitted none is added */
};

static inline struct span span_of(uint64_t for_us, unsigned least)
{
    uint64_t now_us = weir_clock_us();
    return (struct span){now_us + for_us, now_us, STALLS_MAX_US, least};
}

static inline bool is_stalled(const struct one *one, const struct span *s)
{
    return !one->idle && s->turn_us > one->sent_us + STALL_US;
}

/* Before each turn; stalled: is_stalled of any. False: it is over. */
static inline bool span_goes_on(struct span *s, bool stalled)
{
    uint64_t now_us = weir_clock_us(), took_us = now_us - s->turn_us;
    bool adds = admitted.count < s->least && s->stalls_max_us > took_us;
    if (adds && (stalled || took_us > STALL_US)) {
        s->until_us += took_us;
        s->stalls_max_us -= took_us;
    }
    s->turn_us = now_us;
    return now_us < s->until_us;
}

/* Those that have their answer ask again. False: none is under way, and none shall be. */
static inline bool hammer(struct fixture *f, struct span *s)
{
    bool any = false, stalled = false;
    for (unsigned i = 0; i < NODES * HAMMERS; i++) {
        stalled = stalled || is_stalled(&f->one[i], s);
    }
    bool again = span_goes_on(s, stalled);
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
    for (unsigned i = 0; i < NODES * HAMMERS; i++) {
        f->one[i].idle = true;
    }
    struct span span = span_of(5 * window_us / 2, least);
    while (hammer(f, &span)) {
        uv_run(&f->loop.uv, UV_RUN_NOWAIT);
    }
    never_more_than(capacity, window_us);
    assert_in_range(admitted.count, least, ADMITTED_MAX);
}

#endif
