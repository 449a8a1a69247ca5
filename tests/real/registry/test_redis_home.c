/* SPDX-License-Identifier: Apache-2.0 */
/* Entries that live in Redis, which is slow or whose connections break. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <pthread.h>

#include "registry/internal.h"
#include "support/redis_server.h"
#include "support/registry_owner.h"

enum { MANY = 3500 };

static struct redis_server server;
static redisContext *redis;
static struct registry_owner one, two;
static char yaml[512];

static int start(void **state)
{
    (void)state;
    if (!redis_server_start(&server, "noeviction")) {
        return -1;
    }
    redis = redisConnectUnix(server.socket);
    return redis == NULL || redis->err != 0 ? -1 : 0;
}

static int stop(void **state)
{
    (void)state;
    redisFree(redis);
    redis_server_remove(&server);
    return 0;
}

static const char *with_copy(const char *copy)
{
    snprintf(yaml, sizeof(yaml),
             "store: redis+unix://%s\nregistry: %s/%s\nstore_timeout_ms: 5000\n"
             "store_connect_timeout_ms: 5000\n",
             server.socket, server.folder, copy);
    return yaml;
}

static void say(const char *command)
{
    redisReply *r = redisCommand(redis, command);
    assert_non_null(r);
    assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
    freeReplyObject(r);
}

/* A copy with many keys. */
static void make_copy(const char *name)
{
    char path[128], why[512];
    static char names[MANY][16];
    static struct weir_entry_change change[MANY];
    struct weir_entries *none = weir_entries_new(), *all = NULL;
    for (int i = 0; i < MANY; i++) {
        int len = snprintf(names[i], sizeof(names[i]), "key:%d", i);
        change[i] = (struct weir_entry_change){weir_str(names[i], (size_t)len), WEIR_STR("{}")};
    }
    assert_non_null(none);
    assert_int_equal(weir_entries_with(none, change, MANY, &all), WEIR_OK);
    snprintf(path, sizeof(path), "%s/%s", server.folder, name);
    assert_int_equal(weir_registry_file_write(path, all, why, sizeof(why)), WEIR_OK);
    weir_entries_let_go(none);
    weir_entries_let_go(all);
}

/* The connection breaks after each page: it goes on with the next one. */
static void test_reading_goes_on(void **state)
{
    (void)state;
    char page[REGISTRY_VERSION_MAX] = "";
    unsigned breaks = 0;
    make_copy("many");
    registry_owner_open(&one, with_copy("many"));
    registry_put_soon(&one, "key:more", "{}"); /* the rest is written back before */
    registry_owner_open_empty(&two, with_copy("none"));
    const struct registry_redis *d = &two.registry->redis;
    REGISTRY_UNTIL(&two, d->pages != NULL);
    while (d->pages != NULL && breaks < 50) {
        if (strcmp(page, d->page) != 0) {
            memcpy(page, d->page, sizeof(page));
            say("CLIENT KILL TYPE normal SKIPME yes");
            breaks++;
        }
        uv_run(&two.loop.uv, UV_RUN_ONCE);
    }
    assert_true(breaks >= MANY / 1000 && breaks < 50);
    assert_int_equal(two.told->count, MANY + 1);
    REGISTRY_UNTIL(&two, two.up);
    assert_true(d->known);
    registry_put_soon(&one, "key:0", "{\"n\":1}");
    REGISTRY_UNTIL(&two, registry_has(&two, "key:0", "{\"n\":1}"));
    registry_owner_close(&one);
    registry_owner_close(&two);
}

/* Redis was emptied, and somebody without entries was quicker than who would write them back: that
 * is another registry, which all go by. */
static void test_another_registry(void **state)
{
    (void)state;
    registry_owner_open_empty(&one, with_copy("before"));
    registry_put_soon(&one, "key:a", "{}");
    say("FLUSHALL");
    registry_owner_open_empty(&two, with_copy("behind"));
    registry_put_soon(&two, "key:b", "{}");
    REGISTRY_UNTIL(&one, registry_has(&one, "key:b", "{}"));
    assert_true(registry_has(&one, "key:a", NULL));
    registry_owner_close(&one);
    registry_owner_close(&two);
}

/* Whether the copy of this name has the entry. */
static bool is_copied(const char *copy, const char *name)
{
    char path[128], why[512];
    struct weir_entries *entries;
    snprintf(path, sizeof(path), "%s/%s", server.folder, copy);
    assert_int_equal(weir_registry_file_read(path, &entries, why, sizeof(why)), WEIR_OK);
    bool has = weir_entries_find(entries, weir_str_z(name)) != NULL;
    weir_entries_let_go(entries);
    return has;
}

/* Another node has the same copy by mistake: they write it one at a time, and each in the end. */
static void test_copy_of_two(void **state)
{
    (void)state;
    char why[512];
    registry_owner_open_empty(&one, with_copy("shared"));
    const struct weir_registry *r = one.registry;
    registry_put_soon(&one, "key:first", "{}");
    REGISTRY_UNTIL(&one, !r->copy_due && r->copy_after == 0);
    int fd = weir_registry_file_lock(r->config->registry, why, sizeof(why));
    assert_true(fd >= 0);
    registry_put(&one, "key:second", "{}");
    REGISTRY_UNTIL(&one, r->copy_after > 0);
    assert_true(r->copy_due);
    assert_false(is_copied("shared", "key:second"));
    weir_registry_file_unlock(fd);
    REGISTRY_UNTIL(&one, !r->copy_due);
    assert_true(is_copied("shared", "key:second"));
    registry_owner_close(&one);
}

static void *wake_server(void *arg)
{
    (void)arg;
    usleep(600000); /* longer than the first polls */
    redis_server_continue(&server);
    return NULL;
}

/* A connection that takes its time is waited for. */
static void test_slow_start(void **state)
{
    (void)state;
    pthread_t waker;
    registry_owner_open_empty(&one, with_copy("one"));
    registry_put_soon(&one, "key:a", "{\"n\":1}");
    assert_true(redis_server_stop(&server));
    assert_int_equal(pthread_create(&waker, NULL, wake_server, NULL), 0);
    registry_owner_open(&two, with_copy("two"));
    pthread_join(waker, NULL);
    assert_true(registry_has(&two, "key:a", "{\"n\":1}"));
    registry_owner_close(&one);
    registry_owner_close(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading_goes_on),
        cmocka_unit_test(test_another_registry),
        cmocka_unit_test(test_copy_of_two),
        cmocka_unit_test(test_slow_start),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
