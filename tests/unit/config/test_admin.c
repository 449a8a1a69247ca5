/* SPDX-License-Identifier: Apache-2.0 */
/* The section `admin` and its flag: what is loopback, and who needs a token. */
#include "support/configs.h"

static void test_no_section(void **state)
{
    (void)state;
    struct weir_config *c = taken("");
    assert_false(c->has_admin);
    weir_config_free(c);
}

static void test_section(void **state)
{
    (void)state;
    struct weir_config *c = taken("admin: {}\n");
    assert_true(c->has_admin);
    assert_false(c->has_admin_token);
    assert_string_equal(c->admin_listen.host, "127.0.0.1");
    assert_int_equal(c->admin_listen.port, 9090);
    weir_config_free(c);
    c = taken("admin: {listen: 0.0.0.0:1, token: abc}\n");
    uint8_t sha256[32];
    weir_sha256(WEIR_STR("abc"), sha256);
    assert_true(c->has_admin_token);
    assert_memory_equal(c->admin_token_sha256, sha256, 32);
    weir_config_free(c);
    refused("admin: {listen: here}\n", 1, 17, "listen: expected ADDRESS:PORT");
    refused("admin: {tokens: abc}\n", 1, 9, "tokens: unknown field of admin");
    refused("admin: {token: ''}\n", 1, 17, "token: expected 1 to 256 characters");
    refused("admin: yes\n", 1, 8, "admin: expected a mapping");
}

static void test_beyond_loopback(void **state)
{
    (void)state;
    static const char *const near[] = {"127.0.0.1", "127.9.9.9", "[::1]"};
    static const char *const far[] = {"0.0.0.0", "10.0.0.1", "[::]", "[::ffff:127.0.0.1]"};
    char text[128];
    for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
        snprintf(text, sizeof(text), "admin: {listen: \"%s:1\"}\n", near[i]);
        weir_config_free(taken(text));
    }
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
        snprintf(text, sizeof(text), "admin:\n  listen: \"%s:1\"\n", far[i]);
        refused(text, 2, 12, "listen: beyond loopback the admin API expects an admin token");
        snprintf(text, sizeof(text), "admin:\n  listen: \"%s:1\"\n  token: abc\n", far[i]);
        weir_config_free(taken(text));
    }
}

static void test_flag(void **state)
{
    (void)state;
    struct weir_config *c;
    struct weir_config_error error;
    struct weir_config_flags flags = {.admin_listen = "127.0.0.1:7"};
    assert_int_equal(weir_config_parse(WEIR_STR(""), &flags, &c, &error), WEIR_OK);
    assert_true(c->has_admin);
    assert_int_equal(c->admin_listen.port, 7);
    weir_config_free(c);
    flags.admin_listen = "0.0.0.0:7";
    assert_int_equal(weir_config_parse(WEIR_STR(""), &flags, &c, &error), WEIR_ERR_INVALID);
    assert_true(error.in_flag);
    assert_string_equal(error.text,
                        "--admin-listen: beyond loopback the admin API expects an admin token");
    assert_int_equal(weir_config_parse(WEIR_STR("admin: {token: abc}"), &flags, &c, &error),
                     WEIR_OK);
    weir_config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_section),
        cmocka_unit_test(test_section),
        cmocka_unit_test(test_beyond_loopback),
        cmocka_unit_test(test_flag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
