/* SPDX-License-Identifier: Apache-2.0 */
/* tls.h - the client's side of TLS 1.2 and later over bytes that somebody else carries. The
 * server's certificate is always verified. Private to redis. No I/O but reading certificates; one
 * owner. */
#ifndef WEIR_STORE_REDIS_TLS_H
#define WEIR_STORE_REDIS_TLS_H

#include "base/str.h"
#include "config/config.h"

enum { WEIR_REDIS_TLS_TEXT = 256 };

/* Our certificates and whom we trust, for all connections of one owner. */
struct weir_redis_tls;

/* Reads what `files` names. WEIR_ERR_INVALID: ret_text says what is wrong, without what stands in
 * the files. */
WEIR_MUSTCHECK enum weir_err weir_redis_tls_new(const struct weir_store_tls *files,
                                                struct weir_redis_tls **ret_tls,
                                                char ret_text[static WEIR_REDIS_TLS_TEXT]);
/* NULL is allowed. Streams may live on. */
void weir_redis_tls_free(struct weir_redis_tls *tls);

struct weir_redis_tls_stream;

/* `host` is what the certificate must name, unless server_name was given. NULL: no memory. */
struct weir_redis_tls_stream *weir_redis_tls_stream_new(const struct weir_redis_tls *tls,
                                                        const char *host);
/* NULL is allowed. */
void weir_redis_tls_stream_free(struct weir_redis_tls_stream *s);

enum weir_redis_tls_state {
    WEIR_REDIS_TLS_WAITS, /* for bytes of the server */
    WEIR_REDIS_TLS_HAS,   /* what was asked for */
    WEIR_REDIS_TLS_ENDED, /* the server said that nothing follows */
    WEIR_REDIS_TLS_FAILED,
};

/* Bytes of the server. False: no memory. */
WEIR_MUSTCHECK bool weir_redis_tls_feed(struct weir_redis_tls_stream *s, const char *bytes,
                                        size_t len);
/* Goes on with the handshake. HAS: it is done. */
enum weir_redis_tls_state weir_redis_tls_shake(struct weir_redis_tls_stream *s);
/* The next bytes that the server said. They live until the next call. */
enum weir_redis_tls_state weir_redis_tls_read(struct weir_redis_tls_stream *s,
                                              struct weir_str *ret_bytes);
/* After the handshake. False: failed. */
WEIR_MUSTCHECK bool weir_redis_tls_write(struct weir_redis_tls_stream *s, const char *bytes,
                                         size_t len);
/* What is to be sent to the server, until weir_redis_tls_sent. */
struct weir_str weir_redis_tls_outgoing(const struct weir_redis_tls_stream *s);
void weir_redis_tls_sent(struct weir_redis_tls_stream *s);
/* Why it has failed: what follows on "Redis". Lives as long as the stream. */
const char *weir_redis_tls_why(const struct weir_redis_tls_stream *s);

#endif
