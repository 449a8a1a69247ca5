/* SPDX-License-Identifier: Apache-2.0 */
/* What the mock says in the form of each API is read as it was meant: its writers and our readers
 * know of each other only by the APIs. */
#include "dialect_support.h"
#include "gateway/shape.h"

enum { TOKENS = 12, INPUT = 40, CACHED = 30 };

static const struct {
    const struct weir_dialect *dialect;
    const struct weir_shape_ops *shape;
    bool on_demand; /* a stream tells its usage only when it is asked to */
} apis[] = {
    {&weir_dialect_chat, &weir_shape_chat, true},
    {&weir_dialect_completions, &weir_shape_completion, true},
    {&weir_dialect_responses, &weir_shape_response, false},
    {&weir_dialect_messages, &weir_shape_message, false},
};

enum { APIS = sizeof(apis) / sizeof(apis[0]) };

static struct weir_mock_answer answer = {.seed = 7, .output_tokens = TOKENS};

static struct weir_shape shape_of(bool include_usage, bool tool)
{
    return (struct weir_shape){
        .id = WEIR_STR("1"),
        .model_json = WEIR_STR("\"m\""),
        .tool_json = tool ? WEIR_STR("\"f\"") : WEIR_STR(""),
        .created_s = 1,
        .input_tokens = INPUT,
        .cached_tokens = CACHED,
        .answer = &answer,
        .include_usage = include_usage,
    };
}

static void write_stream(const struct weir_shape_ops *ops, bool include_usage, bool tool,
                         struct weir_buf *b)
{
    struct weir_shape s = shape_of(include_usage, tool);
    weir_buf_reset(b);
    ops->begin(&s, b);
    ops->tokens(&s, b, 0, TOKENS);
    ops->end(&s, b);
    weir_buf_char(b, '\0');
    assert_false(b->failed);
}

static void test_whole(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 1 << 16);
    for (size_t i = 0; i < APIS; i++) {
        struct weir_shape s = shape_of(true, false);
        weir_buf_reset(&b);
        apis[i].shape->whole(&s, &b);
        weir_buf_char(&b, '\0');
        struct weir_progress p = read_whole(apis[i].dialect, b.data);
        expect_used(&p, INPUT, CACHED, 0, TOKENS);
        assert_true(p.ended);
    }
    weir_buf_deinit(&b);
}

static void test_streams(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 1 << 16);
    for (size_t i = 0; i < APIS; i++) {
        for (int tool = 0; tool < 2; tool++) {
            write_stream(apis[i].shape, true, tool != 0, &b);
            struct weir_progress p = read_stream(apis[i].dialect, b.data);
            expect_used(&p, INPUT, CACHED, 0, TOKENS);
            assert_true(p.ended && !p.failed && p.produced_bytes > TOKENS);
            assert_int_equal(weir_progress_output(&p), TOKENS);
        }
    }
    weir_buf_deinit(&b);
}

/* With the usage taken out the stream is what it would have been without. */
static void test_usage_on_demand(void **state)
{
    (void)state;
    struct weir_buf asked, plain;
    weir_buf_init(&asked, 1 << 16);
    weir_buf_init(&plain, 1 << 16);
    for (size_t i = 0; i < APIS; i++) {
        if (!apis[i].on_demand) {
            continue;
        }
        write_stream(apis[i].shape, true, false, &asked);
        write_stream(apis[i].shape, false, false, &plain);
        assert_true(plain.len < asked.len);
        struct weir_progress p =
            read_answer(apis[i].dialect, WEIR_ANSWER_EVENTS, true, asked.data, plain.data);
        expect_used(&p, INPUT, CACHED, 0, TOKENS);
    }
    weir_buf_deinit(&asked);
    weir_buf_deinit(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_usage_on_demand),
    };
    return cmocka_run_group_tests(tests, support_begin, support_end);
}
