/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that claim to be a traceparent: what is taken, written again, is the same text but for its
 * flags, and neither id is zero. Seeds: fuzz_trace_context/. */
#include <stdio.h>
#include <stdlib.h>

#include "service/trace_context.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t write_hex(char *to, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        snprintf(to + 2 * i, 3, "%02x", bytes[i]);
    }
    return 2 * len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t zero[WEIR_TRACE_ID_BYTES];
    struct weir_trace_context c;
    char text[56] = "00-";
    size_t at = 3;
    if (weir_trace_context_read(weir_str((const char *)data, size), &c) != WEIR_OK) {
        return 0;
    }
    at += write_hex(text + at, c.trace_id, sizeof(c.trace_id));
    text[at++] = '-';
    at += write_hex(text + at, c.parent_id, sizeof(c.parent_id));
    text[at++] = '-';
    if (size != at + 2 || memcmp(text, data, at) != 0 ||
        memcmp(c.trace_id, zero, sizeof(c.trace_id)) == 0 ||
        memcmp(c.parent_id, zero, sizeof(c.parent_id)) == 0) {
        abort();
    }
    return 0;
}
