/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/mock.h"

#include <math.h>

#include "base/rand.h"

/* Each is one token of o200k_base and of cl100k_base, with the space before it and without; none
 * needs escaping in JSON. */
static const struct weir_str words[] = {
    WEIR_STR_INIT(" the"),   WEIR_STR_INIT(" a"),     WEIR_STR_INIT(" river"),
    WEIR_STR_INIT(" flow"),  WEIR_STR_INIT(" water"), WEIR_STR_INIT(" level"),
    WEIR_STR_INIT(" gate"),  WEIR_STR_INIT(" dam"),   WEIR_STR_INIT(" is"),
    WEIR_STR_INIT(" was"),   WEIR_STR_INIT(" and"),   WEIR_STR_INIT(" then"),
    WEIR_STR_INIT(" slow"),  WEIR_STR_INIT(" fast"),  WEIR_STR_INIT(" steady"),
    WEIR_STR_INIT(" over"),  WEIR_STR_INIT(" under"), WEIR_STR_INIT(" each"),
    WEIR_STR_INIT(" every"), WEIR_STR_INIT(" small"), WEIR_STR_INIT(" large"),
    WEIR_STR_INIT(" stone"), WEIR_STR_INIT(" bank"),  WEIR_STR_INIT(" bed"),
    WEIR_STR_INIT(" rain"),  WEIR_STR_INIT(" falls"), WEIR_STR_INIT(" holds"),
    WEIR_STR_INIT(" runs"),  WEIR_STR_INIT(" deep"),  WEIR_STR_INIT(" wide"),
    WEIR_STR_INIT(" cold"),  WEIR_STR_INIT(" takes"),
};

enum { WORDS = sizeof(words) / sizeof(words[0]) };

_Static_assert((WORDS & (WORDS - 1)) == 0, "a word is chosen by bits");

/* An exponential length around the mean: many short answers and a long tail, as real ones have. */
static uint64_t draw_length(struct weir_rand *r, uint32_t mean)
{
    double length = -log(1.0 - weir_rand_unit(r)) * mean;
    return length < 1.0 ? 1 : (uint64_t)length;
}

struct weir_mock_answer weir_mock_answer(const struct weir_mock_config *mock, uint64_t prompt_hash,
                                         uint64_t output_max)
{
    struct weir_rand r;
    weir_rand_init(&r, weir_mix64(mock->seed) ^ prompt_hash);
    uint64_t length = draw_length(&r, mock->output_mean);
    uint64_t most = output_max < mock->output_max ? output_max : mock->output_max;
    struct weir_mock_answer a = {.seed = weir_rand_u64(&r)};
    a.cut = length > most;
    a.output_tokens = (uint32_t)(a.cut ? most : length);
    return a;
}

void weir_mock_answer_resize(struct weir_mock_answer *a, uint64_t length, uint64_t output_max)
{
    a->cut = length > output_max;
    a->output_tokens = (uint32_t)(a->cut ? output_max : length);
}

struct weir_str weir_mock_word(const struct weir_mock_answer *a, uint32_t i)
{
    uint64_t bits = weir_mix64(a->seed + i / 8) >> (i % 8 * 8);
    struct weir_str word = words[bits & (WORDS - 1)];
    return i == 0 ? weir_str(word.p + 1, word.len - 1) : word;
}

uint64_t weir_mock_due_ms(const struct weir_mock_config *mock, uint64_t n)
{
    return mock->first_token_ms + (mock->tokens_per_s == 0 ? 0 : n * 1000 / mock->tokens_per_s);
}

uint32_t weir_mock_made(const struct weir_mock_config *mock, const struct weir_mock_answer *a,
                        uint64_t passed_ms)
{
    uint64_t made = a->output_tokens;
    if (passed_ms < mock->first_token_ms) {
        return 0;
    }
    if (mock->tokens_per_s > 0) {
        made = ((passed_ms - mock->first_token_ms + 1) * mock->tokens_per_s - 1) / 1000 + 1;
    }
    return made < a->output_tokens ? (uint32_t)made : a->output_tokens;
}
