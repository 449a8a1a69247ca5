/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis/link.h"

#include "base/mem.h"

enum {
    READ_BYTES = 64 * 1024,
    SENDING_BYTES_MAX = (128 << 20) + (1 << 20), /* all that a connection may have to say */
    TLS_PIECE_BYTES = 256 * 1024,                /* encrypted at once: what OpenSSL keeps of it */
};

/* Outlives its owner's interest until libuv has closed it. */
struct redis_link {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    struct redis_link_owner owner;
    bool closed;
    uint32_t address;
    uv_connect_t connect;
    uv_getaddrinfo_t resolve;
    uv_write_t write;
    struct weir_redis_tls_stream *tls; /* NULL: in clear */
    struct weir_buf sending;           /* what the kernel did not take at once */
    unsigned users;                    /* of this memory: the handle, a resolution under way */
    bool writing, connected, open, heard;
    char read[READ_BYTES];
};

static void unuse(struct redis_link *l)
{
    if (--l->users == 0) {
        weir_redis_tls_stream_free(l->tls);
        weir_buf_deinit(&l->sending);
        weir_free(l);
    }
}

static void on_closed(uv_handle_t *handle)
{
    unuse(handle->data);
}

void redis_link_close(struct redis_link *l)
{
    if (l != NULL) {
        l->closed = true;
        uv_cancel((uv_req_t *)&l->resolve);
        uv_close(&l->uv.handle, on_closed);
    }
}

/* What a failed read or write means. */
static const char *end_text(const struct redis_link *l, int err)
{
    if (l->tls != NULL && l->open && !l->heard) { /* the end of its handshake comes after ours */
        return "broke the connection after agreeing on TLS: it may want store_tls.cert";
    }
    return err != UV_EOF ? uv_strerror(err) : "closed the connection";
}

static void broken(struct redis_link *l, enum weir_redis_why why, const char *text)
{
    l->owner.on_broken(l->owner.ctx, why, text);
}

bool redis_link_is_connected(const struct redis_link *l)
{
    return l->connected;
}

/* ---- writing ---- */

bool redis_link_busy(const struct redis_link *l)
{
    return l->writing;
}

static const char *send_outgoing(struct redis_link *l);

static void on_written(uv_write_t *req, int status)
{
    struct redis_link *l = req->data;
    l->writing = false;
    if (l->closed) {
        return;
    }
    const char *why = status != 0 ? end_text(l, status) : send_outgoing(l);
    if (why != NULL) {
        broken(l, WEIR_REDIS_OUT_OF_REACH, why);
    } else if (l->open && !l->writing) {
        l->owner.on_writable(l->owner.ctx);
    }
}

/* All of it: what the kernel does not take goes with the loop's help, from a copy. */
static const char *send_bytes(struct redis_link *l, const char *bytes, size_t len)
{
    uv_buf_t buf = {.base = (char *)(uintptr_t)bytes, .len = len};
    int wrote = uv_try_write(&l->uv.stream, &buf, 1);
    if (wrote < 0 && wrote != UV_EAGAIN) {
        return end_text(l, wrote);
    }
    size_t took = wrote > 0 ? (size_t)wrote : 0;
    if (took == len) {
        return NULL;
    }
    weir_buf_reset(&l->sending);
    weir_buf_append(&l->sending, bytes + took, len - took);
    if (l->sending.failed) {
        return "cannot be written to: out of memory";
    }
    buf = uv_buf_init(l->sending.data, (unsigned)l->sending.len);
    l->write.data = l;
    l->writing = true;
    int err = uv_write(&l->write, &l->uv.stream, &buf, 1, on_written);
    return err == 0 ? NULL : uv_strerror(err);
}

/* What TLS has to say: handshakes, too. */
static const char *send_outgoing(struct redis_link *l)
{
    if (l->tls == NULL || l->writing) {
        return NULL;
    }
    struct weir_str out = weir_redis_tls_outgoing(l->tls);
    if (out.len == 0) {
        return NULL;
    }
    const char *why = send_bytes(l, out.p, out.len);
    weir_redis_tls_sent(l->tls);
    return why;
}

const char *redis_link_write(struct redis_link *l, const char *bytes, size_t len, size_t *ret_taken)
{
    *ret_taken = len;
    if (l->tls == NULL) {
        return send_bytes(l, bytes, len);
    }
    *ret_taken = len < TLS_PIECE_BYTES ? len : TLS_PIECE_BYTES;
    return weir_redis_tls_write(l->tls, bytes, *ret_taken) ? send_outgoing(l)
                                                           : weir_redis_tls_why(l->tls);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct redis_link *l = handle->data;
    *buf = uv_buf_init(l->read, l->closed ? 0 : READ_BYTES);
}

/* What the handshake's or the stream's end means. */
static void tls_over(struct redis_link *l, enum weir_redis_tls_state state)
{
    if (state == WEIR_REDIS_TLS_FAILED) {
        const char *ignored = send_outgoing(l); /* tells the server why */
        (void)ignored;
        broken(l, WEIR_REDIS_REFUSED, weir_redis_tls_why(l->tls));
    } else {
        broken(l, WEIR_REDIS_OUT_OF_REACH, "closed the connection");
    }
}

static void tls_go_on(struct redis_link *l)
{
    enum weir_redis_tls_state state = WEIR_REDIS_TLS_HAS;
    if (!l->open) {
        state = weir_redis_tls_shake(l->tls);
        l->open = state == WEIR_REDIS_TLS_HAS;
        if (l->open) {
            l->owner.on_open(l->owner.ctx);
        }
    }
    while (!l->closed && state == WEIR_REDIS_TLS_HAS) {
        struct weir_str bytes;
        state = weir_redis_tls_read(l->tls, &bytes);
        if (state == WEIR_REDIS_TLS_HAS) {
            l->heard = true;
            l->owner.on_bytes(l->owner.ctx, bytes.p, bytes.len);
        }
    }
    if (l->closed) {
        return;
    }
    if (state != WEIR_REDIS_TLS_WAITS) {
        tls_over(l, state);
        return;
    }
    const char *why = send_outgoing(l);
    if (why != NULL) {
        broken(l, WEIR_REDIS_OUT_OF_REACH, why);
    }
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct redis_link *l = stream->data;
    if (l->closed || got == 0) {
        return;
    }
    if (got < 0) {
        broken(l, WEIR_REDIS_OUT_OF_REACH, end_text(l, (int)got));
    } else if (l->tls == NULL) {
        l->owner.on_bytes(l->owner.ctx, buf->base, (size_t)got);
    } else if (!weir_redis_tls_feed(l->tls, buf->base, (size_t)got)) {
        broken(l, WEIR_REDIS_OUT_OF_REACH, "cannot be read: out of memory");
    } else {
        tls_go_on(l);
    }
}

/* ---- connecting ---- */

static void on_connected(uv_connect_t *req, int status)
{
    struct redis_link *l = req->data;
    if (l->closed) {
        return;
    }
    if (status == 0) {
        status = uv_read_start(&l->uv.stream, on_alloc, on_read);
    }
    if (status != 0) {
        broken(l, WEIR_REDIS_OUT_OF_REACH, uv_strerror(status));
        return;
    }
    l->connected = true;
    if (l->tls != NULL) {
        tls_go_on(l);
    } else {
        l->open = true;
        l->owner.on_open(l->owner.ctx);
    }
}

static int connect_to(struct redis_link *l, const struct sockaddr *addr)
{
    l->connect.data = l;
    uv_tcp_nodelay(&l->uv.tcp, 1);
    return uv_tcp_connect(&l->connect, &l->uv.tcp, addr, on_connected);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct redis_link *l = req->data;
    if (!l->closed && status == 0) {
        uint32_t count = 0;
        for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
            count++;
        }
        const struct addrinfo *chosen = list;
        for (uint32_t i = 0; count > 0 && i < l->address % count; i++) {
            chosen = chosen->ai_next;
        }
        status = chosen == NULL ? UV_EAI_NONAME : connect_to(l, chosen->ai_addr);
    }
    uv_freeaddrinfo(list);
    if (!l->closed && status != 0) {
        broken(l, WEIR_REDIS_OUT_OF_REACH, uv_strerror(status));
    }
    unuse(l);
}

static int resolve(struct redis_link *l, const struct weir_redis_target *target)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", (unsigned)target->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    l->resolve.data = l;
    int err =
        uv_getaddrinfo(l->uv.handle.loop, &l->resolve, on_resolved, target->host, port, &hints);
    if (err == 0) {
        l->users++;
    }
    return err;
}

static int start(struct redis_link *l, const struct weir_redis_target *target)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (target->unix_path[0] != '\0') {
        l->connect.data = l;
        uv_pipe_connect(&l->connect, &l->uv.pipe, target->unix_path, on_connected);
        return 0;
    }
    if (uv_ip4_addr(target->host, target->port, &in) == 0) {
        return connect_to(l, (struct sockaddr *)&in);
    }
    if (uv_ip6_addr(target->host, target->port, &in6) == 0) {
        return connect_to(l, (struct sockaddr *)&in6);
    }
    return resolve(l, target);
}

const char *redis_link_open(struct weir_loop *loop, const struct weir_redis_target *target,
                            const struct weir_redis_tls *tls, uint32_t address,
                            const struct redis_link_owner *owner, struct redis_link **ret_link)
{
    struct redis_link *l = weir_zalloc(sizeof(*l));
    struct weir_redis_tls_stream *stream =
        tls == NULL ? NULL : weir_redis_tls_stream_new(tls, target->host);
    if (l == NULL || (stream == NULL && tls != NULL)) {
        weir_redis_tls_stream_free(stream);
        weir_free(l);
        return "cannot be reached: out of memory";
    }
    l->tls = stream;
    l->owner = *owner;
    l->address = address;
    weir_buf_init(&l->sending, SENDING_BYTES_MAX);
    int err = target->unix_path[0] != '\0' ? uv_pipe_init(&loop->uv, &l->uv.pipe, 0)
                                           : uv_tcp_init(&loop->uv, &l->uv.tcp);
    l->users = 1;
    if (err != 0) {
        unuse(l);
        return uv_strerror(err);
    }
    l->uv.handle.data = l;
    err = start(l, target);
    if (err != 0) {
        redis_link_close(l);
        return uv_strerror(err);
    }
    *ret_link = l;
    return NULL;
}
