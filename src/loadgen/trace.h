/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h - a recorded load, which lines as base/trace_row.h has them tell in the order of their
 * times. Read twice, a line at a time: once to check all of it before anything is sent, once to
 * replay it. One owner. */
#ifndef WEIR_LOADGEN_TRACE_H
#define WEIR_LOADGEN_TRACE_H

#include <stdio.h>

#include "base/trace_row.h"

enum {
    WEIR_LOAD_TRACE_LINE_MAX = 4096,
    WEIR_LOAD_TRACE_TOKENS_MAX = 1000000,
    WEIR_LOAD_TRACE_ERROR_BYTES = 320,
};

struct weir_load_trace {
    uint64_t rows;      /* that become due */
    uint64_t span_ns;   /* from the first row to the last of them */
    uint32_t input_max; /* of any of them */
    uint32_t output_max;
    FILE *_file;
    struct weir_trace_columns _columns;
    uint64_t _line, _first_ns, _last_ns;
    bool _begun;
};

/* Checks the whole file and goes back to its first row. Rows that come later than within_ns after
 * the first one are checked, but not counted in. False: `error` names the file and the line. Close
 * in either case. */
WEIR_MUSTCHECK bool weir_load_trace_open(struct weir_load_trace *t, const char *path,
                                         uint64_t within_ns,
                                         char error[static WEIR_LOAD_TRACE_ERROR_BYTES]);
/* The next row; its time is since the first one. WEIR_ERR_NOT_FOUND: there is none;
 * WEIR_ERR_INVALID: the file has changed. */
WEIR_MUSTCHECK enum weir_err weir_load_trace_next(struct weir_load_trace *t,
                                                  struct weir_trace_row *ret_row);
void weir_load_trace_close(struct weir_load_trace *t);

#endif
