/* SPDX-License-Identifier: Apache-2.0 */
/* error.c - errors in OpenAI's form, so that every client's error handling works. */
#include <stdarg.h>

#include "service/service.h"

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

static void answer_error(struct weir_service *s, struct weir_http_exchange *x, uint64_t started_ns,
                         int status, struct weir_str message, const char *type, const char *param,
                         const char *code, struct weir_str headers)
{
    weir_buf_str(weir_head(s, NULL), headers);
    weir_buf_reset(&s->body);
    weir_error_body(&s->body, message, type, param, code);
    weir_answer(s, x, started_ns, status, weir_buf_view(&s->head), WEIR_STR("application/json"),
                weir_buf_view(&s->body));
}

void weir_refuse(struct weir_request *r, int status, const char *param, const char *code,
                 const char *fmt, ...)
{
    char message[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    answer_error(r->service, r->x, r->started_ns, status, weir_str_z(message),
                 "invalid_request_error", param, code,
                 status == 401 ? WEIR_STR("www-authenticate: Bearer\r\n") : WEIR_STR(""));
}

void weir_refuse_method(struct weir_request *r, struct weir_str allow)
{
    char headers[64];
    snprintf(headers, sizeof(headers), "allow: %.*s\r\n", (int)allow.len, allow.p);
    answer_error(r->service, r->x, r->started_ns, 405,
                 WEIR_STR("This URL does not offer that method."), "invalid_request_error", NULL,
                 "method_not_allowed", weir_str_z(headers));
}

void weir_refuse_outcome(struct weir_service *s, struct weir_http_exchange *x, uint64_t started_ns,
                         enum weir_outcome outcome)
{
    struct weir_str headers =
        WEIR_STR("retry-after-ms: 1000\r\nretry-after: 1\r\nx-should-retry: true\r\n");
    if (outcome == WEIR_OUTCOME_FULL) {
        answer_error(
            s, x, started_ns, 503,
            WEIR_STR("The limiter holds as many subjects as it may. Please try again later."),
            "server_error", NULL, "subjects_full", headers);
    } else {
        answer_error(s, x, started_ns, 503,
                     WEIR_STR("The limits cannot be checked right now. Please try again later."),
                     "server_error", NULL, "store_unavailable", headers);
    }
}
