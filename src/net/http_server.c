/* SPDX-License-Identifier: Apache-2.0 */
/* http_server.c - the listener and the end of it. */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/http_internal.h"

enum { BACKLOG = 4096, SCRATCH_MAX = 64 * 1024 };

/* ---- listening ---- */

static int bind_socket(const struct sockaddr *addr, socklen_t len, bool shared)
{
    int one = 1;
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (shared) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    }
    if (bind(fd, addr, len) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

static bool address_of(const char *host, uint16_t port, struct sockaddr_storage *ret_addr,
                       socklen_t *ret_len)
{
    *ret_addr = (struct sockaddr_storage){0};
    struct sockaddr_in *in = (struct sockaddr_in *)ret_addr;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret_addr;
    if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        *ret_len = sizeof(*in);
        return true;
    }
    if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        *ret_len = sizeof(*in6);
        return true;
    }
    return false;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);
    getsockname(fd, (struct sockaddr *)&addr, &len);
    return ntohs(addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
                                            : ((struct sockaddr_in *)&addr)->sin_port);
}

bool http_is_loopback(const struct sockaddr_storage *peer)
{
    if (peer->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)peer;
        return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
    }
    if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)peer;
        const uint8_t *b = in6->sin6_addr.s6_addr;
        return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && b[12] == 127);
    }
    return false;
}

enum weir_err weir_http_listen(const char *host, uint16_t port, bool first, int *ret_fd,
                               uint16_t *ret_port)
{
    struct sockaddr_storage addr;
    socklen_t len;
    if (!address_of(host, port, &addr, &len)) {
        return WEIR_ERR_INVALID;
    }
    if (first && port != 0) { /* SO_REUSEPORT would join whoever listens there already */
        int probe = bind_socket((struct sockaddr *)&addr, len, false);
        if (probe < 0) {
            return WEIR_ERR_IO;
        }
        close(probe);
    }
    int fd = bind_socket((struct sockaddr *)&addr, len, true);
    if (fd < 0) {
        return WEIR_ERR_IO;
    }
    if (listen(fd, BACKLOG) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return WEIR_ERR_IO;
    }
    *ret_port = port_of(fd);
    *ret_fd = fd;
    return WEIR_OK;
}

/* ---- the server ---- */

static void on_connection(uv_stream_t *listener, int status)
{
    if (status == 0) {
        http_conn_accept(listener->data, listener);
    }
}

static void check_drained(struct weir_http_server *s)
{
    if (s->draining && s->handles == 0 && s->drained != NULL) {
        void (*drained)(void *ctx) = s->drained;
        s->drained = NULL;
        drained(s->drained_ctx);
    }
}

void http_server_conn_gone(struct weir_http_server *s)
{
    s->handles--;
    check_drained(s);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct weir_http_server *s = handle->data;
    s->handles--;
    check_drained(s);
}

static void end_if_empty(struct weir_http_server *s)
{
    if (s->draining && s->conns == NULL && !uv_is_closing((uv_handle_t *)&s->sweep)) {
        uv_close((uv_handle_t *)&s->sweep, on_handle_closed);
    }
}

/* Whether a connection ends now that the server does. A new one's request may be on its way. */
static bool has_to_go(const struct weir_http_server *s, const struct http_conn *c, uint64_t now_ms)
{
    return now_ms >= s->drain_until_ms ||
           (http_conn_is_idle(c) && (c->served || now_ms - c->phase_ms >= HTTP_FRESH_MS));
}

static void on_sweep(uv_timer_t *timer)
{
    struct weir_http_server *s = timer->data;
    uint64_t now_ms = uv_now(&s->loop->uv);
    if (s->accept_waits && !s->draining) {
        s->accept_waits = false;
        http_conn_accept(s, (uv_stream_t *)&s->listener);
    }
    for (struct http_conn *c = s->conns, *next; c != NULL; c = next) {
        next = c->next;
        if (s->draining && has_to_go(s, c, now_ms)) {
            http_conn_close(c);
        } else {
            http_conn_sweep(c, now_ms);
        }
    }
    end_if_empty(s);
}

enum weir_err weir_http_server_new(struct weir_loop *loop, int fd,
                                   const struct weir_http_limits *limits,
                                   const struct weir_http_handler *handler,
                                   struct weir_http_server **ret_server)
{
    struct weir_http_server *s = weir_zalloc(sizeof(*s));
    if (s == NULL) {
        close(fd);
        return WEIR_ERR_NOMEM;
    }
    s->loop = loop;
    s->limits = *limits;
    s->handler = *handler;
    weir_buf_init(&s->scratch, SCRATCH_MAX);
    int err = uv_tcp_init(&loop->uv, &s->listener);
    WEIR_ASSERT(err == 0); /* no socket is made here */
    uv_timer_init(&loop->uv, &s->sweep);
    s->listener.data = s->sweep.data = s;
    s->handles = 2;
    err = uv_tcp_open(&s->listener, fd);
    if (err != 0) {
        close(fd);
    } else {
        err = uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_connection);
    }
    if (err != 0) {
        s->draining = true;
        uv_close((uv_handle_t *)&s->listener, on_handle_closed);
        uv_close((uv_handle_t *)&s->sweep, on_handle_closed);
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        weir_http_server_free(s);
        return WEIR_ERR_IO;
    }
    uv_timer_start(&s->sweep, on_sweep, HTTP_SWEEP_MS, HTTP_SWEEP_MS);
    *ret_server = s;
    return WEIR_OK;
}

void weir_http_server_drain(struct weir_http_server *server, uint32_t timeout_ms,
                            void (*drained)(void *ctx), void *ctx)
{
    WEIR_ASSERT(!server->draining);
    server->draining = true;
    server->drained = drained;
    server->drained_ctx = ctx;
    server->drain_until_ms = uv_now(&server->loop->uv) + timeout_ms;
    uv_close((uv_handle_t *)&server->listener, on_handle_closed);
    on_sweep(&server->sweep);
    if (server->conns != NULL) { /* look often now: the last answer ends it */
        uv_timer_start(&server->sweep, on_sweep, HTTP_DRAIN_MS, HTTP_DRAIN_MS);
    }
}

void weir_http_server_free(struct weir_http_server *server)
{
    if (server == NULL) {
        return;
    }
    WEIR_ASSERT(server->handles == 0);
    http_spares_free(server);
    weir_buf_deinit(&server->scratch);
    weir_free(server);
}

const struct weir_http_stats *weir_http_server_stats(const struct weir_http_server *server)
{
    return &server->stats;
}
