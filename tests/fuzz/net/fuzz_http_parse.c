/* SPDX-License-Identifier: Apache-2.0 */
/* The same bytes whole and in pieces must lead to the same requests and refusals, and what was
 * taken must have the borders that a reader without any leniency finds. The first byte says how
 * many of the next are lengths of pieces. Seeds: fuzz_http_parse/. */
#include <stdlib.h>

#include "support/http_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PIECES_MAX = 8 };

static const struct weir_http_limits LIMITS = {
    .head_bytes_max = 512, .target_bytes_max = 48, .body_bytes_max = 32};

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* The next line without its CRLF; no other CR, LF or NUL may be in it. */
static struct weir_str line(struct weir_str *rest)
{
    size_t len = 0;
    while (len < rest->len && rest->p[len] != '\r') {
        must(rest->p[len] != '\n' && rest->p[len] != '\0');
        len++;
    }
    must(rest->len - len >= 2 && rest->p[len + 1] == '\n');
    struct weir_str found = weir_str(rest->p, len);
    *rest = weir_str(rest->p + len + 2, rest->len - len - 2);
    return found;
}

static void skip(struct weir_str *rest, size_t len)
{
    must(rest->len >= len);
    *rest = weir_str(rest->p + len, rest->len - len);
}

/* A field's value; *ret_name what stands in front of the colon. */
static struct weir_str field(struct weir_str text, struct weir_str *ret_name)
{
    const char *colon = memchr(text.p, ':', text.len);
    must(colon != NULL && colon > text.p);
    *ret_name = weir_str(text.p, (size_t)(colon - text.p));
    must(memchr(text.p, ' ', ret_name->len) == NULL && memchr(text.p, '\t', ret_name->len) == NULL);
    return weir_str_trim(weir_str(colon + 1, text.len - ret_name->len - 1));
}

/* METHOD SP target SP HTTP/1.x */
static void check_request_line(struct weir_str text)
{
    const char *first = memchr(text.p, ' ', text.len), *last = memrchr(text.p, ' ', text.len);
    must(first != NULL && last > first + 1 && memchr(first + 1, ' ', last - first - 1) == NULL);
    struct weir_str version = weir_str(last, (size_t)(text.p + text.len - last));
    must(weir_str_eq(version, WEIR_STR(" HTTP/1.1")) ||
         weir_str_eq(version, WEIR_STR(" HTTP/1.0")));
}

static size_t chunks(struct weir_str *rest)
{
    size_t body = 0, len;
    do {
        struct weir_str text = line(rest);
        size_t digits = 0;
        for (len = 0; digits < text.len && text.p[digits] != ';' && text.p[digits] != ' ';
             digits++) {
            const char hex[] = "0123456789abcdef0123456789ABCDEF";
            const char *at = memchr(hex, text.p[digits], sizeof(hex) - 1);
            must(at != NULL && len < 1 << 20);
            len = len * 16 + (size_t)(at - hex) % 16;
        }
        must(digits > 0);
        body += len;
        skip(rest, len);
        must(len == 0 || line(rest).len == 0);
    } while (len > 0);
    for (struct weir_str trailer = line(rest), name; trailer.len > 0; trailer = line(rest)) {
        field(trailer, &name);
    }
    return body;
}

/* Reads one request; returns the length of its body. */
static size_t strict_request(struct weir_str *rest)
{
    struct weir_str text;
    do {
        text = line(rest);
    } while (text.len == 0);
    check_request_line(text);
    uint64_t length = 0;
    unsigned lengths = 0, codings = 0, hosts = 0;
    for (text = line(rest); text.len > 0; text = line(rest)) {
        struct weir_str name, value = field(text, &name);
        if (weir_str_eq_nocase(name, WEIR_STR("content-length"))) {
            lengths++;
            must(weir_str_u64(value, LIMITS.body_bytes_max, &length) == WEIR_OK);
        } else if (weir_str_eq_nocase(name, WEIR_STR("transfer-encoding"))) {
            codings++;
            must(weir_str_eq_nocase(value, WEIR_STR("chunked")));
        }
        hosts += weir_str_eq_nocase(name, WEIR_STR("host"));
    }
    must(lengths + codings <= 1 && hosts <= 1);
    if (codings > 0) {
        return chunks(rest);
    }
    skip(rest, (size_t)length);
    return (size_t)length;
}

static void check_borders(const struct http_feed *f, struct weir_str bytes)
{
    size_t body_bytes = 0;
    struct weir_str rest = bytes;
    for (size_t i = 0; i < f->requests; i++) {
        body_bytes += strict_request(&rest);
    }
    must((size_t)(rest.p - bytes.p) == f->request_bytes && body_bytes == f->body_bytes);
}

static struct weir_str requests_of(const struct http_feed *f)
{
    struct weir_str told = weir_buf_view(&f->told);
    if (f->status != 0) { /* the last line is the refusal's */
        const char *mark = memrchr(told.p, '!', told.len);
        told.len = (size_t)(mark - told.p);
    }
    return told;
}

/* What is wrong in two ways, as a target that is too long and not well-formed, may be refused for
 * either. */
static bool same_refusal(int a, int b)
{
    return a == b || ((a == 400 || b == 400) && a >= 400 && a < 500 && b >= 400 && b < 500);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_feed whole, apart;
    if (whole.guard == NULL) {
        http_feed_init(&whole, &LIMITS);
        http_feed_init(&apart, &LIMITS);
    }
    size_t pieces = size == 0 ? 1 : 1 + data[0] % PIECES_MAX;
    if (size < 1 + pieces || size > HTTP_FEED_MAX / 16) {
        return 0;
    }
    size_t piece[PIECES_MAX];
    for (size_t i = 0; i < pieces; i++) {
        piece[i] = 1 + data[1 + i];
    }
    struct weir_str bytes = weir_str((const char *)data + 1 + pieces, size - 1 - pieces);
    if (bytes.len == 0) {
        return 0;
    }
    http_feed(&whole, bytes, &bytes.len, 1);
    http_feed(&apart, bytes, piece, pieces);
    check_borders(&whole, bytes);
    must(weir_str_eq(requests_of(&whole), requests_of(&apart)));
    must(whole.request_bytes == apart.request_bytes && whole.requests == apart.requests);
    must(same_refusal(whole.status, apart.status));
    return 0;
}
