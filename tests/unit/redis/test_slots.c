/* SPDX-License-Identifier: Apache-2.0 */
/* Hash slots, and what a cluster and a Sentinel say about who serves them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "store/redis/slots.h"
#include "support/resp.h"

static const struct weir_redis_host asked = {"asked", 1};

/* ---- slots ---- */

static void test_slot(void **state)
{
    (void)state;
    /* CRC16's check value, and those of the cluster specification and of CLUSTER KEYSLOT */
    assert_int_equal(weir_redis_slot(WEIR_STR("123456789")), 0x31c3);
    assert_int_equal(weir_redis_slot(WEIR_STR("foo")), 12182);
    assert_int_equal(weir_redis_slot(WEIR_STR("")), 0);
    assert_int_equal(weir_redis_slot(WEIR_STR("weir:{foo}")), 12182);
    assert_int_equal(weir_redis_slot(WEIR_STR("weir:{foo}:key:a")), 12182);
    assert_int_equal(weir_redis_slot(WEIR_STR("{foo}{bar}")), 12182);
    assert_int_equal(weir_redis_slot(WEIR_STR("}{foo}")), 12182);
    uint16_t open = weir_redis_slot(WEIR_STR("{foo"));
    assert_int_not_equal(open, 12182);
    assert_int_equal(weir_redis_slot(WEIR_STR("foo{}{bar}")), 8363);
    assert_int_equal(weir_redis_slot(WEIR_STR("foo{{bar}}zap")), weir_redis_slot(WEIR_STR("{bar")));
    assert_int_not_equal(weir_redis_slot(WEIR_STR("a{")), weir_redis_slot(WEIR_STR("a")));
    assert_int_equal(weir_redis_slot(WEIR_STR("{\xff\x00\x80}")),
                     weir_redis_slot(WEIR_STR("\xff\x00\x80")));
}

/* Every slot has a text of its own, which is the first: no earlier number has the slot. */
static void test_tags(void **state)
{
    (void)state;
    static uint32_t first[WEIR_REDIS_SLOTS];
    unsigned found = 0;
    char text[16];
    memset(first, 0xff, sizeof(first));
    for (uint32_t n = 0; found < WEIR_REDIS_SLOTS; n++) {
        assert_true(n < 1000000);
        snprintf(text, sizeof(text), "%" PRIu32, n);
        uint32_t *slot = &first[weir_redis_slot(weir_str_z(text))];
        found += *slot == UINT32_MAX;
        *slot = *slot == UINT32_MAX ? n : *slot;
    }
    /* some of them: each is a search from 0 on */
    for (unsigned slot = 0; slot < WEIR_REDIS_SLOTS; slot += slot < 10 ? 1 : 97) {
        char tag[WEIR_REDIS_TAG_BYTES];
        weir_redis_slot_tag(slot, tag);
        snprintf(text, sizeof(text), "%" PRIu32, first[slot]);
        assert_string_equal(tag, text);
    }
    char last[WEIR_REDIS_TAG_BYTES], key[32];
    weir_redis_slot_tag(WEIR_REDIS_SLOTS - 1, last);
    snprintf(key, sizeof(key), "weir:{%s}:primary", last);
    assert_int_equal(weir_redis_slot(weir_str_z(key)), WEIR_REDIS_SLOTS - 1);
}

/* ---- replies, written down as nested lists ---- */

/* "[" opens a list that "]" closes, a number is an integer, "'" begins a text up to the next "'",
 * "~" is nothing. */
static size_t to_resp(const char *s, struct weir_buf *b)
{
    const char *from = s;
    if (*s == '[') {
        struct weir_buf items;
        unsigned count = 0;
        weir_buf_init(&items, 1 << 20);
        for (s++; *s != ']'; count++) {
            s += to_resp(s, &items);
            s += strspn(s, " ,");
        }
        weir_buf_printf(b, "*%u\r\n", count);
        weir_buf_str(b, weir_buf_view(&items));
        weir_buf_deinit(&items);
        s++;
    } else if (*s == '\'') {
        size_t len = strcspn(s + 1, "'");
        weir_buf_printf(b, "$%zu\r\n%.*s\r\n", len, (int)len, s + 1);
        s += len + 2;
    } else if (*s == '~') {
        WEIR_BUF_LIT(b, "$-1\r\n");
        s++;
    } else {
        size_t len = strcspn(s, " ,]");
        weir_buf_printf(b, ":%.*s\r\n", (int)len, s);
        s += len;
    }
    return (size_t)(s - from);
}

static redisReply *reply_of(const char *s)
{
    struct weir_buf b;
    weir_buf_init(&b, 1 << 20);
    to_resp(s, &b);
    redisReply *r = resp_read(b.data, b.len);
    assert_non_null(r);
    weir_buf_deinit(&b);
    return r;
}

static struct weir_redis_map map;

static bool shards(const char *s, bool tls)
{
    redisReply *r = reply_of(s);
    bool read = weir_redis_map_read_shards(r, &asked, tls, &map);
    freeReplyObject(r);
    return read;
}

static bool slots(const char *s)
{
    redisReply *r = reply_of(s);
    bool read = weir_redis_map_read_slots(r, &asked, &map);
    freeReplyObject(r);
    return read;
}

static bool primary(const char *s)
{
    redisReply *r = reply_of(s);
    bool read = weir_redis_map_read_primary(r, &asked, &map);
    freeReplyObject(r);
    return read;
}

static void serves(unsigned slot, const char *name, unsigned port)
{
    assert_true(map.slot[slot] < map.shards);
    assert_string_equal(map.shard[map.slot[slot]].name, name);
    assert_int_equal(map.shard[map.slot[slot]].port, port);
}

#define NODE(role, name, port, health)                                                             \
    "['id','x','port'," #port ",'ip','10.0.0.9','endpoint'," name ",'role','" role                 \
    "','replication-offset',7,'health','" health "']"
#define SHARD(slots, nodes) "['slots',[" slots "],'nodes',[" nodes "]]"

static void test_shards(void **state)
{
    (void)state;
    assert_true(shards(
        "[" SHARD("0,99,200,16383",
                  NODE("replica", "'r'", 5, "online") "," NODE(
                      "master", "'a'", 1,
                      "online")) "," SHARD("100,199",
                                           NODE("master", "'2001:db8::1'", 2,
                                                "online")) "," SHARD("", NODE("master", "'idle'", 3,
                                                                              "online")) "]",
        false));
    assert_int_equal(map.shards, 2); /* one that serves nothing is none */
    serves(0, "a", 1);
    serves(99, "a", 1);
    serves(100, "2001:db8::1", 2);
    serves(199, "2001:db8::1", 2);
    serves(200, "a", 1);
    serves(16383, "a", 1);
}

static void test_shards_of_two_primaries(void **state)
{
    (void)state;
    assert_true(shards("[" SHARD("0,1", NODE("master", "'dead'", 1,
                                             "fail") "," NODE("master", "'new'", 2, "online")) "]",
                       false));
    serves(1, "new", 2);
    assert_true(shards("[" SHARD("0,1", NODE("master", "'new'", 2,
                                             "online") "," NODE("master", "'dead'", 1, "fail")) "]",
                       false));
    serves(1, "new", 2);
    /* none is well yet: slots that nobody serves would be worse */
    assert_true(shards("[" SHARD("0,1", NODE("master", "'dead'", 1, "fail")) "]", false));
    serves(1, "dead", 1);
    assert_int_equal(map.slot[2], WEIR_REDIS_NO_SHARD);
}

/* A node says what it does not know of itself, or that its address is of no use to clients: then it
 * is the one at which it was asked. */
static void test_unknown_names(void **state)
{
    (void)state;
    assert_true(shards("[" SHARD("0,0", NODE("master", "''", 1, "online")) "]", false));
    serves(0, "asked", 1);
    assert_true(shards("[" SHARD("0,0", NODE("master", "'?'", 1, "online")) "]", false));
    serves(0, "10.0.0.9", 1);
    assert_true(shards("[" SHARD("0,0", NODE("master", "~", 1, "online")) "]", false));
    serves(0, "asked", 1);
    assert_true(shards("[['slots',[0,0],'nodes',[['port',1,'ip','','role','master']]]]", false));
    serves(0, "asked", 1);
    assert_true(slots("[[0,0,['',7]]]"));
    serves(0, "asked", 7);
    assert_true(slots("[[0,0,[~,7]]]"));
    serves(0, "asked", 7);
}

static void test_tls_port(void **state)
{
    (void)state;
#define BOTH "[['slots',[0,0],'nodes',[['port',1,'tls-port',2,'endpoint','h','role','master']]]]"
    assert_true(shards(BOTH, true));
    serves(0, "h", 2);
    assert_true(shards(BOTH, false));
    serves(0, "h", 1);
    assert_false(shards("[" SHARD("0,0", NODE("master", "'h'", 1, "online")) "]", true));
}

static void test_wrong_shards(void **state)
{
    (void)state;
#define GOOD_NODE NODE("master", "'a'", 1, "online")
    static const char *const wrong[] = {
        "[]",
        "1",
        "'x'",
        "[1]",
        "[[]]",
        "[['slots',[0,1]]]",
        "[['nodes',[]]]",
        "[['slots',[0,1],'nodes',7]]",
        "[['slots',7,'nodes',[]]]",
        "[" SHARD("0", GOOD_NODE) "]",
        "[" SHARD("0,1,2", GOOD_NODE) "]",
        "[" SHARD("-1,1", GOOD_NODE) "]",
        "[" SHARD("2,1", GOOD_NODE) "]",
        "[" SHARD("0,16384", GOOD_NODE) "]",
        "[" SHARD("0,9223372036854775807", GOOD_NODE) "]",
        "[" SHARD("'0','1'", GOOD_NODE) "]",
        "[" SHARD("0,1", NODE("replica", "'a'", 1, "online")) "]",
        "[" SHARD("0,1", NODE("master", "'a'", 0, "online")) "]",
        "[" SHARD("0,1", NODE("master", "'a'", 65536, "online")) "]",
        "[" SHARD("0,1", NODE("master", "'a'", -65535, "online")) "]",
        "[" SHARD("0,1", NODE("master", "'a b'", 1, "online")) "]",
        "[" SHARD("0,1", NODE("master", "'/etc'", 1, "online")) "]",
        "[['slots',[0,1],'nodes',[['ip','h','role','master']]]]",
        "[['slots',[0,1],'nodes',[['port','1','ip','h','role','master']]]]",
        "[['slots',[0,1],'nodes',[1]]]",
        "[['slots',[0,1],'nodes',[['role']]]]",
        "[['slots',[0,1],'nodes']]",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (shards(wrong[i], false)) {
            fail_msg("taken: %s", wrong[i]);
        }
    }
}

static void test_slots(void **state)
{
    (void)state;
    assert_true(slots("[[0,5460,['10.0.0.1',7000,'id',[]],['10.0.0.4',7003,'id',[]]],"
                      "[5461,16383,['h.example',7001]],[7,7,['10.0.0.1',7000]]]"));
    assert_int_equal(map.shards, 2);
    serves(5460, "10.0.0.1", 7000);
    serves(5461, "h.example", 7001);
    serves(7, "10.0.0.1", 7000);
    static const char *const wrong[] = {
        "[]",
        "7",
        "[7]",
        "[[0,1]]",
        "[[0,1,'h']]",
        "[[0,1,['h']]]",
        "[[0,1,['h','7000']]]",
        "[[0,1,['h',0]]]",
        "[[0,1,['h',70000]]]",
        "[[1,0,['h',1]]]",
        "[[-1,0,['h',1]]]",
        "[[0,16384,['h',1]]]",
        "[['0',1,['h',1]]]",
        "[[0,1,['h\r',1]]]",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (slots(wrong[i])) {
            fail_msg("taken: %s", wrong[i]);
        }
    }
}

/* As many shards as are kept, and one more; a name that is too long: guarantee 6. */
static void test_bounds(void **state)
{
    (void)state;
    for (unsigned count = WEIR_REDIS_SHARDS_MAX; count <= WEIR_REDIS_SHARDS_MAX + 1; count++) {
        struct weir_buf b;
        weir_buf_init(&b, 1 << 20);
        weir_buf_char(&b, '[');
        for (unsigned i = 0; i < count; i++) {
            weir_buf_printf(&b, "%s[%u,%u,['h',%u]]", i > 0 ? "," : "", i, i, i + 1);
        }
        WEIR_BUF_LIT(&b, "]");
        weir_buf_char(&b, '\0');
        assert_int_equal(slots(b.data), count <= WEIR_REDIS_SHARDS_MAX);
        weir_buf_deinit(&b);
    }
    char text[512];
    snprintf(text, sizeof(text), "[[0,1,['%0255d',1]]]", 0);
    assert_true(slots(text));
    snprintf(text, sizeof(text), "[[0,1,['%0256d',1]]]", 0);
    assert_false(slots(text));
}

static void test_primary(void **state)
{
    (void)state;
    assert_true(primary("['10.0.0.1','6379']"));
    assert_int_equal(map.shards, 1);
    serves(0, "10.0.0.1", 6379);
    serves(16383, "10.0.0.1", 6379);
    static const char *const wrong[] = {
        "~",          "[]",       "['h']",         "['h','0']",  "['h','x']", "['h','65536']",
        "['h',6379]", "'h:6379'", "['h','1','2']", "['a b','1']"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (primary(wrong[i])) {
            fail_msg("taken: %s", wrong[i]);
        }
    }
}

/* ---- redirections ---- */

static uint16_t slot;
static struct weir_redis_host to;

static enum weir_redis_redirect redirect(const char *text)
{
    char line[512];
    snprintf(line, sizeof(line), "%s\r\n", text);
    redisReply *r = resp_read(line, strlen(line));
    assert_non_null(r);
    enum weir_redis_redirect is = weir_redis_redirect_read(r, &asked, &slot, &to);
    freeReplyObject(r);
    return is;
}

static void test_redirects(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum weir_redis_redirect is;
        unsigned slot, port;
        const char *name;
    } good[] = {
        {"-MOVED 3999 127.0.0.1:6381", WEIR_REDIS_MOVED, 3999, 6381, "127.0.0.1"},
        {"-ASK 0 h.example:1", WEIR_REDIS_ASK, 0, 1, "h.example"},
        {"-MOVED 16383 2001:db8::1:65535", WEIR_REDIS_MOVED, 16383, 65535, "2001:db8::1"},
        {"-MOVED 1 :7000", WEIR_REDIS_MOVED, 1, 7000, "asked"},
        {"-MOVED 1 ?:7000", WEIR_REDIS_MOVED, 1, 7000, "asked"},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(redirect(good[i].text), good[i].is);
        assert_int_equal(slot, good[i].slot);
        assert_string_equal(to.name, good[i].name);
        assert_int_equal(to.port, good[i].port);
    }
    static const char *const wrong[] = {
        "-MOVED ",      "-MOVED 1",    "-MOVED 1 h",       "-MOVED 16384 h:1", "-MOVED x h:1",
        "-MOVED 1 h:0", "-MOVED 1 h:", "-MOVED 1 h:65536", "-MOVED 1 a b:1",   "-MOVED h:1 2",
        "-ASK 1",       "-ASK -1 h:1", "-MOVED 1 h:1 more"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(redirect(wrong[i]), WEIR_REDIS_WRONG_WORDS);
    }
    assert_int_equal(redirect("-TRYAGAIN Multiple keys request"), WEIR_REDIS_TRY_AGAIN);
    assert_int_equal(redirect("-CLUSTERDOWN The cluster is down"), WEIR_REDIS_UNSERVED);
    assert_int_equal(redirect("-ERR MOVED 1 h:1"), WEIR_REDIS_NOT_REDIRECTED);
    assert_int_equal(redirect("-MOVEDX 1 h:1"), WEIR_REDIS_NOT_REDIRECTED);
    assert_int_equal(redirect("-"), WEIR_REDIS_NOT_REDIRECTED);
    assert_int_equal(redirect("+MOVED 1 h:1"), WEIR_REDIS_NOT_REDIRECTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slot),          cmocka_unit_test(test_tags),
        cmocka_unit_test(test_shards),        cmocka_unit_test(test_shards_of_two_primaries),
        cmocka_unit_test(test_unknown_names), cmocka_unit_test(test_tls_port),
        cmocka_unit_test(test_wrong_shards),  cmocka_unit_test(test_slots),
        cmocka_unit_test(test_bounds),        cmocka_unit_test(test_primary),
        cmocka_unit_test(test_redirects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
