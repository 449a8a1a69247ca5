/* SPDX-License-Identifier: Apache-2.0 */
/* The tree under the configuration: places, what YAML is refused, bounds, no memory. */
#include "base/buf.h"
#include "base/mem.h"
#include "config/parse.h"
#include "support/configs.h"

static struct weir_str text_of(const struct weir_yaml_node *n)
{
    assert_int_equal(n->kind, WEIR_YAML_SCALAR);
    return weir_str(n->text, n->len);
}

static void check_node(const struct weir_yaml_node *n, enum weir_yaml_kind kind, unsigned len,
                       unsigned span, unsigned line, unsigned column)
{
    assert_int_equal(n->kind, kind);
    assert_int_equal(n->len, len);
    assert_int_equal(n->span, span);
    assert_int_equal(n->line, line);
    assert_int_equal(n->column, column);
}

static void test_tree(void **state)
{
    (void)state;
    struct weir_config_error error;
    struct parse p = {.error = &error};
    struct weir_yaml y;
    assert_int_equal(weir_yaml_build(&p,
                                     WEIR_STR("# first\n"
                                              "a: {b: [1, 'it''s'], c: }\n"
                                              "d: |\n"
                                              "  two\n"
                                              "  lines\n"
                                              "e: [[], {}]\n"),
                                     &y),
                     WEIR_OK);
    const struct weir_yaml_node *n = y.node;
    assert_int_equal(y.nodes, 15);
    check_node(&n[0], WEIR_YAML_MAPPING, 6, 15, 2, 1);
    assert_true(weir_str_eq(text_of(&n[1]), WEIR_STR("a")));
    check_node(&n[2], WEIR_YAML_MAPPING, 4, 7, 2, 4);
    check_node(&n[4], WEIR_YAML_LIST, 2, 3, 2, 8);
    assert_true(weir_str_eq(text_of(&n[6]), WEIR_STR("it's")));
    assert_int_equal(n[8].len, 0);
    assert_true(weir_str_eq(text_of(&n[9]), WEIR_STR("d")));
    assert_true(weir_str_eq(text_of(&n[10]), WEIR_STR("two\nlines\n")));
    check_node(&n[12], WEIR_YAML_LIST, 2, 3, 6, 4);
    check_node(&n[13], WEIR_YAML_LIST, 0, 1, 6, 5);
    check_node(&n[14], WEIR_YAML_MAPPING, 0, 1, 6, 9);
    weir_yaml_deinit(&y);
}

static void test_one_document(void **state)
{
    (void)state;
    weir_config_free(taken("--- {workers: 1}\n...\n# the end\n"));
    weir_config_free(taken("%YAML 1.2\n---\nworkers: 1\n"));
    refused("workers: 1\n---\nnodes: 1\n", 2, 1, "expected one YAML document");
    refused("workers: 1\n---\n", 2, 1, "expected one YAML document");
    refused("workers: 1\n...\nnodes: 0\n", 0, 0, "expected one YAML document");
    refused("---\n---\n", 2, 1, "expected one YAML document");
}

static void test_extras(void **state)
{
    (void)state;
    static const char why[] = "expected no anchor (&), alias (*) or tag (!)";
    refused("workers: &a 1\n", 1, 11, why);
    refused("mock: &a {}\n", 1, 8, why);
    refused("models: &a [b]\n", 1, 10, why);
    refused("&a workers: 1\n", 1, 2, why);
    refused("workers: !!int 1\n", 1, 10, why);
    refused("workers: !a 1\n", 1, 10, why);
    refused("mock: !a {}\n", 1, 7, why);
    refused("models: !a [b]\n", 1, 9, why);
    refused("workers: *a\n", 1, 11, why);
    refused("<<: *a\n", 1, 6, why);
    struct weir_config *c = taken("models: {\"&a\": {}, '*b': {}, \"!c\": {}, '%d': {}}\n");
    assert_string_equal(c->model[2].name, "model:!c");
    weir_config_free(c);
}

/* Nine anchors of nine aliases each would be 9^9 nodes. */
static void test_alias_bomb(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 10000);
    WEIR_BUF_LIT(&b, "a0: &a0 x\n");
    for (unsigned i = 1; i < 10; i++) {
        weir_buf_printf(&b, "a%u: &a%u [*a%u, *a%u, *a%u]\n", i, i, i - 1, i - 1, i - 1);
    }
    refused_bytes(weir_buf_view(&b), 1, 6, "expected no anchor");
    weir_buf_deinit(&b);
}

static void test_bytes(void **state)
{
    (void)state;
    refused_bytes(WEIR_STR("workers: 1\0\nnonsense: 1\n"), 1, 1, "expected UTF-8 text without NUL");
    refused_bytes(WEIR_STR("workers: 1\n\0"), 2, 1, "expected UTF-8 text without NUL");
    refused("workers: 1\n# \xff\n", 2, 1, "expected UTF-8 text without NUL");
    refused("models: [\xed\xa0\x80]\n", 1, 1, "expected UTF-8 text without NUL");
    refused_bytes(weir_str("\xff\xfew\0", 4), 1, 1, "expected UTF-8 text without NUL");
    refused("listen: \"127.0.0.1\\0:80\"\n", 1, 10, "expected a text without NUL");
    refused("\"workers\\0\": 1\n", 1, 2, "expected a text without NUL");
    weir_config_free(taken("\xef\xbb\xbfworkers: 1\r\nnodes: 2\r\n"));
}

/* What libfyaml 0.7.12 would free twice. */
static void test_tab_behind_colon(void **state)
{
    (void)state;
    static const char why[] = "expected no tab behind a colon in a file with a key behind ?";
    refused("? a:\t?", 1, 5, why);
    refused("workers: 1\n? a\n:   \t? b\n", 3, 5, why);
    refused("? a:\t? b: c\n", 1, 5, why);
    weir_config_free(taken("workers:\t2 # is that right?no\nnodes: 1\t# yes\n"));
    weir_config_free(taken("? workers\n: 2\n"));
    weir_config_free(taken("workers: 1\t# is it? yes\n"));
}

static void test_not_yaml(void **state)
{
    (void)state;
    refused("http:\n\tmax_head_bytes: 2k\n", 2, 1, "not valid YAML: tab");
    refused("models: [a\n", 2, 1, "not valid YAML: ");
    refused("workers: 1\n nodes: 2\n", 1, 10, "not valid YAML: ");
    refused("listen: \"a\n", 1, 10, "not valid YAML: ");
    refused("listen: \"\\\x1c\"\n", 1, 10, "invalid escape '?' in"); /* can be printed */
}

/* `open` and `close` `depth` times. */
static void nest(struct weir_buf *b, char open, char close, unsigned depth)
{
    weir_buf_reset(b);
    WEIR_BUF_LIT(b, "x: ");
    for (unsigned i = 0; i < depth; i++) {
        weir_buf_char(b, open);
    }
    for (unsigned i = 0; i < depth; i++) {
        weir_buf_char(b, close);
    }
}

static void test_depth(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 1 << 20);
    nest(&b, '[', ']', WEIR_YAML_DEPTH_MAX - 1); /* in the root's mapping */
    refused_bytes(weir_buf_view(&b), 1, 1, "x: unknown field");
    nest(&b, '[', ']', WEIR_YAML_DEPTH_MAX);
    refused_bytes(weir_buf_view(&b), 1, 19, "expected fewer mappings and lists in each other");
    nest(&b, '[', ']', 100000);
    refused_bytes(weir_buf_view(&b), 1, 19, "expected fewer mappings and lists in each other");
    nest(&b, '{', '}', 50);
    refused_bytes(weir_buf_view(&b), 1, 19, "expected fewer mappings and lists in each other");
    weir_buf_deinit(&b);
}

static void test_long_texts(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 2 << 20);
    for (unsigned len = WEIR_YAML_SCALAR_MAX; len <= WEIR_YAML_SCALAR_MAX + 1; len++) {
        weir_buf_reset(&b);
        WEIR_BUF_LIT(&b, "listen: ");
        for (unsigned i = 0; i < len; i++) {
            weir_buf_char(&b, 'x');
        }
        refused_bytes(weir_buf_view(&b), 1, 9,
                      len == WEIR_YAML_SCALAR_MAX ? "listen: expected ADDRESS:PORT"
                                                  : "expected a text of at most 4096 bytes");
    }
    while (b.len < (1 << 20)) {
        weir_buf_char(&b, 'x');
    }
    refused_bytes(weir_buf_view(&b), 1, 9, "expected a text of at most 4096 bytes");
    weir_buf_reset(&b);
    for (unsigned i = 0; i < 20000; i++) { /* no comparing of each with each */
        weir_buf_printf(&b, "f%u: 1\n", i);
    }
    refused_bytes(weir_buf_view(&b), 1, 1, "f0: unknown field of the file");
    weir_buf_deinit(&b);
}

static void test_large_file(void **state)
{
    (void)state;
    size_t len = (size_t)WEIR_CONFIG_BYTES_MAX + 1;
    char byte = '#'; /* not read: too many are promised */
    refused_bytes(weir_str(&byte, len), 0, 0, "expected at most 268435456 bytes");
}

/* Every allocation of ours fails once: nothing leaks (asan), and the answer says so. */
static void test_no_memory(void **state)
{
    (void)state;
    const struct weir_str yaml =
        WEIR_STR("plans: {p: {limits: {requests: 1/s}}, q: {}}\n"
                 "orgs: [{id: o, plan: p}]\nteams: [{id: t, org: o}]\n"
                 "keys: [{id: \"\\x61\", secret: b, plan: p}, {id: b, secret: c, team: t}]\n"
                 "models: {a: {plan: p}, \"b*\": {}}\nservice_token: \"\\x61\"\n");
    uint64_t n = 0;
    for (enum weir_err err = WEIR_ERR_NOMEM; err != WEIR_OK; n++) {
        struct weir_config *c = NULL;
        struct weir_config_error error;
        weir_mem_fail_after(n);
        err = weir_config_parse(yaml, NULL, &c, &error);
        weir_mem_fail_after(UINT64_MAX);
        if (err == WEIR_OK) {
            assert_int_equal(c->keys, 2);
            weir_config_free(c);
        } else {
            assert_int_equal(err, WEIR_ERR_NOMEM);
            assert_null(c);
            assert_string_equal(error.text, "out of memory");
        }
        assert_true(n < 100);
    }
    assert_true(n > 14);
}

static void test_load(void **state)
{
    (void)state;
    struct weir_config *c = NULL;
    struct weir_config_error error;
    assert_int_equal(weir_config_load("/nonexistent/weir.yaml", NULL, &c, &error), WEIR_ERR_IO);
    assert_string_equal(error.text, "cannot be read: No such file or directory");
    assert_int_equal(weir_config_load("/", NULL, &c, &error), WEIR_ERR_IO);
    assert_string_equal(error.text, "cannot be read: Is a directory");
    assert_int_equal(weir_config_load(NULL, NULL, &c, &error), WEIR_OK);
    weir_config_free(c);
    assert_int_equal(weir_config_load("/dev/null", NULL, &c, &error), WEIR_OK);
    weir_config_free(c);
    c = NULL;
    weir_mem_fail_after(0);
    assert_int_equal(weir_config_load("/dev/null", NULL, &c, &error), WEIR_ERR_NOMEM);
    weir_mem_fail_after(UINT64_MAX);
    assert_string_equal(error.text, "cannot be read: Cannot allocate memory");
    assert_null(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),       cmocka_unit_test(test_one_document),
        cmocka_unit_test(test_extras),     cmocka_unit_test(test_alias_bomb),
        cmocka_unit_test(test_bytes),      cmocka_unit_test(test_tab_behind_colon),
        cmocka_unit_test(test_not_yaml),   cmocka_unit_test(test_depth),
        cmocka_unit_test(test_long_texts), cmocka_unit_test(test_large_file),
        cmocka_unit_test(test_no_memory),  cmocka_unit_test(test_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
