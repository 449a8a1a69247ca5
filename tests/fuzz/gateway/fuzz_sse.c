/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of events: the raw bytes of what is found are the stream, and cut into pieces (the first
 * byte says how) it is read as in one piece. Seeds: fuzz_sse/. */
#include <stdlib.h>

#include "gateway/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EVENT_MAX = 1 << 20 };

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void hear(struct weir_buf *heard, struct weir_buf *raw, const struct weir_sse_event *e)
{
    weir_buf_str(raw, e->raw);
    check(e->data_at == SIZE_MAX || e->data_at + e->data.len <= e->raw.len);
    if (e->name.len > 0 || e->data.len > 0 || e->data_at != SIZE_MAX) {
        weir_buf_str(heard, e->name);
        weir_buf_char(heard, '\0');
        weir_buf_str(heard, e->data);
        weir_buf_char(heard, '\0');
    }
}

static void read_stream(struct weir_str stream, size_t piece, size_t max, struct weir_buf *heard,
                        struct weir_buf *raw)
{
    struct weir_sse s;
    struct weir_sse_event e;
    weir_sse_init(&s, max);
    while (stream.len > 0) {
        size_t len = piece < stream.len ? piece : stream.len;
        struct weir_str bytes = weir_str(stream.p, len);
        stream = weir_str(stream.p + len, stream.len - len);
        for (enum weir_sse_step step; (step = weir_sse_next(&s, &bytes, &e)) != WEIR_SSE_MORE;) {
            check(e.raw.len > 0);
            if (step == WEIR_SSE_PASS) {
                weir_buf_str(raw, e.raw);
            } else {
                check(e.raw.len <= max);
                hear(heard, raw, &e);
            }
        }
        check(bytes.len == 0);
    }
    if (weir_sse_end(&s, &e)) {
        hear(heard, raw, &e);
    }
    weir_sse_deinit(&s);
}

static bool same(const struct weir_buf *a, struct weir_str b)
{
    return !a->failed && weir_str_eq(weir_buf_view(a), b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > EVENT_MAX) {
        return 0;
    }
    struct weir_str stream = weir_str((const char *)data + 1, size - 1);
    struct weir_buf whole, pieces, raw;
    weir_buf_init(&whole, 4 * EVENT_MAX);
    weir_buf_init(&pieces, 4 * EVENT_MAX);
    weir_buf_init(&raw, 4 * EVENT_MAX);
    read_stream(stream, size, EVENT_MAX, &whole, &raw);
    check(same(&raw, stream));
    weir_buf_reset(&raw);
    read_stream(stream, 1 + data[0] % 16, EVENT_MAX, &pieces, &raw);
    check(same(&raw, stream) && same(&pieces, weir_buf_view(&whole)));
    weir_buf_reset(&raw); /* and with events that are too large */
    read_stream(stream, 1 + data[0] % 16, 1 + data[0], &pieces, &raw);
    check(same(&raw, stream));
    weir_buf_deinit(&whole);
    weir_buf_deinit(&pieces);
    weir_buf_deinit(&raw);
    return 0;
}
