/* SPDX-License-Identifier: Apache-2.0 */
/* trace_row.h - the lines of a workload trace: when a request came, how many tokens it read and how
 * many it wrote, as CSV below a line of names. Columns are found by their names, whatever their
 * order and case; others are passed over:
 *   TIMESTAMP or arrival_time            2023-11-16 18:15:46.6805900, with T, Z or +01:00 as well;
 *                                        or seconds from any moment on, as 12.5
 *   ContextTokens or input_tokens        whole numbers
 *   GeneratedTokens or output_tokens
 * Blanks around a field are no part of it; quotes mean nothing. Pure; any thread. */
#ifndef WEIR_BASE_TRACE_ROW_H
#define WEIR_BASE_TRACE_ROW_H

#include "base/str.h"

enum {
    WEIR_TRACE_COLUMNS_MAX = 64,
    WEIR_TRACE_ERROR_BYTES = 200,
};

struct weir_trace_row {
    uint64_t at_ns; /* as a line has it: since 1970, or since any moment */
    uint32_t input_tokens, output_tokens;
};

/* How many columns there are, and where those that count stand. */
struct weir_trace_columns {
    uint32_t columns, at, input, output;
};

/* Both take a line without its end. False: `error` says what was expected. */

WEIR_MUSTCHECK bool weir_trace_names(struct weir_str line, struct weir_trace_columns *ret_columns,
                                     char error[static WEIR_TRACE_ERROR_BYTES]);
/* Of tokens, more than tokens_max are refused. */
WEIR_MUSTCHECK bool weir_trace_read(const struct weir_trace_columns *columns, struct weir_str line,
                                    uint32_t tokens_max, struct weir_trace_row *ret_row,
                                    char error[static WEIR_TRACE_ERROR_BYTES]);

#endif
