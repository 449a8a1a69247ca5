/* SPDX-License-Identifier: Apache-2.0 */
/* http_answer.c - answers: their heads, chunked bodies, and the order in which they leave. */
#include "base/clock.h"
#include "base/mem.h"
#include "net/http_internal.h"

enum { SPARES_MAX = 1024 };

struct weir_http_exchange *http_exchange_new(struct http_conn *c)
{
    struct weir_http_server *s = c->server;
    struct weir_http_exchange *x = s->spare;
    if (x != NULL) {
        s->spare = x->next;
        s->spares--;
    } else {
        x = weir_zalloc(sizeof(*x));
        if (x == NULL) {
            return NULL;
        }
        weir_buf_init(&x->out, HTTP_OUT_BYTES_MAX);
    }
    x->conn = c;
    x->next = NULL;
    x->slot = x->note = NULL;
    x->held = x->asked = 0;
    x->wait_below = 0;
    x->dispatched = x->answered = x->streaming = x->needs_client = false;
    x->head = c->parser.llhttp.method == HTTP_HEAD;
    x->http10 = http_parser_is_http10(&c->parser);
    x->keep_alive = http_parser_keep_alive(&c->parser);
    *c->last = x;
    c->last = &x->next;
    c->unanswered++;
    return x;
}

void http_exchange_free(struct weir_http_exchange *x)
{
    struct weir_http_server *s = x->conn->server;
    if (x->out.room > HTTP_KEEP_BYTES) {
        weir_buf_deinit(&x->out);
    }
    weir_buf_reset(&x->out);
    if (s->spares == SPARES_MAX) {
        weir_buf_deinit(&x->out);
        weir_free(x);
        return;
    }
    x->next = s->spare;
    s->spare = x;
    s->spares++;
}

void http_spares_free(struct weir_http_server *s)
{
    while (s->spare != NULL) {
        struct weir_http_exchange *x = s->spare;
        s->spare = x->next;
        weir_buf_deinit(&x->out);
        weir_free(x);
    }
}

void **weir_http_exchange_slot(struct weir_http_exchange *x)
{
    return &x->slot;
}

void **weir_http_exchange_note(struct weir_http_exchange *x)
{
    return &x->note;
}

void weir_http_exchange_needs_client(struct weir_http_exchange *x)
{
    x->needs_client = true;
}

bool weir_http_peer_loopback(const struct weir_http_exchange *x)
{
    return x->conn->loopback;
}

/* Where the exchange's bytes go: straight out when it is the oldest. */
static struct weir_buf *out_of(struct weir_http_exchange *x)
{
    return x->conn->first == x ? &x->conn->out : &x->out;
}

/* Empty: not one of weir's own. */
static struct weir_str status_line(int status)
{
#define LINE(code, text)                                                                           \
    case code:                                                                                     \
        return WEIR_STR("HTTP/1.1 " #code " " text "\r\n")
    switch (status) {
        LINE(200, "OK");
        LINE(400, "Bad Request");
        LINE(401, "Unauthorized");
        LINE(402, "Payment Required");
        LINE(403, "Forbidden");
        LINE(404, "Not Found");
        LINE(405, "Method Not Allowed");
        LINE(408, "Request Timeout");
        LINE(409, "Conflict");
        LINE(410, "Gone");
        LINE(411, "Length Required");
        LINE(413, "Content Too Large");
        LINE(414, "URI Too Long");
        LINE(415, "Unsupported Media Type");
        LINE(417, "Expectation Failed");
        LINE(422, "Unprocessable Content");
        LINE(429, "Too Many Requests");
        LINE(431, "Request Header Fields Too Large");
        LINE(500, "Internal Server Error");
        LINE(501, "Not Implemented");
        LINE(502, "Bad Gateway");
        LINE(503, "Service Unavailable");
        LINE(504, "Gateway Timeout");
        LINE(505, "HTTP Version Not Supported");
        LINE(529, "Overloaded");
    default:
        break;
    }
#undef LINE
    return WEIR_STR("");
}

/* RFC 9110, sections 15.3.5 and 15.4.5. */
static bool has_no_body(int status)
{
    return status == 204 || status == 304;
}

/* "date: Tue, 24 Nov 2026 10:00:00 GMT\r\n" (RFC 9110, section 5.6.7), made once a second. */
static struct weir_str date_line(struct weir_http_server *s)
{
    uint64_t now_s = weir_clock_wall_s();
    if (now_s != s->date_s) {
        time_t seconds = (time_t)now_s;
        struct tm utc;
        gmtime_r(&seconds, &utc);
        s->date_s = now_s;
        s->date_len =
            strftime(s->date, sizeof(s->date), "date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
    }
    return weir_str(s->date, s->date_len);
}

static void write_head(struct weir_http_exchange *x, struct weir_buf *b, int status,
                       struct weir_str headers, struct weir_str content_type)
{
    struct http_conn *c = x->conn;
    bool is_last = x->next == NULL; /* what follows "close" would not be read */
    if (is_last && (c->no_more_requests || c->server->draining)) {
        x->keep_alive = false;
    }
    if (!x->keep_alive) {
        c->no_more_requests = true;
    }
    struct weir_str line = status_line(status);
    if (line.len > 0) {
        weir_buf_str(b, line);
    } else { /* what an upstream answered; the reason may be empty (RFC 9112, section 4) */
        WEIR_ASSERT(status >= 200 && status <= 599);
        weir_buf_printf(b, "HTTP/1.1 %d \r\n", status);
    }
    weir_buf_str(b, date_line(c->server));
    if (content_type.len > 0) {
        WEIR_BUF_LIT(b, "content-type: ");
        weir_buf_str(b, content_type);
        WEIR_BUF_LIT(b, "\r\n");
    }
    weir_buf_str(b, headers);
    if (!x->keep_alive) {
        WEIR_BUF_LIT(b, "connection: close\r\n");
    } else if (x->http10) {
        WEIR_BUF_LIT(b, "connection: keep-alive\r\n");
    }
}

/* Something was added to the answer. */
static void said(struct weir_http_exchange *x)
{
    struct http_conn *c = x->conn;
    if (c->first != x) {
        c->held += x->out.len - x->held;
        x->held = x->out.len;
    }
    if (http_conn_unsent(c) > HTTP_OUT_BYTES_MAX) {
        c->out.failed = true;
    }
    http_conn_touched(c);
}

/* The answer is complete: it, and what waited for it, may leave. */
static void finish(struct weir_http_exchange *x)
{
    said(x);
    x->answered = true;
    x->conn->asked -= x->asked;
    http_conn_advance(x->conn);
}

void weir_http_reply(struct weir_http_exchange *x, int status, struct weir_str headers,
                     struct weir_str content_type, struct weir_str body)
{
    WEIR_ASSERT(!x->answered && !x->streaming);
    struct weir_buf *b = out_of(x);
    write_head(x, b, status, headers, content_type);
    if (has_no_body(status)) {
        WEIR_BUF_LIT(b, "\r\n");
        finish(x);
        return;
    }
    WEIR_BUF_LIT(b, "content-length: ");
    weir_buf_u64(b, body.len);
    WEIR_BUF_LIT(b, "\r\n\r\n");
    if (!x->head) {
        weir_buf_str(b, body);
    }
    finish(x);
}

void weir_http_stream_begin(struct weir_http_exchange *x, int status, struct weir_str headers,
                            struct weir_str content_type)
{
    WEIR_ASSERT(!x->answered && !x->streaming && !has_no_body(status));
    x->streaming = true;
    if (x->http10) {
        x->keep_alive = false; /* the end of the connection is the end of the body */
    }
    struct weir_buf *b = out_of(x);
    write_head(x, b, status, headers, content_type);
    if (x->http10) {
        WEIR_BUF_LIT(b, "\r\n");
    } else {
        WEIR_BUF_LIT(b, "transfer-encoding: chunked\r\n\r\n");
    }
    said(x);
}

/* The head of a chunk (RFC 9112, section 7.1). */
static void write_size(struct weir_buf *b, size_t size)
{
    char text[2 * sizeof(size) + 2];
    size_t at = sizeof(text) - 2;
    text[at] = '\r';
    text[at + 1] = '\n';
    do {
        text[--at] = "0123456789abcdef"[size & 15];
        size >>= 4;
    } while (size > 0);
    weir_buf_append(b, text + at, sizeof(text) - at);
}

void weir_http_stream_write(struct weir_http_exchange *x, struct weir_str bytes)
{
    WEIR_ASSERT(x->streaming && !x->answered);
    if (x->head || bytes.len == 0) {
        return;
    }
    struct weir_buf *b = out_of(x);
    if (x->http10) {
        weir_buf_str(b, bytes);
    } else {
        write_size(b, bytes.len);
        weir_buf_str(b, bytes);
        WEIR_BUF_LIT(b, "\r\n");
    }
    said(x);
}

size_t weir_http_stream_unsent(const struct weir_http_exchange *x)
{
    const struct http_conn *c = x->conn;
    return c->first == x ? c->out.len + c->sending.len : x->out.len;
}

void weir_http_stream_wait(struct weir_http_exchange *x, size_t below)
{
    x->wait_below = below + 1;
    http_conn_touched(x->conn);
}

void http_exchange_drained(struct http_conn *c)
{
    struct weir_http_exchange *x = c->first;
    if (x != NULL && x->wait_below > weir_http_stream_unsent(x)) {
        x->wait_below = 0;
        c->server->handler.on_drained(c->server->handler.ctx, x);
    }
}

void weir_http_stream_end(struct weir_http_exchange *x)
{
    WEIR_ASSERT(x->streaming && !x->answered);
    if (!x->http10 && !x->head) {
        WEIR_BUF_LIT(out_of(x), "0\r\n\r\n");
    }
    finish(x);
}

void weir_http_stream_abort(struct weir_http_exchange *x)
{
    WEIR_ASSERT(x->streaming && !x->answered);
    x->dispatched = false; /* its handler knows */
    http_conn_cut(x->conn);
}

void http_refuse(struct weir_http_exchange *x, int status, const char *reason,
                 const struct weir_http_request *req)
{
    struct weir_http_server *s = x->conn->server;
    struct weir_str text = weir_str_z(reason);
    struct weir_str type = WEIR_STR("text/plain");
    weir_buf_reset(&s->scratch);
    if (s->handler.error_body != NULL) {
        s->handler.error_body(s->handler.ctx, status, text, req, &s->scratch);
        type = WEIR_STR("application/json");
    } else {
        weir_buf_str(&s->scratch, text);
        weir_buf_char(&s->scratch, '\n');
    }
    x->keep_alive = false;
    x->head = false; /* what the request was is not certain */
    http_count(&s->stats.requests_refused, 1);
    weir_http_reply(x, status, WEIR_STR(""), type, weir_buf_view(&s->scratch));
}
