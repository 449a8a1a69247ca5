/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h - a whole workload trace in memory, of lines as trace_row.h has them, which end in LF or
 * CRLF. Any thread. */
#ifndef WEIR_BASE_TRACE_H
#define WEIR_BASE_TRACE_H

#include "base/trace_row.h"

enum {
    WEIR_TRACE_ROWS_MAX = 1 << 26,
    WEIR_TRACE_TOKENS_MAX = 100000000,
};

/* Of the text. */
#define WEIR_TRACE_BYTES_MAX (UINT64_C(1) << 32)

struct weir_trace {
    size_t rows; /* at least one */
    /* Ascending by at_ns, which is since the first row here, whatever the file's order. */
    struct weir_trace_row *row;
};

struct weir_trace_error {
    size_t line; /* from 1; 0: the file as a whole */
    char text[WEIR_TRACE_ERROR_BYTES];
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
