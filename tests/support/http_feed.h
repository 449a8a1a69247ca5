/* SPDX-License-Identifier: Apache-2.0 */
/* http_feed.h - bytes through the parser in pieces, as a connection would read them, and what came
 * of them as text. The bytes stand in front of a page that must not be touched, and move with each
 * piece. */
#ifndef WEIR_TESTS_SUPPORT_HTTP_FEED_H
#define WEIR_TESTS_SUPPORT_HTTP_FEED_H

#include <stdlib.h>
#include <sys/mman.h>

#include "net/http_internal.h"

enum { HTTP_FEED_MAX = 64 * 1024 };

struct http_feed {
    struct http_parser parser;
    char *guard;          /* the first byte that must not be touched */
    struct weir_buf told; /* a line for each request, and one for how it ended */
    int status;           /* of the refusal; 0: none */
    size_t requests, request_bytes, body_bytes; /* of the complete requests */
};

static inline void http_feed_init(struct http_feed *f, const struct weir_http_limits *limits)
{
    *f = (struct http_feed){0};
    size_t page = 4096;
    char *at = mmap(NULL, HTTP_FEED_MAX + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                    -1, 0);
    if (at == MAP_FAILED || mprotect(at + HTTP_FEED_MAX, page, PROT_NONE) != 0) {
        abort();
    }
    f->guard = at + HTTP_FEED_MAX;
    http_parser_init(&f->parser, limits);
    weir_buf_init(&f->told, 1 << 20);
}

static inline void http_feed_deinit(struct http_feed *f)
{
    munmap(f->guard - HTTP_FEED_MAX, HTTP_FEED_MAX + 4096);
    http_parser_deinit(&f->parser);
    weir_buf_deinit(&f->told);
}

static inline void http_feed_in(struct weir_str slice, const char *from, const char *to)
{
    if (slice.len > 0 && (slice.p < from || slice.p > to || slice.len > (size_t)(to - slice.p))) {
        abort();
    }
}

/* METHOD|path|query|name=value;...|body|keep or close, 1.0, continue */
static inline void http_feed_tell(struct http_feed *f, const char *end, bool continued)
{
    struct weir_http_header header[WEIR_HTTP_HEADERS_MAX];
    struct weir_http_request r;
    const struct http_parser *p = &f->parser;
    http_parser_request(p, header, &r);
    if (r.headers > WEIR_HTTP_HEADERS_MAX || r.body.len > p->limits->body_bytes_max ||
        p->target.len > p->limits->target_bytes_max || p->head_bytes > p->limits->head_bytes_max) {
        abort();
    }
    if (!weir_str_eq(r.path, WEIR_STR("/"))) { /* may be a constant */
        http_feed_in(r.path, p->base, end);
    }
    http_feed_in(r.query, p->base, end);
    f->requests++;
    f->body_bytes += r.body.len;
    weir_buf_str(&f->told, r.method_text);
    weir_buf_char(&f->told, '|');
    weir_buf_str(&f->told, r.path);
    weir_buf_char(&f->told, '|');
    weir_buf_str(&f->told, r.query);
    weir_buf_char(&f->told, '|');
    for (size_t i = 0; i < r.headers; i++) {
        http_feed_in(r.header[i].name, p->base, end);
        http_feed_in(r.header[i].value, p->base, end);
        weir_buf_str(&f->told, r.header[i].name);
        weir_buf_char(&f->told, '=');
        weir_buf_str(&f->told, r.header[i].value);
        weir_buf_char(&f->told, ';');
    }
    if (!p->chunked) {
        http_feed_in(r.body, p->base, end);
    }
    weir_buf_char(&f->told, '|');
    weir_buf_str(&f->told, r.body);
    weir_buf_printf(&f->told, "|%s%s%s\n", http_parser_keep_alive(p) ? "keep" : "close",
                    http_parser_is_http10(p) ? " 1.0" : "", continued ? " continue" : "");
}

/* Feeds the bytes in pieces of these lengths, over and over. f->told ends with "!status reason",
 * with "..." when a request is not complete, or after a whole request. */
static inline void http_feed(struct http_feed *f, struct weir_str bytes, const size_t *piece,
                             size_t pieces)
{
    /* [start, have) stands before the guard; `gap` bytes behind its first `head` were dropped. */
    size_t start = 0, from = 0, have = 0, head = 0, gap = 0, next = 0;
    bool continued = false;
    enum http_parsed what = HTTP_NEEDS_MORE;
    f->status = 0;
    f->requests = f->request_bytes = f->body_bytes = 0;
    weir_buf_reset(&f->told);
    const struct weir_http_limits *limits = f->parser.limits;
    http_parser_deinit(&f->parser);
    http_parser_init(&f->parser, limits);
    while (what != HTTP_REFUSED && have < bytes.len) {
        size_t more = piece[next++ % pieces];
        have = more < bytes.len - have ? have + more : bytes.len;
        do {
            size_t len = have - start - gap;
            char *at = f->guard - len;
            memset(f->guard - HTTP_FEED_MAX, 'z', HTTP_FEED_MAX - len); /* moved: gone */
            memcpy(at, bytes.p + start, head);
            memcpy(at + head, bytes.p + start + head + gap, len - head);
            size_t used;
            what = http_parser_feed(&f->parser, at, from, len, &used);
            if (used < from || used > len) {
                abort();
            }
            from = used;
            if (what == HTTP_HEAD_DONE) {
                continued = f->parser.expects_continue;
            } else if (what == HTTP_COMPLETE) {
                http_feed_tell(f, at + from, continued);
                http_parser_next(&f->parser);
                start += gap + from;
                f->request_bytes = start;
                from = head = gap = 0;
            } else if (what == HTTP_NEEDS_MORE && f->parser.chunked) { /* joined elsewhere */
                head = f->parser.head_bytes;
                gap += from - head;
                from = head;
            }
        } while (what == HTTP_HEAD_DONE || (what == HTTP_COMPLETE && start < have));
    }
    if (what == HTTP_REFUSED) {
        f->status = f->parser.status;
        weir_buf_printf(&f->told, "!%d %s\n", f->status, f->parser.reason);
    } else if (start < bytes.len) {
        WEIR_BUF_LIT(&f->told, "...\n");
    }
}

#endif
