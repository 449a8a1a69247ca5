/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a server, through hiredis's reader, into what reads the scripts' answers. The first
 * byte chooses plan, subjects and amounts. Seeds: fuzz_answer/. */
#include <stdlib.h>

#include "limit/window.h"
#include "store/redis/answer.h"
#include "store/redis/over.h"
#include "support/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void plan_of(unsigned which, struct weir_plan *ret_plan)
{
    static const struct weir_limit limits[] = {
        {WEIR_METER_REQUESTS, 1, 5},
        {WEIR_METER_REQUESTS, 60, 100},
        {WEIR_METER_INPUT_TOKENS, 60, 1000},
        {WEIR_METER_OUTPUT_TOKENS, 30 * 86400, WEIR_AMOUNT_MAX},
        {WEIR_METER_TOTAL_TOKENS, 30 * 86400, 0},
    };
    if (weir_plan_compile(limits, which % 6, ret_plan) != WEIR_OK) {
        abort();
    }
}

static void check(const struct weir_decision *d, unsigned limits, const struct weir_amounts *a)
{
    bool denied = !d->allowed;
    if (d->states != limits || (denied && (weir_amounts_none(a) || d->denied_subject >= 4 ||
                                           d->denied_meter >= WEIR_METERS))) {
        abort();
    }
}

/* What a list of requests is answered: all of it can be used as it says. */
static void granted(const redisReply *r, const struct weir_subject *const *named, unsigned subjects,
                    const struct weir_plan *plan)
{
    for (unsigned asks = 0; asks < 4; asks++) {
        struct weir_redis_granted g;
        if (!weir_redis_answer_granted(r, named, subjects, asks, &g)) {
            continue;
        }
        bool none = weir_amounts_none(&g.ahead);
        unsigned yes = 0;
        for (unsigned i = 0; i < asks; i++) {
            yes += g.mask[i] == '1';
        }
        if (g.all != (yes == asks) || (!g.all && !none) ||
            (g.all && asks > 0 && g.states.states != subjects * plan->limits)) {
            abort();
        }
        for (unsigned i = 0; i < subjects && !g.all; i++) {
            if ((size_t)g.value[i]->len > WEIR_VALUE_MAX) {
                abort();
            }
        }
    }
}

/* What over.lua is answered as, and INFO: what is understood is within its bounds. */
static void over(const redisReply *r)
{
    struct weir_redis_entered e;
    struct weir_redis_beaten b;
    struct weir_redis_merged m;
    struct weir_redis_identity id;
    size_t whole = sizeof(id.text) - 1;
    if (weir_redis_answer_enter(r, &e) &&
        (e.beat < -1 || e.beat > WEIR_REDIS_BEAT_MAX || e.clock_us > WEIR_CLOCK_US_MAX ||
         (e.has_accepted && strnlen(e.accepted.text, sizeof(e.accepted.text)) != whole))) {
        abort();
    }
    if (weir_redis_answer_beat(r, &b) &&
        ((b.living > 0) != b.accepted || b.clock_us > WEIR_CLOCK_US_MAX)) {
        abort();
    }
    if (weir_redis_answer_merge(r, &m) &&
        (m.merged != (m.value != NULL) || m.clock_us > WEIR_CLOCK_US_MAX ||
         (m.merged && !weir_redis_answer_is_value(m.value)))) {
        abort();
    }
    if (weir_redis_identity_read(r, &id) && strnlen(id.text, sizeof(id.text)) != whole) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct weir_amounts amounts[] = {{{0}}, {{1, 10, 20, 30}}, {{6, 0, 0, 0}}};
    if (size == 0 || resp_promises_much(data, size)) {
        return 0;
    }
    struct weir_plan plan;
    struct weir_decision d;
    uint64_t clock_us;
    unsigned subjects = 1 + data[0] % 2;
    const struct weir_amounts *a = &amounts[data[0] / 2 % 3];
    plan_of(data[0] / 6, &plan);
    const struct weir_subject subject = {.name = WEIR_STR("key:a"), .plan = &plan};
    const struct weir_subject *named[] = {&subject, &subject};
    redisReply *r = resp_read((const char *)data + 1, size - 1);
    if (r == NULL) {
        return 0;
    }
    if (weir_redis_answer_decision(r, named, subjects, a, &d, &clock_us)) {
        check(&d, subjects * plan.limits, a);
    }
    if (weir_redis_answer_look(r, named, subjects, a, &d, &clock_us)) {
        check(&d, subjects * plan.limits, a);
    }
    if (weir_redis_answer_probe(r, named, subjects, a, &d, &clock_us)) {
        check(&d, subjects * plan.limits, a);
    }
    granted(r, named, subjects, &plan);
    over(r);
    (void)weir_redis_answer_settled(r);
    (void)weir_redis_answer_breaks(r);
    freeReplyObject(r);
    return 0;
}
