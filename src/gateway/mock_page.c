/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/mock_page.h"

#include <math.h>

#include "base/rand.h"

/* ---- errors ---- */

static const char *openai_type(int status)
{
    return status == 429 ? "requests" : status >= 500 ? "server_error" : "invalid_request_error";
}

/* NULL: none. */
static const char *openai_code(int status)
{
    switch (status) {
    case 401:
        return "invalid_api_key";
    case 404:
        return "model_not_found";
    case 429:
        return "rate_limit_exceeded";
    default:
        return NULL;
    }
}

static const char *anthropic_type(int status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 402:
        return "billing_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 409:
        return "conflict_error";
    case 413:
        return "request_too_large";
    case 429:
        return "rate_limit_error";
    case 504:
        return "timeout_error";
    case 529:
        return "overloaded_error";
    default:
        return status >= 500 ? "api_error" : "invalid_request_error";
    }
}

static void text_or_null(struct weir_buf *b, const char *text)
{
    if (text == NULL || *text == '\0') {
        WEIR_BUF_LIT(b, "null");
    } else {
        weir_buf_json(b, weir_str_z(text));
    }
}

void weir_mock_error(struct weir_buf *b, bool anthropic, int status, struct weir_str message,
                     const char *param, struct weir_str id)
{
    if (anthropic) {
        weir_buf_printf(b, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":",
                        anthropic_type(status));
        weir_buf_json(b, message);
        WEIR_BUF_LIT(b, "},\"request_id\":");
        weir_buf_json(b, id);
        WEIR_BUF_LIT(b, "}");
        return;
    }
    WEIR_BUF_LIT(b, "{\"error\":{\"message\":");
    weir_buf_json(b, message);
    weir_buf_printf(b, ",\"type\":\"%s\",\"param\":", openai_type(status));
    text_or_null(b, param);
    WEIR_BUF_LIT(b, ",\"code\":");
    text_or_null(b, openai_code(status));
    WEIR_BUF_LIT(b, "}}");
}

/* ---- embeddings ---- */

static void vector_draw(float *vector, uint32_t dimensions, struct weir_rand *r)
{
    double squares = 0;
    for (uint32_t i = 0; i < dimensions; i++) {
        vector[i] = (float)(weir_rand_unit(r) * 2 - 1);
        squares += (double)vector[i] * (double)vector[i];
    }
    float scale = (float)(1 / sqrt(squares > 0 ? squares : 1));
    for (uint32_t i = 0; i < dimensions; i++) {
        vector[i] *= scale;
    }
}

/* RFC 4648, of the numbers as they lie in memory: little-endian, as OpenAI's. */
static void base64(struct weir_buf *b, const unsigned char *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t three = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0);
        char four[4] = {digits[three >> 18], digits[three >> 12 & 63],
                        left > 1 ? digits[three >> 6 & 63] : '=',
                        left > 2 ? digits[three & 63] : '='};
        weir_buf_append(b, four, sizeof(four));
    }
}

static void numbers(struct weir_buf *b, const float *vector, uint32_t dimensions)
{
    for (uint32_t i = 0; i < dimensions; i++) {
        weir_buf_printf(b, i == 0 ? "%.9g" : ",%.9g", (double)vector[i]);
    }
}

void weir_mock_embeddings(struct weir_buf *b, const struct weir_mock_request *r, uint64_t seed)
{
    float vector[WEIR_MOCK_DIMENSIONS_MAX];
    WEIR_BUF_LIT(b, "{\"object\":\"list\",\"data\":[");
    for (uint32_t i = 0; i < r->inputs && !b->failed; i++) {
        struct weir_rand rand;
        weir_rand_init(&rand, weir_mix64(seed + i) ^ r->prompt_hash);
        vector_draw(vector, r->dimensions, &rand);
        weir_buf_printf(
            b, "%s{\"object\":\"embedding\",\"index\":%u,\"embedding\":", i == 0 ? "" : ",", i);
        weir_buf_str(b, r->base64 ? WEIR_STR("\"") : WEIR_STR("["));
        if (r->base64) {
            base64(b, (const unsigned char *)vector, r->dimensions * sizeof(vector[0]));
        } else {
            numbers(b, vector, r->dimensions);
        }
        weir_buf_str(b, r->base64 ? WEIR_STR("\"}") : WEIR_STR("]}"));
    }
    WEIR_BUF_LIT(b, "],\"model\":");
    weir_buf_json(b, weir_mock_name_view(&r->model));
    WEIR_BUF_LIT(b, ",\"usage\":{\"prompt_tokens\":");
    weir_buf_u64(b, r->input_tokens);
    WEIR_BUF_LIT(b, ",\"total_tokens\":");
    weir_buf_u64(b, r->input_tokens);
    WEIR_BUF_LIT(b, "}}");
}

/* ---- the rest ---- */

void weir_mock_count(struct weir_buf *b, uint64_t input_tokens)
{
    WEIR_BUF_LIT(b, "{\"input_tokens\":");
    weir_buf_u64(b, input_tokens);
    WEIR_BUF_LIT(b, "}");
}

void weir_mock_model(struct weir_buf *b, bool anthropic, struct weir_str name)
{
    WEIR_BUF_LIT(b, "{\"id\":");
    weir_buf_json(b, name);
    if (anthropic) {
        WEIR_BUF_LIT(b, ",\"type\":\"model\",\"display_name\":");
        weir_buf_json(b, name);
        WEIR_BUF_LIT(b, ",\"created_at\":\"2026-01-01T00:00:00Z\"}");
    } else {
        WEIR_BUF_LIT(b, ",\"object\":\"model\",\"created\":1767225600,\"owned_by\":\"weir\"}");
    }
}

void weir_mock_models(struct weir_buf *b, bool anthropic, struct weir_str names)
{
    struct weir_str rest = names, first = {0}, last = {0};
    weir_buf_str(b,
                 anthropic ? WEIR_STR("{\"data\":[") : WEIR_STR("{\"object\":\"list\",\"data\":["));
    while (rest.len > 0) {
        const char *comma = memchr(rest.p, ',', rest.len);
        last = weir_str(rest.p, comma == NULL ? rest.len : (size_t)(comma - rest.p));
        if (first.p == NULL) {
            first = last;
        } else {
            WEIR_BUF_LIT(b, ",");
        }
        weir_mock_model(b, anthropic, last);
        size_t taken = last.len + (comma != NULL);
        rest = weir_str(rest.p + taken, rest.len - taken);
    }
    WEIR_BUF_LIT(b, "]");
    if (anthropic) {
        WEIR_BUF_LIT(b, ",\"has_more\":false,\"first_id\":");
        weir_buf_json(b, first);
        WEIR_BUF_LIT(b, ",\"last_id\":");
        weir_buf_json(b, last);
    }
    WEIR_BUF_LIT(b, "}");
}
