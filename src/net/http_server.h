/* SPDX-License-Identifier: Apache-2.0 */
/* http_server.h - HTTP/1.1 (RFC 9112) on one listener of one loop: requests in, answers out. Knows
 * nothing of limits. Strict: duplicate or conflicting Content-Length, Content-Length with
 * Transfer-Encoding, obs-fold, bare LF, bare CR, NUL and unknown transfer codings are refused with
 * an answer and the connection is closed. Loop thread only.
 *
 * Answers may be given inside on_request or later; they leave in the order of their requests, and
 * all answers of one loop turn leave in one write per connection. */
#ifndef WEIR_NET_HTTP_SERVER_H
#define WEIR_NET_HTTP_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "net/loop.h"

enum weir_http_method {
    WEIR_HTTP_GET,
    WEIR_HTTP_HEAD,
    WEIR_HTTP_POST,
    WEIR_HTTP_PATCH,
    WEIR_HTTP_DELETE,
    WEIR_HTTP_OTHER, /* text in request->method_text */
};

enum { WEIR_HTTP_HEADERS_MAX = 100 };

struct weir_http_header {
    struct weir_str name;  /* as sent */
    struct weir_str value; /* trimmed */
};

/* Valid only during on_request: what an answer given later needs must be copied. */
struct weir_http_request {
    enum weir_http_method method;
    struct weir_str method_text;
    struct weir_str path;  /* of the target, as sent, without query (and authority) */
    struct weir_str query; /* without '?', may be empty */
    const struct weir_http_header *header;
    size_t headers;
    struct weir_str body; /* complete, chunks joined */
};

/* The value of the header (name in lower case), or an empty slice with p NULL. */
struct weir_str weir_http_header(const struct weir_http_request *req, struct weir_str name);

/* One request and its answer. Lives until answered, or until on_gone returns. */
struct weir_http_exchange;

struct weir_http_handler {
    /* A complete request. Must lead, now or later, to exactly one answer: weir_http_reply, or
     * weir_http_stream_begin .. weir_http_stream_end or _abort. */
    void (*on_request)(void *ctx, struct weir_http_exchange *x,
                       const struct weir_http_request *req);
    /* The client went away before the answer was complete: x ends when this returns, and must not
     * be used after. May be NULL only if every answer is given inside on_request. */
    void (*on_gone)(void *ctx, struct weir_http_exchange *x);
    /* The client has taken what weir_http_stream_wait waits for. May be NULL where nothing does. */
    void (*on_drained)(void *ctx, struct weir_http_exchange *x);
    /* The server itself refuses a request (400, 408, 411, 413, 414, 417, 431, 501, 505): appends
     * the JSON body for it; `reason` is a constant sentence. req: as far as it came, which is its
     * whole head; NULL: not so far. NULL: a plain text body. */
    void (*error_body)(void *ctx, int status, struct weir_str reason,
                       const struct weir_http_request *req, struct weir_buf *body);
    void *ctx;
};

struct weir_http_limits {
    size_t head_bytes_max;   /* request line + headers: 431 above */
    size_t target_bytes_max; /* 414 above */
    size_t body_bytes_max;   /* 413 above */
    size_t
        answer_bytes_max;  /* unsent bytes of one connection; above: not read from until drained */
    uint32_t pipeline_max; /* unanswered requests of one connection, which together have at most
                            * twice the bytes that one may have; above: not read from */
    uint32_t connections_max; /* above: accepted and closed at once */
    uint32_t head_timeout_ms; /* from the first byte (or accept) to the end of the headers: 408 */
    uint32_t body_timeout_ms; /* from the end of the headers to the end of the body: 408 */
    uint32_t idle_timeout_ms; /* keep-alive without a request: closed */
};

/* The owner writes (relaxed), any thread reads. */
struct weir_http_stats {
    _Atomic uint64_t connections_open;
    _Atomic uint64_t connections_total;
    _Atomic uint64_t connections_refused;
    _Atomic uint64_t requests_refused; /* answered by the server itself */
};

struct weir_http_server;

/* A listening socket for `host` (numeric) and `port` (0: the kernel chooses), SO_REUSEPORT set so
 * that each worker has its own; the first call for an address fails with WEIR_ERR_IO and errno
 * EADDRINUSE when any other process listens there (first = true). *ret_port: the real port. */
WEIR_MUSTCHECK enum weir_err weir_http_listen(const char *host, uint16_t port, bool first,
                                              int *ret_fd, uint16_t *ret_port);

/* Serves the listening socket fd (owned from here on) on the loop. limits and handler are copied.
 */
WEIR_MUSTCHECK enum weir_err weir_http_server_new(struct weir_loop *loop, int fd,
                                                  const struct weir_http_limits *limits,
                                                  const struct weir_http_handler *handler,
                                                  struct weir_http_server **ret_server);
/* Stops listening; idle connections close, others after their present answers (which say
 * "connection: close"); what is still open after timeout_ms is cut (on_gone). Then calls `drained`,
 * after which the server may be freed. */
void weir_http_server_drain(struct weir_http_server *server, uint32_t timeout_ms,
                            void (*drained)(void *ctx), void *ctx);
/* Only after `drained` was called. NULL is allowed. */
void weir_http_server_free(struct weir_http_server *server);
const struct weir_http_stats *weir_http_server_stats(const struct weir_http_server *server);

/* A slot for the handler's own pointer; NULL at first. */
void **weir_http_exchange_slot(struct weir_http_exchange *x);
/* Another one, for who watches the handlers. */
void **weir_http_exchange_note(struct weir_http_exchange *x);
/* Gives it up (on_gone) also when its client only shuts its side: a client that aborts does no more
 * than that, and nothing would tell before the answer comes. */
void weir_http_exchange_needs_client(struct weir_http_exchange *x);
/* Whether the peer is a loopback address. */
bool weir_http_peer_loopback(const struct weir_http_exchange *x);

/* A whole answer. `headers` is empty or complete lines, each ended by CRLF; the server adds date,
 * content-type (unless empty), content-length and connection. A HEAD request, and a 204 or 304, get
 * no body. status: 200 to 599. All slices are copied. */
void weir_http_reply(struct weir_http_exchange *x, int status, struct weir_str headers,
                     struct weir_str content_type, struct weir_str body);

/* A streamed answer: chunked on HTTP/1.1, ended by close on 1.0. Bytes written in one turn leave
 * together. weir_http_stream_end ends x. */
void weir_http_stream_begin(struct weir_http_exchange *x, int status, struct weir_str headers,
                            struct weir_str content_type);
void weir_http_stream_write(struct weir_http_exchange *x, struct weir_str bytes);
/* Bytes written that the client has not taken yet: a writer that has more waits while they are
 * many. */
size_t weir_http_stream_unsent(const struct weir_http_exchange *x);
/* Calls on_drained once, at the end of this turn or later, when no more than `below` bytes are
 * unsent. */
void weir_http_stream_wait(struct weir_http_exchange *x, size_t below);
void weir_http_stream_end(struct weir_http_exchange *x);
/* Ends x so that its client sees that something is missing: by closing the connection. Answers that
 * wait behind it are gone (on_gone). */
void weir_http_stream_abort(struct weir_http_exchange *x);

#endif
