/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a call: charge.lua reads them by position. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "store/redis/command.h"

static const char SHA[] = "0123456789abcdef0123456789abcdef01234567";

static void same(const struct weir_buf *b, struct weir_str expected)
{
    assert_false(b->failed);
    assert_int_equal(b->len, expected.len);
    assert_memory_equal(b->data, expected.p, expected.len);
}

static void plan_of(const struct weir_limit *limits, size_t count, struct weir_plan *ret_plan)
{
    assert_int_equal(weir_plan_compile(limits, count, ret_plan), WEIR_OK);
}

static void test_charge(void **state)
{
    (void)state;
    static const struct weir_limit limits[] = {
        {WEIR_METER_OUTPUT_TOKENS, 86400, WEIR_AMOUNT_MAX},
        {WEIR_METER_REQUESTS, 60, 100},
        {WEIR_METER_INPUT_TOKENS, 60, 0x010203},
    };
    struct weir_plan plan;
    plan_of(limits, 3, &plan);
    const struct weir_subject subject = {.name = WEIR_STR("key:a"), .plan = &plan};
    const struct weir_subject *named[] = {&subject};
    const struct weir_redis_charge charge = {
        .subject = named,
        .subjects = 1,
        .clock = {.low_us = 0x0102030405, .high_us = UINT64_C(1) << 52},
        .amounts = {{1, 2, 3, 5}},
    };
    struct weir_buf b;
    weir_buf_init(&b, 4096);
    weir_redis_charge_command(&b, SHA, &charge);
    same(&b, WEIR_STR("*6\r\n$7\r\nEVALSHA\r\n$40\r\n0123456789abcdef0123456789abcdef01234567\r\n"
                      "$1\r\n1\r\n$12\r\nweir:{key:a}\r\n"
                      "$71\r\n"
                      "\x05\x04\x03\x02\x01\x00\x00" /* low */
                      "\x00\x00\x00\x00\x00\x00\x10" /* high */
                      "\x00"                         /* a charge */
                      "\x00\x00\x00\x00\x00\x00\x00" /* claim */
                      "\x00\x00\x00\x00\x00\x00\x00" /* taken at */
                      "\x01\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00"
                      "\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                      "\r\n"
                      "$34\r\n"
                      "\x3c\x00\x00\x03\x02" /* 60 s: requests and input */
                      "\x00\x64\x00\x00\x00\x00\x00\x00\x01\x03\x02\x01\x00\x00\x00\x00"
                      "\x80\x51\x01\x04\x01" /* a day: output */
                      "\x02\x00\x00\x00\x00\x00\x00\x04"
                      "\r\n"));
    weir_buf_deinit(&b);
}

static void test_claimed_settlement(void **state)
{
    (void)state;
    static const struct weir_limit limits[] = {{WEIR_METER_REQUESTS, 1, 1}};
    struct weir_plan plan;
    plan_of(limits, 1, &plan);
    /* a name is bytes: nothing in it ends it */
    const struct weir_subject subjects[] = {{.name = WEIR_STR("key:\0}"), .plan = &plan},
                                            {.name = WEIR_STR("model:m"), .plan = &plan}};
    const struct weir_subject *named[] = {&subjects[0], &subjects[1]};
    const struct weir_redis_charge charge = {
        .subject = named,
        .subjects = 2,
        .clock = {.low_us = 1, .high_us = 2},
        .settles = true,
        .less = {{0, 7, 8, 15}},
        .taken_at_us = 9,
        .claim_nonce = 0xabc,
        .claim_ms = 256,
    };
    struct weir_buf b;
    weir_buf_init(&b, 4096);
    weir_redis_charge_command(&b, SHA, &charge);
    same(&b, WEIR_STR("*9\r\n$7\r\nEVALSHA\r\n$40\r\n0123456789abcdef0123456789abcdef01234567\r\n"
                      "$1\r\n3\r\n$13\r\nweir:{key:\0}}\r\n$14\r\nweir:{model:m}\r\n"
                      "$32\r\nweir:{key:\0}}:s:0000000000000abc\r\n"
                      "$71\r\n"
                      "\x01\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00"
                      "\x03"
                      "\x00\x01\x00\x00\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00"
                      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                      "\x07\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00"
                      "\r\n"
                      "$13\r\n\x01\x00\x00\x01\x01\x00\x01\x00\x00\x00\x00\x00\x00\r\n"
                      "$13\r\n\x01\x00\x00\x01\x01\x00\x01\x00\x00\x00\x00\x00\x00\r\n"));
    weir_buf_deinit(&b);
}

static void test_lease(void **state)
{
    (void)state;
    static const struct weir_limit limits[] = {{WEIR_METER_REQUESTS, 1, 1}};
    struct weir_plan plan;
    plan_of(limits, 1, &plan);
    const struct weir_subject subject = {.name = WEIR_STR("key:a"), .plan = &plan};
    const struct weir_subject *named[] = {&subject};
    const struct weir_amounts asks[] = {{{1, 2, 3, 5}}, {{4, 5, 6, 11}}};
    const struct weir_amounts *ask[] = {&asks[0], &asks[1]};
    const struct weir_return back[] = {{0x0708, {{9, 10, 11, 21}}}};
    const struct weir_redis_lease lease = {
        .ask = ask, .asks = 2, .want = {{12, 13, 14, 27}}, .back = back, .returns = 1};
    const struct weir_redis_charge charge = {
        .subject = named, .subjects = 1, .amounts = {{0, 15, 16, 31}}, .lease = &lease};
    struct weir_buf b;
    weir_buf_init(&b, 4096);
    weir_redis_charge_command(&b, SHA, &charge);
    same(&b, WEIR_STR("*6\r\n$7\r\nEVALSHA\r\n$40\r\n0123456789abcdef0123456789abcdef01234567\r\n"
                      "$1\r\n1\r\n$12\r\nweir:{key:a}\r\n"
                      "$164\r\n"
                      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                      "\x04" /* a list of requests */
                      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                      "\x00\x00\x00\x00\x00\x00\x00" /* owed */
                      "\x0f\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00"
                      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                      "\x00\x00\x00\x00\x00\x00\x00"
                      "\x0c\x00\x00\x00\x00\x00\x00" /* wanted ahead */
                      "\x0d\x00\x00\x00\x00\x00\x00\x0e\x00\x00\x00\x00\x00\x00"
                      "\x01\x02"                     /* one comes back, two ask */
                      "\x08\x07\x00\x00\x00\x00\x00" /* of this moment */
                      "\x09\x00\x00\x00\x00\x00\x00"
                      "\x0a\x00\x00\x00\x00\x00\x00\x0b\x00\x00\x00\x00\x00\x00"
                      "\x01\x00\x00\x00\x00\x00\x00"
                      "\x02\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00"
                      "\x04\x00\x00\x00\x00\x00\x00"
                      "\x05\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00"
                      "\r\n"
                      "$13\r\n\x01\x00\x00\x01\x01\x00\x01\x00\x00\x00\x00\x00\x00\r\n"));
    weir_buf_deinit(&b);
}

static void test_keys(void **state)
{
    (void)state;
    char buf[WEIR_REDIS_KEY_MAX], name[WEIR_SUBJECT_NAME_MAX];
    const struct weir_subject alone = {.name = WEIR_STR("key:a")};
    const struct weir_subject owned = {.name = WEIR_STR("key:a"), .root = WEIR_STR("org:acme")};
    struct weir_str key = weir_redis_key(&alone, buf);
    assert_true(weir_str_eq(key, WEIR_STR("weir:{key:a}")));
    key = weir_redis_key(&owned, buf);
    assert_true(weir_str_eq(key, WEIR_STR("weir:{org:acme}:key:a")));
    memset(name, 'n', sizeof(name));
    const struct weir_subject longest = {.name = {name, sizeof(name)},
                                         .root = {name, sizeof(name)}};
    key = weir_redis_key(&longest, buf);
    assert_int_equal(key.len, WEIR_REDIS_KEY_MAX - 1);
}

/* What remembers a settlement stands in the slot of the values. */
static void test_claim_of_a_root(void **state)
{
    (void)state;
    static const struct weir_limit limits[] = {{WEIR_METER_REQUESTS, 1, 1}};
    struct weir_plan plan;
    plan_of(limits, 1, &plan);
    const struct weir_subject subject = {
        .name = WEIR_STR("key:a"), .root = WEIR_STR("org:b"), .plan = &plan};
    const struct weir_subject *named[] = {&subject};
    const struct weir_redis_charge charge = {.subject = named, .subjects = 1, .claim_nonce = 2};
    struct weir_buf b;
    weir_buf_init(&b, 4096);
    weir_redis_charge_command(&b, SHA, &charge);
    struct weir_str keys = WEIR_STR("$18\r\nweir:{org:b}:key:a\r\n"
                                    "$31\r\nweir:{org:b}:s:0000000000000002\r\n");
    assert_non_null(memmem(b.data, b.len, keys.p, keys.len));
    weir_buf_deinit(&b);
}

/* The largest plan and names: all of it is written, and in the buffer's bound or not at all. */
static void test_largest(void **state)
{
    (void)state;
    struct weir_limit limits[WEIR_PLAN_LIMITS_MAX];
    struct weir_plan plan;
    char name[WEIR_SUBJECT_NAME_MAX];
    memset(name, 'n', sizeof(name));
    for (unsigned i = 0; i < WEIR_PLAN_LIMITS_MAX; i++) {
        limits[i] = (struct weir_limit){i % 2, 1 + i / 2, WEIR_AMOUNT_MAX};
    }
    plan_of(limits, WEIR_PLAN_LIMITS_MAX, &plan);
    const struct weir_subject subject = {
        .name = {name, sizeof(name)}, .root = {name, sizeof(name)}, .plan = &plan};
    const struct weir_subject *named[] = {&subject, &subject, &subject, &subject};
    const struct weir_amounts most = {{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};
    const struct weir_amounts *ask[WEIR_CALL_ASKS_MAX];
    const struct weir_return back[WEIR_CALL_RETURNS_MAX] = {{0}};
    for (unsigned i = 0; i < WEIR_CALL_ASKS_MAX; i++) {
        ask[i] = &most;
    }
    const struct weir_redis_lease lease = {
        .ask = ask, .asks = WEIR_CALL_ASKS_MAX, .back = back, .returns = WEIR_CALL_RETURNS_MAX};
    const struct weir_redis_charge charge = {.subject = named,
                                             .subjects = WEIR_SUBJECTS_MAX,
                                             .claim_nonce = UINT64_MAX,
                                             .lease = &lease};
    struct weir_buf b;
    weir_buf_init(&b, 1 << 20);
    weir_redis_charge_command(&b, SHA, &charge);
    assert_false(b.failed);
    size_t len = b.len;
    weir_buf_deinit(&b);
    weir_buf_init(&b, len - 1);
    weir_redis_charge_command(&b, SHA, &charge);
    assert_true(b.failed);
    assert_true(b.len < len);
    weir_buf_deinit(&b);
}

static void test_words(void **state)
{
    (void)state;
    const struct weir_str words[] = {WEIR_STR("AUTH"), WEIR_STR(""), WEIR_STR("a\r\n\0b")};
    struct weir_buf b;
    weir_buf_init(&b, 4096);
    weir_redis_command(&b, words, 3);
    same(&b, WEIR_STR("*3\r\n$4\r\nAUTH\r\n$0\r\n\r\n$5\r\na\r\n\0b\r\n"));
    weir_buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_charge),          cmocka_unit_test(test_claimed_settlement),
        cmocka_unit_test(test_lease),           cmocka_unit_test(test_keys),
        cmocka_unit_test(test_claim_of_a_root), cmocka_unit_test(test_largest),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
