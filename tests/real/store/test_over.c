/* SPDX-License-Identifier: Apache-2.0 */
/* over.lua in a real Redis: which primary is accepted, which beats are there, who lives (lease
 * rules 10 to 12). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "store/redis/over.h"
#include "support/script.h"

static const uint64_t PROCESS = 0xfedcba9876543210;

static const struct weir_redis_identity ONE = {
    .text = "0000000000000000000000000000000000000001:0000000000000000000000000000000000000002"};
static const struct weir_redis_identity OTHER = {
    .text = "0000000000000000000000000000000000000001:0000000000000000000000000000000000000003"};

static struct weir_redis_entered enter(struct fixture *f, uint64_t process)
{
    struct weir_buf b;
    struct weir_redis_entered entered;
    weir_buf_init(&b, 1 << 20);
    weir_redis_enter_command(&b, "5", process);
    redisReply *r = answer_of(f, &b);
    assert_true(weir_redis_answer_enter(r, &entered));
    freeReplyObject(r);
    return entered;
}

static struct weir_redis_beaten beat(struct fixture *f, uint64_t process, uint64_t number,
                                     const struct weir_redis_identity *identity, bool accept)
{
    struct weir_buf b;
    struct weir_redis_beaten beaten;
    weir_buf_init(&b, 1 << 20);
    weir_redis_beat_command(&b, "5", process, number, identity, accept);
    redisReply *r = answer_of(f, &b);
    assert_true(weir_redis_answer_beat(r, &beaten));
    freeReplyObject(r);
    return beaten;
}

static void leave(struct fixture *f, uint64_t process)
{
    struct weir_buf b;
    weir_buf_init(&b, 1 << 20);
    weir_redis_leave_command(&b, "5", process);
    redisReply *r = answer_of(f, &b);
    assert_int_equal(r->type, REDIS_REPLY_ARRAY);
    assert_int_equal(r->elements, 1);
    assert_int_equal(r->element[0]->integer, 1);
    freeReplyObject(r);
}

static void test_identity(void **state)
{
    struct fixture *f = *state;
    done(f, "FLUSHALL");
    struct weir_redis_entered e = enter(f, PROCESS);
    assert_false(e.has_accepted);
    assert_int_equal(e.beat, -1);
    /* data without an identity takes no beat, and neither does data of another one */
    assert_false(beat(f, PROCESS, 1, &ONE, false).accepted);
    assert_int_equal(number_of(f, "DBSIZE"), 0);
    assert_true(beat(f, PROCESS, 7, &ONE, true).accepted);
    assert_true(beat(f, PROCESS, 8, &ONE, false).accepted);
    assert_false(beat(f, PROCESS, 9, &OTHER, false).accepted);
    e = enter(f, PROCESS);
    assert_true(e.has_accepted);
    assert_string_equal(e.accepted.text, ONE.text);
    assert_int_equal(e.beat, 8);
    assert_true(e.clock_us > UINT64_C(1600000000000000));
    assert_int_equal(enter(f, PROCESS + 1).beat, -1);
    assert_true(beat(f, PROCESS, 10, &OTHER, true).accepted);
    assert_false(beat(f, PROCESS, 11, &ONE, false).accepted);
    assert_string_equal(enter(f, PROCESS).accepted.text, OTHER.text);
    /* both are there as long as the values may be */
    assert_int_equal(number_of(f, "PTTL weir:{5}:primary"), -1);
    assert_int_equal(number_of(f, "PTTL weir:{5}:beats"), -1);
    done(f, "FLUSHALL");
    assert_false(beat(f, PROCESS, 12, &OTHER, false).accepted);
    assert_int_equal(number_of(f, "DBSIZE"), 0);
}

static void test_beats(void **state)
{
    struct fixture *f = *state;
    done(f, "FLUSHALL");
    beat(f, PROCESS, 9, &ONE, true);
    beat(f, PROCESS, 10, &ONE, false); /* by number, not by text */
    assert_int_equal(enter(f, PROCESS).beat, 10);
    beat(f, PROCESS, 9, &ONE, false);
    assert_int_equal(enter(f, PROCESS).beat, 10);
    beat(f, PROCESS, (uint64_t)WEIR_REDIS_BEAT_MAX, &ONE, false);
    assert_int_equal(enter(f, PROCESS).beat, WEIR_REDIS_BEAT_MAX);
    beat(f, 1, 3, &ONE, false);
    assert_int_equal(enter(f, 1).beat, 3);
    leave(f, PROCESS);
    assert_int_equal(enter(f, PROCESS).beat, -1);
    assert_int_equal(enter(f, 1).beat, 3);
    leave(f, PROCESS);
}

static unsigned long long seconds(uint64_t clock_us)
{
    return clock_us / 1000000;
}

/* Writes the beat of another process. */
static void other_beat(struct fixture *f, const char *process, uint64_t clock_us, int age_s)
{
    char text[64];
    snprintf(text, sizeof(text), "1 %llu", seconds(clock_us) - (unsigned long long)age_s);
    done(f, "HSET weir:{5}:beats %s %s", process, text);
}

static void test_living(void **state)
{
    struct fixture *f = *state;
    struct weir_redis_beaten b;
    uint64_t from_us;
    /* within one second of the server */
    do {
        done(f, "FLUSHALL");
        from_us = enter(f, PROCESS).clock_us;
        other_beat(f, "now", from_us, 0);
        other_beat(f, "recent", from_us, 3);
        other_beat(f, "late", from_us, 4);
        other_beat(f, "old", from_us, 3600);
        other_beat(f, "gone", from_us, 3601);
        other_beat(f, "ahead", from_us, -4);
        other_beat(f, "ahead_gone", from_us, -3601);
        done(f, "HSET weir:{5}:beats broken x");
        b = beat(f, PROCESS, 1, &ONE, true);
    } while (seconds(b.clock_us) != seconds(from_us));
    assert_int_equal(b.living, 3);
    assert_int_equal(number_of(f, "HEXISTS weir:{5}:beats late"), 1);
    assert_int_equal(number_of(f, "HEXISTS weir:{5}:beats old"), 1);
    assert_int_equal(number_of(f, "HEXISTS weir:{5}:beats ahead"), 1);
    assert_int_equal(number_of(f, "HEXISTS weir:{5}:beats gone"), 0);
    assert_int_equal(number_of(f, "HEXISTS weir:{5}:beats ahead_gone"), 0);
    assert_int_equal(number_of(f, "HEXISTS weir:{5}:beats broken"), 0);
    /* counted once a second; who is new adds itself */
    do {
        from_us = enter(f, PROCESS).clock_us;
        char text[64];
        snprintf(text, sizeof(text), "41 %llu", seconds(from_us));
        done(f, "HSET weir:{5}:beats living %s", text);
        leave(f, 2);
        b = beat(f, PROCESS, 1, &ONE, false);
        assert_true(seconds(b.clock_us) != seconds(from_us) || b.living == 41);
        b = beat(f, 2, 1, &ONE, false);
        assert_true(seconds(b.clock_us) != seconds(from_us) || b.living == 42);
        b = beat(f, PROCESS, 1, &ONE, false);
    } while (seconds(b.clock_us) != seconds(from_us));
    assert_int_equal(b.living, 42);
}

/* Processes that start and die all the time do not fill the store. */
static void test_beats_are_bounded(void **state)
{
    struct fixture *f = *state;
    done(f, "FLUSHALL");
    uint64_t from_us = enter(f, PROCESS).clock_us;
    char text[64];
    snprintf(text, sizeof(text), "1 %llu", seconds(from_us) - 100);
    done(f, "EVAL %s 1 weir:{5}:beats %s",
         "for i = 1, 5000 do redis.call('HSET', KEYS[1], 'p' .. i, ARGV[1]) end", text);
    assert_int_equal(beat(f, PROCESS, 1, &ONE, true).living, 1);
    assert_int_equal(number_of(f, "HLEN weir:{5}:beats"), 2);
    assert_int_equal(enter(f, PROCESS).beat, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_beats),
        cmocka_unit_test(test_living),
        cmocka_unit_test(test_beats_are_bounded),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
