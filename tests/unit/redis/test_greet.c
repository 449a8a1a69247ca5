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

#define RUN_ID      "0123456789abcdef0123456789abcdef01234567"
#define REPLICATION "fedcba9876543210fedcba9876543210fedcba98"

/* `info` says nothing of who the server is. */
static struct verdict check_info_of(enum weir_redis_part part, const char *info)
{
    static const char who[] = "\r\nrun_id:" RUN_ID "\r\nmaster_replid:" REPLICATION "\r\n";
    const struct weir_redis_target target = {.part = part, .port = 6379};
    char text[2048];
    snprintf(text, sizeof(text), "$%zu\r\n%s%s\r\n", strlen(info) + strlen(who), info, who);
    return check(&target, REDIS_INFO, text);
}

static struct verdict check_info(const char *info)
{
    return check_info_of(WEIR_REDIS_SERVER, info);
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

#define GOOD              "redis_version:7.0.0\r\nmaxmemory_policy:noeviction\r\n"
#define NODE_EXPECTED     "is no node of a Redis Cluster: expected redis://HOST for a single server"
#define SENTINEL_EXPECTED "expected redis+sentinel://SENTINEL/SERVICE"

/* Where windows are kept a server must say who it is: a failover could not be told. */
static void test_identity(void **state)
{
    (void)state;
    static const char nameless[] = "redis_version:7.0.0\r\nmaxmemory_policy:noeviction\r\n"
                                   "run_id:" RUN_ID "\r\ncluster_enabled:1\r\n";
    struct weir_redis_target target = {.part = WEIR_REDIS_SHARD, .port = 6379};
    char text[512];
    snprintf(text, sizeof(text), "$%zu\r\n%s\r\n", strlen(nameless), nameless);
    refused(check(&target, REDIS_INFO, text),
            "does not say which primary it is: expected run_id and master_replid in INFO");
    target.part = WEIR_REDIS_NODE; /* which is only asked for the map */
    assert_true(check(&target, REDIS_INFO, text).usable);
}

/* What each part must be; NULL: that is well. */
static void test_parts(void **state)
{
    (void)state;
    static const char *const servers[] = {
        GOOD "redis_mode:standalone\r\nrole:master\r\ncluster_enabled:0\r\n",
        GOOD "redis_mode:cluster\r\nrole:master\r\ncluster_enabled:1\r\n",
        GOOD "redis_mode:cluster\r\nrole:slave\r\ncluster_enabled:1\r\n",
        "redis_version:7.0.0\r\nredis_mode:sentinel\r\n",
        GOOD "role:slave\r\n",
    };
    static const char replica[] = "is a replica: expected the primary";
    static const char cluster[] = "is a node of a Redis Cluster: expected redis+cluster://HOST";
    static const char sentinel[] = "is a Sentinel: " SENTINEL_EXPECTED;
    static const char no_sentinel[] = "is no Sentinel: " SENTINEL_EXPECTED;
    static const char *const said[][5] = {
        [WEIR_REDIS_SERVER] = {NULL, cluster, cluster, sentinel, replica},
        [WEIR_REDIS_PRIMARY] = {NULL, cluster, cluster, sentinel, replica},
        [WEIR_REDIS_SHARD] = {NODE_EXPECTED, NULL, replica, sentinel, NODE_EXPECTED},
        [WEIR_REDIS_NODE] = {NODE_EXPECTED, NULL, NULL, sentinel, NODE_EXPECTED},
        [WEIR_REDIS_SENTINEL] = {no_sentinel, no_sentinel, no_sentinel, NULL, no_sentinel},
    };
    for (unsigned part = WEIR_REDIS_SERVER; part <= WEIR_REDIS_SENTINEL; part++) {
        for (unsigned i = 0; i < 5; i++) {
            struct verdict v = check_info_of((enum weir_redis_part)part, servers[i]);
            const char *expected = said[part][i];
            assert_int_equal(v.usable, expected == NULL);
            if (expected != NULL) {
                assert_string_equal(v.text, expected);
                /* one that somebody has named may just have been replaced */
                bool passes = expected == replica && part != WEIR_REDIS_SERVER;
                assert_int_equal(v.why, passes ? WEIR_REDIS_OUT_OF_REACH : WEIR_REDIS_REFUSED);
            }
        }
    }
}

/* A Sentinel may know no password where its Redis has one. */
static void test_sentinel_without_password(void **state)
{
    (void)state;
    static const char answer[] = "-WRONGPASS invalid username-password pair\r\n";
    static const struct weir_redis_target sentinel = {.part = WEIR_REDIS_SENTINEL,
                                                      .password = "hunter2"};
    static const struct weir_redis_target primary = {.part = WEIR_REDIS_PRIMARY,
                                                     .password = "hunter2"};
    assert_true(check(&sentinel, REDIS_AUTH, answer).usable);
    assert_false(check(&primary, REDIS_AUTH, answer).usable);
    refused(check(&sentinel, REDIS_INFO, "-NOAUTH Authentication required.\r\n"),
            "refuses INFO: NOAUTH Authentication required.");
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

/* Who only knows where windows are gets no script. */
static void test_who_keeps_the_script(void **state)
{
    (void)state;
    for (unsigned part = WEIR_REDIS_SERVER; part <= WEIR_REDIS_SENTINEL; part++) {
        const struct weir_redis_target target = {.part = (enum weir_redis_part)part};
        bool guide = part == WEIR_REDIS_NODE || part == WEIR_REDIS_SENTINEL;
        assert_int_equal(redis_greeting_last(&target), guide ? REDIS_INFO : REDIS_SCRIPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_sentinel_without_password),
        cmocka_unit_test(test_who_keeps_the_script),
        cmocka_unit_test(test_other_answers),
        cmocka_unit_test(test_no_secrets),
        cmocka_unit_test(test_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
