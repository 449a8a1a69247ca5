/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <netinet/in.h>

#include "loadgen/options.h"

#define TARGET "--target=http://127.0.0.1:8000"

/* `words` as a command line with a target and keys; the options or the error come back. */
static bool parse_words(const char *const *words, struct weir_load_options *o,
                        char error[WEIR_LOAD_ERROR_BYTES])
{
    char *argv[16] = {(char[]){"load"}};
    int argc = 1;
    for (; *words != NULL; words++) {
        assert_true(argc < 16);
        union {
            const char *from;
            char *to;
        } word = {.from = *words};
        argv[argc++] = word.to;
    }
    return weir_load_options_parse(argc, argv, o, error);
}

#define PARSE(o, error, ...) parse_words((const char *const[]){__VA_ARGS__, NULL}, (o), (error))

static void accepts(const char *flag, const char *value, struct weir_load_options *ret)
{
    char error[WEIR_LOAD_ERROR_BYTES];
    if (!PARSE(ret, error, TARGET, "--key-count", "1", flag, value)) {
        fail_msg("%s %s: %s", flag, value, error);
    }
    weir_load_options_deinit(ret);
}

static void refuses(const char *flag, const char *value, const char *expected)
{
    struct weir_load_options o;
    char error[WEIR_LOAD_ERROR_BYTES];
    if (PARSE(&o, error, TARGET, "--key-count", "1", flag, value)) {
        fail_msg("%s %s was accepted", flag, value);
    }
    assert_non_null(strstr(error, flag));
    assert_non_null(strstr(error, expected));
    weir_load_options_deinit(&o);
}

static void test_defaults(void **state)
{
    (void)state;
    struct weir_load_options o;
    char error[WEIR_LOAD_ERROR_BYTES];
    assert_true(PARSE(&o, error, TARGET, "--keys", "a,bc"));
    assert_int_equal(o.clients, 50);
    assert_true(o.rate == 100);
    assert_true(o.duration_s == 10);
    assert_int_equal(o.keys, 2);
    assert_true(weir_str_eq(o.key_list[1], WEIR_STR("bc")));
    assert_false(o.stream);
    assert_null(o.json);
    weir_load_options_deinit(&o);
}

static void test_ranges(void **state)
{
    (void)state;
    struct weir_load_options o;
    static const struct {
        const char *flag, *low, *high, *below, *above;
    } cases[] = {
        {"--clients", "1", "65536", "0", "65537"},
        {"--rate", "0.001", "10000000", "0.0009", "10000001"},
        {"--duration", "0.1", "86400", "0.09", "86401"},
        {"--key-count", "1", "10000000", "0", "10000001"},
        {"--zipf", "0", "10", ".", "10.1"},
        {"--prompt-tokens", "1-1", "1-1000000", "0-1", "1-1000001"},
        {"--max-tokens", "1-1", "1-10000000", "0-1", "1-10000001"},
        {"--seed", "0", "18446744073709551615", "-1", "18446744073709551616"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        accepts(cases[i].flag, cases[i].low, &o);
        accepts(cases[i].flag, cases[i].high, &o);
        refuses(cases[i].flag, cases[i].below, "expected");
        refuses(cases[i].flag, cases[i].above, "expected");
    }
    accepts("--rate", "0", &o);
    assert_true(o.rate == 0);
    accepts("--prompt-tokens", "7", &o);
    assert_int_equal(o.prompt_tokens.low, 7);
    assert_int_equal(o.prompt_tokens.high, 7);
}

static void test_forms(void **state)
{
    (void)state;
    refuses("--rate", "nan", "requests per second");
    refuses("--rate", "1e3", "requests per second");
    refuses("--rate", "1.2.3", "requests per second");
    refuses("--duration", "", "seconds");
    refuses("--prompt-tokens", "9-5", "A <= B");
    refuses("--prompt-tokens", "5-", "A <= B");
    refuses("--clients", "4 ", "clients");
    refuses("--json", "", "file");
    refuses("--model", "\xff", "UTF-8");
    refuses("--target", "127.0.0.1:80", "http://HOST:PORT");
    refuses("--target", "http://127.0.0.1", "http://HOST:PORT");
    refuses("--target", "http://127.0.0.1:0", "http://HOST:PORT");
    refuses("--target", "http://127.0.0.1:65536", "http://HOST:PORT");
    refuses("--target", "http://127.0.0.1:80/v1", "http://HOST:PORT");
    refuses("--target", "http://127.0.0.1\r\nX:80", "http://HOST:PORT");
    refuses("--target", "http://::1:80", "http://HOST:PORT");
    refuses("--target", "http://[]:80", "http://HOST:PORT");
    refuses("--target", "http://127.0.0.1:80,", "http://HOST:PORT");
    refuses("--nonsense", "1", "unknown option");
    struct weir_load_options o;
    char error[WEIR_LOAD_ERROR_BYTES];
    assert_false(PARSE(&o, error, TARGET, "--key-count", "1", "--stream=yes"));
    assert_non_null(strstr(error, "--stream expects no value"));
}

static void test_targets(void **state)
{
    (void)state;
    struct weir_load_options o;
    accepts("--target", "http://127.0.0.1:1,http://[::1]:65535/", &o);
    assert_int_equal(o.targets, 2);
    assert_int_equal(o.target[0].addr.ss_family, AF_INET);
    assert_int_equal(o.target[1].addr.ss_family, AF_INET6);
    assert_true(weir_str_eq(o.target[1].authority, WEIR_STR("[::1]:65535")));

    char many[17 * 24] = "";
    size_t len = 0;
    for (int i = 0; i < 17; i++) {
        len += (size_t)snprintf(many + len, sizeof(many) - len, "%shttp://127.0.0.1:1",
                                i == 0 ? "" : ",");
    }
    refuses("--target", many, "at most 16");
    many[16 * 19 - 1] = '\0';
    accepts("--target", many, &o);
    assert_int_equal(o.targets, WEIR_LOAD_TARGETS_MAX);
}

static void test_keys(void **state)
{
    (void)state;
    struct weir_load_options o;
    char error[WEIR_LOAD_ERROR_BYTES], longest[WEIR_LOAD_KEY_BYTES_MAX + 2];
    memset(longest, 'k', sizeof(longest));
    longest[WEIR_LOAD_KEY_BYTES_MAX + 1] = '\0';
    refuses("--key-prefix", longest, "512");
    longest[WEIR_LOAD_KEY_BYTES_MAX] = '\0';
    accepts("--key-prefix", longest, &o);

    static const char *const bad[] = {"", "a,,b", "a b", "a\r\nX: y", "k\xc3\xa9y"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(PARSE(&o, error, TARGET, "--keys", bad[i]));
        assert_non_null(strstr(error, "--keys"));
        weir_load_options_deinit(&o);
    }
    assert_false(PARSE(&o, error, TARGET, "--keys", "a", "--key-count", "2"));
    assert_non_null(strstr(error, "not both"));
    weir_load_options_deinit(&o);
    assert_false(PARSE(&o, error, TARGET, "--key-count", "2", "--keys", "a"));
    assert_non_null(strstr(error, "not both"));
    weir_load_options_deinit(&o);
    assert_false(PARSE(&o, error, TARGET));
    assert_non_null(strstr(error, "--keys"));
    weir_load_options_deinit(&o);
    assert_false(PARSE(&o, error, "--keys", "a"));
    assert_non_null(strstr(error, "--target"));
    weir_load_options_deinit(&o);
    assert_false(PARSE(&o, error, TARGET, "--keys"));
    assert_non_null(strstr(error, "expects a value"));
    weir_load_options_deinit(&o);
}

static void test_key_ids(void **state)
{
    (void)state;
    struct weir_load_options o;
    char error[WEIR_LOAD_ERROR_BYTES], longest[WEIR_LOAD_KEY_ID_MAX + 2];
    struct weir_buf name;
    weir_buf_init(&name, 64);
    assert_true(PARSE(&o, error, TARGET, "--keys", "sk-1,sk-2", "--key-ids", "a,b"));
    weir_load_subject(&o, 1, &name);
    assert_true(weir_str_eq(weir_buf_view(&name), WEIR_STR("key:b")));
    weir_load_options_deinit(&o);
    assert_true(PARSE(&o, error, TARGET, "--keys", "sk-1,sk-2"));
    weir_buf_reset(&name);
    weir_load_subject(&o, 1, &name);
    assert_true(weir_str_eq(weir_buf_view(&name), WEIR_STR("key:2")));
    weir_load_options_deinit(&o);
    weir_buf_deinit(&name);

    assert_false(PARSE(&o, error, TARGET, "--keys", "sk-1,sk-2", "--key-ids", "a"));
    assert_non_null(strstr(error, "as many as there are keys"));
    weir_load_options_deinit(&o);
    refuses("--key-ids", "a,", "ids of 1 to 100");
    memset(longest, 'i', sizeof(longest));
    longest[WEIR_LOAD_KEY_ID_MAX + 1] = '\0';
    refuses("--key-ids", longest, "ids of 1 to 100");
    longest[WEIR_LOAD_KEY_ID_MAX] = '\0';
    accepts("--key-ids", longest, &o);
    refuses("--record", "", "file");
}

static void test_key_names(void **state)
{
    (void)state;
    struct weir_load_options o;
    char error[WEIR_LOAD_ERROR_BYTES];
    struct weir_buf name;
    weir_buf_init(&name, 64);
    assert_true(PARSE(&o, error, TARGET, "--key-count=3", "--key-prefix=sk-"));
    weir_load_key(&o, 2, &name);
    assert_true(weir_str_eq(weir_buf_view(&name), WEIR_STR("sk-3")));
    weir_load_options_deinit(&o);
    weir_buf_deinit(&name);
}

static void test_trace(void **state)
{
    (void)state;
    struct weir_load_options o;
    char error[WEIR_LOAD_ERROR_BYTES];
    assert_true(PARSE(&o, error, TARGET, "--keys", "a", "--trace", "t.csv", "--speed=2.5"));
    assert_string_equal(o.trace, "t.csv");
    assert_true(o.speed == 2.5);
    assert_int_equal(o.max_tokens.low, 1024);
    assert_int_equal(o.max_tokens.high, 4096);
    assert_int_equal(o.asking, WEIR_LOAD_ASK_RANGE);
    assert_false(o.duration_given);
    weir_load_options_deinit(&o);
    assert_true(PARSE(&o, error, TARGET, "--keys", "a", "--trace=t", "--max-tokens", "exact"));
    assert_int_equal(o.asking, WEIR_LOAD_ASK_EXACT);
    weir_load_options_deinit(&o);
    accepts("--max-tokens", "none", &o);
    assert_int_equal(o.asking, WEIR_LOAD_ASK_NONE);
    refuses("--max-tokens", "exact", "--trace");
    refuses("--speed", "2", "--trace");
    refuses("--trace", "", "the name of a file");
    static const char *const speeds[] = {"0", "1000001", "fast"};
    for (size_t i = 0; i < 3; i++) {
        refuses("--speed", speeds[i], "a factor from 0.001 to 1000000");
    }
    assert_false(PARSE(&o, error, TARGET, "--keys", "a", "--trace=t", "--rate=1"));
    assert_non_null(strstr(error, "--rate"));
    weir_load_options_deinit(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace),     cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_ranges),    cmocka_unit_test(test_forms),
        cmocka_unit_test(test_targets),   cmocka_unit_test(test_keys),
        cmocka_unit_test(test_key_names), cmocka_unit_test(test_key_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
