/* SPDX-License-Identifier: Apache-2.0 */
/* mock.h - the mock model: deterministic by seed and request, so that tests and load runs repeat.
 * Pure: it makes text and token counts; pacing and writing are the caller's. Any thread. */
#ifndef WEIR_GATEWAY_MOCK_H
#define WEIR_GATEWAY_MOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "config/config.h"

/* What the mock will say to one request. */
struct weir_mock_answer {
    uint64_t seed;          /* of the words */
    uint32_t output_tokens; /* each token is one word of weir_mock_word */
    bool cut;               /* the maximum ended it: finish_reason "length" instead of "stop" */
};

/* `prompt_hash`: of all that the answer depends on beside the seed, as model and messages.
 * output_max: the request's maximum; the answer is never longer (nor than mock->output_max). At
 * least 1 token unless output_max is 0. */
struct weir_mock_answer weir_mock_answer(const struct weir_mock_config *mock, uint64_t prompt_hash,
                                         uint64_t output_max);

/* Gives an answer the length that its request asked for, instead of the drawn one. */
void weir_mock_answer_resize(struct weir_mock_answer *a, uint64_t length, uint64_t output_max);

/* The i-th token's text, i < output_tokens, with its leading space when i > 0; needs no escaping in
 * JSON. Constant memory. */
struct weir_str weir_mock_word(const struct weir_mock_answer *a, uint32_t i);

/* When the n-th token (from 0) is there, and how many are by then: those whose moment has come. In
 * milliseconds from the start of the model. */
uint64_t weir_mock_due_ms(const struct weir_mock_config *mock, uint64_t n);
uint32_t weir_mock_made(const struct weir_mock_config *mock, const struct weir_mock_answer *a,
                        uint64_t passed_ms);

#endif
