/* SPDX-License-Identifier: Apache-2.0 */
#include "loadgen/trace.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>

enum {
    YEAR_MIN = 1970,
    YEAR_MAX = 2500, /* nanoseconds since 1970 fit */
    FRACTION_DIGITS = 9,
};

static const uint64_t seconds_max = 10000000000; /* of a plain number */

static bool WEIR_PRINTF(2, 3) wrong(char *error, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(error, WEIR_LOAD_TRACE_ERROR_BYTES, fmt, args);
    va_end(args);
    return false;
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

/* ".6805900": 1 to 9 digits; nothing there: 0. */
static bool take_fraction(struct weir_str *s, uint64_t *ret_ns)
{
    uint64_t ns = 0;
    size_t digits = 0;
    if (take_char(s, ".")) {
        while (digits < s->len && s->p[digits] >= '0' && s->p[digits] <= '9') {
            digits++;
        }
        if (digits > FRACTION_DIGITS || !take_digits(s, digits, UINT32_MAX, &ns)) {
            return false;
        }
    }
    for (; digits < FRACTION_DIGITS; digits++) {
        ns *= 10;
    }
    *ret_ns = ns;
    return true;
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
        !take_digits(&s, 2, 59, &second) || !take_fraction(&s, &ns) || !take_zone(&s, &ahead_s) ||
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

/* ---- lines ---- */

/* Takes the field up to the next comma off *rest; p NULL: there is none any more. */
static struct weir_str take_field(struct weir_str *rest)
{
    struct weir_str field = *rest;
    const char *comma = rest->len == 0 ? NULL : memchr(rest->p, ',', rest->len);
    if (comma == NULL) {
        *rest = weir_str(NULL, 0);
        return field;
    }
    field.len = (size_t)(comma - field.p);
    *rest = weir_str(comma + 1, rest->len - field.len - 1);
    return field;
}

bool weir_load_trace_header(struct weir_str line, struct weir_load_columns *ret_columns,
                            char error[static WEIR_LOAD_TRACE_ERROR_BYTES])
{
    static const char *const names[] = {"TIMESTAMP", "ContextTokens", "GeneratedTokens"};
    uint32_t place[3] = {UINT32_MAX, UINT32_MAX, UINT32_MAX}, columns = 0;
    struct weir_str rest = line.len == 0 ? WEIR_STR("") : line;
    while (rest.p != NULL) {
        struct weir_str field = take_field(&rest);
        if (columns == WEIR_LOAD_TRACE_COLUMNS_MAX) {
            return wrong(error, "expected at most %d columns", WEIR_LOAD_TRACE_COLUMNS_MAX);
        }
        for (unsigned i = 0; i < 3; i++) {
            if (!weir_str_eq(field, weir_str_z(names[i]))) {
                continue;
            }
            if (place[i] != UINT32_MAX) {
                return wrong(error, "expected the column %s once", names[i]);
            }
            place[i] = columns;
        }
        columns++;
    }
    for (unsigned i = 0; i < 3; i++) {
        if (place[i] == UINT32_MAX) {
            return wrong(error,
                         "expected a header with the columns TIMESTAMP, ContextTokens and "
                         "GeneratedTokens; %s is missing",
                         names[i]);
        }
    }
    *ret_columns = (struct weir_load_columns){columns, place[0], place[1], place[2]};
    return true;
}

static bool read_tokens(struct weir_str field, const char *name, uint32_t *ret, char *error)
{
    uint64_t value;
    if (weir_str_u64(field, WEIR_LOAD_TRACE_TOKENS_MAX, &value) != WEIR_OK) {
        return wrong(error, "%s: expected a whole number from 0 to %d, got \"%.*s\"", name,
                     WEIR_LOAD_TRACE_TOKENS_MAX, (int)(field.len < 40 ? field.len : 40), field.p);
    }
    *ret = (uint32_t)value;
    return true;
}

bool weir_load_trace_line(const struct weir_load_columns *columns, struct weir_str line,
                          struct weir_load_row *ret_row,
                          char error[static WEIR_LOAD_TRACE_ERROR_BYTES])
{
    struct weir_str at = {0}, input = {0}, output = {0};
    struct weir_str rest = line.len == 0 ? WEIR_STR("") : line;
    struct weir_load_row row;
    uint32_t count = 0;
    for (; rest.p != NULL; count++) {
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
                     (int)(at.len < 40 ? at.len : 40), at.p);
    }
    if (!read_tokens(input, "ContextTokens", &row.input_tokens, error) ||
        !read_tokens(output, "GeneratedTokens", &row.output_tokens, error)) {
        return false;
    }
    *ret_row = row;
    return true;
}

/* ---- files ---- */

/* The next line without its end; *ret_line points into `text`. False: the end (error empty), or
 * wrong. */
static bool next_line(struct weir_load_trace *t, char text[static WEIR_LOAD_TRACE_LINE_MAX],
                      struct weir_str *ret_line, char *error)
{
    size_t len = 0;
    int c;
    error[0] = '\0';
    while ((c = getc_unlocked(t->_file)) != EOF && c != '\n') {
        if (len == WEIR_LOAD_TRACE_LINE_MAX || c == '\0') {
            t->_line++;
            return wrong(error, c == '\0' ? "expected text, got a NUL"
                                          : "expected at most 4096 bytes in a line");
        }
        text[len++] = (char)c;
    }
    if (c == EOF && (len == 0 || ferror(t->_file))) {
        return ferror(t->_file) ? wrong(error, "%s", strerror(errno)) : false;
    }
    t->_line++;
    if (len > 0 && text[len - 1] == '\r') {
        len--;
    }
    *ret_line = weir_str(text, len);
    return true;
}

/* The next row; at_ns is told from the first row on. False: the end (error empty), or wrong. */
static bool next_row(struct weir_load_trace *t, struct weir_load_row *ret_row, char *error)
{
    char text[WEIR_LOAD_TRACE_LINE_MAX];
    struct weir_str line;
    struct weir_load_row row;
    if (!next_line(t, text, &line, error) ||
        !weir_load_trace_line(&t->_columns, line, &row, error)) {
        return false;
    }
    if (!t->_begun) {
        t->_begun = true;
        t->_first_ns = t->_last_ns = row.at_ns;
    }
    if (row.at_ns < t->_last_ns) {
        return wrong(error, "TIMESTAMP: expected a time that is not before the one above");
    }
    t->_last_ns = row.at_ns;
    row.at_ns -= t->_first_ns;
    *ret_row = row;
    return true;
}

static bool read_header(struct weir_load_trace *t, char *error)
{
    char text[WEIR_LOAD_TRACE_LINE_MAX];
    struct weir_str line;
    rewind(t->_file);
    t->_line = 0;
    t->_begun = false;
    if (!next_line(t, text, &line, error)) {
        t->_line = 1;
        return error[0] == '\0' ? wrong(error, "expected a header, got an empty file") : false;
    }
    return weir_load_trace_header(line, &t->_columns, error);
}

static bool scan(struct weir_load_trace *t, uint64_t within_ns, char *error)
{
    struct weir_load_row row;
    if (!read_header(t, error)) {
        return false;
    }
    while (next_row(t, &row, error)) {
        if (row.at_ns <= within_ns) {
            t->rows++;
            t->span_ns = row.at_ns;
            t->input_max = row.input_tokens > t->input_max ? row.input_tokens : t->input_max;
            t->output_max = row.output_tokens > t->output_max ? row.output_tokens : t->output_max;
        }
    }
    if (error[0] == '\0' && t->rows == 0) {
        return wrong(error, "expected at least one row behind the header");
    }
    return error[0] == '\0' && read_header(t, error);
}

bool weir_load_trace_open(struct weir_load_trace *t, const char *path, uint64_t within_ns,
                          char error[static WEIR_LOAD_TRACE_ERROR_BYTES])
{
    char why[WEIR_LOAD_TRACE_ERROR_BYTES];
    struct stat stat;
    *t = (struct weir_load_trace){._path = path, ._file = fopen(path, "re")};
    if (t->_file == NULL || fstat(fileno(t->_file), &stat) != 0) {
        return wrong(error, "cannot read %.160s: %s", path, strerror(errno));
    }
    if (!S_ISREG(stat.st_mode)) { /* it is read twice */
        return wrong(error, "cannot read %.160s: expected a regular file", path);
    }
    return scan(t, within_ns, why) ||
           wrong(error, "%.100s:%llu: %.200s", path, (unsigned long long)t->_line, why);
}

enum weir_err weir_load_trace_next(struct weir_load_trace *t, struct weir_load_row *ret_row)
{
    char error[WEIR_LOAD_TRACE_ERROR_BYTES];
    if (next_row(t, ret_row, error)) {
        bool as_checked =
            ret_row->input_tokens <= t->input_max && ret_row->output_tokens <= t->output_max;
        return as_checked ? WEIR_OK : WEIR_ERR_INVALID;
    }
    return error[0] == '\0' ? WEIR_ERR_NOT_FOUND : WEIR_ERR_INVALID;
}

void weir_load_trace_close(struct weir_load_trace *t)
{
    if (t->_file != NULL) {
        fclose(t->_file);
        t->_file = NULL;
    }
}
