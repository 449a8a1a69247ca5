/* SPDX-License-Identifier: Apache-2.0 */
/* How functions are told to a model. With a vocabulary of bytes alone the tokens are the bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/vocabulary.h"
#include "tokens/tools.h"

static struct list list;
static struct weir_buf file;
static struct weir_vocabulary vocabulary;
static struct weir_json json;

static int open_bytes(void **state)
{
    (void)state;
    list_init(&list);
    list_open(&list, WEIR_SPLIT_O200K, &file, &vocabulary);
    weir_json_init(&json);
    return 0;
}

static int close_bytes(void **state)
{
    (void)state;
    weir_buf_deinit(&file);
    weir_json_deinit(&json);
    return 0;
}

static bool tools(struct weir_str text, uint64_t *ret_tokens)
{
    assert_int_equal(weir_json_parse(&json, text), WEIR_OK);
    return weir_tools_tokens(&vocabulary.encoding[0], NULL, &json, weir_json_root(&json),
                             ret_tokens);
}

#define HEAD "namespace functions {\n\n"
#define FOOT "} // namespace functions"

static void test_told(void **state)
{
    (void)state;
    static const struct {
        const char *tools, *told;
    } cases[] = {
        {"[{\"name\":\"f\"}]", HEAD "type f = () => any;\n\n" FOOT},
        {"[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\"}}]",
         HEAD "// d\ntype f = () => any;\n\n" FOOT},
        {"[{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"type\":\"string\"}}}}]",
         HEAD "type f = (_: {\na?: string,\n}) => any;\n\n" FOOT},
        {"[{\"name\":\"f\",\"parameters\":{\"required\":[\"a\"],\"properties\":{"
         "\"a\":{\"type\":\"object\",\"description\":\"x\",\"properties\":{\"b\":{\"type\":"
         "\"array\","
         "\"description\":\"y\",\"items\":{\"type\":\"integer\",\"enum\":[1,2]}}}}}}}]",
         HEAD "type f = (_: {\n// x\na: {\n  b?: 1 | 2[],\n},\n}) => any;\n\n" FOOT},
        {"[{\"name\":\"\\u0066\",\"parameters\":{\"properties\":{\"a\":3,\"b\":{\"type\":"
         "\"string\","
         "\"enum\":[\"\\u0078\",\"\\\"\"]}}}}]",
         HEAD "type f = (_: {\na?: any,\nb?: \"x\" | \"\\\"\",\n}) => any;\n\n" FOOT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t tokens;
        assert_true(tools(weir_str_z(cases[i].tools), &tokens));
        assert_int_equal(tokens, strlen(cases[i].told) + WEIR_TOKENS_PER_FUNCTIONS);
    }
}

static void test_not_told(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "[]",
        "{}",
        "\"f\"",
        "[1]",
        "[{}]",
        "[{\"name\":1}]",
        "[{\"type\":\"web_search\"}]",
        "[{\"name\":\"f\"},{\"type\":\"custom\",\"custom\":{\"name\":\"c\"}}]",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t tokens = 77;
        assert_false(tools(weir_str_z(cases[i]), &tokens));
        assert_int_equal(tokens, 77);
    }
}

/* n properties, all required, the last one first: n * n / 2 looks. */
static bool many(unsigned n)
{
    struct weir_buf b;
    uint64_t tokens;
    weir_buf_init(&b, 1 << 24);
    WEIR_BUF_LIT(&b, "[{\"name\":\"f\",\"parameters\":{\"required\":[");
    for (unsigned i = n; i > 0; i--) {
        weir_buf_printf(&b, "\"%u\"%s", i - 1, i > 1 ? "," : "");
    }
    WEIR_BUF_LIT(&b, "],\"properties\":{");
    for (unsigned i = 0; i < n; i++) {
        weir_buf_printf(&b, "\"%u\":{}%s", i, i + 1 < n ? "," : "");
    }
    WEIR_BUF_LIT(&b, "}}}]");
    assert_false(b.failed);
    bool told = tools(weir_buf_view(&b), &tokens);
    weir_buf_deinit(&b);
    return told;
}

static void test_bounded(void **state)
{
    (void)state;
    assert_true(many(1400));
    assert_false(many(1500)); /* a million looks, and no more */
    assert_false(many(100000));
}

/* One name of so many bytes, all of them escaped, is looked at for each of 1000 others. */
static bool long_name(unsigned bytes)
{
    struct weir_buf b;
    uint64_t tokens;
    weir_buf_init(&b, 1 << 20);
    WEIR_BUF_LIT(&b, "[{\"name\":\"f\",\"parameters\":{\"required\":[\"");
    for (unsigned i = 0; i < bytes; i++) {
        WEIR_BUF_LIT(&b, "\\u0061");
    }
    WEIR_BUF_LIT(&b, "\"],\"properties\":{");
    for (unsigned i = 0; i < 1000; i++) {
        weir_buf_printf(&b, "\"%u\":{}%s", i, i < 999 ? "," : "");
    }
    WEIR_BUF_LIT(&b, "}}}]");
    assert_false(b.failed);
    bool told = tools(weir_buf_view(&b), &tokens);
    weir_buf_deinit(&b);
    return told;
}

/* What has to be decoded counts by its bytes, for that is the work. */
static void test_bounded_by_bytes(void **state)
{
    (void)state;
    assert_true(long_name(2000));
    assert_false(long_name(4000));
}

static void test_no_memory(void **state)
{
    (void)state;
    uint64_t tokens;
    assert_int_equal(weir_json_parse(&json, WEIR_STR("[{\"name\":\"f\"}]")), WEIR_OK);
    weir_mem_fail_after(0);
    bool told =
        weir_tools_tokens(&vocabulary.encoding[0], NULL, &json, weir_json_root(&json), &tokens);
    weir_mem_fail_after(UINT64_MAX);
    assert_false(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_told),      cmocka_unit_test(test_not_told),
        cmocka_unit_test(test_bounded),   cmocka_unit_test(test_bounded_by_bytes),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, open_bytes, close_bytes);
}
