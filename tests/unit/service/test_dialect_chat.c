/* SPDX-License-Identifier: Apache-2.0 */
/* What a chat request is charged for, and what is no chat request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/buf.h"
#include "service/dialect.h"
#include "tokens/tokens.h"

#define MESSAGE "{\"role\":\"user\",\"content\":\"12345678\"}" /* two tokens by the estimate */

/* What the reader works in. */
static const struct weir_counting counting; /* estimates */
static struct weir_json json;
static struct weir_buf space;

enum { ONE_MESSAGE = WEIR_TOKENS_PER_REPLY + WEIR_TOKENS_PER_MESSAGE };

static struct weir_dialect_request taken(const char *body)
{
    struct weir_dialect_request r;
    struct weir_dialect_refusal why;
    if (weir_dialect_read(&weir_dialect_chat, &json, &space, counting, weir_str_z(body), &r,
                          &why) != WEIR_OK) {
        fail_msg("refused: %s: %s", body, why.text);
    }
    return r;
}

/* A request with one good message and these fields. */
static struct weir_dialect_request with(const char *fields)
{
    char body[1024];
    snprintf(body, sizeof(body), "{\"model\":\"m\",\"messages\":[" MESSAGE "]%s}", fields);
    return taken(body);
}

static uint64_t tokens_of_messages(const char *messages)
{
    char body[1024];
    snprintf(body, sizeof(body), "{\"model\":\"m\",\"messages\":[%s]}", messages);
    return taken(body).input_tokens;
}

static void refused(const char *body, const char *param)
{
    struct weir_dialect_request r = {.output_max = 77};
    struct weir_dialect_refusal why;
    if (weir_dialect_read(&weir_dialect_chat, &json, &space, counting, weir_str_z(body), &r,
                          &why) != WEIR_ERR_INVALID) {
        fail_msg("taken: %s", body);
    }
    assert_string_equal(why.param, param);
    assert_memory_equal(why.text, param, strlen(param)); /* the sentence begins with the field */
    assert_int_equal(r.output_max, 77);                  /* untouched on failure */
}

static void test_plain(void **state)
{
    (void)state;
    struct weir_dialect_request r = with("");
    assert_true(weir_str_eq(r.model, WEIR_STR("m")));
    assert_int_equal(r.input_tokens, ONE_MESSAGE + 2);
    assert_int_equal(r.output_max, 0);
    assert_false(r.stream || r.include_usage);
}

/* A small max_tokens beside a large max_completion_tokens must not be what is reserved. */
static void test_the_larger_maximum_counts(void **state)
{
    (void)state;
    assert_int_equal(with(",\"max_tokens\":1").output_max, 1);
    assert_int_equal(with(",\"max_completion_tokens\":2147483647").output_max, INT32_MAX);
    assert_int_equal(with(",\"max_tokens\":1,\"max_completion_tokens\":900").output_max, 900);
    assert_int_equal(with(",\"max_tokens\":900,\"max_completion_tokens\":1").output_max, 900);
    assert_int_equal(with(",\"max_tokens\":null,\"max_completion_tokens\":7").output_max, 7);
    assert_int_equal(with(",\"max_tokens\":null,\"max_completion_tokens\":null").output_max, 0);
    assert_int_equal(with(",\"max_tokens\":1e2").output_max, 100);
}

static void test_maxima_out_of_bounds(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "0",     "-0",     "-1",     "1.5",     "2147483648", "9007199254740993",
        "1e400", "-1e400", "1e300",  "0.99999", "true",       "\"5\"",
        "[]",    "{}",     "1e-400",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char body[256];
        snprintf(body, sizeof(body),
                 "{\"model\":\"m\",\"messages\":[" MESSAGE "],\"max_tokens\":%s}", bad[i]);
        refused(body, "max_tokens");
        snprintf(body, sizeof(body),
                 "{\"max_completion_tokens\":%s,\"model\":\"m\",\"messages\":[" MESSAGE "]}",
                 bad[i]);
        refused(body, "max_completion_tokens");
    }
}

static void test_stream(void **state)
{
    (void)state;
    assert_true(with(",\"stream\":true").stream);
    assert_false(with(",\"stream\":false").stream);
    assert_false(with(",\"stream\":null,\"stream_options\":null").stream);
    assert_true(with(",\"stream_options\":{\"include_usage\":true}").include_usage);
    assert_false(with(",\"stream_options\":{}").include_usage);
    assert_false(with(",\"stream_options\":{\"include_usage\":null}").include_usage);
    refused("{\"model\":\"m\",\"messages\":[" MESSAGE "],\"stream\":1}", "stream");
    refused("{\"model\":\"m\",\"messages\":[" MESSAGE "],\"stream_options\":[]}", "stream_options");
    refused("{\"model\":\"m\",\"messages\":[" MESSAGE "],\"stream_options\":{\"include_usage\":1}}",
            "stream_options.include_usage");
}

static void test_other_bodies(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"", ""},
        {"[]", ""},
        {"{}", "model"},
        {"{\"model\":null,\"messages\":[" MESSAGE "]}", "model"},
        {"{\"model\":\"\",\"messages\":[" MESSAGE "]}", "model"},
        {"{\"model\":\"m\"}", "messages"},
        {"{\"model\":\"m\",\"messages\":{}}", "messages"},
        {"{\"model\":\"m\",\"messages\":[]}", "messages"},
        {"{\"model\":\"m\",\"messages\":[" MESSAGE ",{}]}", "messages[1].role"},
        {"{\"model\":\"m\",\"messages\":[" MESSAGE ",[\"role\"]]}", "messages[1].role"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":7}]}", "messages[0].role"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":7}]}",
         "messages[0].content"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[7]}]}",
         "messages[0].content"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":7}]}]}",
         "messages[0].content"},
        {"{\"model\":\"m\",\"messages\":[" MESSAGE "],\"n\":129}", "n"},
        {"{\"model\":\"m\",\"messages\":[" MESSAGE "],\"n\":0}", "n"},
        {"{\"model\":\"m\",\"messages\":[" MESSAGE "],\"n\":\"1\"}", "n"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        refused(bad[i][0], bad[i][1]);
    }
    with(",\"n\":1");
    with(",\"n\":null");
}

static void test_model_length(void **state)
{
    (void)state;
    for (int len = WEIR_MODEL_MAX; len <= WEIR_MODEL_MAX + 1; len++) {
        char body[512];
        snprintf(body, sizeof(body), "{\"model\":\"%0*d\",\"messages\":[" MESSAGE "]}", len, 0);
        if (len == WEIR_MODEL_MAX) {
            assert_int_equal(taken(body).model.len, WEIR_MODEL_MAX);
        } else {
            refused(body, "model");
        }
    }
}

/* Which of the two counts, readers decide in different ways. */
static void test_fields_given_twice(void **state)
{
    (void)state;
    static const char *const fields[][2] = {
        {"model", "\"m\""},
        {"messages", "[" MESSAGE "]"},
        {"max_tokens", "1"},
        {"stream", "false"},
        {"max_completion_tokens", "1"},
        {"stream_options", "{}"},
        {"n", "1"},
        {"tools", "[]"},
        {"functions", "[]"},
        {"response_format", "{}"},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        char body[512];
        snprintf(body, sizeof(body),
                 "{\"%s\":%s,\"model\":\"m\",\"messages\":[" MESSAGE "],\"%s\":%s}", fields[i][0],
                 fields[i][1], fields[i][0], fields[i][1]);
        refused(body, fields[i][0]);
    }
    refused("{\"model\":\"m\",\"messages\":[" MESSAGE "],\"mod\\u0065l\":\"n\"}", "model");
    refused("{\"model\":\"m\",\"messages\":[{\"role\":\"a\",\"role\":\"b\"}]}", "messages[0].role");
    refused("{\"model\":\"m\",\"messages\":[" MESSAGE
            "],\"stream_options\":{\"include_usage\":false,\"include_usage\":true}}",
            "stream_options.include_usage");
    /* of texts both count */
    assert_int_equal(
        tokens_of_messages("{\"role\":\"user\",\"content\":\"1234\",\"content\":\"12345678\"}"),
        ONE_MESSAGE + 3);
}

static void test_contents(void **state)
{
    (void)state;
    assert_int_equal(tokens_of_messages("{\"role\":\"user\",\"content\":\"\"}"), ONE_MESSAGE);
    assert_int_equal(tokens_of_messages("{\"role\":\"user\",\"content\":null}"), ONE_MESSAGE);
    assert_int_equal(tokens_of_messages("{\"role\":\"user\",\"content\":[]}"), ONE_MESSAGE);
    assert_int_equal(tokens_of_messages("{\"role\":\"developer\",\"content\":[{\"type\":\"text\","
                                        "\"text\":\"1234\"},{\"type\":\"text\",\"text\":\"5\"}]}"),
                     ONE_MESSAGE + 2);
    assert_int_equal(tokens_of_messages(MESSAGE "," MESSAGE),
                     ONE_MESSAGE + WEIR_TOKENS_PER_MESSAGE + 4);
    /* an image costs the same, however long its bytes; other parts count as their text */
    assert_int_equal(
        tokens_of_messages("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\","
                           "\"image_url\":{\"url\":\"data:image/png;base64,AAAA\"}}]}"),
        ONE_MESSAGE + WEIR_TOKENS_PER_IMAGE);
    /* but for its size: a GIF of 512 x 512, and any at low detail */
    static const char gif[] =
        "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\","
        "\"image_url\":{\"url\":\"data:image/gif;base64,R0lGODlhAAIAAgAAAA==\"}}]}";
    static const char low[] =
        "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
        "{\"url\":\"https://example.com/a\",\"detail\":\"low\"}}]}";
    assert_int_equal(tokens_of_messages(gif), ONE_MESSAGE + 255);
    assert_int_equal(tokens_of_messages(low), ONE_MESSAGE + 85);
    assert_int_equal(tokens_of_messages("{\"role\":\"user\",\"content\":[{\"type\":\"refusal\","
                                        "\"refusal\":\"12345678\"}]}"),
                     ONE_MESSAGE + 2);
}

/* Text may stand in other places than `content`: what the model reads is charged. */
static void test_everything_read_is_counted(void **state)
{
    (void)state;
    assert_int_equal(tokens_of_messages("{\"role\":\"user\",\"name\":\"12345678\"}"),
                     ONE_MESSAGE + 2);
    assert_int_equal(tokens_of_messages("{\"role\":\"assistant\",\"content\":null,\"tool_calls\":"
                                        "[{\"function\":{\"arguments\":\"1234567890abcdef\"}}]}"),
                     ONE_MESSAGE + 2 + 3 + 4);
    const uint64_t plain = with("").input_tokens;
    assert_int_equal(
        with(",\"tools\":[{\"function\":{\"description\":\"12345678\",\"strict\":true}}]")
            .input_tokens,
        plain + 2 + 3 + 2 + 2 + 1);
    assert_int_equal(with(",\"functions\":[{\"name\":\"f\"}]").input_tokens, plain + 2);
    assert_int_equal(with(",\"response_format\":{\"type\":\"1234\"}").input_tokens, plain + 2);
    assert_int_equal(with(",\"tools\":null").input_tokens, plain);
    assert_int_equal(with(",\"tools\":[{\"enum\":[1,2,3]}]").input_tokens, plain + 1 + 3);
}

/* The mock's answer follows from the request: each part of it makes another one. */
static void test_prompt_hash(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"model\":\"m\",\"messages\":[" MESSAGE "]}",
        "{\"model\":\"n\",\"messages\":[" MESSAGE "]}",
        "{\"model\":\"m\",\"messages\":[" MESSAGE "," MESSAGE "]}",
        "{\"model\":\"m\",\"messages\":[" MESSAGE "],\"tools\":[1]}",
        "{\"model\":\"m\",\"messages\":[" MESSAGE "],\"tools\":[2]}",
        "{\"model\":\"m\",\"messages\":[" MESSAGE "],\"tools\":[true]}",
        "{\"model\":\"m\",\"messages\":[" MESSAGE "],\"tools\":[false]}",
    };
    uint64_t hash[7];
    for (size_t i = 0; i < 7; i++) {
        hash[i] = taken(bodies[i]).prompt_hash;
        assert_true(hash[i] == taken(bodies[i]).prompt_hash);
        for (size_t k = 0; k < i; k++) {
            assert_true(hash[i] != hash[k]);
        }
    }
    assert_true(with(",\"max_tokens\":5,\"stream\":true").prompt_hash == hash[0]);
}

/* As deep as the parser goes, the counter goes. */
static void test_depth(void **state)
{
    (void)state;
    struct weir_buf b;
    const unsigned depth = WEIR_JSON_DEPTH_MAX - 1;
    weir_buf_init(&b, 1 << 20);
    WEIR_BUF_LIT(&b, "{\"model\":\"m\",\"messages\":[" MESSAGE "],\"tools\":");
    for (unsigned i = 0; i < depth; i++) {
        weir_buf_char(&b, '[');
    }
    WEIR_BUF_LIT(&b, "\"12345678\"");
    for (unsigned i = 0; i < depth; i++) {
        weir_buf_char(&b, ']');
    }
    weir_buf_str(&b, weir_str("}", 2)); /* with its NUL */
    assert_int_equal(taken(b.data).input_tokens, ONE_MESSAGE + 2 + 2);
    weir_buf_deinit(&b);
}

static int end(void **state)
{
    (void)state;
    weir_json_deinit(&json);
    weir_buf_deinit(&space);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    weir_buf_init(&space, 1 << 20);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_the_larger_maximum_counts),
        cmocka_unit_test(test_maxima_out_of_bounds),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_other_bodies),
        cmocka_unit_test(test_model_length),
        cmocka_unit_test(test_fields_given_twice),
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_everything_read_is_counted),
        cmocka_unit_test(test_prompt_hash),
        cmocka_unit_test(test_depth),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
