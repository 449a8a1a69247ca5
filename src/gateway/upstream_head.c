/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/upstream_head.h"

#include <curl/curl.h>

/* Of one connection only, whoever sends them. */
static const struct weir_str of_connection[] = {
    WEIR_STR_INIT("connection"),
    WEIR_STR_INIT("keep-alive"),
    WEIR_STR_INIT("proxy-connection"),
    WEIR_STR_INIT("proxy-authenticate"),
    WEIR_STR_INIT("proxy-authorization"),
    WEIR_STR_INIT("proxy-authentication-info"),
    WEIR_STR_INIT("te"),
    WEIR_STR_INIT("trailer"),
    WEIR_STR_INIT("transfer-encoding"),
    WEIR_STR_INIT("upgrade"),
};

/* Set anew for the upstream, or the client's own business with weir. The body must come as it is,
 * so that usage can be read: no coding is offered. */
static const struct weir_str not_asked[] = {
    WEIR_STR_INIT("host"),           WEIR_STR_INIT("content-length"),
    WEIR_STR_INIT("expect"),         WEIR_STR_INIT("accept-encoding"),
    WEIR_STR_INIT("authorization"),  WEIR_STR_INIT("x-api-key"),
    WEIR_STR_INIT("api-key"),        WEIR_STR_INIT("x-goog-api-key"),
    WEIR_STR_INIT("cookie"),         WEIR_STR_INIT("openai-organization"),
    WEIR_STR_INIT("openai-project"),
};

/* Set anew for the client, or about weir's account and connection there. */
static const struct weir_str not_answered[] = {
    WEIR_STR_INIT("content-length"),
    WEIR_STR_INIT("date"),
    WEIR_STR_INIT("set-cookie"),
    WEIR_STR_INIT("alt-svc"),
    WEIR_STR_INIT("strict-transport-security"),
    WEIR_STR_INIT("openai-version"),
    WEIR_STR_INIT("openai-processing-ms"),
    WEIR_STR_INIT("openai-organization"),
    WEIR_STR_INIT("openai-project"),
    WEIR_STR_INIT("anthropic-organization-id"),
    WEIR_STR_INIT("anthropic-workspace-id"),
};

static const struct weir_str not_answered_beginnings[] = {
    WEIR_STR_INIT("x-ratelimit-"),
    WEIR_STR_INIT("anthropic-ratelimit-"),
    WEIR_STR_INIT("x-weir-"),
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static bool equal_nocase(struct weir_str a, struct weir_str b)
{
    for (size_t i = 0; a.len == b.len && i < a.len; i++) {
        char x = a.p[i], y = b.p[i];
        x = x >= 'A' && x <= 'Z' ? (char)(x + 32) : x;
        y = y >= 'A' && y <= 'Z' ? (char)(y + 32) : y;
        if (x != y) {
            return false;
        }
    }
    return a.len == b.len;
}

static bool is_one_of(struct weir_str name, const struct weir_str *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (weir_str_eq_nocase(name, list[i])) {
            return true;
        }
    }
    return false;
}

/* Whether the comma-separated list has the name. */
static bool is_listed(struct weir_str name, struct weir_str list)
{
    while (list.len > 0) {
        const char *comma = memchr(list.p, ',', list.len);
        size_t len = comma == NULL ? list.len : (size_t)(comma - list.p);
        if (equal_nocase(weir_str_trim(weir_str(list.p, len)), name)) {
            return true;
        }
        len += comma != NULL;
        list = weir_str(list.p + len, list.len - len);
    }
    return false;
}

/* Whether a request's field goes to the upstream. */
static bool request_field_passes(struct weir_str name, struct weir_str connection)
{
    return !is_one_of(name, of_connection, COUNT(of_connection)) &&
           !is_one_of(name, not_asked, COUNT(not_asked)) && !is_listed(name, connection);
}

bool weir_answer_field_passes(struct weir_str name, struct weir_str connection)
{
    for (size_t i = 0; i < COUNT(not_answered_beginnings); i++) {
        struct weir_str begin = not_answered_beginnings[i];
        if (name.len >= begin.len && weir_str_eq_nocase(weir_str(name.p, begin.len), begin)) {
            return false;
        }
    }
    return !is_one_of(name, of_connection, COUNT(of_connection)) &&
           !is_one_of(name, not_answered, COUNT(not_answered)) && !is_listed(name, connection);
}

/* ---- the request ---- */

/* "." and "..", also as "%2e". */
static bool is_dots(struct weir_str segment)
{
    size_t dots = 0;
    while (segment.len > 0) {
        size_t len = 1;
        if (segment.len >= 3 && weir_str_eq_nocase(weir_str(segment.p, 3), WEIR_STR("%2e"))) {
            len = 3;
        } else if (segment.p[0] != '.') {
            return false;
        }
        dots++;
        segment = weir_str(segment.p + len, segment.len - len);
    }
    return dots == 1 || dots == 2;
}

bool weir_path_passes(struct weir_str path)
{
    if (!weir_str_starts(path, WEIR_STR("/v1/"))) {
        return false;
    }
    for (size_t from = 1, i = 1; i <= path.len; i++) {
        unsigned char c = i < path.len ? (unsigned char)path.p[i] : '/';
        if (c <= ' ' || c > '~' || c == '#' || c == '?' || c == '\\') {
            return false;
        }
        bool escaped = c == '%' && i + 3 <= path.len &&
                       (weir_str_eq_nocase(weir_str(path.p + i, 3), WEIR_STR("%2f")) ||
                        weir_str_eq_nocase(weir_str(path.p + i, 3), WEIR_STR("%5c")));
        if (c == '/' || escaped) {
            if (is_dots(weir_str(path.p + from, i - from))) {
                return false;
            }
            from = i + (escaped ? 3 : 1);
        }
    }
    return true;
}

size_t weir_request_fields(const struct weir_http_request *http, struct weir_buf *b)
{
    size_t count = 0;
    char joined[1024];
    size_t len = 0;
    for (size_t i = 0; i < http->headers; i++) {
        const struct weir_http_header *h = &http->header[i];
        if (weir_str_eq_nocase(h->name, WEIR_STR("connection")) &&
            h->value.len + 1 < sizeof(joined) - len) {
            memcpy(joined + len, h->value.p, h->value.len);
            len += h->value.len;
            joined[len++] = ',';
        }
    }
    for (size_t i = 0; i < http->headers; i++) {
        const struct weir_http_header *h = &http->header[i];
        if (!request_field_passes(h->name, weir_str(joined, len))) {
            continue;
        }
        weir_buf_str(b, h->name);
        if (h->value.len == 0) {
            weir_buf_char(b, ';');
        } else {
            WEIR_BUF_LIT(b, ": ");
            weir_buf_str(b, h->value);
        }
        weir_buf_char(b, '\0');
        count++;
    }
    return count;
}

/* ---- the answer ---- */

static struct weir_str take_line(struct weir_str *rest)
{
    const char *end = rest->len == 0 ? NULL : memchr(rest->p, '\n', rest->len);
    size_t used = end == NULL ? rest->len : (size_t)(end - rest->p) + 1;
    struct weir_str line = weir_str(rest->p, end == NULL ? used : used - 1);
    if (line.len > 0 && line.p[line.len - 1] == '\r') {
        line.len--;
    }
    *rest = weir_str(rest->p + used, rest->len - used);
    return line;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200 ". */
static bool take_status(struct weir_str line, int *ret_status)
{
    const char *blank = line.len == 0 ? NULL : memchr(line.p, ' ', line.len);
    size_t at = blank == NULL ? line.len : (size_t)(blank - line.p) + 1;
    uint64_t status;
    if (!weir_str_starts(line, WEIR_STR("HTTP/")) || line.len - at < 3 ||
        (line.len - at > 3 && line.p[at + 3] != ' ') ||
        weir_str_u64(weir_str(line.p + at, 3), 599, &status) != WEIR_OK || status < 200) {
        return false;
    }
    *ret_status = (int)status;
    return true;
}

static bool is_token(struct weir_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-') {
            continue; /* nearly all of them */
        }
        if (c <= ' ' || c > '~' || memchr("\"(),/:;<=>?@[\\]{}", c, 17) != NULL) {
            return false;
        }
    }
    return s.len > 0;
}

/* Its name and trimmed value. False: no field that could be passed on. */
static bool take_field(struct weir_str line, struct weir_http_header *ret)
{
    const char *colon = line.len == 0 ? NULL : memchr(line.p, ':', line.len);
    if (colon == NULL) {
        return false;
    }
    size_t at = (size_t)(colon - line.p);
    ret->name = weir_str(line.p, at);
    ret->value = weir_str_trim(weir_str(line.p + at + 1, line.len - at - 1));
    for (size_t i = 0; i < ret->value.len; i++) {
        unsigned char c = (unsigned char)ret->value.p[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return is_token(ret->name);
}

/* Seconds, perhaps with a fraction, or a date (RFC 9110, section 10.2.3). */
static uint64_t retry_after_ms(struct weir_str value, uint64_t wall_s)
{
    char text[64];
    double seconds;
    if (value.len == 0 || value.len >= sizeof(text)) {
        return 0;
    }
    memcpy(text, value.p, value.len);
    text[value.len] = '\0';
    if (weir_decimal(text, &seconds)) {
        return seconds > 1e9 ? UINT64_C(1000000000000) : (uint64_t)(seconds * 1000);
    }
    time_t date = curl_getdate(text, NULL);
    return date < 0 || (uint64_t)date <= wall_s ? 0 : ((uint64_t)date - wall_s) * 1000;
}

struct retry {
    uint64_t ms;   /* of retry-after-ms, which is the exact one */
    uint64_t told; /* of retry-after */
};

static void read_field(const struct weir_http_header *h, uint64_t wall_s, struct retry *retry,
                       struct weir_answer_head *head)
{
    double ms;
    char text[32];
    if (weir_str_eq_nocase(h->name, WEIR_STR("content-type"))) {
        head->content_type = h->value;
    } else if (weir_str_eq_nocase(h->name, WEIR_STR("content-length"))) {
        if (weir_str_u64(h->value, UINT64_MAX - 1, &head->content_length) != WEIR_OK) {
            head->content_length = UINT64_MAX;
        }
    } else if (weir_str_eq_nocase(h->name, WEIR_STR("content-encoding"))) {
        head->coded = !weir_str_eq_nocase(h->value, WEIR_STR("identity"));
    } else if (weir_str_eq_nocase(h->name, WEIR_STR("retry-after"))) {
        retry->told = retry_after_ms(h->value, wall_s);
    } else if (weir_str_eq_nocase(h->name, WEIR_STR("retry-after-ms")) && h->value.len > 0 &&
               h->value.len < sizeof(text)) {
        memcpy(text, h->value.p, h->value.len);
        text[h->value.len] = '\0';
        retry->ms = weir_decimal(text, &ms) && ms < 1e12 ? (uint64_t)ms : 0;
    }
}

/* The values of its Connection fields, joined. */
static void join_connection(struct weir_str text, struct weir_buf *b)
{
    struct weir_http_header h;
    while (text.len > 0) {
        struct weir_str line = take_line(&text);
        if (line.len > 0 && (line.p[0] | 0x20) == 'c' && take_field(line, &h) &&
            weir_str_eq_nocase(h.name, WEIR_STR("connection"))) {
            weir_buf_str(b, h.value);
            weir_buf_char(b, ',');
        }
    }
}

static void write_field(struct weir_buf *b, const struct weir_http_header *h)
{
    /* the answer has an id of weir's own; the upstream's is what its support asks for */
    if (weir_str_eq_nocase(h->name, WEIR_STR("x-request-id")) ||
        weir_str_eq_nocase(h->name, WEIR_STR("request-id"))) {
        WEIR_BUF_LIT(b, "x-weir-upstream-request-id");
    } else {
        weir_buf_str(b, h->name);
    }
    WEIR_BUF_LIT(b, ": ");
    weir_buf_str(b, h->value);
    WEIR_BUF_LIT(b, "\r\n");
}

enum weir_err weir_answer_head_read(struct weir_str text, uint64_t wall_s, struct weir_buf *fields,
                                    struct weir_answer_head *ret_head)
{
    struct weir_answer_head head = {.content_length = UINT64_MAX};
    struct retry retry = {0};
    struct weir_buf connection;
    if (!take_status(take_line(&text), &head.status)) {
        return WEIR_ERR_INVALID;
    }
    weir_buf_init(&connection, WEIR_ANSWER_HEAD_MAX);
    join_connection(text, &connection);
    struct weir_http_header h;
    while (text.len > 0) {
        if (!take_field(take_line(&text), &h)) {
            continue;
        }
        read_field(&h, wall_s, &retry, &head);
        if (!weir_str_eq_nocase(h.name, WEIR_STR("content-type")) &&
            weir_answer_field_passes(h.name, weir_buf_view(&connection))) {
            write_field(fields, &h);
        }
    }
    bool failed = connection.failed;
    weir_buf_deinit(&connection);
    head.retry_ms = retry.ms > 0 ? retry.ms : retry.told;
    if (failed || fields->failed) {
        return WEIR_ERR_NOMEM;
    }
    *ret_head = head;
    return WEIR_OK;
}
