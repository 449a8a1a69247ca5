/* SPDX-License-Identifier: Apache-2.0 */
/* The registry in a Redis Cluster: its slot moves, and other shards are away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/redis_cluster.h"
#include "support/registry_owner.h"

enum { SLOT = 3850 }; /* of weir:{registry}:* */

static struct redis_cluster cluster;
static struct registry_owner one, two;
static unsigned copies;

static int start(void **state)
{
    (void)state;
    cluster_start(&cluster);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_end(&cluster);
    return 0;
}

/* With a copy of its own, in the folder of a server. */
static void open_one(struct registry_owner *o, const char *more)
{
    char url[128], yaml[512];
    cluster_url(&cluster, url, sizeof(url));
    snprintf(yaml, sizeof(yaml),
             "store: %s\nregistry: %s/copy%u\nstore_connect_timeout_ms: 3000\n%s\n", url,
             cluster.node[0].server.folder, copies++, more);
    registry_owner_open(o, yaml);
}

/* Who has the slot now lost the last change before that, and has another one. */
static void test_slot_moves_with_a_loss(void **state)
{
    (void)state;
    struct cluster_node *from = &cluster.node[0], *to = &cluster.node[1];
    open_one(&one, "");
    registry_put_soon(&one, "key:a", "{\"n\":1}");
    registry_put(&one, "key:b", "{\"n\":2}");
    REGISTRY_UNTIL(&one, registry_has(&one, "key:b", "{\"n\":2}"));
    begin_move(SLOT, from, to);
    move_keys(SLOT, from, to, 10);
    end_move(&cluster, SLOT, to);
    NODE_SAY(to, "HDEL weir:{registry}:entries key:b");
    NODE_SAY(to, "ZREM weir:{registry}:changed key:b");
    NODE_SAY(to, "HSET weir:{registry}:state count 1");
    open_one(&two, "");
    registry_put_soon(&two, "key:c", "{\"n\":3}");
    REGISTRY_UNTIL(&one,
                   registry_has(&one, "key:c", "{\"n\":3}") && registry_has(&one, "key:b", NULL));
    assert_true(registry_has(&one, "key:a", "{\"n\":1}"));
    begin_move(SLOT, to, from); /* and back, for the other tests */
    move_keys(SLOT, to, from, 10);
    end_move(&cluster, SLOT, from);
    registry_put_soon(&two, "key:d", "{}");
    registry_owner_close(&two);
    registry_owner_close(&one);
}

/* The slot stays half moved: who waits is answered in the end. */
static void test_half_moved(void **state)
{
    (void)state;
    struct registry_wish first, second;
    struct cluster_node *from = &cluster.node[0], *to = &cluster.node[2];
    open_one(&one, "store_timeout_ms: 300");
    registry_put_soon(&one, "key:a", "{}");
    begin_move(SLOT, from, to);
    move_keys(SLOT, from, to, 1);
    registry_ask(&one, &first, "key:b", "{}");
    registry_ask(&one, &second, "key:c", "{}");
    registry_await(&one, &first);
    registry_await(&one, &second);
    assert_int_equal(first.change.result, WEIR_REGISTRY_UNAVAILABLE);
    assert_int_equal(second.change.result, WEIR_REGISTRY_UNAVAILABLE);
    assert_true(registry_has(&one, "key:a", "{}"));
    move_keys(SLOT, from, to, 10);
    end_move(&cluster, SLOT, to);
    REGISTRY_UNTIL(&one, one.up);
    registry_put_soon(&one, "key:c", "{\"n\":3}");
    begin_move(SLOT, to, from);
    move_keys(SLOT, to, from, 10);
    end_move(&cluster, SLOT, from);
    registry_owner_close(&one);
}

/* Its own shard is asked, though another one cannot be connected to. The last test. */
static void test_start_without_another_shard(void **state)
{
    (void)state;
    open_one(&one, "");
    registry_put_soon(&one, "key:z", "{\"n\":1}");
    redis_server_end(&cluster.node[2].server, SIGKILL);
    open_one(&two, "");
    assert_true(registry_has(&two, "key:z", "{\"n\":1}"));
    registry_put_soon(&two, "key:z", "{\"n\":2}");
    REGISTRY_UNTIL(&one, registry_has(&one, "key:z", "{\"n\":2}"));
    registry_owner_close(&two);
    registry_owner_close(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slot_moves_with_a_loss),
        cmocka_unit_test(test_half_moved),
        cmocka_unit_test(test_start_without_another_shard),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
