/* SPDX-License-Identifier: Apache-2.0 */
/* reserve.h - what is reserved for an output by the rule of the request's plan, and what its answer
 * teaches. For whoever answers requests with a model; the worker's loop only. */
#ifndef WEIR_SERVICE_RESERVE_H
#define WEIR_SERVICE_RESERVE_H

#include "limit/history.h"
#include "service/service.h"

/* Kept by the request until its answer is complete. */
struct weir_reserving {
    uint64_t tokens;  /* to charge for output */
    uint32_t choices; /* how many answers share it */
    enum weir_reserve rule;
    struct weir_history_of of; /* of WEIR_RESERVE_FORECAST */
};

/* The histories of the process, for the group of its services; NULL where no plan forecasts. */
WEIR_MUSTCHECK enum weir_err weir_reserve_histories_new(const struct weir_config *config,
                                                        struct weir_history **ret_history);

/* call: its subjects are set; the plan of the first is the one that counts. key: whose history,
 * with or without limits of its own. output_max: what the request allows for all of its `choices`
 * (answers, at least 1), else the plan's default for each. */
void weir_reserve(struct weir_service *s, const struct weir_call *call,
                  const struct weir_subject *key, struct weir_str model, uint64_t input_tokens,
                  uint64_t output_max, uint32_t choices, struct weir_reserving *ret_reserving);
/* The answer, with all its choices, came to its own end after so many tokens. One that was given up
 * tells nothing. */
void weir_reserve_used(struct weir_service *s, const struct weir_reserving *r,
                       uint64_t output_tokens, uint64_t now_ns);

#endif
