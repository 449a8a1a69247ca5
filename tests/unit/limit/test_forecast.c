/* SPDX-License-Identifier: Apache-2.0 */
/* Forecasts against the sorted outputs themselves; what is reserved by each rule; what counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>

#include "base/rand.h"
#include "limit/forecast.h"

enum { COUNT = WEIR_FORECAST_COUNT_MAX };

static void holds_together(const struct weir_forecast *f)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < WEIR_FORECAST_BUCKETS; i++) {
        sum += f->bucket[i];
    }
    assert_int_equal(sum, f->count);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Lengths as of answers: many short ones and a long tail. */
static uint64_t draw(struct weir_rand *r, double mean)
{
    return 1 + (uint64_t)(-log(1 - weir_rand_unit(r)) * mean);
}

/* A quantile lies in the bucket of the exact one: not below it by more than its width. */
static void test_quantiles(void **state)
{
    (void)state;
    static const unsigned permille[] = {1, 100, 500, 750, 900, 950, 990, 999};
    struct weir_rand r;
    weir_rand_init(&r, 1);
    for (unsigned n = 1; n <= COUNT; n += 1 + n / 7) {
        struct weir_forecast f = {0};
        uint64_t seen[COUNT], mean = UINT64_C(1) << weir_rand_below(&r, 14);
        for (unsigned i = 0; i < n; i++) {
            seen[i] = draw(&r, (double)mean);
            weir_forecast_add(&f, seen[i]);
        }
        holds_together(&f);
        qsort(seen, n, sizeof(seen[0]), by_value);
        for (size_t k = 0; k < sizeof(permille) / sizeof(permille[0]); k++) {
            unsigned rank = (unsigned)ceil(permille[k] * (n + 1) / 1000.0);
            double exact = (double)seen[(rank < n ? rank : n) - 1];
            double got = (double)weir_forecast_quantile(&f, permille[k]);
            if (exact < WEIR_FORECAST_TOKENS_MAX / 2 &&
                (got > fmax(exact * 1.25, 15) || (exact >= 16 && got < exact * 0.8) || got < 1)) {
                fail_msg("%u of %u: %.0f, and it is %.0f", permille[k], n, got, exact);
            }
        }
    }
}

/* The ends of buckets: one value alone is forecast as at most a quarter more, never less. */
static void test_one_value(void **state)
{
    (void)state;
    for (uint64_t v = 0; v <= WEIR_FORECAST_TOKENS_MAX; v += 1 + v / 97) {
        struct weir_forecast f = {0};
        weir_forecast_add(&f, v);
        uint64_t got = weir_forecast_quantile(&f, 950);
        assert_true(got >= v && got >= 1);
        assert_true(v >= 65536 ? got == WEIR_FORECAST_TOKENS_MAX
                               : got <= (v < 16 ? 15 : v * 5 / 4));
    }
    struct weir_forecast f = {0};
    assert_int_equal(weir_forecast_quantile(&f, 950), 0); /* nothing was seen */
    weir_forecast_add(&f, UINT64_MAX);
    assert_int_equal(weir_forecast_quantile(&f, 1), WEIR_FORECAST_TOKENS_MAX);
}

/* Halving loses no more than half of an observation, and no count passes its byte. */
static void test_halving(void **state)
{
    (void)state;
    struct weir_forecast same = {0}, spread = {0};
    for (unsigned i = 0; i < 4 * COUNT; i++) {
        weir_forecast_add(&same, 100);
        weir_forecast_add(&spread, 16 << i % 12);
        holds_together(&spread);
        assert_int_equal(same.count,
                         i < COUNT ? i + 1 : COUNT / 2 + 1 + (i - COUNT) % (COUNT / 2 + 1));
        assert_int_equal(spread.count, same.count);
        assert_int_equal(weir_forecast_quantile(&same, 999), 111);
        assert_int_equal(weir_forecast_grown(&same), i + 1 >= WEIR_FORECAST_GROWN); /* for good */
    }
}

/* Of many outputs that are alike, as many as the quantile says are not above it. */
static void test_coverage(void **state)
{
    (void)state;
    static const unsigned permille[] = {500, 900, 950, 990};
    enum { DRAWS = 100000 };
    for (size_t k = 0; k < sizeof(permille) / sizeof(permille[0]); k++) {
        struct weir_forecast f = {0};
        struct weir_rand r;
        unsigned within = 0;
        weir_rand_init(&r, 7);
        for (unsigned i = 0; i < DRAWS; i++) {
            uint64_t tokens = draw(&r, 200);
            within += i >= COUNT && tokens <= weir_forecast_quantile(&f, permille[k]);
            weir_forecast_add(&f, tokens);
        }
        double share = within / (double)(DRAWS - COUNT), wanted = permille[k] / 1000.0;
        assert_true(fabs(share - wanted) < 0.012);
    }
}

/* Outputs become four times as long, and 100 later the forecast is where it belongs; or a quarter
 * as long, and it is after 640: a limit that is too high for a while does less harm than debt. */
static void test_drift(void **state)
{
    (void)state;
    static const double means[][2] = {{100, 400}, {400, 100}};
    static const unsigned later[] = {50, 320};
    for (unsigned d = 0; d < 2; d++) {
        struct weir_forecast f = {0};
        struct weir_rand r;
        weir_rand_init(&r, 3);
        for (unsigned i = 0; i < 5000; i++) {
            weir_forecast_add(&f, draw(&r, means[d][0]));
        }
        for (unsigned i = 0; i < later[d]; i++) {
            weir_forecast_add(&f, draw(&r, means[d][1]));
        }
        holds_together(&f);
        double right = -log(0.05) * means[d][1], got = (double)weir_forecast_quantile(&f, 950);
        if (got < right * 0.6 || got > right * 1.5) {
            fail_msg("%.0f, and it is %.0f", got, right);
        }
    }
}

/* ---- what is reserved ---- */

static struct weir_plan plan_of(const struct weir_limit *limits, size_t count)
{
    struct weir_plan plan;
    assert_int_equal(weir_plan_compile(limits, count, &plan), WEIR_OK);
    plan.default_output_tokens = 256;
    return plan;
}

static void test_ever(void **state)
{
    (void)state;
    static const struct weir_limit own[] = {
        {WEIR_METER_OUTPUT_TOKENS, 60, 500},   {WEIR_METER_OUTPUT_TOKENS, 3600, 400},
        {WEIR_METER_OUTPUT_TOKENS, 7200, 450}, {WEIR_METER_INPUT_TOKENS, 60, 10},
        {WEIR_METER_REQUESTS, 60, 1},
    };
    static const struct weir_limit shared[] = {{WEIR_METER_TOTAL_TOKENS, 60, 1000}};
    struct weir_plan none = plan_of(NULL, 0), a = plan_of(own, 5), b = plan_of(shared, 1), share;
    struct weir_subject s[] = {{.plan = &none}, {.plan = &a}, {.plan = &b}};
    const struct weir_subject *all[] = {&s[0], &s[1], &s[2]};
    assert_int_equal(weir_output_ever(all, 1, 1 << 20), UINT64_MAX);
    assert_int_equal(weir_output_ever(all, 2, 1 << 20), 400);
    assert_int_equal(weir_output_ever(all, 3, 600), 400);
    assert_int_equal(weir_output_ever(all, 3, 601), 399);
    assert_int_equal(weir_output_ever(all, 3, 999), 1);
    assert_int_equal(weir_output_ever(all, 3, 1000), 0);
    assert_int_equal(weir_output_ever(all, 3, UINT64_MAX), 0);
    assert_int_equal(weir_output_ever(&all[2], 1, 0), 1000);
    weir_plan_share(&a, 3, &share);
    s[1].plan = &share;
    assert_int_equal(weir_output_ever(all, 2, 0), 133);
    weir_plan_shadow(&share, &own[1]); /* of 400 */
    assert_int_equal(weir_output_ever(all, 2, 0), 150);
    weir_plan_shadow(&share, &own[0]);
    weir_plan_shadow(&share, &own[2]);
    assert_int_equal(weir_output_ever(all, 2, 0), UINT64_MAX);
}

static void test_reserve(void **state)
{
    (void)state;
    struct weir_plan plan = plan_of(NULL, 0);
    /* as ever: what the request allows, whatever the limits are */
    assert_int_equal(weir_reserve_output(&plan, 1, 4096, 100, 500), 4096);
    assert_int_equal(weir_reserve_output(&plan, 1, 0, 100, 500), 0);
    plan.reserve = WEIR_RESERVE_FORECAST;
    assert_int_equal(weir_reserve_output(&plan, 1, 4096, 100, UINT64_MAX), 100);
    assert_int_equal(weir_reserve_output(&plan, 1, 99, 100, UINT64_MAX), 99);
    assert_int_equal(weir_reserve_output(&plan, 1, 4096, 100, 99), 99);
    assert_int_equal(weir_reserve_output(&plan, 1, 4096, 0, UINT64_MAX), 1);
    assert_int_equal(weir_reserve_output(&plan, 1, 4096, 100, 0), 1); /* and is then denied */
    assert_int_equal(weir_reserve_output(&plan, 1, 0, 100, 500), 1);
    plan.reserve = WEIR_RESERVE_FIXED;
    plan.reserve_fixed = 300;
    assert_int_equal(weir_reserve_output(&plan, 1, 4096, 100, UINT64_MAX), 300);
    assert_int_equal(weir_reserve_output(&plan, 1, 299, 100, UINT64_MAX), 299);
    assert_int_equal(weir_reserve_output(&plan, 1, 4096, 100, 299), 299);
}

/* Of several answers to one request each has what one of them would have. */
static void test_reserve_choices(void **state)
{
    (void)state;
    struct weir_plan plan = plan_of(NULL, 0);
    assert_int_equal(weir_reserve_output(&plan, 4, 4096, 100, 500), 4096); /* of all of them */
    plan.reserve = WEIR_RESERVE_FORECAST;
    assert_int_equal(weir_reserve_output(&plan, 4, 4096, 100, UINT64_MAX), 400);
    assert_int_equal(weir_reserve_output(&plan, 4, 399, 100, UINT64_MAX), 399);
    assert_int_equal(weir_reserve_output(&plan, 4, 4096, 100, 399), 399);
    assert_int_equal(weir_reserve_output(&plan, 4, 4096, 0, UINT64_MAX), 1);
    assert_true(weir_reserve_output(&plan, 4, UINT64_MAX, UINT64_MAX / 4 + 1, UINT64_MAX) ==
                UINT64_MAX);
    plan.reserve = WEIR_RESERVE_FIXED;
    plan.reserve_fixed = 300;
    assert_int_equal(weir_reserve_output(&plan, 128, 100000, 100, UINT64_MAX), 38400);
}

static void test_counted(void **state)
{
    (void)state;
    assert_int_equal(weir_input_counted(1000, 0, 0), 1000);
    assert_int_equal(weir_input_counted(1000, 400, 0), 600);
    assert_int_equal(weir_input_counted(1000, 400, 1000), 1000);
    assert_int_equal(weir_input_counted(1000, 400, 100), 640);
    assert_int_equal(weir_input_counted(1000, 401, 100), 640); /* 599 + 40.1 */
    assert_int_equal(weir_input_counted(1000, 1001, 0), 0);    /* more than all of it */
    assert_int_equal(weir_input_counted(1, 1, 1), 1);
    assert_int_equal(weir_input_counted(WEIR_AMOUNT_MAX, WEIR_AMOUNT_MAX, 500),
                     WEIR_AMOUNT_MAX / 2);
}

static void test_failed(void **state)
{
    (void)state;
    static const struct {
        bool charged;
        uint64_t input, output, requests;
    } cases[] = {{true, 0, 0, 1}, {false, 0, 0, 0}, {false, 7, 0, 0}, {true, 7, 3, 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_amounts used =
            weir_failed_use(cases[i].charged, cases[i].input, cases[i].output);
        assert_int_equal(used.of[WEIR_METER_REQUESTS], cases[i].requests);
        assert_int_equal(used.of[WEIR_METER_INPUT_TOKENS], cases[i].input);
        assert_int_equal(used.of[WEIR_METER_OUTPUT_TOKENS], cases[i].output);
        assert_int_equal(used.of[WEIR_METER_TOTAL_TOKENS], cases[i].input + cases[i].output);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles), cmocka_unit_test(test_one_value),
        cmocka_unit_test(test_halving),   cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_drift),     cmocka_unit_test(test_ever),
        cmocka_unit_test(test_reserve),   cmocka_unit_test(test_counted),
        cmocka_unit_test(test_failed),    cmocka_unit_test(test_reserve_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
