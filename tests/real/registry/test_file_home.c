/* SPDX-License-Identifier: Apache-2.0 */
/* Entries that live in a file, as two who share it see them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "registry/file.h"
#include "support/registry_owner.h"

static char folder[64], path[128], elsewhere[128], yaml[256];
static struct registry_owner one, two;

static int begin(void **state)
{
    char template[] = "/tmp/weir-test-XXXXXX";
    (void)state;
    if (mkdtemp(template) == NULL) {
        return -1;
    }
    snprintf(folder, sizeof(folder), "%s", template);
    snprintf(path, sizeof(path), "%s/registry", folder);
    snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", folder);
    snprintf(yaml, sizeof(yaml), "registry: %s\n", path);
    registry_owner_open(&one, yaml);
    registry_owner_open(&two, yaml);
    return 0;
}

static int end(void **state)
{
    (void)state;
    registry_owner_close(&one);
    registry_owner_close(&two);
    unlink(path);
    unlink(elsewhere);
    return rmdir(folder);
}

/* Sets the limit for what follows; what it was before. */
static struct rlimit limit(int what, rlim_t to)
{
    struct rlimit before, now;
    assert_int_equal(getrlimit(what, &before), 0);
    now = (struct rlimit){.rlim_cur = to, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(what, &now), 0);
    return before;
}

static void test_two(void **state)
{
    (void)state;
    registry_put(&one, "key:a", "{\"n\":1}");
    registry_put(&two, "key:b", "{\"n\":2}"); /* has not looked since */
    assert_true(registry_has(&two, "key:a", "{\"n\":1}"));
    REGISTRY_UNTIL(&one, registry_has(&one, "key:b", "{\"n\":2}"));
    registry_put(&one, "key:a", NULL);
    REGISTRY_UNTIL(&two, registry_has(&two, "key:a", NULL));
    assert_true(registry_has(&two, "key:b", "{\"n\":2}"));
}

/* Its file is taken away and put back: nothing is taken as deleted. */
static void test_file_that_goes(void **state)
{
    (void)state;
    registry_put(&one, "key:a", "{\"n\":1}");
    assert_int_equal(rename(path, elsewhere), 0);
    REGISTRY_UNTIL(&one, !one.up);
    assert_true(registry_has(&one, "key:a", "{\"n\":1}"));
    assert_non_null(strstr(registry_refusal(&one, "key:b", "{}"), "/registry has gone"));
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(rename(elsewhere, path), 0);
    REGISTRY_UNTIL(&one, one.up);
    registry_put(&one, "key:b", "{}");
    assert_true(registry_has(&one, "key:a", "{\"n\":1}"));
}

/* What fails for a while is tried again, though the file is the same. */
static void test_no_descriptors(void **state)
{
    (void)state;
    REGISTRY_UNTIL(&one, one.up); /* all that it opens is open */
    registry_put(&two, "key:a", "{\"n\":1}");
    struct rlimit before = limit(RLIMIT_NOFILE, 0);
    REGISTRY_UNTIL(&one, !one.up);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    REGISTRY_UNTIL(&one, one.up);
    assert_true(registry_has(&one, "key:a", "{\"n\":1}"));
}

static void test_full(void **state)
{
    (void)state;
    registry_put(&one, "key:a", "{\"n\":1}");
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before = limit(RLIMIT_FSIZE, 10);
    const char *why = registry_refusal(&one, "key:a", "{\"n\":2}");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_non_null(strstr(why, "/registry cannot be written: File too large"));
    assert_true(registry_has(&one, "key:a", "{\"n\":1}"));
    assert_true(one.up);
    registry_put(&one, "key:a", "{\"n\":3}");
    REGISTRY_UNTIL(&two, registry_has(&two, "key:a", "{\"n\":3}"));
}

/* Somebody holds the file for longer than is waited for. */
static void test_held(void **state)
{
    (void)state;
    char why[512];
    int fd = weir_registry_file_lock(path, why, sizeof(why));
    assert_non_null(strstr(registry_refusal(&one, "key:a", "{}"), "/registry cannot be locked: "));
    weir_registry_file_unlock(fd);
    registry_put(&one, "key:a", "{}");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(test_two),  CASE(test_file_that_goes), CASE(test_no_descriptors),
        CASE(test_full), CASE(test_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
