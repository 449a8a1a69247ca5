/* SPDX-License-Identifier: Apache-2.0 */
/* forecast.h - how many output tokens to reserve for a request whose answer is not there yet, and
 * what of a request counts. Pure: no I/O, no clock, no allocation; values belong to their owner.
 * docs/design/forecast.md has the figures.
 *
 * A forecast is a histogram of the outputs seen: below 16 tokens one bucket, from there four to
 * each power of two up to 65536, and one for what is larger. When 127 have been counted all counts
 * are halved: it goes by about the last hundred outputs, and any quantile can be asked of it.
 * Adding is O(1) (the halving is one pass over 50 bytes each 64 times), asking is one pass.
 */
#ifndef WEIR_LIMIT_FORECAST_H
#define WEIR_LIMIT_FORECAST_H

#include <stdbool.h>
#include <stdint.h>

#include "limit/subject.h"

enum {
    WEIR_FORECAST_BUCKETS = 50,
    WEIR_FORECAST_COUNT_MAX = 127,
    WEIR_FORECAST_TOKENS_MAX = 131071, /* the largest forecast */
    WEIR_FORECAST_ENOUGH = 16,         /* observations from which a history counts */
    WEIR_FORECAST_GROWN = 64,          /* and from which it is believed: halving leaves as many */
};

/* Zeroed: nothing was seen. */
struct weir_forecast {
    uint8_t count; /* the sum of the buckets */
    uint8_t bucket[WEIR_FORECAST_BUCKETS];
};

void weir_forecast_add(struct weir_forecast *f, uint64_t output_tokens);
/* What `permille` of 1000 outputs do not pass, by the bucket's own bounds and evenly within it: at
 * most a quarter too high. From 1 to WEIR_FORECAST_TOKENS_MAX; 0: nothing was seen.
 * permille: 1 to 999. */
uint64_t weir_forecast_quantile(const struct weir_forecast *f, unsigned permille);

static inline bool weir_forecast_grown(const struct weir_forecast *f)
{
    return f->count >= WEIR_FORECAST_GROWN;
}

/* The largest output that the limits of all these subjects could ever admit beside this input;
 * UINT64_MAX: no limit counts output. */
uint64_t weir_output_ever(const struct weir_subject *const *subject, unsigned subjects,
                          uint64_t input_tokens);

/* The output tokens to reserve by the plan's rule. choices: how many answers there will be, one or
 * more. output_max: what the request allows for all of them, else the plan's default_output_tokens
 * for each. forecast: of weir_history_quantile, for one. ever: of weir_output_ever.
 *   max       output_max, as it is
 *   forecast  the forecast, and fixed the plan's number, for each answer: together not above
 *             output_max nor above `ever`, and at least 1, for a meter that is asked for nothing is
 *             not checked. */
uint64_t weir_reserve_output(const struct weir_plan *plan, uint32_t choices, uint64_t output_max,
                             uint64_t forecast, uint64_t ever);

/* What `input_tokens` count when `cached_tokens` of them (at most all) count for weight_permille of
 * a thousandth each; rounded up. */
uint64_t weir_input_counted(uint64_t input_tokens, uint64_t cached_tokens,
                            unsigned weight_permille);

/* What a request is settled to whose upstream failed: the tokens that it may have used until then,
 * and the request itself where such ones are charged. */
struct weir_amounts weir_failed_use(bool charge_failed, uint64_t input_tokens,
                                    uint64_t output_tokens);

#endif
