/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens/tokens.h"

enum {
    ASCII_PER_TOKEN = 4,
    /* of other scripts: two tokens to three code points */
    OTHER_TOKENS = 2,
    OTHER_POINTS = 3,
};

uint64_t weir_tokens_estimate(struct weir_str text)
{
    uint64_t ascii = 0, points = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];
        ascii += c < 0x80;
        points += c >= 0xc0; /* the first byte of each code point (RFC 3629) */
    }
    uint64_t tokens = (ascii + ASCII_PER_TOKEN - 1) / ASCII_PER_TOKEN +
                      (points * OTHER_TOKENS + OTHER_POINTS - 1) / OTHER_POINTS;
    return tokens == 0 && text.len > 0 ? 1 : tokens;
}
