/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trace_row.h"

#include <stdarg.h>

enum {
    YEAR_MIN = 1970,
    YEAR_MAX = 2500,     /* nanoseconds since 1970 fit */
    FRACTION_DIGITS = 9, /* of a second, that are kept */
    SHOWN_MAX = 40,      /* bytes of a field that an error shows */
};

static const uint64_t seconds_max = 10000000000; /* of a plain number */

static bool WEIR_PRINTF(2, 3) wrong(char *error, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(error, WEIR_TRACE_ERROR_BYTES, fmt, args);
    va_end(args);
    return false;
}

static int shown(struct weir_str field)
{
    return field.len < SHOWN_MAX ? (int)field.len : SHOWN_MAX;
}

/* ---- times ---- */

/* Takes exactly `count` digits off *s. */
static bool take_digits(struct weir_str *s, size_t count, uint64_t max, uint64_t *ret)
{
    if (s->len < count || weir_str_u64(weir_str(s->p, count), max, ret) != WEIR_OK) {
        return false;
    }
    *s = weir_str(s->p + count, s->len - count);
    return true;
}

static bool take_char(struct weir_str *s, const char *any_of)
{
    if (s->len == 0 || s->p[0] == '\0' || strchr(any_of, s->p[0]) == NULL) {
        return false;
    }
    *s = weir_str(s->p + 1, s->len - 1);
    return true;
}

/* ".6805900": at least one digit; nothing there: 0. */
static bool take_fraction(struct weir_str *s, uint64_t *ret_ns)
{
    uint64_t ns = 0;
    size_t digits = 0;
    bool point = take_char(s, ".");
    for (; point && s->len > 0 && s->p[0] >= '0' && s->p[0] <= '9'; digits++) {
        ns = digits < FRACTION_DIGITS ? ns * 10 + (uint64_t)(s->p[0] - '0') : ns;
        *s = weir_str(s->p + 1, s->len - 1);
    }
    for (size_t i = digits; i < FRACTION_DIGITS; i++) {
        ns *= 10;
    }
    *ret_ns = ns;
    return !point || digits > 0;
}

static bool is_leap(uint64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days from 1970-01-01; false: there is no such day. */
static bool days_of(uint64_t year, uint64_t month, uint64_t day, uint64_t *ret_days)
{
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    if (year < YEAR_MIN || month == 0 || day == 0) {
        return false;
    }
    uint64_t leap_day = is_leap(year) && month == 2;
    if (day > (uint64_t)before[month] - before[month - 1] + leap_day) {
        return false;
    }
    uint64_t y = year - 1; /* whole years, as the leap days in them */
    uint64_t leaps = y / 4 - y / 100 + y / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    *ret_days = (year - YEAR_MIN) * 365 + leaps + before[month - 1] + (is_leap(year) && month > 2) +
                day - 1;
    return true;
}

/* What may stand behind a time: nothing, Z, or hours and minutes off UTC. */
static bool take_zone(struct weir_str *s, int64_t *ret_ahead_s)
{
    uint64_t hours, minutes;
    bool behind = s->len > 0 && s->p[0] == '-';
    *ret_ahead_s = 0;
    if (s->len == 0 || take_char(s, "Z")) {
        return s->len == 0;
    }
    if (!take_char(s, "+-") || !take_digits(s, 2, 23, &hours) || !take_char(s, ":") ||
        !take_digits(s, 2, 59, &minutes)) {
        return false;
    }
    int64_t ahead_s = (int64_t)(hours * 3600 + minutes * 60);
    *ret_ahead_s = behind ? -ahead_s : ahead_s;
    return s->len == 0;
}

static bool read_date(struct weir_str s, uint64_t *ret_ns)
{
    uint64_t year, month, day, hour, minute, second, ns, days;
    int64_t ahead_s;
    if (!take_digits(&s, 4, YEAR_MAX, &year) || !take_char(&s, "-") ||
        !take_digits(&s, 2, 12, &month) || !take_char(&s, "-") || !take_digits(&s, 2, 31, &day) ||
        !take_char(&s, " T") || !take_digits(&s, 2, 23, &hour) || !take_char(&s, ":") ||
        !take_digits(&s, 2, 59, &minute) || !take_char(&s, ":") ||
        !take_digits(&s, 2, 60, &second) || !take_fraction(&s, &ns) || !take_zone(&s, &ahead_s) ||
        !days_of(year, month, day, &days)) {
        return false;
    }
    int64_t at_s = (int64_t)(days * 86400 + hour * 3600 + minute * 60 + second) - ahead_s;
    if (at_s < 0) {
        return false;
    }
    *ret_ns = (uint64_t)at_s * 1000000000 + ns;
    return true;
}

static bool read_seconds(struct weir_str s, uint64_t *ret_ns)
{
    const char *point = s.len == 0 ? NULL : memchr(s.p, '.', s.len);
    size_t whole = point == NULL ? s.len : (size_t)(point - s.p);
    uint64_t seconds, ns;
    if (!take_digits(&s, whole, seconds_max, &seconds) || !take_fraction(&s, &ns) || s.len > 0) {
        return false;
    }
    *ret_ns = seconds * 1000000000 + ns;
    return true;
}

/* ---- fields ---- */

/* Takes the field up to the next comma off *rest; p NULL: that was the last one. */
static struct weir_str take_field(struct weir_str *rest)
{
    struct weir_str field = *rest;
    const char *comma = rest->len == 0 ? NULL : memchr(rest->p, ',', rest->len);
    if (comma == NULL) {
        *rest = weir_str(NULL, 0);
    } else {
        field.len = (size_t)(comma - field.p);
        *rest = weir_str(comma + 1, rest->len - field.len - 1);
    }
    return weir_str_trim(field);
}

/* An empty line has one field, too. */
static struct weir_str fields_of(struct weir_str line)
{
    return line.len == 0 ? WEIR_STR("") : line;
}

bool weir_trace_names(struct weir_str line, struct weir_trace_columns *ret_columns,
                      char error[static WEIR_TRACE_ERROR_BYTES])
{
    enum { AT, INPUT, OUTPUT, NAMES };
    static const struct {
        const char *shown;
        struct weir_str name, other; /* in lower case */
    } names[NAMES] = {
        [AT] = {"TIMESTAMP", WEIR_STR_INIT("timestamp"), WEIR_STR_INIT("arrival_time")},
        [INPUT] = {"ContextTokens", WEIR_STR_INIT("contexttokens"), WEIR_STR_INIT("input_tokens")},
        [OUTPUT] = {"GeneratedTokens", WEIR_STR_INIT("generatedtokens"),
                    WEIR_STR_INIT("output_tokens")},
    };
    uint32_t place[NAMES] = {UINT32_MAX, UINT32_MAX, UINT32_MAX}, columns = 0;
    for (struct weir_str rest = fields_of(line); rest.p != NULL; columns++) {
        struct weir_str field = take_field(&rest);
        if (columns == WEIR_TRACE_COLUMNS_MAX) {
            return wrong(error, "expected at most %d columns", WEIR_TRACE_COLUMNS_MAX);
        }
        for (unsigned i = 0; i < NAMES; i++) {
            if (!weir_str_eq_nocase(field, names[i].name) &&
                !weir_str_eq_nocase(field, names[i].other)) {
                continue;
            }
            if (place[i] != UINT32_MAX) {
                return wrong(error, "expected the column %s (or %s) once", names[i].shown,
                             names[i].other.p);
            }
            place[i] = columns;
        }
    }
    for (unsigned i = 0; i < NAMES; i++) {
        if (place[i] == UINT32_MAX) {
            return wrong(error,
                         "expected a header with the columns TIMESTAMP, ContextTokens and "
                         "GeneratedTokens; %s is missing",
                         names[i].shown);
        }
    }
    *ret_columns = (struct weir_trace_columns){columns, place[AT], place[INPUT], place[OUTPUT]};
    return true;
}

static bool read_tokens(struct weir_str field, const char *name, uint32_t max, uint32_t *ret,
                        char *error)
{
    uint64_t value;
    if (weir_str_u64(field, max, &value) != WEIR_OK) {
        return wrong(error, "%s: expected a whole number from 0 to %u, got \"%.*s\"", name, max,
                     shown(field), field.p);
    }
    *ret = (uint32_t)value;
    return true;
}

bool weir_trace_read(const struct weir_trace_columns *columns, struct weir_str line,
                     uint32_t tokens_max, struct weir_trace_row *ret_row,
                     char error[static WEIR_TRACE_ERROR_BYTES])
{
    struct weir_str at = {0}, input = {0}, output = {0};
    struct weir_trace_row row;
    uint32_t count = 0;
    for (struct weir_str rest = fields_of(line); rest.p != NULL; count++) {
        struct weir_str field = take_field(&rest);
        at = count == columns->at ? field : at;
        input = count == columns->input ? field : input;
        output = count == columns->output ? field : output;
    }
    if (count != columns->columns) {
        return wrong(error, "expected %u fields, as the header has, got %u", columns->columns,
                     count);
    }
    if (!read_date(at, &row.at_ns) && !read_seconds(at, &row.at_ns)) {
        return wrong(error,
                     "TIMESTAMP: expected a time as 2023-11-16 18:15:46.6805900, or seconds, got "
                     "\"%.*s\"",
                     shown(at), at.p);
    }
    if (!read_tokens(input, "ContextTokens", tokens_max, &row.input_tokens, error) ||
        !read_tokens(output, "GeneratedTokens", tokens_max, &row.output_tokens, error)) {
        return false;
    }
    *ret_row = row;
    return true;
}
