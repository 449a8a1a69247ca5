/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/mem.h"

enum { RECORD_BYTES = 16384 };

struct weir_redis_tls {
    SSL_CTX *ctx;
    char server_name[256]; /* or empty */
};

struct weir_redis_tls_stream {
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
    char why[WEIR_REDIS_TLS_TEXT];
    char plain[RECORD_BYTES];
};

/* ---- certificates ---- */

/* What the kernel said is the most telling reason ("No such file"), then what came last. Empties
 * the queue. */
static const char *reason(void)
{
    const char *text = NULL;
    unsigned long code;
    bool system = false;
    while ((code = ERR_get_error()) != 0 && !system) {
        system = ERR_SYSTEM_ERROR(code);
        text = system ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
    }
    ERR_clear_error();
    return text == NULL ? "no reason given" : text;
}

/* OpenSSL would ask the terminal. */
static int no_pass_phrase(char *buf, int size, int writing, void *ctx)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)ctx;
    return 0;
}

/* NULL, or the field that is wrong. */
static const char *load(SSL_CTX *ctx, const struct weir_store_tls *files)
{
    SSL_CTX_set_default_passwd_cb(ctx, no_pass_phrase);
    if (files->ca[0] == '\0') {
        if (SSL_CTX_set_default_verify_paths(ctx) != 1) {
            return "the system's certificates";
        }
    } else if (SSL_CTX_load_verify_file(ctx, files->ca) != 1) {
        return "store_tls.ca";
    }
    if (files->cert[0] == '\0') {
        return NULL;
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, files->cert) != 1) {
        return "store_tls.cert";
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, files->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1) {
        return "store_tls.key";
    }
    return NULL;
}

enum weir_err weir_redis_tls_new(const struct weir_store_tls *files,
                                 struct weir_redis_tls **ret_tls,
                                 char ret_text[static WEIR_REDIS_TLS_TEXT])
{
    struct weir_redis_tls *tls = weir_zalloc(sizeof(*tls));
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (tls == NULL || ctx == NULL) {
        SSL_CTX_free(ctx);
        weir_free(tls);
        return WEIR_ERR_NOMEM;
    }
    memcpy(tls->server_name, files->server_name, sizeof(tls->server_name));
    tls->ctx = ctx;
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    const char *wrong = load(ctx, files);
    if (wrong != NULL) {
        snprintf(ret_text, WEIR_REDIS_TLS_TEXT, "%s cannot be used: %s", wrong, reason());
        weir_redis_tls_free(tls);
        return WEIR_ERR_INVALID;
    }
    *ret_tls = tls;
    return WEIR_OK;
}

void weir_redis_tls_free(struct weir_redis_tls *tls)
{
    if (tls != NULL) {
        SSL_CTX_free(tls->ctx);
        weir_free(tls);
    }
}

/* ---- one connection ---- */

/* An address stands in a certificate as such, and is no name to ask for (RFC 6066, section 3). */
static bool expect_name(SSL *ssl, const char *name)
{
    unsigned char ignored[16];
    if (inet_pton(AF_INET, name, ignored) == 1 || inet_pton(AF_INET6, name, ignored) == 1) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    /* SSL_set_tlsext_host_name, whose cast drops the const */
    void *sni = (void *)(uintptr_t)name;
    return SSL_set1_host(ssl, name) == 1 &&
           SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, sni) == 1;
}

struct weir_redis_tls_stream *weir_redis_tls_stream_new(const struct weir_redis_tls *tls,
                                                        const char *host)
{
    struct weir_redis_tls_stream *s = weir_zalloc(sizeof(*s));
    ERR_clear_error();
    SSL *ssl = SSL_new(tls->ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (s == NULL || ssl == NULL || in == NULL || out == NULL ||
        !expect_name(ssl, tls->server_name[0] != '\0' ? tls->server_name : host)) {
        BIO_free(in);
        BIO_free(out);
        SSL_free(ssl);
        weir_free(s);
        return NULL;
    }
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    *s = (struct weir_redis_tls_stream){.ssl = ssl, .in = in, .out = out};
    return s;
}

void weir_redis_tls_stream_free(struct weir_redis_tls_stream *s)
{
    if (s != NULL) {
        SSL_free(s->ssl);
        weir_wipe(s->plain, sizeof(s->plain));
        weir_free(s);
    }
}

bool weir_redis_tls_feed(struct weir_redis_tls_stream *s, const char *bytes, size_t len)
{
    return BIO_write(s->in, bytes, (int)len) == (int)len;
}

/* What OpenSSL's `result` means. */
static enum weir_redis_tls_state state_of(struct weir_redis_tls_stream *s, int result)
{
    if (result > 0) {
        return WEIR_REDIS_TLS_HAS;
    }
    switch (SSL_get_error(s->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return WEIR_REDIS_TLS_WAITS;
    case SSL_ERROR_ZERO_RETURN:
        return WEIR_REDIS_TLS_ENDED;
    default:
        break;
    }
    long verified = SSL_get_verify_result(s->ssl);
    bool accepted = verified == X509_V_OK;
    snprintf(s->why, sizeof(s->why), "%s: %s",
             accepted ? "does not agree on TLS" : "has a certificate that is not trusted",
             accepted ? reason() : X509_verify_cert_error_string(verified));
    return WEIR_REDIS_TLS_FAILED;
}

enum weir_redis_tls_state weir_redis_tls_shake(struct weir_redis_tls_stream *s)
{
    ERR_clear_error();
    return state_of(s, SSL_do_handshake(s->ssl));
}

enum weir_redis_tls_state weir_redis_tls_read(struct weir_redis_tls_stream *s,
                                              struct weir_str *ret_bytes)
{
    ERR_clear_error();
    int got = SSL_read(s->ssl, s->plain, sizeof(s->plain));
    *ret_bytes = weir_str(s->plain, got > 0 ? (size_t)got : 0);
    return state_of(s, got);
}

bool weir_redis_tls_write(struct weir_redis_tls_stream *s, const char *bytes, size_t len)
{
    ERR_clear_error();
    return state_of(s, SSL_write(s->ssl, bytes, (int)len)) == WEIR_REDIS_TLS_HAS;
}

struct weir_str weir_redis_tls_outgoing(const struct weir_redis_tls_stream *s)
{
    char *bytes;
    long len = BIO_get_mem_data(s->out, &bytes);
    return weir_str(bytes, len > 0 ? (size_t)len : 0);
}

void weir_redis_tls_sent(struct weir_redis_tls_stream *s)
{
    (void)BIO_reset(s->out);
}

const char *weir_redis_tls_why(const struct weir_redis_tls_stream *s)
{
    return s->why;
}
