/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of the calls of over.lua, what it answers, everything else that a server may say
 * instead, and who a primary says to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rand.h"
#include "limit/window.h"
#include "store/redis/answer.h"
#include "store/redis/command.h"
#include "store/redis/over.h"
#include "support/resp.h"

#define RUN_ID      "0123456789abcdef0123456789abcdef01234567"
#define REPLICATION "fedcba9876543210fedcba9876543210fedcba98"

static const struct weir_redis_identity WHO = {.text = RUN_ID ":" REPLICATION};

/* ---- calls ---- */

/* The words of a command behind EVAL and the script. */
static void says(struct weir_buf *b, const struct weir_str *word, size_t words)
{
    redisReply *r = resp_read(b->data, b->len);
    assert_non_null(r);
    assert_int_equal(r->elements, words + 2);
    char sha[40];
    weir_redis_sha(weir_redis_over_script(), sha);
    assert_string_equal(r->element[0]->str, "EVALSHA");
    assert_memory_equal(r->element[1]->str, sha, sizeof(sha));
    for (size_t i = 0; i < words; i++) {
        assert_int_equal(r->element[i + 2]->len, word[i].len);
        assert_memory_equal(r->element[i + 2]->str, word[i].p, word[i].len);
    }
    freeReplyObject(r);
    weir_buf_deinit(b);
}

#define SHARD_KEYS(tag)                                                                            \
    WEIR_STR("2"), WEIR_STR("weir:{" tag "}:primary"), WEIR_STR("weir:{" tag "}:beats")

static void test_calls(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 1 << 20);
    weir_redis_enter_command(&b, "5", 0xab);
    const struct weir_str enter[] = {SHARD_KEYS("5"), WEIR_STR("enter"),
                                     WEIR_STR("00000000000000ab")};
    says(&b, enter, sizeof(enter) / sizeof(enter[0]));
    weir_redis_leave_command(&b, "1234567", UINT64_MAX);
    const struct weir_str leave[] = {SHARD_KEYS("1234567"), WEIR_STR("leave"),
                                     WEIR_STR("ffffffffffffffff")};
    says(&b, leave, sizeof(leave) / sizeof(leave[0]));
    for (unsigned accept = 0; accept < 2; accept++) {
        weir_redis_beat_command(&b, "16", 1, (uint64_t)WEIR_REDIS_BEAT_MAX, &WHO, accept == 1);
        const struct weir_str beat[] = {SHARD_KEYS("16"),
                                        WEIR_STR("beat"),
                                        WEIR_STR("0000000000000001"),
                                        WEIR_STR("4503599627370496"),
                                        WEIR_STR(RUN_ID ":" REPLICATION),
                                        accept == 1 ? WEIR_STR("1") : WEIR_STR("0")};
        says(&b, beat, sizeof(beat) / sizeof(beat[0]));
    }
}

static void test_merge_call(void **state)
{
    (void)state;
    static const struct weir_limit limit = {WEIR_METER_REQUESTS, 60, 100};
    struct weir_plan plan;
    assert_int_equal(weir_plan_compile(&limit, 1, &plan), WEIR_OK);
    const struct weir_subject subject = {
        .name = WEIR_STR("key:a"), .root = WEIR_STR("org:o"), .plan = &plan};
    struct weir_buf b;
    weir_buf_init(&b, 1 << 20);
    weir_redis_merge_command(&b, &subject, (struct weir_clock_bounds){1, UINT64_C(1) << 52}, 77,
                             WEIR_STR("\0\r\nbytes"));
    const struct weir_str words[] = {
        WEIR_STR("1"),
        WEIR_STR("weir:{org:o}:key:a"),
        WEIR_STR("merge"),
        WEIR_STR("1"),
        WEIR_STR("4503599627370496"),
        WEIR_STR("77"),
        WEIR_STR("\x3c\x00\x00\x01\x01\x00\x64\x00\x00\x00\x00\x00\x00"),
        WEIR_STR("\0\r\nbytes"),
    };
    says(&b, words, sizeof(words) / sizeof(words[0]));
}

/* ---- answers ---- */

static redisReply *reply_of(const char *text)
{
    redisReply *r = resp_read(text, strlen(text));
    assert_non_null(r);
    return r;
}

static bool enter_says(const char *text, struct weir_redis_entered *ret_entered)
{
    redisReply *r = reply_of(text);
    bool understood = weir_redis_answer_enter(r, ret_entered);
    freeReplyObject(r);
    return understood;
}

static bool beat_says(const char *text, struct weir_redis_beaten *ret_beaten)
{
    redisReply *r = reply_of(text);
    bool understood = weir_redis_answer_beat(r, ret_beaten);
    freeReplyObject(r);
    return understood;
}

#define IDENTITY "$81\r\n" RUN_ID ":" REPLICATION "\r\n"

static void test_enter(void **state)
{
    (void)state;
    struct weir_redis_entered e;
    assert_true(enter_says("*3\r\n$0\r\n\r\n:-1\r\n:12\r\n", &e));
    assert_false(e.has_accepted);
    assert_int_equal(e.beat, -1);
    assert_int_equal(e.clock_us, 12);
    assert_true(enter_says("*3\r\n" IDENTITY ":4503599627370496\r\n:4503599627370496\r\n", &e));
    assert_true(e.has_accepted);
    assert_string_equal(e.accepted.text, WHO.text);
    assert_int_equal(e.beat, WEIR_REDIS_BEAT_MAX);
    static const char *const wrong[] = {
        "*3\r\n" IDENTITY ":-2\r\n:12\r\n",
        "*3\r\n" IDENTITY ":4503599627370497\r\n:12\r\n",
        "*3\r\n" IDENTITY ":1\r\n:-1\r\n",
        "*3\r\n" IDENTITY ":1\r\n:4503599627370497\r\n",
        "*3\r\n" IDENTITY "$1\r\n1\r\n:12\r\n",
        "*3\r\n" IDENTITY ":1\r\n$2\r\n12\r\n",
        "*3\r\n$-1\r\n:1\r\n:12\r\n",
        "*3\r\n:1\r\n:1\r\n:12\r\n",
        "*3\r\n$1\r\nx\r\n:1\r\n:12\r\n",
        "*3\r\n$81\r\n" RUN_ID "-" REPLICATION "\r\n:1\r\n:12\r\n",
        "*3\r\n$81\r\nG123456789abcdef0123456789abcdef01234567:" REPLICATION "\r\n:1\r\n:12\r\n",
        "*3\r\n$81\r\n" RUN_ID ":fedcba9876543210fedcba9876543210fedcba9G\r\n:1\r\n:12\r\n",
        "*3\r\n$82\r\n" RUN_ID ":" REPLICATION "0\r\n:1\r\n:12\r\n",
        "*2\r\n" IDENTITY ":1\r\n",
        "*4\r\n" IDENTITY ":1\r\n:12\r\n:1\r\n",
        "*0\r\n",
        "*-1\r\n",
        "$-1\r\n",
        ":1\r\n",
        "-ERR no\r\n",
        "+OK\r\n",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(enter_says(wrong[i], &e));
    }
}

static void test_beat(void **state)
{
    (void)state;
    struct weir_redis_beaten b;
    assert_true(beat_says("*2\r\n:0\r\n:12\r\n", &b));
    assert_false(b.accepted);
    assert_int_equal(b.living, 0);
    assert_int_equal(b.clock_us, 12);
    assert_true(beat_says("*3\r\n:1\r\n:13\r\n:1048576\r\n", &b));
    assert_true(b.accepted);
    assert_int_equal(b.living, 1048576);
    assert_int_equal(b.clock_us, 13);
    static const char *const wrong[] = {
        "*3\r\n:0\r\n:12\r\n:1\r\n",
        "*2\r\n:1\r\n:12\r\n",
        "*2\r\n:2\r\n:12\r\n",
        "*2\r\n:3\r\n:12\r\n",
        "*2\r\n:-1\r\n:12\r\n",
        "*2\r\n:0\r\n:-1\r\n",
        "*2\r\n:0\r\n:4503599627370497\r\n",
        "*2\r\n:0\r\n$2\r\n12\r\n",
        "*2\r\n$1\r\n0\r\n:12\r\n",
        "*3\r\n:1\r\n:12\r\n:0\r\n",
        "*3\r\n:1\r\n:12\r\n:-1\r\n",
        "*3\r\n:1\r\n:12\r\n:1048577\r\n",
        "*3\r\n:1\r\n:12\r\n$1\r\n1\r\n",
        "*4\r\n:1\r\n:12\r\n:1\r\n:1\r\n",
        "*1\r\n:1\r\n",
        "*0\r\n",
        "*-1\r\n",
        ":1\r\n",
        "-READONLY no\r\n",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(beat_says(wrong[i], &b));
    }
}

/* {1, clock, value} of a minute of requests, to be damaged. */
static size_t merged_bytes(char *to, size_t room)
{
    static const struct weir_limit limit = {WEIR_METER_REQUESTS, 60, 100};
    uint8_t bytes[64];
    struct weir_value v = {.data = bytes, .room = sizeof(bytes)};
    struct weir_plan plan;
    const struct weir_amounts one = {{1}};
    assert_int_equal(weir_plan_compile(&limit, 1, &plan), WEIR_OK);
    assert_int_equal(weir_value_add(&v, &plan, UINT64_C(1700000000000000), &one), 0);
    int head = snprintf(to, room, "*3\r\n:1\r\n:12\r\n$%u\r\n", v.len);
    memcpy(to + head, v.data, v.len);
    memcpy(to + head + v.len, "\r\n", 2);
    return (size_t)head + v.len + 2;
}

static bool merge_says(const char *bytes, size_t len, struct weir_redis_merged *ret_merged)
{
    redisReply *r = resp_read(bytes, len);
    bool understood = r != NULL && weir_redis_answer_merge(r, ret_merged);
    assert_true(!understood || !ret_merged->merged ||
                weir_redis_answer_is_value(ret_merged->value));
    if (r != NULL) {
        freeReplyObject(r);
    }
    return understood;
}

static void test_merge(void **state)
{
    (void)state;
    char bytes[256];
    struct weir_redis_merged m;
    struct weir_rand random;
    size_t len = merged_bytes(bytes, sizeof(bytes));
    assert_true(merge_says(bytes, len, &m));
    assert_true(m.merged);
    assert_int_equal(m.clock_us, 12);
    static const struct weir_str other_plan = {"*2\r\n:2\r\n:12\r\n", 14};
    assert_true(merge_says(other_plan.p, other_plan.len, &m));
    assert_false(m.merged);
    bytes[len - 3] ^= 1; /* an amount that is not in the sum */
    assert_false(merge_says(bytes, len, &m));
    static const char *const wrong[] = {
        "*2\r\n:0\r\n:12\r\n",
        "*2\r\n:1\r\n:12\r\n",
        "*3\r\n:2\r\n:12\r\n:1\r\n",
        "*3\r\n:1\r\n:12\r\n:1\r\n",
        "*3\r\n:1\r\n:12\r\n$1\r\nx\r\n",
        "*3\r\n:1\r\n:12\r\n$-1\r\n",
        "*3\r\n:1\r\n:-1\r\n$0\r\n\r\n",
        "-ERR no\r\n",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(merge_says(wrong[i], strlen(wrong[i]), &m));
    }
    weir_rand_init(&random, 1);
    for (unsigned i = 0; i < 20000; i++) { /* whatever arrives: no value that is none */
        merged_bytes(bytes, sizeof(bytes));
        bytes[weir_rand_below(&random, len)] = (char)weir_rand_below(&random, 256);
        (void)merge_says(bytes, len, &m);
    }
}

/* ---- who a primary is ---- */

static bool info_says(const char *info, struct weir_redis_identity *ret_identity)
{
    char text[512];
    snprintf(text, sizeof(text), "$%zu\r\n%s\r\n", strlen(info), info);
    redisReply *r = reply_of(text);
    bool read = weir_redis_identity_read(r, ret_identity);
    freeReplyObject(r);
    return read;
}

static void test_identity(void **state)
{
    (void)state;
    struct weir_redis_identity id;
    assert_true(info_says("# Server\r\nredis_version:7.0.15\r\nrun_id:" RUN_ID
                          "\r\n# Replication\r\nmaster_replid:" REPLICATION
                          "\r\nmaster_replid2:0000000000000000000000000000000000000000\r\n",
                          &id));
    assert_string_equal(id.text, RUN_ID ":" REPLICATION);
    assert_true(info_says("run_id:" RUN_ID "\nmaster_replid:" RUN_ID, &id));
    assert_string_equal(id.text, RUN_ID ":" RUN_ID);
    static const char *const wrong[] = {
        "",
        "run_id:" RUN_ID "\r\n",
        "master_replid:" REPLICATION "\r\n",
        "run_id:" RUN_ID "\r\nmaster_replid2:" REPLICATION "\r\n",
        "run_id:\r\nmaster_replid:" REPLICATION "\r\n",
        "run_id:" RUN_ID "0\r\nmaster_replid:" REPLICATION "\r\n",
        "run_id:" RUN_ID "\r\nmaster_replid:fedc\r\n",
        "run_id:0123456789ABCDEF0123456789abcdef01234567\r\nmaster_replid:" REPLICATION "\r\n",
        "run_id:" RUN_ID "\r\nmaster_replid:fedcba9876543210fedcba9876543210fedcba9 \r\n",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(info_says(wrong[i], &id));
    }
    redisReply *r = reply_of("-NOPERM no\r\n");
    assert_false(weir_redis_identity_read(r, &id));
    freeReplyObject(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls), cmocka_unit_test(test_merge_call),
        cmocka_unit_test(test_enter), cmocka_unit_test(test_beat),
        cmocka_unit_test(test_merge), cmocka_unit_test(test_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
