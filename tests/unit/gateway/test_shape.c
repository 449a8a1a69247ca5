/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of each API's answers: every event is JSON, its parts join to the whole answer. That
 * the official clients read them is tests/integration/mock.test.mjs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/json.h"
#include "gateway/shape.h"

enum { ROOM = 1 << 20 };

struct world {
    struct weir_json json;
    struct weir_buf out, text;
    struct weir_mock_answer answer;
    struct weir_shape shape;
};

static int set_up(void **state)
{
    static struct world w;
    weir_json_init(&w.json);
    weir_buf_init(&w.out, ROOM);
    weir_buf_init(&w.text, ROOM);
    w.answer = (struct weir_mock_answer){.seed = 7, .output_tokens = 5};
    w.shape = (struct weir_shape){
        .id = WEIR_STR("0123"),
        .model_json = WEIR_STR("\"a\\\"b\""),
        .created_s = 17,
        .input_tokens = 100,
        .cached_tokens = 40,
        .answer = &w.answer,
    };
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    weir_json_deinit(&w->json);
    weir_buf_deinit(&w->out);
    weir_buf_deinit(&w->text);
    return 0;
}

/* The node at a path of names and numbers, as "choices.0.delta.content"; NULL: none. */
static const struct weir_json_node *at(const struct weir_json *j, const char *path)
{
    const struct weir_json_node *n = weir_json_root(j);
    while (n != NULL && *path != '\0') {
        size_t len = strcspn(path, ".");
        struct weir_str name = weir_str(path, len);
        path += len + (path[len] == '.');
        const struct weir_json_node *in = n;
        bool list = in->kind == WEIR_JSON_ARRAY;
        if (in->kind != WEIR_JSON_OBJECT && !list) {
            return NULL;
        }
        n = weir_json_first(j, in);
        for (unsigned i = 0; n != NULL; i++) {
            if (list ? i == (unsigned)(name.p[0] - '0') : weir_json_string_is(j, n, name)) {
                n = list ? n : n + 1;
                break;
            }
            n = weir_json_next(j, in, list ? n : n + 1);
        }
    }
    return n;
}

static void assert_raw(const struct weir_json *j, const char *path, const char *expected)
{
    const struct weir_json_node *n = at(j, path);
    assert_non_null(n);
    struct weir_str raw = weir_json_raw(j, n);
    assert_int_equal(raw.len, strlen(expected));
    assert_memory_equal(raw.p, expected, raw.len);
}

static void parse(struct world *w, struct weir_str text)
{
    assert_int_equal(weir_json_parse(&w->json, text), WEIR_OK);
}

/* Appends the string at the path, decoded, if it is there. */
static void gather(struct world *w, const char *path)
{
    const struct weir_json_node *n = at(&w->json, path);
    if (n == NULL || n->kind != WEIR_JSON_STRING) {
        return;
    }
    size_t was = w->text.len;
    struct weir_str text = weir_json_string(&w->json, n, &w->text);
    if (w->text.len == was) { /* it stands where it stood */
        weir_buf_str(&w->text, text);
    }
}

static void assert_text(struct world *w, const char *before, const char *after)
{
    struct weir_buf expected;
    weir_buf_init(&expected, ROOM);
    weir_buf_str(&expected, weir_str_z(before));
    weir_shape_words(&w->shape, &expected, 0, w->answer.output_tokens);
    weir_buf_str(&expected, weir_str_z(after));
    assert_true(weir_str_eq(weir_buf_view(&w->text), weir_buf_view(&expected)));
    weir_buf_deinit(&expected);
    weir_buf_reset(&w->text);
}

static void whole(struct world *w, const struct weir_shape_ops *ops)
{
    weir_buf_reset(&w->out);
    weir_buf_reset(&w->text);
    ops->whole(&w->shape, &w->out);
    assert_false(w->out.failed);
    parse(w, weir_buf_view(&w->out));
}

/* A stream in pieces of one, two and the other tokens. */
static void stream(struct world *w, const struct weir_shape_ops *ops)
{
    uint32_t all = w->answer.output_tokens;
    weir_buf_reset(&w->out);
    weir_buf_reset(&w->text);
    ops->begin(&w->shape, &w->out);
    ops->tokens(&w->shape, &w->out, 0, 0); /* none is there yet */
    ops->tokens(&w->shape, &w->out, 0, all < 1 ? all : 1);
    ops->tokens(&w->shape, &w->out, all < 1 ? all : 1, all < 3 ? all : 3);
    ops->tokens(&w->shape, &w->out, all < 3 ? all : 3, all);
    ops->end(&w->shape, &w->out);
    assert_false(w->out.failed);
}

/* The next event's data; *at moves behind it. NULL: the end. `named`: an "event:" line comes
 * before, with the type that the data names. */
static bool next_event(struct world *w, size_t *from, bool named, struct weir_str *ret_data)
{
    struct weir_str rest = weir_str(w->out.data + *from, w->out.len - *from);
    struct weir_str event = WEIR_STR("event: "), data = WEIR_STR("data: "), type = {0};
    if (rest.len == 0) {
        return false;
    }
    if (named) {
        assert_true(weir_str_starts(rest, event));
        const char *end = memchr(rest.p, '\n', rest.len);
        assert_non_null(end);
        type = weir_str(rest.p + event.len, (size_t)(end - rest.p) - event.len);
        rest = weir_str(end + 1, rest.len - (size_t)(end + 1 - rest.p));
    }
    assert_true(weir_str_starts(rest, data));
    const char *end = memmem(rest.p, rest.len, "\n\n", 2);
    assert_non_null(end);
    *ret_data = weir_str(rest.p + data.len, (size_t)(end - rest.p) - data.len);
    *from = (size_t)(end + 2 - w->out.data);
    if (!weir_str_eq(*ret_data, WEIR_STR("[DONE]"))) {
        parse(w, *ret_data);
        if (named) {
            assert_true(weir_json_string_is(&w->json, at(&w->json, "type"), type));
        }
    }
    return true;
}

/* ---- OpenAI's chats and completions ---- */

static void test_chat_whole(void **state)
{
    struct world *w = *state;
    whole(w, &weir_shape_chat);
    assert_raw(&w->json, "id", "chatcmpl-0123");
    assert_raw(&w->json, "model", "a\\\"b");
    assert_raw(&w->json, "created", "17");
    assert_raw(&w->json, "choices.0.finish_reason", "stop");
    assert_raw(&w->json, "usage.prompt_tokens", "100");
    assert_raw(&w->json, "usage.completion_tokens", "5");
    assert_raw(&w->json, "usage.total_tokens", "105");
    assert_raw(&w->json, "usage.prompt_tokens_details.cached_tokens", "40");
    gather(w, "choices.0.message.content");
    assert_text(w, "", "");
    w->answer.cut = true;
    whole(w, &weir_shape_chat);
    assert_raw(&w->json, "choices.0.finish_reason", "length");
}

/* Gathers the text of a stream; how many chunks had usage, how many said that there is none yet. */
static void read_chunks(struct world *w, const char *path, unsigned *ret_usages,
                        unsigned *ret_nulls)
{
    struct weir_str data = {0};
    unsigned reasons = 0;
    *ret_usages = *ret_nulls = 0;
    for (size_t from = 0; next_event(w, &from, false, &data);) {
        if (weir_str_eq(data, WEIR_STR("[DONE]"))) {
            assert_int_equal(from, w->out.len);
            break;
        }
        gather(w, path);
        const struct weir_json_node *usage = at(&w->json, "usage");
        const struct weir_json_node *reason = at(&w->json, "choices.0.finish_reason");
        *ret_usages += usage != NULL && usage->kind == WEIR_JSON_OBJECT;
        *ret_nulls += usage != NULL && usage->kind == WEIR_JSON_NULL;
        reasons += reason != NULL && reason->kind == WEIR_JSON_STRING;
        if (usage != NULL && usage->kind == WEIR_JSON_OBJECT) {
            assert_int_equal(reasons, 1); /* it comes behind the end of the text */
            assert_null(weir_json_first(&w->json, at(&w->json, "choices")));
            assert_raw(&w->json, "usage.completion_tokens", "5");
        }
    }
    assert_true(weir_str_eq(data, WEIR_STR("[DONE]")));
    assert_int_equal(reasons, 1);
}

static void test_chunks(void **state)
{
    struct world *w = *state;
    const struct {
        const struct weir_shape_ops *ops;
        const char *path;
        unsigned chunks;
    } cases[] = {{&weir_shape_chat, "choices.0.delta.content", 7},
                 {&weir_shape_completion, "choices.0.text", 6}};
    for (size_t i = 0; i < 2; i++) {
        unsigned usages, nulls;
        w->shape.include_usage = false;
        stream(w, cases[i].ops);
        read_chunks(w, cases[i].path, &usages, &nulls);
        assert_text(w, "", "");
        assert_int_equal(usages + nulls, 0);
        w->shape.include_usage = true;
        stream(w, cases[i].ops);
        read_chunks(w, cases[i].path, &usages, &nulls);
        assert_text(w, "", "");
        assert_int_equal(usages, 1);
        assert_int_equal(nulls, cases[i].chunks);
    }
}

static void test_completion_whole(void **state)
{
    struct world *w = *state;
    whole(w, &weir_shape_completion);
    assert_raw(&w->json, "object", "text_completion");
    assert_raw(&w->json, "usage.total_tokens", "105");
    gather(w, "choices.0.text");
    assert_text(w, "", "");
}

/* ---- Anthropic's messages ---- */

static void test_message_whole(void **state)
{
    struct world *w = *state;
    whole(w, &weir_shape_message);
    assert_raw(&w->json, "id", "msg_0123");
    assert_raw(&w->json, "stop_reason", "end_turn");
    assert_raw(&w->json, "usage.input_tokens", "60");
    assert_raw(&w->json, "usage.cache_read_input_tokens", "40");
    assert_raw(&w->json, "usage.output_tokens", "5");
    gather(w, "content.0.text");
    assert_text(w, "", "");
}

static void test_message_stream(void **state)
{
    struct world *w = *state;
    static const char *const order[] = {
        "message_start",       "content_block_start", "ping",
        "content_block_delta", "content_block_delta", "content_block_delta",
        "content_block_delta", "content_block_delta", "content_block_stop",
        "message_delta",       "message_stop"};
    struct weir_str data;
    size_t from = 0;
    stream(w, &weir_shape_message);
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        assert_true(next_event(w, &from, true, &data));
        assert_raw(&w->json, "type", order[i]);
        gather(w, "delta.text");
        if (i == 0) {
            assert_raw(&w->json, "message.usage.input_tokens", "60");
            assert_raw(&w->json, "message.usage.output_tokens", "1");
        } else if (strcmp(order[i], "message_delta") == 0) {
            assert_raw(&w->json, "delta.stop_reason", "end_turn");
            assert_raw(&w->json, "usage.output_tokens", "5");
        }
    }
    assert_false(next_event(w, &from, true, &data));
    assert_text(w, "", "");
}

/* ---- OpenAI's responses ---- */

static void test_response_whole(void **state)
{
    struct world *w = *state;
    whole(w, &weir_shape_response);
    assert_raw(&w->json, "status", "completed");
    assert_raw(&w->json, "incomplete_details", "null");
    assert_raw(&w->json, "usage.total_tokens", "105");
    gather(w, "output.0.content.0.text");
    assert_text(w, "", "");
    w->answer.cut = true;
    whole(w, &weir_shape_response);
    assert_raw(&w->json, "status", "incomplete");
    assert_raw(&w->json, "incomplete_details.reason", "max_output_tokens");
}

/* Numbers follow each other; the last event has the response with its usage. */
static void read_response(struct world *w, unsigned events)
{
    struct weir_str data;
    uint64_t number = 0, told;
    for (size_t from = 0; next_event(w, &from, true, &data); number++) {
        assert_int_equal(weir_json_u64(&w->json, at(&w->json, "sequence_number"), 1000, &told),
                         WEIR_OK);
        assert_int_equal(told, number);
        gather(w, "delta");
    }
    assert_int_equal(number, events);
    assert_raw(&w->json, "type", "response.completed");
    assert_raw(&w->json, "response.usage.output_tokens", w->answer.output_tokens == 0 ? "0" : "5");
}

static void test_response_stream(void **state)
{
    struct world *w = *state;
    stream(w, &weir_shape_response);
    read_response(w, 4 + 5 + 4);
    assert_text(w, "", "");
    w->answer.output_tokens = 0;
    stream(w, &weir_shape_response);
    read_response(w, 4 + 4);
}

/* ---- calls of tools ---- */

/* An event that has a number has the next one. */
static void assert_numbered(struct world *w, uint64_t *number)
{
    const struct weir_json_node *n = at(&w->json, "sequence_number");
    uint64_t told;
    if (n != NULL) {
        assert_int_equal(weir_json_u64(&w->json, n, 1000, &told), WEIR_OK);
        assert_int_equal(told, (*number)++);
    }
}

static void test_calls(void **state)
{
    struct world *w = *state;
    struct weir_str data;
    const struct {
        const struct weir_shape_ops *ops;
        const char *name, *arguments, *delta;
        bool named;
    } cases[] = {
        {&weir_shape_chat, "choices.0.message.tool_calls.0.function.name",
         "choices.0.message.tool_calls.0.function.arguments",
         "choices.0.delta.tool_calls.0.function.arguments", false},
        {&weir_shape_response, "output.0.name", "output.0.arguments", "delta", true},
        {&weir_shape_message, "content.0.name", NULL, "delta.partial_json", true},
    };
    w->shape.tool_json = WEIR_STR("\"look\"");
    for (uint32_t tokens = 0; tokens <= 5; tokens += 5) {
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            w->answer.output_tokens = tokens;
            whole(w, cases[i].ops);
            assert_raw(&w->json, cases[i].name, "look");
            if (cases[i].arguments != NULL) {
                gather(w, cases[i].arguments);
                assert_text(w, "{\"words\":\"", "\"}");
            } else { /* an object, no text */
                gather(w, "content.0.input.words");
                assert_text(w, "", "");
            }
            uint64_t number = 0;
            stream(w, cases[i].ops);
            for (size_t from = 0; next_event(w, &from, cases[i].named, &data);) {
                if (!weir_str_eq(data, WEIR_STR("[DONE]"))) {
                    gather(w, cases[i].delta);
                    assert_numbered(w, &number);
                }
            }
            assert_text(w, "{\"words\":\"", "\"}");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_chat_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chunks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_completion_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_message_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_message_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_response_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_response_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_calls, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
