/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens/tokens.h"

enum {
    ASCII_PER_TOKEN = 4,
    /* of other scripts: two tokens to three code points */
    OTHER_TOKENS = 2,
    OTHER_POINTS = 3,
};

#define ONES UINT64_C(0x0101010101010101)

/* How many of the bytes have their high bit set: each is a one in the product's top byte. */
static uint64_t count_high(uint64_t word)
{
    return (word >> 7 & ONES) * ONES >> 56;
}

uint64_t weir_tokens_estimate(struct weir_str text)
{
    uint64_t others = 0, points = 0;
    for (size_t i = 0; i < text.len; i += sizeof(uint64_t)) {
        size_t left = text.len - i;
        uint64_t word = 0;
        memcpy(&word, text.p + i, left < sizeof(word) ? left : sizeof(word));
        others += count_high(word);
        points += count_high(word & word << 1); /* 11xxxxxx begins a code point (RFC 3629) */
    }
    uint64_t ascii = text.len - others;
    uint64_t tokens = (ascii + ASCII_PER_TOKEN - 1) / ASCII_PER_TOKEN +
                      (points * OTHER_TOKENS + OTHER_POINTS - 1) / OTHER_POINTS;
    return tokens == 0 && text.len > 0 ? 1 : tokens;
}
