/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

static bool continues(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* The length of the sequence at p, 0 when it is not one. left > 0. */
static size_t sequence(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80) {
        return 1;
    }
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        return left >= 2 && continues(p[1]) ? 2 : 0;
    }
    if ((p[0] & 0xf0) == 0xe0) {
        unsigned char low = p[0] == 0xe0 ? 0xa0 : 0x80, high = p[0] == 0xed ? 0x9f : 0xbf;
        return left >= 3 && p[1] >= low && p[1] <= high && continues(p[2]) ? 3 : 0;
    }
    if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        unsigned char low = p[0] == 0xf0 ? 0x90 : 0x80, high = p[0] == 0xf4 ? 0x8f : 0xbf;
        return left >= 4 && p[1] >= low && p[1] <= high && continues(p[2]) && continues(p[3]) ? 4
                                                                                              : 0;
    }
    return 0;
}

bool weir_utf8_valid(struct weir_str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    for (size_t i = 0; i < s.len;) {
        uint64_t eight;
        if (s.len - i >= sizeof(eight)) {
            memcpy(&eight, p + i, sizeof(eight));
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof(eight);
                continue;
            }
        }
        size_t len = sequence(p + i, s.len - i);
        if (len == 0) {
            return false;
        }
        i += len;
    }
    return true;
}
