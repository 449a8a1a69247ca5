/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/mock.h"

#include <math.h>

#include "base/rand.h"

/* Each is one token, the leading space its own; none needs escaping in JSON. */
static const char words[][12] = {
    " the",   " a",     " river", " flow",  " water", " level", " gate",   " dam",
    " is",    " was",   " and",   " then",  " slow",  " fast",  " steady", " over",
    " under", " each",  " every", " small", " large", " stone", " bank",   " bed",
    " rises", " falls", " holds", " runs",  " turns", " meets", " gives",  " takes",
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

struct weir_str weir_mock_word(const struct weir_mock_answer *a, uint32_t i)
{
    uint64_t bits = weir_mix64(a->seed + i / 8) >> (i % 8 * 8);
    const char *word = words[bits & (WORDS - 1)];
    return i == 0 ? weir_str_z(word + 1) : weir_str_z(word);
}
