/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that wait for their answers, and their bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "store/redis/pipe.h"

enum { BYTES_MAX = 1 << 20 };

static void say(struct redis_pipe *p, unsigned number, size_t len)
{
    static char text[100000];
    const struct redis_sent sent = {.sent_us = number, .what = (uint8_t)number};
    memset(text, 'a' + (int)(number % 26), len);
    weir_buf_str(&p->out, weir_str(text, len));
    assert_true(redis_pipe_end(p, &sent));
}

/* The answer to the first one has come. */
static void hear(struct redis_pipe *p, unsigned number, size_t len)
{
    assert_true(redis_pipe_is_written(p));
    struct redis_sent s = redis_pipe_pop(p);
    assert_int_equal(s.sent_us, number);
    assert_int_equal(s.bytes, len);
    struct weir_str bytes = redis_pipe_bytes(p, &s);
    assert_int_equal(bytes.len, len);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(bytes.p[i], 'a' + (int)(number % 26));
    }
    redis_pipe_trim(p);
}

/* In their order, over every growth of the ring and wherever its beginning is. */
static void test_order(void **state)
{
    (void)state;
    struct redis_pipe p;
    redis_pipe_init(&p, BYTES_MAX);
    unsigned said = 0, heard = 0;
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned i = 0; i < 17; i++, said++) {
            say(&p, said, said % 40);
        }
        p.written = p.out.len;
        for (unsigned i = 0; i < 10; i++, heard++) {
            hear(&p, heard, heard % 40);
        }
        assert_int_equal(p.in_flight, said - heard);
        assert_int_equal(redis_pipe_at(&p, 3)->sent_us, heard + 3);
    }
    for (; heard < said; heard++) {
        hear(&p, heard, heard % 40);
    }
    assert_int_equal(p.in_flight, 0);
    assert_int_equal(p.out.len, 0);
    redis_pipe_deinit(&p);
}

/* Bytes that were answered make room: far more pass than may wait. */
static void test_bytes_go(void **state)
{
    (void)state;
    struct redis_pipe p;
    redis_pipe_init(&p, BYTES_MAX);
    say(&p, 0, 50000);
    for (unsigned i = 1; i < 100; i++) {
        say(&p, i, 50000);
        p.written = p.out.len;
        hear(&p, i - 1, 50000);
        assert_true(p.out.len <= 200000);
    }
    hear(&p, 99, 50000);
    assert_int_equal(p.out.room, 0); /* nor is much kept */
    redis_pipe_deinit(&p);
}

static void test_written(void **state)
{
    (void)state;
    struct redis_pipe p;
    redis_pipe_init(&p, BYTES_MAX);
    say(&p, 0, 10);
    say(&p, 1, 5);
    p.written = 9;
    assert_false(redis_pipe_is_written(&p));
    p.written = 10;
    hear(&p, 0, 10);
    assert_false(redis_pipe_is_written(&p));
    p.written = 15;
    hear(&p, 1, 5);
    say(&p, 2, 5);
    (void)redis_pipe_pop(&p);
    redis_pipe_reset(&p);
    say(&p, 3, 7);
    assert_int_equal(p.out.len, 7);
    p.written = 7;
    hear(&p, 3, 7);
    redis_pipe_deinit(&p);
}

/* What finds no room is as if it had not been said. */
static void test_no_room(void **state)
{
    (void)state;
    struct redis_pipe p;
    const struct redis_sent sent = {.sent_us = 9};
    redis_pipe_init(&p, 100);
    say(&p, 0, 60);
    weir_buf_append(&p.out, (char[60]){0}, 60);
    assert_false(redis_pipe_end(&p, &sent));
    assert_int_equal(p.in_flight, 1);
    assert_int_equal(p.out.len, 60);
    say(&p, 1, 40);
    p.written = p.out.len;
    hear(&p, 0, 60);
    hear(&p, 1, 40);
    redis_pipe_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_bytes_go),
        cmocka_unit_test(test_written),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
