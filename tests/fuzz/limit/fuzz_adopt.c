/* SPDX-License-Identifier: Apache-2.0 */
/* Foreign bytes as a value: refused, or read, charged, settled and adopted by another plan without
 * touching memory outside a buffer of just the room that was asked for. The first bytes choose the
 * plan, the time and what is charged. Seeds: fuzz_adopt/. */
#include <stdlib.h>

#define WORLD_CHECK(that)                                                                          \
    do {                                                                                           \
        if (!(that)) {                                                                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)
#include "support/window_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 16 };

static void plan_of(unsigned which, struct weir_plan *ret_plan)
{
    static const struct weir_limit limits[] = {
        {WEIR_METER_REQUESTS, 60, 100},           {WEIR_METER_INPUT_TOKENS, 60, 100000},
        {WEIR_METER_OUTPUT_TOKENS, 60, 1 << 20},  {WEIR_METER_TOTAL_TOKENS, 1, WEIR_AMOUNT_MAX},
        {WEIR_METER_OUTPUT_TOKENS, 3600, 0},      {WEIR_METER_REQUESTS, 86400, 1000},
        {WEIR_METER_TOTAL_TOKENS, 30 * 86400, 1},
    };
    WORLD_CHECK(weir_plan_compile(limits + which % 7, 7 - which % 7, ret_plan) == WEIR_OK);
}

static void use(struct weir_value *v, const struct weir_plan *plan, uint64_t now_us,
                const struct weir_amounts *a, uint64_t at_us)
{
    struct weir_decision d;
    struct weir_verdict verdict;
    prepare(v, plan, now_us);
    now_us = weir_value_now_us(v, plan, now_us);
    prepare(v, plan, now_us);
    weir_decision_begin(&d, now_us);
    if (!weir_value_take_in_step(v, plan, now_us, a, 0, &d)) {
        if (!weir_value_fits(v, plan, now_us, a, &verdict)) {
            weir_decision_deny(&d, 0, &verdict);
        }
        add(v, plan, now_us, a);
        weir_value_states(v, plan, now_us, 0, &d);
    }
    WORLD_CHECK(d.states == plan->limits);
    weir_value_lower(v, plan, at_us, a);
    WORLD_CHECK(weir_value_valid(v->data, v->len));
    (void)weir_value_idle_at_us(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_plan plan, other;
    uint64_t head[2];
    if (size < HEAD || size - HEAD > WEIR_VALUE_MAX) {
        return 0;
    }
    memcpy(head, data, HEAD);
    plan_of((unsigned)(head[0] & 7), &plan);
    plan_of((unsigned)(head[0] >> 3 & 7), &other);
    uint64_t now_us = head[0] >> 13, at_us = now_us - (head[1] & 0xfffffff);
    const struct weir_amounts a =
        weir_amounts(head[1] >> 28 & 7, head[1] >> 31 & 0xffffff, head[1] >> 55 & 0xff);
    struct weir_value v = {.len = (uint32_t)(size - HEAD)};
    grow(&v, v.len + WEIR_VALUE_SLACK);
    memcpy(v.data, data + HEAD, v.len);
    memset(v.data + v.len, 0xa5, WEIR_VALUE_SLACK);
    if (weir_value_valid(v.data, v.len)) {
        use(&v, &plan, now_us, &a, at_us);
        use(&v, &other, now_us + (head[1] & 0xffff), &a, at_us);
    }
    weir_free(v.data);
    return 0;
}
