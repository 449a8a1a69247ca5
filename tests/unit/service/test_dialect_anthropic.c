/* SPDX-License-Identifier: Apache-2.0 */
/* Anthropic's messages, what is not known, and how the two APIs word errors and limits. */
#include "dialect_support.h"
#include "service/service.h"

#define MESSAGES "\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"12345678\"}]"

enum { ONE = WEIR_TOKENS_PER_MESSAGE + WEIR_TOKENS_PER_REPLY };

/* ---- messages ---- */

static void test_messages(void **state)
{
    (void)state;
    const struct weir_dialect *d = &weir_dialect_messages;
    struct weir_dialect_request r = taken(d, "{" MESSAGES ",\"max_tokens\":7,\"stream\":true}");
    assert_int_equal(r.input_tokens, ONE + 2);
    assert_int_equal(r.output_max, 7);
    assert_true(r.stream && r.include_usage);
    assert_int_equal(r.edit.put.len, 0);
    r = taken(d, "{" MESSAGES ",\"max_tokens\":7,\"system\":\"1234\"}");
    assert_int_equal(r.input_tokens, ONE + 3);
    r = taken(d,
              "{" MESSAGES ",\"max_tokens\":7,\"system\":[{\"type\":\"text\",\"text\":\"1234\"}]}");
    assert_int_equal(r.input_tokens, ONE + 3);
    r = taken(d, "{" MESSAGES ",\"max_tokens\":7,\"tools\":[{\"name\":\"f\"}]}");
    assert_int_equal(r.input_tokens, ONE + 2 + 2);
    refused(d, "{" MESSAGES "}", "max_tokens");
    refused(d, "{" MESSAGES ",\"max_tokens\":0}", "max_tokens");
    refused(d, "{" MESSAGES ",\"max_tokens\":1,\"max_tokens\":2}", "max_tokens");
    refused(d, "{" MESSAGES ",\"max_tokens\":7,\"system\":7}", "system");
    refused(d, "{\"model\":\"m\",\"max_tokens\":7}", "messages");
}

/* An image costs the same, however long its bytes, also within a tool's result. */
static void test_parts(void **state)
{
    (void)state;
#define IMAGE "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"data\":\"AAAAAAAAAAAAAAAA\"}}"
    static const struct {
        const char *parts;
        uint64_t tokens;
    } contents[] = {
        {"{\"type\":\"text\",\"text\":\"1234\"}", 1},
        {IMAGE, WEIR_TOKENS_PER_IMAGE},
        {"{\"type\":\"tool_result\",\"content\":\"12345678\"}", 2},
        {"{\"type\":\"tool_result\",\"content\":[" IMAGE ",{\"type\":\"text\",\"text\":\"1234\"}]}",
         WEIR_TOKENS_PER_IMAGE + 1},
        {"{\"type\":\"thinking\",\"thinking\":\"12345678\",\"signature\":\"AAAAAAAAAAAAAAAA\"}", 2},
        {"{\"type\":\"text\",\"signature\":\"12345678\"}", 2},
    };
    for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
        char body[512];
        snprintf(body, sizeof(body),
                 "{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":"
                 "[%s]}]}",
                 contents[i].parts);
        assert_int_equal(taken(&weir_dialect_messages, body).input_tokens,
                         ONE + contents[i].tokens);
    }
}

#define EVENT(type, more) "event: " type "\ndata: {\"type\":\"" type "\"" more "}\n\n"
#define START                                                                                      \
    EVENT("message_start",                                                                         \
          ",\"message\":{\"usage\":{\"input_tokens\":3,\"cache_creation_input_tokens\":20,"        \
          "\"cache_read_input_tokens\":100,\"output_tokens\":1}}")
#define TEXT EVENT("content_block_delta", ",\"delta\":{\"type\":\"text_delta\",\"text\":\"1234\"}")

/* The input is known at the start, before there is any output. */
/* What of the input is text, from which a model's ratio is learnt. */
static void test_text(void **state)
{
    (void)state;
    static const struct {
        const struct weir_dialect *dialect;
        const char *fields;
        uint64_t text_tokens;
    } cases[] = {
        {&weir_dialect_messages, MESSAGES ",\"max_tokens\":7", 2},
        {&weir_dialect_messages, MESSAGES ",\"max_tokens\":7,\"system\":\"1234\"", 3},
        {&weir_dialect_messages, MESSAGES ",\"max_tokens\":7,\"tools\":[{\"name\":\"f\"}]", 2},
        {&weir_dialect_messages,
         "\"model\":\"m\",\"max_tokens\":7,\"messages\":[{\"role\":\"user\",\"content\":["
         "{\"type\":\"text\",\"text\":\"1234\"},"
         "{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://a\"}},"
         "{\"type\":\"document\",\"source\":{\"data\":\"12345678\"}},"
         "{\"type\":\"tool_use\",\"id\":\"1\",\"name\":\"f\",\"input\":{\"a\":\"1234\"}},"
         "{\"type\":\"tool_result\",\"tool_use_id\":\"1\",\"content\":\"12345678\"}]}]",
         3},
        {&weir_dialect_chat, MESSAGES ",\"response_format\":{\"type\":\"text\"}", 2},
        {&weir_dialect_responses,
         "\"model\":\"m\",\"input\":\"1234\",\"instructions\":\"12345678\",\"text\":{\"a\":\"b\"}",
         3},
        {&weir_dialect_completions, "\"model\":\"m\",\"prompt\":[\"1234\",\"12345678\"]", 3},
        {&weir_dialect_completions, "\"model\":\"m\",\"prompt\":[1,2,3]", 0},
        {&weir_dialect_embeddings, "\"model\":\"m\",\"input\":[[1,2],[3]]", 0},
        {&weir_dialect_embeddings, "\"model\":\"m\",\"input\":\"1234\"", 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char body[1024];
        snprintf(body, sizeof(body), "{%s}", cases[i].fields);
        struct weir_dialect_request r = taken(cases[i].dialect, body);
        assert_int_equal(r.text_tokens, cases[i].text_tokens);
        assert_true(r.text_tokens <= r.input_tokens);
        assert_false(r.exact);
    }
}

static void test_input_at_the_start(void **state)
{
    (void)state;
    struct weir_progress p = read_stream(&weir_dialect_messages, START EVENT("ping", "") TEXT TEXT);
    assert_true(p.used.input_known && !p.used.output_known && !p.ended);
    assert_int_equal(p.used.input_tokens, 123);
    assert_int_equal(p.used.cached_tokens, 100);
    assert_int_equal(p.used.cache_write_tokens, 20);
    assert_int_equal(weir_progress_output(&p), 2); /* if it breaks off here */
}

/* The last report holds; what it does not repeat stays. */
static void test_output_is_cumulative(void **state)
{
    (void)state;
    struct weir_progress p =
        read_stream(&weir_dialect_messages,
                    START TEXT EVENT("message_delta", ",\"usage\":{\"output_tokens\":5}")
                        EVENT("message_delta",
                              ",\"usage\":{\"input_tokens\":null,\"cache_read_input_tokens\":null,"
                              "\"output_tokens\":12}") EVENT("message_stop", ""));
    expect_used(&p, 123, 100, 20, 12);
    assert_true(p.ended && !p.failed);
    assert_int_equal(weir_progress_output(&p), 12);
    /* all of it told again, as newer versions do */
    p = read_stream(&weir_dialect_messages,
                    START EVENT("message_delta",
                                ",\"usage\":{\"input_tokens\":4,\"cache_read_input_tokens\":90,"
                                "\"output_tokens\":12}"));
    expect_used(&p, 114, 90, 20, 12);
}

static void test_produced(void **state)
{
    (void)state;
    struct weir_progress p = read_stream(
        &weir_dialect_messages,
        EVENT("content_block_start",
              ",\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"1234\"}")
            EVENT("content_block_delta", ",\"delta\":{\"partial_json\":\"12345678\"}")
                EVENT("content_block_delta", ",\"delta\":{\"thinking\":\"1234\"}")
                    EVENT("content_block_delta", ",\"delta\":{\"signature\":\"AAAA\"}"));
    assert_int_equal(p.produced_tokens, 4);
    assert_int_equal(p.produced_bytes, 16);
}

static void test_error_event(void **state)
{
    (void)state;
    struct weir_progress p = read_stream(
        &weir_dialect_messages,
        START TEXT EVENT("error", ",\"error\":{\"type\":\"overloaded_error\",\"message\":\"no\"}"));
    assert_true(p.failed && !p.ended);
    assert_int_equal(weir_progress_output(&p), 1);
}

static void test_whole_answer(void **state)
{
    (void)state;
    struct weir_progress p = read_whole(
        &weir_dialect_messages,
        "{\"type\":\"message\",\"content\":[],\"usage\":{\"input_tokens\":3,"
        "\"cache_creation_input_tokens\":null,\"cache_read_input_tokens\":7,\"output_tokens\":5}}");
    expect_used(&p, 10, 7, 0, 5);
}

static void test_count_tokens(void **state)
{
    (void)state;
    struct weir_dialect_request r = taken(&weir_dialect_count, "{" MESSAGES "}");
    assert_int_equal(r.input_tokens, 0);
    assert_int_equal(weir_output_reserved(&r, 1000), 0);
    assert_true(weir_str_eq(r.model, WEIR_STR("m")));
    refused(&weir_dialect_count, "{\"model\":\"m\"}", "messages");
    struct weir_progress p = read_whole(&weir_dialect_count, "{\"input_tokens\":9}");
    assert_false(p.used.input_known);
}

/* ---- what is not known ---- */

static void test_dialect_of(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const struct weir_dialect *dialect;
    } rows[] = {
        {"/v1/chat/completions", &weir_dialect_chat},
        {"/v1/completions", &weir_dialect_completions},
        {"/v1/responses", &weir_dialect_responses},
        {"/v1/embeddings", &weir_dialect_embeddings},
        {"/v1/messages", &weir_dialect_messages},
        {"/v1/messages/count_tokens", &weir_dialect_count},
        /* as an upstream may read them: another spelling is no way around the limits */
        {"/v1/messages/", &weir_dialect_messages},
        {"/v1/chat/%63ompletion%73", &weir_dialect_chat},
        {"/v1/chat%2Fcompletions", &weir_dialect_chat},
        {"/v1//chat//completions//", &weir_dialect_chat},
        {"/v1/Chat/COMPLETIONS", &weir_dialect_chat},
        {"/v1/chat/completion", &weir_dialect_other},
        {"/v1/chat/completions/1", &weir_dialect_other},
        {"/v1/chat/completions%", &weir_dialect_other},
        {"/v1/chat/completions%2", &weir_dialect_other},
        {"/v1/audio/speech", &weir_dialect_other},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_ptr_equal(weir_dialect_of(weir_str_z(rows[i].path), false), rows[i].dialect);
    }
    assert_ptr_equal(weir_dialect_of(WEIR_STR("/v1/chat/completions"), true), &weir_dialect_chat);
    assert_ptr_equal(weir_dialect_of(WEIR_STR("/v1/files"), true), &weir_dialect_other_anthropic);
}

static void test_other(void **state)
{
    (void)state;
    const struct weir_dialect *d = &weir_dialect_other;
    struct weir_dialect_request r = taken(d, "{\"model\":\"m\",\"input\":\"12345678\"}");
    assert_true(weir_str_eq(r.model, WEIR_STR("m")));
    assert_int_equal(r.input_tokens, 0);
    assert_int_equal(weir_output_reserved(&r, 1000), 0);
    assert_int_equal(taken(d, "").model.len, 0);
    assert_int_equal(taken(d, "--boundary\r\n").choices, 1);
    assert_int_equal(taken(d, "{\"purpose\":1}").model.len, 0);
    refused(d, "{\"model\":7}", "model");
    refused(d, "{\"model\":\"a\",\"model\":\"b\"}", "model");
    struct weir_progress p =
        read_whole(d, "{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}");
    expect_used(&p, 3, 0, 0, 4);
    p = read_whole(d, "{\"usage\":{\"type\":\"tokens\",\"input_tokens\":3,\"output_tokens\":4}}");
    expect_used(&p, 3, 0, 0, 4);
    p = read_stream(d, "data: {\"type\":\"x.done\",\"usage\":{\"input_tokens\":3,"
                       "\"output_tokens\":4}}\n\n");
    expect_used(&p, 3, 0, 0, 4);
    p = read_stream(d, START EVENT("message_delta", ",\"usage\":{\"output_tokens\":6}"));
    expect_used(&p, 123, 100, 20, 6);
}

/* An answer that is neither JSON nor events is not looked at. */
static void test_opaque(void **state)
{
    (void)state;
    assert_int_equal(weir_answer_form_of(WEIR_STR("text/event-stream; charset=utf-8")),
                     WEIR_ANSWER_EVENTS);
    assert_int_equal(weir_answer_form_of(WEIR_STR("Application/JSON")), WEIR_ANSWER_JSON);
    assert_int_equal(weir_answer_form_of(WEIR_STR("audio/mpeg")), WEIR_ANSWER_OPAQUE);
    assert_int_equal(weir_answer_form_of(WEIR_STR("")), WEIR_ANSWER_OPAQUE);
    static const char answer[] = "{\"usage\":{\"prompt_tokens\":3}}";
    struct weir_progress p =
        read_answer(&weir_dialect_other, WEIR_ANSWER_OPAQUE, false, answer, answer);
    assert_false(p.used.input_known);
}

/* ---- words ---- */

static void expect_text(struct weir_buf *b, const char *text)
{
    weir_buf_char(b, '\0');
    assert_string_equal(b->data, text);
    weir_buf_reset(b);
}

static void test_errors(void **state)
{
    (void)state;
    struct weir_buf b;
    const struct weir_failure f = {
        .status = 429,
        .message = WEIR_STR("no \"more\""),
        .type = "tokens",
        .code = "rate_limit_exceeded",
        .request_id = "req_0123456789abcdef0123456789abcdef",
    };
    const struct weir_failure plain = {.status = 503, .message = WEIR_STR("no")};
    weir_buf_init(&b, 1 << 10);
    weir_api_openai.error_body(&b, &f);
    expect_text(&b,
                "{\"error\":{\"message\":\"no \\\"more\\\"\",\"type\":\"tokens\",\"param\":null,"
                "\"code\":\"rate_limit_exceeded\"}}");
    weir_api_openai.error_event(&b, &plain);
    expect_text(&b, "data: {\"error\":{\"message\":\"no\",\"type\":\"server_error\",\"param\":null,"
                    "\"code\":null}}\n\n");
    weir_api_anthropic.error_body(&b, &f);
    expect_text(&b, "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":"
                    "\"no \\\"more\\\"\",\"details\":{\"error_code\":\"rate_limit_exceeded\"}},"
                    "\"request_id\":\"req_0123456789abcdef0123456789abcdef\"}");
    weir_api_anthropic.error_event(&b, &plain);
    expect_text(&b, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\","
                    "\"message\":\"no\"}}\n\n");
    weir_buf_deinit(&b);
}

static void test_limits_of_anthropic(void **state)
{
    (void)state;
    struct weir_buf b;
    const struct weir_decision d = {
        .allowed = true,
        .states = 2,
        .state = {{.meter = WEIR_METER_REQUESTS,
                   .window_s = 60,
                   .capacity = 100,
                   .used = 1,
                   .reset_us = 60000001},
                  {.meter = WEIR_METER_OUTPUT_TOKENS,
                   .window_s = 60,
                   .capacity = 10,
                   .used = 30,
                   .reset_us = 0}},
    };
    weir_buf_init(&b, 1 << 12);
    weir_api_anthropic.headers(&b, "req_0123456789abcdef0123456789abcdef", 5, &d, 1795885887);
    expect_text(&b, "request-id: req_0123456789abcdef0123456789abcdef\r\n"
                    "anthropic-ratelimit-requests-limit: 100\r\n"
                    "anthropic-ratelimit-requests-remaining: 99\r\n"
                    "anthropic-ratelimit-requests-reset: 2026-11-28T17:12:28Z\r\n"
                    "anthropic-ratelimit-tokens-limit: 10\r\n"
                    "anthropic-ratelimit-tokens-remaining: 0\r\n"
                    "anthropic-ratelimit-tokens-reset: 2026-11-28T17:11:27Z\r\n"
                    "anthropic-ratelimit-output-tokens-limit: 10\r\n"
                    "anthropic-ratelimit-output-tokens-remaining: 0\r\n"
                    "anthropic-ratelimit-output-tokens-reset: 2026-11-28T17:11:27Z\r\n");
    weir_api_anthropic.headers(&b, NULL, 5, NULL, 0);
    assert_int_equal(b.len, 0);
    weir_buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_input_at_the_start),
        cmocka_unit_test(test_output_is_cumulative),
        cmocka_unit_test(test_produced),
        cmocka_unit_test(test_error_event),
        cmocka_unit_test(test_whole_answer),
        cmocka_unit_test(test_count_tokens),
        cmocka_unit_test(test_dialect_of),
        cmocka_unit_test(test_other),
        cmocka_unit_test(test_opaque),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_limits_of_anthropic),
    };
    return cmocka_run_group_tests(tests, support_begin, support_end);
}
