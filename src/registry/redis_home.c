/* SPDX-License-Identifier: Apache-2.0 */
/* redis_home.c - entries that live in Redis. One command is under way at a time: reading comes
 * before writing back, that before changes. From another server all is read again: a primary that
 * took another's place may have lost what was written last. */
#include "base/clock.h"
#include "base/mem.h"
#include "registry/internal.h"
#include "registry_lua.h"
#include "store/redis/answer.h"
#include "store/redis/command.h"

static const struct weir_str keys[] = {
    WEIR_STR_INIT("weir:{registry}:entries"), WEIR_STR_INIT("weir:{registry}:state"),
    WEIR_STR_INIT("weir:{registry}:changed"), WEIR_STR_INIT("weir:{registry}:gone")};

enum { KEYS = sizeof(keys) / sizeof(keys[0]), WORDS_MAX = 1100 };

/* ---- commands ---- */

/* To who serves the keys; NULL: nobody is known to. */
static struct weir_redis_conn *conn_of(const struct weir_registry *r)
{
    const struct weir_redis_shards *shards = r->redis.shards;
    struct weir_redis_shard *shard = shards == NULL ? NULL : weir_redis_shards_at(shards, keys[0]);
    return shard == NULL ? NULL : weir_redis_shard_conn(shard);
}

static bool put(struct weir_registry *r, enum registry_ask ask, const struct weir_str *word,
                unsigned words)
{
    struct weir_redis_conn *conn = conn_of(r);
    struct weir_buf *out = weir_redis_conn_begin(conn);
    if (out == NULL) {
        return false;
    }
    weir_redis_command(out, word, words);
    r->redis.asks = weir_redis_conn_end(conn, (uint8_t)ask, NULL, weir_clock_us());
    return r->redis.asks;
}

bool registry_redis_call(struct weir_registry *r, enum registry_ask ask,
                         const struct weir_str *word, unsigned words)
{
    struct weir_str all[3 + KEYS + WORDS_MAX] = {
        WEIR_STR("EVAL"), weir_str((const char *)registry_lua, sizeof(registry_lua)),
        WEIR_STR("4")};
    WEIR_ASSERT(words <= WORDS_MAX);
    memcpy(all + 3, keys, sizeof(keys));
    memcpy(all + 3 + KEYS, word, words * sizeof(word[0]));
    return put(r, ask, all, 3 + KEYS + words);
}

static void ask_version(struct weir_registry *r)
{
    const struct weir_str get[] = {WEIR_STR("HGET"), keys[1], WEIR_STR("version")};
    (void)put(r, ASK_VERSION, get, 3);
}

/* ---- what to do next ---- */

static bool is_lost(const struct weir_registry *r)
{
    return r->redis.version[0] == '\0' && r->entries->count > 0;
}

static bool write_down(struct weir_registry *r)
{
    const struct weir_entry_change *e = &r->turn->entry;
    const struct weir_str words[] = {WEIR_STR("write"), weir_str_z(r->redis.version), e->name,
                                     e->text.p == NULL ? WEIR_STR("") : e->text};
    return registry_redis_call(r, ASK_WRITE, words, 4);
}

void registry_redis_change(struct weir_registry *r)
{
    if (!r->redis.known || is_lost(r)) {
        registry_done(r, WEIR_REGISTRY_UNAVAILABLE,
                      "Redis is out of reach, or has lost the registry, which is written back; "
                      "nothing was changed");
    } else if (registry_make(r) && !write_down(r)) {
        registry_done(r, WEIR_REGISTRY_UNAVAILABLE, "Redis is out of reach; nothing was changed");
    }
}

/* Who serves the keys, while a connection is up; NULL: it is not. */
static const struct weir_redis_identity *server_of(const struct weir_registry *r)
{
    const struct weir_redis_conn *conn = conn_of(r);
    return conn != NULL && weir_redis_conn_is_up(conn) ? weir_redis_conn_identity(conn) : NULL;
}

static bool is_read_from(const struct weir_registry *r, const struct weir_redis_identity *server)
{
    return strcmp(server->text, r->redis.from.text) == 0;
}

/* All, or from a server that was read what is missing. */
static void read_from(struct weir_registry *r, const struct weir_redis_identity *server)
{
    struct registry_redis *d = &r->redis;
    bool same = is_read_from(r, server);
    d->from = *server;
    if (same && d->pages != NULL) {
        registry_read_go_on(r);
    } else {
        registry_read_begin(r, !same || d->version[0] == '\0');
    }
}

void registry_redis_poll(struct weir_registry *r)
{
    struct registry_redis *d = &r->redis;
    const struct weir_redis_identity *server = server_of(r);
    if (d->asks || server == NULL) {
        return;
    }
    if (!d->known || !is_read_from(r, server)) {
        read_from(r, server);
    } else if (is_lost(r) && d->wait == 0) {
        registry_restore(r);
    } else {
        d->wait -= d->wait > 0;
        ask_version(r);
    }
}

/* ---- answers ---- */

static bool is_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING;
}

/* A version that is none, or before the one that was read: all was written back. */
static bool is_anew(const struct weir_registry *r, const char *version)
{
    uint64_t now, read;
    return weir_str_u64(weir_str_z(version), UINT64_MAX, &now) != WEIR_OK ||
           weir_str_u64(weir_str_z(r->redis.version), UINT64_MAX, &read) != WEIR_OK || now < read;
}

static void on_version(struct weir_registry *r, const redisReply *reply)
{
    const char *now = is_text(reply) ? reply->str : "";
    registry_up(r);
    if (strcmp(now, r->redis.version) != 0) {
        registry_read_begin(r, is_anew(r, now));
    }
}

static void written(struct weir_registry *r, const redisReply *reply)
{
    struct weir_entries *with;
    if (weir_entries_with(r->entries, &r->turn->entry, 1, &with) != WEIR_OK) {
        r->redis.known = false; /* it is read again */
        registry_done(r, WEIR_REGISTRY_UNAVAILABLE, "out of memory; it may have been done");
        return;
    }
    snprintf(r->redis.version, sizeof(r->redis.version), "%s", reply->element[1]->str);
    registry_tell(r, with);
    registry_done(r, WEIR_REGISTRY_DONE, "");
}

static void on_write(struct weir_registry *r, const redisReply *reply)
{
    bool list =
        reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 && is_text(reply->element[0]);
    if (list && reply->elements == 2 && is_text(reply->element[1]) &&
        strlen(reply->element[1]->str) < REGISTRY_VERSION_MAX) {
        written(r, reply);
    } else if (list && reply->elements == 1) { /* others were quicker: it is made anew by what is
                                                * read now */
        registry_read_begin(r, false);
    } else {
        char why[200];
        struct weir_str words = reply->type == REDIS_REPLY_ERROR ? weir_redis_error_words(reply)
                                                                 : WEIR_STR("an odd answer");
        snprintf(why, sizeof(why), "Redis refuses it: %.*s", (int)words.len, words.p);
        registry_done(r, WEIR_REGISTRY_UNAVAILABLE, why);
    }
}

static void on_refused(struct weir_registry *r, const redisReply *error)
{
    char why[256];
    struct weir_str words = weir_redis_error_words(error);
    snprintf(why, sizeof(why), "Redis refuses to be asked for it: %.*s", (int)words.len, words.p);
    registry_down(r, why);
    registry_read_drop(r);
}

static const char *on_reply(void *ctx, uint8_t what, void *ptr, const redisReply *reply,
                            uint64_t sent_us)
{
    struct weir_registry *r = ctx;
    const char *useless = weir_redis_answer_breaks(reply) ? "takes no calls any more" : NULL;
    (void)ptr;
    (void)sent_us;
    r->redis.asks = false;
    if (reply->type == REDIS_REPLY_ERROR && what != ASK_WRITE) {
        on_refused(r, reply);
    } else if (what == ASK_VERSION) {
        on_version(r, reply);
    } else if (what == ASK_PAGE) {
        registry_read_page(r, reply);
    } else if (what == ASK_WRITE) {
        on_write(r, reply);
    } else {
        registry_restored(r, reply);
    }
    if (!r->closed) {
        registry_go_on(r);
    }
    return useless;
}

static void on_lost(void *ctx, uint8_t what, void *ptr)
{
    struct weir_registry *r = ctx;
    (void)ptr;
    r->redis.asks = false;
    if (what == ASK_WRITE) {
        r->redis.known = false; /* those that wait are refused */
        registry_done(
            r, WEIR_REGISTRY_UNAVAILABLE,
            "Redis has gone while it was asked: it is not known whether it was done; look "
            "before you try again");
    } else {
        registry_down(r, "Redis has gone while it was asked, or has nobody for it");
        registry_read_pause(r);
    }
    if (!r->closed) {
        registry_go_on(r); /* they are refused: who serves the keys may be up all the time */
    }
}

static void on_up(void *ctx)
{
    registry_redis_poll(ctx);
}

static void on_shard(void *ctx, struct weir_redis_shard *shard, bool up)
{
    struct weir_registry *r = ctx;
    if (weir_redis_shards_at(r->redis.shards, keys[0]) == shard) {
        r->redis.away = !up;
    }
}

/* Some shard is away: the others' matter is not this. */
static void on_down(void *ctx, enum weir_redis_why why, const char *text)
{
    struct weir_registry *r = ctx;
    struct weir_redis_conn *conn = conn_of(r);
    char said[512];
    (void)why;
    if (conn != NULL && (weir_redis_conn_is_up(conn) || !r->redis.away)) {
        return;
    }
    snprintf(said, sizeof(said), "Redis %s", text);
    registry_down(r, said);
    if (r->redis.asks) { /* who knows who will answer */
        registry_read_drop(r);
    } else {
        registry_read_pause(r);
    }
    if (!r->closed) {
        registry_go_on(r); /* they are refused */
    }
}

/* ---- its life ---- */

enum weir_err registry_redis_open(struct weir_registry *r, struct weir_loop *loop)
{
    char text[WEIR_REDIS_TLS_TEXT];
    const struct weir_redis_owner owner = {
        .ctx = r, .on_reply = on_reply, .on_lost = on_lost, .on_up = on_up, .on_down = on_down};
    enum weir_err err =
        weir_redis_shards_open(loop, r->config, &owner, on_shard, &r->redis.shards, text);
    if (err == WEIR_ERR_INVALID) {
        weir_log(WEIR_LOG_ERROR, "registry: %s", text);
    }
    return err;
}

void registry_redis_close(struct weir_registry *r)
{
    weir_entries_let_go(r->redis.pages);
    if (r->redis.shards != NULL) {
        weir_redis_shards_close(r->redis.shards);
        r->redis.shards = NULL;
    }
}
