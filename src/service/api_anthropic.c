/* SPDX-License-Identifier: Apache-2.0 */
/* api_anthropic.c - errors and limits as Anthropic words them. */
#include <time.h>

#include "service/dialect.h"
#include "service/service.h"

static const char *type_of(int status)
{
    static const struct {
        int status;
        const char *type;
    } types[] = {
        {401, "authentication_error"}, {402, "billing_error"},    {403, "permission_error"},
        {404, "not_found_error"},      {408, "timeout_error"},    {409, "conflict_error"},
        {413, "request_too_large"},    {429, "rate_limit_error"}, {504, "timeout_error"},
        {529, "overloaded_error"},
    };
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i].status == status) {
            return types[i].type;
        }
    }
    return status < 500 ? "invalid_request_error" : "api_error";
}

/* OpenAI's `code` has its place in the details; `param` begins the message already. */
static void error_body(struct weir_buf *b, const struct weir_failure *f)
{
    WEIR_BUF_LIT(b, "{\"type\":\"error\",\"error\":{\"type\":\"");
    weir_buf_str(b, weir_str_z(type_of(f->status)));
    WEIR_BUF_LIT(b, "\",\"message\":");
    weir_buf_json(b, f->message);
    if (f->code != NULL) {
        WEIR_BUF_LIT(b, ",\"details\":{\"error_code\":");
        weir_buf_json(b, weir_str_z(f->code));
        WEIR_BUF_LIT(b, "}");
    }
    WEIR_BUF_LIT(b, "}");
    if (f->request_id != NULL) {
        WEIR_BUF_LIT(b, ",\"request_id\":\"");
        weir_buf_append(b, f->request_id, WEIR_REQUEST_ID_BYTES);
        WEIR_BUF_LIT(b, "\"");
    }
    WEIR_BUF_LIT(b, "}");
}

static void error_event(struct weir_buf *b, const struct weir_failure *f)
{
    WEIR_BUF_LIT(b, "event: error\ndata: ");
    error_body(b, f);
    WEIR_BUF_LIT(b, "\n\n");
}

/* ---- headers ---- */

/* In UTC to the second: not before. */
static void moment(struct weir_buf *b, uint64_t reset_us, uint64_t wall_s)
{
    char text[32];
    struct tm utc;
    time_t at = (time_t)(wall_s + (reset_us + 999999) / 1000000);
    gmtime_r(&at, &utc);
    weir_buf_append(b, text, strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc));
}

static const struct weir_rate_form rate = {
    .limit = {WEIR_STR_INIT("anthropic-ratelimit-"), WEIR_STR_INIT("-limit: ")},
    .remaining = {WEIR_STR_INIT("anthropic-ratelimit-"), WEIR_STR_INIT("-remaining: ")},
    .reset = {WEIR_STR_INIT("anthropic-ratelimit-"), WEIR_STR_INIT("-reset: ")},
    .moment = moment,
};

static void headers(struct weir_buf *b, const char *request_id, uint64_t took_ms,
                    const struct weir_decision *d, uint64_t wall_s)
{
    (void)took_ms;
    if (request_id != NULL) {
        WEIR_BUF_LIT(b, "request-id: ");
        weir_buf_append(b, request_id, WEIR_REQUEST_ID_BYTES);
        WEIR_BUF_LIT(b, "\r\n");
    }
    if (d != NULL) {
        weir_headers_rate(b, d, &rate, wall_s);
    }
}

const struct weir_api weir_api_anthropic = {
    .name = "anthropic",
    .x_api_key = true,
    .error_body = error_body,
    .error_event = error_event,
    .headers = headers,
};
