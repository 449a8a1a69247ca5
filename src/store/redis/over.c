/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis/over.h"

#include <inttypes.h>
#include <pthread.h>

#include "over_lua.h" /* made of over.lua by CMake: over_lua[] */
#include "store/redis/answer.h"
#include "store/redis/command.h"
#include "store/redis/greet.h"

enum {
    NUMBER_BYTES = 24,
    KEY_BYTES = sizeof("weir:{1234567}:primary"),
    SHARD_WORDS = 5, /* EVAL, the script, 2, and two keys */
    LIVING_MAX = 1 << 20,
};

static struct weir_str number(uint64_t value, char buf[static NUMBER_BYTES])
{
    int len = snprintf(buf, NUMBER_BYTES, "%" PRIu64, value);
    return weir_str(buf, (size_t)len);
}

static pthread_once_t hashed = PTHREAD_ONCE_INIT;
static char sha[40];

static void hash_script(void)
{
    weir_redis_sha(weir_redis_over_script(), sha);
}

static struct weir_str script_sha(void)
{
    pthread_once(&hashed, hash_script);
    return weir_str(sha, sizeof(sha));
}

struct weir_str weir_redis_over_script(void)
{
    return weir_str((const char *)over_lua, sizeof(over_lua));
}

/* ---- what a shard's data says of primaries and processes ---- */

/* An EVALSHA with the shard's two keys, the operation, the process and what follows them. */
static void shard_command(struct weir_buf *b, const char *tag, struct weir_str operation,
                          uint64_t process_id, const struct weir_str *more, unsigned count)
{
    char primary[KEY_BYTES], beats[KEY_BYTES], process[NUMBER_BYTES];
    struct weir_str word[SHARD_WORDS + 5];
    unsigned n = 0;
    WEIR_ASSERT(strlen(tag) < WEIR_REDIS_TAG_BYTES && count <= 3);
    snprintf(primary, sizeof(primary), "weir:{%s}:primary", tag);
    snprintf(beats, sizeof(beats), "weir:{%s}:beats", tag);
    snprintf(process, sizeof(process), "%016" PRIx64, process_id);
    word[n++] = WEIR_STR("EVALSHA");
    word[n++] = script_sha();
    word[n++] = WEIR_STR("2");
    word[n++] = weir_str_z(primary);
    word[n++] = weir_str_z(beats);
    word[n++] = operation;
    word[n++] = weir_str_z(process);
    for (unsigned i = 0; i < count; i++) {
        word[n++] = more[i];
    }
    weir_redis_command(b, word, n);
}

void weir_redis_enter_command(struct weir_buf *b, const char *tag, uint64_t process_id)
{
    shard_command(b, tag, WEIR_STR("enter"), process_id, NULL, 0);
}

void weir_redis_beat_command(struct weir_buf *b, const char *tag, uint64_t process_id,
                             uint64_t beat, const struct weir_redis_identity *identity, bool accept)
{
    char digits[NUMBER_BYTES];
    WEIR_ASSERT(beat <= (uint64_t)WEIR_REDIS_BEAT_MAX);
    const struct weir_str more[] = {number(beat, digits), weir_str_z(identity->text),
                                    accept ? WEIR_STR("1") : WEIR_STR("0")};
    shard_command(b, tag, WEIR_STR("beat"), process_id, more, 3);
}

void weir_redis_leave_command(struct weir_buf *b, const char *tag, uint64_t process_id)
{
    shard_command(b, tag, WEIR_STR("leave"), process_id, NULL, 0);
}

/* ---- charging again ---- */

void weir_redis_merge_command(struct weir_buf *b, const struct weir_subject *subject,
                              struct weir_clock_bounds clock, uint64_t since_us,
                              struct weir_str record)
{
    char key[WEIR_REDIS_KEY_MAX], plan[WEIR_REDIS_PLAN_MAX];
    char low[NUMBER_BYTES], high[NUMBER_BYTES], since[NUMBER_BYTES];
    const struct weir_str word[] = {
        WEIR_STR("EVALSHA"),
        script_sha(),
        WEIR_STR("1"),
        weir_redis_key(subject, key),
        WEIR_STR("merge"),
        number(clock.low_us, low),
        number(clock.high_us, high),
        number(since_us, since),
        weir_redis_plan(subject->plan, plan),
        record,
    };
    weir_redis_command(b, word, sizeof(word) / sizeof(word[0]));
}

/* ---- identities ---- */

static bool is_hex(const char *p)
{
    for (unsigned i = 0; i < WEIR_REDIS_ID_DIGITS; i++) {
        bool digit = (p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f');
        if (!digit) {
            return false;
        }
    }
    return true;
}

static bool take_identity(struct weir_str s, struct weir_redis_identity *ret_identity)
{
    if (s.len != sizeof(ret_identity->text) - 1 || !is_hex(s.p) ||
        s.p[WEIR_REDIS_ID_DIGITS] != ':' || !is_hex(s.p + WEIR_REDIS_ID_DIGITS + 1)) {
        return false;
    }
    memcpy(ret_identity->text, s.p, s.len);
    ret_identity->text[s.len] = '\0';
    return true;
}

bool weir_redis_identity_read(const redisReply *info, struct weir_redis_identity *ret_identity)
{
    if (info->type != REDIS_REPLY_STRING) {
        return false;
    }
    char text[sizeof(ret_identity->text)];
    struct weir_str run = redis_info_field(info, "run_id");
    struct weir_str replication = redis_info_field(info, "master_replid");
    if (run.len != WEIR_REDIS_ID_DIGITS || replication.len != WEIR_REDIS_ID_DIGITS) {
        return false;
    }
    memcpy(text, run.p, run.len);
    text[run.len] = ':';
    memcpy(text + run.len + 1, replication.p, replication.len);
    struct weir_str former = redis_info_field(info, "master_replid2");
    static const char none[] = "0000000000000000000000000000000000000000";
    bool has_former = former.len == WEIR_REDIS_ID_DIGITS && is_hex(former.p) &&
                      memcmp(former.p, none, WEIR_REDIS_ID_DIGITS) != 0;
    snprintf(ret_identity->former, sizeof(ret_identity->former), "%.*s",
             has_former ? (int)former.len : 0, former.p);
    return take_identity(weir_str(text, sizeof(text) - 1), ret_identity);
}

bool weir_redis_identity_is_told(const char *identity, const redisReply *info)
{
    return info->type == REDIS_REPLY_STRING && strlen(identity) > WEIR_REDIS_ID_DIGITS + 1 &&
           weir_str_eq(redis_info_field(info, "master_replid"),
                       weir_str_z(identity + WEIR_REDIS_ID_DIGITS + 1));
}

/* ---- answers ---- */

enum { CODE, CLOCK, REST }; /* the elements of an answer to beat and merge */
enum { ACCEPTED, BEAT, ENTER_CLOCK, ENTER_ELEMENTS };
enum { OTHER = 0, DONE = 1, OTHER_PLAN = 2 };

static bool is_number(const redisReply *r, int64_t low, int64_t high)
{
    return r->type == REDIS_REPLY_INTEGER && r->integer >= low && r->integer <= high;
}

static bool is_clock(const redisReply *r)
{
    return is_number(r, 0, (int64_t)WEIR_CLOCK_US_MAX);
}

/* {code, clock}, and one more element only where the code is DONE. */
static bool has_head(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements >= REST &&
           is_number(reply->element[CODE], OTHER, OTHER_PLAN) && is_clock(reply->element[CLOCK]) &&
           reply->elements == REST + (reply->element[CODE]->integer == DONE);
}

bool weir_redis_answer_enter(const redisReply *reply, struct weir_redis_entered *ret_entered)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != ENTER_ELEMENTS ||
        reply->element[ACCEPTED]->type != REDIS_REPLY_STRING ||
        !is_number(reply->element[BEAT], -1, WEIR_REDIS_BEAT_MAX) ||
        !is_clock(reply->element[ENTER_CLOCK])) {
        return false;
    }
    const redisReply *accepted = reply->element[ACCEPTED];
    *ret_entered = (struct weir_redis_entered){
        .has_accepted = accepted->len > 0,
        .beat = reply->element[BEAT]->integer,
        .clock_us = (uint64_t)reply->element[ENTER_CLOCK]->integer,
    };
    return accepted->len == 0 ||
           take_identity(weir_str(accepted->str, (size_t)accepted->len), &ret_entered->accepted);
}

bool weir_redis_answer_beat(const redisReply *reply, struct weir_redis_beaten *ret_beaten)
{
    if (!has_head(reply) || reply->element[CODE]->integer == OTHER_PLAN) {
        return false;
    }
    *ret_beaten = (struct weir_redis_beaten){
        .accepted = reply->element[CODE]->integer == DONE,
        .clock_us = (uint64_t)reply->element[CLOCK]->integer,
    };
    if (!ret_beaten->accepted) {
        return true;
    }
    const redisReply *living = reply->element[REST];
    ret_beaten->living = (uint32_t)living->integer;
    return is_number(living, 1, LIVING_MAX);
}

bool weir_redis_answer_merge(const redisReply *reply, struct weir_redis_merged *ret_merged)
{
    if (!has_head(reply) || reply->element[CODE]->integer == OTHER) {
        return false;
    }
    *ret_merged = (struct weir_redis_merged){
        .merged = reply->element[CODE]->integer == DONE,
        .clock_us = (uint64_t)reply->element[CLOCK]->integer,
    };
    if (!ret_merged->merged) {
        return true;
    }
    ret_merged->value = reply->element[REST];
    return weir_redis_answer_is_value(ret_merged->value);
}
