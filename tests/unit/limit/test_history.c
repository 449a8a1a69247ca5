/* SPDX-License-Identifier: Apache-2.0 */
/* Histories: a key's own before its model's, young ones not below what they stand for, each apart,
 * as many as there are places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/mem.h"
#include "limit/history.h"

enum { P95 = 950, KEYS = 300, DEFAULT = 500 };

static struct weir_history *history_of(uint64_t places)
{
    struct weir_history *h = NULL;
    assert_int_equal(weir_history_new(places, &h), WEIR_OK);
    return h;
}

static struct weir_history_of of(unsigned key, const char *model)
{
    char name[32];
    struct weir_subject subject = {0};
    int len = snprintf(name, sizeof(name), "key:%u", key);
    weir_subject_id(weir_str(name, (size_t)len), subject.id);
    return weir_history_of(&subject, weir_str_z(model));
}

static void observe(struct weir_history *h, unsigned key, const char *model, uint64_t tokens,
                    unsigned times, uint32_t now_s)
{
    struct weir_history_of whose = of(key, model);
    for (unsigned i = 0; i < times; i++) {
        weir_history_add(h, &whose, tokens, now_s);
    }
}

static uint64_t forecast(struct weir_history *h, unsigned key, const char *model)
{
    struct weir_history_of whose = of(key, model);
    return weir_history_quantile(h, &whose, P95, DEFAULT);
}

/* Whether it is what just this value is forecast as. */
static void is_about(uint64_t got, uint64_t tokens)
{
    if (got < tokens || got > tokens * 5 / 4) {
        fail_msg("%llu, and %llu was seen", (unsigned long long)got, (unsigned long long)tokens);
    }
}

/* The default, the model's history, the key's own: what says more is believed from 16 observations
 * on, what says less from 64. */
static void test_own_before_model(void **state)
{
    (void)state;
    struct weir_history *h = history_of(64);
    assert_int_equal(forecast(h, 1, "m"), DEFAULT);
    assert_int_equal(weir_history_count(h), 0); /* asking makes no entry */
    observe(h, 1, "m", 100, WEIR_FORECAST_GROWN - 1, 0);
    assert_int_equal(forecast(h, 1, "m"), DEFAULT);
    observe(h, 2, "m", 100, 1, 0); /* the model's 64th */
    is_about(forecast(h, 1, "m"), 100);
    is_about(forecast(h, 2, "m"), 100);
    is_about(forecast(h, 3, "m"), 100);
    observe(h, 3, "m", 20, WEIR_FORECAST_GROWN - 1, 0);
    is_about(forecast(h, 3, "m"), 100);
    observe(h, 3, "m", 20, 1, 0);
    is_about(forecast(h, 3, "m"), 20);
    observe(h, 4, "m", 1000, WEIR_FORECAST_ENOUGH - 1, 0);
    observe(h, 3, "m", 20, 200, 0); /* the model's forget them */
    assert_true(forecast(h, 4, "m") < 1000);
    observe(h, 4, "m", 1000, 1, 0);
    is_about(forecast(h, 4, "m"), 1000);
    assert_int_equal(weir_history_count(h), 5);
    observe(h, 5, "n", 2000, WEIR_FORECAST_ENOUGH - 1, 0);
    assert_int_equal(forecast(h, 6, "n"), DEFAULT);
    observe(h, 5, "n", 2000, 1, 0);
    is_about(forecast(h, 6, "n"), 2000);
    weir_history_free(h);
}

/* Another model of the same key, and another key of the same model, are others. */
static void test_apart(void **state)
{
    (void)state;
    struct weir_history *h = history_of(1024);
    observe(h, 1, "m", 100, 70, 0);
    observe(h, 1, "n", 2000, 70, 0);
    observe(h, 2, "m", 30, 70, 0);
    is_about(forecast(h, 1, "m"), 100);
    is_about(forecast(h, 1, "n"), 2000);
    is_about(forecast(h, 2, "m"), 30);
    is_about(forecast(h, 2, "n"), 2000);
    assert_int_equal(forecast(h, 1, ""), DEFAULT);
    assert_int_equal(weir_history_count(h), 5);
    weir_history_free(h);
}

/* Eight places: the one that was idle longest goes; the model, which each observation touches,
 * stays. */
static void test_bound(void **state)
{
    (void)state;
    struct weir_history *h = history_of(8);
    for (unsigned key = 0; key < 7; key++) {
        observe(h, key, "m", 100 << key, 70, 10 + key);
    }
    assert_int_equal(weir_history_count(h), 8);
    observe(h, 0, "m", 100, 1, 20); /* now key 1 is the idlest */
    observe(h, 7, "m", 5000, 70, 21);
    assert_int_equal(weir_history_count(h), 8);
    is_about(forecast(h, 0, "m"), 100);
    is_about(forecast(h, 7, "m"), 5000);
    for (unsigned key = 2; key < 7; key++) {
        is_about(forecast(h, key, "m"), 100 << key);
    }
    uint64_t model = forecast(h, 99, "m");
    assert_true(model != DEFAULT);
    assert_int_equal(forecast(h, 1, "m"), model); /* it has gone */
    weir_history_free(h);
}

/* 9 places are 16. */
static void test_places_and_no_memory(void **state)
{
    (void)state;
    static const struct {
        uint64_t places, taken;
    } sizes[] = {{0, 8}, {8, 8}, {9, 16}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct weir_history *h = history_of(sizes[i].places);
        for (unsigned key = 0; key < KEYS; key++) {
            observe(h, key, "m", 100, 1, key);
        }
        assert_int_equal(weir_history_count(h), sizes[i].taken);
        weir_history_free(h);
    }
    for (uint64_t n = 0; n < 2; n++) {
        struct weir_history *h = NULL;
        weir_mem_fail_after(n);
        assert_int_equal(weir_history_new(8, &h), WEIR_ERR_NOMEM);
        weir_mem_fail_after(UINT64_MAX);
        assert_null(h);
    }
    weir_history_free(NULL);
}

struct hammer {
    struct weir_history *history;
    unsigned first;
};

static void *hammer(void *arg)
{
    const struct hammer *a = arg;
    for (unsigned i = 0; i < 20000; i++) {
        unsigned key = (a->first + i) % KEYS;
        observe(a->history, key, "m", 200, 1, i);
        uint64_t got = forecast(a->history, key, "m");
        WEIR_ASSERT(got == DEFAULT || (got >= 200 && got <= 250));
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    struct weir_history *h = history_of(128); /* fewer than there are keys */
    struct hammer a[THREADS];
    pthread_t thread[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        a[i] = (struct hammer){h, i * KEYS / THREADS};
        assert_int_equal(pthread_create(&thread[i], NULL, hammer, &a[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    }
    assert_true(weir_history_count(h) <= 128);
    weir_history_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_before_model),
        cmocka_unit_test(test_apart),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_places_and_no_memory),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
