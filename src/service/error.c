/* SPDX-License-Identifier: Apache-2.0 */
/* error.c - errors in the form of the API that is asked, OpenAI's where there is none, so that
 * every client's error handling works. */
#include <stdarg.h>

#include "service/access_log.h"
#include "service/dialect.h"

static void text_or_null(struct weir_buf *b, const char *text)
{
    if (text == NULL) {
        WEIR_BUF_LIT(b, "null");
    } else {
        weir_buf_json(b, weir_str_z(text));
    }
}

void weir_error_body(struct weir_buf *b, struct weir_str message, const char *type,
                     const char *param, const char *code)
{
    WEIR_BUF_LIT(b, "{\"error\":{\"message\":");
    weir_buf_json(b, message);
    WEIR_BUF_LIT(b, ",\"type\":");
    text_or_null(b, type);
    WEIR_BUF_LIT(b, ",\"param\":");
    text_or_null(b, param);
    WEIR_BUF_LIT(b, ",\"code\":");
    text_or_null(b, code);
    WEIR_BUF_LIT(b, "}}");
}

/* http NULL: the request is not there, or not any more. */
static const struct weir_api *api_of(const struct weir_http_request *http)
{
    if (http == NULL) {
        return &weir_api_openai;
    }
    bool anthropic = weir_http_header(http, WEIR_STR("anthropic-version")).p != NULL;
    return weir_dialect_of(http->path, anthropic)->api;
}

void weir_refusal_body(struct weir_buf *b, const struct weir_http_request *http, int status,
                       struct weir_str reason)
{
    const struct weir_failure f = {
        .status = status, .message = reason, .type = "invalid_request_error"};
    api_of(http)->error_body(b, &f);
}

static void answer_error(struct weir_request *r, const struct weir_failure *f,
                         struct weir_str headers)
{
    struct weir_service *s = r->service;
    const struct weir_api *api = api_of(r->http);
    struct weir_failure failure = *f;
    char id[WEIR_REQUEST_ID_BYTES];
    weir_request_id(s, id);
    failure.request_id = id;
    struct weir_buf *head = weir_head(s, id);
    if (api != &weir_api_openai) {
        api->headers(head, id, 0, NULL, 0);
    }
    weir_buf_str(head, headers);
    weir_buf_reset(&s->body);
    api->error_body(&s->body, &failure);
    weir_access_outcome(weir_access_of(s, r->x),
                        f->status == 503 ? WEIR_ACCESS_UNAVAILABLE : WEIR_ACCESS_REFUSED);
    weir_answer(s, r->x, r->started_ns, f->status, weir_buf_view(head),
                WEIR_STR("application/json"), weir_buf_view(&s->body));
}

void weir_refuse(struct weir_request *r, int status, const char *param, const char *code,
                 const char *fmt, ...)
{
    char message[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    const struct weir_failure f = {.status = status,
                                   .message = weir_str_z(message),
                                   .type = "invalid_request_error",
                                   .param = param,
                                   .code = code};
    answer_error(r, &f, status == 401 ? WEIR_STR("www-authenticate: Bearer\r\n") : WEIR_STR(""));
}

void weir_refuse_method(struct weir_request *r, struct weir_str allow)
{
    char headers[64];
    snprintf(headers, sizeof(headers), "allow: %.*s\r\n", (int)allow.len, allow.p);
    const struct weir_failure f = {.status = 405,
                                   .message = WEIR_STR("This URL does not offer that method."),
                                   .type = "invalid_request_error",
                                   .code = "method_not_allowed"};
    answer_error(r, &f, weir_str_z(headers));
}

void weir_refuse_outcome(struct weir_service *s, struct weir_http_exchange *x, uint64_t started_ns,
                         enum weir_outcome outcome)
{
    struct weir_request r = {.service = s, .x = x, .started_ns = started_ns};
    struct weir_failure f = {.status = 503, .type = "server_error"};
    if (outcome == WEIR_OUTCOME_FULL) {
        f.message =
            WEIR_STR("The limiter holds as many subjects as it may. Please try again later.");
        f.code = "subjects_full";
    } else {
        f.message = WEIR_STR("The limits cannot be checked right now. Please try again later.");
        f.code = "store_unavailable";
    }
    answer_error(&r, &f,
                 WEIR_STR("retry-after-ms: 1000\r\nretry-after: 1\r\nx-should-retry: true\r\n"));
}
