/* SPDX-License-Identifier: Apache-2.0 */
/* shards_owner.h - who owns shards and counts what comes back. Include after cmocka.h. */
#ifndef WEIR_TESTS_SUPPORT_SHARDS_OWNER_H
#define WEIR_TESTS_SUPPORT_SHARDS_OWNER_H

#include "base/clock.h"
#include "store/redis/command.h"
#include "store/redis/shards.h"

enum { OWNER_KIND = 7, OWNER_WAIT_US = 30000000 };

struct shards_owner {
    struct weir_loop loop;
    uv_timer_t wake; /* so that waiting ends */
    struct weir_config *config;
    struct weir_redis_shards *shards;
    unsigned ups, downs, answered, lost;
    enum weir_redis_why why;
    char text[512];   /* of the last that was down; then why a store cannot be opened */
    char answer[256]; /* the last one */
    bool close_on_lost;
    /* called for each answer and each loss; NULL: nobody */
    void (*on_end)(struct shards_owner *o, uint8_t what, void *ptr, bool answered);
};

static inline const char *owner_reply(void *ctx, uint8_t what, void *ptr, const redisReply *reply,
                                      uint64_t sent_us)
{
    struct shards_owner *o = ctx;
    assert_true(sent_us <= weir_clock_us());
    o->answered++;
    snprintf(o->answer, sizeof(o->answer), "%s",
             reply->type == REDIS_REPLY_INTEGER ? "integer"
             : reply->str == NULL               ? ""
                                                : reply->str);
    if (o->on_end != NULL) {
        o->on_end(o, what, ptr, true);
    }
    return NULL;
}

static inline void owner_lost(void *ctx, uint8_t what, void *ptr)
{
    struct shards_owner *o = ctx;
    o->lost++;
    if (o->close_on_lost && o->shards != NULL) {
        weir_redis_shards_close(o->shards);
        o->shards = NULL;
    }
    if (o->on_end != NULL) {
        o->on_end(o, what, ptr, false);
    }
}

static inline void owner_up(void *ctx)
{
    struct shards_owner *o = ctx;
    assert_true(o->shards == NULL || weir_redis_shards_are_up(o->shards));
    o->ups++;
}

static inline void owner_down(void *ctx, enum weir_redis_why why, const char *text)
{
    struct shards_owner *o = ctx;
    o->downs++;
    o->why = why;
    snprintf(o->text, sizeof(o->text), "%s", text);
}

static inline void owner_wake(uv_timer_t *timer)
{
    (void)timer;
}

static inline enum weir_err owner_try_open(struct shards_owner *o, const char *yaml)
{
    struct weir_config_error error;
    const struct weir_redis_owner owner = {.ctx = o,
                                           .on_reply = owner_reply,
                                           .on_lost = owner_lost,
                                           .on_up = owner_up,
                                           .on_down = owner_down};
    if (weir_config_parse(weir_str_z(yaml), NULL, &o->config, &error) != WEIR_OK) {
        fail_msg("%u:%u %s", error.line, error.column, error.text);
    }
    assert_int_equal(weir_loop_init(&o->loop), WEIR_OK);
    uv_timer_init(&o->loop.uv, &o->wake);
    uv_timer_start(&o->wake, owner_wake, 5, 5);
    return weir_redis_shards_open(&o->loop, o->config, &owner, NULL, &o->shards, o->text);
}

/* A busy test machine must not look like an outage, unless `more` says so. */
static inline void owner_open(struct shards_owner *o, const char *url, const char *more)
{
    char yaml[2048];
    snprintf(yaml, sizeof(yaml), "store: %s\nstore_connect_timeout_ms: 10000\n%s\n", url,
             more != NULL ? more : "store_timeout_ms: 5000");
    *o = (struct shards_owner){0};
    assert_int_equal(owner_try_open(o, yaml), WEIR_OK);
}

static inline void owner_close(struct shards_owner *o)
{
    if (o->shards != NULL) {
        weir_redis_shards_close(o->shards);
        o->shards = NULL;
    }
    uv_close((uv_handle_t *)&o->wake, NULL);
    weir_loop_deinit(&o->loop);
    weir_config_free(o->config);
    o->config = NULL;
}

static inline void owner_turn(struct shards_owner *o)
{
    uv_run(&o->loop.uv, UV_RUN_ONCE);
}

#define OWNER_UNTIL(o, condition)                                                                  \
    do {                                                                                           \
        uint64_t owner_until_us = weir_clock_us() + OWNER_WAIT_US;                                 \
        while (!(condition)) {                                                                     \
            if (weir_clock_us() > owner_until_us) {                                                \
                fail_msg("never: %s (down: %s)", #condition, (o)->text);                           \
            }                                                                                      \
            owner_turn(o);                                                                         \
        }                                                                                          \
    } while (0)

/* A command about a key, which is its second word. False: nobody serves it now. */
static inline bool owner_send(struct shards_owner *o, const struct weir_str *word, unsigned words,
                              void *ptr)
{
    struct weir_redis_shard *shard = weir_redis_shards_at(o->shards, word[1]);
    struct weir_redis_conn *conn = shard == NULL ? NULL : weir_redis_shard_conn(shard);
    struct weir_buf *out = weir_redis_conn_begin(conn);
    if (out == NULL) {
        return false;
    }
    weir_redis_command(out, word, words);
    return weir_redis_conn_end(conn, OWNER_KIND, ptr, weir_clock_us());
}

static inline bool owner_say(struct shards_owner *o, const char *verb, const char *key,
                             const char *value)
{
    const struct weir_str words[] = {weir_str_z(verb), weir_str_z(key),
                                     weir_str_z(value == NULL ? "" : value)};
    return owner_send(o, words, value == NULL ? 2 : 3, NULL);
}

/* The answer to a command that must be answered; it lives until the next one. */
static inline const char *owner_ask(struct shards_owner *o, const char *verb, const char *key,
                                    const char *value)
{
    unsigned answered = o->answered, lost = o->lost;
    assert_true(owner_say(o, verb, key, value));
    OWNER_UNTIL(o, o->answered + o->lost > answered + lost);
    assert_int_equal(o->lost, lost);
    return o->answer;
}

#endif
