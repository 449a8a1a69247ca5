/* SPDX-License-Identifier: Apache-2.0 */
/* http_conn.c - one connection: its phases, answers out, its time-outs, its end. */
#include "base/mem.h"
#include "net/http_internal.h"

void http_conn_enter(struct http_conn *c, enum http_phase phase)
{
    c->phase = phase;
    c->phase_ms = http_conn_now_ms(c);
}

bool http_conn_is_idle(const struct http_conn *c)
{
    return c->first == NULL && c->in.len == 0 && c->out.len == 0 && !c->writing &&
           c->phase != HTTP_LINGER;
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct http_conn *c = handle->data;
    struct weir_http_server *s = c->server;
    http_parser_deinit(&c->parser);
    weir_buf_deinit(&c->in);
    weir_buf_deinit(&c->out);
    weir_buf_deinit(&c->sending);
    weir_free(c);
    http_server_conn_gone(s);
}

void http_conn_close(struct http_conn *c)
{
    if (c->closing) {
        return;
    }
    c->closing = true;
    struct weir_http_server *s = c->server;
    while (c->first != NULL) {
        struct weir_http_exchange *x = c->first;
        c->first = x->next;
        if (x->dispatched && !x->answered && s->handler.on_gone != NULL) {
            s->handler.on_gone(s->handler.ctx, x);
        }
        http_exchange_free(x);
    }
    weir_loop_turn_end_cancel(s->loop, &c->flush); /* also what on_gone may have caused */
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        s->conns = c->next;
    }
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    http_count(&s->stats.connections_open, -1);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

void http_conn_cut(struct http_conn *c)
{
    if (!c->closing && !c->writing && !c->out.failed && c->out.len > 0) {
        uv_buf_t buf = uv_buf_init(c->out.data, (unsigned)c->out.len);
        int wrote = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
        (void)wrote; /* it ends either way */
    }
    http_conn_close(c);
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
    struct http_conn *c = req->data;
    if (c->closing) {
        return;
    }
    if (status != 0 || c->peer_done) {
        http_conn_close(c);
    }
}

/* All is said: lets the client read it before the connection goes, which a close with unread input
 * would prevent (RFC 9112, section 9.6). */
static void linger(struct http_conn *c)
{
    if (c->phase == HTTP_LINGER) {
        return;
    }
    http_conn_enter(c, HTTP_LINGER);
    if (c->peer_done) {
        http_conn_close(c);
        return;
    }
    c->shutdown.data = c;
    if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown) != 0) {
        http_conn_close(c);
    }
}

/* ---- out ---- */

static void flush(struct http_conn *c);

/* What waited for the client to read. */
static void go_on(struct http_conn *c)
{
    if (!c->closing) {
        http_exchange_drained(c);
    }
    if (!c->closing) {
        http_conn_resume(c);
    }
}

static void on_written(uv_write_t *req, int status)
{
    struct http_conn *c = req->data;
    c->writing = false;
    if (c->closing) {
        return;
    }
    if (status != 0) {
        http_conn_close(c);
        return;
    }
    c->progress_ms = http_conn_now_ms(c);
    if (c->sending.room > HTTP_KEEP_BYTES) {
        weir_buf_deinit(&c->sending);
    }
    weir_buf_reset(&c->sending);
    flush(c);
    go_on(c);
}

/* The rest of `out` goes with the loop's help; what comes meanwhile gathers in the other buffer. */
static void send_rest(struct http_conn *c)
{
    struct weir_buf rest = c->out;
    c->out = c->sending;
    c->sending = rest;
    uv_buf_t buf = uv_buf_init(c->sending.data, (unsigned)c->sending.len);
    c->write.data = c;
    c->writing = true;
    c->progress_ms = http_conn_now_ms(c);
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written) != 0) {
        c->writing = false;
        http_conn_close(c);
    }
}

static void flush(struct http_conn *c)
{
    if (c->out.failed) { /* no memory, or a client that takes nothing */
        http_conn_close(c);
        return;
    }
    if (c->writing) {
        return;
    }
    if (c->out.len > 0) {
        uv_buf_t buf = uv_buf_init(c->out.data, (unsigned)c->out.len);
        int wrote = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
        if (wrote < 0 && wrote != UV_EAGAIN) {
            http_conn_close(c);
            return;
        }
        weir_buf_consume(&c->out, wrote < 0 ? 0 : (size_t)wrote);
        if (c->out.len > 0) {
            send_rest(c);
            return;
        }
        if (c->out.room > HTTP_KEEP_BYTES) {
            weir_buf_deinit(&c->out);
        }
    }
    if (c->first == NULL && c->no_more_requests) {
        linger(c);
    }
}

static void run_flush(struct weir_turn_end *w)
{
    struct http_conn *c = (struct http_conn *)((char *)w - offsetof(struct http_conn, flush));
    flush(c);
    go_on(c);
}

void http_conn_touched(struct http_conn *c)
{
    weir_loop_at_turn_end(c->server->loop, &c->flush);
}

void http_conn_invite_body(struct http_conn *c)
{
    if (c->parser.expects_continue && c->phase == HTTP_IN_BODY && c->first == NULL &&
        !c->no_more_requests) {
        c->parser.expects_continue = false;
        http_conn_enter(c, HTTP_IN_BODY); /* its time starts now */
        WEIR_BUF_LIT(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
        http_conn_touched(c);
    }
}

void http_conn_advance(struct http_conn *c)
{
    while (c->first != NULL && c->first->answered) {
        struct weir_http_exchange *x = c->first;
        c->first = x->next;
        c->unanswered--;
        http_exchange_free(x);
        if (c->first != NULL) { /* what the next one has said so far */
            weir_buf_str(&c->out, weir_buf_view(&c->first->out));
            c->out.failed = c->out.failed || c->first->out.failed;
            weir_buf_reset(&c->first->out);
            c->held -= c->first->held;
            c->first->held = 0;
        } else {
            c->last = &c->first;
            if (c->phase == HTTP_IDLE) {
                http_conn_enter(c, HTTP_IDLE); /* idle from now on */
            }
            http_conn_invite_body(c);
        }
    }
    http_conn_touched(c);
}

/* ---- time ---- */

void http_conn_sweep(struct http_conn *c, uint64_t now)
{
    const struct weir_http_limits *l = &c->server->limits;
    uint64_t for_ms = now - c->phase_ms;
    size_t unsent = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
    if (unsent != c->unsent) {
        c->unsent = unsent;
        c->progress_ms = now;
    }
    if (c->writing && now - c->progress_ms >= l->idle_timeout_ms) {
        http_conn_close(c); /* the client reads no answer */
        return;
    }
    if (c->no_more_requests && c->phase != HTTP_LINGER) {
        return;
    }
    switch (c->phase) {
    case HTTP_IDLE:
        if (c->first == NULL && !c->writing &&
            for_ms >= (c->served ? l->idle_timeout_ms : l->head_timeout_ms)) {
            http_conn_close(c);
        }
        break;
    case HTTP_IN_HEAD:
        if (for_ms >= l->head_timeout_ms && c->reading) {
            http_conn_refuse(c, 408, "The request head took too long to arrive.");
        }
        break;
    case HTTP_IN_BODY:
        if (for_ms >= l->body_timeout_ms && c->reading && !c->parser.expects_continue) {
            c->parser.base = c->in.data; /* it may have moved since it was fed */
            http_conn_refuse(c, 408, "The request body took too long to arrive.");
        }
        break;
    case HTTP_LINGER:
        if (for_ms >= HTTP_LINGER_MS) {
            http_conn_close(c);
        }
        break;
    }
}

/* ---- the beginning ---- */

static void on_refused_closed(uv_handle_t *handle)
{
    struct http_conn *c = handle->data;
    struct weir_http_server *s = c->server;
    weir_free(c);
    http_server_conn_gone(s);
}

static struct http_conn *conn_new(struct weir_http_server *s)
{
    struct http_conn *c = weir_zalloc(sizeof(*c));
    if (c == NULL || uv_tcp_init(&s->loop->uv, &c->tcp) != 0) {
        weir_free(c);
        return NULL;
    }
    c->tcp.data = c;
    c->server = s;
    s->handles++;
    return c;
}

void http_conn_accept(struct weir_http_server *s, uv_stream_t *listener)
{
    struct http_conn *c = conn_new(s);
    if (c == NULL) {
        s->accept_waits = true; /* libuv listens on when it was accepted */
        return;
    }
    uint64_t open = atomic_load_explicit(&s->stats.connections_open, memory_order_relaxed);
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0 || open >= s->limits.connections_max) {
        http_count(&s->stats.connections_refused, 1);
        uv_close((uv_handle_t *)&c->tcp, on_refused_closed);
        return;
    }
    struct sockaddr_storage peer = {0};
    int peer_len = sizeof(peer);
    uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &peer_len);
    c->loopback = http_is_loopback(&peer);
    uv_tcp_nodelay(&c->tcp, 1);
    http_parser_init(&c->parser, &s->limits);
    weir_buf_init(&c->in, s->limits.head_bytes_max + s->limits.body_bytes_max + HTTP_READ_BYTES);
    weir_buf_init(&c->out, HTTP_OUT_BYTES_MAX);
    weir_buf_init(&c->sending, HTTP_OUT_BYTES_MAX);
    c->last = &c->first;
    c->flush.run = run_flush;
    c->next = s->conns;
    if (s->conns != NULL) {
        s->conns->prev = c;
    }
    s->conns = c;
    http_count(&s->stats.connections_open, 1);
    http_count(&s->stats.connections_total, 1);
    http_conn_enter(c, HTTP_IDLE);
    http_conn_read(c);
}
