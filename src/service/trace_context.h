/* SPDX-License-Identifier: Apache-2.0 */
/* trace_context.h - the trace that a request says it belongs to (W3C Trace Context). Pure. */
#ifndef WEIR_SERVICE_TRACE_CONTEXT_H
#define WEIR_SERVICE_TRACE_CONTEXT_H

#include "base/err.h"
#include "base/str.h"

enum { WEIR_TRACE_ID_BYTES = 16, WEIR_PARENT_ID_BYTES = 8 };

struct weir_trace_context {
    uint8_t trace_id[WEIR_TRACE_ID_BYTES];
    uint8_t parent_id[WEIR_PARENT_ID_BYTES];
};

/* A traceparent of version 00, to the letter: lower-case hex, neither id all zero, nothing before
 * or behind. WEIR_ERR_INVALID otherwise. */
WEIR_MUSTCHECK enum weir_err weir_trace_context_read(struct weir_str traceparent,
                                                     struct weir_trace_context *ret);

#endif
