/* SPDX-License-Identifier: Apache-2.0 */
/* Entries that whoever writes to the store may have put there: what they must not do. */
#include <stdio.h>

#include "base/buf.h"
#include "config/config.h"
#include "support/configs.h"

#define BASE                                                                                       \
    "plans: {p: {limits: {requests: 1/s}}, \"null\": {}}\nkeys: [{id: a, secret: x, plan: p}]\n"
#define DIGEST "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

/* One entry over BASE: it is refused for a reason in which `why` stands, and nothing has changed.
 */
static void unusable(const char *name, struct weir_str text, const char *why)
{
    struct weir_config *base = taken(BASE), *over = NULL;
    struct weir_entries *none = weir_entries_new(), *entries = NULL;
    const struct weir_entry_change change = {weir_str_z(name), text};
    struct weir_overlay_report report = {0};
    assert_non_null(none);
    assert_int_equal(weir_entries_with(none, &change, 1, &entries), WEIR_OK);
    assert_int_equal(weir_config_overlay(base, entries, 1000, &over, &report), WEIR_OK);
    assert_int_equal(report.used, 0);
    assert_int_equal(report.unusable, 1);
    assert_string_equal(report.name, name);
    assert_non_null(strstr(report.why, why));
    assert_int_equal(over->keys, 1);
    assert_string_equal(over->key[0].subject.plan->name, "p");
    weir_config_free(over);
    weir_config_free(base);
    weir_entries_let_go(entries);
    weir_entries_let_go(none);
}

static void test_null(void **state)
{
    (void)state;
    unusable("key:a", WEIR_STR("{\"plan\":null}"), "expected a JSON object without null");
    unusable("plan:p", WEIR_STR("{\"limits\":{\"requests\":[null]}}"),
             "expected a JSON object without null");
}

/* Neither files nor the environment of this machine are read. */
static void test_sources(void **state)
{
    (void)state;
    unusable("key:a", WEIR_STR("{\"secret\":{\"file\":\"/nowhere\"}}"), "secret: expected a text");
    unusable("key:a", WEIR_STR("{\"secret_sha256\":{\"file\":\"/nowhere\"}}"),
             "secret_sha256: expected a text");
    unusable("key:a", WEIR_STR("{\"secret_salted\":{\"env\":\"PATH\"}}"),
             "secret_salted: expected a text");
    unusable("key:a", WEIR_STR("{\"plan\":[\"p\"]}"), "plan: expected a text");
}

/* The readers have room for the longest text of the file. */
static void test_long_texts(void **state)
{
    (void)state;
    for (int len = 4096; len <= 4097; len++) {
        struct weir_buf b;
        weir_buf_init(&b, WEIR_ENTRY_TEXT_MAX);
        weir_buf_printf(&b, "{\"plan\":\"%0*d\"}", len, 0);
        unusable("key:a", weir_buf_view(&b),
                 len == 4096 ? "plan: expected the name of a plan" : "of at most 4096 bytes");
        weir_buf_deinit(&b);
    }
}

/* A key that has a grant and no plan is not one without limits. */
static void test_grants_alone(void **state)
{
    (void)state;
    unusable("key:b", WEIR_STR("{\"secret_sha256\":\"" DIGEST "\",\"grants\":[]}"),
             "keys: expected plan, team or org");
    unusable("org:acme", WEIR_STR("{\"grants\":[]}"), "orgs: expected id, and plan");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_grants_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
