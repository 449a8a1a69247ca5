/* SPDX-License-Identifier: Apache-2.0 */
/* http_parse.c - llhttp does the grammar; what it is lenient about is checked here. */
#include "net/http_internal.h"

/* A body in chunks of one byte is six times its content; extensions, trailers and leading zeros are
 * bounded with it. */
enum { CHUNKED_FACTOR = 8 };

static const char UNKNOWN_CODING[] = "The only transfer coding understood is \"chunked\", once.";
static const char UNKNOWN_VERSION[] = "The versions spoken are HTTP/1.0 and HTTP/1.1.";
static const char UNCLEAN_LINE[] =
    "Lines must end with CRLF, begin with no blank or colon and hold no NUL, CR or LF.";
static const char NOT_HTTP[] = "The request is not well-formed HTTP/1.1.";
static const char BODY_TOO_LARGE[] = "The request body is too large.";

static int refuse(struct http_parser *p, int status, const char *reason)
{
    if (p->status == 0) {
        p->status = status;
        p->reason = reason;
    }
    return HPE_USER;
}

/* Adds a piece to a span; pieces of one span follow each other. */
static void extend(const struct http_parser *p, struct http_span *span, const char *at, size_t len)
{
    if (span->len == 0) {
        span->at = (uint32_t)(at - p->base);
    }
    span->len += (uint32_t)len;
}

static struct weir_str text(const struct http_parser *p, struct http_span span)
{
    return weir_str(p->base + span.at, span.len);
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    struct http_parser *p = parser->data;
    extend(p, &p->target, at, len);
    return p->target.len > p->limits->target_bytes_max
               ? refuse(p, 414, "The request target is too long.")
               : 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct http_parser *p = parser->data;
    if (p->head_bytes != 0) {
        return 0; /* trailers are read and dropped */
    }
    if (p->in_value) {
        p->in_value = false;
        p->headers++;
    }
    if (p->headers == WEIR_HTTP_HEADERS_MAX) {
        return refuse(p, 431, "The request has too many header fields.");
    }
    extend(p, &p->name[p->headers], at, len);
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct http_parser *p = parser->data;
    if (p->head_bytes == 0) {
        p->in_value = true;
        extend(p, &p->value[p->headers], at, len);
    }
    return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
    struct http_parser *p = parser->data;
    if (p->head_bytes == 0) {
        p->in_value = true; /* also a field without a value */
    }
    return 0;
}

/* What no request of ours may hold: bare CR or LF, NUL, and lines that continue the one before.
 * A complete head, so longer than two bytes. All bytes alike, so that the compiler takes many at
 * once. */
static bool head_is_clean(const char *p, size_t len)
{
    uint8_t bad = (p[0] == '\n') | ((p[0] == '\r') & (p[1] != '\n'));
    for (size_t i = 1; i + 1 < len; i++) {
        uint8_t bare =
            ((p[i] == '\n') & (p[i - 1] != '\r')) | ((p[i] == '\r') & (p[i + 1] != '\n'));
        uint8_t folded = (p[i - 1] == '\n') & ((p[i] == ' ') | (p[i] == '\t'));
        bad |= bare | folded | (p[i] == '\0');
    }
    return bad == 0 && p[len - 1] == '\n' && p[len - 2] == '\r';
}

/* llhttp also takes more blanks between the parts, and the protocols RTSP and ICE. */
static int check_request_line(struct http_parser *p)
{
    const char *target = p->base + p->target.at, *version = target + p->target.len;
    const char *end = p->base + p->head_bytes;
    if (target - p->base < 2 || target[-1] != ' ' || target[-2] == ' ' || end - version < 11 ||
        version[0] != ' ' || version[1] == ' ') {
        return refuse(p, 400, NOT_HTTP);
    }
    if (memcmp(version, " HTTP/1.", 8) != 0 || version[9] != '\r') {
        return refuse(p, 505, UNKNOWN_VERSION);
    }
    return 0;
}

static int check_coding(struct http_parser *p, struct weir_str coding)
{
    if (p->chunked || !weir_str_eq_nocase(coding, WEIR_STR("chunked"))) {
        return refuse(p, 501, UNKNOWN_CODING);
    }
    p->chunked = true;
    return 0;
}

static int check_headers(struct http_parser *p)
{
    unsigned hosts = 0, lengths = 0;
    for (uint32_t i = 0; i < p->headers; i++) {
        struct weir_str name = text(p, p->name[i]);
        struct weir_str value = weir_str_trim(text(p, p->value[i]));
        if (name.len == 0) {
            return refuse(p, 400, "A header field must have a name.");
        }
        if (weir_str_eq_nocase(name, WEIR_STR("host"))) {
            hosts++;
        } else if (weir_str_eq_nocase(name, WEIR_STR("content-length"))) {
            lengths++;
        } else if (weir_str_eq_nocase(name, WEIR_STR("transfer-encoding"))) {
            int err = check_coding(p, value);
            if (err != 0) {
                return err;
            }
        } else if (weir_str_eq_nocase(name, WEIR_STR("expect"))) {
            if (!weir_str_eq_nocase(value, WEIR_STR("100-continue"))) {
                return refuse(p, 417, "The only expectation understood is \"100-continue\".");
            }
            p->expects_continue = true;
        }
    }
    if (hosts > 1 || (hosts == 0 && p->llhttp.http_minor > 0)) {
        return refuse(p, 400, "The request must have exactly one Host header.");
    }
    if (lengths > 1 || (lengths > 0 && p->chunked)) {
        return refuse(p, 400, "The length of the body must be given once.");
    }
    /* RFC 9112, section 6.1: its framing is faulty. */
    if (p->chunked && p->llhttp.http_minor == 0) {
        return refuse(p, 400, "HTTP/1.0 has no Transfer-Encoding.");
    }
    bool may_have_body = p->llhttp.method == HTTP_POST || p->llhttp.method == HTTP_PUT ||
                         p->llhttp.method == HTTP_PATCH;
    if (may_have_body && lengths == 0 && !p->chunked) {
        return refuse(p, 411, "The request needs a Content-Length or chunked coding.");
    }
    if (lengths > 0 && p->llhttp.content_length > p->limits->body_bytes_max) {
        return refuse(p, 413, BODY_TOO_LARGE);
    }
    bool has_body = p->chunked || p->llhttp.content_length > 0;
    p->expects_continue = p->expects_continue && has_body && p->llhttp.http_minor > 0;
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct http_parser *p = parser->data;
    if (p->in_value) {
        p->in_value = false;
        p->headers++;
    }
    if (parser->http_major != 1 || parser->http_minor > 1) {
        return refuse(p, 505, UNKNOWN_VERSION);
    }
    parser->upgrade = 0; /* we offer no other protocol: the request is answered in this one */
    p->head_bytes = UINT32_MAX; /* known when the feed stops here */
    return HPE_PAUSED;
}

/* The same for the lines around the chunks and the trailers, up to `end`. */
static int check_lines(struct http_parser *p, const char *end)
{
    bool clean = true;
    char last = p->last;
    for (const char *at = p->checked; at < end; at++) {
        clean &= (last == '\r') == (*at == '\n') && *at != '\0' &&
                 !(last == '\n' && (*at == ' ' || *at == '\t' || *at == ':'));
        last = *at;
    }
    p->last = last;
    p->checked = end;
    return clean ? 0 : refuse(p, 400, UNCLEAN_LINE);
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct http_parser *p = parser->data;
    if (!p->chunked) {
        extend(p, &p->body, at, len);
        return 0;
    }
    int err = check_lines(p, at);
    if (err != 0) {
        return err;
    }
    p->last = 0;
    p->checked = at + len;
    weir_buf_append(&p->chunks, at, len);
    return p->chunks.failed ? refuse(p, 413, BODY_TOO_LARGE) : 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct http_parser *p = parser->data;
    p->complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

void http_parser_init(struct http_parser *p, const struct weir_http_limits *limits)
{
    *p = (struct http_parser){.limits = limits};
    weir_buf_init(&p->chunks, limits->body_bytes_max);
    http_parser_next(p);
}

void http_parser_deinit(struct http_parser *p)
{
    weir_buf_deinit(&p->chunks);
}

void http_parser_next(struct http_parser *p)
{
    llhttp_init(&p->llhttp, HTTP_REQUEST, &settings);
    p->llhttp.data = p;
    memset(p->name, 0, p->headers * sizeof(p->name[0]));
    memset(p->value, 0, p->headers * sizeof(p->value[0]));
    p->target = p->body = (struct http_span){0};
    p->headers = p->head_bytes = 0;
    p->chunked_bytes = 0;
    p->last = 0;
    p->in_value = p->chunked = p->complete = p->expects_continue = false;
    p->status = 0;
    p->reason = NULL;
    if (p->chunks.room > HTTP_KEEP_BYTES) {
        weir_buf_deinit(&p->chunks);
    }
    weir_buf_reset(&p->chunks);
}

/* The refusal for what llhttp does not understand. */
static void refuse_syntax(struct http_parser *p, llhttp_errno_t err)
{
    switch (err) {
    case HPE_INVALID_METHOD:
        refuse(p, 501, "The request method is not known.");
        break;
    case HPE_INVALID_VERSION:
    case HPE_PAUSED_H2_UPGRADE:
        refuse(p, 505, UNKNOWN_VERSION);
        break;
    case HPE_INVALID_TRANSFER_ENCODING:
        refuse(p, 501, UNKNOWN_CODING);
        break;
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        refuse(p, 400, "The length of the body must be given once.");
        break;
    case HPE_INVALID_CONTENT_LENGTH:
        refuse(p, 400, "Content-Length must be a decimal number.");
        break;
    case HPE_INVALID_CHUNK_SIZE:
        refuse(p, 400, "A chunk size must be a hexadecimal number.");
        break;
    default:
        refuse(p, 400, NOT_HTTP);
        break;
    }
}

/* The head is complete at `used`. */
static enum http_parsed head_done(struct http_parser *p, size_t used)
{
    p->head_bytes = (uint32_t)used;
    if (!head_is_clean(p->base, used)) {
        refuse(p, 400, UNCLEAN_LINE);
    } else if (check_request_line(p) == 0 && check_headers(p) == 0) {
        return HTTP_HEAD_DONE;
    }
    return HTTP_REFUSED;
}

/* Where this feed must end. Nothing behind a bound is looked at, so that what is refused there does
 * not depend on the pieces in which it comes. */
static size_t end_of_feed(const struct http_parser *p, size_t from, size_t len)
{
    const struct weir_http_limits *l = p->limits;
    size_t room = SIZE_MAX;
    if (p->head_bytes == 0) {
        room = l->head_bytes_max - from;
    } else if (p->chunked) {
        room = CHUNKED_FACTOR * l->body_bytes_max + l->head_bytes_max - p->chunked_bytes;
    }
    return len - from > room ? from + room : len;
}

enum http_parsed http_parser_feed(struct http_parser *p, const char *bytes, size_t from, size_t len,
                                  size_t *ret_used)
{
    size_t end = end_of_feed(p, from, len);
    bool in_head = p->head_bytes == 0, in_chunks = !in_head && p->chunked;
    p->base = bytes;
    p->checked = bytes + from;
    *ret_used = end;
    llhttp_errno_t err = llhttp_execute(&p->llhttp, bytes + from, end - from);
    if (err != HPE_OK) {
        *ret_used = (size_t)(llhttp_get_error_pos(&p->llhttp) - bytes);
    }
    if (in_chunks && check_lines(p, bytes + *ret_used) != 0) {
        return HTTP_REFUSED;
    }
    if (err == HPE_PAUSED) {
        llhttp_resume(&p->llhttp);
    } else if (err != HPE_OK) {
        refuse_syntax(p, err);
        return HTTP_REFUSED;
    }
    if (err == HPE_PAUSED) {
        return p->complete ? HTTP_COMPLETE : head_done(p, *ret_used);
    }
    if (end < len) {
        in_head ? refuse(p, 431, "The request head is too large.") : refuse(p, 413, BODY_TOO_LARGE);
        return HTTP_REFUSED;
    }
    p->chunked_bytes += in_chunks ? end - from : 0;
    return HTTP_NEEDS_MORE;
}

static enum weir_http_method method_of(const struct http_parser *p)
{
    switch (p->llhttp.method) {
    case HTTP_GET:
        return WEIR_HTTP_GET;
    case HTTP_HEAD:
        return WEIR_HTTP_HEAD;
    case HTTP_POST:
        return WEIR_HTTP_POST;
    case HTTP_PATCH:
        return WEIR_HTTP_PATCH;
    case HTTP_DELETE:
        return WEIR_HTTP_DELETE;
    default:
        return WEIR_HTTP_OTHER;
    }
}

/* The path of a target without its query; one in absolute-form (RFC 9112, section 3.2.2) holds it
 * behind the authority. */
static struct weir_str path_of(struct weir_str target)
{
    if (target.p[0] == '/') {
        return target;
    }
    const char *authority = memmem(target.p, target.len, "://", 3);
    if (authority == NULL) {
        return target; /* "*", or the authority alone (CONNECT) */
    }
    const char *end = target.p + target.len;
    const char *slash = memchr(authority + 3, '/', (size_t)(end - authority - 3));
    return slash == NULL ? WEIR_STR("/") : weir_str(slash, (size_t)(end - slash));
}

bool http_parser_has_head(const struct http_parser *p)
{
    return p->head_bytes != 0 && p->head_bytes != UINT32_MAX;
}

void http_parser_request(const struct http_parser *p, struct weir_http_header *header,
                         struct weir_http_request *ret_request)
{
    for (uint32_t i = 0; i < p->headers; i++) {
        header[i].name = text(p, p->name[i]);
        header[i].value = weir_str_trim(text(p, p->value[i]));
    }
    struct weir_str target = text(p, p->target);
    const char *question = memchr(target.p, '?', target.len);
    size_t path_len = question == NULL ? target.len : (size_t)(question - target.p);
    *ret_request = (struct weir_http_request){
        .method = method_of(p),
        .method_text = weir_str_z(llhttp_method_name((llhttp_method_t)p->llhttp.method)),
        .path = path_of(weir_str(target.p, path_len)),
        .query = question == NULL ? weir_str(target.p + target.len, 0)
                                  : weir_str(question + 1, target.len - path_len - 1),
        .header = header,
        .headers = p->headers,
        .body = p->chunked ? weir_buf_view(&p->chunks) : text(p, p->body),
    };
}

bool http_parser_keep_alive(const struct http_parser *p)
{
    /* llhttp lets an HTTP/1.0 client say both. */
    return llhttp_should_keep_alive(&p->llhttp) != 0 && !(p->llhttp.flags & F_CONNECTION_CLOSE);
}

bool http_parser_is_http10(const struct http_parser *p)
{
    return p->llhttp.http_major == 1 && p->llhttp.http_minor == 0;
}

struct weir_str weir_http_header(const struct weir_http_request *req, struct weir_str name)
{
    for (size_t i = 0; i < req->headers; i++) {
        if (weir_str_eq_nocase(req->header[i].name, name)) {
            return req->header[i].value;
        }
    }
    return weir_str(NULL, 0);
}
