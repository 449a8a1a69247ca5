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

/* What to expect of the next answer: the quantile of the key's own history for the model; before it
 * has WEIR_FORECAST_ENOUGH observations that of the model's for all keys, and before that has them
 * default_tokens. A history that is not grown is not believed where it says less than the one that
 * it stands for: short answers are complete first, so it begins with them. Makes no entry. */
uint64_t weir_history_quantile(struct weir_history *history, const struct weir_history_of *of,
                               unsigned permille, uint64_t default_tokens);
/* An answer is complete: it had so many tokens. now_s: of any clock that does not step back. */
void weir_history_add(struct weir_history *history, const struct weir_history_of *of,
                      uint64_t output_tokens, uint32_t now_s);
/* Places taken. Any thread. */
uint64_t weir_history_count(const struct weir_history *history);

#endif
