/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h - a workload trace: when requests came and how many tokens each had, as CSV with a line
 * of names. The columns are found by their names, whatever their order and case; others are passed
 * over:
 *   TIMESTAMP or arrival_time            2023-11-16 18:15:46.6805900, with T, Z or +01:00 as well;
 *                                        or seconds from any moment on, as 12.5
 *   ContextTokens or input_tokens        whole numbers
 *   GeneratedTokens or output_tokens
 * Lines end in LF or CRLF. Fields in quotes are refused. Any thread. */
#ifndef WEIR_BASE_TRACE_H
#define WEIR_BASE_TRACE_H

#include "base/str.h"

enum {
    WEIR_TRACE_ROWS_MAX = 1 << 26,
    WEIR_TRACE_COLUMNS_MAX = 64,
    WEIR_TRACE_TOKENS_MAX = 100000000,
};

/* Of the text. */
#define WEIR_TRACE_BYTES_MAX (UINT64_C(1) << 32)

struct weir_trace_row {
    uint64_t at_us; /* since the first row; fractions of it are cut off */
    uint32_t input_tokens, output_tokens;
};

struct weir_trace {
    size_t rows;                /* at least one */
    struct weir_trace_row *row; /* ascending by at_us, whatever the file's order */
};

struct weir_trace_error {
    size_t line; /* from 1; 0: the file as a whole */
    char text[128];
};

/* WEIR_ERR_INVALID, WEIR_ERR_NOMEM: *ret_error says why, and there is nothing to free. */
WEIR_MUSTCHECK enum weir_err weir_trace_parse(struct weir_str text, struct weir_trace *ret_trace,
                                              struct weir_trace_error *ret_error);
/* The same of a file; WEIR_ERR_IO as well. */
WEIR_MUSTCHECK enum weir_err weir_trace_load(const char *path, struct weir_trace *ret_trace,
                                             struct weir_trace_error *ret_error);
/* Zeroed is allowed. */
void weir_trace_deinit(struct weir_trace *trace);

#endif
