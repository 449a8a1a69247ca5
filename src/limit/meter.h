/* SPDX-License-Identifier: Apache-2.0 */
/* meter.h - what is counted, and amounts of it. Pure values. */
#ifndef WEIR_LIMIT_METER_H
#define WEIR_LIMIT_METER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* The order is the bit order of packed windows: it never changes, new meters come last. */
enum weir_meter {
    WEIR_METER_REQUESTS,
    WEIR_METER_INPUT_TOKENS,
    WEIR_METER_OUTPUT_TOKENS,
    WEIR_METER_TOTAL_TOKENS,
    WEIR_METERS,
};

/* Amounts and capacities never pass 2^50: sums stay exact in Lua's doubles. */
#define WEIR_AMOUNT_MAX (UINT64_C(1) << 50)

/* One amount per meter. total_tokens is always input + output (weir_amounts keeps it so). */
struct weir_amounts {
    uint64_t of[WEIR_METERS];
};

/* Each argument at most WEIR_AMOUNT_MAX / 2. */
static inline struct weir_amounts weir_amounts(uint64_t requests, uint64_t input, uint64_t output)
{
    return (struct weir_amounts){{requests, input, output, input + output}};
}

/* Whether nothing is asked of any meter: a look. */
static inline bool weir_amounts_none(const struct weir_amounts *a)
{
    uint64_t any = 0;
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        any |= a->of[m];
    }
    return any == 0;
}

/* What settling changes: `less` is given back, `more` is charged beside. total_tokens is the sum of
 * the other two in both, so that what is given back and what is charged stay whole. */
void weir_amounts_settle(const struct weir_amounts *reserved, const struct weir_amounts *used,
                         struct weir_amounts *ret_less, struct weir_amounts *ret_more);

/* "requests", "input_tokens", "output_tokens", "total_tokens". */
const char *weir_meter_name(enum weir_meter meter);
WEIR_MUSTCHECK enum weir_err weir_meter_parse(struct weir_str name, enum weir_meter *ret_meter);

#endif
