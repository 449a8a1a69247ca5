/* SPDX-License-Identifier: Apache-2.0 */
#include "service/trace_context.h"

/* "00-" trace id "-" parent id "-" flags */
enum {
    TRACE_AT = 3,
    PARENT_AT = TRACE_AT + 2 * WEIR_TRACE_ID_BYTES + 1,
    FLAGS_AT = PARENT_AT + 2 * WEIR_PARENT_ID_BYTES + 1,
    TRACEPARENT_LEN = FLAGS_AT + 2,
};

/* The digit's value; -1: none. */
static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *p, size_t bytes, uint8_t *ret_bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        int high = digit(p[2 * i]), low = digit(p[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        ret_bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++) {
        any |= bytes[i];
    }
    return any == 0;
}

enum weir_err weir_trace_context_read(struct weir_str traceparent, struct weir_trace_context *ret)
{
    struct weir_trace_context c;
    uint8_t flags;
    const char *p = traceparent.p;
    if (traceparent.len != TRACEPARENT_LEN || memcmp(p, "00-", TRACE_AT) != 0 ||
        p[PARENT_AT - 1] != '-' || p[FLAGS_AT - 1] != '-' ||
        !read_hex(p + TRACE_AT, sizeof(c.trace_id), c.trace_id) ||
        !read_hex(p + PARENT_AT, sizeof(c.parent_id), c.parent_id) ||
        !read_hex(p + FLAGS_AT, 1, &flags) || all_zero(c.trace_id, sizeof(c.trace_id)) ||
        all_zero(c.parent_id, sizeof(c.parent_id))) {
        return WEIR_ERR_INVALID;
    }
    *ret = c;
    return WEIR_OK;
}
