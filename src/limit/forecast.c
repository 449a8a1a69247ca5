/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/forecast.h"

enum {
    FIRST_POWER = 4, /* the second bucket begins at 2^4 */
    PARTS_POWER = 2, /* a power of two has 2^2 buckets */
    PARTS = 1 << PARTS_POWER,
};

static unsigned bucket_of(uint64_t tokens)
{
    if (tokens >> FIRST_POWER == 0) {
        return 0;
    }
    unsigned power = 63 - (unsigned)__builtin_clzll(tokens);
    unsigned part = (unsigned)(tokens >> (power - PARTS_POWER)) & (PARTS - 1);
    unsigned bucket = 1 + (power - FIRST_POWER) * PARTS + part;
    return bucket < WEIR_FORECAST_BUCKETS ? bucket : WEIR_FORECAST_BUCKETS - 1;
}

/* The least that counts in a bucket; of the one behind the last: the end of that. */
static uint64_t begin_of(unsigned bucket)
{
    if (bucket == 0) {
        return 0;
    }
    if (bucket == WEIR_FORECAST_BUCKETS) {
        return WEIR_FORECAST_TOKENS_MAX + 1;
    }
    unsigned power = (bucket - 1) / PARTS + FIRST_POWER;
    return (uint64_t)(PARTS + (bucket - 1) % PARTS) << (power - PARTS_POWER);
}

/* What is odd goes to the next bucket: no quantile moves by more than one observation, and the few
 * large ones do not vanish one by one. */
static void halve(struct weir_forecast *f)
{
    unsigned odd = 0, count = 0;
    for (unsigned i = 0; i < WEIR_FORECAST_BUCKETS; i++) {
        unsigned twice = f->bucket[i] + odd;
        f->bucket[i] = (uint8_t)(twice / 2);
        odd = twice % 2;
        count += twice / 2;
    }
    f->count = (uint8_t)count;
}

void weir_forecast_add(struct weir_forecast *f, uint64_t output_tokens)
{
    if (f->count == WEIR_FORECAST_COUNT_MAX) {
        halve(f);
    }
    f->bucket[bucket_of(output_tokens)]++;
    f->count++;
}

/* The place among n + 1: the next output is below the largest of n with a chance of n to 1 only. */
uint64_t weir_forecast_quantile(const struct weir_forecast *f, unsigned permille)
{
    unsigned rank = (permille * (f->count + 1u) + 999) / 1000, below = 0, i = 0;
    if (f->count == 0) {
        return 0;
    }
    rank = rank < f->count ? rank : f->count;
    while (below + f->bucket[i] < rank) {
        below += f->bucket[i++];
    }
    uint64_t begin = begin_of(i), end = begin_of(i + 1), in = f->bucket[i];
    uint64_t past = begin + ((end - begin) * (rank - below) + in - 1) / in;
    return past > 1 ? past - 1 : 1;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t weir_output_ever(const struct weir_subject *const *subject, unsigned subjects,
                          uint64_t input_tokens)
{
    uint64_t output = UINT64_MAX, total = UINT64_MAX;
    for (unsigned i = 0; i < subjects; i++) {
        output = smaller(output, subject[i]->plan->least[WEIR_METER_OUTPUT_TOKENS]);
        total = smaller(total, subject[i]->plan->least[WEIR_METER_TOTAL_TOKENS]);
    }
    if (total == UINT64_MAX) {
        return output;
    }
    return smaller(output, total > input_tokens ? total - input_tokens : 0);
}

uint64_t weir_reserve_output(const struct weir_plan *plan, uint32_t choices, uint64_t output_max,
                             uint64_t forecast, uint64_t ever)
{
    if (plan->reserve == WEIR_RESERVE_MAX) {
        return output_max;
    }
    uint64_t tokens = plan->reserve == WEIR_RESERVE_FIXED ? plan->reserve_fixed : forecast;
    if (__builtin_mul_overflow(tokens, choices, &tokens)) {
        tokens = UINT64_MAX;
    }
    tokens = smaller(smaller(tokens, output_max), ever);
    return tokens > 0 ? tokens : 1;
}

uint64_t weir_input_counted(uint64_t input_tokens, uint64_t cached_tokens, unsigned weight_permille)
{
    uint64_t cached = smaller(cached_tokens, input_tokens);
    return input_tokens - cached + cached / 1000 * weight_permille +
           (cached % 1000 * weight_permille + 999) / 1000;
}

struct weir_amounts weir_failed_use(bool charge_failed, uint64_t input_tokens,
                                    uint64_t output_tokens)
{
    return weir_amounts(charge_failed, input_tokens, output_tokens);
}
