/* SPDX-License-Identifier: Apache-2.0 */
/* The models of the configuration: which entry limits which model. */
#include "base/buf.h"
#include "config/parse.h"
#include "support/configs.h"

/* NULL: nothing limits it. */
static void limited_by(const struct weir_config *c, const char *model, const char *subject)
{
    const struct weir_subject *s = weir_config_model(c, weir_str_z(model));
    if (s == NULL ? subject != NULL
                  : subject == NULL || !weir_str_eq(s->name, weir_str_z(subject))) {
        fail_msg("%s is limited by %.*s, expected %s", model, s == NULL ? 0 : (int)s->name.len,
                 s == NULL ? "" : s->name.p, subject == NULL ? "nothing" : subject);
    }
    if (s != NULL) {
        assert_non_null(s->plan);
    }
}

static void test_globs(void **state)
{
    (void)state;
    static const struct {
        const char *glob, *text;
        bool matches;
    } cases[] = {
        {"*", "a", true},
        {"*", "", true},
        {"**", "a", true},
        {"?", "a", true},
        {"?", "", false},
        {"?", "ab", false},
        {"?", "\xc3\xa9", true}, /* one character of two bytes */
        {"??", "\xc3\xa9", false},
        {"*??", "\xc3\xa9", false},
        {"*?z",
         "\xc3\xa9"
         "az",
         true},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"a*c", "ac", true},
        {"a*c", "abbc", true},
        {"a*c", "abcb", false},
        {"a*c", "abcbc", true}, /* the first c is not the last */
        {"*mini", "gpt-4o-mini", true},
        {"*mini", "minis", false},
        {"*-4*-mini", "gpt-4o-mini", true},
        {"*-4*-mini", "gpt-4-mini", true},
        {"*-4*-mini", "gpt-mini-4", false},
        {"gpt-4*", "gpt-4", true},
        {"gpt-4*", "gpt-", false},
        {"gpt-4*", "xgpt-4", false},
        {"gpt-4*", "GPT-4", false},
        {"gpt-4*", "gpt-4*", true},
        {"a.b", "axb", false}, /* no other character stands for anything */
        {"[ab]", "a", false},
        {"a\\*", "a*", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (weir_glob_matches(weir_str_z(cases[i].glob), weir_str_z(cases[i].text)) !=
            cases[i].matches) {
            fail_msg("%s and %s", cases[i].glob, cases[i].text);
        }
    }
}

/* Bounded: a text of the longest name against the worst of globs. */
static void test_glob_of_many_stars(void **state)
{
    (void)state;
    char glob[WEIR_NAME_MAX], text[128];
    for (size_t i = 0; i < sizeof(glob); i++) {
        glob[i] = i % 2 == 0 ? '*' : 'a';
    }
    memset(text, 'a', sizeof(text));
    assert_true(weir_glob_matches(weir_str(glob, sizeof(glob)), weir_str(text, sizeof(text))));
    glob[sizeof(glob) - 1] = 'b';
    for (unsigned i = 0; i < 1000; i++) {
        assert_false(weir_glob_matches(weir_str(glob, sizeof(glob)), weir_str(text, sizeof(text))));
    }
}

static void test_which_entry(void **state)
{
    (void)state;
    struct weir_config *c = taken(PLAN "models:\n"
                                       "  \"*\": {plan: p}\n"
                                       "  gpt-4o: {plan: p}\n"
                                       "  gpt-4o-free: {}\n"
                                       "  \"gpt-4*\": {plan: p}\n"
                                       "  \"gpt-4o-free-*\": {}\n"
                                       "  \"*-a\": {plan: p}\n"
                                       "  \"b-*\": {plan: p}\n"
                                       "  \"b-?\": {plan: p}\n"
                                       "  \"c-*\": {plan: p}\n"
                                       "  \"c-?*\": {plan: p}\n");
    limited_by(c, "gpt-4o", "model:gpt-4o");
    limited_by(c, "gpt-4o-mini", "model:gpt-4*");
    limited_by(c, "gpt-4", "model:gpt-4*");
    limited_by(c, "gpt-3", "model:*");
    limited_by(c, "gpt-4o-free", NULL); /* exact, though globs match it */
    limited_by(c, "gpt-4o-free-x", NULL);
    limited_by(c, "gpt-4o-freed", "model:gpt-4*");
    limited_by(c, "gpt-4*", "model:gpt-4*");
    limited_by(c, "b-?", "model:b-?");
    limited_by(c, "c-*", "model:c-?*"); /* a glob is no name */
    limited_by(c, "b-a", "model:b-?");  /* of equal length: fewest stars, then by bytes */
    limited_by(c, "b-xx-a", "model:*-a");
    weir_config_free(c);
}

/* The order of the file decides nothing. */
static void test_order_of_entries(void **state)
{
    (void)state;
    static const char *const orders[] = {
        PLAN
        "models: {\"*\": {plan: p}, \"a*\": {plan: p}, \"*b\": {plan: p}, \"ab*\": {plan: p}}\n",
        PLAN
        "models: {\"ab*\": {plan: p}, \"*b\": {plan: p}, \"a*\": {plan: p}, \"*\": {plan: p}}\n",
        PLAN
        "models: {\"*b\": {plan: p}, \"ab*\": {plan: p}, \"*\": {plan: p}, \"a*\": {plan: p}}\n",
    };
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        struct weir_config *c = taken(orders[i]);
        limited_by(c, "abc", "model:ab*");
        limited_by(c, "axb", "model:*b");
        limited_by(c, "ac", "model:a*");
        limited_by(c, "c", "model:*");
        weir_config_free(c);
    }
}

static void test_nothing_matches(void **state)
{
    (void)state;
    struct weir_config *c = taken(PLAN "models: {a: {plan: p}, \"b*\": {plan: p}}\n");
    limited_by(c, "c", NULL);
    limited_by(c, "", NULL);
    limited_by(c, "aa", NULL);
    weir_config_free(c);
    c = taken("models: {a: {}, \"b*\": {}}\n");
    limited_by(c, "a", NULL);
    limited_by(c, "b", NULL);
    weir_config_free(c);
    c = taken("");
    limited_by(c, "weir-mock", NULL);
    weir_config_free(c);
}

/* What GET /v1/models lists: the names in the file's order. */
static void test_names(void **state)
{
    (void)state;
    struct weir_config *c = taken("models: {b c: {}, \"x?\": {}, a: {}}\n");
    assert_int_equal(c->models, 3);
    assert_true(weir_str_eq(c->model[0].text, WEIR_STR("b c")));
    assert_false(c->model[0].glob);
    assert_true(c->model[1].glob);
    assert_true(weir_str_eq(c->model[2].text, WEIR_STR("a")));
    assert_false(c->model[2].glob);
    weir_config_free(c);
    c = taken("models: {}\n");
    assert_int_equal(c->models, 0);
    weir_config_free(c);
}

static void test_wrong_names(void **state)
{
    (void)state;
    char text[128];
    for (int len = 63; len <= 64; len++) {
        snprintf(text, sizeof(text), PLAN "models:\n  %0*d: {plan: p}\n", len, 0);
        if (len == 63) {
            struct weir_config *c = taken(text);
            assert_int_equal(c->model[0].subject.name.len, 69);
            weir_config_free(c);
        } else {
            refused(text, 3, 3, "models: expected names or globs of 1 to 63 characters");
        }
    }
    refused("models: {\"\": {}}\n", 1, 11, "models: expected names or globs");
    refused("models: {\"a\\x1b[31m\": {}}\n", 1, 11, "models: expected names or globs");
    refused(PLAN "models: {a: {plan: q}}\n", 2, 20, "plan: expected the name of a plan");
    refused("models: {*: {}}\n", 1, 11, "a text that begins with one of these stands in quotes");
}

/* The same number of entries, all names or all globs. */
static void entries(unsigned count, bool globs, const char *refusal)
{
    struct weir_buf b;
    weir_buf_init(&b, 1 << 20);
    WEIR_BUF_LIT(&b, PLAN "models:\n");
    for (unsigned i = 0; i < count; i++) {
        weir_buf_printf(&b, "  %s%u: {plan: p}\n", globs ? "m*-" : "m", i);
    }
    if (refusal != NULL) {
        refused_bytes(weir_buf_view(&b), globs ? count + 2 : 3, 3, refusal);
    } else {
        struct weir_config *c = taken_bytes(weir_buf_view(&b));
        for (unsigned i = 0; i < count; i++) {
            char model[32], subject[32];
            snprintf(model, sizeof(model), globs ? "m1-%u" : "m%u", i);
            snprintf(subject, sizeof(subject), globs ? "model:m*-%u" : "model:m%u", i);
            limited_by(c, model, subject);
        }
        weir_config_free(c);
    }
    weir_buf_deinit(&b);
}

static void test_bounds(void **state)
{
    (void)state;
    entries(WEIR_CONFIG_MODELS_MAX, false, NULL);
    entries(WEIR_CONFIG_MODELS_MAX + 1, false, "models: at most 1000");
    entries(WEIR_CONFIG_GLOBS_MAX, true, NULL);
    entries(WEIR_CONFIG_GLOBS_MAX + 1, true, "models: at most 100 globs");
}

/* A key's own subjects share a slot of a cluster; what all keys share is in one of its own. */
static void test_on_a_cluster(void **state)
{
    (void)state;
    const char *plans = "store: redis+cluster://h:1\nplans: {p: {limits: {requests: 1/s}}}\n";
    char text[512];
    snprintf(text, sizeof(text),
             "%smodels: {m: {plan: p}}\norgs: [{id: o, plan: p}]\nteams: [{id: t, org: o}]\n"
             "keys: [{id: k, secret: s, plan: p, team: t}, {id: l, secret: r, plan: p}]\n",
             plans);
    struct weir_config *c = taken(text);
    assert_true(weir_str_eq(c->key[0].subject.root, WEIR_STR("org:o")));
    assert_true(weir_str_eq(c->team[0].subject.root, WEIR_STR("org:o")));
    assert_int_equal(c->org[0].subject.root.len, 0);
    assert_int_equal(c->key[1].subject.root.len, 0);
    assert_int_equal(c->model[0].subject.root.len, 0);
    weir_config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_globs),           cmocka_unit_test(test_glob_of_many_stars),
        cmocka_unit_test(test_which_entry),     cmocka_unit_test(test_order_of_entries),
        cmocka_unit_test(test_nothing_matches), cmocka_unit_test(test_names),
        cmocka_unit_test(test_wrong_names),     cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_on_a_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
