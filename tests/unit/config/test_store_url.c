/* SPDX-License-Identifier: Apache-2.0 */
/* Stores of more than one host, and of TLS. */
#include "support/configs.h"

static struct weir_config *with(const char *url)
{
    char text[8192];
    snprintf(text, sizeof(text), "store: \"%s\"\n", url);
    return taken(text);
}

static void without(const char *url)
{
    char text[8192];
    snprintf(text, sizeof(text), "store: \"%s\"\n", url);
    refused(text, 1, 9, "store: expected embedded, redis://[[user]:password@]host");
}

struct expected {
    const char *url;
    enum weir_redis_kind kind;
    bool tls;
    const char *user, *password, *service;
    uint32_t db;
    size_t hosts;
    struct weir_redis_host host[3];
};

static void same(const struct expected *e)
{
    struct weir_config *c = with(e->url);
    assert_int_equal(c->store, WEIR_STORE_REDIS);
    assert_int_equal(c->redis_seeds.kind, e->kind);
    assert_int_equal(c->store_tls.on, e->tls);
    assert_string_equal(c->redis.user, e->user);
    assert_string_equal(c->redis.password, e->password);
    assert_string_equal(c->redis_seeds.service, e->service);
    assert_int_equal(c->redis.db, e->db);
    assert_int_equal(c->redis_seeds.hosts, e->hosts);
    for (size_t i = 0; i < e->hosts; i++) {
        assert_string_equal(c->redis_seeds.host[i].name, e->host[i].name);
        assert_int_equal(c->redis_seeds.host[i].port, e->host[i].port);
    }
    assert_int_equal(c->redis.timeout_ms, 50);
    assert_string_equal(c->redis.unix_path, "");
    weir_config_free(c);
}

static void test_taken(void **state)
{
    (void)state;
    static const struct expected good[] = {
        {"redis://h", WEIR_REDIS_SINGLE, false, "", "", "", 0, 0, {{"", 0}}},
        {"rediss://u:p@h/3", WEIR_REDIS_SINGLE, true, "u", "p", "", 3, 0, {{"", 0}}},
        {"redis+cluster://h", WEIR_REDIS_CLUSTER, false, "", "", "", 0, 1, {{"h", 6379}}},
        {"redis+cluster://a:1,[::1]:2,c/",
         WEIR_REDIS_CLUSTER,
         false,
         "",
         "",
         "",
         0,
         3,
         {{"a", 1}, {"::1", 2}, {"c", 6379}}},
        {"rediss+cluster://me:p%2cw,x@[2001:db8::1],b:2",
         WEIR_REDIS_CLUSTER,
         true,
         "me",
         "p,w,x",
         "",
         0,
         2,
         {{"2001:db8::1", 6379}, {"b", 2}}},
        {"redis+sentinel://s1:1,s2/my-service_1.x",
         WEIR_REDIS_SENTINELS,
         false,
         "",
         "",
         "my-service_1.x",
         0,
         2,
         {{"s1", 1}, {"s2", 26379}}},
        {"rediss+sentinel://:pw@[::1]/a/5",
         WEIR_REDIS_SENTINELS,
         true,
         "",
         "pw",
         "a",
         5,
         1,
         {{"::1", 26379}}},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        same(&good[i]);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "rediss:h",
        "rediss+unix:///r",
        "rediss://",
        "rediss://a,b",
        "redis+cluster://",
        "redis+cluster://,a",
        "redis+cluster://a,",
        "redis+cluster://a,,b",
        "redis+cluster://a b",
        "redis+cluster://a/1", /* a cluster has no such database */
        "redis+cluster://a/,b",
        "redis+cluster://a:0",
        "redis+cluster://a:1:2",
        "redis+cluster://::1",
        "redis+cluster://u@a",
        "redis+cluster://u:p@a,u:p@b",
        "redis+cluster://[a]",
        "redis+sentinel://",
        "redis+sentinel://a",
        "redis+sentinel://a/",
        "redis+sentinel:///s",
        "redis+sentinel://a/s/",
        "redis+sentinel://a/s/x",
        "redis+sentinel://a/s t",
        "redis+sentinel://a/s?db=1",
        "redis+sentinel://a,/s",
        "redis+sentinels://a/s",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        without(wrong[i]);
    }
}

/* Hosts and the service's name at the most that is kept, and one more: guarantee 6. */
static void test_bounds(void **state)
{
    (void)state;
    char url[1024] = "redis+cluster://h";
    size_t len = strlen(url);
    for (unsigned i = 1; i < WEIR_REDIS_HOSTS_MAX; i++) {
        len += (size_t)snprintf(url + len, sizeof(url) - len, ",h");
    }
    struct weir_config *c = with(url);
    assert_int_equal(c->redis_seeds.hosts, WEIR_REDIS_HOSTS_MAX);
    weir_config_free(c);
    snprintf(url + len, sizeof(url) - len, ",h");
    without(url);
    snprintf(url, sizeof(url), "redis+sentinel://h/%0*d", WEIR_REDIS_SERVICE_MAX, 0);
    c = with(url);
    assert_int_equal(strlen(c->redis_seeds.service), WEIR_REDIS_SERVICE_MAX);
    weir_config_free(c);
    snprintf(url, sizeof(url), "redis+sentinel://h/%0*d", WEIR_REDIS_SERVICE_MAX + 1, 0);
    without(url);
    snprintf(url, sizeof(url), "redis+cluster://%0*d", 255, 0);
    weir_config_free(with(url));
    snprintf(url, sizeof(url), "redis+cluster://%0*d", 256, 0);
    without(url);
}

#define TLS "store: rediss://h\nstore_tls: "

static void test_tls(void **state)
{
    (void)state;
    struct weir_config *c =
        taken(TLS "{ca: /etc/ca.pem, cert: c.pem, key: k.pem, server_name: redis.internal}");
    assert_string_equal(c->store_tls.ca, "/etc/ca.pem");
    assert_string_equal(c->store_tls.cert, "c.pem");
    assert_string_equal(c->store_tls.key, "k.pem");
    assert_string_equal(c->store_tls.server_name, "redis.internal");
    assert_true(c->store_tls.on);
    weir_config_free(c);
    weir_config_free(taken("store_tls: {ca: a}")); /* the embedded store has no use for it */
    refused(TLS "{cert: c.pem}", 2, 12, "store_tls: expected cert and key, or neither");
    refused(TLS "{key: k.pem}", 2, 12, "store_tls: expected cert and key, or neither");
    refused(TLS "{ca: ''}", 2, 18, "ca: expected 1 to 1023 characters");
    refused(TLS "{ca: [a]}", 2, 17, "ca: expected a text");
    refused(TLS "{verify: no}", 2, 13, "verify: unknown field of store_tls");
    refused(TLS "on", 2, 12, "store_tls: expected a mapping");
    /* in clear where TLS was meant: refused, since a password would leave */
    refused("store_tls: {ca: a}\nstore: redis://h", 0, 0, "store_tls: expected a store of rediss");
    refused("store: redis+cluster://h\nstore_tls: {server_name: a}", 0, 0, "expected a store of");
    char text[2048];
    snprintf(text, sizeof(text), TLS "{ca: %0*d}", WEIR_TLS_PATH_MAX, 0);
    weir_config_free(taken(text));
    snprintf(text, sizeof(text), TLS "{ca: %0*d}", WEIR_TLS_PATH_MAX + 1, 0);
    refused(text, 2, 17, "ca: expected 1 to 1023 characters");
}

/* A flag's store takes nothing of the file's. */
static void test_flag(void **state)
{
    (void)state;
    struct weir_config *c;
    struct weir_config_error error;
    const struct weir_config_flags flags = {.store = "redis+cluster://a"};
    assert_int_equal(
        weir_config_parse(WEIR_STR("store: rediss+sentinel://u:p@h,i/s/2\n"), &flags, &c, &error),
        WEIR_OK);
    assert_int_equal(c->redis_seeds.kind, WEIR_REDIS_CLUSTER);
    assert_int_equal(c->redis_seeds.hosts, 1);
    assert_string_equal(c->redis_seeds.service, "");
    assert_string_equal(c->redis.password, "");
    assert_int_equal(c->redis.db, 0);
    assert_false(c->store_tls.on);
    weir_config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken), cmocka_unit_test(test_refused), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_tls),   cmocka_unit_test(test_flag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
