/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - what every answer has. */
#include <stdarg.h>

#include "admin/internal.h"

static void reply(struct weir_admin *a, struct weir_http_exchange *x, int status,
                  const char *headers)
{
    weir_buf_reset(&a->head);
    weir_buf_str(&a->head, weir_str_z(headers));
    WEIR_BUF_LIT(&a->head, "cache-control: no-store\r\nx-content-type-options: nosniff\r\n");
    if (a->head.failed || a->body.failed) {
        weir_http_reply(x, 503, WEIR_STR("retry-after: 1\r\n"), WEIR_STR(""), WEIR_STR(""));
        return;
    }
    weir_http_reply(x, status, weir_buf_view(&a->head), WEIR_STR("application/json"),
                    weir_buf_view(&a->body));
}

void admin_answer(struct weir_admin *a, struct weir_http_exchange *x)
{
    reply(a, x, 200, "");
}

void admin_error_body(struct weir_buf *b, struct weir_str message, struct weir_str code)
{
    WEIR_BUF_LIT(b, "{\"error\":{\"message\":");
    weir_buf_json(b, message);
    WEIR_BUF_LIT(b, ",\"code\":");
    weir_buf_json(b, code);
    WEIR_BUF_LIT(b, "}}");
}

void admin_refuse(struct weir_admin *a, struct weir_http_exchange *x, int status, const char *code,
                  const char *headers, const char *fmt, ...)
{
    char message[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    weir_buf_reset(&a->body);
    admin_error_body(&a->body, weir_str_z(message), weir_str_z(code));
    reply(a, x, status, headers);
}
