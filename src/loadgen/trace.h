/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h - a recorded load: a CSV file with a header and, for each request, when it came, how many
 * tokens it read and how many it wrote. Read twice, a line at a time: once to check all of it
 * before anything is sent, once to replay it. One owner. */
#ifndef WEIR_LOADGEN_TRACE_H
#define WEIR_LOADGEN_TRACE_H

#include <stdio.h>

#include "base/err.h"
#include "base/str.h"

enum {
    WEIR_LOAD_TRACE_LINE_MAX = 4096,
    WEIR_LOAD_TRACE_COLUMNS_MAX = 64,
    WEIR_LOAD_TRACE_TOKENS_MAX = 1000000,
    WEIR_LOAD_TRACE_ERROR_BYTES = 320,
};

struct weir_load_row {
    uint64_t at_ns; /* since the trace's first row; as a line has it: since 1970, or any moment */
    uint32_t input_tokens, output_tokens;
};

/* Where the columns TIMESTAMP, ContextTokens and GeneratedTokens stand; others are passed over. */
struct weir_load_columns {
    uint32_t columns, at, input, output;
};

/* ---- lines, without their ends. Pure. False: `error` says what was expected. ---- */

bool weir_load_trace_header(struct weir_str line, struct weir_load_columns *ret_columns,
                            char error[static WEIR_LOAD_TRACE_ERROR_BYTES]);
/* A time is "2023-11-16 18:15:46.6805900", also with T, Z or +00:00, or seconds as "17.25". */
bool weir_load_trace_line(const struct weir_load_columns *columns, struct weir_str line,
                          struct weir_load_row *ret_row,
                          char error[static WEIR_LOAD_TRACE_ERROR_BYTES]);

/* ---- files ---- */

struct weir_load_trace {
    uint64_t rows;      /* that become due */
    uint64_t span_ns;   /* from the first row to the last of them */
    uint32_t input_max; /* of any of them */
    uint32_t output_max;
    const char *_path;
    FILE *_file;
    struct weir_load_columns _columns;
    uint64_t _line, _first_ns, _last_ns;
    bool _begun;
};

/* Checks the whole file and goes back to its first row. Rows that come later than within_ns after
 * the first one are checked, but not counted in. False: `error` names the file and the line. Close
 * in either case. */
WEIR_MUSTCHECK bool weir_load_trace_open(struct weir_load_trace *t, const char *path,
                                         uint64_t within_ns,
                                         char error[static WEIR_LOAD_TRACE_ERROR_BYTES]);
/* The next row. WEIR_ERR_NOT_FOUND: there is none; WEIR_ERR_INVALID: the file has changed. */
WEIR_MUSTCHECK enum weir_err weir_load_trace_next(struct weir_load_trace *t,
                                                  struct weir_load_row *ret_row);
void weir_load_trace_close(struct weir_load_trace *t);

#endif
