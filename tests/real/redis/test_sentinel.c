/* SPDX-License-Identifier: Apache-2.0 */
/* The primary that Sentinels name, and its successor: guarantee 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "support/redis_server.h"
#include "support/shards_owner.h"

struct fixture {
    struct redis_server primary, replica, sentinel;
    struct shards_owner owner;
};

static struct fixture f;

static bool server_start(struct redis_server *s, const struct redis_server *of)
{
    char port[8], primary[8];
    s->port = redis_server_free_port();
    snprintf(port, sizeof(port), "%u", s->port);
    snprintf(primary, sizeof(primary), "%u", of->port);
    const char *const args[] = {"redis-server",
                                "--port",
                                port,
                                "--bind",
                                "127.0.0.1",
                                "--save",
                                "",
                                "--requirepass",
                                "pw",
                                "--masterauth",
                                "pw",
                                "--repl-diskless-sync-delay",
                                "0",
                                of == s ? NULL : "--replicaof",
                                "127.0.0.1",
                                primary,
                                NULL};
    return redis_server_run(s, args, "eady to accept connections");
}

/* Its file tells whom it watches: it writes into it what it learns. */
static bool sentinel_start(void)
{
    char path[128], port[8];
    f.sentinel.port = redis_server_free_port();
    snprintf(port, sizeof(port), "%u", f.sentinel.port);
    if (!redis_server_folder(&f.sentinel)) {
        return false;
    }
    snprintf(path, sizeof(path), "%s/sentinel.conf", f.sentinel.folder);
    FILE *file = fopen(path, "we");
    fprintf(file,
            "sentinel monitor limits 127.0.0.1 %u 1\n"
            "sentinel auth-pass limits pw\n"
            "sentinel down-after-milliseconds limits 400\n"
            "sentinel failover-timeout limits 2000\n",
            f.primary.port);
    fclose(file);
    const char *const args[] = {"redis-server", path,     "--sentinel", "--port",
                                port,           "--bind", "127.0.0.1",  NULL};
    return redis_server_run(&f.sentinel, args, "+monitor master");
}

static bool says(unsigned port, const char *command, const char *text)
{
    redisContext *c = redisConnect("127.0.0.1", (int)port);
    redisReply *auth = redisCommand(c, "AUTH pw");
    redisReply *r = redisCommand(c, command);
    bool does = r != NULL && r->str != NULL && strstr(r->str, text) != NULL;
    freeReplyObject(auth);
    freeReplyObject(r);
    redisFree(c);
    return does;
}

static void until(unsigned port, const char *command, const char *text)
{
    uint64_t until_us = weir_clock_us() + 10000000;
    while (!says(port, command, text)) {
        assert_true(weir_clock_us() < until_us);
        usleep(20000);
    }
}

static int start(void **state)
{
    (void)state;
    if (!server_start(&f.primary, &f.primary) || !server_start(&f.replica, &f.primary)) {
        return -1;
    }
    until(f.replica.port, "INFO replication", "master_link_status:up");
    if (!sentinel_start()) {
        return -1;
    }
    until(f.sentinel.port, "INFO sentinel", "slaves=1");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redis_server_remove(&f.sentinel);
    redis_server_remove(&f.replica);
    redis_server_remove(&f.primary);
    return 0;
}

static void open_service(const char *hosts, const char *service)
{
    char url[256];
    snprintf(url, sizeof(url), "redis+sentinel://:pw@%s127.0.0.1:%u/%s", hosts, f.sentinel.port,
             service);
    owner_open(&f.owner, url, NULL);
}

static void test_unknown_service(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    char expected[128];
    open_service("", "others");
    OWNER_UNTIL(o, o->downs > 0);
    snprintf(expected, sizeof(expected), "at 127.0.0.1:%u knows no service others",
             f.sentinel.port);
    assert_int_equal(o->why, WEIR_REDIS_REFUSED);
    assert_string_equal(o->text, expected);
    owner_close(o);
}

static void test_no_sentinel(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    char url[128];
    snprintf(url, sizeof(url), "redis+sentinel://:pw@127.0.0.1:%u/limits", f.primary.port);
    owner_open(o, url, NULL);
    OWNER_UNTIL(o, o->downs > 0);
    assert_int_equal(o->why, WEIR_REDIS_REFUSED);
    assert_non_null(strstr(o->text, "is no Sentinel: expected redis+sentinel://SENTINEL/SERVICE"));
    owner_close(o);
    /* the other way round; without a password, since it has none to check */
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", f.sentinel.port);
    owner_open(o, url, NULL);
    OWNER_UNTIL(o, o->downs > 0);
    assert_int_equal(o->why, WEIR_REDIS_REFUSED);
    assert_non_null(strstr(o->text, "is a Sentinel: expected redis+sentinel://"));
    owner_close(o);
}

/* A replica is not used, whoever names it: here the URL. */
static void test_replica(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    char url[128];
    snprintf(url, sizeof(url), "redis://:pw@127.0.0.1:%u", f.replica.port);
    owner_open(o, url, NULL);
    OWNER_UNTIL(o, o->downs > 0);
    assert_int_equal(o->ups, 0);
    assert_non_null(strstr(o->text, "is a replica: expected the primary"));
    owner_close(o);
}

/* The first Sentinel is dead, the second names the primary; that one dies, and its successor is
 * found. The last test. */
static void test_failover(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    char dead[32];
    snprintf(dead, sizeof(dead), "127.0.0.1:%u,", redis_server_free_port());
    open_service(dead, "limits");
    OWNER_UNTIL(o, o->ups > 0);
    assert_string_equal(owner_ask(o, "SET", "weir:{a}", "1"), "OK");
    assert_int_equal(o->downs, 0);
    until(f.replica.port, "GET weir:{a}", "1"); /* replication is not waited for */
    redis_server_end(&f.primary, SIGKILL);
    OWNER_UNTIL(o, o->downs > 0);
    assert_false(owner_say(o, "GET", "weir:{a}", NULL));
    OWNER_UNTIL(o, o->ups > 1);
    assert_string_equal(owner_ask(o, "GET", "weir:{a}", NULL), "1");
    assert_true(says(f.replica.port, "INFO replication", "role:master"));
    owner_close(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_service),
        cmocka_unit_test(test_no_sentinel),
        cmocka_unit_test(test_replica),
        cmocka_unit_test(test_failover),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
