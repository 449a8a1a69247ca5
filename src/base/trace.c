/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trace.h"

#include <errno.h>

#include "base/buf.h"
#include "base/mem.h"

enum column { TIME, INPUT, OUTPUT, COLUMNS };

enum {
    FRACTION_DIGITS = 6, /* of a second, that are kept */
    DAY_S = 86400,
    HOUR_S = 3600,
    MINUTE_S = 60,
    ROWS_AT_FIRST = 1024,
};

static const uint64_t SECONDS_MAX = UINT64_C(1) << 40;

struct reading {
    struct weir_trace trace;
    size_t room; /* rows that there is memory for */
    size_t line; /* from 1: the one that is read */
    unsigned columns;
    unsigned place[COLUMNS]; /* of a column in a line */
    struct weir_trace_error *error;
};

static enum weir_err refuse(struct reading *g, const char *why)
{
    g->error->line = g->line;
    snprintf(g->error->text, sizeof(g->error->text), "%s", why);
    return WEIR_ERR_INVALID;
}

static enum weir_err no_memory(struct weir_trace_error *error)
{
    *error = (struct weir_trace_error){.text = "out of memory"};
    return WEIR_ERR_NOMEM;
}

/* ---- moments ---- */

/* `digits` digits off the front. */
static bool take_digits(struct weir_str *s, unsigned digits, unsigned *ret_value)
{
    uint64_t value;
    if (s->len < digits || weir_str_u64(weir_str(s->p, digits), UINT32_MAX, &value) != WEIR_OK) {
        return false;
    }
    *s = weir_str(s->p + digits, s->len - digits);
    *ret_value = (unsigned)value;
    return true;
}

static bool take_char(struct weir_str *s, char c)
{
    if (s->len == 0 || s->p[0] != c) {
        return false;
    }
    *s = weir_str(s->p + 1, s->len - 1);
    return true;
}

/* Digits behind a point as microseconds; nothing where there is none. */
static bool take_fraction(struct weir_str *s, uint64_t *ret_us)
{
    uint64_t us = 0;
    unsigned digits = 0;
    if (!take_char(s, '.')) {
        *ret_us = 0;
        return true;
    }
    for (; s->len > 0 && s->p[0] >= '0' && s->p[0] <= '9'; digits++) {
        us = digits < FRACTION_DIGITS ? us * 10 + (uint64_t)(s->p[0] - '0') : us;
        *s = weir_str(s->p + 1, s->len - 1);
    }
    for (unsigned i = digits; i < FRACTION_DIGITS; i++) {
        us *= 10;
    }
    *ret_us = us;
    return digits > 0;
}

static bool read_seconds(struct weir_str s, uint64_t *ret_us)
{
    const char *point = memchr(s.p, '.', s.len);
    size_t whole = point == NULL ? s.len : (size_t)(point - s.p);
    uint64_t seconds, us;
    if (weir_str_u64(weir_str(s.p, whole), SECONDS_MAX, &seconds) != WEIR_OK) {
        return false;
    }
    s = weir_str(s.p + whole, s.len - whole);
    if (!take_fraction(&s, &us) || s.len > 0) {
        return false;
    }
    *ret_us = seconds * 1000000 + us;
    return true;
}

/* Days from 0000-03-01 on, by the Gregorian calendar: a year that begins in March ends with the day
 * that may be missing. */
static uint64_t day_of(unsigned year, unsigned month, unsigned day)
{
    uint64_t y = month > 2 ? year : year - 1;
    uint64_t m = month > 2 ? month - 3 : month + 9;
    return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1;
}

/* "Z", "+01:00" or nothing: what to take off to get UTC, plus a day so that it is never below 0. */
static bool take_zone(struct weir_str *s, unsigned *ret_seconds)
{
    unsigned hours, minutes;
    *ret_seconds = DAY_S;
    if (s->len == 0 || take_char(s, 'Z')) {
        return s->len == 0;
    }
    bool east = take_char(s, '+');
    if ((!east && !take_char(s, '-')) || !take_digits(s, 2, &hours) || !take_char(s, ':') ||
        !take_digits(s, 2, &minutes) || hours > 23 || minutes > 59 || s->len > 0) {
        return false;
    }
    unsigned offset = hours * HOUR_S + minutes * MINUTE_S;
    *ret_seconds = east ? DAY_S + offset : DAY_S - offset;
    return true;
}

static bool read_date(struct weir_str s, uint64_t *ret_us)
{
    unsigned year, month, day, hour, minute, second, zone;
    uint64_t us;
    if (!take_digits(&s, 4, &year) || !take_char(&s, '-') || !take_digits(&s, 2, &month) ||
        !take_char(&s, '-') || !take_digits(&s, 2, &day) ||
        (!take_char(&s, ' ') && !take_char(&s, 'T')) || !take_digits(&s, 2, &hour) ||
        !take_char(&s, ':') || !take_digits(&s, 2, &minute) || !take_char(&s, ':') ||
        !take_digits(&s, 2, &second) || !take_fraction(&s, &us) || !take_zone(&s, &zone)) {
        return false;
    }
    if (year == 0 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
        second > 60) {
        return false;
    }
    uint64_t seconds =
        day_of(year, month, day) * DAY_S + hour * HOUR_S + minute * MINUTE_S + second;
    *ret_us = (seconds + 2 * DAY_S - zone) * 1000000 + us;
    return true;
}

/* ---- lines ---- */

static struct weir_str take_line(struct weir_str *rest)
{
    const char *end = memchr(rest->p, '\n', rest->len);
    struct weir_str line = weir_str(rest->p, end == NULL ? rest->len : (size_t)(end - rest->p));
    size_t used = line.len + (end != NULL);
    *rest = weir_str(rest->p + used, rest->len - used);
    if (line.len > 0 && line.p[line.len - 1] == '\r') {
        line.len--;
    }
    return line;
}

/* The fields of a line. How many, or WEIR_TRACE_COLUMNS_MAX + 1: more than that. */
static unsigned split(struct weir_str line, struct weir_str field[static WEIR_TRACE_COLUMNS_MAX])
{
    unsigned n = 0;
    for (;; n++) {
        const char *comma = memchr(line.p, ',', line.len);
        size_t len = comma == NULL ? line.len : (size_t)(comma - line.p);
        if (n == WEIR_TRACE_COLUMNS_MAX) {
            return n + 1;
        }
        field[n] = weir_str_trim(weir_str(line.p, len));
        if (comma == NULL) {
            return n + 1;
        }
        line = weir_str(comma + 1, line.len - len - 1);
    }
}

static enum weir_err read_names(struct reading *g, struct weir_str line)
{
    static const struct weir_str names[COLUMNS][2] = {
        [TIME] = {{"timestamp", 9}, {"arrival_time", 12}},
        [INPUT] = {{"contexttokens", 13}, {"input_tokens", 12}},
        [OUTPUT] = {{"generatedtokens", 15}, {"output_tokens", 13}},
    };
    struct weir_str field[WEIR_TRACE_COLUMNS_MAX];
    unsigned found[COLUMNS] = {0};
    g->columns = split(line, field);
    if (g->columns > WEIR_TRACE_COLUMNS_MAX) {
        return refuse(g, "expected at most 64 columns");
    }
    for (unsigned i = 0; i < g->columns; i++) {
        for (unsigned c = 0; c < COLUMNS; c++) {
            if (weir_str_eq_nocase(field[i], names[c][0]) ||
                weir_str_eq_nocase(field[i], names[c][1])) {
                g->place[c] = i;
                found[c]++;
            }
        }
    }
    if (found[TIME] != 1 || found[INPUT] != 1 || found[OUTPUT] != 1) {
        return refuse(g, "expected the columns TIMESTAMP, ContextTokens and GeneratedTokens, each "
                         "once");
    }
    return WEIR_OK;
}

static enum weir_err make_room(struct reading *g)
{
    if (g->trace.rows < g->room) {
        return WEIR_OK;
    }
    if (g->trace.rows == WEIR_TRACE_ROWS_MAX) {
        return refuse(g, "expected at most 67108864 rows");
    }
    size_t room = g->room == 0 ? ROWS_AT_FIRST : g->room * 2;
    struct weir_trace_row *row = weir_realloc(g->trace.row, room * sizeof(*row));
    if (row == NULL) {
        return no_memory(g->error);
    }
    g->trace.row = row;
    g->room = room;
    return WEIR_OK;
}

static enum weir_err read_row(struct reading *g, struct weir_str line)
{
    struct weir_str field[WEIR_TRACE_COLUMNS_MAX];
    uint64_t at_us, input, output;
    if (memchr(line.p, '"', line.len) != NULL) {
        return refuse(g, "expected fields without quotes");
    }
    if (split(line, field) != g->columns) {
        return refuse(g, "expected as many fields as there are columns");
    }
    struct weir_str at = field[g->place[TIME]];
    if (!read_seconds(at, &at_us) && !read_date(at, &at_us)) {
        return refuse(g, "expected a time such as 2023-11-16 18:15:46.68, or seconds");
    }
    if (weir_str_u64(field[g->place[INPUT]], WEIR_TRACE_TOKENS_MAX, &input) != WEIR_OK ||
        weir_str_u64(field[g->place[OUTPUT]], WEIR_TRACE_TOKENS_MAX, &output) != WEIR_OK) {
        return refuse(g, "expected whole numbers of tokens, at most 100000000");
    }
    WEIR_TRY(make_room(g));
    g->trace.row[g->trace.rows++] =
        (struct weir_trace_row){at_us, (uint32_t)input, (uint32_t)output};
    return WEIR_OK;
}

static enum weir_err read_lines(struct reading *g, struct weir_str rest)
{
    for (g->line = 1; rest.len > 0; g->line++) {
        struct weir_str line = take_line(&rest);
        if (g->line == 1) {
            WEIR_TRY(read_names(g, line));
        } else if (line.len > 0) {
            WEIR_TRY(read_row(g, line));
        }
    }
    g->line = 0;
    return g->trace.rows == 0 ? refuse(g, "expected a line of names and at least one row")
                              : WEIR_OK;
}

/* ---- the whole ---- */

static int three_way(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Of one moment in an order that the file's does not change. */
static int by_time(const void *a, const void *b)
{
    const struct weir_trace_row *x = a, *y = b;
    int order = three_way(x->at_us, y->at_us);
    order = order != 0 ? order : three_way(x->input_tokens, y->input_tokens);
    return order != 0 ? order : three_way(x->output_tokens, y->output_tokens);
}

static void bring_in_order(struct weir_trace *trace)
{
    size_t i = 1;
    while (i < trace->rows && trace->row[i - 1].at_us <= trace->row[i].at_us) {
        i++;
    }
    if (i < trace->rows) {
        qsort(trace->row, trace->rows, sizeof(trace->row[0]), by_time);
    }
    uint64_t first_us = trace->row[0].at_us;
    for (i = 0; i < trace->rows; i++) {
        trace->row[i].at_us -= first_us;
    }
}

enum weir_err weir_trace_parse(struct weir_str text, struct weir_trace *ret_trace,
                               struct weir_trace_error *ret_error)
{
    struct reading g = {.error = ret_error};
    *ret_error = (struct weir_trace_error){0};
    enum weir_err err = read_lines(&g, text);
    if (err != WEIR_OK) {
        weir_free(g.trace.row);
        return err;
    }
    bring_in_order(&g.trace);
    *ret_trace = g.trace;
    return WEIR_OK;
}

static enum weir_err cannot_read(struct weir_trace_error *error)
{
    *error = (struct weir_trace_error){0};
    snprintf(error->text, sizeof(error->text), "cannot read it: %s", strerror(errno));
    return WEIR_ERR_IO;
}

enum weir_err weir_trace_load(const char *path, struct weir_trace *ret_trace,
                              struct weir_trace_error *ret_error)
{
    enum { PIECE_BYTES = 1 << 16 };
    struct weir_buf text;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return cannot_read(ret_error);
    }
    weir_buf_init(&text, WEIR_TRACE_BYTES_MAX);
    while (weir_buf_reserve(&text, PIECE_BYTES)) {
        size_t got = fread(text.data + text.len, 1, PIECE_BYTES, file);
        text.len += got;
        if (got == 0) {
            break;
        }
    }
    enum weir_err err = ferror(file) != 0 ? cannot_read(ret_error)
                        : text.failed     ? no_memory(ret_error)
                                          : WEIR_OK;
    fclose(file);
    err = err == WEIR_OK ? weir_trace_parse(weir_buf_view(&text), ret_trace, ret_error) : err;
    weir_buf_deinit(&text);
    return err;
}

void weir_trace_deinit(struct weir_trace *trace)
{
    weir_free(trace->row);
    *trace = (struct weir_trace){0};
}
