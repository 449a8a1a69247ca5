/* SPDX-License-Identifier: Apache-2.0 */
/* http_internal.h - what the parts of the HTTP server share. Private to net.
 *   http_parse.c   bytes in, requests out (no I/O)
 *   http_answer.c  heads, chunks, the order of answers
 *   http_conn.c    one connection: its phases, writing, time-outs, its end
 *   http_read.c    the same, reading
 *   http_server.c  the listener, draining */
#ifndef WEIR_NET_HTTP_INTERNAL_H
#define WEIR_NET_HTTP_INTERNAL_H

#include <llhttp.h>
#include <sys/socket.h>

#include "net/http_server.h"

enum {
    HTTP_READ_BYTES = 64 * 1024,
    HTTP_SWEEP_MS = 250,
    HTTP_DRAIN_MS = 20,           /* the same while draining */
    HTTP_FRESH_MS = 500,          /* for a new connection's first bytes while draining */
    HTTP_KEEP_BYTES = 16 * 1024,  /* a buffer larger than this is given back when empty */
    HTTP_LINGER_MS = 2000,        /* after a refusal: time for the client to read the answer */
    HTTP_LINGER_BYTES = 64 << 20, /* and to send what it has begun: most read no sooner */
    HTTP_OUT_BYTES_MAX = 64 << 20 /* a client that reads no answer is cut here */
};

/* ---- parser: one request at a time ---- */

/* A slice of the request as offsets from its first byte: its bytes may move while it is read. */
struct http_span {
    uint32_t at, len;
};

struct http_parser {
    llhttp_t llhttp;
    const struct weir_http_limits *limits;
    const char *base; /* where the request's first byte is now */
    struct http_span target;
    struct http_span name[WEIR_HTTP_HEADERS_MAX], value[WEIR_HTTP_HEADERS_MAX];
    struct http_span body;  /* of a request that is not chunked */
    struct weir_buf chunks; /* the joined body of a chunked one */
    uint32_t headers;
    uint32_t head_bytes;  /* 0 until the head is complete */
    size_t chunked_bytes; /* of a chunked body, as sent */
    const char *checked;  /* up to here its lines were looked at, in the present feed */
    char last;            /* the byte before it; 0 behind a chunk's bytes */
    bool in_value, chunked, complete, expects_continue;
    int status; /* of the refusal; 0: none */
    const char *reason;
};

enum http_parsed {
    HTTP_NEEDS_MORE,
    HTTP_HEAD_DONE, /* an interim answer may be due (Expect): call again to go on */
    HTTP_COMPLETE,
    HTTP_REFUSED, /* status and reason say why; nothing more is read */
};

void http_parser_init(struct http_parser *p, const struct weir_http_limits *limits);
void http_parser_deinit(struct http_parser *p);
/* Feeds bytes[from..len) of a request that began at bytes[0]; earlier bytes were fed before.
 * *ret_used: how far it got. */
enum http_parsed http_parser_feed(struct http_parser *p, const char *bytes, size_t from, size_t len,
                                  size_t *ret_used);
bool http_parser_has_head(const struct http_parser *p);
/* The request that was just completed, or whose head is; `header` has room for
 * WEIR_HTTP_HEADERS_MAX. */
void http_parser_request(const struct http_parser *p, struct weir_http_header *header,
                         struct weir_http_request *ret_request);
/* Ready for the request after one that was complete. */
void http_parser_next(struct http_parser *p);
bool http_parser_keep_alive(const struct http_parser *p);
bool http_parser_is_http10(const struct http_parser *p);

/* ---- exchanges and connections ---- */

struct http_conn;

struct weir_http_exchange {
    struct http_conn *conn;
    struct weir_http_exchange *next;
    void *slot, *note;
    struct weir_buf out; /* what waits for the answers before it */
    size_t held;         /* how much of it the connection counts */
    size_t asked;        /* bytes of the request, until it is answered */
    size_t wait_below;   /* on_drained is due when fewer bytes are unsent; 0: never */
    bool dispatched;     /* the handler knows it */
    bool answered;       /* complete */
    bool streaming;
    bool needs_client; /* is gone when the client has shut its side */
    bool head, http10, keep_alive;
};

enum http_phase { HTTP_IDLE, HTTP_IN_HEAD, HTTP_IN_BODY, HTTP_LINGER };

struct http_conn {
    uv_tcp_t tcp;
    struct weir_http_server *server;
    struct http_conn *prev, *next;
    struct http_parser parser;
    struct weir_buf
        in; /* of a request that one read did not complete, and what could not be handled yet */
    size_t parsed; /* how much of `in` the parser has seen */
    struct weir_buf out, sending;
    uv_write_t write;
    uv_shutdown_t shutdown;
    struct weir_turn_end flush;
    struct weir_http_exchange *first, **last; /* unanswered, oldest first */
    uint32_t unanswered;
    enum http_phase phase;
    uint64_t phase_ms, progress_ms, lingered_bytes;
    size_t held;   /* bytes in the buffers of exchanges */
    size_t asked;  /* of requests that are not answered: their handlers may keep copies */
    size_t unsent; /* of what is being written, when last looked at */
    bool writing, reading, closing, no_more_requests, peer_done, served, loopback;
    bool one_at_a_time; /* an HTTP/1.0 client: its answer may end with the connection */
};

struct weir_http_server {
    struct weir_loop *loop;
    struct weir_http_limits limits;
    struct weir_http_handler handler;
    struct weir_http_stats stats;
    uv_tcp_t listener;
    uv_timer_t sweep;
    struct http_conn *conns;
    struct weir_http_exchange *spare; /* free list */
    uint32_t spares;
    struct weir_buf scratch; /* bodies of refusals */
    struct weir_http_header header[WEIR_HTTP_HEADERS_MAX];
    char date[64];
    size_t date_len;
    uint64_t date_s;
    uint64_t drain_until_ms;
    bool draining;
    bool accept_waits; /* a connection for which there was no memory */
    unsigned handles;  /* of our own that are not closed yet */
    void (*drained)(void *ctx);
    void *drained_ctx;
    char read[HTTP_READ_BYTES];
};

/* What a connection holds for its client. */
static inline size_t http_conn_unsent(const struct http_conn *c)
{
    return c->out.len + c->sending.len + c->held;
}

static inline uint64_t http_conn_now_ms(const struct http_conn *c)
{
    return uv_now(&c->server->loop->uv);
}

static inline void http_count(_Atomic uint64_t *counter, int64_t by)
{
    uint64_t was = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, was + (uint64_t)by, memory_order_relaxed);
}

/* NULL: no memory. */
struct weir_http_exchange *http_exchange_new(struct http_conn *c);
void http_exchange_free(struct weir_http_exchange *x);
/* Takes an exchange out of the server's care for good. */
void http_spares_free(struct weir_http_server *s);
/* Answers with the server's own refusal. req: NULL where its head is not complete. */
void http_refuse(struct weir_http_exchange *x, int status, const char *reason,
                 const struct weir_http_request *req);
/* Tells the oldest exchange's writer that its client has read enough, if it waits for that. It may
 * end the connection's exchange, not the connection. */
void http_exchange_drained(struct http_conn *c);
/* Something was added to a connection's output. */
void http_conn_touched(struct http_conn *c);
/* The oldest exchanges that are complete leave. */
void http_conn_advance(struct http_conn *c);
/* From now on it is in this phase. */
void http_conn_enter(struct http_conn *c, enum http_phase phase);
/* Sends 100 (Continue) when a client waits for it. An interim answer keeps the order too: it is due
 * when no other is. */
void http_conn_invite_body(struct http_conn *c);
/* Reads what comes from now on. */
void http_conn_read(struct http_conn *c);
/* Goes on with requests that had to wait, and with reading. */
void http_conn_resume(struct http_conn *c);
/* Answers what is being read with a refusal, the last answer of the connection. */
void http_conn_refuse(struct http_conn *c, int status, const char *reason);
void http_conn_accept(struct weir_http_server *s, uv_stream_t *listener);
/* Cut: exchanges that the handler knows are gone. */
void http_conn_close(struct http_conn *c);
/* The same, when its oldest exchange was given up: behind what was written, as far as the socket
 * takes it at once. */
void http_conn_cut(struct http_conn *c);
/* Time has passed: close what is late. */
void http_conn_sweep(struct http_conn *c, uint64_t now_ms);
/* No request is under way or unanswered, nothing waits to be sent or to be read by the client. */
bool http_conn_is_idle(const struct http_conn *c);
/* IPv4, IPv6 and IPv4 in IPv6. */
bool http_is_loopback(const struct sockaddr_storage *peer);
void http_server_conn_gone(struct weir_http_server *s);

#endif
