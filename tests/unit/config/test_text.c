/* SPDX-License-Identifier: Apache-2.0 */
/* listen, store, on_store_failure, token_data. */
#include "support/configs.h"

static struct weir_config *with(const char *field, const char *value)
{
    char text[2048];
    snprintf(text, sizeof(text), "%s: \"%s\"\n", field, value);
    return taken(text);
}

static void without(const char *field, const char *value, const char *why)
{
    char text[2048];
    snprintf(text, sizeof(text), "%s: \"%s\"\n", field, value);
    refused(text, 1, (unsigned)strlen(field) + 4, why);
}

static void test_listen(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        uint16_t port;
    } good[] = {
        {"127.0.0.1:8000", "127.0.0.1", 8000},
        {"0.0.0.0:0", "0.0.0.0", 0},
        {"10.1.2.3:65535", "10.1.2.3", 65535},
        {"[::1]:80", "::1", 80},
        {"[::]:1", "::", 1},
        {"[2001:db8::ffff:1.2.3.4]:1", "2001:db8::ffff:1.2.3.4", 1},
    };
    static const char *const wrong[] = {
        "",
        "8000",
        ":8000",
        "localhost:8000",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:8k",
        "127.0.0.1:8000 ",
        "::1:8000",
        "[::1]",
        "[::1:8000",
        "[127.0.0.1]:80",
        "[]:80",
        "127.1:80",
        "1.2.3.256:80",
        "[fe80::1%eth0]:80",
        "http://127.0.0.1:80",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct weir_config *c = with("listen", good[i].text);
        assert_string_equal(c->listen.host, good[i].host);
        assert_int_equal(c->listen.port, good[i].port);
        weir_config_free(c);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        without("listen", wrong[i], "listen: expected ADDRESS:PORT with a numeric address");
    }
    char text[128];
    snprintf(text, sizeof(text), "[%064d]:80", 0);
    without("listen", text, "listen: expected ADDRESS:PORT");
}

static void test_store(void **state)
{
    (void)state;
    static const struct {
        const char *url, *host, *unix_path, *user, *password;
        uint16_t port;
        uint32_t db;
    } good[] = {
        {"redis://h", "h", "", "", "", 6379, 0},
        {"redis://h/", "h", "", "", "", 6379, 0},
        {"redis://redis-1.example_x.com:6380/15", "redis-1.example_x.com", "", "", "", 6380, 15},
        {"redis://10.0.0.1:65535/1000000", "10.0.0.1", "", "", "", 65535, 1000000},
        {"redis://[2001:db8::1]", "2001:db8::1", "", "", "", 6379, 0},
        {"redis://[::1]:1/2", "::1", "", "", "", 1, 2},
        {"redis://:pw@h", "h", "", "", "pw", 6379, 0},
        {"redis://me:pw@[::1]:7/8", "::1", "", "me", "pw", 7, 8},
        {"redis://u%3a%40:p%2F%3A%40%25@h:1", "h", "", "u:@", "p/:@%", 1, 0},
        {"redis://u:p/a:b@c@h/3", "h", "", "u", "p/a:b@c", 6379, 3},
        {"redis+unix:///run/redis.sock", "", "/run/redis.sock", "", "", 6379, 0},
        {"redis+unix:///run/a%20b.sock?db=4", "", "/run/a b.sock", "", "", 6379, 4},
        {"redis+unix:///a@b", "", "/a@b", "", "", 6379, 0},
        {"redis+unix://me:p%40w@/run/r", "", "/run/r", "me", "p@w", 6379, 0},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct weir_config *c = with("store", good[i].url);
        assert_int_equal(c->store, WEIR_STORE_REDIS);
        assert_string_equal(c->redis.host, good[i].host);
        assert_string_equal(c->redis.unix_path, good[i].unix_path);
        assert_string_equal(c->redis.user, good[i].user);
        assert_string_equal(c->redis.password, good[i].password);
        assert_int_equal(c->redis.port, good[i].port);
        assert_int_equal(c->redis.db, good[i].db);
        assert_int_equal(c->redis.timeout_ms, 50);
        assert_int_equal(c->redis.connect_timeout_ms, 250);
        weir_config_free(c);
    }
    struct weir_config *c = with("store", "embedded");
    assert_int_equal(c->store, WEIR_STORE_EMBEDDED);
    weir_config_free(c);
}

static void test_wrong_store(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "Embedded",
        "memory",
        "redis",
        "redis:h",
        "redis:///0",
        "redis://",
        "redis://:1",
        "redis://h:",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:6k",
        "redis://h/x",
        "redis://h/-1",
        "redis://h/1000001",
        "redis://h/1/2",
        "redis://h?db=1",
        "redis://h h",
        "redis://h%41",
        "redis://::1",
        "redis://::1:6379",
        "redis://[::1",
        "redis://[::1]x",
        "redis://[h]:1",
        "redis://[]:1",
        "redis://a,b",
        "redis://user@h", /* a user and no password: nothing would be sent */
        "redis://user:@h",
        "redis://:p%@h",
        "redis://:p%4@h",
        "redis://:p%zz@h",
        "redis://:p%+1@h",
        "redis://:p% 1@h",
        "redis://:p%00@h",
        "redis+unix://",
        "redis+unix:///",
        "redis+unix://run/redis.sock",
        "redis+unix:///r?db=x",
        "redis+unix:///r?db=",
        "redis+unix:///r?",
        "redis+unix:///r?user=a",
        "redis+unix:///r%00",
        "redis+unix://:pw@",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        without("store", wrong[i], "store: expected embedded, redis://[[user]:password@]host");
    }
}

/* The digit that would end the escape stands behind the text. */
static void test_escape_at_the_end(void **state)
{
    (void)state;
    struct weir_str text = WEIR_STR("store: redis+unix:///r%41");
    weir_config_free(taken_bytes(text));
    text.len--;
    refused_bytes(text, 1, 8, "store: expected embedded");
}

/* Each part at the longest that is kept, and one more. */
static void test_store_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *form;
        int longest;
    } parts[] = {
        {"redis://%0*d", 255},
        {"redis://:%0*d@h", 255},
        {"redis://%0*d:p@h", 127},
        {"redis+unix:///%0*d", 106},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        char url[512];
        for (int more = 0; more <= 1; more++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(url, sizeof(url), parts[i].form, parts[i].longest + more, 0);
#pragma GCC diagnostic pop
            if (more == 0) {
                weir_config_free(with("store", url));
            } else {
                without("store", url, "store: expected embedded");
            }
        }
    }
}

static void test_failure_policy(void **state)
{
    (void)state;
    static const char *const names[] = {"local", "closed", "open"};
    for (unsigned i = 0; i < 3; i++) {
        struct weir_config *c = with("on_store_failure", names[i]);
        assert_int_equal(c->on_store_failure, i);
        weir_config_free(c);
    }
    without("on_store_failure", "Open", "on_store_failure: expected local, closed or open");
    without("on_store_failure", "", "on_store_failure: expected local, closed or open");
}

static void test_token_data(void **state)
{
    (void)state;
    char longest[WEIR_TOKEN_DATA_MAX + 2];
    struct weir_config *c = taken("workers: 1\n");
    assert_string_equal(c->token_data, "");
    weir_config_free(c);
    for (size_t len = 1; len <= WEIR_TOKEN_DATA_MAX; len += WEIR_TOKEN_DATA_MAX - 1) {
        char text[sizeof(longest) + 16];
        memset(longest, 'p', len);
        longest[len] = '\0';
        snprintf(text, sizeof(text), "token_data: %s\n", longest);
        c = taken(text);
        assert_string_equal(c->token_data, longest);
        weir_config_free(c);
    }
    memset(longest, 'p', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    without("token_data", longest, "token_data: expected the path of a file, of 1 to 1023 bytes");
    without("token_data", "", "token_data: expected the path of a file, of 1 to 1023 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listen),         cmocka_unit_test(test_store),
        cmocka_unit_test(test_wrong_store),    cmocka_unit_test(test_store_bounds),
        cmocka_unit_test(test_failure_policy), cmocka_unit_test(test_escape_at_the_end),
        cmocka_unit_test(test_token_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
