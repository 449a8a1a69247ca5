/* SPDX-License-Identifier: Apache-2.0 */
/* The usage of an answer, whatever pieces its body comes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "loadgen/usage.h"

#define USAGE "\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":16,\"total_tokens\":46}"

struct world {
    struct weir_load_usage usage;
    struct weir_json json;
};

static int setup(void **state)
{
    struct world *w = weir_zalloc(sizeof(*w));
    *state = w;
    if (w == NULL) {
        return -1;
    }
    weir_load_usage_init(&w->usage);
    weir_json_init(&w->json);
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    weir_load_usage_deinit(&w->usage);
    weir_json_deinit(&w->json);
    weir_free(w);
    return 0;
}

static bool read_in_pieces(struct world *w, struct weir_str body, size_t piece)
{
    weir_load_usage_begin(&w->usage);
    for (size_t at = 0; at < body.len; at += piece) {
        size_t len = body.len - at < piece ? body.len - at : piece;
        weir_load_usage_add(&w->usage, &w->json, weir_str(body.p + at, len));
    }
    weir_load_usage_end(&w->usage, &w->json);
    return w->usage.found;
}

static void finds(struct world *w, const char *text)
{
    struct weir_str body = weir_str_z(text);
    for (size_t piece = 1; piece <= body.len; piece++) {
        if (!read_in_pieces(w, body, piece)) {
            fail_msg("nothing in %s by %zu bytes", text, piece);
        }
        assert_int_equal(w->usage.input_tokens, 30);
        assert_int_equal(w->usage.output_tokens, 16);
    }
}

static void finds_nothing(struct world *w, const char *text)
{
    struct weir_str body = weir_str_z(text);
    for (size_t piece = 1; piece <= body.len; piece++) {
        if (read_in_pieces(w, body, piece)) {
            fail_msg("found something in %s by %zu bytes", text, piece);
        }
    }
}

static void test_completion(void **state)
{
    finds(*state, "{" USAGE "}");
    finds(*state,
          "{\"choices\":[{\"text\":\"\\\"usage\\\":{}\"}]," USAGE ",\"more\":{\"usage\":1}}");
    finds(*state, "{\"object\":\"usage\"," USAGE "}");
    finds_nothing(*state, "");
    finds_nothing(*state, "{\"choices\":[]}");
    finds_nothing(*state, "{\"choices\":[{" USAGE "}]}");
    finds_nothing(*state, "{" USAGE);
    finds_nothing(*state, "{\"usage\":null}");
    finds_nothing(*state, "{\"usage\":{\"prompt_tokens\":30}}");
    finds_nothing(*state, "{\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":-1}}");
}

static void test_events(void **state)
{
    finds(*state, "data: {\"choices\":[],\"usage\":null}\n\ndata: {" USAGE "}\n\ndata: [DONE]\n\n");
    finds(*state, ": ping\r\nid: 7\r\ndata:{" USAGE "}\r\n\r\ndata: [DONE]\r\n\r\n");
    finds(*state, "data: {" USAGE "}");
    finds_nothing(*state, "data: {\"choices\":[]}\n\ndata: [DONE]\n\n");
    finds_nothing(*state, "event: {" USAGE "}\n\n");
    finds_nothing(*state, "dato: {" USAGE "}\n\n");
}

/* What an answer left behind is not taken for the next one's. */
static void test_answers_do_not_mix(void **state)
{
    struct world *w = *state;
    finds(w, "{" USAGE "}");
    finds_nothing(w, "{\"choices\":[]}");
    finds_nothing(w, "data: {\"usage\":{\"prompt_tokens\":30,");
    finds_nothing(w, "\"completion_tokens\":16}}\n");
    finds(w, "data: {" USAGE "}\n");
}

/* A line of spaces and the usage behind it, as the last line and as one before others. */
static void test_bound(void **state)
{
    struct world *w = *state;
    const struct weir_str event = WEIR_STR("data: "), rest = WEIR_STR("{" USAGE "}\n");
    struct weir_buf b;
    for (size_t more = 0; more <= 1; more++) {
        size_t spaces = WEIR_LOAD_BODY_MAX - event.len - (rest.len - 1) + more;
        weir_buf_init(&b, 2 * WEIR_LOAD_BODY_MAX);
        weir_buf_str(&b, event);
        assert_true(weir_buf_reserve(&b, spaces));
        memset(b.data + b.len, ' ', spaces);
        b.len += spaces;
        weir_buf_str(&b, rest);
        assert_int_equal(read_in_pieces(w, weir_buf_view(&b), 65536), more == 0);
        assert_int_equal(read_in_pieces(w, weir_str(b.data, b.len - 1), 65536), more == 0);
        weir_buf_str(&b, event);
        weir_buf_str(&b, rest);
        assert_true(read_in_pieces(w, weir_buf_view(&b), 65536));
        weir_buf_deinit(&b);
    }
}

/* One piece that is too large for itself; what follows in its line is no event. */
static void test_piece_beyond_bound(void **state)
{
    struct world *w = *state;
    size_t len = WEIR_LOAD_BODY_MAX + 1;
    char *piece = weir_zalloc(len);
    assert_non_null(piece);
    memset(piece, ' ', len);
    weir_load_usage_begin(&w->usage);
    weir_load_usage_add(&w->usage, &w->json, weir_str(piece, len));
    weir_load_usage_add(&w->usage, &w->json, WEIR_STR("data: {" USAGE "}\n"));
    weir_load_usage_end(&w->usage, &w->json);
    assert_false(w->usage.found);
    weir_free(piece);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_completion, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answers_do_not_mix, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_piece_beyond_bound, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
