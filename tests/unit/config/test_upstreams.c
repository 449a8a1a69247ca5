/* SPDX-License-Identifier: Apache-2.0 */
/* The `upstreams` section: every field at its ends, what is refused, which upstream serves what. */
#include "base/buf.h"
#include "base/mem.h"
#include "config/parse.h"
#include "support/configs.h"

/* One upstream with these fields beside its name. */
static struct weir_config *one(const char *fields)
{
    char yaml[8192];
    snprintf(yaml, sizeof(yaml), "upstreams: [{name: u, %s}]\n", fields);
    return taken(yaml);
}

static void refused_one(const char *fields, const char *text)
{
    char yaml[8192];
    struct weir_config *c = NULL;
    struct weir_config_error error;
    snprintf(yaml, sizeof(yaml), "upstreams: [{name: u, %s}]\n", fields);
    if (weir_config_parse(weir_str_z(yaml), NULL, &c, &error) != WEIR_ERR_INVALID ||
        error.line != 1 || error.column == 0 || strstr(error.text, text) == NULL) {
        fail_msg("%s: %u:%u: %s", fields, error.line, error.column, error.text);
    }
}

static void test_none(void **state)
{
    (void)state;
    struct weir_config *c = taken("");
    assert_int_equal(c->upstreams, 0);
    weir_config_free(c);
    c = taken("upstreams: []\n");
    assert_int_equal(c->upstreams, 0);
    weir_config_free(c);
}

static void test_defaults(void **state)
{
    (void)state;
    struct weir_config *c = one("base_url: http://a");
    const struct weir_upstream_config *u = c->upstream;
    assert_int_equal(c->upstreams, 1);
    assert_string_equal(u->name, "u");
    assert_string_equal(u->base_url, "http://a/v1");
    assert_false(u->mock);
    assert_string_equal(u->api_key, "");
    assert_int_equal(u->globs, 0);
    assert_int_equal(u->weight, 1);
    assert_int_equal(u->connect_timeout_ms, 5000);
    assert_int_equal(u->timeout_ms, 600000);
    assert_string_equal(u->proxy, "");
    assert_string_equal(u->ca, "");
    weir_config_free(c);
}

/* What stands for the "/v1" of a path. */
static void test_base_urls(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"https://api.openai.com/v1", "https://api.openai.com/v1"},
        {"https://api.openai.com/v1/", "https://api.openai.com/v1"},
        {"https://api.anthropic.com", "https://api.anthropic.com/v1"},
        {"https://api.anthropic.com/", "https://api.anthropic.com/v1"},
        {"\"http://[::1]:8000\"", "http://[::1]:8000/v1"},
        {"https://a.b/v1beta/openai", "https://a.b/v1beta/openai"},
        {"\"mock:\"", "mock:"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char fields[256];
        snprintf(fields, sizeof(fields), "base_url: %s", cases[i][0]);
        struct weir_config *c = one(fields);
        assert_string_equal(c->upstream[0].base_url, cases[i][1]);
        assert_int_equal(c->upstream[0].mock, strcmp(cases[i][1], "mock:") == 0);
        weir_config_free(c);
    }
    static const char *const bad[] = {
        "ftp://a",
        "http://",
        "http:///v1",
        "http://user:pass@a",
        "http://a?x=1",
        "\"http://a#b\"",
        "a.b",
        "\"http://a b\"",
        "\"mock:x\"",
        "file:///etc/passwd",
        "\"http://a\\nb\"",
        "\"http://\\x7f\"",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char fields[256];
        snprintf(fields, sizeof(fields), "base_url: %s", bad[i]);
        refused_one(fields, "base_url: expected mock: or http[s]://");
    }
}

static void test_length_of_url(void **state)
{
    (void)state;
    char fields[1200], url[1100];
    memset(url, 'a', sizeof(url));
    memcpy(url, "http://", 7);
    snprintf(fields, sizeof(fields), "base_url: %.*s", WEIR_URL_MAX + 4, url);
    struct weir_config *c = one(fields);
    assert_int_equal(strlen(c->upstream[0].base_url), WEIR_URL_MAX + 4 + 3);
    weir_config_free(c);
    snprintf(fields, sizeof(fields), "base_url: %.*s", WEIR_URL_MAX + 5, url);
    refused_one(fields, "base_url");
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t min, max;
    } fields[] = {
        {"weight", 1, 1000}, {"connect_timeout_ms", 1, 60000}, {"timeout_ms", 1, 3600000}};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        char text[128];
        for (unsigned end = 0; end < 2; end++) {
            uint64_t value = end == 0 ? fields[i].min : fields[i].max;
            snprintf(text, sizeof(text), "base_url: http://a, %s: %llu", fields[i].name,
                     (unsigned long long)value);
            struct weir_config *c = one(text);
            const struct weir_upstream_config *u = c->upstream;
            assert_int_equal(i == 0   ? u->weight
                             : i == 1 ? u->connect_timeout_ms
                                      : u->timeout_ms,
                             value);
            weir_config_free(c);
            snprintf(text, sizeof(text), "base_url: http://a, %s: %llu", fields[i].name,
                     (unsigned long long)(end == 0 ? fields[i].min - 1 : fields[i].max + 1));
            refused_one(text, fields[i].name);
        }
    }
}

static void test_secrets(void **state)
{
    (void)state;
    struct weir_config *c = one("base_url: http://a, api_key: sk-up");
    assert_string_equal(c->upstream[0].api_key, "sk-up");
    weir_config_free(c);
    assert_int_equal(setenv("WEIR_UPSTREAM_KEY", "sk-env", 1), 0);
    c = one("base_url: http://a, api_key: {env: WEIR_UPSTREAM_KEY}");
    assert_string_equal(c->upstream[0].api_key, "sk-env");
    weir_config_free(c);
    refused_one("base_url: http://a, api_key: \"a b\"", "api_key: expected printable");
    refused_one("base_url: http://a, api_key: {env: WEIR_NOT_THERE}", "WEIR_NOT_THERE");
}

static void test_other_fields(void **state)
{
    (void)state;
    struct weir_config *c = one("base_url: https://a, proxy: \"http://p:3128\", ca: /x/y.pem");
    assert_string_equal(c->upstream[0].proxy, "http://p:3128");
    assert_string_equal(c->upstream[0].ca, "/x/y.pem");
    weir_config_free(c);
    refused_one("base_url: https://a, proxy: \"http://p/path\"", "proxy: expected");
    refused_one("base_url: https://a, proxy: \"ftp://p\"", "proxy: expected");
    refused_one("base_url: https://a, ca: \"\"", "ca: expected 1 to");
    refused_one("base_url: https://a, models: []", "models: expected 1 to 100");
    refused_one("base_url: https://a, models: x", "models: expected a list");
    refused_one("base_url: https://a, models: [\"\"]", "models: expected names");
    refused_one("base_url: https://a, colour: red", "unknown field of an upstream");
    refused("upstreams: [{name: u}]\n", 1, 13, "expected name and base_url");
    refused("upstreams: [{base_url: http://a}]\n", 1, 13, "expected name and base_url");
    refused("upstreams: [{name: \"a b\", base_url: http://a}]\n", 1, 21, "name: expected 1 to 63");
    refused("upstreams:\n- {name: a, base_url: http://a}\n- {name: a, base_url: http://b}\n", 3, 3,
            "the name \"a\" is there twice");
    refused("upstreams: {}\n", 1, 12, "expected a list");
}

static void test_bounds(void **state)
{
    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        struct weir_buf b;
        weir_buf_init(&b, 1 << 20);
        WEIR_BUF_LIT(&b, "upstreams:\n");
        for (unsigned i = 0; i < WEIR_CONFIG_UPSTREAMS_MAX + more; i++) {
            weir_buf_printf(&b, "- {name: u%u, base_url: http://a}\n", i);
        }
        if (more == 0) {
            struct weir_config *c = taken_bytes(weir_buf_view(&b));
            assert_int_equal(c->upstreams, WEIR_CONFIG_UPSTREAMS_MAX);
            weir_config_free(c);
        } else {
            refused_bytes(weir_buf_view(&b), 2, 1, "upstreams: at most 64");
        }
        weir_buf_reset(&b);
        WEIR_BUF_LIT(&b, "upstreams: [{name: u, base_url: http://a, models: [");
        for (unsigned i = 0; i < WEIR_CONFIG_GLOBS_MAX + more; i++) {
            weir_buf_printf(&b, "%sm%u", i == 0 ? "" : ", ", i);
        }
        WEIR_BUF_LIT(&b, "]}]\n");
        if (more == 0) {
            struct weir_config *c = taken_bytes(weir_buf_view(&b));
            assert_int_equal(c->upstream[0].globs, WEIR_CONFIG_GLOBS_MAX);
            weir_config_free(c);
        } else {
            refused_bytes(weir_buf_view(&b), 1, 51, "models: expected 1 to 100");
        }
        weir_buf_deinit(&b);
    }
}

static void test_serves(void **state)
{
    (void)state;
    struct weir_config *c = one("base_url: http://a, models: [gpt-4o, \"o?-*\"]");
    assert_true(weir_upstream_serves(c->upstream, WEIR_STR("gpt-4o")));
    assert_true(weir_upstream_serves(c->upstream, WEIR_STR("o3-mini")));
    assert_false(weir_upstream_serves(c->upstream, WEIR_STR("gpt-4o-mini")));
    assert_false(weir_upstream_serves(c->upstream, WEIR_STR("")));
    weir_config_free(c);
    c = one("base_url: http://a");
    assert_true(weir_upstream_serves(c->upstream, WEIR_STR("anything")));
    assert_true(weir_upstream_serves(c->upstream, WEIR_STR("")));
    weir_config_free(c);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    struct weir_str yaml = WEIR_STR("upstreams: [{name: u, base_url: http://a, models: [a, b]}]\n");
    enum weir_err err = WEIR_ERR_NOMEM;
    for (uint64_t n = 0; err == WEIR_ERR_NOMEM; n++) {
        struct weir_config *c = NULL;
        struct weir_config_error error;
        weir_mem_fail_after(n);
        err = weir_config_parse(yaml, NULL, &c, &error);
        weir_mem_fail_after(UINT64_MAX);
        weir_config_free(c);
    }
    assert_int_equal(err, WEIR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),         cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_base_urls),    cmocka_unit_test(test_length_of_url),
        cmocka_unit_test(test_numbers),      cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_other_fields), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_serves),       cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
