/* SPDX-License-Identifier: Apache-2.0 */
/* API keys, the service token, secrets from elsewhere; that no error tells one. */
#include <unistd.h>

#include "base/buf.h"
#include "config/parse.h"
#include "support/configs.h"

#define CANARY "sk_CANARY/7"

static const uint8_t digest_of_abc[32] = {
    0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
    0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
};

/* A file with these bytes; the caller unlinks it. */
static void write_secret(const char *bytes, size_t len, char path[static 32])
{
    memcpy(path, "/tmp/weir-test-XXXXXX", sizeof("/tmp/weir-test-XXXXXX"));
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}

static void test_keys(void **state)
{
    (void)state;
    struct weir_config *c = taken(
        "keys:\n"
        "  - {id: a, secret: abc, plan: p}\n"
        "  - id: A.b_c:d@e-9\n"
        "    plan: q\n"
        "    secret_sha256: BA7816BF8F01CFEA414140DE5DAE2223b00361a396177a9cb410ff61f20015ae\n"
        "plans: {p: {}, q: {}}\n");
    const struct weir_key *a = weir_config_key_by_id(c, WEIR_STR("a"));
    assert_int_equal(c->keys, 2);
    assert_non_null(a);
    uint8_t sha256[32];
    assert_ptr_equal(weir_config_key_by_secret(c, WEIR_STR("abc"), sha256), a);
    assert_memory_equal(a->secret.sha256, digest_of_abc, 32);
    assert_memory_equal(sha256, digest_of_abc, 32);
    assert_true(weir_str_eq(a->subject.name, WEIR_STR("key:a")));
    assert_ptr_equal(a->subject.plan, &c->plan[0]);
    uint64_t id[2];
    weir_subject_id(WEIR_STR("key:a"), id);
    assert_memory_equal(a->subject.id, id, sizeof(id));
    const struct weir_key *b = weir_config_key_by_id(c, WEIR_STR("A.b_c:d@e-9"));
    assert_non_null(b);
    assert_ptr_equal(b->subject.plan, &c->plan[1]);
    assert_int_equal(b->secret.sha256[31], 0xae);
    assert_null(weir_config_key_by_id(c, WEIR_STR("")));
    assert_null(weir_config_key_by_id(c, WEIR_STR("b")));
    weir_config_free(c);
}

static void test_wrong_keys(void **state)
{
    (void)state;
    refused(PLAN "keys: [{id: a, plan: p}]\n", 2, 8,
            "keys: expected id, secret, secret_sha256 or secret_salted, and plan, team or org");
    refused(PLAN "keys: [{id: a, secret: b}]\n", 2, 8, "keys: expected id");
    refused(PLAN "keys:\n  - secret: b\n    plan: p\n", 3, 5, "keys: expected id");
    refused(PLAN "keys: [{}]\n", 2, 8, "keys: expected id");
    refused(PLAN "keys: [{id: a b, secret: b, plan: p}]\n", 2, 13,
            "id: expected 1 to 100 characters of A-Z a-z 0-9 . _ : @ -");
    refused(PLAN "keys: [{id: '', secret: b, plan: p}]\n", 2, 14, "id: expected 1 to 100");
    refused(PLAN "keys: [{id: \xc3\xa9, secret: b, plan: p}]\n", 2, 13, "id: expected 1 to 100");
    refused(PLAN "keys: [{id: a, secret: b, plan: q}]\n", 2, 33,
            "plan: expected the name of a plan");
    refused(PLAN "keys:\n- {id: a, secret: b, plan: p}\n- {id: a, secret: c, plan: p}\n", 4, 3,
            "keys: the id \"a\" is there twice");
    refused(PLAN "keys:\n- {id: a, secret: b, plan: p}\n- {id: c, secret: b, plan: p}\n", 4, 3,
            "keys: the secret of \"c\" is another key's too");
    refused(PLAN "keys: [{id: a, secret: b, secret_sha256: c, plan: p}]\n", 2, 42,
            "secret_sha256: expected one of secret, secret_sha256 and secret_salted");
    refused(PLAN "keys: [{id: a, secret_sha256: abc, plan: p}]\n", 2, 31,
            "secret_sha256: expected 64 hexadecimal digits");
    refused(PLAN "keys: [{id: a, plan: p, secret_sha256: "
                 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ag}]\n",
            2, 40, "secret_sha256: expected 64 hexadecimal digits");
}

static void test_bounds(void **state)
{
    (void)state;
    char text[1024];
    for (int len = 100; len <= 101; len++) {
        snprintf(text, sizeof(text), PLAN "keys: [{id: %0*d, secret: b, plan: p}]\n", len, 0);
        if (len == 100) {
            struct weir_config *c = taken(text);
            assert_int_equal(c->key[0].subject.name.len, 104);
            weir_config_free(c);
        } else {
            refused(text, 2, 13, "id: expected 1 to 100 characters");
        }
    }
    for (int len = 256; len <= 257; len++) {
        snprintf(text, sizeof(text), "service_token: x%0*d\n", len - 1, 0);
        if (len == 256) {
            weir_config_free(taken(text));
        } else {
            refused(text, 1, 16, "service_token: expected 1 to 256 characters");
        }
    }
}

/* Every key of many is found by its id and its secret. */
static void test_many_keys(void **state)
{
    enum { KEYS = 3000 };
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 1 << 20);
    WEIR_BUF_LIT(&b, PLAN "keys:\n");
    for (unsigned i = 0; i < KEYS; i++) {
        weir_buf_printf(&b, "- {id: k%u, secret: \"s\\x2d%u\", plan: p}\n", i, i); /* an escape */
    }
    struct weir_config *c = taken_bytes(weir_buf_view(&b));
    assert_int_equal(c->keys, KEYS);
    for (unsigned i = 0; i < KEYS; i++) {
        char id[16], secret[16];
        uint8_t sha256[32];
        snprintf(id, sizeof(id), "k%u", i);
        snprintf(secret, sizeof(secret), "s-%u", i);
        assert_ptr_equal(weir_config_key_by_id(c, weir_str_z(id)), &c->key[i]);
        assert_ptr_equal(weir_config_key_by_secret(c, weir_str_z(secret), sha256), &c->key[i]);
    }
    weir_config_free(c);
    weir_buf_deinit(&b);
}

/* ---- secrets from elsewhere ---- */

static void test_service_token(void **state)
{
    (void)state;
    struct weir_config *c = taken("service_token: abc\n");
    assert_true(c->has_service_token);
    assert_memory_equal(c->service_token_sha256, digest_of_abc, 32);
    weir_config_free(c);
    refused("service_token: ''\n", 1, 17, "service_token: expected 1 to 256 characters");
    refused("service_token: a b\n", 1, 16,
            "service_token: expected printable ASCII without blanks");
    refused("service_token: \"a\\x7f\"\n", 1, 17, "service_token: expected printable ASCII");
    refused("service_token: a\xc3\xa9\n", 1, 16, "service_token: expected printable ASCII");
    refused("service_token: [a]\n", 1, 16, "service_token: expected a text, {env: NAME} or");
}

static void test_env(void **state)
{
    (void)state;
    assert_int_equal(setenv("WEIR_TEST_SECRET", "abc", 1), 0);
    struct weir_config *c = taken("service_token: {env: WEIR_TEST_SECRET}\n");
    assert_memory_equal(c->service_token_sha256, digest_of_abc, 32);
    weir_config_free(c);
    assert_int_equal(setenv("WEIR_TEST_SECRET", "", 1), 0);
    refused("service_token: {env: WEIR_TEST_SECRET}\n", 1, 16, "expected 1 to 256 characters");
    assert_int_equal(unsetenv("WEIR_TEST_SECRET"), 0);
    refused("service_token: {env: WEIR_TEST_SECRET}\n", 1, 22,
            "env: WEIR_TEST_SECRET is not set in the environment");
    refused("service_token: {env: hunter2}\n", 1, 22,
            "env: this variable is not set in the environment");
    refused("service_token: {env: [A]}\n", 1, 22, "env: expected a name");
    refused("service_token: {}\n", 1, 16, "service_token: expected 1 to 256 characters");
    refused("service_token: {key: A}\n", 1, 22, "expected {env: NAME} or {file: PATH}");
    refused("service_token: {env: PATH, file: /dev/null}\n", 1, 34, "expected one of {env: NAME}");
}

static void check_file(const char *bytes, size_t len, const char *expected)
{
    char path[32], text[128];
    write_secret(bytes, len, path);
    snprintf(text, sizeof(text), "service_token: {file: %s}\n", path);
    if (expected == NULL) {
        struct weir_config *c = taken(text);
        assert_true(c->has_service_token);
        if (len <= 4) {
            assert_memory_equal(c->service_token_sha256, digest_of_abc, 32);
        }
        weir_config_free(c);
    } else {
        refused(text, 1, 16, expected);
    }
    unlink(path);
}

static void test_file(void **state)
{
    (void)state;
    char bytes[300];
    memset(bytes, 'x', sizeof(bytes));
    check_file("abc", 3, NULL);
    check_file("abc\n", 4, NULL); /* as an editor leaves it */
    check_file("abc\n\n", 5, "printable ASCII without blanks");
    check_file("abc\r\n", 5, "printable ASCII without blanks");
    check_file("ab\0c", 4, "printable ASCII without blanks");
    check_file("", 0, "1 to 256 characters");
    check_file("\n", 1, "1 to 256 characters");
    check_file(bytes, 256, NULL);
    check_file(bytes, 257, "1 to 256 characters");
    check_file(bytes, 300, "1 to 256 characters");
    bytes[256] = '\n';
    check_file(bytes, 257, NULL);
    check_file(bytes, 258, "1 to 256 characters");
    refused("service_token: {file: /nonexistent/secret}\n", 1, 23,
            "file: cannot be read: No such file or directory");
    refused("service_token: {file: /tmp}\n", 1, 23, "file: cannot be read: Is a directory");
}

/* Secrets where they belong and where they do not: no message tells one. */
static void test_no_error_tells_a_secret(void **state)
{
    (void)state;
    static const char *const texts[] = {
        PLAN "keys: [{id: a, secret: " CANARY ", plan: q}]\n",
        PLAN "keys: [{id: a, secret: '" CANARY " ', plan: p}]\n",
        PLAN "keys: [{id: a, secret: " CANARY ", secret: b, plan: p}]\n",
        PLAN "keys: [{id: a, secret_sha256: " CANARY ", plan: p}]\n",
        PLAN "keys: [{id: a, secret " CANARY ", plan: p}]\n",
        PLAN "keys:\n  - id: a\n    secret " CANARY "\n    plan: p\n",
        PLAN "keys: [{id: a, secret: p, plan: " CANARY "}]\n",
        PLAN "keys: [{id: " CANARY ", secret: a, plan: p}]\n",
        PLAN "keys: [{id: a, " CANARY ": b, plan: p}]\n",
        PLAN "keys: [{id: a, " CANARY ": b, " CANARY ": c}]\n",
        PLAN "keys: [{id: a, a_canary: b}]\n", /* though it looks like a field */
        PLAN "keys: [" CANARY "]\n",
        PLAN "keys: {" CANARY ": p}\n",
        PLAN "keys: [{id: a, secret: {" CANARY ": p}, plan: p}]\n",
        PLAN "keys: [{id: a, secret: {env: " CANARY "}, plan: p}]\n",
        PLAN "keys: [{id: a, secret: {file: " CANARY "}, plan: p}]\n",
        PLAN "keys: [{id: a, secret: \"" CANARY "\\q\", plan: p}]\n",
        PLAN "keys: [{id: a, secret: \"" CANARY ", plan: p}]\n",
        PLAN "keys: [{id: a, secret: &" CANARY ", plan: p}]\n",
        PLAN "keys: [{id: a, secret: *" CANARY ", plan: p}]\n",
        PLAN "keys: [{id: a, secret: !" CANARY ", plan: p}]\n",
        PLAN "keys: [{id: a, secret: !" CANARY "!x, plan: p}]\n",
        PLAN "keys: [{id: a, secret: !<" CANARY ", plan: p}]\n",
        PLAN "keys: [{id: a, secret: %" CANARY ", plan: p}]\n",
        PLAN "keys: [{id: a, secret: |" CANARY ", plan: p}]\n",
        PLAN "keys: [{id: a, secret: @" CANARY ", plan: p}]\n",
        "%" CANARY "\n--- 1\n",
        "%TAG !x! " CANARY " y\n---\n",
        "%YAML " CANARY "\n---\n",
        "service_token " CANARY "\n",
        "service_token " CANARY ": x\n",
        CANARY ": x\n",
        "--- " CANARY "\n... " CANARY "\n",
        "unknown_keys: " CANARY "\n",
        PLAN "keys: [{id: a, secret: p, team: " CANARY "}]\n",
        PLAN "keys: [{id: a, secret: p, org: {" CANARY ": a}}]\n",
        "teams: [{id: " CANARY "}]\n",
        "teams: [{id: a, org: " CANARY "}]\n",
        "orgs: [{id: a, plan: " CANARY "}]\n",
        "orgs: [{" CANARY ": a}]\n",
        "models: {a: " CANARY "}\n",
        "models: {" CANARY ": {plan: " CANARY "}}\n",
        "listen: " CANARY "\n",
        "workers: " CANARY "\n",
        "reservation_ttl: " CANARY "\n",
        "on_store_failure: " CANARY "\n",
        "store: redis://:" CANARY "@\n",
        "store: redis+tls://:" CANARY "@h\n",
        "store: redis://:" CANARY "@h:0\n",
        "store: redis://" CANARY "@h\n",
        "store: redis+unix://:" CANARY "@h\n",
        "plans: {" CANARY ": 1}\n",
        "plans: {p: {" CANARY ": 1}}\n",
        "plans: {p: {limits: {requests: " CANARY "}}}\n",
        "plans: {p: {limits: {" CANARY ": 1/s}}}\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct weir_config *c = NULL;
        struct weir_config_error error;
        if (weir_config_parse(weir_str_z(texts[i]), NULL, &c, &error) != WEIR_ERR_INVALID ||
            error.text[0] == '\0' || strcasestr(error.text, "CANARY") != NULL) {
            fail_msg("%s: %s", texts[i], error.text);
        }
        assert_null(c);
    }
    static const struct weir_config_flags flags[] = {{.store = "redis://:" CANARY "@"},
                                                     {.store = CANARY},
                                                     {.listen = CANARY},
                                                     {.workers = CANARY},
                                                     {.on_store_failure = CANARY}};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct weir_config *c = NULL;
        struct weir_config_error error;
        assert_int_equal(weir_config_parse(WEIR_STR(""), &flags[i], &c, &error), WEIR_ERR_INVALID);
        assert_null(strstr(error.text, "CANARY"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),          cmocka_unit_test(test_wrong_keys),
        cmocka_unit_test(test_bounds),        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_service_token), cmocka_unit_test(test_env),
        cmocka_unit_test(test_file),          cmocka_unit_test(test_no_error_tells_a_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
