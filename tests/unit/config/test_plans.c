/* SPDX-License-Identifier: Apache-2.0 */
/* Rates, plans, and what unknown keys get. */
#include "base/buf.h"
#include "base/mem.h"
#include "support/configs.h"

enum { DAY_S = 86400 };

static void test_rates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t capacity;
        uint32_t window_s;
    } good[] = {
        {"100/min", 100, 60},
        {"20k/min", 20000, 60},
        {"1.5M/day", 1500000, DAY_S},
        {"5/7s", 5, 7},
        {"1/s", 1, 1},
        {"1/1s", 1, 1},
        {"2/h", 2, 3600},
        {"2/24h", 2, DAY_S},
        {"0/min", 0, 60},
        {"0.5k/90min", 500, 5400},
        {"1.234567G/30day", 1234567000, 30 * DAY_S},
        {"1/2592000s", 1, 30 * DAY_S},
        {"1125899906842624/s", WEIR_AMOUNT_MAX, 1},
        {"5.0/s", 5, 1},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct weir_limit limit;
        assert_int_equal(weir_rate_parse(weir_str_z(good[i].text), WEIR_METER_TOTAL_TOKENS, &limit),
                         WEIR_OK);
        assert_int_equal(limit.meter, WEIR_METER_TOTAL_TOKENS);
        assert_int_equal(limit.capacity, good[i].capacity);
        assert_int_equal(limit.window_s, good[i].window_s);
    }
}

static void test_wrong_rates(void **state)
{
    (void)state;
    static const char *const invalid[] = {
        "",
        "100",
        "/min",
        "100/",
        "100/fortnight",
        "100/mins",
        "100/m",
        "1.5/min",
        "-1/min",
        " 1/min",
        "1/min ",
        "1 /min",
        "1//min",
        "1/0.5min",
        "1kk/min",
        "1K/min",
        "1./min",
        ".5k/s",
        "1.2.3k/s",
        "1e3/s",
        "1/-1s",
        "0.0005k/s",
        "99999999999999999999/s",
        "18446744073709551615G/s",
        "1/99999999999999999999s",
        "1/1.0s",
        "1/s/s",
        "1/9223372036854775807day",
    };
    static const char *const beyond[] = {"1/0s",
                                         "1/2592001s",
                                         "1/31day",
                                         "1/721h",
                                         "1/43201min",
                                         "1/0day",
                                         "1125899906842625/s",
                                         "1125900G/min",
                                         "1/200000000000000day"};
    struct weir_limit limit = {.capacity = 77};
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        if (weir_rate_parse(weir_str_z(invalid[i]), 0, &limit) != WEIR_ERR_INVALID) {
            fail_msg("%s is a rate", invalid[i]);
        }
    }
    for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
        if (weir_rate_parse(weir_str_z(beyond[i]), 0, &limit) != WEIR_ERR_LIMIT) {
            fail_msg("%s is not beyond the bounds", beyond[i]);
        }
    }
    assert_int_equal(limit.capacity, 77); /* untouched on failure */
}

static void test_plan(void **state)
{
    (void)state;
    struct weir_config *c = taken("plans:\n"
                                  "  low:\n"
                                  "    limits:\n"
                                  "      requests: 100/min\n"
                                  "      output_tokens: [1M/day, 10k/min]\n"
                                  "      total_tokens: [7/s]\n"
                                  "    default_output_tokens: 0\n"
                                  "  \"free tier\": {}\n");
    assert_int_equal(c->plans, 2);
    const struct weir_plan *low = &c->plan[0];
    assert_string_equal(low->name, "low");
    assert_int_equal(low->default_output_tokens, 0);
    assert_int_equal(low->limits, 4);
    assert_int_equal(low->windows, 3);
    assert_int_equal(low->window[0].window_s, 1);
    assert_int_equal(low->window[1].window_s, 60);
    assert_int_equal(low->window[1].meters, 2);
    assert_int_equal(low->window[1].capacity[0], 100);
    assert_int_equal(low->window[1].capacity[1], 10000);
    assert_int_equal(low->window[2].capacity[0], 1000000);
    assert_string_equal(c->plan[1].name, "free tier");
    assert_int_equal(c->plan[1].limits, 0);
    assert_int_equal(c->plan[1].default_output_tokens, 256);
    weir_config_free(c);
}

static void test_wrong_plans(void **state)
{
    (void)state;
    refused("plans: {p: {limits: {requests: 100}}}\n", 1, 32,
            "requests: expected a rate such as 100/min, 20k/h, 1M/day or 5/7s");
    refused("plans: {p: {limits: {requests: [1/s, 2/x]}}}\n", 1, 38, "requests: expected a rate");
    refused("plans: {p: {limits: {requests: [[1/s]]}}}\n", 1, 33, "requests: expected a rate");
    refused("plans: {p: {limits: {requests: 1/31day}}}\n", 1, 32,
            "requests: a rate is at most 2^50 over 1s to 30day");
    refused("plans: {p: {limits: {requests: [1/min, 2/60s]}}}\n", 1, 40,
            "requests: expected one rate for each length of time");
    refused("plans: {p: {default_output_tokens: 2147483648}}\n", 1, 36,
            "default_output_tokens: expected a whole number from 0 to 2147483647");
    weir_config_free(taken("plans: {p: {default_output_tokens: 2147483647}}\n"));
    struct weir_config *c =
        taken("plans: {a: {}, b: {on_overrun: finish}, c: {on_overrun: cut}}\n");
    assert_false(c->plan[0].cut_on_overrun);
    assert_false(c->plan[1].cut_on_overrun);
    assert_true(c->plan[2].cut_on_overrun);
    weir_config_free(c);
    refused("plans: {p: {on_overrun: stop}}\n", 1, 25, "on_overrun: expected finish or cut");
    refused("plans: {reject: {}}\n", 1, 9, "plans: expected a name of 1 to 63 characters");
    refused("plans: {\"\": {}}\n", 1, 10, "plans: expected a name of 1 to 63 characters");
    refused("plans: {\"a\\tb\": {}}\n", 1, 10, "plans: expected a name of 1 to 63 characters");
}

/* A bit for each limit of the plan, windows and meters ascending: those in shadow. */
static unsigned shadows(const struct weir_plan *plan)
{
    unsigned bits = 0, limit = 0;
    for (unsigned k = 0; k < plan->windows; k++) {
        for (unsigned i = 0; i < plan->window[k].meters; i++, limit++) {
            bits |= (plan->window[k].shadow >> i & 1U) << limit;
        }
    }
    return bits;
}

static void test_shadow(void **state)
{
    (void)state;
    struct weir_config *c = taken("plans:\n"
                                  "  some:\n"
                                  "    limits:\n"
                                  "      requests: 100/min shadow\n"
                                  "      output_tokens: [10k/min, 1M/day shadow, \"9/s shadow\"]\n"
                                  "  none: {shadow: false, limits: {requests: 5/s}}\n"
                                  "  all: {shadow: true, limits: {requests: [5/s, 6/min shadow]}}\n"
                                  "  empty: {shadow: true}\n");
    const struct weir_plan *some = &c->plan[0];
    assert_int_equal(shadows(some), 1U << 0 | 1U << 1 | 1U << 3);
    assert_int_equal(some->window[0].stated[0], 9);
    assert_int_equal(some->window[1].stated[0], 100);
    assert_int_equal(some->window[1].capacity[0], WEIR_SHADOW_CAPACITY);
    assert_int_equal(some->window[1].stated[1], 10000);
    assert_int_equal(some->window[1].capacity[1], 10000);
    assert_int_equal(some->least[WEIR_METER_REQUESTS], UINT64_MAX);
    assert_int_equal(some->least[WEIR_METER_OUTPUT_TOKENS], 10000);
    assert_int_equal(shadows(&c->plan[1]), 0);
    assert_int_equal(shadows(&c->plan[2]), 3);
    assert_int_equal(c->plan[3].limits, 0);
    weir_config_free(c);
    static const char *const wrong[] = {"100/min shadows", "100/min  shadow", "shadow",
                                        "100/minshadow",   "100 shadow",      "1/s shadow shadow"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char yaml[100];
        snprintf(yaml, sizeof(yaml), "plans: {p: {limits: {requests: %s}}}\n", wrong[i]);
        refused(yaml, 1, 32,
                "requests: expected a rate such as 100/min, 20k/h, 1M/day or 5/7s, or "
                "100/min shadow");
    }
    refused("plans: {p: {limits: {requests: [1/min, 2/60s shadow]}}}\n", 1, 40,
            "requests: expected one rate for each length of time");
    refused("plans: {p: {shadow: yes}}\n", 1, 21, "shadow: expected true or false");
}

static void test_reserve(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        enum weir_reserve reserve;
        uint32_t permille;
        uint64_t fixed;
    } good[] = {
        {"", WEIR_RESERVE_MAX, 950, 0},
        {"reserve: max", WEIR_RESERVE_MAX, 950, 0},
        {"reserve: forecast", WEIR_RESERVE_FORECAST, 950, 0},
        {"reserve: forecast, forecast_quantile: 0.5", WEIR_RESERVE_FORECAST, 500, 0},
        {"reserve: forecast, forecast_quantile: 0.999", WEIR_RESERVE_FORECAST, 999, 0},
        {"forecast_quantile: 0.90", WEIR_RESERVE_MAX, 900, 0},
        {"reserve: {fixed: 1}", WEIR_RESERVE_FIXED, 950, 1},
        {"reserve: {fixed: 2147483647}", WEIR_RESERVE_FIXED, 950, INT32_MAX},
        {"reserve: {fixed: 1.5k}", WEIR_RESERVE_FIXED, 950, 1500},
    };
    static const struct {
        const char *field;
        unsigned column;
        const char *why;
    } wrong[] = {
        {"reserve: all", 22, "reserve: expected max, forecast or {fixed: 300}"},
        {"reserve: ", 13, "reserve: expected max, forecast or {fixed: 300}"},
        {"reserve: [max]", 22, "reserve: expected max, forecast or {fixed: 300}"},
        {"reserve: {}", 22, "reserve: expected max, forecast or {fixed: 300}"},
        {"reserve: {fixed: 0}", 30, "fixed: expected a whole number from 1 to 2147483647"},
        {"reserve: {fixed: 2147483648}", 30, "fixed: expected a whole number from 1 to 2147483647"},
        {"reserve: {max: 1}", 23, "max: unknown field of reserve; expected fixed"},
        {"forecast_quantile: 0.499", 32, "forecast_quantile: expected a number from 0.5 to 0.999"},
        {"forecast_quantile: 1", 32, "forecast_quantile: expected a number from 0.5 to 0.999"},
        {"forecast_quantile: 0.9999", 32, "forecast_quantile: expected a number from 0.5"},
        {"forecast_quantile: 95%", 32, "forecast_quantile: expected a number from 0.5 to 0.999"},
        {"forecast_quantile: -0.9", 32, "forecast_quantile: expected a number from 0.5 to 0.999"},
        {"forecast_quantile: 18446744073709551615", 32, "forecast_quantile: expected a number"},
        {"forecast_quantile: [0.9]", 32, "forecast_quantile: expected a number such as 0.5"},
    };
    char yaml[256];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(yaml, sizeof(yaml), "plans: {p: {%s}}\n", good[i].fields);
        struct weir_config *c = taken(yaml);
        assert_int_equal(c->plan[0].reserve, good[i].reserve);
        assert_int_equal(c->plan[0].forecast_permille, good[i].permille);
        assert_int_equal(c->plan[0].reserve_fixed, good[i].fixed);
        weir_config_free(c);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(yaml, sizeof(yaml), "plans: {p: {%s}}\n", wrong[i].field);
        refused(yaml, 1, wrong[i].column, wrong[i].why);
    }
}

static void test_charging(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        uint32_t cached_permille;
        bool charge_failed;
    } good[] = {
        {"", 1000, true},
        {"cached_input_weight: 0", 0, true},
        {"cached_input_weight: 0.1", 100, true},
        {"cached_input_weight: 0.001", 1, true},
        {"cached_input_weight: 1.000", 1000, true},
        {"charge_failed: true", 1000, true},
        {"charge_failed: false", 1000, false},
    };
    static const char *const weights[] = {"1.001", "0.0001", "-0.1", "10%", "half", "[1]", ""};
    static const char *const answers[] = {"yes", "no", "0", "True", "[true]", ""};
    char yaml[256];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(yaml, sizeof(yaml), "plans: {p: {%s}}\n", good[i].fields);
        struct weir_config *c = taken(yaml);
        assert_int_equal(c->plan[0].cached_permille, good[i].cached_permille);
        assert_int_equal(c->plan[0].charge_failed, good[i].charge_failed);
        weir_config_free(c);
    }
    for (size_t i = 0; i < sizeof(weights) / sizeof(weights[0]); i++) {
        snprintf(yaml, sizeof(yaml), "plans: {p: {cached_input_weight: %s}}\n", weights[i]);
        refused(yaml, 1, weights[i][0] == '\0' ? 13 : 34, "cached_input_weight: expected a number");
    }
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        snprintf(yaml, sizeof(yaml), "plans: {p: {charge_failed: %s}}\n", answers[i]);
        refused(yaml, 1, answers[i][0] == '\0' ? 13 : 28, "charge_failed: expected true or false");
    }
}

static void test_plan_bounds(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 1 << 20);
    for (int len = 63; len <= 64; len++) {
        weir_buf_reset(&b);
        weir_buf_printf(&b, "plans: {%0*d: {}}%c", len, 0, 0);
        if (len == 63) {
            weir_config_free(taken(b.data));
        } else {
            refused(b.data, 1, 9, "plans: expected a name of 1 to 63 characters");
        }
    }
    for (unsigned windows = 8; windows <= 9; windows++) {
        weir_buf_reset(&b);
        WEIR_BUF_LIT(&b, "plans: {p: {limits: {requests: [");
        for (unsigned i = 1; i <= windows; i++) {
            weir_buf_printf(&b, "1/%us,", i);
        }
        weir_buf_append(&b, "]}}}", sizeof("]}}}"));
        if (windows == 8) {
            weir_config_free(taken(b.data));
        } else {
            refused(b.data, 1, 12, "limits: a plan has at most 8 lengths of time");
        }
    }
    for (unsigned limits = 16; limits <= 17; limits++) {
        weir_buf_reset(&b);
        weir_buf_printf(&b,
                        "plans: {p: {limits: {requests: [1/s,1/2s,1/3s,1/4s,1/5s,1/6s,1/7s,1/8s]"
                        ", input_tokens: [1/s,1/2s,1/3s,1/4s,1/5s,1/6s,1/7s,1/8s]%s}}}%c",
                        limits == 16 ? "" : ", output_tokens: 1/s", 0);
        if (limits == 16) {
            weir_config_free(taken(b.data));
        } else {
            refused(b.data, 1, 145, "limits: a plan has at most 16");
        }
    }
    weir_buf_deinit(&b);
}

static void test_plan_count(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 1 << 20);
    for (int more = 0; more <= 1; more++) {
        weir_buf_reset(&b);
        WEIR_BUF_LIT(&b, "plans: {");
        for (int i = 0; i < WEIR_CONFIG_PLANS_MAX + more; i++) {
            weir_buf_printf(&b, "p%d: {}, ", i);
        }
        weir_buf_append(&b, "}", 2);
        if (more == 0) {
            struct weir_config *c = taken(b.data);
            assert_int_equal(c->plans, WEIR_CONFIG_PLANS_MAX);
            weir_config_free(c);
        } else {
            refused(b.data, 1, 8, "plans: at most 1000");
        }
    }
    weir_buf_deinit(&b);
}

/* Wherever plans stand in the file. */
static void test_unknown_keys(void **state)
{
    (void)state;
    struct weir_config *c = taken("unknown_keys: q\nplans: {p: {}, q: {}}\n");
    assert_ptr_equal(c->unknown_plan, &c->plan[1]);
    weir_config_free(c);
    c = taken(PLAN "unknown_keys: reject\n");
    assert_null(c->unknown_plan);
    weir_config_free(c);
    refused(PLAN "unknown_keys: x\n", 2, 15, "unknown_keys: expected reject or the name of a plan");
}

static void limits_refused(const char *text, const char *begin)
{
    struct weir_plan plan;
    struct weir_config_error error;
    assert_int_equal(weir_limits_parse(weir_str_z(text), &plan, &error), WEIR_ERR_INVALID);
    if (strncmp(error.text, begin, strlen(begin)) != 0) {
        fail_msg("%s: %s", text, error.text);
    }
}

/* Limits without a file around them. */
static void test_limits_alone(void **state)
{
    (void)state;
    struct weir_plan plan;
    struct weir_config_error error;
    struct weir_str text = WEIR_STR("requests: 5/7s, output_tokens: [10k/min, 1M/day]");
    assert_int_equal(weir_limits_parse(text, &plan, &error), WEIR_OK);
    assert_int_equal(plan.limits, 3);
    assert_int_equal(plan.windows, 3);
    assert_int_equal(plan.window[0].window_us, 7000000);
    assert_int_equal(plan.window[0].capacity[0], 5);
    assert_int_equal(plan.window[2].meter[0], WEIR_METER_OUTPUT_TOKENS);
    assert_int_equal(plan.window[2].capacity[0], 1000000);
    limits_refused("", "expected at least one limit");
    limits_refused("requests", "requests: expected a rate");
    limits_refused("cost: 1/s", "cost: unknown field of limits");
    limits_refused("requests: [1/s, 9/min shadow]", "expected rates without the word shadow");
    limits_refused("requests: 1/s}, {requests: 1/s", "not valid YAML");
    limits_refused("requests: [1/s,1/2s,1/3s,1/4s,1/5s,1/6s,1/7s,1/8s,1/9s]",
                   "limits: a plan has at most 8 lengths");
    char *longest = weir_zalloc(5001);
    assert_non_null(longest);
    memset(longest, ' ', 5000);
    limits_refused(longest, "expected at most 4094 bytes");
    weir_free(longest);
}

static void test_limits_as_json(void **state)
{
    (void)state;
    struct weir_config_error error;
    struct weir_buf json;
    weir_buf_init(&json, 200);
    struct weir_str text = WEIR_STR("requests: 5/7s, output_tokens: [10k/min, 1M/day shadow]");
    assert_int_equal(weir_limits_to_json(text, &json, &error), WEIR_OK);
    assert_true(weir_str_eq(
        weir_buf_view(&json),
        WEIR_STR("{\"requests\":\"5/7s\",\"output_tokens\":[\"10k/min\",\"1M/day shadow\"]}")));
    weir_buf_reset(&json);
    assert_int_equal(weir_limits_to_json(WEIR_STR("cost: 1/s"), &json, &error), WEIR_ERR_INVALID);
    assert_int_equal(json.len, 0);
    weir_buf_deinit(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates),        cmocka_unit_test(test_wrong_rates),
        cmocka_unit_test(test_plan),         cmocka_unit_test(test_wrong_plans),
        cmocka_unit_test(test_shadow),       cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_charging),     cmocka_unit_test(test_plan_bounds),
        cmocka_unit_test(test_plan_count),   cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_limits_alone), cmocka_unit_test(test_limits_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
