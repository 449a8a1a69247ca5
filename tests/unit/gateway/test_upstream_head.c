/* SPDX-License-Identifier: Apache-2.0 */
/* What passes between a client and an upstream, and what an upstream's head says. */
#include "gateway/upstream_head.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { WALL_S = 1795900000 };

static void test_request_fields(void **state)
{
    (void)state;
    static const struct weir_http_header header[] = {
        {{"Host", 4}, {"weir", 4}},
        {{"Authorization", 13}, {"Bearer sk-client", 16}},
        {{"X-Api-Key", 9}, {"sk-client", 9}},
        {{"cookie", 6}, {"a=b", 3}},
        {{"Connection", 10}, {"keep-alive, X-Mine", 18}},
        {{"connection", 10}, {"x-Other", 7}},
        {{"x-mine", 6}, {"1", 1}},
        {{"X-OTHER", 7}, {"1", 1}},
        {{"TE", 2}, {"trailers", 8}},
        {{"Transfer-Encoding", 17}, {"chunked", 7}},
        {{"Upgrade", 7}, {"h2c", 3}},
        {{"Content-Length", 14}, {"2", 1}},
        {{"Accept-Encoding", 15}, {"gzip", 4}},
        {{"Expect", 6}, {"100-continue", 12}},
        {{"OpenAI-Organization", 19}, {"org-x", 5}},
        {{"Content-Type", 12}, {"application/json", 16}},
        {{"anthropic-version", 17}, {"2023-06-01", 10}},
        {{"x-empty", 7}, {"", 0}},
        {{"x-minelonger", 12}, {"2", 1}},
    };
    struct weir_http_request http = {.header = header,
                                     .headers = sizeof(header) / sizeof(header[0])};
    static const char expected[] = "Content-Type: application/json\0"
                                   "anthropic-version: 2023-06-01\0"
                                   "x-empty;\0"
                                   "x-minelonger: 2";
    struct weir_buf b;
    weir_buf_init(&b, 4096);
    assert_int_equal(weir_request_fields(&http, &b), 4);
    assert_int_equal(b.len, sizeof(expected));
    assert_memory_equal(b.data, expected, sizeof(expected));
    weir_buf_deinit(&b);
}

static void test_paths(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool passes;
    } cases[] = {
        {"/v1/chat/completions", true},
        {"/v1/files/a.b/content", true},
        {"/v1/files/...", true},
        {"/v1/", true},
        {"/v1/a//b", true},
        {"/v1/%2fa", true},
        {"/v1", false},
        {"/v2/a", false},
        {"/V1/a", false},
        {"/v1/../admin", false},
        {"/v1/a/..", false},
        {"/v1/.", false},
        {"/v1/./a", false},
        {"/v1/%2e%2E/admin", false},
        {"/v1/.%2e/admin", false},
        {"/v1/%2e", false},
        {"/v1/..%2f..%2Fadmin", false},
        {"/v1/a%5c..%5Cadmin", false},
        {"/v1/a%2f.%2fb", false},
        {"/v1/a%2fb", true},
        {"/v1/a%2", true},
        {"/v1/a#b", false},
        {"/v1/a?b", false},
        {"/v1/a\\b", false},
        {"/v1/a b", false},
        {"/v1/a\x7f", false},
        {"/v1/\xc3\xa9", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (weir_path_passes(weir_str_z(cases[i].path)) != cases[i].passes) {
            fail_msg("%s", cases[i].path);
        }
    }
}

static void answers(const char *text, struct weir_answer_head *ret_head, const char *fields)
{
    struct weir_buf b;
    weir_buf_init(&b, 4096);
    enum weir_err err = weir_answer_head_read(weir_str_z(text), WALL_S, &b, ret_head);
    assert_int_equal(err, WEIR_OK);
    weir_buf_char(&b, '\0');
    assert_string_equal(b.data, fields);
    weir_buf_deinit(&b);
}

static void test_answer_head(void **state)
{
    (void)state;
    struct weir_answer_head head;
    answers("HTTP/1.1 200 OK\r\n"
            "Date: Tue, 24 Nov 2026 10:00:00 GMT\r\n"
            "Content-Type: text/event-stream; charset=utf-8 \r\n"
            "Connection: close, X-Hop\r\n"
            "Keep-Alive: timeout=5\r\n"
            "X-Hop: 1\r\n"
            "Transfer-Encoding: chunked\r\n"
            "Trailer: X\r\n"
            "Set-Cookie: a=b\r\n"
            "Strict-Transport-Security: max-age=1\r\n"
            "Alt-Svc: h3\r\n"
            "OpenAI-Organization: org-ours\r\n"
            "anthropic-organization-id: ours\r\n"
            "x-ratelimit-limit-requests: 5\r\n"
            "Anthropic-RateLimit-Requests-Limit: 5\r\n"
            "x-weir-limited-by: requests\r\n"
            "x-request-id: req_upstream\r\n"
            "Request-Id: req_anthropic\r\n"
            "openai-processing-ms: 12\r\n"
            "no colon\r\n"
            "a b: c\r\n"
            "x-bad: a\rb\r\n"
            "X-Good:\t c \r\n",
            &head,
            "x-weir-upstream-request-id: req_upstream\r\n"
            "x-weir-upstream-request-id: req_anthropic\r\n"
            "X-Good: c\r\n");
    assert_int_equal(head.status, 200);
    assert_int_equal(head.content_length, UINT64_MAX);
    assert_int_equal(head.retry_ms, 0);
    answers("HTTP/2 404 \r\ncontent-length: 12\r\n", &head, "");
    assert_int_equal(head.status, 404);
    assert_int_equal(head.content_length, 12);
    answers("HTTP/1.0 503\r\n", &head, "");
    assert_int_equal(head.status, 503);
}

static void test_bad_heads(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "HTTP/1.1\r\n",
        "HTTP/1.1 20 OK\r\n",
        "HTTP/1.1 2000\r\n",
        "HTTP/1.1 199 x\r\n",
        "HTTP/1.1 600 x\r\n",
        "ICY 200 OK\r\n",
        "HTTP/1.1 abc\r\n",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_answer_head head;
        struct weir_buf b;
        weir_buf_init(&b, 4096);
        if (weir_answer_head_read(weir_str_z(cases[i]), WALL_S, &b, &head) != WEIR_ERR_INVALID) {
            fail_msg("%s", cases[i]);
        }
        weir_buf_deinit(&b);
    }
}

static void test_retry_after(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        uint64_t ms;
    } cases[] = {
        {"", 0},
        {"retry-after: 3\r\n", 3000},
        {"Retry-After: 1.5\r\n", 1500},
        {"retry-after: 0\r\n", 0},
        {"retry-after: -1\r\n", 0},
        {"retry-after: 6m0s\r\n", 0},
        {"retry-after: soon\r\n", 0},
        {"retry-after:\r\n", 0},
        {"retry-after: 99999999999999999999\r\n", UINT64_C(1000000000000)},
        {"retry-after-ms: 250\r\nretry-after: 1\r\n", 250}, /* the exact one */
        {"retry-after: 1\r\nretry-after-ms: 250\r\n", 250},
        {"retry-after-ms: 0\r\nretry-after: 1\r\n", 1000}, /* as the SDKs take it */
        {"retry-after-ms: x\r\nretry-after: 1\r\n", 1000},
        {"retry-after: Sat, 28 Nov 2026 21:06:45 GMT\r\n", 5000}, /* WALL_S + 5 */
        {"retry-after: Sat, 28 Nov 2026 21:06:40 GMT\r\n", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256];
        struct weir_answer_head head;
        struct weir_buf b;
        weir_buf_init(&b, 4096);
        snprintf(text, sizeof(text), "HTTP/1.1 429 x\r\n%s", cases[i].fields);
        assert_int_equal(weir_answer_head_read(weir_str_z(text), WALL_S, &b, &head), WEIR_OK);
        if (head.retry_ms != cases[i].ms) {
            fail_msg("%s: %llu", cases[i].fields, (unsigned long long)head.retry_ms);
        }
        weir_buf_deinit(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_fields), cmocka_unit_test(test_paths),
        cmocka_unit_test(test_answer_head),    cmocka_unit_test(test_bad_heads),
        cmocka_unit_test(test_retry_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
