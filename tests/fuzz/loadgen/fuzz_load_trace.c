/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of recorded loads: the first one is the header. What is taken is in bounds, what is refused
 * says why. Seeds: fuzz_load_trace/. */
#include <stdlib.h>

#include "loadgen/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_str rest = weir_str((const char *)data, size);
    struct weir_load_columns columns;
    char error[WEIR_LOAD_TRACE_ERROR_BYTES] = "";
    for (bool head = true; rest.len > 0; head = false) {
        const char *end = memchr(rest.p, '\n', rest.len);
        struct weir_str line = weir_str(rest.p, end == NULL ? rest.len : (size_t)(end - rest.p));
        size_t used = line.len + (end != NULL);
        struct weir_load_row row;
        error[0] = '\0';
        if (head && !weir_load_trace_header(line, &columns, error)) {
            check(error[0] != '\0');
            return 0;
        }
        if (head) {
            check(columns.columns <= WEIR_LOAD_TRACE_COLUMNS_MAX && columns.at < columns.columns &&
                  columns.input < columns.columns && columns.output < columns.columns);
        } else if (weir_load_trace_line(&columns, line, &row, error)) {
            check(row.input_tokens <= WEIR_LOAD_TRACE_TOKENS_MAX &&
                  row.output_tokens <= WEIR_LOAD_TRACE_TOKENS_MAX &&
                  row.at_ns <= UINT64_C(17000000000) * 1000000000);
        } else {
            check(error[0] != '\0');
        }
        rest = weir_str(rest.p + used, rest.len - used);
    }
    return 0;
}
