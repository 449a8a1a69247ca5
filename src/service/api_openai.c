/* SPDX-License-Identifier: Apache-2.0 */
/* api_openai.c - errors and limits as OpenAI words them. */
#include "service/dialect.h"
#include "service/service.h"

static const char *type_of(const struct weir_failure *f)
{
    if (f->type != NULL) {
        return f->type;
    }
    return f->status == 429  ? "requests"
           : f->status < 500 ? "invalid_request_error"
                             : "server_error";
}

static void error_body(struct weir_buf *b, const struct weir_failure *f)
{
    weir_error_body(b, f->message, type_of(f), f->param, f->code);
}

/* Clients throw what has an `error`, whatever the event's name. */
static void error_event(struct weir_buf *b, const struct weir_failure *f)
{
    WEIR_BUF_LIT(b, "data: ");
    error_body(b, f);
    WEIR_BUF_LIT(b, "\n\n");
}

static void moment(struct weir_buf *b, uint64_t reset_us, uint64_t wall_s)
{
    (void)wall_s;
    weir_duration(b, reset_us);
}

static const struct weir_rate_form rate = {
    .limit = {WEIR_STR_INIT("x-ratelimit-limit-"), WEIR_STR_INIT(": ")},
    .remaining = {WEIR_STR_INIT("x-ratelimit-remaining-"), WEIR_STR_INIT(": ")},
    .reset = {WEIR_STR_INIT("x-ratelimit-reset-"), WEIR_STR_INIT(": ")},
    .moment = moment,
};

static void headers(struct weir_buf *b, const char *request_id, uint64_t took_ms,
                    const struct weir_decision *d, uint64_t wall_s)
{
    (void)request_id;
    WEIR_BUF_LIT(b, "openai-version: 2020-10-01\r\nopenai-processing-ms: ");
    weir_buf_u64(b, took_ms);
    WEIR_BUF_LIT(b, "\r\n");
    if (d != NULL) {
        weir_headers_rate(b, d, &rate, wall_s);
    }
}

const struct weir_api weir_api_openai = {
    .name = "openai",
    .error_body = error_body,
    .error_event = error_event,
    .headers = headers,
};
