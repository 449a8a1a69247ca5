/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/sse.h"

#include <stdint.h>

enum { HELD_KEEP_BYTES = 4096 };

void weir_sse_init(struct weir_sse *s, size_t max)
{
    *s = (struct weir_sse){._max = max};
    weir_buf_init(&s->_held, max);
    weir_buf_init(&s->_joined, max);
}

void weir_sse_deinit(struct weir_sse *s)
{
    weir_buf_deinit(&s->_held);
    weir_buf_deinit(&s->_joined);
}

/* ---- lines ---- */

#define BYTES(b) (UINT64_C(0x0101010101010101) * (b))

static uint64_t zero_bytes(uint64_t word)
{
    return (word - BYTES(1)) & ~word & BYTES(0x80);
}

/* The first LF or CR from p on, or `end`: eight bytes at once. Marks above the lowest may be false,
 * the lowest is true. */
static const char *find_line_end(const char *p, const char *end)
{
    for (; (size_t)(end - p) >= sizeof(uint64_t); p += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, p, sizeof(word));
        uint64_t marks = zero_bytes(word ^ BYTES('\n')) | zero_bytes(word ^ BYTES('\r'));
        if (marks != 0) {
            return p + __builtin_ctzll(marks) / 8;
        }
    }
    while (p < end && *p != '\n' && *p != '\r') {
        p++;
    }
    return p;
}

/* Behind the empty line that ends the event, or NULL: it is not in these bytes. A CR at their end
 * ends its line now; its LF, if one follows, is taken for the beginning of the next line. */
static const char *find_event_end(struct weir_sse *s, const char *p, const char *end)
{
    while (p < end) {
        if (s->_after_cr && *p == '\n') {
            p++;
        }
        s->_after_cr = false;
        const char *line_end = find_line_end(p, end);
        s->_line |= line_end > p;
        if (line_end == end) {
            return NULL;
        }
        bool was_empty = !s->_line;
        s->_line = false;
        p = line_end + 1;
        if (*line_end == '\r') {
            s->_after_cr = p == end;
            p += p < end && *p == '\n';
        }
        if (was_empty) {
            return p;
        }
    }
    return NULL;
}

/* ---- fields ---- */

/* The value behind a field's name and colon; one blank before it is not of it. */
static struct weir_str value_of(struct weir_str line, size_t name_len)
{
    size_t at = name_len == line.len ? name_len : name_len + 1;
    at += at < line.len && line.p[at] == ' ';
    return weir_str(line.p + at, line.len - at);
}

/* A value that is not the first: they are joined. */
static void join(struct weir_sse *s, unsigned values, struct weir_str value,
                 struct weir_sse_event *event)
{
    if (values == 1) {
        weir_buf_str(&s->_joined, event->data);
    }
    weir_buf_char(&s->_joined, '\n');
    weir_buf_str(&s->_joined, value);
    event->data = weir_buf_view(&s->_joined);
    event->data_at = SIZE_MAX;
}

/* What the lines of a whole event say. */
static void read_fields(struct weir_sse *s, struct weir_str raw, struct weir_sse_event *event)
{
    static const struct weir_str mark = WEIR_STR_INIT("\xef\xbb\xbf"); /* U+FEFF */
    const char *p = raw.p, *end = raw.p + raw.len;
    unsigned values = 0;
    *event =
        (struct weir_sse_event){.raw = raw, .data_at = SIZE_MAX, .last = true, .kept = s->_given};
    weir_buf_recycle(&s->_joined, 0);
    if (!s->_begun && weir_str_starts(raw, mark)) {
        p += mark.len;
    }
    s->_begun = true;
    while (p < end) {
        const char *line_end = find_line_end(p, end);
        struct weir_str line = weir_str(p, (size_t)(line_end - p));
        const char *colon = line.len == 0 ? NULL : memchr(line.p, ':', line.len);
        struct weir_str name =
            weir_str(line.p, colon == NULL ? line.len : (size_t)(colon - line.p));
        if (weir_str_eq(name, WEIR_STR("data"))) {
            struct weir_str value = value_of(line, name.len);
            if (values > 0) {
                join(s, values, value, event);
            } else {
                event->data = value;
                event->data_at = (size_t)(value.p - raw.p);
            }
            values++;
        } else if (weir_str_eq(name, WEIR_STR("event"))) {
            event->name = value_of(line, name.len);
        }
        p = line_end + 1; /* the LF of a CR LF is an empty line more, which says nothing */
    }
    if (s->_joined.failed) { /* no memory: as if it had none */
        event->data = weir_str(NULL, 0);
    }
}

/* ---- events ---- */

static enum weir_sse_step pass(const struct weir_sse *s, struct weir_str raw,
                               struct weir_sse_event *event)
{
    *event = (struct weir_sse_event){.raw = raw, .data_at = SIZE_MAX, .kept = s->_given};
    return WEIR_SSE_PASS;
}

/* The first `len` bytes are taken. */
static struct weir_str take(struct weir_str *bytes, size_t len)
{
    struct weir_str taken = weir_str(bytes->p, len);
    *bytes = weir_str(bytes->p + len, bytes->len - len);
    return taken;
}

enum weir_sse_step weir_sse_next(struct weir_sse *s, struct weir_str *bytes,
                                 struct weir_sse_event *ret_event)
{
    struct weir_buf *held = &s->_held;
    bool line = s->_line, after_cr = s->_after_cr;
    if (s->_given) {
        s->_given = false;
        weir_buf_recycle(held, HELD_KEEP_BYTES);
    }
    if (bytes->len == 0) {
        return WEIR_SSE_MORE;
    }
    const char *end = find_event_end(s, bytes->p, bytes->p + bytes->len);
    size_t len = end == NULL ? bytes->len : (size_t)(end - bytes->p);
    bool here = end != NULL && held->len == 0; /* all of it is in these bytes */
    if (!s->_passing && (len > s->_max - held->len || (!here && !weir_buf_reserve(held, len)))) {
        s->_passing = true;
        s->_begun = true;
        if (held->len > 0) { /* goes first; these bytes are looked at again */
            s->_line = line;
            s->_after_cr = after_cr;
            s->_given = true;
            return pass(s, weir_buf_view(held), ret_event);
        }
        weir_buf_reset(held);
    }
    if (s->_passing) {
        s->_passing = end == NULL;
        enum weir_sse_step step = pass(s, take(bytes, len), ret_event);
        ret_event->last = end != NULL;
        return step;
    }
    if (here) {
        read_fields(s, take(bytes, len), ret_event);
        return WEIR_SSE_EVENT;
    }
    weir_buf_str(held, take(bytes, len));
    if (end == NULL) {
        return WEIR_SSE_MORE;
    }
    s->_given = true;
    read_fields(s, weir_buf_view(held), ret_event);
    return WEIR_SSE_EVENT;
}

bool weir_sse_end(struct weir_sse *s, struct weir_sse_event *ret_event)
{
    if (s->_given || s->_held.len == 0) {
        return false;
    }
    s->_given = true;
    read_fields(s, weir_buf_view(&s->_held), ret_event);
    return true;
}
