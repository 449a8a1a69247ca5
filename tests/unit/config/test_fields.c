/* SPDX-License-Identifier: Apache-2.0 */
/* The fields that are numbers, the sections, the flags. */
#include "base/buf.h"
#include "config/parse.h"
#include "support/configs.h"

static void test_defaults(void **state)
{
    (void)state;
    struct weir_config *c = taken("");
    assert_string_equal(c->listen.host, "127.0.0.1");
    assert_int_equal(c->listen.port, 8000);
    assert_in_range(c->workers, 1, WEIR_CONFIG_WORKERS_MAX);
    assert_int_equal(c->store, WEIR_STORE_EMBEDDED);
    assert_int_equal(c->on_store_failure, WEIR_FAIL_LOCAL);
    assert_int_equal(c->plans, 0);
    assert_int_equal(c->keys, 0);
    assert_null(c->unknown_plan);
    assert_false(c->has_service_token);
    assert_int_equal(c->models, 1);
    assert_string_equal(c->model[0].name, "model:weir-mock");
    assert_null(weir_config_key_by_id(c, WEIR_STR("a")));
    weir_config_free(c);
}

/* What says nothing is the default configuration. */
static void test_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\n", " \n", "# a comment\n", "---\n", "--- # x\n...\n", "{}\n", "\xef\xbb\xbf"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        weir_config_free(taken(texts[i]));
    }
}

/* Each number lands in its own member; the suffixes k, M, G; numbers in quotes. */
static void test_members(void **state)
{
    (void)state;
    struct weir_config *c =
        taken("{workers: 2, nodes: 3, max_subjects: 2G, reservation_ttl: 5min,\n"
              "reservations_max: \"6\", store_timeout_ms: 7, store_connect_timeout_ms: 8,\n"
              "http: {max_head_bytes: 2.5k, max_target_bytes: 90, max_body_bytes: 1M,\n"
              "  max_connections: 12, head_timeout_ms: 13, body_timeout_ms: 14,\n"
              "  idle_timeout_ms: 15, drain_timeout_ms: 16},\n"
              "mock: {seed: 17, first_token_ms: 18, tokens_per_s: 19,\n"
              "  output_tokens: {mean: 20, max: 21}}}\n");
    assert_int_equal(c->workers, 2);
    assert_int_equal(c->nodes, 3);
    assert_int_equal(c->max_subjects, 2000000000);
    assert_int_equal(c->reservation_ttl_s, 300);
    assert_int_equal(c->reservations_max, 6);
    assert_int_equal(c->redis.timeout_ms, 7);
    assert_int_equal(c->redis.connect_timeout_ms, 8);
    assert_int_equal(c->head_bytes_max, 2500);
    assert_int_equal(c->target_bytes_max, 90);
    assert_int_equal(c->body_bytes_max, 1000000);
    assert_int_equal(c->connections_max, 12);
    assert_int_equal(c->head_timeout_ms, 13);
    assert_int_equal(c->body_timeout_ms, 14);
    assert_int_equal(c->idle_timeout_ms, 15);
    assert_int_equal(c->drain_timeout_ms, 16);
    assert_int_equal(c->mock.seed, 17);
    assert_int_equal(c->mock.first_token_ms, 18);
    assert_int_equal(c->mock.tokens_per_s, 19);
    assert_int_equal(c->mock.output_mean, 20);
    assert_int_equal(c->mock.output_max, 21);
    weir_config_free(c);
}

/* The file with one option; returns the column of its value. */
static unsigned write_option(struct weir_buf *b, const struct weir_option *o, const char *value)
{
    bool output = strcmp(o->section, "mock.output_tokens") == 0;
    const char *section = output ? "mock: {output_tokens" : o->section;
    weir_buf_reset(b);
    weir_buf_printf(b, "%s%s%s: ", section, section[0] == '\0' ? "" : ": {", o->name);
    unsigned column = (unsigned)b->len + 1;
    weir_buf_printf(b, "%s%s%s\n", value, section[0] == '\0' ? "" : "}", output ? "}" : "");
    assert_false(b->failed);
    return column;
}

static void check_value(struct weir_buf *b, const struct weir_option *o, uint64_t value, bool good)
{
    char text[64], why[128];
    snprintf(text, sizeof(text), "%llu%s", (unsigned long long)value, o->duration ? "s" : "");
    unsigned column = write_option(b, o, text);
    if (good) {
        struct weir_config *c = taken_bytes(weir_buf_view(b));
        assert_int_equal(weir_option_value(o, c), value);
        weir_config_free(c);
        return;
    }
    snprintf(why, sizeof(why),
             o->duration ? "%s: expected a duration such as 30s or 10min, from %llus to %llus"
                         : "%s: expected a whole number from %llu to %llu",
             o->name, (unsigned long long)o->min, (unsigned long long)o->max);
    refused_bytes(weir_buf_view(b), 1, column, why);
}

static void test_ranges(void **state)
{
    (void)state;
    size_t count;
    const struct weir_option *options = weir_options(&count);
    struct weir_buf b;
    weir_buf_init(&b, 1000);
    assert_true(count > 10);
    for (const struct weir_option *o = options; o < options + count; o++) {
        if (!weir_option_is_number(o)) {
            continue;
        }
        check_value(&b, o, o->min, true);
        check_value(&b, o, o->max, true);
        check_value(&b, o, o->max + 1, false);
        check_value(&b, o, UINT64_MAX, false);
        if (o->min > 0) {
            check_value(&b, o, o->min - 1, false);
        }
    }
    weir_buf_deinit(&b);
}

static void test_wrong_types(void **state)
{
    (void)state;
    static const char *const values[] = {"-1",   "1.5", "1e3", "0x10", "many",
                                         "'1 '", "1K",  "1Mi", "''",   "true",
                                         "1_0",  "+1",  ".5k", "5.",   "\"\\x31\\0\""};
    size_t count;
    const struct weir_option *options = weir_options(&count);
    struct weir_buf b;
    weir_buf_init(&b, 1000);
    for (const struct weir_option *o = options; o < options + count; o++) {
        if (!weir_option_is_number(o)) {
            continue;
        }
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
            bool quoted = values[i][0] == '\'' || values[i][0] == '"';
            unsigned column = write_option(&b, o, values[i]) + quoted;
            refused_bytes(weir_buf_view(&b), 1, column, "expected");
        }
        static const char *const shapes[] = {"[1]", "{a: 1}", "[]"};
        for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
            unsigned column = write_option(&b, o, shapes[i]);
            refused_bytes(weir_buf_view(&b), 1, column,
                          o->duration ? "expected a duration" : "expected a number");
        }
        write_option(&b, o, "");
        refused_bytes(weir_buf_view(&b), 1, (unsigned)(strstr(b.data, o->name) - b.data) + 1,
                      "expected");
    }
    weir_buf_deinit(&b);
}

static void test_unknown(void **state)
{
    (void)state;
    refused("listen: 127.0.0.1:1\nworker: 2\n", 2, 1, "worker: unknown field of the file");
    refused("http:\n  max_bytes: 1\n", 2, 3, "max_bytes: unknown field of http");
    refused("mock: {speed: 1}\n", 1, 8, "speed: unknown field of mock");
    refused("mock:\n output_tokens: {min: 1}\n", 2, 18, "min: unknown field of mock.output_tokens");
    refused("plans: {p: {limit: 1/s}}\n", 1, 13,
            "limit: unknown field of a plan; expected limits, shadow, default_output_tokens, "
            "reserve, forecast_quantile, on_overrun, "
            "cached_input_weight or charge_failed");
    refused("plans: {p: {limits: {tokens: 1/s}}}\n", 1, 22,
            "tokens: unknown field of limits; expected requests, input_tokens, output_tokens or "
            "total_tokens");
    refused(PLAN "keys:\n - {id: a, token: b, plan: p}\n", 3, 12,
            "unknown field of a key; expected id, secret, secret_sha256, secret_salted, plan, "
            "team, org or disabled");
    refused("orgs: [{id: a, org: b}]\n", 1, 16,
            "org: unknown field of an org; expected id, plan or disabled");
    refused("teams: [{id: a, team: b}]\n", 1, 17,
            "team: unknown field of a team; expected id, plan, org or disabled");
    refused("models: {a: {limits: 1}}\n", 1, 14, "limits: unknown field of a model; expected plan");
    refused("seed: 1\n", 1, 1, "seed: unknown field"); /* of another section */
    refused("? [a]\n: 1\n", 1, 3, "the file: expected a field name");
}

static void test_wrong_shapes(void **state)
{
    (void)state;
    refused("- workers: 1\n", 1, 1, "the file: expected a mapping");
    refused("workers\n", 1, 1, "the file: expected a mapping");
    refused("http: 5\n", 1, 7, "http: expected a mapping");
    refused("http:\nnodes: 1\n", 1, 1, "http: expected a mapping");
    refused("mock: [seed]\n", 1, 7, "mock: expected a mapping");
    refused("mock: {output_tokens: 5}\n", 1, 23, "output_tokens: expected a mapping");
    refused("plans: [p]\n", 1, 8, "plans: expected a mapping");
    refused("plans: {p: 1}\n", 1, 12, "a plan: expected a mapping");
    refused("plans: {p: }\n", 1, 9, "a plan: expected a mapping");
    refused("plans: {p: {limits: [1/s]}}\n", 1, 21, "limits: expected a mapping");
    refused("keys: {a: b}\n", 1, 7, "keys: expected a list");
    refused("keys:\n", 1, 1, "keys: expected a list");
    refused("keys: [a]\n", 1, 8, "keys: expected a mapping");
    refused("orgs: {a: b}\n", 1, 7, "orgs: expected a list");
    refused("teams: [a]\n", 1, 9, "teams: expected a mapping");
    refused("models: weir-mock\n", 1, 9, "models: expected a mapping");
    refused("models: [weir-mock]\n", 1, 9, "models: expected a mapping");
    refused("models: {weir-mock: p}\n", 1, 21, "a model: expected a mapping");
    refused("models:\n  weir-mock:\n", 2, 3, "a model: expected a mapping");
    refused("listen: [127.0.0.1:1]\n", 1, 9, "listen: expected a text");
    refused("unknown_keys: {p: 1}\n", 1, 15, "unknown_keys: expected reject");
}

static void test_twice(void **state)
{
    (void)state;
    refused("workers: 1\nnodes: 1\nworkers: 1\n", 3, 1, "the same field twice");
    refused("workers: 1\n\"work\\x65rs\": 1\n", 2, 2, "the same field twice");
    refused("http: {max_head_bytes: 2k, max_head_bytes: 3k}\n", 1, 28, "the same field twice");
    refused("plans: {p: {}, q: {}, p: {}}\n", 1, 23, "plans: the same field twice");
    refused("plans: {p: {limits: {requests: 1/s, requests: 1/h}}}\n", 1, 37,
            "the same field twice");
    refused(PLAN "keys: []\nkeys: []\n", 3, 1, "the same field twice");
    refused("teams: []\nteams: []\n", 2, 1, "the same field twice");
    refused("models: {a: {}, \"\\x61\": {}}\n", 1, 18, "models: the same field twice");
}

/* ---- flags ---- */

static void test_flags_over_file(void **state)
{
    (void)state;
    const struct weir_config_flags flags = {.listen = "[::1]:9",
                                            .workers = "3",
                                            .store = "redis://r:1/2",
                                            .on_store_failure = "open",
                                            .nodes = "1k"};
    struct weir_config *c;
    struct weir_config_error error;
    assert_int_equal(weir_config_parse(WEIR_STR("listen: 127.0.0.1:1\nworkers: 9\nnodes: 9\n"
                                                "store: redis://:pw@old:2/3\n"
                                                "store_timeout_ms: 77\non_store_failure: closed\n"),
                                       &flags, &c, &error),
                     WEIR_OK);
    assert_string_equal(c->listen.host, "::1");
    assert_int_equal(c->listen.port, 9);
    assert_int_equal(c->workers, 3);
    assert_int_equal(c->store, WEIR_STORE_REDIS);
    assert_string_equal(c->redis.host, "r");
    assert_string_equal(c->redis.password, ""); /* not the other server's */
    assert_int_equal(c->redis.port, 1);
    assert_int_equal(c->redis.db, 2);
    assert_int_equal(c->redis.timeout_ms, 77);
    assert_int_equal(c->on_store_failure, WEIR_FAIL_OPEN);
    assert_int_equal(c->nodes, 1000);
    weir_config_free(c);
}

static void test_wrong_flags(void **state)
{
    (void)state;
    static const struct {
        struct weir_config_flags flags;
        const char *text;
    } wrong[] = {
        {{.listen = "8000"}, "--listen: expected ADDRESS:PORT"},
        {{.listen = ""}, "--listen: expected ADDRESS:PORT"},
        {{.workers = "0"}, "--workers: expected a whole number from 1 to 256"},
        {{.workers = "257"}, "--workers: expected a whole number from 1 to 256"},
        {{.store = "redis:"}, "--store: expected embedded, redis://"},
        {{.on_store_failure = "fail"}, "--on-store-failure: expected local, closed or open"},
        {{.nodes = "-1"}, "--nodes: expected a whole number from 1 to 100000"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct weir_config *c = NULL;
        struct weir_config_error error;
        char said[1024];
        assert_int_equal(weir_config_parse(WEIR_STR(""), &wrong[i].flags, &c, &error),
                         WEIR_ERR_INVALID);
        assert_null(c);
        assert_true(error.in_flag);
        weir_config_error_say(&error, "weir.yaml", said, sizeof(said));
        assert_ptr_equal(strstr(said, wrong[i].text), said); /* the file is not blamed */
    }
}

static void test_error_says_place(void **state)
{
    (void)state;
    struct weir_config_error error = {.line = 3, .column = 7, .text = "x: expected y"};
    char said[64];
    weir_config_error_say(&error, "weir.yaml", said, sizeof(said));
    assert_string_equal(said, "weir.yaml:3:7: x: expected y");
    error.line = 0;
    weir_config_error_say(&error, "weir.yaml", said, sizeof(said));
    assert_string_equal(said, "weir.yaml: x: expected y");
    weir_config_error_say(&error, NULL, said, sizeof(said));
    assert_string_equal(said, "x: expected y");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),         cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_members),          cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_wrong_types),      cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_wrong_shapes),     cmocka_unit_test(test_twice),
        cmocka_unit_test(test_flags_over_file),  cmocka_unit_test(test_wrong_flags),
        cmocka_unit_test(test_error_says_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
