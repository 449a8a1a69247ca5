/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/meter.h"

static const char *const names[WEIR_METERS] = {
    [WEIR_METER_REQUESTS] = "requests",
    [WEIR_METER_INPUT_TOKENS] = "input_tokens",
    [WEIR_METER_OUTPUT_TOKENS] = "output_tokens",
    [WEIR_METER_TOTAL_TOKENS] = "total_tokens",
};

void weir_amounts_settle(const struct weir_amounts *reserved, const struct weir_amounts *used,
                         struct weir_amounts *ret_less, struct weir_amounts *ret_more)
{
    uint64_t less[WEIR_METERS], more[WEIR_METERS];
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        uint64_t r = reserved->of[m], u = used->of[m];
        less[m] = r > u ? r - u : 0;
        more[m] = u > r ? u - r : 0;
    }
    *ret_less = weir_amounts(less[WEIR_METER_REQUESTS], less[WEIR_METER_INPUT_TOKENS],
                             less[WEIR_METER_OUTPUT_TOKENS]);
    *ret_more = weir_amounts(more[WEIR_METER_REQUESTS], more[WEIR_METER_INPUT_TOKENS],
                             more[WEIR_METER_OUTPUT_TOKENS]);
}

const char *weir_meter_name(enum weir_meter meter)
{
    WEIR_ASSERT(meter < WEIR_METERS);
    return names[meter];
}

enum weir_err weir_meter_parse(struct weir_str name, enum weir_meter *ret_meter)
{
    for (unsigned i = 0; i < WEIR_METERS; i++) {
        if (weir_str_eq(name, weir_str_z(names[i]))) {
            *ret_meter = (enum weir_meter)i;
            return WEIR_OK;
        }
    }
    return WEIR_ERR_INVALID;
}
