/* SPDX-License-Identifier: Apache-2.0 */
/* rate.c - rates and amounts as the configuration writes them: "20k/min", "1.5M/day", "5/7s". */
#include "config/config.h"

/* Digits with at most one point: value * 10^-places. */
static bool take_decimal(struct weir_str *s, uint64_t *ret_value, unsigned *ret_places)
{
    uint64_t value = 0;
    unsigned places = 0, digits = 0;
    bool point = false;
    for (; s->len > 0; s->p++, s->len--) {
        char c = s->p[0];
        if (c == '.' && !point && digits > 0) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9') {
            break;
        }
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(c - '0'), &value)) {
            return false;
        }
        digits++;
        places += point;
    }
    *ret_value = value;
    *ret_places = places;
    return digits > 0 && (!point || places > 0);
}

static uint64_t take_suffix(struct weir_str *s)
{
    uint64_t factor = 1;
    if (s->len > 0) {
        switch (s->p[0]) {
        case 'k':
            factor = 1000;
            break;
        case 'M':
            factor = 1000000;
            break;
        case 'G':
            factor = 1000000000;
            break;
        default:
            return 1;
        }
        s->p++;
        s->len--;
    }
    return factor;
}

/* A whole number with an optional suffix, off the front of *s. */
static bool take_amount(struct weir_str *s, uint64_t *ret_amount)
{
    uint64_t value;
    unsigned places;
    if (!take_decimal(s, &value, &places) ||
        __builtin_mul_overflow(value, take_suffix(s), &value)) {
        return false;
    }
    for (; places > 0; places--) {
        if (value % 10 != 0) {
            return false; /* not a whole number */
        }
        value /= 10;
    }
    *ret_amount = value;
    return true;
}

bool weir_parse_amount(struct weir_str text, uint64_t *ret_amount)
{
    uint64_t amount;
    if (!take_amount(&text, &amount) || text.len != 0) {
        return false;
    }
    *ret_amount = amount;
    return true;
}

bool weir_parse_permille(struct weir_str text, uint64_t *ret_permille)
{
    enum { PLACES = 3 };
    uint64_t value;
    unsigned places;
    if (!take_decimal(&text, &value, &places) || text.len != 0 || places > PLACES) {
        return false;
    }
    for (; places < PLACES; places++) {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value)) {
            return false;
        }
    }
    *ret_permille = value;
    return true;
}

bool weir_parse_duration_s(struct weir_str text, uint64_t *ret_seconds)
{
    static const struct {
        struct weir_str name;
        uint64_t seconds;
    } units[] = {
        {WEIR_STR_INIT("s"), 1},
        {WEIR_STR_INIT("min"), 60},
        {WEIR_STR_INIT("h"), 3600},
        {WEIR_STR_INIT("day"), 86400},
    };
    uint64_t count = 1;
    unsigned places = 0;
    if (text.len > 0 && text.p[0] >= '0' && text.p[0] <= '9' &&
        (!take_decimal(&text, &count, &places) || places > 0)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (weir_str_eq(text, units[i].name)) {
            return !__builtin_mul_overflow(count, units[i].seconds, ret_seconds);
        }
    }
    return false;
}

enum weir_err weir_rate_parse(struct weir_str text, enum weir_meter meter,
                              struct weir_limit *ret_limit)
{
    uint64_t amount, seconds;
    if (!take_amount(&text, &amount) || text.len == 0 || text.p[0] != '/' ||
        !weir_parse_duration_s(weir_str(text.p + 1, text.len - 1), &seconds)) {
        return WEIR_ERR_INVALID;
    }
    if (amount > WEIR_AMOUNT_MAX || seconds < WEIR_WINDOW_S_MIN || seconds > WEIR_WINDOW_S_MAX) {
        return WEIR_ERR_LIMIT;
    }
    *ret_limit = (struct weir_limit){meter, (uint32_t)seconds, amount};
    return WEIR_OK;
}
