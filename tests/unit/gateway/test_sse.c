/* SPDX-License-Identifier: Apache-2.0 */
/* Events in a stream, however its bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>

#include "base/mem.h"
#include "gateway/sse.h"

enum { MAX = 1024 };

/* What a stream was read as: "name=data|" for each event that is not empty, and its raw bytes put
 * together again. */
struct heard {
    struct weir_buf events, raw;
    unsigned passed; /* pieces that were not read */
};

static void hear(struct heard *h, const struct weir_sse_event *e)
{
    weir_buf_str(&h->raw, e->raw);
    if (e->name.len == 0 && e->data.len == 0 && e->data_at == SIZE_MAX) {
        return; /* a comment, or the LF of a CR LF that was cut */
    }
    weir_buf_str(&h->events, e->name);
    weir_buf_char(&h->events, '=');
    weir_buf_str(&h->events, e->data);
    weir_buf_char(&h->events, '|');
    if (e->data_at != SIZE_MAX) { /* it stands there */
        assert_true(e->data_at + e->data.len <= e->raw.len);
        assert_memory_equal(e->raw.p + e->data_at, e->data.p, e->data.len);
    }
}

static void feed(struct weir_sse *s, struct weir_str bytes, struct heard *h)
{
    struct weir_sse_event e;
    for (enum weir_sse_step step; (step = weir_sse_next(s, &bytes, &e)) != WEIR_SSE_MORE;) {
        if (step == WEIR_SSE_PASS) {
            assert_true(e.raw.len > 0);
            weir_buf_str(&h->raw, e.raw);
            h->passed++;
        } else {
            hear(h, &e);
        }
    }
    assert_int_equal(bytes.len, 0);
}

/* Cut at two places. */
static void read_cut(struct weir_str stream, size_t first, size_t second, struct heard *h)
{
    struct weir_sse s;
    struct weir_sse_event e;
    weir_sse_init(&s, MAX);
    weir_buf_init(&h->events, 1 << 20);
    weir_buf_init(&h->raw, 1 << 20);
    h->passed = 0;
    feed(&s, weir_str(stream.p, first), h);
    feed(&s, weir_str(stream.p + first, second - first), h);
    feed(&s, weir_str(stream.p + second, stream.len - second), h);
    if (weir_sse_end(&s, &e)) {
        hear(h, &e);
        assert_false(weir_sse_end(&s, &e));
    }
    weir_sse_deinit(&s);
}

static void heard_free(struct heard *h)
{
    weir_buf_deinit(&h->events);
    weir_buf_deinit(&h->raw);
}

/* The same events for each two places where the bytes may be cut. */
static void expect(struct weir_str stream, const char *events)
{
    for (size_t first = 0; first <= stream.len; first++) {
        for (size_t second = first; second <= stream.len; second++) {
            struct heard h;
            read_cut(stream, first, second, &h);
            assert_int_equal(h.raw.len, stream.len);
            assert_memory_equal(h.raw.data, stream.p, stream.len);
            assert_int_equal(h.passed, 0);
            weir_buf_char(&h.events, '\0');
            assert_string_equal(h.events.data, events);
            heard_free(&h);
        }
    }
}

#define EXPECT(stream, events) expect(WEIR_STR(stream), events)

static void test_line_ends(void **state)
{
    (void)state;
    EXPECT("data: a\n\ndata: b\n\n", "=a|=b|");
    EXPECT("data: a\r\rdata: b\r\r", "=a|=b|");
    EXPECT("data: a\r\n\ndata: b\n\r\n", "=a|=b|");
    EXPECT("data: a\r\n\rdata: b\r\r\n", "=a|=b|");
    EXPECT("data: a\r\n\r\ndata: b\r\n\r\n", "=a|=b|");
}

static void test_fields(void **state)
{
    (void)state;
    EXPECT("event: x\ndata: {}\nid: 7\nretry: 9\n\n", "x={}|");
    EXPECT("data:a\n\n", "=a|");      /* no blank */
    EXPECT("data:  a \n\n", "= a |"); /* one is taken away */
    EXPECT("data\n\n", "=|");
    EXPECT("data: a\nda: b\ndatab: c\n data: d\n\n", "=a|");
    EXPECT("event: x\nevent: y\ndata: 1\n\n", "y=1|");
    EXPECT(": ping\n\n: a comment: more\ndata: a:b\n\n", "=a:b|");
    EXPECT("data: \xe2\x82\xac\n\n", "=\xe2\x82\xac|");
}

static void test_data_of_several_lines(void **state)
{
    (void)state;
    EXPECT("data: a\ndata: b\ndata: c\n\n", "=a\nb\nc|");
    EXPECT("data\ndata\n\n", "=\n|");
    EXPECT("data: a\r\nevent: x\r\ndata: b\r\n\r\ndata: c\n\n", "x=a\nb|=c|");
}

static void test_mark_at_the_beginning(void **state)
{
    (void)state;
    EXPECT("\xef\xbb\xbf"
           "data: a\n\n\xef\xbb\xbf"
           "data: b\n\ndata: c\n\n",
           "=a|=c|");
}

/* The empty line is missing. */
static void test_end(void **state)
{
    (void)state;
    EXPECT("", "");
    EXPECT("data: a\n\ndata: b\n", "=a|=b|");
    EXPECT("data: a\n\ndata: b", "=a|=b|");
    EXPECT("data: a\n\ndata: b\r", "=a|=b|");
}

/* Of the maximum it is read, above it goes by, and the next one is read again. */
static void test_large_events(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        char stream[MAX + 64];
        size_t len = 0;
        memcpy(stream, "data: ", 6);
        memset(stream + 6, 'x', MAX - 8 + more);
        len = MAX - 2 + more;
        memcpy(stream + len, "\n\ndata: a\n\n", 11);
        len += 11;
        for (size_t cut = 0; cut <= len; cut++) {
            struct heard h;
            read_cut(weir_str(stream, len), cut, len, &h);
            assert_int_equal(h.raw.len, len);
            assert_memory_equal(h.raw.data, stream, len);
            assert_int_equal(h.passed > 0, more > 0);
            assert_memory_equal(h.events.data + h.events.len - 3, "=a|", 3);
            assert_int_equal(h.events.len, more > 0 ? 3 : 2 + MAX - 8 + 3);
            heard_free(&h);
        }
    }
}

/* Without memory an event goes by unread. */
static void test_no_memory(void **state)
{
    (void)state;
    struct heard h = {.passed = 0};
    struct weir_sse s;
    weir_sse_init(&s, MAX);
    weir_buf_init(&h.events, 1 << 10);
    weir_buf_init(&h.raw, 1 << 10);
    assert_true(weir_buf_reserve(&h.events, 512) && weir_buf_reserve(&h.raw, 512));
    weir_mem_fail_after(0);
    feed(&s, WEIR_STR("data: a"), &h);
    assert_int_equal(h.passed, 1);
    feed(&s, WEIR_STR("b\n\ndata: c\n\ndata: d\ndata: e\n\n"), &h);
    assert_int_equal(h.passed, 2);
    weir_mem_fail_after(UINT64_MAX);
    feed(&s, WEIR_STR("data: f"), &h);
    feed(&s, WEIR_STR("g\n\n"), &h);
    assert_int_equal(h.passed, 2);
    assert_true(weir_str_eq(weir_buf_view(&h.events), WEIR_STR("=c|=fg|")));
    assert_true(weir_str_eq(weir_buf_view(&h.raw),
                            WEIR_STR("data: ab\n\ndata: c\n\ndata: d\ndata: e\n\ndata: fg\n\n")));
    weir_sse_deinit(&s);
    heard_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_data_of_several_lines),
        cmocka_unit_test(test_mark_at_the_beginning),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_large_events),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
