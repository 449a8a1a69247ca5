/* SPDX-License-Identifier: Apache-2.0 */
/* The registry on the primary that a Sentinel names, and on its successor, which had not got the
 * last change: that is gone for all, and what follows is seen by all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/redis_sentinel.h"
#include "support/registry_owner.h"

static struct sentinel_set set;
static struct registry_owner one, two;

static int start(void **state)
{
    (void)state;
    return sentinel_set_start(&set) ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    sentinel_set_remove(&set);
    return 0;
}

static void open_one(struct registry_owner *o, const char *copy)
{
    char yaml[512];
    snprintf(yaml, sizeof(yaml),
             "store: redis+sentinel://:pw@127.0.0.1:%u/limits\nregistry: %s/%s\n"
             "store_timeout_ms: 5000\nstore_connect_timeout_ms: 3000\n",
             set.sentinel.port, set.primary.folder, copy);
    registry_owner_open(o, yaml);
}

/* Nothing that is written to the primary from now on comes to the replica. */
static void part(void)
{
    assert_true(redis_server_stop(&set.replica));
    assert_false(sentinel_set_says(set.primary.port, "CLIENT KILL TYPE replica", "ERR"));
}

static void test_failover_with_a_loss(void **state)
{
    (void)state;
    open_one(&one, "one");
    open_one(&two, "two");
    registry_put_soon(&one, "key:a", "{\"n\":1}");
    REGISTRY_UNTIL(&two, registry_has(&two, "key:a", "{\"n\":1}"));
    sentinel_set_until(set.replica.port, "HGET weir:{registry}:entries key:a", "1");
    part();
    registry_put(&one, "key:lost", "{\"n\":2}");
    REGISTRY_UNTIL(&two, registry_has(&two, "key:lost", "{\"n\":2}"));
    sentinel_set_kill_primary(&set);
    redis_server_continue(&set.replica);
    REGISTRY_UNTIL(&one, registry_has(&one, "key:lost", NULL));
    registry_put_soon(&two, "key:b", "{\"n\":3}");
    REGISTRY_UNTIL(&one, registry_has(&one, "key:b", "{\"n\":3}"));
    assert_true(registry_has(&two, "key:lost", NULL));
    assert_true(registry_has(&one, "key:a", "{\"n\":1}"));
    assert_true(registry_has(&two, "key:a", "{\"n\":1}"));
    registry_owner_close(&one);
    registry_owner_close(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failover_with_a_loss),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
