/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <stdlib.h>

bool weir_bytes_eq_nocase(const char *p, const char *lower, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned c = (unsigned char)p[i];
        unsigned is_upper = c - 'A' < 26;
        if ((c | is_upper << 5) != (unsigned char)lower[i]) { /* 'a' is 'A' and 32 */
            return false;
        }
    }
    return true;
}

struct weir_str weir_str_trim(struct weir_str s)
{
    while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.len--;
    }
    while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

enum weir_err weir_str_u64(struct weir_str s, uint64_t max, uint64_t *ret_value)
{
    if (s.len == 0) {
        return WEIR_ERR_INVALID;
    }
    uint64_t value = 0;
    bool over = false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return WEIR_ERR_INVALID;
        }
        over = over || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
               __builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value);
    }
    if (over || value > max) {
        return WEIR_ERR_LIMIT;
    }
    *ret_value = value;
    return WEIR_OK;
}

/* Digits with at most one point: strtod alone would take "nan", "0x1p3" and "1e9" too. */
bool weir_decimal(const char *text, double *ret)
{
    size_t digits = 0, points = 0;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c >= '0' && *c <= '9') {
            digits++;
        } else if (*c == '.') {
            points++;
        } else {
            return false;
        }
    }
    if (digits == 0 || points > 1) {
        return false;
    }
    *ret = strtod(text, NULL);
    return true;
}
