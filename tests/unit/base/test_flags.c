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
    {"name", see, .more = "a good one"},
    {"names", see, .more = "good ones"},
    {"bare", .read = see, .bare = true},
};

static const struct weir_flags flags = {
    .flag = table, .count = sizeof(table) / sizeof(table[0]), .command = "weir test"};

enum { WORDS_MAX = 8 };

struct line {
    char *argv[WORDS_MAX];
    int argc, operands;
    char error[WEIR_FLAG_ERROR_BYTES];
};

/* Reads these words behind the command. */
static enum weir_flags_end read_words(const struct weir_flags *f, const char *const *words,
                                      struct line *line, void *into)
{
    static char command[] = "test";
    *line = (struct line){.argv = {command}, .argc = 1, .operands = -1};
    for (; *words != NULL; words++) {
        assert_true(line->argc < WORDS_MAX);
        union {
            const char *from;
            char *to;
        } word = {.from = *words};
        line->argv[line->argc++] = word.to;
    }
    return weir_flags_read(f, line->argc, line->argv, into, &line->operands, line->error);
}

#define READ(...)  (seen = (struct seen){0}, read_words(&flags, WORDS(__VA_ARGS__), &line, &seen))
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_forms(void **state)
{
    (void)state;
    struct seen seen;
    struct line line;
    assert_int_equal(READ("--name", "x"), WEIR_FLAGS_READ);
    assert_ptr_equal(seen.flag, &table[0]);
    assert_string_equal(seen.value, "x");
    assert_int_equal(READ("--name=x"), WEIR_FLAGS_READ);
    assert_string_equal(seen.value, "x");
    assert_int_equal(READ("--name="), WEIR_FLAGS_READ);
    assert_string_equal(seen.value, "");
    assert_int_equal(READ("--names=a=b"), WEIR_FLAGS_READ);
    assert_ptr_equal(seen.flag, &table[1]);
    assert_string_equal(seen.value, "a=b");
    assert_int_equal(READ("--name", "--bare"), WEIR_FLAGS_READ); /* whatever stands behind it */
    assert_string_equal(seen.value, "--bare");
    assert_int_equal(seen.count, 1);
    assert_int_equal(READ("--name", "--help", "--bare"), WEIR_FLAGS_READ);
    assert_null(seen.value);
    assert_int_equal(seen.count, 2);
    assert_int_equal(line.operands, 0);
    assert_string_equal(line.error, "");
}

static void refused(enum weir_flags_end end, const struct line *line, const char *error)
{
    assert_int_equal(end, WEIR_FLAGS_WRONG);
    assert_string_equal(line->error, error);
}

static void test_refused(void **state)
{
    (void)state;
    struct seen seen;
    struct line line;
    char longest[1000] = "--";
    refused(READ("--nam", "x"), &line, "unknown option --nam; see weir test --help");
    refused(READ("--=x"), &line, "unknown option --=x; see weir test --help");
    refused(READ("-b"), &line, "unknown option -b; see weir test --help");
    refused(READ("-name=x"), &line, "unknown option -name=x; see weir test --help");
    refused(READ("--bare=x"), &line, "--bare expects no value");
    refused(READ("x", "--bare"), &line, "unexpected \"x\"; see weir test --help");
    refused(READ(""), &line, "unexpected \"\"; see weir test --help");
    refused(READ("--name"), &line, "--name expects a value");
    assert_int_equal(seen.count, 0);
    refused(READ("--name", "bad"), &line, "--name: expected a good one, got \"bad\"");
    memset(longest + 2, 'x', sizeof(longest) - 3);
    assert_int_equal(READ(longest), WEIR_FLAGS_WRONG);
    assert_true(strlen(line.error) < WEIR_FLAG_ERROR_BYTES - 1);
    assert_non_null(strstr(line.error, "weir test --help"));
}

static void test_help(void **state)
{
    (void)state;
    struct seen seen;
    struct line line;
    assert_int_equal(READ("--name=x", "--help", "--nonsense"), WEIR_FLAGS_HELP);
    assert_int_equal(seen.count, 1);
    assert_int_equal(READ("x", "-h"), WEIR_FLAGS_HELP);
    refused(READ("--nonsense", "--help"), &line, "unknown option --nonsense; see weir test --help");
}

static void test_operands(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct line line;
    struct weir_flags f = flags;
    f.operand = "one or two names";
    f.operands_min = 1;
    f.operands_max = 2;
    static const char *const forms[][7] = {
        {"a", "-", "--name", "x"},
        {"--name", "x", "a", "-"},
        {"a", "--name=x", "-"},
        {"--bare", "--", "a", "-"},
        {"a", "--bare", "--name=x", "--bare", "--", "-"},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        assert_int_equal(read_words(&f, forms[i], &line, &seen), WEIR_FLAGS_READ);
        assert_int_equal(line.operands, 2);
        assert_string_equal(line.argv[1], "a");
        assert_string_equal(line.argv[2], "-");
    }
    assert_int_equal(read_words(&f, WORDS("--", "--help"), &line, &seen), WEIR_FLAGS_READ);
    assert_string_equal(line.argv[1], "--help");
    static const char expected[] = "expected one or two names; see weir test --help";
    refused(read_words(&f, WORDS("--bare"), &line, &seen), &line, expected);
    refused(read_words(&f, WORDS("a", "b", "--", "--"), &line, &seen), &line, expected);
}

static void test_readers(void **state)
{
    (void)state;
    struct into {
        const char *text;
        bool set, not_set;
    } into = {0};
    static const struct weir_flag own[] = {
        {"text", weir_flag_text, .at = offsetof(struct into, text)},
        {"set", weir_flag_set, .at = offsetof(struct into, set), .bare = true},
        {"not-set", weir_flag_set, .at = offsetof(struct into, not_set), .bare = true},
    };
    struct weir_flags f = flags;
    struct line line;
    f.flag = own;
    f.count = 3;
    assert_int_equal(read_words(&f, WORDS("--text", "a", "--set"), &line, &into), WEIR_FLAGS_READ);
    assert_string_equal(into.text, "a");
    assert_true(into.set);
    assert_false(into.not_set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_help),    cmocka_unit_test(test_operands),
        cmocka_unit_test(test_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
