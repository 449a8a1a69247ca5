/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_spread.h - requests whose subjects are in two slots of a cluster: a key with its org, and
 * a model that all share. Include after cmocka.h. */
#ifndef WEIR_TESTS_SUPPORT_CLUSTER_SPREAD_H
#define WEIR_TESTS_SUPPORT_CLUSTER_SPREAD_H

#include "support/cluster_store.h"

enum { SLACK_US = 1000000 }; /* between two calls on a busy machine; windows have 60 s */

/* The subjects of one request: two of its own and a model, on primaries that the test chooses. */
struct request {
    struct who key, org, model;
    const struct who *who[3];
    struct node *node;
    struct one one;
};

/* `number`: other subjects for another one, and for the other cases. */
static inline void request_init(struct request *r, struct node *n, unsigned number, unsigned own,
                                unsigned shared)
{
    char key[64];
    who_at(&r->org, n, own, number);
    who_at(&r->model, n, shared, number + 500);
    snprintf(key, sizeof(key), "key:of-%u", number);
    who_is(&r->key, n, key, r->org.name);
    assert_int_equal(r->key.slot, r->org.slot);
    assert_int_not_equal(r->key.slot, r->model.slot);
    r->who[0] = &r->key;
    r->who[1] = &r->org;
    r->who[2] = &r->model;
    r->node = n;
}

static inline const struct weir_call *ask(struct request *r, uint64_t requests)
{
    return charge_all(r->node, &r->one, r->who, 3, weir_amounts(requests, 0, requests));
}

static inline uint64_t used_of(struct node *n, const struct who *who)
{
    struct one one;
    const struct weir_call *call = charge(n, &one, who, NULL, 0);
    assert_false(call->local);
    assert_int_equal(call->decision.states, 2);
    return call->decision.state[0].used;
}

static inline void used_are(struct request *r, uint64_t own, uint64_t shared)
{
    assert_int_equal(used_of(r->node, &r->key), own);
    assert_int_equal(used_of(r->node, &r->org), own);
    assert_int_equal(used_of(r->node, &r->model), shared);
}

/* All limits, in the order of the subjects, and what of them is used. */
static inline void states_are(const struct weir_call *call, uint64_t own, uint64_t shared)
{
    assert_int_equal(call->decision.states, 6);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(call->decision.state[i].subject, i / 2);
        assert_int_equal(call->decision.state[i].meter,
                         i % 2 == 0 ? WEIR_METER_REQUESTS : WEIR_METER_OUTPUT_TOKENS);
        assert_int_equal(call->decision.state[i].used, i < 4 ? own : shared);
    }
}

static inline void denied_by_redis(const struct weir_call *call, unsigned subject)
{
    assert_int_equal(call->outcome, WEIR_OUTCOME_DECIDED);
    assert_false(call->local);
    assert_false(call->decision.allowed);
    assert_int_equal(call->decision.denied_subject, subject);
    assert_int_equal(call->reservation.nonce, 0);
}

static inline void about(uint64_t us, uint64_t expected_us)
{
    assert_in_range(us, expected_us - SLACK_US, expected_us + SLACK_US);
}

/* ---- settling ---- */

static unsigned settled;

static inline struct weir_settle settlement(const struct request *r, uint64_t output)
{
    struct weir_settle s = {
        .subjects = 3,
        .reservation = r->one.call.reservation,
        .used = weir_amounts(r->one.call.amounts.of[WEIR_METER_REQUESTS], 0, output),
        .now_us = weir_clock_us(),
        .claim = true,
        .done = on_settled,
        .ctx = &settled,
    };
    for (unsigned i = 0; i < 3; i++) {
        s.subject[i] = &r->who[i]->subject;
    }
    return s;
}

static inline void settle(struct node *n, struct weir_settle *s, enum weir_settle_result expected)
{
    settled = 0;
    s->now_us = weir_clock_us();
    if (weir_store_settle(n->store, s) == WEIR_PENDING) {
        until_done(&world, &settled, 1);
    }
    assert_int_equal(s->result, expected);
}

static inline uint64_t output_of(struct node *n, const struct who *who)
{
    struct one one;
    return charge(n, &one, who, NULL, 0)->decision.state[1].used;
}

static inline void outputs_are(struct node *n, const struct request *r, uint64_t expected)
{
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(output_of(n, r->who[i]), expected);
    }
}

#endif
