/* SPDX-License-Identifier: Apache-2.0 */
/* Ratios: where they begin, how fast they come to what is reported, what does not move them; and
 * the table of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/mem.h"
#include "base/rand.h"
#include "tokens/calibration.h"

static struct weir_ratio first(const char *model)
{
    return weir_ratio_first(weir_str_z(model));
}

static void test_families(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        uint64_t of_1000;
    } cases[] = {
        {"claude-sonnet-4-5", 1350},
        {"anthropic/Claude-3.5", 1350},
        {"us.anthropic.claude-v2:1", 1350},
        {"mistralai/Mistral-7B", 1500},
        {"meta-llama/Llama-2-7b-chat", 1500},
        {"gemini-2.5-pro", 1250},
        {"claud", 1250},
        {"gpt-4o", 1000}, /* without its token data */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_ratio r = first(cases[i].model);
        assert_in_range(weir_ratio_expect(&r, 1000), cases[i].of_1000 - 1, cases[i].of_1000);
    }
}

static void test_rounded_up(void **state)
{
    (void)state;
    struct weir_ratio r = {.ratio = WEIR_RATIO_ONE * 13ull / 10};
    assert_int_equal(weir_ratio_expect(&r, 0), 0);
    assert_int_equal(weir_ratio_expect(&r, 1), 2);
    assert_int_equal(weir_ratio_expect(&r, 10), 13);
    assert_int_equal(weir_ratio_expect(&r, 11), 15);
    r.ratio = 1;
    assert_int_equal(weir_ratio_expect(&r, 1), 1);
    r.ratio = WEIR_RATIO_ONE * WEIR_RATIO_MOST;
    assert_int_equal(weir_ratio_expect(&r, UINT64_C(1) << 50), UINT64_C(1) << 52);
}

/* From wherever it begins, with requests of any length, it is there within 20 of them. */
static void test_converges(void **state)
{
    (void)state;
    static const uint64_t percents[] = {26, 50, 87, 100, 130, 175, 250, 390};
    static const uint64_t lengths[] = {64, 100, 500, 2000, 100000, 10000000};
    for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
        for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
            struct weir_ratio r = first("claude");
            uint64_t reported = lengths[k] * percents[i] / 100;
            for (int n = 0; n < 20; n++) {
                assert_true(weir_ratio_learn(&r, lengths[k], reported));
            }
            uint64_t expected = weir_ratio_expect(&r, lengths[k]);
            uint64_t distance = percents[i] > 135 ? percents[i] - 135 : 135 - percents[i];
            uint64_t off = expected > reported ? expected - reported : reported - expected;
            /* at most a sixth of the way is left: with the shortest ones, and far to go */
            assert_true(off <= lengths[k] * distance / 100 / 6 + 1);
            for (int n = 0; n < 300; n++) {
                assert_true(weir_ratio_learn(&r, lengths[k], reported));
            }
            assert_in_range(weir_ratio_expect(&r, lengths[k]), reported - reported / 10000,
                            reported + reported / 10000 + 1);
        }
    }
}

/* Long requests count for more than short ones, but not without end. */
static void test_weighted(void **state)
{
    (void)state;
    struct weir_ratio r = first("m");
    for (int n = 0; n < 200; n++) {
        assert_true(weir_ratio_learn(&r, 100, 200));
        assert_true(weir_ratio_learn(&r, 400, 400));
    }
    assert_in_range(weir_ratio_expect(&r, 1000), 1190, 1215);
    for (int n = 0; n < 200; n++) {
        assert_true(weir_ratio_learn(&r, 1024, 2048));
        assert_true(weir_ratio_learn(&r, 4000000, 4000000));
    }
    assert_in_range(weir_ratio_expect(&r, 1000), 1480, 1520);
}

static void test_ignored(void **state)
{
    (void)state;
    static const uint64_t cases[][2] = {
        {0, 0},
        {63, 63},
        {1000, 0},
        {1000, 249},
        {1000, 4001},
        {1000, UINT64_MAX},
        {UINT64_MAX, UINT64_MAX},
        {1ull << 32, 1ull << 32},
    };
    struct weir_ratio r = first("m"), before = r;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_false(weir_ratio_learn(&r, cases[i][0], cases[i][1]));
        assert_memory_equal(&r, &before, sizeof(r));
    }
    assert_true(weir_ratio_learn(&r, 64, 64));
    assert_true(weir_ratio_learn(&r, 1000, 250));
    assert_true(weir_ratio_learn(&r, 1000, 4000));
    assert_true(weir_ratio_learn(&r, UINT32_MAX, UINT32_MAX));
}

/* One report at the edge moves it to twice as much at most. */
static void test_one_report(void **state)
{
    (void)state;
    struct weir_ratio r = {.ratio = WEIR_RATIO_ONE, .weight = 1};
    assert_true(weir_ratio_learn(&r, 1024, 4096));
    assert_in_range(r.ratio, WEIR_RATIO_ONE, 2 * WEIR_RATIO_ONE);
    r = (struct weir_ratio){.ratio = WEIR_RATIO_ONE, .weight = 1};
    assert_true(weir_ratio_learn(&r, 1024, 256));
    assert_in_range(r.ratio, WEIR_RATIO_ONE / 2, WEIR_RATIO_ONE);
}

/* Whatever is reported, it stays within its bounds. */
static void test_hostile(void **state)
{
    (void)state;
    struct weir_rand dice;
    weir_rand_init(&dice, 1);
    struct weir_ratio r = first("m");
    for (int n = 0; n < 200000; n++) {
        uint64_t counted = weir_rand_u64(&dice) >> weir_rand_below(&dice, 64);
        uint64_t reported = n % 1000 < 300 ? counted * WEIR_RATIO_MOST
                            : n % 2 == 0   ? weir_rand_below(&dice, 8) * counted / 2
                                           : weir_rand_u64(&dice) >> weir_rand_below(&dice, 64);
        (void)weir_ratio_learn(&r, counted, reported);
        assert_in_range(r.ratio, WEIR_RATIO_ONE / WEIR_RATIO_MOST,
                        WEIR_RATIO_ONE * WEIR_RATIO_MOST);
        assert_in_range(r.weight, 1, 17 * 1024);
    }
}

/* ---- the table ---- */

static struct weir_calibration *calibration_new(void)
{
    struct weir_calibration *c = NULL;
    assert_int_equal(weir_calibration_new(&c), WEIR_OK);
    return c;
}

static void learn(struct weir_calibration *c, const char *model, uint64_t reported, int times)
{
    for (int i = 0; i < times; i++) {
        assert_true(weir_calibration_learn(c, weir_str_z(model), 1000, reported));
    }
}

static uint64_t expect(struct weir_calibration *c, const char *model)
{
    return weir_calibration_expect(c, weir_str_z(model), 1000);
}

static void test_models_apart(void **state)
{
    (void)state;
    struct weir_calibration *c = calibration_new();
    assert_int_equal(expect(c, "a"), 1250);
    assert_int_equal(weir_calibration_count(c), 0);
    learn(c, "a", 900, 30);
    learn(c, "b", 2000, 30);
    assert_in_range(expect(c, "a"), 895, 905);
    assert_in_range(expect(c, "b"), 1990, 2001);
    assert_int_equal(expect(c, "c"), 1250);
    assert_false(weir_calibration_learn(c, WEIR_STR("c"), 1000, 1)); /* takes no place */
    assert_int_equal(weir_calibration_count(c), 2);
    weir_calibration_free(c);
}

/* More models than there are places: those that are in use stay. */
static void test_bounded(void **state)
{
    (void)state;
    struct weir_calibration *c = calibration_new();
    for (int i = 0; i < 4 * WEIR_CALIBRATION_MODELS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "model-%d", i);
        learn(c, name, 2000, 1);
        learn(c, "used", 1500, i == 0 ? 30 : 1);
    }
    assert_int_equal(weir_calibration_count(c), WEIR_CALIBRATION_MODELS);
    assert_in_range(expect(c, "used"), 1490, 1510);
    assert_int_equal(expect(c, "model-0"), 1250); /* it went */
    weir_calibration_free(c);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct weir_calibration *c = NULL;
    weir_mem_fail_after(0);
    assert_int_equal(weir_calibration_new(&c), WEIR_ERR_NOMEM);
    weir_mem_fail_after(UINT64_MAX);
    assert_null(c);
    weir_calibration_free(NULL);
}

static void *report(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "model-%d", i % 2000);
        (void)weir_calibration_learn(arg, weir_str_z(name), 1000, 1700);
        uint64_t got = weir_calibration_expect(arg, weir_str_z(name), 1000);
        if (got < 1250 || got > 1701) {
            return arg;
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    struct weir_calibration *c = calibration_new();
    pthread_t thread[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, report, c), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(weir_calibration_count(c), WEIR_CALIBRATION_MODELS);
    weir_calibration_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_families),  cmocka_unit_test(test_rounded_up),
        cmocka_unit_test(test_converges), cmocka_unit_test(test_weighted),
        cmocka_unit_test(test_ignored),   cmocka_unit_test(test_one_report),
        cmocka_unit_test(test_hostile),   cmocka_unit_test(test_models_apart),
        cmocka_unit_test(test_bounded),   cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
