/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - what every answer has. */
#include <inttypes.h>
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

void admin_refuse_store(struct weir_admin *a, struct weir_http_exchange *x,
                        enum weir_outcome outcome)
{
    if (outcome == WEIR_OUTCOME_FULL) {
        admin_refuse(a, x, 503, "subjects_full", "retry-after: 1\r\n",
                     "The limiter holds as many subjects as it may.");
    } else {
        admin_refuse(a, x, 503, "store_unavailable", "retry-after: 1\r\n",
                     "The store is out of reach, or refuses it.");
    }
}

void admin_plan_name(struct weir_buf *b, const struct weir_plan *plan)
{
    if (plan == NULL || plan->name[0] == '\0') {
        WEIR_BUF_LIT(b, "null");
    } else {
        weir_buf_json(b, weir_str_z(plan->name));
    }
}

void admin_limits(struct weir_buf *b, const struct weir_call *call)
{
    weir_buf_char(b, '[');
    for (unsigned i = 0; i < call->decision.states; i++) {
        const struct weir_limit_state *s = &call->decision.state[i];
        weir_buf_printf(b,
                        "%s{\"meter\":\"%s\",\"window_s\":%u,\"limit\":%" PRIu64
                        ",\"used\":%" PRIu64 ",\"remaining\":%" PRIu64 ",\"reset_ms\":%" PRIu64
                        "%s}",
                        i > 0 ? "," : "", weir_meter_name(s->meter), s->window_s, s->capacity,
                        s->used, weir_limit_remaining(s), weir_retry_ms(s->reset_us),
                        s->shadow ? ",\"shadow\":true" : "");
    }
    weir_buf_char(b, ']');
}
