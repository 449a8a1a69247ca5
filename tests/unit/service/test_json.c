/* SPDX-License-Identifier: Apache-2.0 */
/* Request bodies: what is no JSON, what two readers could read in two ways, what is too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "service/json.h"
#include "support/guard.h"

static bool parses(struct weir_str text)
{
    return weir_json_parse(text) != NULL;
}

static bool parses_z(const char *text)
{
    return parses(weir_str_z(text));
}

static void repeat(struct weir_buf *b, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        weir_buf_str(b, weir_str_z(text));
    }
}

static void test_values(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        "[]",
        "7",
        "null",
        "\"\"",
        " \t\r\n{ \"a\" : [ 1 , -0.5e+3 ] }\r\n\t ",
        "\"\\u00e9\\ud83d\\ude00\\\\u0000 \\\"\"",
        "\"\xf0\x9f\x98\x80\x7f\"",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(parses_z(good[i]));
    }
    const cJSON *root = weir_json_parse(WEIR_STR("{\"mod\\u0065l\":\"a\\n\\\\u0000\"}"));
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(root, "model");
    assert_string_equal(cJSON_GetStringValue(model), "a\n\\u0000");
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "{]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "[1,]",
        "[1 2]",
        "'a'",
        "\"a",
        "\"\\x\"",
        "\"\\",
        "tru",
        "-",
        "NaN",
        "Infinity",
        /* behind the value */
        "{}{}",
        "{} x",
        "7 7",
        "{},",
        "null\v",
        /* half of a pair */
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\ud83d\\u0041\"",
        /* controls: bare ones, as blanks or in a text */
        "{\f}",
        "[1,\v2]",
        "\"a\nb\"",
        "\"a\tb\"",
        "\"a\rb\"",
        "\"a\x01\"",
        "\x1f{}",
        "{\"a\" :\n\"b\\\"\n\"}",
        /* UTF-8: a lone byte, a cut sequence, an overlong form, a surrogate, above U+10FFFF */
        "\"\x80\"",
        "\"\xc3\"",
        "\"\xc0\xaf\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\xff",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parses_z(bad[i])) {
            fail_msg("taken: %s", bad[i]);
        }
    }
}

/* Behind a NUL cJSON's texts end: nothing may hide there. */
static void test_nul(void **state)
{
    (void)state;
    static const char *const escaped[] = {
        "\"\\u0000\"",     "\"a\\u0000b\"",          "{\"a\\u0000\":1}",   "\"\\\\\\u0000\"",
        "\"\\\"\\u0000\"", "[\"\\\\\",\"\\u0000\"]", "\"\\ud83d\\u0000\"",
    };
    for (size_t i = 0; i < sizeof(escaped) / sizeof(escaped[0]); i++) {
        assert_false(parses_z(escaped[i]));
    }
    static const char bare[] = "[\"a\", 1]";
    for (size_t i = 0; i < sizeof(bare); i++) { /* its own end too */
        char text[sizeof(bare)];
        memcpy(text, bare, sizeof(bare));
        text[i] = '\0';
        assert_false(parses(weir_str(text, sizeof(text))));
    }
    assert_false(parses(weir_str("\"\xc0\x80\"", 4)));
}

/* The parser calls itself for each level: the levels are bounded, not the stack's size. */
static void test_depth(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"[", "]"}, {"{\"a\":", "}"}};
    for (size_t i = 0; i < 2; i++) {
        struct weir_buf b;
        weir_buf_init(&b, 64 << 20);
        for (size_t depth = CJSON_NESTING_LIMIT; depth <= CJSON_NESTING_LIMIT + 1; depth++) {
            weir_buf_reset(&b);
            repeat(&b, pairs[i][0], depth);
            weir_buf_char(&b, '0');
            repeat(&b, pairs[i][1], depth);
            assert_int_equal(parses(weir_buf_view(&b)), depth == CJSON_NESTING_LIMIT);
        }
        weir_buf_reset(&b);
        repeat(&b, pairs[i][0], 1000000);
        assert_false(parses(weir_buf_view(&b)));
        weir_buf_deinit(&b);
    }
}

static void test_reads_no_byte_too_many(void **state)
{
    (void)state;
    struct guard g;
    static const char text[] =
        "{\"a\":[true,null,-1.5e3],\"b\\u0041\\ud83d\\ude00\\\\\":\"\xc3\xa9\"}";
    const size_t len = sizeof(text) - 1;
    guard_init(&g, sizeof(text));
    for (size_t n = 0; n <= len; n++) {
        assert_int_equal(parses(guard_put(&g, weir_str(text, n))), n == len);
    }
    guard_deinit(&g);
}

/* 64 MiB for the tree, whatever the text: an empty list takes three bytes there and a node
 * here. */
static void test_arena_bound(void **state)
{
    (void)state;
    struct weir_buf b;
    const size_t most = (64 << 20) / sizeof(cJSON);
    weir_buf_init(&b, 64 << 20);
    weir_buf_char(&b, '[');
    repeat(&b, "[],", most - most / 20);
    WEIR_BUF_LIT(&b, "[]]");
    const size_t fits = b.len;
    assert_true(parses(weir_buf_view(&b)));
    b.len--;
    weir_buf_char(&b, ',');
    repeat(&b, "[],", most / 10);
    WEIR_BUF_LIT(&b, "[]]");
    assert_false(parses(weir_buf_view(&b)));
    b.data[fits - 1] = ']'; /* all of it is free again */
    assert_true(parses(weir_str(b.data, fits)));
    weir_buf_deinit(&b);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 1 << 20);
    weir_buf_char(&b, '"');
    repeat(&b, "0123456789", 20000); /* larger than the chunk that stays */
    weir_buf_char(&b, '"');
    weir_json_thread_end();
    for (uint64_t n = 0; n < 2; n++) {
        weir_mem_fail_after(n);
        bool parsed = parses(weir_buf_view(&b));
        weir_mem_fail_after(UINT64_MAX);
        assert_false(parsed);
    }
    weir_mem_fail_after(1); /* the first chunk is there by now */
    bool parsed = parses(weir_buf_view(&b));
    weir_mem_fail_after(UINT64_MAX);
    assert_true(parsed);
    assert_true(parses_z("{\"a\":[1,2]}"));
    weir_buf_deinit(&b);
}

/* ---- fields ---- */

static void test_fields(void **state)
{
    (void)state;
    static const char *const names[] = {"model", "n", "absent"};
    const cJSON *item[3];
    const cJSON *root =
        weir_json_parse(WEIR_STR("{\"x\":0,\"n\":1,\"model\":\"m\",\"N\":2,\"x\":3}"));
    assert_null(weir_json_fields(root, names, 3, item));
    assert_string_equal(item[0]->valuestring, "m");
    assert_int_equal(item[1]->valueint, 1); /* names have their case */
    assert_null(item[2]);
    root = weir_json_parse(WEIR_STR("{}"));
    assert_null(weir_json_fields(root, names, 3, item));
    assert_null(item[0]);
}

static void test_fields_given_twice(void **state)
{
    (void)state;
    static const char *const names[] = {"model", "n"};
    const cJSON *item[2];
    static const char *const twice[] = {
        "{\"n\":1,\"n\":1}",
        "{\"n\":1,\"model\":\"m\",\"n\":2}",
        "{\"n\":null,\"\\u006e\":2}",
    };
    for (size_t i = 0; i < sizeof(twice) / sizeof(twice[0]); i++) {
        const cJSON *root = weir_json_parse(weir_str_z(twice[i]));
        assert_string_equal(weir_json_fields(root, names, 2, item), "n");
    }
}

static int begin(void **state)
{
    (void)state;
    weir_json_init();
    return 0;
}

static int end(void **state)
{
    (void)state;
    weir_json_thread_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_reads_no_byte_too_many),
        cmocka_unit_test(test_arena_bound),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_fields_given_twice),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
