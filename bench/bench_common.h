/* SPDX-License-Identifier: Apache-2.0 */
/* bench_common.h - what the in-process benches share: a plan of three meters over 60 s that denies
 * nothing, and keys by number. */
#ifndef WEIR_BENCH_COMMON_H
#define WEIR_BENCH_COMMON_H

#include <stdint.h>

#include "base/rand.h"
#include "limit/plan.h"
#include "limit/subject.h"

#define BENCH_WINDOW_S 60

static inline enum weir_err bench_plan(struct weir_plan *ret_plan)
{
    const struct weir_limit limits[] = {
        {WEIR_METER_REQUESTS, BENCH_WINDOW_S, WEIR_AMOUNT_MAX},
        {WEIR_METER_INPUT_TOKENS, BENCH_WINDOW_S, WEIR_AMOUNT_MAX},
        {WEIR_METER_OUTPUT_TOKENS, BENCH_WINDOW_S, WEIR_AMOUNT_MAX},
    };
    return weir_plan_compile(limits, sizeof(limits) / sizeof(limits[0]), ret_plan);
}

/* The id is computed from the number: a subject read from an array would be a cache miss of the
 * bench's own. */
static inline struct weir_subject bench_subject(uint64_t number, const struct weir_plan *plan)
{
    return (struct weir_subject){
        .id = {weir_mix64(number), weir_mix64(~number)},
        .name = WEIR_STR("key:bench"),
        .plan = plan,
    };
}

#endif
