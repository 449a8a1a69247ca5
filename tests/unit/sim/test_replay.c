/* SPDX-License-Identifier: Apache-2.0 */
/* Replays: a few requests by hand, by each rule; what holds of many; the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"
#include "config/config.h"
#include "sim/replay_args.h"

enum { ROWS = 3000 };

static struct weir_replay_options options_of(const struct weir_trace *trace, const char *limits)
{
    struct weir_replay_options o = {
        .trace = trace, .keys = 1, .output_max = 600, .tokens_per_s = 1000, .seed = 1, .seeds = 1};
    struct weir_config_error error;
    assert_int_equal(weir_limits_parse(weir_str_z(limits), &o.plan, &error), WEIR_OK);
    o.plan.reserve_fixed = 256;
    o.plan.default_output_tokens = 300;
    o.plan.forecast_permille = 950;
    return o;
}

static void is_result(const struct weir_replay_result *r, uint64_t admitted, uint64_t output,
                      uint64_t reserved, uint64_t beyond_tokens, uint64_t windows, uint64_t in_debt,
                      double worst)
{
    assert_int_equal(r->admitted, admitted);
    assert_int_equal(r->denied, 3 - admitted);
    assert_int_equal(r->input_tokens, admitted * 10);
    assert_int_equal(r->output_tokens, output);
    assert_int_equal(r->reserved_tokens, reserved);
    assert_int_equal(r->beyond_tokens, beyond_tokens);
    assert_int_equal(r->windows, windows);
    assert_int_equal(r->windows_in_debt, in_debt);
    assert_true(r->worst > worst - 1e-9 && r->worst < worst + 1e-9);
}

/* Each answer is complete before the next request comes; see what stands by then. */
static void test_three_requests(void **state)
{
    (void)state;
    struct weir_trace_row row[] = {{0, 10, 400}, {1000000000, 10, 400}, {2000000000, 10, 300}};
    const struct weir_trace trace = {3, row};
    struct weir_replay_result r[WEIR_REPLAY_RULES];
    struct weir_replay_options o = options_of(&trace, "output_tokens: 1000/min");
    assert_int_equal(weir_replay_run(&o, r), WEIR_OK);
    is_result(&r[WEIR_RESERVE_MAX], 2, 800, 1200, 0, 2, 0, 0.8);       /* 0+600, 400+600, 800+600 */
    is_result(&r[WEIR_RESERVE_FIXED], 2, 800, 512, 288, 4, 0, 0.8);    /* 256, 656, 1056 */
    is_result(&r[WEIR_RESERVE_FORECAST], 2, 800, 600, 200, 4, 0, 0.8); /* 300, 700, 1100 */
    is_result(&r[WEIR_REPLAY_ORACLE], 2, 800, 800, 0, 2, 0, 0.8);      /* 400, 800, 1100 */
    o = options_of(&trace, "output_tokens: 700/min");
    assert_int_equal(weir_replay_run(&o, r), WEIR_OK);
    is_result(&r[WEIR_RESERVE_MAX], 1, 400, 600, 0, 1, 0, 4 / 7.0);
    is_result(&r[WEIR_RESERVE_FIXED], 2, 800, 512, 288, 4, 1, 8 / 7.0);
    is_result(&r[WEIR_REPLAY_ORACLE], 2, 700, 700, 0, 2, 0, 1);
    /* a window later nothing stands any more; and an output is never longer than what was asked */
    row[1].at_ns = 61000000000;
    row[2].at_ns = 122000000000;
    o.output_max = 100;
    assert_int_equal(weir_replay_run(&o, r), WEIR_OK);
    is_result(&r[WEIR_RESERVE_MAX], 3, 1100, 1100, 0, 3, 0, 4 / 7.0);
}

/* A request's tokens are on their way until its answer is complete. */
static void test_under_way(void **state)
{
    (void)state;
    struct weir_trace_row row[] = {{0, 10, 400}, {899999000, 10, 200}, {900000000, 10, 300}};
    const struct weir_trace trace = {3, row};
    struct weir_replay_result r[WEIR_REPLAY_RULES];
    struct weir_replay_options o = options_of(&trace, "output_tokens: 1000/min");
    o.first_token_us = 500000;
    assert_int_equal(weir_replay_run(&o, r), WEIR_OK);
    is_result(&r[WEIR_RESERVE_MAX], 2, 700, 1200, 0, 2, 0, 0.7); /* the third one is let in */
}

/* A window is half-open: what was charged just W ago is not in it. */
static void test_edge_of_a_window(void **state)
{
    (void)state;
    struct weir_trace_row row[] = {{0, 10, 400},
                                   {3600 * UINT64_C(1000000000), 10, 400},
                                   {7200 * UINT64_C(1000000000), 10, 300}};
    const struct weir_trace trace = {3, row};
    struct weir_replay_result r[WEIR_REPLAY_RULES];
    struct weir_replay_options o = options_of(&trace, "output_tokens: 1000/min");
    o.first_token_us = 59600000; /* 400 tokens are there after a minute, 300 are 0.1 s earlier */
    assert_int_equal(weir_replay_run(&o, r), WEIR_OK);
    is_result(&r[WEIR_RESERVE_FIXED], 3, 1100, 3 * 256, 1100 - 3 * 256, 6, 0, 0.3);
}

static void holds_of_many(const struct weir_replay_result *r, uint64_t rows)
{
    for (unsigned rule = 0; rule < WEIR_REPLAY_RULES; rule++) {
        assert_int_equal(r[rule].admitted + r[rule].denied, rows);
        assert_true(r[rule].windows >= r[rule].admitted);
        assert_true(r[rule].worst > 0.5);
    }
    const unsigned exact[] = {WEIR_RESERVE_MAX, WEIR_REPLAY_ORACLE};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(r[exact[i]].windows_in_debt, 0);
        assert_int_equal(r[exact[i]].beyond, 0);
        assert_true(r[exact[i]].worst <= 1);
    }
    assert_true(r[WEIR_RESERVE_MAX].output_tokens < r[WEIR_RESERVE_FORECAST].output_tokens);
    assert_true(r[WEIR_RESERVE_FIXED].worst > 1);
    assert_true(r[WEIR_RESERVE_FORECAST].beyond < r[WEIR_RESERVE_FORECAST].admitted / 10);
    assert_true(r[WEIR_RESERVE_FORECAST].beyond > r[WEIR_RESERVE_FORECAST].admitted / 50);
    assert_true(r[WEIR_RESERVE_FORECAST].windows_in_debt < r[WEIR_RESERVE_FIXED].windows_in_debt);
}

static void test_many(void **state)
{
    (void)state;
    static struct weir_trace_row row[ROWS];
    struct weir_rand dice;
    weir_rand_init(&dice, 5);
    for (unsigned i = 0; i < ROWS; i++) {
        uint32_t output = 1 + (uint32_t)weir_rand_below(&dice, 1 + weir_rand_below(&dice, 1000));
        row[i] = (struct weir_trace_row){i * UINT64_C(200000000), 100, output};
    }
    const struct weir_trace trace = {ROWS, row};
    struct weir_replay_result r[WEIR_REPLAY_RULES], again[WEIR_REPLAY_RULES];
    struct weir_replay_options o =
        options_of(&trace, "input_tokens: 10k/min, output_tokens: [5k/min, 80k/h]");
    o.keys = 10;
    o.zipf = 1;
    o.output_max = 1000;
    o.tokens_per_s = 50;
    o.seeds = 2;
    assert_int_equal(weir_replay_run(&o, r), WEIR_OK);
    holds_of_many(r, 2 * ROWS);
    assert_int_equal(weir_replay_run(&o, again), WEIR_OK);
    assert_memory_equal(r, again, sizeof(r));
    uint64_t admitted = 0;
    for (o.seeds = 1; o.seed <= 2; o.seed++) { /* one after the other comes to the same */
        assert_int_equal(weir_replay_run(&o, r), WEIR_OK);
        admitted += r[WEIR_RESERVE_FORECAST].admitted;
    }
    assert_int_equal(admitted, again[WEIR_RESERVE_FORECAST].admitted);
    for (uint64_t n = 0; n < 40; n++) {
        weir_mem_fail_after(n);
        enum weir_err err = weir_replay_run(&o, again);
        weir_mem_fail_after(UINT64_MAX);
        assert_int_equal(err, WEIR_ERR_NOMEM);
    }
}

/* ---- the command line ---- */

static bool parse_words(const char *const *words, struct weir_replay_args *ret,
                        char error[WEIR_REPLAY_ERROR_BYTES])
{
    char *argv[24] = {(char[]){"replay"}};
    int argc = 1;
    for (; *words != NULL; words++) {
        union {
            const char *from;
            char *to;
        } word = {.from = *words};
        argv[argc++] = word.to;
    }
    return weir_replay_args_parse(argc, argv, ret, error);
}

#define PARSE(ret, error, ...) parse_words((const char *const[]){__VA_ARGS__, NULL}, (ret), (error))

static void test_all_options(void **state)
{
    (void)state;
    struct weir_replay_args a;
    char error[WEIR_REPLAY_ERROR_BYTES];
    assert_true(PARSE(&a, error, "--keys", "1M", "t.csv", "--zipf=0.5", "--max-output=4k",
                      "--fixed=1", "--quantile=0.999", "--default-output", "7", "--first-token=0",
                      "--tokens-per-s=1M", "--seed=0", "--seeds=1k", "--json", "--limits",
                      "output_tokens: 5/h"));
    assert_string_equal(a.path, "t.csv");
    assert_int_equal(a.options.keys, 1000000);
    assert_true(a.options.zipf > 0.49 && a.options.zipf < 0.51);
    assert_int_equal(a.options.output_max, 4000);
    assert_int_equal(a.options.plan.reserve_fixed, 1);
    assert_int_equal(a.options.plan.forecast_permille, 999);
    assert_int_equal(a.options.plan.default_output_tokens, 7);
    assert_int_equal(a.options.first_token_us, 0);
    assert_int_equal(a.options.tokens_per_s, 1000000);
    assert_int_equal(a.options.seed, 0);
    assert_int_equal(a.options.seeds, 1000);
    assert_int_equal(a.options.plan.window[0].capacity[0], 5);
    assert_true(a.json && !a.help);
    assert_true(PARSE(&a, error, "t.csv", "--first-token=600k"));
    assert_int_equal(a.options.first_token_us, 600000000);
    assert_int_equal(a.options.keys, 20);
    assert_int_equal(a.options.output_max, 0);
    assert_int_equal(a.options.plan.forecast_permille, 950);
    assert_true(PARSE(&a, error, "--help"));
    assert_true(a.help);
}

static void test_wrong_options(void **state)
{
    (void)state;
    static const struct {
        const char *flag, *expected;
    } wrong[] = {
        {"--keys=0", "--keys: expected a whole number from 1 to 1000000"},
        {"--keys=1000001", "--keys: expected"},
        {"--keys", "--keys expects a value"},
        {"--zipf=11", "--zipf: expected an exponent from 0 to 10"},
        {"--max-output=0", "--max-output: expected"},
        {"--max-output=100000001", "--max-output: expected"},
        {"--fixed=0", "--fixed: expected"},
        {"--default-output=0", "--default-output: expected"},
        {"--quantile=0.499", "--quantile: expected a number from 0.5 to 0.999"},
        {"--quantile=1", "--quantile: expected"},
        {"--first-token=600001", "--first-token: expected"},
        {"--tokens-per-s=0", "--tokens-per-s: expected"},
        {"--tokens-per-s=1000001", "--tokens-per-s: expected"},
        {"--seed=4294967296", "--seed: expected"},
        {"--seeds=0", "--seeds: expected a whole number from 1 to 1000"},
        {"--seeds=1001", "--seeds: expected"},
        {"--limits=output_tokens", "--limits: output_tokens: expected a rate"},
        {"--key=1", "unknown option --key=1; see weir replay --help"},
        {"--key-that-is-much-longer-than-any-option=1", "unknown option"},
        {"u.csv", "expected FILE, the path of a trace"},
    };
    struct weir_replay_args a;
    char error[WEIR_REPLAY_ERROR_BYTES];
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (PARSE(&a, error, "t.csv", wrong[i].flag)) {
            fail_msg("%s was accepted", wrong[i].flag);
        }
        if (strstr(error, wrong[i].expected) == NULL) {
            fail_msg("%s: %s", wrong[i].flag, error);
        }
    }
    assert_false(PARSE(&a, error, "--json"));
    assert_non_null(strstr(error, "expected FILE, the path of a trace"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_requests),   cmocka_unit_test(test_under_way),
        cmocka_unit_test(test_edge_of_a_window), cmocka_unit_test(test_many),
        cmocka_unit_test(test_all_options),      cmocka_unit_test(test_wrong_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
