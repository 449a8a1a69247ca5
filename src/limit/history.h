/* SPDX-License-Identifier: Apache-2.0 */
/* history.h - the forecasts of a process: one for each key and model that answered lately, one for
 * each model. A fixed table; where its places are full the one goes that has been idle longest of
 * the eight that it may stand in. No I/O, no clock. Thread-safe: striped locks, held for one
 * look or one observation. */
#ifndef WEIR_LIMIT_HISTORY_H
#define WEIR_LIMIT_HISTORY_H

#include "limit/forecast.h"

enum { WEIR_HISTORY_BYTES = 64 }; /* of one place */

struct weir_history;

/* Whose answers. Numbers of this process only (base/hash.h), never 0. */
struct weir_history_of {
    uint64_t key, model;
};

/* places: rounded up to a power of two, 8 at least. */
WEIR_MUSTCHECK enum weir_err weir_history_new(uint64_t places, struct weir_history **ret_history);
/* NULL is allowed. */
void weir_history_free(struct weir_history *history);

/* model: its name, as the request writes it. Thread-safe. */
struct weir_history_of weir_history_of(const struct weir_subject *key, struct weir_str model);

/* The quantile of what the key's own history says for the model, else of what that of the model
 * says for all keys; 0: neither has WEIR_FORECAST_ENOUGH observations. Makes no entry. */
uint64_t weir_history_quantile(struct weir_history *history, const struct weir_history_of *of,
                               unsigned permille);
/* An answer is complete: it had so many tokens. now_s: of any clock that does not step back. */
void weir_history_add(struct weir_history *history, const struct weir_history_of *of,
                      uint64_t output_tokens, uint32_t now_s);
/* Places taken. Any thread. */
uint64_t weir_history_count(const struct weir_history *history);

#endif
