/* SPDX-License-Identifier: Apache-2.0 */
/* What is said first, and which servers may be used: not one that evicts, so that guarantee 1
 * holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "store/redis/greet.h"
#include "support/resp.h"

struct verdict {
    bool usable;
    enum weir_redis_why why;
    char text[REDIS_WHY_BYTES];
};

static struct verdict check(const struct weir_redis_target *target, enum redis_greeting what,
                            const char *text)
{
    struct verdict v = {0};
    redisReply *r = resp_read(text, strlen(text));
    assert_non_null(r);
    v.usable = redis_greeting_check(target, what, r, &v.why, v.text);
    freeReplyObject(r);
    return v;
}

static struct verdict check_info(const char *info)
{
    static const struct weir_redis_target target = {.port = 6379};
    char text[2048];
    snprintf(text, sizeof(text), "$%zu\r\n%s\r\n", strlen(info), info);
    return check(&target, REDIS_INFO, text);
}

static void refused(struct verdict v, const char *text)
{
    assert_false(v.usable);
    assert_int_equal(v.why, WEIR_REDIS_REFUSED);
    assert_string_equal(v.text, text);
}

#define OLD "is too old: expected Redis 5 or later, or Valkey; it is "
#define EVICTS                                                                                     \
    "would evict usage that limits depend on: expected maxmemory-policy noeviction, it is "

static void test_versions(void **state)
{
    (void)state;
    assert_true(check_info("# Server\r\nredis_version:7.0.15\r\n\r\n# Memory\r\n"
                           "maxmemory_policy:noeviction\r\n# Replication\r\nrole:master\r\n"
                           "# Cluster\r\ncluster_enabled:0\r\n")
                    .usable);
    assert_true(check_info("redis_version:5.0.0\nmaxmemory_policy:noeviction").usable);
    assert_true(check_info("redis_version:10.2.1\r\nmaxmemory_policy:noeviction\r\n").usable);
    /* Valkey says which Redis it is compatible with */
    assert_true(check_info("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n"
                           "maxmemory_policy:noeviction\r\nrole:master\r\n")
                    .usable);
    refused(check_info("redis_version:4.0.14\r\nmaxmemory_policy:noeviction\r\n"), OLD "4.0.14");
    refused(check_info("redis_version:\r\nmaxmemory_policy:noeviction\r\n"), OLD "not told");
    refused(check_info("maxmemory_policy:noeviction\r\n"), OLD "not told");
    refused(check_info("xredis_version:7.0.0\r\nmaxmemory_policy:noeviction\r\n"), OLD "not told");
    refused(check_info(""), OLD "not told");
}

static void test_policies(void **state)
{
    (void)state;
    static const char *const policies[] = {
        "allkeys-lru",  "allkeys-lfu",  "allkeys-random",  "volatile-lru",
        "volatile-lfu", "volatile-ttl", "volatile-random",
    };
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        char info[128], text[256];
        snprintf(info, sizeof(info), "redis_version:7.0.0\r\nmaxmemory_policy:%s\r\n", policies[i]);
        snprintf(text, sizeof(text), EVICTS "%s", policies[i]);
        refused(check_info(info), text);
    }
    refused(check_info("redis_version:7.0.0\r\n"), EVICTS "not told");
    refused(check_info("redis_version:7.0.0\r\nmaxmemory_policy:noevictions"),
            EVICTS "noevictions");
}

static void test_roles(void **state)
{
    (void)state;
    refused(check_info("redis_version:7.0.0\r\nmaxmemory_policy:noeviction\r\nrole:slave\r\n"),
            "is a replica: expected the primary");
    refused(
        check_info("redis_version:7.0.0\r\nmaxmemory_policy:noeviction\r\ncluster_enabled:1\r\n"),
        "is a node of a Redis Cluster: expected redis+cluster://HOST");
}

static void test_other_answers(void **state)
{
    (void)state;
    static const struct weir_redis_target plain = {.port = 6379};
    static const struct weir_redis_target secret = {.user = "u", .password = "hunter2", .db = 3};
    refused(check(&plain, REDIS_INFO, "-NOAUTH Authentication required.\r\n"),
            "wants a password: expected redis://USER:PASSWORD@HOST");
    refused(check(&plain, REDIS_INFO, "+OK\r\n"), "does not answer INFO as Redis does");
    refused(check(&plain, REDIS_INFO, "*-1\r\n"), "does not answer INFO as Redis does");
    refused(check(&secret, REDIS_INFO, "-NOPERM no 'info'\x01\x02\r\n"),
            "refuses INFO: NOPERM no 'info'");
    refused(check(&secret, REDIS_SELECT, "-ERR DB index is out of range\r\n"),
            "refuses the database: ERR DB index is out of range");
    refused(check(&secret, REDIS_SCRIPT, "-ERR no\r\n"), "refuses SCRIPT LOAD: ERR no");
    assert_true(check(&secret, REDIS_AUTH, "+OK\r\n").usable);
    assert_true(check(&secret, REDIS_SELECT, "+OK\r\n").usable);
    assert_true(check(&secret, REDIS_SCRIPT, "$2\r\nab\r\n").usable);
    /* that passes */
    struct verdict v = check(&plain, REDIS_SCRIPT, "-LOADING Redis is loading\r\n");
    assert_false(v.usable);
    assert_int_equal(v.why, WEIR_REDIS_OUT_OF_REACH);
    assert_string_equal(v.text, "is not ready: LOADING Redis is loading");
}

/* A server may answer AUTH with the words that it got. */
static void test_no_secrets(void **state)
{
    (void)state;
    static const struct weir_redis_target target = {.user = "u", .password = "hunter2"};
    refused(check(&target, REDIS_AUTH, "-WRONGPASS invalid username-password pair\r\n"),
            "refuses the user or password: WRONGPASS");
    refused(check(&target, REDIS_AUTH,
                  "-ERR unknown command `AUTH`, with args beginning with: `u`, `hunter2`, \r\n"),
            "refuses the user or password: ERR");
    refused(check(&target, REDIS_AUTH, "-hunter2\r\n"), "refuses the user or password: ERR");
    refused(check(&target, REDIS_AUTH, "-\r\n"), "refuses the user or password: ERR");
    refused(check(&target, REDIS_AUTH,
                  "-ERR AUTH <password> called without any password configured for the default "
                  "user. Are you sure your configuration is correct?\r\n"),
            "has no password: expected redis://HOST without one");
}

static void says(const struct weir_redis_target *target, enum redis_greeting what,
                 const char *expected)
{
    struct weir_buf b;
    weir_buf_init(&b, 1 << 20);
    assert_int_equal(redis_greeting_command(&b, target, what), expected != NULL);
    assert_int_equal(b.len, expected == NULL ? 0 : strlen(expected));
    assert_memory_equal(b.data == NULL ? "" : b.data, expected == NULL ? "" : expected, b.len);
    weir_buf_deinit(&b);
}

static void test_commands(void **state)
{
    (void)state;
    static const struct weir_redis_target plain = {.port = 6379};
    static const struct weir_redis_target user = {.user = "u", .password = "p", .db = 15};
    static const struct weir_redis_target password = {.password = "p"};
    says(&plain, REDIS_AUTH, NULL);
    says(&plain, REDIS_SELECT, NULL);
    says(&plain, REDIS_INFO, "*1\r\n$4\r\nINFO\r\n");
    says(&user, REDIS_AUTH, "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n");
    says(&user, REDIS_SELECT, "*2\r\n$6\r\nSELECT\r\n$2\r\n15\r\n");
    says(&password, REDIS_AUTH, "*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),   cmocka_unit_test(test_policies),
        cmocka_unit_test(test_roles),      cmocka_unit_test(test_other_answers),
        cmocka_unit_test(test_no_secrets), cmocka_unit_test(test_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
