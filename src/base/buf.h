/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h - a growable byte buffer with a hard maximum. One owner; not thread-safe.
 * A failed append (maximum, memory) leaves the content and sets `failed`, which stays set until
 * weir_buf_reset: a writer may append many times and check once at the end. */
#ifndef WEIR_BASE_BUF_H
#define WEIR_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct weir_buf {
    char *data;
    size_t len;
    size_t room;
    size_t max;
    bool failed;
};

/* An empty buffer that never holds more than `max` bytes. Allocates nothing. */
void weir_buf_init(struct weir_buf *b, size_t max);
void weir_buf_deinit(struct weir_buf *b);

static inline void weir_buf_reset(struct weir_buf *b)
{
    b->len = 0;
    b->failed = false;
}

/* Empties it; memory beyond `keep` bytes is given back. */
void weir_buf_recycle(struct weir_buf *b, size_t keep);

/* Makes room for `more` bytes behind len. False (and failed set) when it cannot. */
bool weir_buf_reserve(struct weir_buf *b, size_t more);

static inline void weir_buf_append(struct weir_buf *b, const void *p, size_t len)
{
    if (WEIR_UNLIKELY(b->room - b->len < len) && !weir_buf_reserve(b, len)) {
        return;
    }
    if (len > 0) {
        memcpy(b->data + b->len, p, len);
        b->len += len;
    }
}

static inline void weir_buf_str(struct weir_buf *b, struct weir_str s)
{
    weir_buf_append(b, s.p, s.len);
}

#define WEIR_BUF_LIT(b, literal) weir_buf_append((b), (literal), sizeof(literal) - 1)

static inline void weir_buf_char(struct weir_buf *b, char c)
{
    weir_buf_append(b, &c, 1);
}

/* Decimal. */
void weir_buf_u64(struct weir_buf *b, uint64_t value);
void weir_buf_printf(struct weir_buf *b, const char *fmt, ...) WEIR_PRINTF(2, 3);
/* The slice as a JSON string with its quotes (RFC 8259, section 7). Bytes above 0x7f are copied. */
void weir_buf_json(struct weir_buf *b, struct weir_str s);
/* Drops the first `len` bytes. */
void weir_buf_consume(struct weir_buf *b, size_t len);

static inline struct weir_str weir_buf_view(const struct weir_buf *b)
{
    return weir_str(b->data, b->len);
}

#endif
