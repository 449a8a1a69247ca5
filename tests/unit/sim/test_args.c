/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "sim/args.h"

/* `words` as a command line. */
static bool parse_words(const char *const *words, struct weir_sim_args *ret,
                        char error[WEIR_SIM_ERROR_BYTES])
{
    char *argv[16] = {(char[]){"sim"}};
    int argc = 1;
    for (; *words != NULL; words++) {
        assert_true(argc < 16);
        union {
            const char *from;
            char *to;
        } word = {.from = *words};
        argv[argc++] = word.to;
    }
    return weir_sim_args_parse(argc, argv, ret, error);
}

#define PARSE(ret, error, ...) parse_words((const char *const[]){__VA_ARGS__, NULL}, (ret), (error))

static void refuses(const char *flag, const char *value, const char *expected)
{
    struct weir_sim_args args;
    char error[WEIR_SIM_ERROR_BYTES];
    if (PARSE(&args, error, flag, value)) {
        fail_msg("%s %s was accepted", flag, value);
    }
    assert_non_null(strstr(error, expected));
}

static void test_all(void **state)
{
    (void)state;
    struct weir_sim_args args;
    char error[WEIR_SIM_ERROR_BYTES];
    assert_true(PARSE(&args, error, "--nodes=4k", "--keys", "100M", "--rate=1M", "--zipf", "1.25",
                      "--duration=3", "--input=7", "--output", "10-1k", "--used=0-50", "--hold=5-6",
                      "--json"));
    assert_int_equal(args.options.nodes, 4000);
    assert_int_equal(args.options.keys, 100000000);
    assert_true(args.options.rate == 1e6 && args.options.zipf == 1.25);
    assert_true(args.options.duration_s == 3);
    assert_int_equal(args.options.input.low, 7);
    assert_int_equal(args.options.input.high, 7);
    assert_int_equal(args.options.output.low, 10);
    assert_int_equal(args.options.output.high, 1000);
    assert_true(args.options.settles);
    assert_int_equal(args.options.used.high, 50);
    assert_int_equal(args.options.hold_us.low, 5000);
    assert_int_equal(args.options.hold_us.high, 6000);
    assert_true(args.json && !args.help);
    assert_true(PARSE(&args, error, "--settle=random", "--balance=key", "--mode=exact", "--rtt=1-2",
                      "--shards=9", "--store-us-per-call=12.5", "--seed=7", "--burst=2",
                      "--pause=3"));
    assert_true(args.options.settle_anywhere && args.options.by_key && args.options.exact);
    assert_int_equal(args.options.rtt_us.high, 2);
    assert_int_equal(args.options.shards, 9);
    assert_true(args.options.store_us_per_call == 12.5);
    assert_int_equal(args.options.seed, 7);
    assert_int_equal(args.options.burst_us, 2000);
    assert_int_equal(args.options.pause_us, 3000);
    assert_true(!args.options.settles && !args.json);
    assert_true(PARSE(&args, error, "--help", "--nodes=0"));
    assert_true(args.help);
}

static void test_limits(void **state)
{
    (void)state;
    struct weir_sim_args args;
    char error[WEIR_SIM_ERROR_BYTES];
    const struct weir_plan *plan = &args.options.plan;
    assert_true(PARSE(&args, error, "--limits=requests: 5/min, output_tokens: 2k/h"));
    assert_int_equal(plan->windows, 2);
    assert_int_equal(plan->window[1].capacity[0], 2000);
    assert_true(
        PARSE(&args, error, "--window=5s", "--limits=requests: 5/min, output_tokens: 2k/h"));
    assert_int_equal(plan->windows, 1);
    assert_int_equal(plan->window[0].window_s, 5);
    assert_int_equal(plan->window[0].capacity[1], 2000);
    assert_false(PARSE(&args, error, "--window=5s", "--limits=requests: [5/min, 9/h]"));
    assert_non_null(strstr(error, "one limit for each meter"));
    refuses("--window", "31day", "1s to 30day");
    refuses("--window", "5", "1s to 30day");
    refuses("--limits", "requests: 5", "--limits");
}

static void test_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *flag, *low, *high, *below, *above;
    } cases[] = {
        {"--nodes", "1", "1M", "0", "1000001"},
        {"--keys", "1", "4G", "0", "4000000001"},
        {"--zipf", "0", "10", "", "10.1"},
        {"--rate", "1", "100M", "0", "100000001"},
        {"--duration", "1", "3600", "0", "3601"},
        {"--input", "0", "100M", "1-", "100000001"},
        {"--output", "0-0", "1-100M", "2-1", "1-100000001"},
        {"--used", "0-0", "1-100M", "-1", "1-100000001"},
        {"--hold", "0", "600k", "-", "600001"},
        {"--rtt", "0", "10M", "x", "10000001"},
        {"--shards", "1", "4096", "0", "4097"},
        {"--store-us-per-call", "0", "1000000", "", "1000001"},
        {"--seed", "0", "18446744073709551615", "-1", "18446744073709551616"},
        {"--settle", "same", "random", "", "both"},
        {"--balance", "random", "key", "", "node"},
        {"--mode", "lease", "exact", "", "LEASE"},
    };
    struct weir_sim_args args;
    char error[WEIR_SIM_ERROR_BYTES];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(PARSE(&args, error, cases[i].flag, cases[i].low));
        assert_true(PARSE(&args, error, cases[i].flag, cases[i].high));
        refuses(cases[i].flag, cases[i].below, cases[i].flag);
        refuses(cases[i].flag, cases[i].above, cases[i].flag);
    }
    assert_true(PARSE(&args, error, "--burst=1", "--pause=600k"));
    refuses("--burst", "1", "--pause");
    refuses("--pause", "1", "--pause");
    refuses("--pause", "600001", "--pause");
}

static void test_forms(void **state)
{
    (void)state;
    struct weir_sim_args args;
    char error[WEIR_SIM_ERROR_BYTES];
    assert_false(PARSE(&args, error, "--nodes"));
    assert_non_null(strstr(error, "expects a value"));
    refuses("--node", "1", "unknown option");
    refuses("--json=x", "", "--json expects no value");
    refuses("7", "", "unexpected \"7\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
