/* SPDX-License-Identifier: Apache-2.0 */
/* redis_sentinel.h - a primary, its replica and the Sentinel that watches them as `limits`, all
 * with the password pw. Include after cmocka.h. */
#ifndef WEIR_TESTS_SUPPORT_REDIS_SENTINEL_H
#define WEIR_TESTS_SUPPORT_REDIS_SENTINEL_H

#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "support/redis_server.h"

struct sentinel_set {
    struct redis_server primary, replica, sentinel;
};

/* of: whom it follows; itself: nobody. */
static inline bool sentinel_set_server(struct redis_server *s, const struct redis_server *of)
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
static inline bool sentinel_set_sentinel(struct sentinel_set *set)
{
    char path[128], port[8];
    set->sentinel.port = redis_server_free_port();
    snprintf(port, sizeof(port), "%u", set->sentinel.port);
    if (!redis_server_folder(&set->sentinel)) {
        return false;
    }
    snprintf(path, sizeof(path), "%s/sentinel.conf", set->sentinel.folder);
    FILE *file = fopen(path, "we");
    fprintf(file,
            "sentinel monitor limits 127.0.0.1 %u 1\n"
            "sentinel auth-pass limits pw\n"
            "sentinel down-after-milliseconds limits 30000\n" /* a busy one is not down */
            "sentinel failover-timeout limits 2000\n",
            set->primary.port);
    fclose(file);
    const char *const args[] = {"redis-server", path,     "--sentinel", "--port",
                                port,           "--bind", "127.0.0.1",  NULL};
    return redis_server_run(&set->sentinel, args, "+monitor master");
}

static inline bool sentinel_set_says(unsigned port, const char *command, const char *text)
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

static inline void sentinel_set_until(unsigned port, const char *command, const char *text)
{
    uint64_t until_us = weir_clock_us() + 30000000;
    while (!sentinel_set_says(port, command, text)) {
        assert_true(weir_clock_us() < until_us);
        usleep(20000);
    }
}

static inline bool sentinel_set_start(struct sentinel_set *set)
{
    if (!sentinel_set_server(&set->primary, &set->primary) ||
        !sentinel_set_server(&set->replica, &set->primary)) {
        return false;
    }
    sentinel_set_until(set->replica.port, "INFO replication", "master_link_status:up");
    if (!sentinel_set_sentinel(set)) {
        return false;
    }
    sentinel_set_until(set->sentinel.port, "INFO sentinel", "slaves=1");
    return true;
}

/* The primary is gone, and its replica soon takes its place. */
static inline void sentinel_set_kill_primary(struct sentinel_set *set)
{
    assert_true(sentinel_set_says(set->sentinel.port,
                                  "SENTINEL SET limits down-after-milliseconds 400", "OK"));
    redis_server_end(&set->primary, SIGKILL);
}

static inline void sentinel_set_remove(struct sentinel_set *set)
{
    redis_server_remove(&set->sentinel);
    redis_server_remove(&set->replica);
    redis_server_remove(&set->primary);
}

#endif
