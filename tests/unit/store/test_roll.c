/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the subjects of which there is a record: each is found again once (lease rule 12),
 * and they are bounded (guarantee 6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "limit/plan_set.h"
#include "store/roll.h"

enum { MANY = 1000 };

struct fixture {
    struct weir_roll *roll;
    bool gone[MANY]; /* there is no record of it */
};

static unsigned number_of(struct weir_str name)
{
    unsigned n = 0;
    for (size_t i = 0; i < name.len; i++) {
        n = 10 * n + (unsigned)(name.p[i] - '0');
    }
    return n;
}

static bool is_held(void *ctx, const struct weir_subject *subject)
{
    return !((const struct fixture *)ctx)->gone[number_of(subject->name)];
}

static int begin(void **state)
{
    *state = weir_zalloc(sizeof(struct fixture));
    return *state == NULL ? -1 : 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    weir_roll_free(f->roll);
    weir_free(f);
    return 0;
}

static void make(struct fixture *f, uint64_t max)
{
    assert_int_equal(weir_roll_new(max, is_held, f, &f->roll), WEIR_OK);
}

static bool add(struct fixture *f, unsigned i)
{
    char text[32];
    snprintf(text, sizeof(text), "%u root-%u", i, i % 10);
    size_t space = strcspn(text, " ");
    struct weir_subject s = {.name = weir_str(text, space),
                             .root = weir_str(text + space + 1, strlen(text) - space - 1)};
    weir_subject_id(s.name, s.id);
    bool added = weir_roll_add(f->roll, &s);
    memset(text, 'x', sizeof(text)); /* the roll has copies */
    return added;
}

/* How often each of them is found. */
static unsigned walk(struct fixture *f, unsigned found[static MANY])
{
    struct weir_roll_entry entry;
    uint32_t at = 0;
    unsigned all = 0;
    memset(found, 0, MANY * sizeof(found[0]));
    while (weir_roll_next(f->roll, &at, &entry)) {
        char root[16];
        unsigned i = number_of(entry.subject.name);
        snprintf(root, sizeof(root), "root-%u", i % 10);
        assert_true(i < MANY);
        assert_true(weir_str_eq(entry.subject.root, weir_str_z(root)));
        found[i]++;
        all++;
    }
    return all;
}

static void test_each_once(void **state)
{
    struct fixture *f = *state;
    unsigned found[MANY];
    make(f, MANY);
    assert_int_equal(walk(f, found), 0);
    for (unsigned i = 0; i < MANY; i++) {
        assert_true(add(f, i));
        assert_true(add(f, i / 2));
    }
    assert_int_equal(walk(f, found), MANY);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(found[i], 1);
    }
}

/* A configuration that changed: the plan that is added last is the one that is charged again, and
 * one of another root is there once. */
static void test_renewed(void **state)
{
    struct fixture *f = *state;
    struct weir_roll_entry entry;
    uint32_t at = 0;
    struct weir_plan_set *before = weir_plan_set_new(1), *after = weir_plan_set_new(1);
    weir_plan_set_finish(before, 1, 1);
    weir_plan_set_finish(after, 1, 1);
    struct weir_subject s = {
        .name = WEIR_STR("1"), .root = WEIR_STR("root-1"), .plan = before->plan};
    weir_subject_id(s.name, s.id);
    make(f, MANY);
    assert_true(weir_roll_add(f->roll, &s));
    assert_int_equal(atomic_load(&before->keepers), 2);
    s.plan = after->plan;
    assert_true(weir_roll_add(f->roll, &s));
    assert_int_equal(atomic_load(&before->keepers), 1);
    s.root = WEIR_STR("root-2");
    assert_true(weir_roll_add(f->roll, &s));
    assert_int_equal(atomic_load(&after->keepers), 2);
    assert_true(weir_roll_next(f->roll, &at, &entry));
    assert_ptr_equal(entry.subject.plan, after->plan);
    assert_true(weir_str_eq(entry.subject.root, WEIR_STR("root-2")));
    assert_int_equal(atomic_load(&after->keepers), 3);
    weir_plan_let_go(entry.subject.plan);
    assert_false(weir_roll_next(f->roll, &at, &entry));
    weir_roll_free(f->roll);
    f->roll = NULL;
    assert_int_equal(atomic_load(&after->keepers), 1);
    weir_plan_set_let_go(before);
    weir_plan_set_let_go(after);
}

/* Those that are there all the while are seen, though it grows under the walk's feet. */
static void test_grows_during_a_walk(void **state)
{
    struct fixture *f = *state;
    struct weir_roll_entry entry;
    uint32_t at = 0;
    unsigned found[MANY] = {0}, next = 50;
    make(f, MANY);
    for (unsigned i = 0; i < 50; i++) {
        assert_true(add(f, i));
    }
    while (weir_roll_next(f->roll, &at, &entry)) {
        found[number_of(entry.subject.name)]++;
        for (unsigned i = 0; i < 10 && next < MANY; i++) {
            assert_true(add(f, next++));
        }
    }
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(found[i], 1);
    }
}

/* Nobody of whom there is a record is forgotten; who has none makes room. */
static void test_full(void **state)
{
    struct fixture *f = *state;
    unsigned found[MANY];
    make(f, 100);
    for (unsigned i = 0; i < 100; i++) {
        assert_true(add(f, i));
    }
    assert_false(add(f, 100));
    assert_true(add(f, 99));
    f->gone[0] = f->gone[42] = f->gone[99] = true;
    assert_true(add(f, 100));
    assert_true(add(f, 101));
    assert_true(add(f, 102));
    assert_false(add(f, 103));
    assert_int_equal(walk(f, found), 100);
    for (unsigned i = 0; i < 103; i++) {
        assert_int_equal(found[i], i != 0 && i != 42 && i != 99);
    }
    f->gone[0] = false;
    assert_false(add(f, 0));
    f->gone[50] = true;
    assert_true(add(f, 0));
    assert_int_equal(walk(f, found), 100);
    assert_int_equal(found[0], 1);
    assert_int_equal(found[50], 0);
}

static void test_no_memory(void **state)
{
    struct fixture *f = *state;
    unsigned found[MANY];
    for (uint64_t after = 0; after < 3; after++) {
        weir_mem_fail_after(after);
        assert_int_equal(weir_roll_new(MANY, is_held, f, &f->roll), WEIR_ERR_NOMEM);
        weir_mem_fail_after(UINT64_MAX);
    }
    f->roll = NULL;
    make(f, MANY);
    for (unsigned i = 0; i < 63; i++) {
        assert_true(add(f, i));
    }
    for (uint64_t after = 0; after < 3; after++) { /* its text, and room for more */
        weir_mem_fail_after(after);
        assert_false(add(f, 63));
        weir_mem_fail_after(UINT64_MAX);
    }
    assert_int_equal(walk(f, found), 63);
    assert_true(add(f, 63));
    assert_int_equal(walk(f, found), 64);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_each_once), CASE(test_renewed),   CASE(test_grows_during_a_walk),
        CASE(test_full),      CASE(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
