/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAI's streams, and its APIs beside chat completions. */
#include "dialect_support.h"

/* ---- chat: streams ---- */

#define ROLE                                                                                       \
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]"
#define WORD "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"flow\"}}]"
#define END  "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]"
#define NONE ",\"usage\":null}\n\n"
#define USAGE                                                                                      \
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,"                \
    "\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n"
#define DONE "data: [DONE]\n\n"

/* The usage that weir asked for is not what the client asked for. */
static void test_usage_is_taken_out(void **state)
{
    (void)state;
    struct weir_progress p =
        read_answer(&weir_dialect_chat, WEIR_ANSWER_EVENTS, true,
                    ROLE NONE WORD NONE ": waiting\n\n" WORD NONE END NONE USAGE DONE,
                    ROLE "}\n\n" WORD "}\n\n: waiting\n\n" WORD "}\n\n" END "}\n\n" DONE);
    expect_used(&p, 9, 4, 0, 2);
    assert_true(p.ended && !p.failed);
    assert_int_equal(p.produced_tokens, 2);
    assert_int_equal(p.produced_bytes, 8);
    assert_int_equal(weir_progress_output(&p), 2);
}

static void test_usage_that_the_client_asked_for(void **state)
{
    (void)state;
    struct weir_progress p =
        read_stream(&weir_dialect_chat, ROLE NONE WORD NONE END NONE USAGE DONE);
    expect_used(&p, 9, 4, 0, 2);
}

/* Wherever the member stands, and when it is not alone in its event. */
static void test_usage_anywhere(void **state)
{
    (void)state;
    static const char *const cut[][2] = {
        {"{\"usage\":null}", "{}"},
        {"{\"usage\":null,\"a\":1}", "{\"a\":1}"},
        {"{ \"usage\" : null , \"a\":1}", "{  \"a\":1}"},
        {"{\"a\":1,\"usage\":null,\"b\":2}", "{\"a\":1,\"b\":2}"},
        {"{\"a\":1 , \"usage\" : null }", "{\"a\":1  }"},
        {"{\"a\":1,\"usage\":\"x\"}", "{\"a\":1}"},
        {"{\"a\":\",\",\"us\\u0061ge\":{\"x\":[1]}}", "{\"a\":\",\"}"},
        {"{\"choices\":[{}],\"usage\":{\"completion_tokens\":1}}", "{\"choices\":[{}]}"},
        {"{\"choices\":[{\"usage\":null}]}", "{\"choices\":[{\"usage\":null}]}"},
    };
    for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
        char stream[256], passed[256];
        snprintf(stream, sizeof(stream), "event: x\r\ndata:%s\r\n\r\n" DONE, cut[i][0]);
        snprintf(passed, sizeof(passed), "event: x\r\ndata:%s\r\n\r\n" DONE, cut[i][1]);
        read_answer(&weir_dialect_chat, WEIR_ANSWER_EVENTS, true, stream, passed);
        read_stream(&weir_dialect_chat, stream);
    }
}

/* A stream that breaks off is settled to what was produced. */
static void test_cut_off(void **state)
{
    (void)state;
    struct weir_progress p = read_stream(&weir_dialect_chat, ROLE NONE WORD NONE WORD NONE);
    assert_true(!p.ended && !p.failed && !p.used.output_known);
    assert_int_equal(weir_progress_output(&p), 2);
    /* vLLM reports as it goes: what came since the last report is added to it */
    p = read_stream(&weir_dialect_chat, WORD
                    ",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":10}}\n\n" WORD NONE);
    assert_int_equal(weir_progress_output(&p), 11);
}

static void test_errors_in_a_stream(void **state)
{
    (void)state;
    static const char error[] = "data: {\"error\":{\"message\":\"no\",\"code\":null}}\n\n";
    assert_true(read_stream(&weir_dialect_chat, error).failed);
    assert_true(read_stream(&weir_dialect_completions, error).failed);
    assert_true(read_stream(&weir_dialect_responses, error).failed);
    assert_false(read_stream(&weir_dialect_chat, WORD ",\"error\":null}\n\n").failed);
}

static void test_all_that_is_produced_counts(void **state)
{
    (void)state;
    static const char *const deltas[] = {
        "\"content\":\"12345678\"",
        "\"refusal\":\"12345678\"",
        "\"reasoning_content\":\"12345678\"",
        "\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"1234\",\"arguments\":\"1234\"}}]",
        "\"tool_calls\":[{\"custom\":{\"input\":\"12345678\"}}]",
        "\"function_call\":{\"arguments\":\"12345678\"}",
        "\"content\":\"1234\\u0035678\"",
    };
    for (size_t i = 0; i < sizeof(deltas) / sizeof(deltas[0]); i++) {
        char stream[256];
        snprintf(stream, sizeof(stream),
                 "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",%s}}]}\n\n", deltas[i]);
        struct weir_progress p = read_stream(&weir_dialect_chat, stream);
        assert_int_equal(p.produced_tokens, 2);
        assert_int_equal(p.produced_bytes, 8);
    }
}

/* What is no JSON, and JSON of another form, goes on. */
static void test_strange_streams(void **state)
{
    (void)state;
    static const char *const streams[] = {
        "data: {\n\n",
        "data: []\n\ndata: 7\n\ndata\n\n",
        "data: {\"choices\":7,\"usage\":[],\"error\":false}\n\n",
        "data: {\"choices\":[7,{},{\"delta\":7},{\"delta\":{\"content\":7}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[7]}},{\"delta\":{\"tool_calls\":7}}]}\n\n",
        "data: {\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1e99}}\n\n",
        "<html>",
    };
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        struct weir_progress p = read_stream(&weir_dialect_chat, streams[i]);
        assert_true(!p.used.output_known || p.used.output_tokens == 0);
        assert_int_equal(weir_progress_output(&p), 0);
        assert_false(p.failed || p.ended);
    }
}

/* Above the bound an event goes by unread, and the stream goes on. */
static void test_large_event(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, WEIR_EVENT_MAX * 2);
    WEIR_BUF_LIT(&b,
                 WORD NONE "data: {\"choices\":[],\"usage\":{\"completion_tokens\":1},\"x\":\"");
    while (b.len < WEIR_EVENT_MAX + 100) {
        weir_buf_char(&b, 'x');
    }
    WEIR_BUF_LIT(&b, "\"}\n\n" WORD NONE);
    for (size_t piece = 100; piece < b.len; piece += 10007) {
        struct weir_progress p = read_pieces(&weir_dialect_chat, WEIR_ANSWER_EVENTS, false,
                                             weir_buf_view(&b), piece, weir_buf_view(&b));
        assert_int_equal(p.produced_tokens, 2);
        assert_false(p.used.output_known);
    }
    weir_buf_deinit(&b);
}

/* The last event of a response repeats all of it: its usage is read all the same. */
static void test_large_last_event(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, WEIR_EVENT_MAX * 2);
    WEIR_BUF_LIT(&b, "event: response.completed\ndata: {\"type\":\"response.completed\","
                     "\"response\":{\"output\":[{\"text\":\"");
    while (b.len < WEIR_EVENT_MAX + 100) {
        weir_buf_char(&b, 'x');
    }
    WEIR_BUF_LIT(&b, "\"}],\"usage\":{\"input_tokens\":9,\"input_tokens_details\":{},"
                     "\"output_tokens\":30}}}\n\n");
    for (size_t piece = 100; piece < b.len; piece += 10007) {
        struct weir_progress p = read_pieces(&weir_dialect_responses, WEIR_ANSWER_EVENTS, false,
                                             weir_buf_view(&b), piece, weir_buf_view(&b));
        expect_used(&p, 9, 0, 0, 30);
        assert_true(p.ended);
    }
    weir_buf_deinit(&b);
}

static void test_whole_answers(void **state)
{
    (void)state;
    struct weir_progress p =
        read_whole(&weir_dialect_chat,
                   "{\"choices\":[{\"message\":{\"content\":\"\\\"usage\\\":7\"}}],"
                   "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,"
                   "\"prompt_tokens_details\":{\"cached_tokens\":4,\"cache_write_tokens\":1},"
                   "\"completion_tokens_details\":{\"reasoning_tokens\":1}}}");
    expect_used(&p, 9, 4, 1, 2);
    assert_true(p.ended);
    p = read_whole(&weir_dialect_chat, "{\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,"
                                       "\"prompt_cache_hit_tokens\":3}}");
    expect_used(&p, 9, 3, 0, 2);
    assert_false(read_whole(&weir_dialect_chat, "{\"usage\":null}").used.output_known);
    assert_false(read_whole(&weir_dialect_chat, "{\"choices\":[]}").used.output_known);
    assert_false(read_whole(&weir_dialect_chat, "no").used.input_known);
}

/* ---- the edit of a request ---- */

static void test_edit(void **state)
{
    (void)state;
    static const char *const bodies[][2] = {
        {"{\"model\":\"m\",\"prompt\":\"a\",\"stream\":true}",
         "{\"stream_options\":{\"include_usage\":true},\"model\":\"m\",\"prompt\":\"a\","
         "\"stream\":true}"},
        {" { \"stream_options\" : null,\"model\":\"m\",\"prompt\":\"a\",\"stream\":true}",
         " { \"stream_options\" : {\"include_usage\":true},\"model\":\"m\",\"prompt\":\"a\","
         "\"stream\":true}"},
        {"{\"stream_options\":{},\"model\":\"m\",\"prompt\":\"a\",\"stream\":true}",
         "{\"stream_options\":{\"include_usage\":true},\"model\":\"m\",\"prompt\":\"a\","
         "\"stream\":true}"},
        {"{\"stream_options\":{\"x\":1},\"model\":\"m\",\"prompt\":\"a\",\"stream\":true}",
         "{\"stream_options\":{\"include_usage\":true,\"x\":1},\"model\":\"m\",\"prompt\":\"a\","
         "\"stream\":true}"},
        {"{\"stream_options\":{\"include_usage\": false },\"model\":\"m\",\"prompt\":\"a\","
         "\"stream\":true}",
         "{\"stream_options\":{\"include_usage\": true },\"model\":\"m\",\"prompt\":\"a\","
         "\"stream\":true}"},
        {"{\"stream_options\":{\"include_usage\":true},\"model\":\"m\",\"prompt\":\"a\","
         "\"stream\":true}",
         ""},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"stream\":false}", ""},
        {"{\"model\":\"m\",\"prompt\":\"a\"}", ""},
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct weir_dialect_request r = taken(&weir_dialect_completions, bodies[i][0]);
        if (bodies[i][1][0] == '\0') {
            assert_int_equal(r.edit.put.len, 0);
            continue;
        }
        struct weir_buf b;
        weir_buf_init(&b, 1 << 10);
        weir_edit_apply(&r.edit, weir_str_z(bodies[i][0]), &b);
        weir_buf_char(&b, '\0');
        assert_string_equal(b.data, bodies[i][1]);
        weir_buf_deinit(&b);
    }
}

/* ---- completions and embeddings ---- */

static void test_completions(void **state)
{
    (void)state;
    const struct weir_dialect *d = &weir_dialect_completions;
    struct weir_dialect_request r =
        taken(d, "{\"model\":\"m\",\"prompt\":\"12345678\",\"suffix\":\"1234\",\"max_tokens\":7}");
    assert_int_equal(r.input_tokens, 3);
    assert_int_equal(r.output_max, 7);
    assert_int_equal(r.choices, 1);
    r = taken(d, "{\"model\":\"m\",\"prompt\":[1,2,3],\"max_tokens\":7,\"n\":2,\"best_of\":3}");
    assert_int_equal(r.input_tokens, 3);
    assert_int_equal(r.output_max, 21);
    r = taken(d, "{\"model\":\"m\",\"prompt\":[\"1234\",[1,2]],\"n\":2}");
    assert_int_equal(r.input_tokens, 3);
    assert_int_equal(r.choices, 4);
    assert_int_equal(weir_output_reserved(&r, 100), 400);
    refused(d, "{\"model\":\"m\"}", "prompt");
    refused(d, "{\"model\":\"m\",\"prompt\":[]}", "prompt");
    refused(d, "{\"model\":\"m\",\"prompt\":\"a\",\"best_of\":0}", "best_of");
    refused(d, "{\"model\":\"m\",\"prompt\":\"a\",\"prompt\":\"b\"}", "prompt");
    struct weir_progress p =
        read_stream(d, "data: {\"choices\":[{\"text\":\"1234\"},{\"text\":\"1234\"}]}\n\n" DONE);
    assert_int_equal(p.produced_tokens, 2);
    assert_true(p.ended);
}

static void test_embeddings(void **state)
{
    (void)state;
    const struct weir_dialect *d = &weir_dialect_embeddings;
    struct weir_dialect_request r = taken(d, "{\"model\":\"m\",\"input\":[\"1234\",\"12345678\"]}");
    assert_int_equal(r.input_tokens, 3);
    assert_int_equal(weir_output_reserved(&r, 1000), 0);
    refused(d, "{\"model\":\"m\"}", "input");
    struct weir_progress p = read_whole(
        d,
        "{\"data\":[{\"embedding\":[0.5,1]}],\"usage\":{\"prompt_tokens\":5,\"total_tokens\":5}}");
    expect_used(&p, 5, 0, 0, 0);
}

/* ---- responses ---- */

static void test_responses(void **state)
{
    (void)state;
    const struct weir_dialect *d = &weir_dialect_responses;
    enum { ONE = WEIR_TOKENS_PER_MESSAGE + WEIR_TOKENS_PER_REPLY };
    struct weir_dialect_request r = taken(
        d,
        "{\"model\":\"m\",\"input\":\"12345678\",\"instructions\":\"1234\",\"max_output_tokens\":9,"
        "\"stream\":true}");
    assert_int_equal(r.input_tokens, ONE + 3);
    assert_int_equal(r.output_max, 9);
    assert_true(r.stream && r.include_usage);
    assert_int_equal(r.edit.put.len, 0);
    r = taken(d, "{\"model\":\"m\",\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":"
                 "[{\"type\":\"input_text\",\"text\":\"1234\"},{\"type\":\"input_image\","
                 "\"image_url\":\"data:image/png;base64,AAAA\"}]}]}");
    assert_int_equal(r.input_tokens, ONE + 1 + WEIR_TOKENS_PER_IMAGE);
    r = taken(d, "{\"model\":\"m\",\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"c\","
                 "\"output\":\"12345678\"}]}");
    assert_int_equal(r.input_tokens, ONE + 2);
    taken(d, "{\"model\":\"m\",\"prompt\":{\"id\":\"p\"}}");
    taken(d, "{\"model\":\"m\",\"previous_response_id\":\"r\"}");
    refused(d, "{\"model\":\"m\"}", "input");
    refused(d, "{\"model\":\"m\",\"input\":7}", "input");
    refused(d, "{\"model\":\"m\",\"input\":[\"a\"]}", "input[0].type");
    refused(d, "{\"model\":\"m\",\"input\":[{\"content\":7}]}", "input[0].content");
    refused(d, "{\"input\":\"a\"}", "model");
}

#define RESPONSE(type, more)                                                                       \
    "event: response." type "\ndata: {\"type\":\"response." type "\"," more "}\n\n"

static void test_responses_streams(void **state)
{
    (void)state;
    struct weir_progress p =
        read_stream(&weir_dialect_responses,
                    RESPONSE("created", "\"response\":{\"usage\":null}")
                        RESPONSE("output_text.delta", "\"delta\":\"1234\"")
                            RESPONSE("reasoning_summary_text.delta", "\"delta\":\"1234\"")
                                RESPONSE("function_call_arguments.delta", "\"delta\":\"1234\"")
                                    RESPONSE("audio.delta", "\"delta\":\"AAAAAAAAAAAA\"")
                                        RESPONSE("output_text.done", "\"text\":\"1234\""));
    assert_int_equal(p.produced_tokens, 3);
    assert_false(p.ended || p.used.output_known);
    p = read_stream(&weir_dialect_responses,
                    RESPONSE("output_text.delta", "\"delta\":\"1234\"")
                        RESPONSE("completed", "\"response\":{\"usage\":{\"input_tokens\":9,"
                                              "\"input_tokens_details\":{\"cached_tokens\":4},"
                                              "\"output_tokens\":30}}"));
    expect_used(&p, 9, 4, 0, 30);
    assert_true(p.ended && !p.failed);
    assert_int_equal(weir_progress_output(&p), 30);
    p = read_stream(&weir_dialect_responses, RESPONSE("failed", "\"response\":{\"usage\":null}"));
    assert_true(p.ended && p.failed);
    p = read_stream(&weir_dialect_responses,
                    "event: error\ndata: {\"type\":\"error\",\"message\":\"no\"}\n\n");
    assert_true(p.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage_is_taken_out),
        cmocka_unit_test(test_usage_that_the_client_asked_for),
        cmocka_unit_test(test_usage_anywhere),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_errors_in_a_stream),
        cmocka_unit_test(test_all_that_is_produced_counts),
        cmocka_unit_test(test_strange_streams),
        cmocka_unit_test(test_large_event),
        cmocka_unit_test(test_large_last_event),
        cmocka_unit_test(test_whole_answers),
        cmocka_unit_test(test_edit),
        cmocka_unit_test(test_completions),
        cmocka_unit_test(test_embeddings),
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_responses_streams),
    };
    return cmocka_run_group_tests(tests, support_begin, support_end);
}
