/* SPDX-License-Identifier: Apache-2.0 */
/* The worst windows against a count of every window, one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"
#include "verify/audit.h"

enum { CHARGES_MAX = 40, TIMES = 60, SUBJECTS = 3 };

static const struct weir_str names[SUBJECTS] = {{"key:b", 5}, {"key:ab", 6}, {"key:a", 5}};
static const struct weir_str names_sorted[SUBJECTS] = {{"key:a", 5}, {"key:ab", 6}, {"key:b", 5}};

static bool surely_inside(const struct weir_record *r, uint64_t start_us, uint64_t window_us)
{
    return r->sent_us >= start_us && r->received_us < start_us + window_us;
}

static struct weir_audit_worst count(const struct weir_record *r, size_t n, struct weir_str subject,
                                     enum weir_meter meter, uint64_t start_us, uint64_t window_us)
{
    struct weir_audit_worst found = {.start_us = start_us};
    for (size_t i = 0; i < n; i++) {
        if (weir_str_eq(r[i].subject, subject) && surely_inside(&r[i], start_us, window_us)) {
            found.sum += r[i].amounts.of[meter];
            found.charges++;
        }
    }
    return found;
}

static void check(const struct weir_audit *a, const struct weir_record *r, size_t n, uint32_t s,
                  uint64_t window_us)
{
    struct weir_str subject = weir_audit_subject(a, s);
    struct weir_audit_found found;
    weir_audit_worst(a, s, window_us, &found);
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        uint64_t most = 0;
        for (uint64_t start_us = 0; start_us <= 2 * TIMES; start_us++) {
            uint64_t sum = count(r, n, subject, m, start_us, window_us).sum;
            most = sum > most ? sum : most;
        }
        const struct weir_audit_worst *worst = &found.worst[m];
        assert_int_equal(worst->sum, most);
        struct weir_audit_worst there = count(r, n, subject, m, worst->start_us, window_us);
        assert_int_equal(there.sum, most);
        assert_int_equal(most == 0 ? 0 : there.charges, worst->charges);
    }
    uint32_t too_long = 0;
    for (size_t i = 0; i < n; i++) {
        too_long +=
            weir_str_eq(r[i].subject, subject) && r[i].received_us - r[i].sent_us >= window_us;
    }
    assert_int_equal(found.too_long, too_long);
}

/* Few different times, so that many of them are equal. */
static void one_case(struct weir_rand *rand)
{
    struct weir_record r[CHARGES_MAX];
    size_t n = weir_rand_below(rand, CHARGES_MAX + 1);
    uint64_t longest = 1 + weir_rand_below(rand, TIMES);
    struct weir_audit a;
    weir_audit_init(&a);
    for (size_t i = 0; i < n; i++) {
        uint64_t sent_us = weir_rand_below(rand, TIMES);
        r[i] = (struct weir_record){
            .subject = names[weir_rand_below(rand, SUBJECTS)],
            .sent_us = sent_us,
            .received_us = sent_us + weir_rand_below(rand, longest),
            .amounts = weir_amounts(weir_rand_below(rand, 3), weir_rand_below(rand, 100),
                                    weir_rand_below(rand, 100)),
        };
        assert_int_equal(weir_audit_add(&a, &r[i]), WEIR_OK);
    }
    assert_int_equal(weir_audit_arrange(&a), WEIR_OK);
    for (uint32_t s = 0; s < a.subjects.count; s++) {
        check(&a, r, n, s, 1 + weir_rand_below(rand, TIMES));
    }
    weir_audit_deinit(&a);
}

static void test_against_every_window(void **state)
{
    (void)state;
    struct weir_rand rand;
    weir_rand_init(&rand, 7);
    for (int i = 0; i < 400; i++) {
        one_case(&rand);
    }
}

static enum weir_err add(struct weir_audit *a, struct weir_str subject, uint64_t sent_us,
                         uint64_t received_us, struct weir_amounts amounts)
{
    const struct weir_record r = {subject, sent_us, received_us, amounts};
    return weir_audit_add(a, &r);
}

/* A window ends before the moment W after its start. */
static void test_window_is_half_open(void **state)
{
    (void)state;
    struct weir_audit a;
    struct weir_audit_found found;
    weir_audit_init(&a);
    assert_int_equal(add(&a, names[0], 100, 100, weir_amounts(1, 0, 0)), WEIR_OK);
    assert_int_equal(add(&a, names[0], 110, 110, weir_amounts(1, 0, 0)), WEIR_OK);
    assert_int_equal(add(&a, names[0], 200, 210, weir_amounts(5, 0, 0)), WEIR_OK);
    assert_int_equal(weir_audit_arrange(&a), WEIR_OK);
    weir_audit_worst(&a, 0, 10, &found);
    assert_int_equal(found.worst[WEIR_METER_REQUESTS].sum, 1);
    assert_int_equal(found.too_long, 1);
    weir_audit_worst(&a, 0, 11, &found);
    assert_int_equal(found.worst[WEIR_METER_REQUESTS].sum, 5);
    assert_int_equal(found.worst[WEIR_METER_REQUESTS].start_us, 200);
    assert_int_equal(found.too_long, 0);
    weir_audit_worst(&a, 0, 111, &found);
    assert_int_equal(found.worst[WEIR_METER_REQUESTS].sum, 7);
    weir_audit_deinit(&a);
}

static void test_subjects_by_name(void **state)
{
    (void)state;
    struct weir_audit a;
    weir_audit_init(&a);
    for (unsigned i = 0; i < SUBJECTS; i++) {
        assert_int_equal(add(&a, names[i], 5 + i, 8 + i, weir_amounts(1, 0, 0)), WEIR_OK);
    }
    assert_int_equal(weir_audit_arrange(&a), WEIR_OK);
    assert_int_equal(a.subjects.count, SUBJECTS);
    for (uint32_t s = 0; s < SUBJECTS; s++) {
        assert_true(weir_str_eq(weir_audit_subject(&a, s), names_sorted[s]));
    }
    assert_int_equal(a.first_us, 5);
    assert_int_equal(a.last_us, 10);
    weir_audit_deinit(&a);
}

static void test_many_subjects(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    struct weir_audit a;
    struct weir_audit_found found;
    char name[16];
    weir_audit_init(&a);
    for (unsigned i = 0; i < 2 * MANY; i++) {
        int len = snprintf(name, sizeof(name), "%06u", i % MANY);
        assert_int_equal(add(&a, weir_str(name, (size_t)len), i, i, weir_amounts(0, i % MANY, 0)),
                         WEIR_OK);
    }
    assert_int_equal(weir_audit_arrange(&a), WEIR_OK);
    assert_int_equal(a.subjects.count, MANY);
    for (uint32_t s = 0; s < MANY; s++) {
        weir_audit_worst(&a, s, MANY, &found);
        assert_int_equal(found.worst[WEIR_METER_INPUT_TOKENS].sum, s);
        weir_audit_worst(&a, s, MANY + 1, &found);
        assert_int_equal(found.worst[WEIR_METER_TOTAL_TOKENS].sum, 2 * s);
    }
    weir_audit_deinit(&a);
}

/* The sums of one meter over all charges fit into 64 bits, or the charge is refused. */
static void test_sums_do_not_wrap(void **state)
{
    (void)state;
    const uint64_t most = WEIR_AMOUNT_MAX / 2, times = UINT64_MAX / (2 * most);
    struct weir_audit a;
    struct weir_audit_found found;
    weir_audit_init(&a);
    for (uint64_t i = 0; i < times; i++) {
        assert_int_equal(add(&a, names[0], 1, 1, weir_amounts(most, most, most)), WEIR_OK);
    }
    assert_int_equal(add(&a, names[1], 1, 1, weir_amounts(0, most, most)), WEIR_ERR_LIMIT);
    assert_int_equal(a.subjects.count, 1);
    assert_int_equal(weir_audit_arrange(&a), WEIR_OK);
    weir_audit_worst(&a, 0, 1, &found);
    assert_int_equal(found.worst[WEIR_METER_TOTAL_TOKENS].sum, times * 2 * most);
    weir_audit_deinit(&a);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    bool whole = false;
    for (uint64_t allowed = 0; !whole; allowed++) {
        struct weir_audit a;
        weir_audit_init(&a);
        weir_mem_fail_after(allowed);
        enum weir_err err = WEIR_OK;
        for (unsigned i = 0; i < 3000 && err == WEIR_OK; i++) {
            char name[8];
            int len = snprintf(name, sizeof(name), "%u", i % 200);
            err = add(&a, weir_str(name, (size_t)len), i, i, weir_amounts(1, 1, 1));
        }
        err = err == WEIR_OK ? weir_audit_arrange(&a) : err;
        weir_mem_fail_after(UINT64_MAX);
        whole = err == WEIR_OK;
        assert_true(whole || err == WEIR_ERR_NOMEM);
        weir_audit_deinit(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_every_window), cmocka_unit_test(test_window_is_half_open),
        cmocka_unit_test(test_subjects_by_name),     cmocka_unit_test(test_many_subjects),
        cmocka_unit_test(test_sums_do_not_wrap),     cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
