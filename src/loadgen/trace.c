/* SPDX-License-Identifier: Apache-2.0 */
#include "loadgen/trace.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>

static bool WEIR_PRINTF(2, 3) wrong(char *error, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(error, WEIR_LOAD_TRACE_ERROR_BYTES, fmt, args);
    va_end(args);
    return false;
}

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
static bool next_row(struct weir_load_trace *t, struct weir_trace_row *ret_row, char *error)
{
    char text[WEIR_LOAD_TRACE_LINE_MAX];
    struct weir_str line;
    struct weir_trace_row row;
    if (!next_line(t, text, &line, error) ||
        !weir_trace_read(&t->_columns, line, WEIR_LOAD_TRACE_TOKENS_MAX, &row, error)) {
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
    return weir_trace_names(line, &t->_columns, error);
}

static bool scan(struct weir_load_trace *t, uint64_t within_ns, char *error)
{
    struct weir_trace_row row;
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
    *t = (struct weir_load_trace){._file = fopen(path, "re")};
    if (t->_file == NULL || fstat(fileno(t->_file), &stat) != 0) {
        return wrong(error, "cannot read %.160s: %s", path, strerror(errno));
    }
    if (!S_ISREG(stat.st_mode)) { /* it is read twice */
        return wrong(error, "cannot read %.160s: expected a regular file", path);
    }
    return scan(t, within_ns, why) ||
           wrong(error, "%.100s:%llu: %.200s", path, (unsigned long long)t->_line, why);
}

enum weir_err weir_load_trace_next(struct weir_load_trace *t, struct weir_trace_row *ret_row)
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
