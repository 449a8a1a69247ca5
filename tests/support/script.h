/* SPDX-License-Identifier: Apache-2.0 */
/* script.h - charge.lua in a real Redis, called at moments that the test chooses. Include after
 * cmocka.h. */
#ifndef WEIR_TESTS_SUPPORT_SCRIPT_H
#define WEIR_TESTS_SUPPORT_SCRIPT_H

#include <hiredis/hiredis.h>
#include <stdarg.h>

#include "base/mem.h"
#include "store/redis/command.h"
#include "store/redis/over.h"
#include "support/redis_server.h"

struct fixture {
    struct redis_server server;
    redisContext *redis;
    char sha[40];
};

static inline bool script_load(struct fixture *f, struct weir_str script)
{
    redisReply *r = redisCommand(f->redis, "SCRIPT LOAD %b", script.p, script.len);
    bool loaded = r != NULL && r->type == REDIS_REPLY_STRING;
    freeReplyObject(r);
    return loaded;
}

static inline int start(void **state)
{
    struct fixture *f = weir_zalloc(sizeof(*f));
    *state = f;
    if (f == NULL || !redis_server_start(&f->server, "noeviction")) {
        return -1;
    }
    f->redis = redisConnectUnix(f->server.socket);
    weir_redis_script_sha(f->sha);
    return script_load(f, weir_redis_script()) && script_load(f, weir_redis_over_script()) ? 0 : -1;
}

static inline int stop(void **state)
{
    struct fixture *f = *state;
    redisFree(f->redis);
    redis_server_remove(&f->server);
    weir_free(f);
    return 0;
}

/* Sends the command, frees its bytes, and gives the answer, which is no error. */
static inline redisReply *answer_of(struct fixture *f, struct weir_buf *b)
{
    void *reply = NULL;
    redisAppendFormattedCommand(f->redis, b->data, b->len);
    assert_int_equal(redisGetReply(f->redis, &reply), REDIS_OK);
    weir_buf_deinit(b);
    redisReply *r = reply;
    if (r->type == REDIS_REPLY_ERROR) {
        fail_msg("%s", r->str);
    }
    return r;
}

static inline redisReply *call(struct fixture *f, const struct weir_redis_charge *charge)
{
    struct weir_buf b;
    weir_buf_init(&b, 1 << 20);
    weir_redis_charge_command(&b, f->sha, charge);
    return answer_of(f, &b);
}

/* A command whose answer says nothing. */
static inline void done(struct fixture *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = redisvCommand(f->redis, format, args);
    va_end(args);
    assert_non_null(r);
    assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
    freeReplyObject(r);
}

static inline long long number_of(struct fixture *f, const char *command)
{
    redisReply *r = redisCommand(f->redis, command);
    assert_int_equal(r->type, REDIS_REPLY_INTEGER);
    long long number = r->integer;
    freeReplyObject(r);
    return number;
}

static inline struct weir_clock_bounds exactly(uint64_t now_us)
{
    return (struct weir_clock_bounds){now_us, now_us};
}

#endif
