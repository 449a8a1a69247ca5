/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that claim to be a trace: rows come out in order, from 0 on, within their bounds, or a
 * reason. Seeds: fuzz_base_trace/. */
#include <stdlib.h>

#include "base/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_trace trace;
    struct weir_trace_error error;
    if (weir_trace_parse(weir_str((const char *)data, size), &trace, &error) != WEIR_OK) {
        must(error.text[0] != '\0' && error.line <= size + 1);
        return 0;
    }
    must(trace.rows > 0 && trace.rows <= size && trace.row[0].at_ns == 0);
    for (size_t i = 0; i < trace.rows; i++) {
        must(trace.row[i].input_tokens <= WEIR_TRACE_TOKENS_MAX &&
             trace.row[i].output_tokens <= WEIR_TRACE_TOKENS_MAX);
        must(i == 0 || trace.row[i - 1].at_ns <= trace.row[i].at_ns);
    }
    weir_trace_deinit(&trace);
    return 0;
}
