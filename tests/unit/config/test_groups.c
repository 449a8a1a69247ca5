/* SPDX-License-Identifier: Apache-2.0 */
/* Teams and orgs, and which subjects a key has. */
#include "base/buf.h"
#include "config/parse.h"
#include "support/configs.h"

#define PLANS "plans: {low: {}, mid: {}, big: {}}\n" /* one line */

/* The names of the key's subjects, each with a blank behind it; each is found by its name. */
static void subjects_are(const struct weir_config *c, const char *key, const char *expected)
{
    const struct weir_subject *subject[WEIR_SCOPE_MODEL];
    char names[512] = "";
    const struct weir_key *k = weir_config_key_by_id(c, weir_str_z(key));
    assert_non_null(k);
    unsigned n = weir_key_subjects(k, subject);
    for (unsigned i = 0; i < n; i++) {
        size_t len = strlen(names);
        snprintf(names + len, sizeof(names) - len, "%.*s ", (int)subject[i]->name.len,
                 subject[i]->name.p);
        uint64_t id[2];
        weir_subject_id(subject[i]->name, id);
        assert_memory_equal(subject[i]->id, id, sizeof(id));
        assert_non_null(subject[i]->plan);
        assert_ptr_equal(weir_config_subject(c, subject[i]->name), subject[i]);
    }
    assert_string_equal(names, expected);
}

static void plan_is(const struct weir_config *c, const char *subject, const char *plan)
{
    const struct weir_subject *s = weir_config_subject(c, weir_str_z(subject));
    assert_non_null(s);
    assert_string_equal(s->plan->name, plan);
}

/* The order of the sections does not matter; ids of different scopes have nothing to do with each
 * other. */
static void test_subjects_of_keys(void **state)
{
    (void)state;
    struct weir_config *c = taken("keys:\n"
                                  "- {id: all, secret: a, plan: low, team: search}\n"
                                  "- {id: of_team, secret: b, team: search}\n"
                                  "- {id: of_org, secret: c, plan: low, org: acme}\n"
                                  "- {id: only_org, secret: d, org: acme}\n"
                                  "- {id: link, secret: e, team: link}\n"
                                  "- {id: team_alone, secret: f, plan: low, team: acme}\n"
                                  "- {id: acme, secret: g, plan: low}\n"
                                  "teams:\n"
                                  "- {id: search, plan: mid, org: acme}\n"
                                  "- {id: link, org: acme}\n"
                                  "- {id: acme, plan: mid}\n"
                                  "orgs: [{id: acme, plan: big}]\n" PLANS);
    subjects_are(c, "all", "key:all team:search org:acme ");
    subjects_are(c, "of_team", "team:search org:acme ");
    subjects_are(c, "of_org", "key:of_org org:acme ");
    subjects_are(c, "only_org", "org:acme ");
    subjects_are(c, "link", "org:acme ");
    subjects_are(c, "team_alone", "key:team_alone team:acme ");
    subjects_are(c, "acme", "key:acme ");
    plan_is(c, "key:all", "low");
    plan_is(c, "team:search", "mid");
    plan_is(c, "team:acme", "mid");
    plan_is(c, "org:acme", "big");
    weir_config_free(c);
}

/* What has no plan is no subject. */
static void test_subject_by_name(void **state)
{
    (void)state;
    struct weir_config *c = taken(PLANS "orgs: [{id: o, plan: big}]\n"
                                        "teams: [{id: t, org: o}]\n"
                                        "keys: [{id: k, secret: a, team: t}]\n"
                                        "models: {a: {plan: low}, \"b*\": {plan: low}, c: {}}\n");
    static const char *const none[] = {
        "",    "key:",   "key:k",  "team:t",  "team:o",  "org:t", "org:",      "model:", "o",
        "org", "orgs:o", "user:o", "model:b", "model:c", ":o",    "model:b*x", "Org:o",  "org: o"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_null(weir_config_subject(c, weir_str_z(none[i])));
    }
    plan_is(c, "org:o", "big");
    plan_is(c, "model:a", "low");
    plan_is(c, "model:b*", "low");
    weir_config_free(c);
}

static void test_wrong_groups(void **state)
{
    (void)state;
    refused(PLANS "orgs: [{id: o}]\n", 2, 8, "orgs: expected id, and plan");
    refused(PLANS "orgs: [{plan: low}]\n", 2, 8, "orgs: expected id, and plan");
    refused(PLANS "orgs: [{id: o, plan: high}]\n", 2, 22, "plan: expected the name of a plan");
    refused(PLANS "orgs: [{id: o o, plan: low}]\n", 2, 13,
            "id: expected 1 to 100 characters of A-Z a-z 0-9 . _ : @ -");
    refused(PLANS "orgs:\n- {id: o, plan: low}\n- {id: o, plan: mid}\n", 4, 3,
            "orgs: the id \"o\" is there twice");
    refused(PLANS "teams: [{id: t}]\n", 2, 9, "teams: expected id, and plan or org");
    refused(PLANS "teams: [{id: t, org: o}]\n", 2, 22, "org: expected the id of an org");
    refused(PLANS "teams: [{id: t, org: [o]}]\n", 2, 22, "org: expected the id of an org");
    refused(PLANS "teams:\n- {id: t, plan: low}\n- {id: t, plan: mid}\n", 4, 3,
            "teams: the id \"t\" is there twice");
    refused(PLANS "teams: [{id: t, plan: low}]\nkeys:\n- {id: k, secret: a, team: u}\n", 4, 28,
            "team: expected the id of a team");
    refused(PLANS "teams: [{id: t, plan: low}]\nkeys:\n- {id: k, secret: a, org: t}\n", 4, 27,
            "org: expected the id of an org");
    refused(PLANS "orgs: [{id: o, plan: low}]\nteams: [{id: t, plan: low}]\n"
                  "keys:\n- {id: k, secret: a, team: t, org: o}\n",
            5, 36, "org: expected one of team and org");
    refused(PLANS "orgs: [{id: o, plan: low}]\nteams: [{id: t, plan: low}]\n"
                  "keys:\n- {id: k, secret: a, org: o, team: t}\n",
            5, 36, "team: expected one of team and org");
}

static void test_bounds(void **state)
{
    (void)state;
    char text[512];
    for (int len = 100; len <= 101; len++) {
        snprintf(text, sizeof(text), PLANS "teams: [{id: %0*d, plan: low}]\n", len, 0);
        if (len == 100) {
            struct weir_config *c = taken(text);
            assert_int_equal(c->team[0].subject.name.len, 105);
            weir_config_free(c);
        } else {
            refused(text, 2, 14, "id: expected 1 to 100 characters");
        }
    }
}

static enum weir_err count_up_to(void *ctx, const struct weir_subject *subject)
{
    unsigned *left = ctx;
    assert_non_null(subject->plan);
    return (*left)-- == 0 ? WEIR_ERR_LIMIT : WEIR_OK;
}

/* Places are reserved for all that are configured. */
static void test_places(void **state)
{
    (void)state;
    const char *yaml = PLANS "keys: [{id: a, secret: a, plan: low}, {id: b, secret: b, team: t}]\n"
                             "teams: [{id: t, plan: low, org: o}, {id: u, org: o}]\n"
                             "orgs: [{id: o, plan: low}]\n"
                             "models: {a: {plan: low}, \"b*\": {plan: low}, c: {}}\n"
                             "max_subjects: 5\n";
    char text[512];
    struct weir_config *c = taken(yaml);
    unsigned left = 5;
    assert_int_equal(weir_config_each_subject(c, count_up_to, &left), WEIR_OK);
    for (unsigned i = 0; i < 5; i++) {
        left = i;
        assert_int_equal(weir_config_each_subject(c, count_up_to, &left), WEIR_ERR_LIMIT);
    }
    weir_config_free(c);
    snprintf(text, sizeof(text), "%s", yaml);
    *strrchr(text, '5') = '4';
    refused(text, 0, 0,
            "max_subjects: expected at least the number of keys, teams, orgs and models with a "
            "plan, 5");
}

/* Every team of many is found by its id, and so are its keys' subjects. */
static void test_many_teams(void **state)
{
    enum { TEAMS = 2000 };
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 1 << 20);
    WEIR_BUF_LIT(&b, PLANS "orgs: [{id: o, plan: big}]\nteams:\n");
    for (unsigned i = 0; i < TEAMS; i++) {
        weir_buf_printf(&b, "- {id: t%u, plan: mid, org: o}\n", i);
    }
    WEIR_BUF_LIT(&b, "keys:\n");
    for (unsigned i = 0; i < TEAMS; i++) {
        weir_buf_printf(&b, "- {id: k%u, secret: s%u, team: t%u}\n", i, i, i);
    }
    struct weir_config *c = taken_bytes(weir_buf_view(&b));
    for (unsigned i = 0; i < TEAMS; i++) {
        char key[16], names[64];
        snprintf(key, sizeof(key), "k%u", i);
        snprintf(names, sizeof(names), "team:t%u org:o ", i);
        subjects_are(c, key, names);
    }
    weir_config_free(c);
    weir_buf_deinit(&b);
}

static void test_scopes(void **state)
{
    (void)state;
    static const char *const names[WEIR_SCOPES] = {"key", "team", "org", "model"};
    for (unsigned i = 0; i < WEIR_SCOPES; i++) {
        char text[32];
        enum weir_scope scope = WEIR_SCOPES;
        struct weir_str id;
        assert_string_equal(weir_scope_name((enum weir_scope)i), names[i]);
        snprintf(text, sizeof(text), "%s:a:b", names[i]);
        assert_int_equal(weir_scope_split(weir_str_z(text), &scope, &id), WEIR_OK);
        assert_int_equal(scope, i);
        assert_true(weir_str_eq(id, WEIR_STR("a:b")));
        size_t len = strlen(names[i]);
        assert_int_equal(weir_scope_split(weir_str(text, len), &scope, &id), WEIR_ERR_INVALID);
        text[len] = 's';
        assert_int_equal(weir_scope_split(weir_str_z(text), &scope, &id), WEIR_ERR_INVALID);
        text[len] = ':';
        assert_int_equal(weir_scope_split(weir_str(text, len + 1), &scope, &id), WEIR_OK);
        assert_int_equal(id.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subjects_of_keys), cmocka_unit_test(test_subject_by_name),
        cmocka_unit_test(test_wrong_groups),     cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_places),           cmocka_unit_test(test_many_teams),
        cmocka_unit_test(test_scopes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
