/* SPDX-License-Identifier: Apache-2.0 */
/* registry.lua in a real Redis: what it makes of parts that were lost, and of nodes that write the
 * registry back at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "base/mem.h"
#include "support/redis_server.h"

#define KEYS  "weir:{registry}:entries", STATE, "weir:{registry}:changed", "weir:{registry}:gone"
#define STATE "weir:{registry}:state"

enum { WORDS_MAX = 16, SCRIPT_MAX = 16384 };

static struct redis_server server;
static redisContext *redis;
static char script[SCRIPT_MAX];

static int start(void **state)
{
    (void)state;
    FILE *file = fopen(WEIR_SOURCE_DIR "/src/registry/registry.lua", "re");
    if (file == NULL || fread(script, 1, sizeof(script) - 1, file) == 0 ||
        !redis_server_start(&server, "noeviction")) {
        return -1;
    }
    fclose(file);
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

static int empty(void **state)
{
    (void)state;
    freeReplyObject(redisCommand(redis, "FLUSHALL"));
    return 0;
}

/* The elements of the answer with spaces between; an error's words. It lives until the next one. */
static const char *ask(const char *const *word, int words)
{
    static char text[512];
    size_t len = 0;
    redisReply *r = redisCommandArgv(redis, words, (const char **)(uintptr_t)word, NULL);
    assert_non_null(r);
    text[0] = '\0';
    if (r->type == REDIS_REPLY_ERROR || r->type == REDIS_REPLY_STRING) {
        snprintf(text, sizeof(text), "%s", r->str);
    }
    for (size_t i = 0; i < r->elements && len < sizeof(text); i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, i > 0 ? " %s" : "%s",
                                r->element[i]->str);
    }
    freeReplyObject(r);
    return text;
}

#define ASK(...)                                                                                   \
    ask((const char *const[]){__VA_ARGS__},                                                        \
        (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))
#define CALL(...) ASK("EVAL", script, "4", KEYS, __VA_ARGS__)

/* The version that it has. */
static const char *version(void)
{
    static char text[32];
    snprintf(text, sizeof(text), "%s", ASK("HGET", STATE, "version"));
    return text;
}

static void write_entry(const char *name, const char *text)
{
    char before[32];
    snprintf(before, sizeof(before), "%s", version());
    assert_memory_equal(CALL("write", before, name, text), "1 ", 2);
    assert_string_not_equal(version(), before);
}

static void check_read(const char *expected)
{
    assert_non_null(strstr(CALL("read", "0", "1000"), expected));
}

/* ---- what is lost of it ---- */

static void test_lost_parts(void **state)
{
    (void)state;
    static const char *const part[] = {"weir:{registry}:entries", "weir:{registry}:changed",
                                       "weir:{registry}:gone"};
    static const char lost[] = "ERR parts of the registry are lost; ";
    for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
        char known[32];
        empty(state);
        write_entry("key:a", "{\"n\":1}");
        write_entry("key:b", "{\"n\":2}");
        write_entry("key:b", "");
        snprintf(known, sizeof(known), "%s", version());
        freeReplyObject(redisCommand(redis, "DEL %s", part[i]));
        assert_non_null(strstr(CALL("read", "0", "1000"), lost));
        assert_non_null(strstr(CALL("write", known, "key:c", "{}"), lost));
        assert_string_equal(version(), known);
    }
    /* the first two at once, where nothing was deleted */
    empty(state);
    write_entry("key:a", "{}");
    freeReplyObject(redisCommand(redis, "DEL %s %s", part[0], part[1]));
    assert_non_null(strstr(CALL("read", "0", "1000"), lost));
    /* a node may write it back when the state is gone, too */
    freeReplyObject(redisCommand(redis, "DEL %s", STATE));
    assert_string_equal(CALL("restore", "one", "1", "1", "key:a", "{\"n\":1}"), "1");
    check_read("key:a {\"n\":1}");
}

static void test_counts(void **state)
{
    (void)state;
    write_entry("key:a", "{}");
    write_entry("key:a", "{\"n\":1}");
    write_entry("key:none", ""); /* nobody had it */
    write_entry("key:b", "{}");
    write_entry("key:b", "");
    write_entry("key:b", "{\"n\":2}"); /* and again */
    write_entry("key:a", "");
    check_read("key:b {\"n\":2}");
}

/* ---- writing back ---- */

/* As if the last batch had come so long ago. */
static void be_silent(const char *us)
{
    freeReplyObject(redisCommand(redis, "HSET %s since %s", STATE, us));
}

static void test_one_writes_back(void **state)
{
    (void)state;
    char since[32];
    assert_string_equal(CALL("restore", "one", "1", "0", "key:a", "{}"), "1");
    assert_string_equal(CALL("restore", "two", "1", "1", "key:z", "{}"), "0");
    assert_string_equal(CALL("write", "", "key:z", "{}"), "0");
    be_silent("1000000");
    assert_string_equal(CALL("restore", "two", "1", "0", "key:b", "{}"), "1");
    assert_string_equal(CALL("restore", "one", "2", "1", "key:c", "{}"), "0");
    snprintf(since, sizeof(since), "%s", ASK("HGET", STATE, "since"));
    assert_string_not_equal(since, "1000000");
    assert_string_equal(CALL("restore", "two", "2", "1", "key:c", "{}"), "1");
    assert_string_equal(ASK("HGET", STATE, "since"), "");
    check_read("key:b {} 1 key:c {} 2");
    assert_string_equal(CALL("restore", "three", "1", "1", "key:z", "{}"), "0");
}

/* Who had begun has gone, and nobody has entries to write back. */
static void test_left_half(void **state)
{
    (void)state;
    assert_string_equal(CALL("restore", "one", "1", "0", "key:a", "{}"), "1");
    be_silent("99999999999999999"); /* a clock that was set back */
    write_entry("key:z", "{\"n\":1}");
    check_read(" key:z {\"n\":1}");
    assert_string_equal(CALL("read", version(), "1000") + strlen(version()) + 1, version());
    assert_string_equal(CALL("restore", "one", "2", "1", "key:c", "{}"), "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_lost_parts, empty),
        cmocka_unit_test_setup(test_counts, empty),
        cmocka_unit_test_setup(test_one_writes_back, empty),
        cmocka_unit_test_setup(test_left_half, empty),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
