/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of the turn's end. An idle handle keeps the loop alive, so that each run is one turn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/loop.h"

struct job {
    struct weir_turn_end end;
    struct weir_loop *loop;
    char name;
    struct job *queues, *cancels; /* when it runs; NULL: nothing */
};

static char ran[16];
static size_t runs;

static void run(struct weir_turn_end *self)
{
    struct job *j = (struct job *)self; /* its first member */
    assert_true(runs < sizeof(ran) - 1);
    ran[runs++] = j->name;
    if (j->queues != NULL) {
        struct job *next = j->queues;
        j->queues = NULL;
        weir_loop_at_turn_end(j->loop, &next->end);
    }
    if (j->cancels != NULL) {
        weir_loop_turn_end_cancel(j->loop, &j->cancels->end);
    }
}

static struct weir_loop loop;
static uv_idle_t alive;
static struct job a, b, c;

static void nothing(uv_idle_t *handle)
{
    (void)handle;
}

static int begin(void **state)
{
    (void)state;
    assert_int_equal(weir_loop_init(&loop), WEIR_OK);
    uv_idle_init(&loop.uv, &alive);
    uv_idle_start(&alive, nothing);
    a = (struct job){.end = {.run = run}, .loop = &loop, .name = 'a'};
    b = (struct job){.end = {.run = run}, .loop = &loop, .name = 'b'};
    c = (struct job){.end = {.run = run}, .loop = &loop, .name = 'c'};
    return 0;
}

static int end(void **state)
{
    (void)state;
    uv_close((uv_handle_t *)&alive, NULL);
    weir_loop_deinit(&loop);
    return 0;
}

static void queue(struct job *j)
{
    weir_loop_at_turn_end(&loop, &j->end);
}

static void cancel(struct job *j)
{
    weir_loop_turn_end_cancel(&loop, &j->end);
}

static void turn(const char *expected)
{
    runs = 0;
    uv_run(&loop.uv, UV_RUN_NOWAIT);
    ran[runs] = '\0';
    assert_string_equal(ran, expected);
}

static void test_runs_once_in_order(void **state)
{
    (void)state;
    queue(&b);
    queue(&a);
    queue(&b);
    queue(&c);
    turn("bac");
    turn("");
    queue(&b);
    turn("b");
}

static void test_cancel(void **state)
{
    (void)state;
    struct job *all[] = {&a, &b, &c};
    static const char *const left[] = {"bca", "acb", "abc"};
    for (size_t i = 0; i < 3; i++) {
        queue(&a);
        queue(&b);
        queue(&c);
        cancel(all[i]);
        cancel(all[i]); /* not queued: nothing */
        queue(all[i]);  /* the end of the queue is right */
        turn(left[i]);
    }
    queue(&a);
    cancel(&a);
    turn("");
    queue(&b);
    turn("b");
}

static void test_from_within_a_run(void **state)
{
    (void)state;
    a.queues = &a; /* again: in the same turn, behind what is queued */
    queue(&a);
    queue(&b);
    turn("aba");
    a.queues = &c;
    queue(&a);
    turn("ac");
    a.cancels = &b;
    queue(&a);
    queue(&b);
    queue(&c);
    turn("ac");
    a.cancels = &a; /* runs already: nothing */
    queue(&a);
    queue(&b);
    turn("ab");
}

static void test_turned(void **state)
{
    (void)state;
    assert_true(weir_loop_turned(&loop)); /* nobody has asked before */
    assert_false(weir_loop_turned(&loop));
    assert_false(weir_loop_turned(&loop)); /* asking again changes nothing */
    turn("");
    assert_true(weir_loop_turned(&loop));
    turn("");
    turn("");
    assert_true(weir_loop_turned(&loop));
    assert_false(weir_loop_turned(&loop));
}

static void on_stop(void *ctx)
{
    ++*(int *)ctx;
}

static void test_stop(void **state)
{
    (void)state;
    int stops = 0;
    weir_loop_stop(&loop); /* nobody listens: nothing */
    turn("");
    weir_loop_on_stop(&loop, on_stop, &stops);
    weir_loop_stop(&loop);
    weir_loop_stop(&loop);
    turn("");
    assert_int_equal(stops, 1); /* signals of one turn are one */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_runs_once_in_order, begin, end),
        cmocka_unit_test_setup_teardown(test_cancel, begin, end),
        cmocka_unit_test_setup_teardown(test_from_within_a_run, begin, end),
        cmocka_unit_test_setup_teardown(test_turned, begin, end),
        cmocka_unit_test_setup_teardown(test_stop, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
