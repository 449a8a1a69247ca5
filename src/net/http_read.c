/* SPDX-License-Identifier: Apache-2.0 */
/* http_read.c - what a connection's client sends: bytes in, requests to the handler, and when to
 * read no more. */
#include "net/http_internal.h"

/* What requests under way may come to before no more is read: any one alone, and what one read
 * brings. A client that goes is noticed only while it is read from. */
static size_t asked_max(const struct weir_http_limits *l)
{
    size_t one = l->head_bytes_max + l->body_bytes_max;
    return one > HTTP_READ_BYTES ? one : HTTP_READ_BYTES;
}

static bool must_wait(const struct http_conn *c)
{
    const struct weir_http_limits *l = &c->server->limits;
    return c->unanswered >= (c->one_at_a_time ? 1 : l->pipeline_max) || c->asked > asked_max(l) ||
           http_conn_unsent(c) > l->answer_bytes_max;
}

void http_conn_refuse(struct http_conn *c, int status, const char *reason)
{
    struct weir_http_exchange *x = http_exchange_new(c);
    struct weir_http_request req;
    bool has_head = http_parser_has_head(&c->parser);
    c->no_more_requests = true;
    if (x == NULL) {
        http_conn_close(c);
        return;
    }
    if (has_head) {
        http_parser_request(&c->parser, c->server->header, &req);
    }
    http_refuse(x, status, reason, has_head ? &req : NULL);
    weir_buf_reset(&c->in);
    c->parsed = 0;
}

static void dispatch(struct http_conn *c)
{
    struct weir_http_server *s = c->server;
    struct weir_http_request req;
    http_parser_request(&c->parser, s->header, &req);
    struct weir_http_exchange *x = http_exchange_new(c);
    if (x == NULL) {
        http_conn_close(c);
        return;
    }
    if (!x->keep_alive) {
        c->no_more_requests = true;
    }
    x->dispatched = true;
    x->asked = c->parser.head_bytes + req.body.len;
    c->asked += x->asked;
    c->one_at_a_time = x->http10;
    c->served = true;
    s->handler.on_request(s->handler.ctx, x, &req);
}

/* Handles what stands in bytes[from..len), where bytes[0] begins a request. Returns how many bytes
 * at the front are done with; *ret_parsed of the rest were seen by the parser. */
static size_t parse(struct http_conn *c, const char *bytes, size_t from, size_t len,
                    size_t *ret_parsed)
{
    size_t start = 0;
    enum http_parsed what = HTTP_NEEDS_MORE;
    /* After its head a request may be complete without a further byte. */
    while (!c->closing && !c->no_more_requests &&
           (what == HTTP_HEAD_DONE || (from < len && !must_wait(c)))) {
        if (c->phase == HTTP_IDLE) {
            http_conn_enter(c, HTTP_IN_HEAD);
        }
        size_t used;
        what = http_parser_feed(&c->parser, bytes + start, from - start, len - start, &used);
        from = start + used;
        if (what == HTTP_HEAD_DONE) {
            http_conn_enter(c, HTTP_IN_BODY);
            http_conn_invite_body(c);
        } else if (what == HTTP_COMPLETE) {
            start = from;
            http_conn_enter(c, HTTP_IDLE);
            dispatch(c);
            http_parser_next(&c->parser);
        } else if (what == HTTP_REFUSED) {
            http_conn_refuse(c, c->parser.status, c->parser.reason);
        }
    }
    *ret_parsed = from - start;
    return start;
}

/* Keeps what the parser still needs of bytes that are not `in`'s own. */
static void keep(struct http_conn *c, const char *bytes, size_t len, size_t parsed)
{
    if (c->parser.chunked && c->phase == HTTP_IN_BODY && parsed == len) {
        len = parsed = c->parser.head_bytes; /* the body is joined elsewhere */
    }
    weir_buf_append(&c->in, bytes, len);
    c->parsed = parsed;
    if (c->in.failed) {
        http_conn_close(c);
    }
}

static void handle_bytes(struct http_conn *c, const char *bytes, size_t len)
{
    size_t parsed;
    if (c->in.len == 0) {
        size_t done = parse(c, bytes, 0, len, &parsed);
        if (!c->closing && !c->no_more_requests && done < len) {
            keep(c, bytes + done, len - done, parsed);
        }
        return;
    }
    weir_buf_append(&c->in, bytes, len);
    if (c->in.failed) {
        http_conn_close(c);
        return;
    }
    size_t done = parse(c, c->in.data, c->parsed, c->in.len, &parsed);
    if (c->closing) {
        return;
    }
    if (c->no_more_requests) {
        done = c->in.len;
        parsed = 0;
    }
    weir_buf_consume(&c->in, done);
    c->parsed = parsed;
    if (c->parser.chunked && c->phase == HTTP_IN_BODY && parsed == c->in.len) {
        c->in.len = c->parsed = c->parser.head_bytes;
    }
    if (c->in.len == 0 && c->in.room > HTTP_KEEP_BYTES) {
        weir_buf_deinit(&c->in);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct http_conn *c = handle->data;
    *buf = uv_buf_init(c->server->read, HTTP_READ_BYTES);
}

static void on_eof(struct http_conn *c)
{
    c->peer_done = true;
    uv_read_stop((uv_stream_t *)&c->tcp);
    c->reading = false;
    c->no_more_requests = true;
    for (const struct weir_http_exchange *x = c->first; x != NULL; x = x->next) {
        if (x->needs_client && !x->answered) {
            http_conn_close(c);
            return;
        }
    }
    if ((c->first == NULL && c->out.len == 0 && !c->writing) || c->phase == HTTP_LINGER) {
        http_conn_close(c);
    } /* else the answers under way are given first */
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct http_conn *c = stream->data;
    if (got == UV_EOF) {
        on_eof(c);
    } else if (got < 0) {
        http_conn_close(c);
    } else if (c->no_more_requests) {
        c->lingered_bytes += (uint64_t)got;
        if (c->lingered_bytes > HTTP_LINGER_BYTES) {
            http_conn_close(c);
        }
    } else if (got > 0) {
        handle_bytes(c, buf->base, (size_t)got);
        if (!c->closing && !c->no_more_requests && must_wait(c) && c->reading) {
            uv_read_stop(stream);
            c->reading = false;
        }
    }
}

void http_conn_read(struct http_conn *c)
{
    c->reading = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) == 0;
}

void http_conn_resume(struct http_conn *c)
{
    if (c->reading || c->peer_done || must_wait(c)) {
        return;
    }
    if (c->in.len > c->parsed && !c->no_more_requests) {
        handle_bytes(c, NULL, 0);
    }
    if (!c->closing && !must_wait(c)) {
        if (c->phase == HTTP_IN_HEAD || c->phase == HTTP_IN_BODY) {
            c->phase_ms = http_conn_now_ms(c); /* the client could not send meanwhile */
        }
        http_conn_read(c);
    }
}
