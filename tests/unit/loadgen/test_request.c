/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "loadgen/request.h"

static struct weir_str keys[] = {{"sk-a", 4}, {"sk-bb", 5}};

static struct weir_load_options options(void)
{
    return (struct weir_load_options){
        .target = {{.authority = WEIR_STR("127.0.0.1:80")}, {.authority = WEIR_STR("[::1]:81")}},
        .targets = 2,
        .key_list = keys,
        .keys = 2,
        .prompt_tokens = {1, 20},
        .max_tokens = {9, 101},
        .seed = 1,
        .model = WEIR_STR("a \"model\""),
    };
}

static struct weir_str cut(struct weir_str *rest, const char *end)
{
    const char *at = memmem(rest->p, rest->len, end, strlen(end));
    assert_non_null(at);
    struct weir_str part = weir_str(rest->p, (size_t)(at - rest->p));
    size_t used = part.len + strlen(end);
    *rest = weir_str(rest->p + used, rest->len - used);
    return part;
}

static void follows(struct weir_str *rest, const char *expected)
{
    struct weir_str before = cut(rest, expected);
    assert_int_equal(before.len, 0);
}

/* Every byte of a request, piece by piece. */
static void check_request(struct weir_str rest, const char *authority, const char *key,
                          const char *end)
{
    uint64_t length, max_tokens;
    follows(&rest, "POST /v1/chat/completions HTTP/1.1\r\nHost: ");
    follows(&rest, authority);
    follows(&rest, "\r\nAuthorization: Bearer ");
    follows(&rest, key);
    follows(&rest, "\r\nContent-Type: application/json\r\nContent-Length: ");
    assert_int_equal(weir_str_u64(cut(&rest, "\r\n\r\n"), 1000000, &length), WEIR_OK);
    assert_int_equal(length, rest.len);
    follows(&rest,
            "{\"model\":\"a \\\"model\\\"\",\"messages\":[{\"role\":\"user\",\"content\":\"");
    struct weir_str prompt = cut(&rest, "\"}],\"max_tokens\":");
    assert_in_range(prompt.len, weir_load_text_bytes(1), weir_load_text_bytes(20));
    for (size_t i = 0; i < prompt.len; i++) {
        assert_true(prompt.p[i] == ' ' || (prompt.p[i] >= 'a' && prompt.p[i] <= 'z'));
    }
    assert_int_equal(weir_str_u64(cut(&rest, end), 101, &max_tokens), WEIR_OK);
    assert_true(max_tokens >= 9);
    assert_int_equal(rest.len, 0);
}

static void test_bytes(void **state)
{
    (void)state;
    struct weir_load_options o = options();
    struct weir_load_request r;
    assert_int_equal(weir_load_request_init(&r, &o), WEIR_OK);
    for (unsigned i = 0; i < 1000; i++) {
        check_request(weir_load_request_make(&r, 0, 1, NULL), "127.0.0.1:80", "sk-bb", "}");
    }
    check_request(weir_load_request_make(&r, 1, 0, NULL), "[::1]:81", "sk-a", "}");
    o.stream = true;
    check_request(weir_load_request_make(&r, 0, 0, NULL), "127.0.0.1:80", "sk-a",
                  ",\"stream\":true}");
    o.record = "file";
    check_request(weir_load_request_make(&r, 0, 0, NULL), "127.0.0.1:80", "sk-a",
                  ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    o.stream = false;
    check_request(weir_load_request_make(&r, 0, 0, NULL), "127.0.0.1:80", "sk-a", "}");
    weir_load_request_deinit(&r);
}

static void test_largest(void **state)
{
    (void)state;
    struct weir_load_options o = options();
    char model[256], key[WEIR_LOAD_KEY_BYTES_MAX];
    memset(model, 1, sizeof(model)); /* six bytes each in JSON */
    memset(key, 'k', sizeof(key));
    o.model = weir_str(model, sizeof(model));
    o.key_list = NULL;
    o.key_prefix = weir_str(key, sizeof(key));
    o.keys = WEIR_LOAD_KEYS_MAX;
    o.prompt_tokens.low = o.prompt_tokens.high = WEIR_LOAD_PROMPT_TOKENS_MAX;
    o.max_tokens.low = o.max_tokens.high = WEIR_LOAD_MAX_TOKENS_MAX;
    o.stream = true;
    struct weir_load_request r;
    assert_int_equal(weir_load_request_init(&r, &o), WEIR_OK);
    /* nothing is allocated, and nothing is cut off, for the largest request that options allow */
    weir_mem_fail_after(0);
    struct weir_str request = weir_load_request_make(&r, 0, WEIR_LOAD_KEYS_MAX - 1, NULL);
    weir_mem_fail_after(UINT64_MAX);
    assert_true(request.len > weir_load_text_bytes(WEIR_LOAD_PROMPT_TOKENS_MAX));
    assert_memory_equal(request.p + request.len - 15, ",\"stream\":true}", 15);
    weir_load_request_deinit(&r);
}

static void test_seed(void **state)
{
    (void)state;
    struct weir_load_options o = options(), other = options();
    other.seed = 2;
    struct weir_load_request a, b, c;
    assert_int_equal(weir_load_request_init(&a, &o), WEIR_OK);
    assert_int_equal(weir_load_request_init(&b, &o), WEIR_OK);
    assert_int_equal(weir_load_request_init(&c, &other), WEIR_OK);
    bool differs = false;
    for (unsigned i = 0; i < 20; i++) {
        struct weir_str first = weir_load_request_make(&a, 0, 0, NULL);
        assert_true(weir_str_eq(first, weir_load_request_make(&b, 0, 0, NULL)));
        differs = differs || !weir_str_eq(first, weir_load_request_make(&c, 0, 0, NULL));
    }
    assert_true(differs);
    weir_load_request_deinit(&a);
    weir_load_request_deinit(&b);
    weir_load_request_deinit(&c);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct weir_load_options o = options();
    enum weir_err err = WEIR_ERR_NOMEM;
    for (uint64_t n = 0; err != WEIR_OK; n++) {
        struct weir_load_request r;
        assert_true(n < 20);
        weir_mem_fail_after(n);
        err = weir_load_request_init(&r, &o);
        weir_mem_fail_after(UINT64_MAX);
        weir_load_request_deinit(&r);
    }
}

static struct weir_str body_of(struct weir_str request)
{
    cut(&request, "\r\n\r\n");
    return request;
}

static void body_ends(struct weir_load_request *r, uint32_t key, const struct weir_trace_row *row,
                      const char *end)
{
    struct weir_str body = body_of(weir_load_request_make(r, 0, key, row));
    assert_true(body.len > strlen(end));
    assert_memory_equal(body.p + body.len - strlen(end), end, strlen(end));
}

/* The trace's tokens in and out; what a key asks for stays the same. */
static void test_row(void **state)
{
    (void)state;
    struct weir_load_options o = options();
    struct weir_load_request r;
    struct weir_trace_row row = {.input_tokens = 106, .output_tokens = 44};
    char ends[2][80];
    o.trace = "file";
    o.prompt_tokens = (struct weir_load_range){1, 106};
    o.max_tokens = (struct weir_load_range){1000, 9999};
    assert_int_equal(weir_load_request_init(&r, &o), WEIR_OK);
    for (uint32_t key = 0; key < 2; key++) {
        struct weir_str body = body_of(weir_load_request_make(&r, 0, key, &row));
        cut(&body, "\"content\":\"");
        assert_int_equal(cut(&body, "\"}]").len, weir_load_text_bytes(99));
        snprintf(ends[key], sizeof(ends[key]), "\"}]%.*s", (int)body.len, body.p);
        assert_non_null(strstr(ends[key], ",\"metadata\":{\"mock_output_tokens\":\"44\"}}"));
        for (unsigned i = 0; i < 20; i++) {
            body_ends(&r, key, &row, ends[key]);
        }
    }
    assert_string_not_equal(ends[0], ends[1]);
    o.asking = WEIR_LOAD_ASK_EXACT;
    body_ends(&r, 0, &row, ",\"max_tokens\":44,\"metadata\":{\"mock_output_tokens\":\"44\"}}");
    o.asking = WEIR_LOAD_ASK_NONE;
    body_ends(&r, 0, &row, "\"}],\"metadata\":{\"mock_output_tokens\":\"44\"}}");
    row = (struct weir_trace_row){0};
    o.asking = WEIR_LOAD_ASK_EXACT;
    body_ends(&r, 0, &row, ",\"max_tokens\":1,\"metadata\":{\"mock_output_tokens\":\"0\"}}");
    weir_load_request_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row),       cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_largest),   cmocka_unit_test(test_seed),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
