/* SPDX-License-Identifier: Apache-2.0 */
/* The parser: each text whole, cut at every byte and byte by byte, in front of a guard page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "support/http_feed.h"

static const struct weir_http_limits LIMITS = {
    .head_bytes_max = 1024, .target_bytes_max = 64, .body_bytes_max = 64};

struct shape {
    const char *bytes, *told;
};

static void same(const struct http_feed *f, struct weir_str bytes, struct weir_str told,
                 const char *how, size_t at)
{
    if (!weir_str_eq(weir_buf_view(&f->told), told)) {
        print_error("%.*s\n-- %s %zu: %.*s-- expected: %.*s", (int)bytes.len, bytes.p, how, at,
                    (int)f->told.len, f->told.data, (int)told.len, told.p);
        fail();
    }
}

static void check_bytes(struct weir_str bytes, struct weir_str told)
{
    struct http_feed f;
    http_feed_init(&f, &LIMITS);
    http_feed(&f, bytes, &bytes.len, 1);
    same(&f, bytes, told, "whole", 0);
    http_feed(&f, bytes, &(size_t){1}, 1);
    same(&f, bytes, told, "by pieces of", 1);
    for (size_t cut = 1; cut < bytes.len; cut++) {
        const size_t piece[] = {cut, bytes.len};
        http_feed(&f, bytes, piece, 2);
        same(&f, bytes, told, "cut at", cut);
    }
    http_feed_deinit(&f);
}

static void check(const struct shape *shape, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_bytes(weir_str_z(shape[i].bytes), weir_str_z(shape[i].told));
    }
}

#define CHECK(shapes) check((shapes), sizeof(shapes) / sizeof((shapes)[0]))

#define H      "Host: h\r\n"
#define GET    "GET / HTTP/1.1\r\n" H
#define POST   "POST / HTTP/1.1\r\n" H
#define CODED  POST "Transfer-Encoding: chunked\r\n\r\n"
#define TE     "Host=h;Transfer-Encoding=chunked;"
#define END    "0\r\n\r\n"
#define GOT    "GET|/||Host=h;||keep\n"
#define SYNTAX "!400 The request is not well-formed HTTP/1.1.\n"
#define LINES                                                                                      \
    "!400 Lines must end with CRLF, begin with no blank or colon and hold no NUL, CR or LF.\n"

static void test_targets_and_methods(void **state)
{
    (void)state;
    static const struct shape shapes[] = {
        {GET "\r\n", GOT},
        {"HEAD /a HTTP/1.1\r\n" H "\r\n", "HEAD|/a||Host=h;||keep\n"},
        {"DELETE /a/b HTTP/1.1\r\n" H "\r\n", "DELETE|/a/b||Host=h;||keep\n"},
        {"OPTIONS * HTTP/1.1\r\n" H "\r\n", "OPTIONS|*||Host=h;||keep\n"},
        {"CONNECT h:443 HTTP/1.1\r\n" H "\r\n" GET "\r\n", "CONNECT|h:443||Host=h;||keep\n" GOT},
        {"GET /a?b=c&d=/e?f HTTP/1.1\r\n" H "\r\n", "GET|/a|b=c&d=/e?f|Host=h;||keep\n"},
        {"GET /? HTTP/1.1\r\n" H "\r\n", "GET|/||Host=h;||keep\n"},
        {"GET http://h/a?b HTTP/1.1\r\n" H "\r\n", "GET|/a|b|Host=h;||keep\n"},
        {"GET http://h:80 HTTP/1.1\r\n" H "\r\n", "GET|/||Host=h;||keep\n"},
        {"GET http://h?b=/c HTTP/1.1\r\n" H "\r\n", "GET|/|b=/c|Host=h;||keep\n"},
        {"GET /a://b/c HTTP/1.1\r\n" H "\r\n", "GET|/a://b/c||Host=h;||keep\n"},
        {"\r\n\r\n" GET "\r\n", GOT},
        {GET "\r\n" GET "\r\nGET /", GOT GOT "...\n"},
        {"GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" GET "\r\n",
         "GET|/||Host=h;Connection=Upgrade;Upgrade=h2c;||keep\n" GOT},
    };
    CHECK(shapes);
}

static void test_headers(void **state)
{
    (void)state;
    static const struct shape shapes[] = {
        {GET "A: b\r\n\r\n", "GET|/||Host=h;A=b;||keep\n"},
        {GET "A:b\r\n\r\n", "GET|/||Host=h;A=b;||keep\n"},
        {GET "A: \t b c \t \r\nB: d\r\n\r\n", "GET|/||Host=h;A=b c;B=d;||keep\n"},
        {GET "A:\r\nB: \r\nC: c\r\n\r\n", "GET|/||Host=h;A=;B=;C=c;||keep\n"},
        {GET "A: b\r\nA: \xc3\xa9\xff\r\n\r\n", "GET|/||Host=h;A=b;A=\xc3\xa9\xff;||keep\n"},
        {"GET / HTTP/1.1\r\nHOST:\r\n\r\n", "GET|/||HOST=;||keep\n"},
    };
    CHECK(shapes);
}

static void test_keep_alive(void **state)
{
    (void)state;
    static const struct shape shapes[] = {
        {GET "Connection: close\r\n\r\n", "GET|/||Host=h;Connection=close;||close\n"},
        {GET "Connection: x, Close\r\n\r\n", "GET|/||Host=h;Connection=x, Close;||close\n"},
        {GET "Connection: closed\r\n\r\n", "GET|/||Host=h;Connection=closed;||keep\n"},
        {"GET / HTTP/1.0\r\n\r\n", "GET|/||||close 1.0\n"},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
         "GET|/||Connection=Keep-Alive;||keep 1.0\n"},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
         "GET|/||Connection=keep-alive, close;||close 1.0\n"},
    };
    CHECK(shapes);
}

static void test_bodies(void **state)
{
    (void)state;
    static const struct shape shapes[] = {
        {POST "Content-Length: 3\r\n\r\nabc" GET "\r\n",
         "POST|/||Host=h;Content-Length=3;|abc|keep\n" GOT},
        {POST "Content-Length: 003 \r\n\r\nabc", "POST|/||Host=h;Content-Length=003;|abc|keep\n"},
        {POST "Content-Length: 0\r\n\r\n", "POST|/||Host=h;Content-Length=0;||keep\n"},
        {POST "Content-Length: 3\r\n\r\nab", "...\n"},
        {GET "Content-Length: 2\r\n\r\nab", "GET|/||Host=h;Content-Length=2;|ab|keep\n"},
        {"CONNECT h:1 HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab" GET "\r\n",
         "CONNECT|h:1||Host=h;Content-Length=2;|ab|keep\n" GOT}, /* no tunnel begins */
        {GET "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n" END, "GET|/||" TE "|a|keep\n"},
        {POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\na",
         "POST|/||Host=h;Expect=100-Continue;Content-Length=1;|a|keep continue\n"},
        {POST "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
         "POST|/||Host=h;Expect=100-continue;Content-Length=0;||keep\n"},
        {"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
         "POST|/||Expect=100-continue;Content-Length=1;|a|close 1.0\n"},
    };
    CHECK(shapes);
}

static void test_chunks(void **state)
{
    (void)state;
    static const struct shape shapes[] = {
        {CODED END, "POST|/||" TE "||keep\n"},
        {CODED "1\r\na\r\n002\r\nbc\r\nA\r\n0123456789\r\n" END GET "\r\n",
         "POST|/||" TE "|abc0123456789|keep\n" GOT},
        {CODED "2;a\r\n\n \r\n1;b=\"c\"\r\n\t\r\n0;d=e\r\n\r\n", "POST|/||" TE "|\n \t|keep\n"},
        {CODED "1\r\na\r\n0\r\nA: b\r\nC:\r\n\r\n" GET "\r\n", "POST|/||" TE "|a|keep\n" GOT},
        {CODED "1\r\na\r\n0\r\nContent-Length: 9\r\nHost: i\r\n\r\n" GET "\r\n",
         "POST|/||" TE "|a|keep\n" GOT}, /* trailers say nothing */
        {CODED "5\r\nab", "...\n"},
        {CODED "1\r\na\r\n0\r\n\r", "...\n"},
    };
    CHECK(shapes);
}

static void test_request_line_refusals(void **state)
{
    (void)state;
    static const struct shape shapes[] = {
        {"GE", "...\n"},
        {"get / HTTP/1.1\r\n" H "\r\n", "!501 The request method is not known.\n"},
        {"BREW / HTTP/1.1\r\n" H "\r\n", "!501 The request method is not known.\n"},
        {"\x16\x03\x01", "!501 The request method is not known.\n"},
        {"GET / HTTP/2.0\r\n\r\n", "!505 The versions spoken are HTTP/1.0 and HTTP/1.1.\n"},
        {"GET / HTTP/1.2\r\n\r\n", "!505 The versions spoken are HTTP/1.0 and HTTP/1.1.\n"},
        {"GET / HTTP/0.9\r\n\r\n", "!505 The versions spoken are HTTP/1.0 and HTTP/1.1.\n"},
        {"GET /\r\n\r\n", "!505 The versions spoken are HTTP/1.0 and HTTP/1.1.\n"},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
         "!505 The versions spoken are HTTP/1.0 and HTTP/1.1.\n"},
        {"GET / HTTP/1\r\n" H "\r\n", "!505 The versions spoken are HTTP/1.0 and HTTP/1.1.\n"},
        {"GET / HTTP/11\r\n" H "\r\n", "!505 The versions spoken are HTTP/1.0 and HTTP/1.1.\n"},
        {"OPTIONS / RTSP/1.0\r\n\r\n", "!505 The versions spoken are HTTP/1.0 and HTTP/1.1.\n"},
        {"SOURCE / ICE/1.0\r\n\r\n", "!505 The versions spoken are HTTP/1.0 and HTTP/1.1.\n"},
        {"GET  / HTTP/1.1\r\n" H "\r\n", SYNTAX},
        {"GET /  HTTP/1.1\r\n" H "\r\n", SYNTAX},
        {"GET / HTTP/1.1 \r\n" H "\r\n", "!505 The versions spoken are HTTP/1.0 and HTTP/1.1.\n"},
        {"GET / a HTTP/1.1\r\n" H "\r\n", SYNTAX},
        {"GET\t/ HTTP/1.1\r\n" H "\r\n", "!501 The request method is not known.\n"},
        {"GET a HTTP/1.1\r\n" H "\r\n", SYNTAX},
        {"GET /\x01 HTTP/1.1\r\n" H "\r\n", SYNTAX},
        {"GET / HTTP/1.1\n" H "\r\n", LINES},
        {"\n" GET "\r\n", LINES},
        {"\r" GET "\r\n", LINES},
    };
    CHECK(shapes);
}

static void test_header_refusals(void **state)
{
    (void)state;
    static const struct shape shapes[] = {
        {GET ": a\r\n\r\n", "!400 A header field must have a name.\n"},
        {GET "A\r\n\r\n", SYNTAX},
        {GET "A : b\r\n\r\n", SYNTAX},
        {GET " A: b\r\n\r\n", LINES},
        {GET "A: b\r\n c\r\n\r\n", LINES},
        {GET "A: b\r\n\tc\r\n\r\n", LINES},
        {GET "A:\r\n b\r\n\r\n", LINES},
        {GET "A: b\n\r\n", SYNTAX},
        {GET "A: b\rC: d\r\n\r\n", SYNTAX},
        {GET "A: b\r\n\n", LINES},
        {GET "A: \x01\r\n\r\n", SYNTAX},
        {GET "A\xff: b\r\n\r\n", SYNTAX},
        {"GET / HTTP/1.1\r\n\r\n", "!400 The request must have exactly one Host header.\n"},
        {GET "hOST: i\r\n\r\n", "!400 The request must have exactly one Host header.\n"},
        {"GET / HTTP/1.0\r\n" H H "\r\n", "!400 The request must have exactly one Host header.\n"},
        {POST "Expect: tea\r\nContent-Length: 1\r\n\r\na",
         "!417 The only expectation understood is \"100-continue\".\n"},
    };
    CHECK(shapes);
}

static void test_length_refusals(void **state)
{
    (void)state;
    static const char once[] = "!400 The length of the body must be given once.\n";
    static const char decimal[] = "!400 Content-Length must be a decimal number.\n";
    static const char coding[] = "!501 The only transfer coding understood is \"chunked\", once.\n";
    const struct shape shapes[] = {
        {POST "\r\n", "!411 The request needs a Content-Length or chunked coding.\n"},
        {"PUT / HTTP/1.0\r\n\r\n", "!411 The request needs a Content-Length or chunked coding.\n"},
        {"PATCH / HTTP/1.1\r\n" H "\r\n",
         "!411 The request needs a Content-Length or chunked coding.\n"},
        {POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", once},
        {POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n" END, once},
        {POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n" END, once},
        {POST "Content-Length: 1, 1\r\n\r\na", decimal},
        {POST "Content-Length: +1\r\n\r\na", decimal},
        {POST "Content-Length: -1\r\n\r\na", decimal},
        {POST "Content-Length: 0x1\r\n\r\na", decimal},
        {POST "Content-Length: 1 1\r\n\r\na", decimal},
        {POST "Content-Length:\r\n\r\n", decimal},
        {POST "Content-Length: \t\r\n\r\n", decimal},
        {GET "Content-Length:\r\n\r\n", decimal},
        {POST "Content-Length: 18446744073709551616\r\n\r\n", decimal},
        {POST "Content-Length: 18446744073709551615\r\n\r\n",
         "!413 The request body is too large.\n"},
        {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" END, coding},
        {POST "Transfer-Encoding: gzip\r\n\r\n", coding},
        {POST "Transfer-Encoding: gzip, chunked\r\n\r\n" END, coding},
        {POST "Transfer-Encoding: chunked, gzip\r\n\r\n" END, coding},
        {POST "Transfer-Encoding: xchunked\r\n\r\n" END, coding},
        {POST "Transfer-Encoding: chunked;q=1\r\n\r\n" END, coding},
        {POST "Transfer-Encoding:\r\n\r\n", coding},
        {GET "Transfer-Encoding: identity\r\n\r\n", coding},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" END,
         "!400 HTTP/1.0 has no Transfer-Encoding.\n"},
    };
    CHECK(shapes);
}

static void test_chunk_refusals(void **state)
{
    (void)state;
    static const char size[] = "!400 A chunk size must be a hexadecimal number.\n";
    const struct shape shapes[] = {
        {CODED "x\r\n", size},
        {CODED "\r\n", size},
        {CODED "-1\r\na\r\n", size},
        {CODED "0x1\r\na\r\n", size},
        {CODED " 1\r\na\r\n", size},
        {CODED "1\r\nab\r\n", SYNTAX},
        {CODED "1\r\na\n0\r\n\r\n", SYNTAX},
        {CODED "1\na\r\n" END, size},
        {CODED "1;a\nb\r\nc\r\n" END, LINES},
        {CODED "1;a\rb\r\nc\r\n" END, SYNTAX},
        {CODED "10000000000000000\r\n", size},
        {CODED "1\r\na\r\n0\r\nA: b\r\n c\r\n\r\n", LINES},
        {CODED "1\r\na\r\n0\r\nA:\r\n b\r\n\r\n", LINES},
        {CODED "1\r\na\r\n0\r\nA: b\n\r\n", SYNTAX},
        {CODED "1\r\na\r\n0\r\nA: b\nC: d\r\n\r\n", SYNTAX},
        {CODED "1\r\na\r\n0\r\nA: b\rC: d\r\n\r\n", SYNTAX},
        {CODED "1\r\na\r\n0\r\n: b\r\n\r\n", LINES},
        {CODED "1\r\na\r\n0\r\nA : b\r\n\r\n", SYNTAX},
        {CODED "1\r\na\r\n0\r\n\n", LINES},
        {CODED "1\r\na\r\n0\r\nA: b\r\n\n", LINES},
    };
    CHECK(shapes);
}

static void test_nul(void **state)
{
    (void)state;
    check_bytes(WEIR_STR("GET /\0 HTTP/1.1\r\n" H "\r\n"), WEIR_STR(SYNTAX));
    check_bytes(WEIR_STR(GET "A\0: b\r\n\r\n"), WEIR_STR(SYNTAX));
    check_bytes(WEIR_STR(GET "A: \0\r\n\r\n"), WEIR_STR(SYNTAX));
    check_bytes(WEIR_STR(CODED "1;\0\r\na\r\n" END), WEIR_STR(LINES));
    check_bytes(WEIR_STR(CODED "0\r\nA: \0\r\n\r\n"), WEIR_STR(SYNTAX));
    check_bytes(WEIR_STR(CODED "4\r\n\0\r\n \r\n" END),
                WEIR_STR("POST|/||" TE "|\0\r\n |keep\n")); /* in a body all is allowed */
}

/* A text with `count` times `filling` in its middle is taken, and with one more is refused. */
static void check_bound(const char *before, const char *filling, size_t count, const char *after,
                        int status)
{
    for (size_t more = 0; more < 2; more++) {
        struct weir_buf b;
        weir_buf_init(&b, HTTP_FEED_MAX);
        weir_buf_str(&b, weir_str_z(before));
        for (size_t i = 0; i < count + more; i++) {
            weir_buf_str(&b, weir_str_z(filling));
        }
        weir_buf_str(&b, weir_str_z(after));
        struct http_feed f;
        http_feed_init(&f, &LIMITS);
        http_feed(&f, weir_buf_view(&b), &b.len, 1);
        assert_int_equal(f.status, more == 0 ? 0 : status);
        assert_true(more == 1 || f.told.data[f.told.len - 2] == 'p'); /* "keep" */
        check_bytes(weir_buf_view(&b), weir_buf_view(&f.told));
        http_feed_deinit(&f);
        weir_buf_deinit(&b);
    }
}

static void test_bounds(void **state)
{
    (void)state;
    check_bound("GET /", "a", LIMITS.target_bytes_max - 1, " HTTP/1.1\r\n" H "\r\n", 414);
    check_bound("GET http://h/?", "a", LIMITS.target_bytes_max - 10, " HTTP/1.1\r\n" H "\r\n", 414);
    check_bound(GET "A: ", "a", LIMITS.head_bytes_max - strlen(GET "A: \r\n\r\n"), "\r\n\r\n", 431);
    check_bound("", "\r\n", (LIMITS.head_bytes_max - strlen(GET "\r\n")) / 2, GET "\r\n", 431);
    check_bound(GET, "A: b\r\n", WEIR_HTTP_HEADERS_MAX - 1, "\r\n", 431);
    check_bound(GET, "A:\r\n", WEIR_HTTP_HEADERS_MAX - 1, "\r\n", 431);
    check_bound(CODED, "1\r\na\r\n", LIMITS.body_bytes_max, END, 413);
    /* What stands around a chunked body is bounded, too. */
    size_t around = 8 * LIMITS.body_bytes_max + LIMITS.head_bytes_max;
    check_bound(CODED "1;", "b", around - strlen("1;\r\na\r\n" END), "\r\na\r\n" END, 413);
    check_bound(CODED "0\r\nA: ", "b", around - strlen("0\r\nA: \r\n\r\n"), "\r\n\r\n", 413);
    check_bound(CODED, "0", around - strlen("\r\n\r\n"), "\r\n\r\n", 413);
}

/* A length at the bound and above; the body need not come to be refused. */
static void test_body_bound(void **state)
{
    (void)state;
    static const struct shape shapes[] = {
        {POST "Content-Length: 64\r\n\r\na", "...\n"},
        {POST "Content-Length: 65\r\n\r\n", "!413 The request body is too large.\n"},
        {GET "Content-Length: 65\r\n\r\n", "!413 The request body is too large.\n"},
    };
    CHECK(shapes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets_and_methods),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_request_line_refusals),
        cmocka_unit_test(test_header_refusals),
        cmocka_unit_test(test_length_refusals),
        cmocka_unit_test(test_chunk_refusals),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_body_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
