/* SPDX-License-Identifier: Apache-2.0 */
/* Of which hash slots the store has not been told: lease rules 13 and 14. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "store/redis/marks.h"

struct fixture {
    struct weir_marks marks;
    struct weir_marked taken;
};

static int begin(void **state)
{
    static struct fixture f;
    weir_marks_init(&f.marks);
    *state = &f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    weir_marks_deinit(&f->marks);
    return 0;
}

static bool below(void *ctx, unsigned slot)
{
    return slot < *(unsigned *)ctx;
}

static unsigned take(struct fixture *f, unsigned past)
{
    return weir_marks_take(&f->marks, below, &past, &f->taken);
}

/* Each is taken once, by the shard that serves it. */
static void test_take(void **state)
{
    struct fixture *f = *state;
    static const unsigned slots[] = {0, 63, 64, 127, 8191, WEIR_REDIS_SLOTS - 1};
    assert_int_equal(take(f, WEIR_REDIS_SLOTS), 0);
    for (unsigned i = 0; i < 6; i++) {
        weir_marks_set(&f->marks, slots[i], 500 - i);
        weir_marks_set(&f->marks, slots[i], 900);
    }
    assert_int_equal(f->marks.count, 6);
    assert_int_equal(take(f, 0), 0);
    assert_int_equal(f->marks.count, 6);
    assert_int_equal(take(f, 127), 3);
    assert_int_equal(f->taken.since_us, 495);
    for (unsigned slot = 0; slot < WEIR_REDIS_SLOTS; slot++) {
        assert_int_equal(weir_marked_has(&f->taken, slot), slot == 0 || slot == 63 || slot == 64);
    }
    assert_int_equal(take(f, 127), 0);
    assert_int_equal(take(f, WEIR_REDIS_SLOTS), 3);
    assert_true(weir_marked_has(&f->taken, WEIR_REDIS_SLOTS - 1));
    assert_int_equal(f->marks.count, 0);
}

/* What was not told is to be told from its first moment on, beside what came meanwhile. */
static void test_put_back(void **state)
{
    struct fixture *f = *state;
    struct weir_marked untold;
    weir_marks_set(&f->marks, 5, 100);
    weir_marks_set(&f->marks, 7, 300);
    assert_int_equal(take(f, 6), 1);
    untold = f->taken;
    weir_marks_set(&f->marks, 9, 400);
    weir_marks_put_back(&f->marks, &untold);
    assert_int_equal(take(f, WEIR_REDIS_SLOTS), 3);
    assert_int_equal(f->taken.since_us, 100);
    /* after all was told the moments begin anew */
    weir_marks_set(&f->marks, 5, 800);
    assert_int_equal(take(f, WEIR_REDIS_SLOTS), 1);
    assert_int_equal(f->taken.since_us, 800);
    untold = (struct weir_marked){0};
    weir_marks_put_back(&f->marks, &untold);
    assert_int_equal(f->marks.count, 0);
}

static void test_has(void **state)
{
    struct fixture *f = *state;
    struct weir_str key = WEIR_STR("w:{k}:1"), other = WEIR_STR("w:{other}:1");
    assert_false(weir_marks_has(&f->marks, key));
    weir_marks_set(&f->marks, weir_redis_slot(key), 100);
    assert_true(weir_marks_has(&f->marks, key));
    assert_true(weir_marks_has(&f->marks, WEIR_STR("{k}")));
    assert_false(weir_marks_has(&f->marks, other));
    assert_int_equal(take(f, WEIR_REDIS_SLOTS), 1);
    assert_false(weir_marks_has(&f->marks, key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_take, begin, end),
        cmocka_unit_test_setup_teardown(test_put_back, begin, end),
        cmocka_unit_test_setup_teardown(test_has, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
