/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines as a table reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "base/flags.h"

/* What was read last. */
struct seen {
    const struct weir_flag *flag;
    const char *value;
    unsigned count;
};

static bool see(const struct weir_flag_value *v)
{
    struct seen *seen = v->into;
    *seen = (struct seen){v->flag, v->value, seen->count + 1};
    return v->value == NULL || strcmp(v->value, "bad") != 0 || weir_flag_refuse(v, v->flag->more);
}

static const struct weir_flag table[] = {
    {"--name", see, "a good one", false},
    {"--names", see, "good ones", false},
    {"--bare", see, NULL, true},
    {"-b", see, NULL, true},
};

static const struct weir_flags flags = {table, sizeof(table) / sizeof(table[0]), "weir test"};

/* Reads the first argument of these. Returns how many of them it took, 0 where it refused. */
static int read_first(const char *const *words, struct seen *seen, char *error)
{
    char *argv[4];
    int argc = 0, at = 0;
    for (; words[argc] != NULL; argc++) {
        assert_true(argc < 4);
        union {
            const char *from;
            char *to;
        } word = {.from = words[argc]};
        argv[argc] = word.to;
    }
    *seen = (struct seen){0};
    memset(error, 0, WEIR_FLAG_ERROR_BYTES);
    return weir_flags_next(&flags, argc, argv, &at, seen, error) ? at : 0;
}

#define READ(...) read_first((const char *const[]){__VA_ARGS__, NULL}, &seen, error)

static void test_forms(void **state)
{
    (void)state;
    struct seen seen;
    char error[WEIR_FLAG_ERROR_BYTES];
    assert_int_equal(READ("--name", "x", "y"), 2);
    assert_ptr_equal(seen.flag, &table[0]);
    assert_string_equal(seen.value, "x");
    assert_int_equal(READ("--name=x", "y"), 1);
    assert_string_equal(seen.value, "x");
    assert_int_equal(READ("--name=", "y"), 1);
    assert_string_equal(seen.value, "");
    assert_int_equal(READ("--names=a=b"), 1);
    assert_ptr_equal(seen.flag, &table[1]);
    assert_string_equal(seen.value, "a=b");
    assert_int_equal(READ("--name", "--bare"), 2); /* whatever stands behind it */
    assert_string_equal(seen.value, "--bare");
    assert_int_equal(READ("--bare", "x"), 1);
    assert_null(seen.value);
    assert_int_equal(READ("-b"), 1);
    assert_ptr_equal(seen.flag, &table[3]);
    assert_int_equal(seen.count, 1);
    assert_string_equal(error, "");
}

static void test_refused(void **state)
{
    (void)state;
    struct seen seen;
    char error[WEIR_FLAG_ERROR_BYTES], longest[1000];
    assert_int_equal(READ("--nam", "x"), 0);
    assert_string_equal(error, "there is no option \"--nam\"; weir test --help lists them");
    assert_int_equal(READ("--bare=x"), 0);
    assert_string_equal(error, "there is no option \"--bare=x\"; weir test --help lists them");
    assert_int_equal(READ("x"), 0);
    assert_int_equal(READ(""), 0);
    assert_int_equal(READ("="), 0);
    assert_int_equal(READ("--name"), 0);
    assert_string_equal(error, "--name: expected a value behind it");
    assert_int_equal(seen.count, 0);
    assert_int_equal(READ("--name", "bad"), 0);
    assert_string_equal(error, "--name: expected a good one, got \"bad\"");
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(READ(longest), 0);
    assert_true(strlen(error) < WEIR_FLAG_ERROR_BYTES - 1);
    assert_non_null(strstr(error, "weir test --help"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
