/* SPDX-License-Identifier: Apache-2.0 */
/* The primary that Sentinels name, and its successor: guarantee 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/redis_sentinel.h"
#include "support/shards_owner.h"

struct fixture {
    struct sentinel_set set;
    struct shards_owner owner;
};

static struct fixture f;

static int start(void **state)
{
    (void)state;
    return sentinel_set_start(&f.set) ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    sentinel_set_remove(&f.set);
    return 0;
}

static void open_service(const char *hosts, const char *service)
{
    char url[256];
    snprintf(url, sizeof(url), "redis+sentinel://:pw@%s127.0.0.1:%u/%s", hosts, f.set.sentinel.port,
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
             f.set.sentinel.port);
    assert_int_equal(o->why, WEIR_REDIS_REFUSED);
    assert_string_equal(o->text, expected);
    owner_close(o);
}

static void test_no_sentinel(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    char url[128];
    snprintf(url, sizeof(url), "redis+sentinel://:pw@127.0.0.1:%u/limits", f.set.primary.port);
    owner_open(o, url, NULL);
    OWNER_UNTIL(o, o->downs > 0);
    assert_int_equal(o->why, WEIR_REDIS_REFUSED);
    assert_non_null(strstr(o->text, "is no Sentinel: expected redis+sentinel://SENTINEL/SERVICE"));
    owner_close(o);
    /* the other way round; without a password, since it has none to check */
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", f.set.sentinel.port);
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
    snprintf(url, sizeof(url), "redis://:pw@127.0.0.1:%u", f.set.replica.port);
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
    sentinel_set_until(f.set.replica.port, "GET weir:{a}", "1"); /* replication is not waited for */
    sentinel_set_kill_primary(&f.set);
    OWNER_UNTIL(o, o->downs > 0);
    assert_false(owner_say(o, "GET", "weir:{a}", NULL));
    OWNER_UNTIL(o, o->ups > 1);
    assert_string_equal(owner_ask(o, "GET", "weir:{a}", NULL), "1");
    assert_true(sentinel_set_says(f.set.replica.port, "INFO replication", "role:master"));
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
