/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis/greet.h"

#include <inttypes.h>

#include "store/redis/answer.h"
#include "store/redis/command.h"
#include "store/redis/over.h"

enum { VERSION_MIN = 5 };

bool redis_keeps_windows(const struct weir_redis_target *t)
{
    return t->part != WEIR_REDIS_NODE && t->part != WEIR_REDIS_SENTINEL;
}

enum redis_greeting redis_greeting_last(const struct weir_redis_target *t)
{
    return redis_keeps_windows(t) ? REDIS_SCRIPT : REDIS_INFO;
}

bool redis_greeting_command(struct weir_buf *b, const struct weir_redis_target *t,
                            enum redis_greeting what)
{
    char digits[16];
    struct weir_str word[3];
    unsigned n = 0;
    switch (what) {
    case REDIS_AUTH:
        if (t->password[0] == '\0') {
            return false;
        }
        word[n++] = WEIR_STR("AUTH");
        if (t->user[0] != '\0') {
            word[n++] = weir_str_z(t->user);
        }
        word[n++] = weir_str_z(t->password);
        break;
    case REDIS_SELECT:
        if (t->db == 0) {
            return false;
        }
        snprintf(digits, sizeof(digits), "%" PRIu32, t->db);
        word[n++] = WEIR_STR("SELECT");
        word[n++] = weir_str_z(digits);
        break;
    case REDIS_INFO:
        word[n++] = WEIR_STR("INFO");
        break;
    case REDIS_OVER_SCRIPT:
    case REDIS_SCRIPT:
        word[n++] = WEIR_STR("SCRIPT");
        word[n++] = WEIR_STR("LOAD");
        word[n++] = what == REDIS_SCRIPT ? weir_redis_script() : weir_redis_over_script();
        break;
    case REDIS_ASKING:
        return false;
    }
    weir_redis_command(b, word, n);
    return true;
}

struct weir_str redis_info_field(const redisReply *info, const char *name)
{
    size_t name_len = strlen(name);
    const char *end = info->str + info->len;
    for (const char *line = info->str; line < end;) {
        const char *eol = memchr(line, '\n', (size_t)(end - line));
        eol = eol == NULL ? end : eol;
        if ((size_t)(eol - line) > name_len && memcmp(line, name, name_len) == 0 &&
            line[name_len] == ':') {
            const char *value = line + name_len + 1;
            size_t len = (size_t)(eol - value);
            return weir_str(value, len > 0 && value[len - 1] == '\r' ? len - 1 : len);
        }
        line = eol < end ? eol + 1 : end;
    }
    return weir_str(info->str, 0);
}

static unsigned long leading_number(struct weir_str s)
{
    unsigned long n = 0;
    for (size_t i = 0; i < s.len && s.p[i] >= '0' && s.p[i] <= '9' && n < 1000000; i++) {
        n = n * 10 + (unsigned long)(s.p[i] - '0');
    }
    return n;
}

static struct weir_str or_nothing(struct weir_str value)
{
    return value.len > 0 ? value : WEIR_STR("not told");
}

static const char *kind_problem(const redisReply *info, enum weir_redis_part part)
{
    bool sentinel = weir_str_eq(redis_info_field(info, "redis_mode"), WEIR_STR("sentinel"));
    bool node = weir_str_eq(redis_info_field(info, "cluster_enabled"), WEIR_STR("1"));
    switch (part) {
    case WEIR_REDIS_SENTINEL:
        return sentinel ? NULL : "is no Sentinel: expected redis+sentinel://SENTINEL/SERVICE";
    case WEIR_REDIS_NODE:
    case WEIR_REDIS_SHARD:
        return sentinel ? "is a Sentinel: expected redis+sentinel://SENTINEL/SERVICE"
               : node   ? NULL
                      : "is no node of a Redis Cluster: expected redis://HOST for a single server";
    case WEIR_REDIS_SERVER:
    case WEIR_REDIS_PRIMARY:
        break;
    }
    return sentinel ? "is a Sentinel: expected redis+sentinel://SENTINEL/SERVICE"
           : node   ? "is a node of a Redis Cluster: expected redis+cluster://HOST"
                    : NULL;
}

/* NULL: it may be used. Else what is wrong; *ret_value is the value that is, or empty. */
static const char *info_problem(const redisReply *info, const struct weir_redis_target *target,
                                struct weir_str *ret_value)
{
    *ret_value = or_nothing(redis_info_field(info, "redis_version"));
    if (leading_number(*ret_value) < VERSION_MIN) {
        return "is too old: expected Redis 5 or later, or Valkey; it is ";
    }
    *ret_value = weir_str(info->str, 0);
    const char *problem = kind_problem(info, target->part);
    if (problem != NULL || !redis_keeps_windows(target)) {
        return problem;
    }
    *ret_value = or_nothing(redis_info_field(info, "maxmemory_policy"));
    if (!weir_str_eq(*ret_value, WEIR_STR("noeviction"))) {
        return "would evict usage that limits depend on: expected maxmemory-policy noeviction, "
               "it is ";
    }
    *ret_value = weir_str(info->str, 0);
    struct weir_redis_identity identity;
    return weir_redis_identity_read(info, &identity)
               ? NULL
               : "does not say which primary it is: expected run_id and master_replid in INFO";
}

/* One that was named a moment ago may have been replaced meanwhile: whoever named it is asked
 * again. */
static bool is_replica(const redisReply *info, const struct weir_redis_target *target,
                       enum weir_redis_why *ret_why)
{
    *ret_why = target->part == WEIR_REDIS_SERVER ? WEIR_REDIS_REFUSED : WEIR_REDIS_OUT_OF_REACH;
    return redis_keeps_windows(target) &&
           weir_str_eq(redis_info_field(info, "role"), WEIR_STR("slave"));
}

static void say(char text[static REDIS_WHY_BYTES], const char *what, struct weir_str value)
{
    snprintf(text, REDIS_WHY_BYTES, "%s%.*s", what, (int)(value.len < 100 ? value.len : 100),
             value.p);
}

static bool is_passing(const redisReply *error)
{
    struct weir_str words = weir_redis_error_words(error);
    return weir_str_starts(words, WEIR_STR("LOADING")) ||
           weir_str_starts(words, WEIR_STR("MASTERDOWN")) ||
           weir_str_starts(words, WEIR_STR("BUSY"));
}

/* Of what AUTH gets only the code is said: an unknown command is answered with its words. */
static void say_auth(char text[static REDIS_WHY_BYTES], struct weir_str words)
{
    if (weir_str_starts(words, WEIR_STR("ERR AUTH <password> called without any password")) ||
        weir_str_starts(words, WEIR_STR("ERR Client sent AUTH, but no password is set"))) {
        say(text, "has no password: expected redis://HOST without one", WEIR_STR(""));
        return;
    }
    const char *space = words.len == 0 ? NULL : memchr(words.p, ' ', words.len);
    say(text, "refuses the user or password: ",
        space == NULL ? WEIR_STR("ERR") : weir_str(words.p, (size_t)(space - words.p)));
}

static bool check_info(const struct weir_redis_target *target, const redisReply *reply,
                       enum weir_redis_why *ret_why, char ret_text[static REDIS_WHY_BYTES])
{
    struct weir_str value = WEIR_STR("");
    const char *problem = reply->type == REDIS_REPLY_STRING ? info_problem(reply, target, &value)
                                                            : "does not answer INFO as Redis does";
    if (problem == NULL && is_replica(reply, target, ret_why)) {
        problem = "is a replica: expected the primary";
    }
    if (problem != NULL) {
        say(ret_text, problem, value);
    }
    return problem == NULL;
}

/* A Sentinel may have no password where its Redis has one: then it does as it is asked. */
static bool is_forgiven(const struct weir_redis_target *target, enum redis_greeting what)
{
    return target->part == WEIR_REDIS_SENTINEL && what == REDIS_AUTH;
}

bool redis_greeting_check(const struct weir_redis_target *target, enum redis_greeting what,
                          const redisReply *reply, enum weir_redis_why *ret_why,
                          char ret_text[static REDIS_WHY_BYTES])
{
    static const char *const refusals[] = {
        [REDIS_SELECT - REDIS_SELECT] = "refuses the database: ",
        [REDIS_INFO - REDIS_SELECT] = "refuses INFO: ",
        [REDIS_OVER_SCRIPT - REDIS_SELECT] = "refuses SCRIPT LOAD: ",
        [REDIS_SCRIPT - REDIS_SELECT] = "refuses SCRIPT LOAD: ",
    };
    *ret_why = WEIR_REDIS_REFUSED;
    if (reply->type == REDIS_REPLY_ERROR && !is_forgiven(target, what)) {
        struct weir_str words = weir_redis_error_words(reply);
        if (is_passing(reply)) {
            *ret_why = WEIR_REDIS_OUT_OF_REACH;
            say(ret_text, "is not ready: ", words);
        } else if (what == REDIS_AUTH) {
            say_auth(ret_text, words);
        } else if (what == REDIS_INFO && target->password[0] == '\0' &&
                   weir_str_starts(words, WEIR_STR("NOAUTH"))) {
            say(ret_text, "wants a password: expected redis://USER:PASSWORD@HOST", WEIR_STR(""));
        } else {
            say(ret_text, refusals[what - REDIS_SELECT], words);
        }
        return false;
    }
    return what != REDIS_INFO || check_info(target, reply, ret_why, ret_text);
}
