/* SPDX-License-Identifier: Apache-2.0 */
/* What charge.lua leaves in Redis, and what it does not. That it decides and writes as the embedded
 * store does: test_differential.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "store/redis/answer.h"
#include "support/script.h"

static struct weir_plan plan_of(uint32_t window_s, uint64_t capacity)
{
    struct weir_plan plan;
    const struct weir_limit limit = {WEIR_METER_INPUT_TOKENS, window_s, capacity};
    assert_int_equal(weir_plan_compile(&limit, 1, &plan), WEIR_OK);
    weir_plan_lease(&plan);
    return plan;
}

/* One call about `named`, and what it is decided. */
static struct weir_decision ask(struct fixture *f, const struct weir_subject *const *named,
                                unsigned subjects, uint64_t input, struct weir_clock_bounds clock)
{
    struct weir_decision d;
    uint64_t clock_us;
    const struct weir_redis_charge charge = {.subject = named,
                                             .subjects = subjects,
                                             .clock = clock,
                                             .amounts = weir_amounts(input > 0, input, 0)};
    redisReply *r = call(f, &charge);
    assert_true(weir_redis_answer_decision(r, named, subjects, &charge.amounts, &d, &clock_us));
    freeReplyObject(r);
    return d;
}

static void settle(struct fixture *f, const struct weir_subject *const *named, uint64_t taken_at_us,
                   uint64_t less, uint64_t now_us)
{
    const struct weir_redis_charge charge = {.subject = named,
                                             .subjects = 1,
                                             .clock = exactly(now_us),
                                             .settles = true,
                                             .taken_at_us = taken_at_us,
                                             .less = weir_amounts(0, less, 0)};
    redisReply *r = call(f, &charge);
    assert_int_equal(weir_redis_answer_settled(r), WEIR_REDIS_SETTLED);
    freeReplyObject(r);
}

/* ---- guarantees 3 and 6: denials and looks leave nothing ---- */

/* A digest of all that is in Redis. */
static void dump(struct fixture *f, char ret_digest[static 41])
{
    redisReply *r =
        redisCommand(f->redis, "EVAL %s 0",
                     "local all = redis.call('KEYS', '*') "
                     "table.sort(all) "
                     "for i = 1, #all do all[i] = all[i] .. redis.call('GET', all[i]) end "
                     "return redis.sha1hex(table.concat(all))");
    assert_int_equal(r->type, REDIS_REPLY_STRING);
    snprintf(ret_digest, 41, "%s", r->str);
    freeReplyObject(r);
}

static void test_denials_and_looks_leave_nothing(void **state)
{
    struct fixture *f = *state;
    struct weir_plan wide = plan_of(60, 1000), narrow = plan_of(60, 10);
    const struct weir_subject used = {.name = WEIR_STR("key:used"), .plan = &wide},
                              fresh = {.name = WEIR_STR("key:fresh"), .plan = &wide},
                              full = {.name = WEIR_STR("org:full"), .plan = &narrow};
    const struct weir_subject *one[] = {&used}, *last[] = {&full}, *unknown[] = {&fresh},
                              *all[] = {&used, &fresh, &full};
    const uint64_t step_us = wide.window[0].step_us, now_us = step_us * 60000000;
    char before[41], after[41];
    assert_true(ask(f, one, 1, 5, exactly(now_us)).allowed);
    assert_true(ask(f, last, 1, 10, exactly(now_us)).allowed);
    dump(f, before);
    for (unsigned n = 0; n < 100;
         n++) { /* in the same step, in later ones, by both ways of the script */
        uint64_t then_us = now_us + n * step_us;
        assert_false(ask(f, all, 3, 1, exactly(then_us)).allowed);
        assert_false(ask(f, last, 1, 1, exactly(then_us)).allowed);
        assert_false(ask(f, unknown, 1, 1001, exactly(then_us)).allowed);
        assert_true(ask(f, all, 3, 0, exactly(then_us)).allowed);
        dump(f, after);
        assert_string_equal(before, after);
    }
}

/* ---- the clock rule ---- */

static void test_clock_is_held_within_bounds(void **state)
{
    struct fixture *f = *state;
    struct weir_plan plan = plan_of(60, 1000);
    const struct weir_subject subject = {.name = WEIR_STR("key:clock"), .plan = &plan};
    const struct weir_subject *named[] = {&subject};
    struct weir_clock_bounds open = {0, WEIR_CLOCK_US_MAX};
    uint64_t clock_us = ask(f, named, 1, 0, open).at_us; /* Redis's own */
    const uint64_t hour_us = UINT64_C(3600000000);
    struct weir_clock_bounds behind = {clock_us - 2 * hour_us, clock_us - hour_us},
                             around = {clock_us - hour_us, clock_us + hour_us},
                             ahead = {clock_us + hour_us, clock_us + 2 * hour_us};
    assert_int_equal(ask(f, named, 1, 0, behind).at_us, behind.high_us);
    assert_int_equal(ask(f, named, 1, 1, behind).at_us, behind.high_us);
    uint64_t at_us = ask(f, named, 1, 1, around).at_us;
    assert_true(at_us >= clock_us && at_us < clock_us + hour_us);
    assert_int_equal(ask(f, named, 1, 1, ahead).at_us, ahead.low_us);
    /* a value that has seen a later step goes by its start */
    at_us = ask(f, named, 1, 1, around).at_us;
    assert_int_equal(at_us, ahead.low_us / plan.window[0].step_us * plan.window[0].step_us);
}

/* ---- settling lower ---- */

static void test_lower_ends_at_0(void **state)
{
    struct fixture *f = *state;
    struct weir_plan plan = plan_of(60, 1000);
    const struct weir_subject subject = {.name = WEIR_STR("key:lower"), .plan = &plan};
    const struct weir_subject *named[] = {&subject};
    const uint64_t step_us = plan.window[0].step_us, first_us = step_us * 60000000;
    const uint64_t last_us = first_us + 4 * step_us;
    for (uint64_t t = first_us; t <= last_us; t += 2 * step_us) {
        assert_true(ask(f, named, 1, 30, exactly(t)).allowed);
    }
    for (unsigned n = 0; n < 4; n++) { /* of a step that holds nothing */
        settle(f, named, first_us - step_us + 2 * n * step_us, 30, last_us);
    }
    assert_int_equal(ask(f, named, 1, 0, exactly(last_us)).state[0].used, 90);
    for (unsigned n = 0; n < 3; n++) {
        settle(f, named, first_us + 2 * n * step_us, 31, last_us);
        assert_int_equal(ask(f, named, 1, 0, exactly(last_us)).state[0].used, 60 - 30 * n);
        settle(f, named, first_us + 2 * n * step_us, 31, last_us);
        assert_int_equal(ask(f, named, 1, 0, exactly(last_us)).state[0].used, 60 - 30 * n);
    }
}

/* ---- how long keys live, and foreign bytes ---- */

static long long pttl(struct fixture *f, const char *key)
{
    redisReply *r = redisCommand(f->redis, "PTTL %s", key);
    assert_int_equal(r->type, REDIS_REPLY_INTEGER);
    long long ms = r->integer;
    freeReplyObject(r);
    return ms;
}

/* A key lives until its last entry has left and 65 s more, however short the window is (a clock
 * that is stepped by a minute loses nothing), and however the charge was written: in place, with a
 * ring that grows, in a wider class, for a settlement. */
static void test_keys_live_as_long_as_needed(void **state)
{
    struct fixture *f = *state;
    static const struct weir_limit limits[] = {{WEIR_METER_INPUT_TOKENS, 32, WEIR_AMOUNT_MAX}};
    const long long window_ms = 32000 + 125, step_ms = 250, spare_ms = 65000;
    struct weir_plan plan;
    assert_int_equal(weir_plan_compile(limits, 1, &plan), WEIR_OK);
    weir_plan_lease(&plan);
    const struct weir_subject subject = {.name = WEIR_STR("key:life"), .plan = &plan};
    const struct weir_subject *named[] = {&subject};
    const uint64_t first_us = plan.window[0].step_us * 60000000;
    for (unsigned n = 0; n < 400; n++) {
        const struct weir_redis_charge charge = {
            .subject = named,
            .subjects = 1,
            .clock = exactly(first_us + n * plan.window[0].step_us),
            .amounts = weir_amounts(0, n == 200 ? 100000 : 1, 0),
            .settles = n % 50 == 49,
            .claim_nonce = n % 50 == 49 ? n : 0,
            .claim_ms = 5000,
        };
        freeReplyObject(call(f, &charge));
        long long ms = pttl(f, "weir:{key:life}");
        assert_true(ms > window_ms + spare_ms - 5000);
        assert_true(ms <= window_ms + step_ms + spare_ms);
        freeReplyObject(redisCommand(f->redis, "PEXPIRE weir:{key:life} 60000"));
    }
    long long ms = pttl(f, "weir:{key:life}:s:0000000000000031");
    assert_true(ms > spare_ms && ms <= 5000 + spare_ms);
}

/* What is no packed windows is refused, and nothing is written: not to its neighbour either. */
static void test_foreign_values(void **state)
{
    struct fixture *f = *state;
    static const struct weir_limit limits[] = {{WEIR_METER_REQUESTS, 60, 100}};
    struct weir_plan plan;
    assert_int_equal(weir_plan_compile(limits, 1, &plan), WEIR_OK);
    weir_plan_lease(&plan);
    const struct weir_subject subjects[] = {{.name = WEIR_STR("key:good"), .plan = &plan},
                                            {.name = WEIR_STR("key:bad"), .plan = &plan}};
    const struct weir_subject *named[] = {&subjects[0], &subjects[1]};
    struct weir_redis_charge charge = {.subject = named,
                                       .subjects = 2,
                                       .clock = exactly(plan.window[0].step_us * 60000000),
                                       .amounts = weir_amounts(1, 0, 0)};
    freeReplyObject(call(f, &charge));
    redisReply *good = redisCommand(f->redis, "GET weir:{key:good}");
    redisReply *bad = redisCommand(f->redis, "GET weir:{key:bad}");
    charge.clock = exactly(plan.window[0].step_us * 60000001);
    for (size_t n = 1; n < 256; n++) {
        char bytes[64];
        size_t len = (size_t)bad->len;
        memcpy(bytes, bad->str, len);
        if (n < len) {
            len = n;
        } else {
            bytes[9 + n % 3] = (char)n; /* room, head or count: more than the ring that is there */
        }
        freeReplyObject(redisCommand(f->redis, "SET weir:{key:bad} %b", bytes, len));
        struct weir_buf b;
        void *reply = NULL;
        weir_buf_init(&b, 4096);
        weir_redis_charge_command(&b, f->sha, &charge);
        redisAppendFormattedCommand(f->redis, b.data, b.len);
        assert_int_equal(redisGetReply(f->redis, &reply), REDIS_OK);
        weir_buf_deinit(&b);
        assert_int_equal(((redisReply *)reply)->type, REDIS_REPLY_ERROR);
        freeReplyObject(reply);
        redisReply *r = redisCommand(f->redis, "GET weir:{key:good}");
        assert_int_equal(r->len, good->len);
        assert_memory_equal(r->str, good->str, (size_t)good->len);
        freeReplyObject(r);
    }
    freeReplyObject(good);
    freeReplyObject(bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_denials_and_looks_leave_nothing),
        cmocka_unit_test(test_clock_is_held_within_bounds),
        cmocka_unit_test(test_lower_ends_at_0),
        cmocka_unit_test(test_keys_live_as_long_as_needed),
        cmocka_unit_test(test_foreign_values),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
