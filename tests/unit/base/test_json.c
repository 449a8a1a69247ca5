/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON reader: what it takes and refuses, wherever the text ends; what values it gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"

/* A page whose end is followed by one that must not be read. */
static char *guarded;
static size_t page_bytes;

static int start(void **state)
{
    (void)state;
    page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    guarded =
        mmap(NULL, 2 * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return guarded == MAP_FAILED || mprotect(guarded + page_bytes, page_bytes, PROT_NONE) != 0;
}

static enum weir_err read_text(struct weir_json *j, const char *text, size_t len)
{
    char *at = guarded + page_bytes - len;
    memcpy(at, text, len);
    return weir_json_parse(j, weir_str(at, len));
}

static void test_takes_and_refuses(void **state)
{
    static const struct {
        const char *text;
        enum weir_err err;
    } cases[] = {
        {"{}", WEIR_OK},
        {" [ ] ", WEIR_OK},
        {"null", WEIR_OK},
        {"\"\"", WEIR_OK},
        {"-0.5e+10", WEIR_OK},
        {"0", WEIR_OK},
        {"{\"a\":1,\"b\":[true,false,null,{}],\"c\":\"x\"}", WEIR_OK},
        {"[[[]],[{\"a\":{}}]]", WEIR_OK},
        {"\"\\u0000\\ud834\\udd1e\\ud800 \\\" \\\\ \\/ \\b\\f\\n\\r\\t\"", WEIR_OK},
        {"\"\xe2\x82\xac\"", WEIR_OK},
        {"", WEIR_ERR_INVALID},
        {" ", WEIR_ERR_INVALID},
        {"{", WEIR_ERR_INVALID},
        {"[", WEIR_ERR_INVALID},
        {"[1", WEIR_ERR_INVALID},
        {"[1,", WEIR_ERR_INVALID},
        {"[1,]", WEIR_ERR_INVALID},
        {"[,1]", WEIR_ERR_INVALID},
        {"[1}", WEIR_ERR_INVALID},
        {"{\"a\":1]", WEIR_ERR_INVALID},
        {"{\"a\"}", WEIR_ERR_INVALID},
        {"{\"a\":}", WEIR_ERR_INVALID},
        {"{\"a\":1,}", WEIR_ERR_INVALID},
        {"{a:1}", WEIR_ERR_INVALID},
        {"{1:1}", WEIR_ERR_INVALID},
        {"{} {}", WEIR_ERR_INVALID},
        {"{}x", WEIR_ERR_INVALID},
        {"01", WEIR_ERR_INVALID},
        {"-", WEIR_ERR_INVALID},
        {"+1", WEIR_ERR_INVALID},
        {"1.", WEIR_ERR_INVALID},
        {".5", WEIR_ERR_INVALID},
        {"1e", WEIR_ERR_INVALID},
        {"0x10", WEIR_ERR_INVALID},
        {"NaN", WEIR_ERR_INVALID},
        {"tru", WEIR_ERR_INVALID},
        {"nullx", WEIR_ERR_INVALID},
        {"'a'", WEIR_ERR_INVALID},
        {"\"a", WEIR_ERR_INVALID},
        {"\"a\\", WEIR_ERR_INVALID},
        {"\"\\x\"", WEIR_ERR_INVALID},
        {"\"\\u12g4\"", WEIR_ERR_INVALID},
        {"\"\\u123", WEIR_ERR_INVALID},
        {"\"a\nb\"", WEIR_ERR_INVALID},
        {"\"aaaaaaaaaaa\x1f\"", WEIR_ERR_INVALID},
        {"\"\xc0\xaf\"", WEIR_ERR_INVALID},
        {"\"\xed\xa0\x80\"", WEIR_ERR_INVALID},
        {"\xef\xbb\xbf{}", WEIR_ERR_INVALID},
    };
    struct weir_json j;
    (void)state;
    weir_json_init(&j);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = strlen(cases[i].text);
        enum weir_err err = read_text(&j, cases[i].text, len);
        if (err != cases[i].err) {
            fail_msg("%s: %s", cases[i].text, weir_err_name(err));
        }
        /* no beginning of it is read beyond its end */
        for (size_t cut = 0; cut < len; cut++) {
            err = read_text(&j, cases[i].text, cut);
            (void)err;
        }
    }
    assert_int_equal(weir_json_parse(&j, weir_str("{\"a\":\"b\0\"}", 10)), WEIR_ERR_INVALID);
    weir_json_deinit(&j);
}

/* Each byte that ends a run of plain ones, at each place of the eight that are looked at together.
 */
static void test_strings_of_every_length(void **state)
{
    struct weir_json j;
    char text[80];
    (void)state;
    weir_json_init(&j);
    for (size_t len = 0; len < 40; len++) {
        for (unsigned c = 1; c < 0x80; c++) {
            memset(text, 'a', sizeof(text));
            text[0] = '"';
            text[1 + len] = (char)c;
            text[len + 2 + 12] = '"';
            enum weir_err err = read_text(&j, text, len + 15);
            bool good = c >= 0x20 && c != '"' && c != '\\';
            assert_int_equal(err, good ? WEIR_OK : WEIR_ERR_INVALID);
            assert_true(!good || weir_json_root(&j)->len == len + 13);
        }
    }
    weir_json_deinit(&j);
}

static void test_values(void **state)
{
    static const char text[] = " {\"model\": \"m\", \"list\":[1, {\"x\":[]}, \"z\"], \"n\":2}";
    struct weir_json j;
    (void)state;
    weir_json_init(&j);
    assert_int_equal(weir_json_parse(&j, weir_str_z(text)), WEIR_OK);
    const struct weir_json_node *root = weir_json_root(&j);
    const struct weir_json_node *name = weir_json_first(&j, root);
    assert_true(weir_json_string_is(&j, name, WEIR_STR("model")));
    assert_true(weir_json_string_is(&j, name + 1, WEIR_STR("m")));
    name = weir_json_next(&j, root, name + 1);
    const struct weir_json_node *list = name + 1;
    assert_true(weir_str_eq(weir_json_raw(&j, list), WEIR_STR("[1, {\"x\":[]}, \"z\"]")));
    const struct weir_json_node *item = weir_json_first(&j, list);
    assert_int_equal(item->kind, WEIR_JSON_NUMBER);
    item = weir_json_next(&j, list, item);
    assert_int_equal(item->kind, WEIR_JSON_OBJECT);
    assert_null(weir_json_first(&j, weir_json_first(&j, item) + 1));
    item = weir_json_next(&j, list, item);
    assert_true(weir_json_string_is(&j, item, WEIR_STR("z")));
    assert_null(weir_json_next(&j, list, item));
    name = weir_json_next(&j, root, list);
    assert_true(weir_json_string_is(&j, name, WEIR_STR("n")));
    assert_null(weir_json_next(&j, root, name + 1));
    weir_json_deinit(&j);
}

static void test_escapes(void **state)
{
    static const struct {
        const char *json, *text;
        size_t len;
    } cases[] = {
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
        {"\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac", 6},
        {"\"\\ud834\\udd1e\"", "\xf0\x9d\x84\x9e", 4},
        {"\"\\ud834x\"", "\xef\xbf\xbdx", 4},
        {"\"\\ud834\\u0041\"",
         "\xef\xbf\xbd"
         "A",
         4},
        {"\"\\udd1e\\ud834\"", "\xef\xbf\xbd\xef\xbf\xbd", 6},
        {"\"a\\u0000b\"", "a\0b", 3},
    };
    struct weir_json j;
    struct weir_buf space;
    (void)state;
    weir_json_init(&j);
    weir_buf_init(&space, 64);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        weir_buf_reset(&space);
        assert_int_equal(weir_json_parse(&j, weir_str_z(cases[i].json)), WEIR_OK);
        struct weir_str text = weir_json_string(&j, weir_json_root(&j), &space);
        assert_int_equal(text.len, cases[i].len);
        assert_memory_equal(text.p, cases[i].text, cases[i].len);
        assert_true(weir_json_string_is(&j, weir_json_root(&j), text));
        assert_false(weir_json_string_is(&j, weir_json_root(&j), weir_str(text.p, text.len - 1)));
    }
    /* no room: an empty text, and the buffer says so */
    weir_buf_deinit(&space);
    weir_buf_init(&space, 2);
    assert_int_equal(weir_json_string(&j, weir_json_root(&j), &space).len, 0);
    assert_true(space.failed);
    weir_buf_deinit(&space);
    weir_json_deinit(&j);
}

static void test_whole_numbers(void **state)
{
    static const struct {
        const char *text;
        enum weir_err err;
        uint64_t value;
    } cases[] = {
        {"0", WEIR_OK, 0},
        {"-0", WEIR_OK, 0},
        {"16", WEIR_OK, 16},
        {"16.0", WEIR_OK, 16},
        {"1.6e1", WEIR_OK, 16},
        {"1000", WEIR_OK, 1000},
        {"1e3", WEIR_OK, 1000},
        {"1001", WEIR_ERR_LIMIT, 0},
        {"1e400", WEIR_ERR_LIMIT, 0},
        {"-1", WEIR_ERR_INVALID, 0},
        {"0.5", WEIR_ERR_INVALID, 0},
        {"-1e400", WEIR_ERR_INVALID, 0},
        {"99999999999999999999999", WEIR_ERR_LIMIT, 0},
        {"\"1\"", WEIR_ERR_INVALID, 0},
        {"true", WEIR_ERR_INVALID, 0},
        {"null", WEIR_ERR_INVALID, 0},
    };
    struct weir_json j;
    (void)state;
    weir_json_init(&j);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value = 0;
        assert_int_equal(weir_json_parse(&j, weir_str_z(cases[i].text)), WEIR_OK);
        assert_int_equal(weir_json_u64(&j, weir_json_root(&j), 1000, &value), cases[i].err);
        assert_int_equal(value, cases[i].value);
    }
    weir_json_deinit(&j);
}

static void test_bounds(void **state)
{
    enum { COUNT = WEIR_JSON_NODES_MAX };
    struct weir_json j;
    char deep[2 * WEIR_JSON_DEPTH_MAX + 2];
    (void)state;
    weir_json_init(&j);
    for (size_t depth = WEIR_JSON_DEPTH_MAX; depth <= WEIR_JSON_DEPTH_MAX + 1; depth++) {
        memset(deep, '[', depth);
        memset(deep + depth, ']', depth);
        assert_int_equal(weir_json_parse(&j, weir_str(deep, 2 * depth)),
                         depth > WEIR_JSON_DEPTH_MAX ? WEIR_ERR_LIMIT : WEIR_OK);
    }
    char *wide = weir_zalloc(2 * COUNT + 2);
    assert_non_null(wide);
    for (size_t i = 0; i < COUNT; i++) {
        memcpy(wide + 2 * i, "1,", 2);
    }
    wide[0] = '[';
    wide[1] = ' ';
    /* the list and COUNT - 1 numbers, then one more */
    wide[2 * COUNT - 1] = ']';
    assert_int_equal(weir_json_parse(&j, weir_str(wide, 2 * COUNT)), WEIR_OK);
    assert_int_equal(j.nodes, COUNT);
    memcpy(wide + 2 * COUNT - 1, ",1]", 3);
    assert_int_equal(weir_json_parse(&j, weir_str(wide, 2 * COUNT + 2)), WEIR_ERR_LIMIT);
    weir_free(wide);
    /* a small text gives the memory back */
    assert_int_equal(weir_json_parse(&j, WEIR_STR("1")), WEIR_OK);
    assert_true(j.room < 1000);
    weir_json_deinit(&j);
    weir_mem_fail_after(0);
    assert_int_equal(weir_json_parse(&j, WEIR_STR("1")), WEIR_ERR_NOMEM);
    weir_mem_fail_after(UINT64_MAX);
    weir_json_deinit(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_and_refuses),
        cmocka_unit_test(test_strings_of_every_length),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
