/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "base/mem.h"

enum { BUF_ROOM_MIN = 256 };

void weir_buf_init(struct weir_buf *b, size_t max)
{
    *b = (struct weir_buf){.max = max};
}

void weir_buf_deinit(struct weir_buf *b)
{
    weir_free(b->data);
    weir_buf_init(b, b->max);
}

void weir_buf_recycle(struct weir_buf *b, size_t keep)
{
    if (b->room > keep) {
        weir_buf_deinit(b);
    }
    weir_buf_reset(b);
}

bool weir_buf_reserve(struct weir_buf *b, size_t more)
{
    size_t need;
    if (__builtin_add_overflow(b->len, more, &need) || need > b->max || b->failed) {
        b->failed = true;
        return false;
    }
    if (need <= b->room) {
        return true;
    }
    size_t room = b->room < BUF_ROOM_MIN ? BUF_ROOM_MIN : b->room;
    room = room < b->max ? room : b->max; /* an append within room does not look at max */
    while (room < need) {
        room = room > b->max / 2 ? b->max : room * 2;
    }
    char *data = weir_realloc(b->data, room);
    if (data == NULL) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->room = room;
    return true;
}

/* "00" to "99". */
static const char two_digits[] = "00010203040506070809101112131415161718192021222324"
                                 "25262728293031323334353637383940414243444546474849"
                                 "50515253545556575859606162636465666768697071727374"
                                 "75767778798081828384858687888990919293949596979899";

void weir_buf_u64(struct weir_buf *b, uint64_t value)
{
    enum { DIGITS_MAX = 20 };
    char text[2 * DIGITS_MAX] = {0}; /* the digits end in its middle */
    size_t at = DIGITS_MAX;
    while (value >= 100) {
        at -= 2;
        memcpy(text + at, two_digits + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(text + at, two_digits + value * 2, 2);
    } else {
        text[--at] = (char)('0' + value);
    }
    if (WEIR_LIKELY(b->room - b->len >= DIGITS_MAX)) {
        memcpy(b->data + b->len, text + at, DIGITS_MAX); /* a fixed length needs no call */
        b->len += DIGITS_MAX - at;
    } else {
        weir_buf_append(b, text + at, DIGITS_MAX - at);
    }
}

void weir_buf_printf(struct weir_buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0 || !weir_buf_reserve(b, (size_t)len + 1)) {
        b->failed = true;
        return;
    }
    va_start(args, fmt);
    vsnprintf(b->data + b->len, (size_t)len + 1, fmt, args);
    va_end(args);
    b->len += (size_t)len;
}

void weir_buf_json(struct weir_buf *b, struct weir_str s)
{
    static const char hex[] = "0123456789abcdef";
    weir_buf_char(b, '"');
    size_t from = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        weir_buf_append(b, s.p + from, i - from);
        from = i + 1;
        if (c == '"' || c == '\\') {
            char two[2] = {'\\', (char)c};
            weir_buf_append(b, two, 2);
        } else if (c == '\n') {
            WEIR_BUF_LIT(b, "\\n");
        } else {
            char six[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            weir_buf_append(b, six, 6);
        }
    }
    weir_buf_append(b, s.p + from, s.len - from);
    weir_buf_char(b, '"');
}

void weir_buf_consume(struct weir_buf *b, size_t len)
{
    WEIR_ASSERT(len <= b->len);
    if (len > 0 && len < b->len) {
        memmove(b->data, b->data + len, b->len - len);
    }
    b->len -= len;
}
