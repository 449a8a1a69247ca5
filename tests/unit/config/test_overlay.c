/* SPDX-License-Identifier: Apache-2.0 */
/* A registry laid over a file: what holds then, what is left out, and why. */
#include "base/mem.h"
#include "config/issued.h"
#include "config/parse.h"
#include "support/configs.h"

enum { NOW_MS = 1000000, ENTRIES = 8 };

/* Plans p and q, an org, a team of it, a key of each, and unknown keys that have a plan. */
#define BASE                                                                                       \
    "plans:\n"                                                                                     \
    "  p: {limits: {requests: 10/min, total_tokens: [100/min, 1000/day]}}\n"                       \
    "  q: {limits: {requests: 20/min shadow}, reserve: max}\n"                                     \
    "orgs: [{id: acme, plan: q}, {id: other, plan: p}]\n"                                          \
    "teams: [{id: search, org: acme}]\n"                                                           \
    "keys:\n"                                                                                      \
    "- {id: alice, secret: alices, plan: p, team: search}\n"                                       \
    "- {id: bob, secret: bobs, plan: q}\n"                                                         \
    "unknown_keys: p\n"                                                                            \
    "models: {small: {plan: p}, 'large*': {}}\n"

static struct weir_entries *entries_of(const struct weir_entry_change *change, size_t changes)
{
    struct weir_entries *none = weir_entries_new(), *entries = NULL;
    assert_non_null(none);
    assert_int_equal(weir_entries_with(none, change, changes, &entries), WEIR_OK);
    weir_entries_let_go(none);
    return entries;
}

/* Pairs of a name and a text, which end with NULL. */
static struct weir_entries *entries_in(const char *const *pair)
{
    struct weir_entry_change change[ENTRIES];
    size_t n = 0;
    for (; pair[2 * n] != NULL; n++) {
        assert_true(n < ENTRIES);
        change[n] =
            (struct weir_entry_change){weir_str_z(pair[2 * n]), weir_str_z(pair[2 * n + 1])};
    }
    return entries_of(change, n);
}

/* The file with the entries over it; to be freed. */
static struct weir_config *laid_over(const char *yaml, const char *const *pair,
                                     struct weir_overlay_report *report)
{
    struct weir_config *base = taken(yaml), *config = NULL;
    struct weir_entries *entries = entries_in(pair);
    assert_int_equal(weir_config_overlay(base, entries, NOW_MS, &config, report), WEIR_OK);
    weir_entries_let_go(entries);
    weir_config_free(base); /* the result has nothing of it */
    return config;
}

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* All of them can be used. */
static struct weir_config *laid(const char *const *pair)
{
    struct weir_overlay_report report = {0};
    struct weir_config *config = laid_over(BASE, pair, &report);
    if (report.unusable != 0) {
        fail_msg("%s: %s", report.name, report.why);
    }
    assert_int_equal(report.name[0] + report.why[0], 0);
    return config;
}

static const struct weir_plan *plan_of(const struct weir_config *config, const char *subject)
{
    const struct weir_subject *s = weir_config_subject(config, weir_str_z(subject));
    assert_non_null(s);
    return s->plan;
}

/* What a limit of the plan is, also in shadow; 0: it has none. */
static uint64_t stated(const struct weir_plan *plan, enum weir_meter meter, uint32_t window_s,
                       bool *ret_shadow)
{
    *ret_shadow = false;
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        for (unsigned i = 0; i < w->meters; i++) {
            if (w->window_s == window_s && w->meter[i] == meter) {
                *ret_shadow = (w->shadow >> i & 1) != 0;
                return w->stated[i];
            }
        }
    }
    return 0;
}

static void check_limit(const struct weir_plan *plan, enum weir_meter meter, uint32_t window_s,
                        uint64_t amount, bool shadow)
{
    bool in_shadow;
    assert_int_equal(stated(plan, meter, window_s, &in_shadow), amount);
    assert_int_equal(in_shadow, shadow);
}

static const struct weir_key *by_secret(const struct weir_config *config, const char *secret)
{
    uint8_t sha256[32];
    return weir_config_key_by_secret(config, weir_str_z(secret), sha256);
}

static const struct weir_key *key_of(const struct weir_config *config, const char *id)
{
    const struct weir_key *key = weir_config_key_by_id(config, weir_str_z(id));
    assert_non_null(key);
    return key;
}

static bool is_plan(const struct weir_plan *plan, const char *name)
{
    return strcmp(plan->name, name) == 0;
}

/* ---- nothing, and what is new ---- */

static void test_nothing(void **state)
{
    (void)state;
    struct weir_config *c = laid(PAIRS(NULL));
    assert_int_equal(c->plans, 2);
    assert_int_equal(c->orgs, 2);
    assert_int_equal(c->teams, 1);
    assert_int_equal(c->keys, 2);
    assert_int_equal(c->models, 2);
    const struct weir_key *alice = by_secret(c, "alices");
    assert_ptr_equal(alice, key_of(c, "alice"));
    assert_ptr_equal(alice->subject.plan, &c->plan[0]);
    assert_ptr_equal(alice->subject.plan->set, c->_plans);
    assert_non_null(alice->subject.plan->share);
    assert_ptr_equal(alice->group, &c->team[0]);
    assert_ptr_equal(alice->group->org, &c->org[0]);
    assert_true(weir_str_eq(alice->subject.root, WEIR_STR("org:acme")));
    assert_ptr_equal(c->unknown_plan, &c->plan[0]);
    assert_ptr_equal(plan_of(c, "model:small"), &c->plan[0]);
    assert_ptr_equal(by_secret(c, "bobs"), key_of(c, "bob"));
    weir_config_free(c);
}

static void test_new_things(void **state)
{
    (void)state;
    struct weir_overlay_report report = {0};
    struct weir_config *c = laid_over(
        BASE,
        PAIRS("key:new", "{\"secret\":\"news\",\"team\":\"sales\",\"plan\":\"r\"}", "org:fresh",
              "{\"plan\":\"r\"}", "plan:r", "{\"limits\":{\"requests\":[\"1/s\",\"30/min\"]}}",
              "team:sales", "{\"org\":\"fresh\"}", "plan:free", "{}"),
        &report);
    assert_int_equal(report.used, 5);
    assert_int_equal(report.unusable, 0);
    const struct weir_key *key = by_secret(c, "news");
    assert_ptr_equal(key, key_of(c, "new"));
    assert_true(weir_str_eq(key->subject.root, WEIR_STR("org:fresh")));
    assert_true(is_plan(key->subject.plan, "r"));
    check_limit(key->subject.plan, WEIR_METER_REQUESTS, 1, 1, false);
    check_limit(key->subject.plan, WEIR_METER_REQUESTS, 60, 30, false);
    const struct weir_subject *subject[WEIR_SCOPE_MODEL];
    assert_int_equal(weir_key_subjects(key, subject), 2); /* its own, and the org's */
    assert_true(weir_str_eq(subject[1]->name, WEIR_STR("org:fresh")));
    const struct weir_plan *none = weir_plan_by_name(c, WEIR_STR("free"));
    assert_non_null(none);
    assert_int_equal(none->limits, 0);
    assert_int_equal(none->default_output_tokens, 256); /* as the file's that does not say it */
    weir_config_free(c);
}

/* Over a file that has nothing at all. */
static void test_over_an_empty_file(void **state)
{
    (void)state;
    struct weir_overlay_report report = {0};
    struct weir_config *c = laid_over(
        "", PAIRS("plan:r", "{}", "key:a", "{\"secret\":\"as\",\"plan\":\"r\"}"), &report);
    assert_int_equal(report.used, 2);
    assert_ptr_equal(by_secret(c, "as"), &c->key[0]);
    assert_int_equal(c->models, 1);
    weir_config_free(c);
}

/* ---- what an entry says in place of the file ---- */

static void test_keys_changed(void **state)
{
    (void)state;
    struct weir_config *c = laid(
        PAIRS("key:alice", "{\"plan\":\"q\"}", "key:bob", "{\"org\":\"acme\",\"disabled\":true}"));
    const struct weir_key *alice = by_secret(c, "alices"), *bob = by_secret(c, "bobs");
    assert_int_equal(c->keys, 2);
    assert_true(is_plan(alice->subject.plan, "q"));
    assert_ptr_equal(alice->group, &c->team[0]); /* the rest is the file's */
    assert_false(weir_key_disabled(alice));
    assert_true(is_plan(bob->subject.plan, "q"));
    assert_ptr_equal(bob->group, &c->org[0]);
    assert_true(weir_str_eq(bob->subject.root, WEIR_STR("org:acme")));
    assert_true(weir_key_disabled(bob));
    weir_config_free(c);
}

static void test_key_enabled(void **state)
{
    (void)state;
    struct weir_overlay_report report = {0};
    struct weir_config *c = laid_over(PLAN "keys: [{id: a, secret: b, plan: p, disabled: true}]\n",
                                      PAIRS("key:a", "{\"disabled\":false}"), &report);
    assert_false(weir_key_disabled(key_of(c, "a")));
    weir_config_free(c);
}

/* What is disabled in the file stays so when an entry says something else of it. */
static void test_disabled_kept(void **state)
{
    (void)state;
    struct weir_overlay_report report = {0};
    struct weir_config *c = laid_over(
        PLAN "teams: [{id: t, plan: p, disabled: true}]\n"
             "keys: [{id: a, secret: as, plan: p, disabled: true}, {id: b, secret: bs, team: t}]\n",
        PAIRS("key:a", "{\"secret\":\"others\"}", "team:t", "{\"limits\":{\"requests\":\"2/s\"}}"),
        &report);
    assert_int_equal(report.used, 2);
    assert_true(weir_key_disabled(key_of(c, "a")));
    assert_true(weir_key_disabled(key_of(c, "b")));
    weir_config_free(c);
}

/* The secret of before opens nothing any more. */
static void test_rotate(void **state)
{
    (void)state;
    char secret[WEIR_ISSUED_BYTES + 1], salted[WEIR_SALTED_BYTES + 1], text[256];
    weir_issue_secret(secret);
    weir_salt_secret(secret, salted);
    snprintf(text, sizeof(text), "{\"secret_salted\":\"%s\"}", salted);
    struct weir_config *c =
        laid(PAIRS("key:alice", text, "key:bob", "{\"secret\":\"alices\"}")); /* it is free then */
    assert_ptr_equal(by_secret(c, secret), key_of(c, "alice"));
    assert_ptr_equal(by_secret(c, "alices"), key_of(c, "bob"));
    assert_null(by_secret(c, "bobs"));
    assert_true(is_plan(key_of(c, "alice")->subject.plan, "p"));
    weir_config_free(c);
}

static void test_team_moves(void **state)
{
    (void)state;
    struct weir_config *c = laid(PAIRS("team:search", "{\"org\":\"other\",\"plan\":\"q\"}",
                                       "org:other", "{\"disabled\":true}"));
    const struct weir_key *alice = key_of(c, "alice");
    assert_ptr_equal(alice->group->org, &c->org[1]);
    assert_true(weir_str_eq(alice->subject.root, WEIR_STR("org:other")));
    assert_true(weir_str_eq(alice->group->subject.root, WEIR_STR("org:other")));
    assert_true(is_plan(plan_of(c, "team:search"), "q"));
    assert_true(weir_key_disabled(alice));
    assert_true(is_plan(plan_of(c, "org:other"), "p"));
    weir_config_free(c);
}

/* What has the plan has the changed one: keys, models and unknown keys alike. */
static void test_plan_changed(void **state)
{
    (void)state;
    struct weir_config *c = laid(
        PAIRS("plan:p", "{\"limits\":{\"requests\":\"3/min\"},\"reserve\":{\"fixed\":9}}", "plan:q",
              "{\"on_overrun\":\"cut\",\"default_output_tokens\":5,\"forecast_quantile\":0.5,"
              "\"cached_input_weight\":0.25,\"charge_failed\":false}"));
    const struct weir_plan *p = plan_of(c, "key:alice"), *q = plan_of(c, "key:bob");
    assert_int_equal(c->plans, 2);
    check_limit(p, WEIR_METER_REQUESTS, 60, 3, false);
    assert_int_equal(p->limits, 1); /* its limits go together */
    assert_int_equal(p->reserve, WEIR_RESERVE_FIXED);
    assert_int_equal(p->reserve_fixed, 9);
    assert_ptr_equal(plan_of(c, "model:small"), p);
    assert_ptr_equal(c->unknown_plan, p);
    check_limit(q, WEIR_METER_REQUESTS, 60, 20, true); /* as the file has it */
    assert_int_equal(q->reserve, WEIR_RESERVE_MAX);
    assert_true(q->cut_on_overrun);
    assert_int_equal(q->default_output_tokens, 5);
    assert_int_equal(q->forecast_permille, 500);
    assert_int_equal(q->cached_permille, 250);
    assert_false(q->charge_failed);
    weir_config_free(c);
}

static void test_shadow(void **state)
{
    (void)state;
    struct weir_config *c = laid(PAIRS("plan:p", "{\"shadow\":true}", "plan:q",
                                       "{\"limits\":{\"requests\":\"20/min\"}}", "key:bob",
                                       "{\"limits\":{\"input_tokens\":\"8/h shadow\"}}"));
    const struct weir_plan *p = plan_of(c, "key:alice"), *bobs = plan_of(c, "key:bob");
    check_limit(p, WEIR_METER_REQUESTS, 60, 10, true);
    check_limit(p, WEIR_METER_TOTAL_TOKENS, 86400, 1000, true);
    check_limit(bobs, WEIR_METER_REQUESTS, 60, 20, false);
    check_limit(bobs, WEIR_METER_INPUT_TOKENS, 3600, 8, true);
    weir_config_free(c);
    struct weir_overlay_report report = {0};
    c = laid_over("plans: {p: {shadow: true, limits: {requests: 4/min}}}\n"
                  "keys: [{id: a, secret: b, plan: p}, {id: c, secret: d, plan: p}]\n",
                  PAIRS("key:a", "{\"limits\":{\"requests\":\"2/min\"}}"), &report);
    check_limit(plan_of(c, "key:a"), WEIR_METER_REQUESTS, 60, 2, true); /* the plan's word holds */
    weir_config_free(c);
    c = laid_over("plans: {p: {shadow: true, limits: {requests: 4/min}}}\n",
                  PAIRS("plan:p", "{\"shadow\":false}"), &report);
    check_limit(&c->plan[0], WEIR_METER_REQUESTS, 60, 4, false);
    assert_int_equal(c->plan[0].window[0].capacity[0], 4);
    weir_config_free(c);
}

/* ---- limits of one's own ---- */

static void test_own_limits(void **state)
{
    (void)state;
    struct weir_config *c =
        laid(PAIRS("key:alice", "{\"limits\":{\"requests\":\"50/min\",\"input_tokens\":[\"7/s\"]}}",
                   "team:search", "{\"limits\":{\"requests\":\"9/h\"}}"));
    const struct weir_plan *alices = plan_of(c, "key:alice"), *teams = plan_of(c, "team:search");
    check_limit(alices, WEIR_METER_REQUESTS, 60, 50, false);
    check_limit(alices, WEIR_METER_INPUT_TOKENS, 1, 7, false);
    check_limit(alices, WEIR_METER_TOTAL_TOKENS, 60, 100, false); /* beside its plan's others */
    check_limit(alices, WEIR_METER_TOTAL_TOKENS, 86400, 1000, false);
    assert_int_equal(alices->limits, 4);
    assert_true(is_plan(alices, "p"));
    assert_ptr_equal(alices->set, c->_plans);
    assert_non_null(alices->share);
    check_limit(teams, WEIR_METER_REQUESTS, 3600, 9, false);
    assert_int_equal(teams->limits, 1);
    assert_true(is_plan(teams, "")); /* it has none but this */
    check_limit(plan_of(c, "model:small"), WEIR_METER_REQUESTS, 60, 10, false); /* p is as it was */
    assert_int_equal(c->plans, 2); /* nobody else can have it */
    weir_config_free(c);
}

/* JSON may spell a name with escapes: it is the same name. */
static void test_name_with_escapes(void **state)
{
    (void)state;
    struct weir_config *c = laid(PAIRS("key:bob", "{\"l\\u0069mits\":{\"requests\":\"7/min\"}}",
                                       "org:acme", "{\"gr\\u0061nts\":[]}"));
    check_limit(plan_of(c, "key:bob"), WEIR_METER_REQUESTS, 60, 7, false);
    weir_config_free(c);
}

/* With those of the plan there are 16 limits of 8 lengths of time at most. */
static void test_own_limits_bounded(void **state)
{
    (void)state;
    struct weir_overlay_report report = {0};
    struct weir_config *c =
        laid_over("plans: {p: {limits: {requests: [1/s, 1/2s, 1/3s, 1/4s, 1/5s, 1/6s, 1/7s],\n"
                  "  total_tokens: [1/s, 1/2s, 1/3s, 1/4s, 1/5s, 1/6s, 1/7s],\n"
                  "  input_tokens: 1/s}}}\n"
                  "keys: [{id: a, secret: b, plan: p}, {id: c, secret: d, plan: p}]\n"
                  "teams: [{id: t, plan: p}]\n",
                  PAIRS("key:a", "{\"limits\":{\"input_tokens\":[\"2/s\",\"2/8s\"]}}", "key:c",
                        "{\"limits\":{\"input_tokens\":[\"2/2s\",\"2/3s\"]}}", "team:t",
                        "{\"limits\":{\"input_tokens\":[\"2/8s\"]}}"),
                  &report);
    assert_int_equal(report.used, 2);
    check_limit(plan_of(c, "key:a"), WEIR_METER_INPUT_TOKENS, 8, 2, false);
    assert_int_equal(plan_of(c, "key:a")->limits, WEIR_PLAN_LIMITS_MAX);
    assert_int_equal(report.unusable, 1);
    assert_string_equal(report.name, "key:c");
    assert_string_equal(report.why, "limits: at most 16 with those of the plan");
    assert_ptr_equal(plan_of(c, "key:c"), &c->plan[0]);
    weir_config_free(c);
    c = laid_over("plans: {p: {limits: {requests: [1/s, 1/2s, 1/3s, 1/4s, 1/5s, 1/6s, 1/7s, "
                  "1/8s]}}}\nkeys: [{id: a, secret: b, plan: p}]\n",
                  PAIRS("key:a", "{\"limits\":{\"requests\":[\"2/9s\"]}}"), &report);
    assert_string_equal(report.why, "limits: a plan has at most 8 lengths of time");
    weir_config_free(c);
}

/* Whatever is alike is one plan; whatever differs is not. */
static void test_own_limits_shared(void **state)
{
    (void)state;
    static const char *const files[] = {"p", "p", "p", "q", ""};
    static const char *const limits[] = {
        "{\"requests\":\"5/min\"}",        "{\"requests\":\"6/min\"}",
        "{\"requests\":\"5/h\"}",          "{\"total_tokens\":\"5/min\"}",
        "{\"requests\":\"5/min shadow\"}", "{\"requests\":[\"5/min\",\"5/h\"]}",
    };
    enum { FILES = 5, LIMITS = 6, KEYS = FILES * LIMITS };
    static char name[KEYS][16], text[KEYS][128];
    static struct weir_entry_change change[KEYS];
    for (size_t i = 0; i < KEYS; i++) {
        const char *plan = files[i % FILES];
        snprintf(name[i], sizeof(name[i]), "team:%02zu", i);
        snprintf(text[i], sizeof(text[i]), "{%s%s%s\"limits\":%s}",
                 *plan == '\0' ? "" : "\"plan\":\"", plan, *plan == '\0' ? "" : "\",",
                 limits[i / FILES]);
        change[i] = (struct weir_entry_change){weir_str_z(name[i]), weir_str_z(text[i])};
    }
    struct weir_overlay_report report = {0};
    struct weir_config *base = taken(BASE), *c = NULL;
    struct weir_entries *entries = entries_of(change, KEYS);
    assert_int_equal(weir_config_overlay(base, entries, NOW_MS, &c, &report), WEIR_OK);
    assert_int_equal(report.used, KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        for (size_t k = 0; k < KEYS; k++) {
            bool alike = i / FILES == k / FILES && strcmp(files[i % FILES], files[k % FILES]) == 0;
            bool one = plan_of(c, name[i]) == plan_of(c, name[k]);
            if (alike != one) {
                fail_msg("%s and %s", text[i], text[k]);
            }
        }
    }
    weir_config_free(c);
    weir_entries_let_go(entries);
    weir_config_free(base);
}

/* 10 000 plans of single subjects, and any number of subjects that have one of these. */
static void test_own_plans_bounded(void **state)
{
    (void)state;
    enum { PLANS = 10000, KEYS = PLANS + 3 };
    static char name[KEYS][16], text[KEYS][64];
    static struct weir_entry_change change[KEYS];
    for (size_t i = 0; i < KEYS; i++) {
        snprintf(name[i], sizeof(name[i]), "team:%05zu", i);
        snprintf(text[i], sizeof(text[i]), "{\"limits\":{\"requests\":\"%zu/min\"}}",
                 i == 1           ? 0
                 : i <= PLANS + 1 ? i
                                  : PLANS);
        change[i] = (struct weir_entry_change){weir_str_z(name[i]), weir_str_z(text[i])};
    }
    struct weir_overlay_report report = {0};
    struct weir_config *base = taken(BASE), *c = NULL;
    struct weir_entries *entries = entries_of(change, KEYS);
    assert_int_equal(weir_config_overlay(base, entries, NOW_MS, &c, &report), WEIR_OK);
    assert_int_equal(report.used, KEYS - 1);
    assert_int_equal(report.unusable, 1);
    assert_string_equal(report.name, name[PLANS + 1]);
    assert_string_equal(report.why,
                        "limits: at most 10000 that are not alike, of keys, teams and orgs");
    assert_ptr_equal(plan_of(c, name[0]), plan_of(c, name[1]));
    assert_ptr_equal(plan_of(c, name[PLANS]), plan_of(c, name[PLANS + 2]));
    weir_config_free(c);
    weir_entries_let_go(entries);
    weir_config_free(base);
}

/* ---- grants ---- */

#define GRANT(meter, window, amount, until)                                                        \
    "{\"meter\":\"" meter "\",\"window_s\":" window ",\"amount\":" amount ",\"until_ms\":" until "}"

static void test_grants(void **state)
{
    (void)state;
    struct weir_overlay_report report = {0};
    struct weir_config *c = laid_over(
        BASE,
        PAIRS("key:alice",
              "{\"grants\":[" GRANT("requests", "60", "5", "1000002") "," GRANT(
                  "requests", "60", "7", "1000001") ","         /* both */
              GRANT("total_tokens", "60", "900", "1000000") "," /* it has ended */
              GRANT("total_tokens", "86400", "1125899906842624", "9007199254740992") "," GRANT(
                  "requests", "61", "5", "1000001") "]}", /* no such limit */
              "org:acme", "{\"grants\":[" GRANT("requests", "60", "1", "1000500") "]}"),
        &report);
    assert_int_equal(report.unusable, 0);
    assert_int_equal(report.next_ms, 1000001);
    const struct weir_plan *alices = plan_of(c, "key:alice");
    check_limit(alices, WEIR_METER_REQUESTS, 60, 22, false);
    check_limit(alices, WEIR_METER_TOTAL_TOKENS, 60, 100, false);
    check_limit(alices, WEIR_METER_TOTAL_TOKENS, 86400, WEIR_AMOUNT_MAX, false); /* no more */
    assert_int_equal(alices->limits, 3);
    check_limit(plan_of(c, "org:acme"), WEIR_METER_REQUESTS, 60, 21, true); /* still in shadow */
    check_limit(&c->plan[0], WEIR_METER_REQUESTS, 60, 10, false);
    weir_config_free(c);
}

/* A grant is on top of limits of one's own, wherever it stands; without one no moment comes. */
static void test_grants_and_limits(void **state)
{
    (void)state;
    struct weir_overlay_report report = {0};
    struct weir_config *c = laid_over(
        BASE,
        PAIRS("key:bob", "{\"grants\":[" GRANT("requests", "60", "5",
                                               "1000009") "],"
                                                          "\"limits\":{\"requests\":\"100/min\"}}"),
        &report);
    assert_int_equal(report.next_ms, 1000009);
    check_limit(plan_of(c, "key:bob"), WEIR_METER_REQUESTS, 60, 105, false);
    weir_config_free(c);
    c = laid_over(BASE,
                  PAIRS("key:bob", "{\"grants\":[" GRANT("requests", "60", "5", "1000000") "]}"),
                  &report);
    assert_true(report.next_ms == UINT64_MAX);
    check_limit(plan_of(c, "key:bob"), WEIR_METER_REQUESTS, 60, 20, true);
    weir_config_free(c);
}

/* ---- what cannot be used ---- */

/* Nothing of it stays, and it is named. */
static void check_unusable(const char *name, const char *text, const char *why)
{
    struct weir_overlay_report report = {0};
    struct weir_config *c = laid_over(BASE, PAIRS(name, text), &report);
    if (report.used != 0 || report.unusable != 1 || strcmp(report.name, name) != 0 ||
        strstr(report.why, why) == NULL) {
        fail_msg("%s %s: %s: %s\nexpected %s", name, text, report.name, report.why, why);
    }
    assert_true(report.next_ms == UINT64_MAX);
    assert_int_equal(c->plans + c->orgs + c->teams + c->keys, 7);
    const struct weir_key *alice = by_secret(c, "alices");
    assert_non_null(alice);
    assert_ptr_equal(alice->subject.plan, &c->plan[0]);
    assert_ptr_equal(alice->group, &c->team[0]);
    assert_false(weir_key_disabled(alice));
    check_limit(alice->subject.plan, WEIR_METER_REQUESTS, 60, 10, false);
    assert_true(weir_str_eq(alice->subject.root, WEIR_STR("org:acme")));
    weir_config_free(c);
}

static void test_unusable(void **state)
{
    (void)state;
    check_unusable("key:alice", "{", "expected a JSON object");
    check_unusable("key:alice", "[]", "expected a JSON object");
    check_unusable("key:alice", "{\"disabled\":true,\"plan\":\"x\"}", "plan: expected the name of");
    check_unusable("key:alice", "{\"disabled\":true,\"colour\":1}", "unknown field of a key");
    check_unusable("key:alice", "{\"disabled\":true,\"disabled\":true}", "the same field twice");
    check_unusable("key:alice", "{\"team\":\"x\"}", "team: expected the id of a team");
    check_unusable("key:alice", "{\"team\":\"search\",\"org\":\"acme\"}",
                   "expected one of team and");
    check_unusable("key:alice", "{\"secret\":\"bobs\"}",
                   "the secret of \"alice\" is another key's");
    check_unusable("key:alice", "{\"plan\":{}}", "plan: expected a text");
    check_unusable("key:alice", "{\"limits\":{\"requests\":\"x\"}}", "requests: expected a rate");
    check_unusable("key:alice", "{\"limits\":{\"x\":\"1/s\"}}", "x: unknown field of limits");
    check_unusable("key:alice", "{\"limits\":[],\"plan\":\"q\"}", "limits");
    check_unusable("key:new", "{\"plan\":\"p\"}", "keys: expected a secret");
    check_unusable("key:new", "{\"secret\":\"s\"}", "keys: expected plan, team or org");
    check_unusable("key:a b", "{\"secret\":\"s\",\"plan\":\"p\"}", "expected an id");
    check_unusable("team:search", "{\"org\":\"x\"}", "org: expected the id of an org");
    check_unusable("team:new", "{\"disabled\":true}", "teams: expected id, and plan or org");
    check_unusable("org:acme", "{\"disabled\":true,\"org\":\"other\"}", "org: unknown field");
    check_unusable("org:new", "{}", "orgs: expected id, and plan");
    check_unusable("plan:p", "{\"limits\":{},\"reserve\":\"x\"}", "reserve: expected max");
    check_unusable("plan:reject", "{}", "other than reject");
    check_unusable("plan:\n", "{}", "other than reject");
}

static void test_unusable_grants(void **state)
{
    (void)state;
    static const char *const grants[] = {
        "{}",
        "[1]",
        "[{}]",
        "[" GRANT("requests", "60", "5", "1000001") ",{\"meter\":\"requests\"}]",
        "[" GRANT("x", "60", "5", "1000001") "]",
        "[" GRANT("requests", "0", "5", "1000001") "]",
        "[" GRANT("requests", "2592001", "5", "1000001") "]",
        "[" GRANT("requests", "60", "0", "1000001") "]",
        "[" GRANT("requests", "60", "1125899906842625", "1000001") "]",
        "[" GRANT("requests", "60", "5", "9007199254740993") "]",
        "[{\"meter\":\"requests\",\"x\":1}]",
    };
    for (size_t i = 0; i < sizeof(grants) / sizeof(grants[0]); i++) {
        char text[256];
        snprintf(text, sizeof(text), "{\"disabled\":true,\"grants\":%s}", grants[i]);
        check_unusable("key:alice", text, "");
    }
}

/* The first is told, or that which is asked about; the others hold. */
static void test_report(void **state)
{
    (void)state;
    const char *const *pairs = PAIRS("key:alice", "{\"plan\":\"x\"}", "key:bob", "{\"x\":1}",
                                     "plan:p", "{\"reserve\":\"max\"}", "team:search", "{\"y\":1}");
    struct weir_overlay_report report = {0};
    weir_config_free(laid_over(BASE, pairs, &report));
    assert_int_equal(report.used, 1);
    assert_int_equal(report.unusable, 3);
    assert_string_equal(report.name, "team:search"); /* teams before keys */
    assert_non_null(strstr(report.why, "y: unknown field"));
    assert_false(report.of_unusable);
    report.of = WEIR_STR("key:bob");
    weir_config_free(laid_over(BASE, pairs, &report));
    assert_true(report.of_unusable);
    assert_string_equal(report.name, "key:bob");
    assert_non_null(strstr(report.why, "unknown field of a key"));
    report.of = WEIR_STR("plan:p");
    weir_config_free(laid_over(BASE, pairs, &report));
    assert_false(report.of_unusable);
    assert_string_equal(report.name, "team:search");
}

/* Who needs what cannot be used cannot be used either; a secret is told by nobody. */
static void test_unusable_below(void **state)
{
    (void)state;
    struct weir_overlay_report report = {0};
    struct weir_config *c =
        laid_over(BASE,
                  PAIRS("plan:r", "{\"x\":1}", "key:new", "{\"secret\":\"CANARY\",\"plan\":\"r\"}",
                        "key:other", "{\"secret\":\"s\",\"plan\":\"CANARY\"}", "key:third",
                        "{\"secret\":[\"CANARY\"]}"),
                  &report);
    assert_int_equal(report.unusable, 4);
    assert_null(strstr(report.why, "CANARY"));
    static const char *const names[] = {"key:new", "key:other", "key:third"};
    for (size_t i = 0; i < 3; i++) {
        report.of = weir_str_z(names[i]);
        weir_config_free(c);
        c = laid_over(BASE,
                      PAIRS("key:new", "{\"secret\":\"CANARY\",\"plan\":\"r\"}", "key:other",
                            "{\"secret\":\"s\",\"plan\":\"CANARY\"}", "key:third",
                            "{\"secret\":[\"CANARY\"]}"),
                      &report);
        assert_true(report.of_unusable);
        assert_null(strstr(report.why, "CANARY"));
    }
    weir_config_free(c);
}

/* ---- bounds ---- */

static void test_max_subjects(void **state)
{
    (void)state;
    struct weir_config *base = taken("max_subjects: 1\n" PLAN), *config = NULL;
    struct weir_overlay_report report = {0};
    struct weir_entries *one = entries_in(PAIRS("key:a", "{\"secret\":\"a\",\"plan\":\"p\"}"));
    struct weir_entries *two = entries_in(PAIRS("key:a", "{\"secret\":\"a\",\"plan\":\"p\"}",
                                                "key:b", "{\"secret\":\"b\",\"plan\":\"p\"}"));
    assert_int_equal(weir_config_overlay(base, one, NOW_MS, &config, &report), WEIR_OK);
    weir_config_free(config);
    config = NULL;
    assert_int_equal(weir_config_overlay(base, two, NOW_MS, &config, &report), WEIR_ERR_LIMIT);
    assert_null(config);
    assert_non_null(strstr(report.why, "max_subjects: expected at least"));
    weir_entries_let_go(one);
    weir_entries_let_go(two);
    weir_config_free(base);
}

static void test_plans_bounded(void **state)
{
    (void)state;
    static char name[WEIR_CONFIG_PLANS_MAX][16];
    static struct weir_entry_change change[WEIR_CONFIG_PLANS_MAX];
    for (unsigned i = 0; i < WEIR_CONFIG_PLANS_MAX; i++) {
        snprintf(name[i], sizeof(name[i]), "plan:%03u", i);
        change[i] = (struct weir_entry_change){weir_str_z(name[i]), WEIR_STR("{}")};
    }
    struct weir_entries *entries = entries_of(change, WEIR_CONFIG_PLANS_MAX);
    struct weir_config *base = taken(PLAN), *config = NULL;
    struct weir_overlay_report report = {0};
    assert_int_equal(weir_config_overlay(base, entries, NOW_MS, &config, &report), WEIR_OK);
    assert_int_equal(config->plans, WEIR_CONFIG_PLANS_MAX);
    assert_int_equal(report.unusable, 1);
    assert_string_equal(report.name, "plan:999");
    assert_string_equal(report.why, "plans: at most 1000");
    weir_entries_let_go(entries);
    weir_config_free(config);
    weir_config_free(base);
}

/* ---- what it has of its own ---- */

/* With Redis what is counted is kept for as long as a lease lives: of every plan. */
static void test_leases(void **state)
{
    (void)state;
    const char *const *pairs =
        PAIRS("plan:p", "{\"reserve\":\"max\"}", "plan:r", "{\"limits\":{\"requests\":\"1/min\"}}",
              "key:bob", "{\"limits\":{\"requests\":\"1/h\"}}");
    struct weir_overlay_report report = {0};
    struct weir_config *c = laid_over("store: redis://localhost\n" BASE, pairs, &report);
    assert_int_equal(weir_plan_by_name(c, WEIR_STR("p"))->life_us, 60000000 / 256);
    assert_int_equal(weir_plan_by_name(c, WEIR_STR("q"))->life_us, 60000000 / 256);
    assert_int_equal(weir_plan_by_name(c, WEIR_STR("r"))->life_us, 60000000 / 256);
    assert_int_equal(plan_of(c, "key:bob")->life_us, 60000000 / 256);
    assert_int_equal(plan_of(c, "key:bob")->window[1].keep_us, 3600000000 + 60000000 / 256);
    weir_config_free(c);
    c = laid_over(BASE, pairs, &report);
    assert_int_equal(weir_plan_by_name(c, WEIR_STR("p"))->life_us, 0);
    assert_int_equal(plan_of(c, "key:bob")->life_us, 0);
    weir_config_free(c);
}

/* The base stays as it is, and each lives without the other. */
static void test_base_untouched(void **state)
{
    (void)state;
    struct weir_config *base = taken(BASE), *config = NULL;
    struct weir_overlay_report report = {0};
    struct weir_entries *entries =
        entries_in(PAIRS("key:alice", "{\"secret\":\"others\",\"limits\":{\"requests\":\"1/s\"}}",
                         "key:new", "{\"secret\":\"news\",\"plan\":\"p\"}", "plan:p",
                         "{\"limits\":{}}", "team:search", "{\"org\":\"other\"}"));
    assert_int_equal(weir_config_overlay(base, entries, NOW_MS, &config, &report), WEIR_OK);
    assert_int_equal(report.used, 4);
    weir_config_free(config);
    assert_int_equal(base->keys, 2);
    assert_ptr_equal(by_secret(base, "alices"), &base->key[0]);
    assert_null(by_secret(base, "others"));
    assert_null(by_secret(base, "news"));
    assert_ptr_equal(base->key[0].subject.plan, &base->plan[0]);
    assert_true(weir_str_eq(base->key[0].subject.root, WEIR_STR("org:acme")));
    check_limit(&base->plan[0], WEIR_METER_REQUESTS, 60, 10, false);
    assert_int_equal(base->plan[0].limits, 3);
    weir_entries_let_go(entries);
    weir_config_free(base);
}

/* Upstreams and settings go with it. */
static void test_the_rest(void **state)
{
    (void)state;
    struct weir_overlay_report report = {0};
    struct weir_config *c = laid_over("workers: 3\nservice_token: abc\n"
                                      "upstreams:\n- name: u\n  base_url: https://h/v1\n"
                                      "  models: ['a*', b]\n" PLAN,
                                      PAIRS("plan:p", "{}"), &report);
    assert_int_equal(c->workers, 3);
    assert_true(c->has_service_token);
    assert_int_equal(c->upstreams, 1);
    assert_true(weir_upstream_serves(&c->upstream[0], WEIR_STR("ab")));
    assert_false(weir_upstream_serves(&c->upstream[0], WEIR_STR("c")));
    weir_config_free(c);
}

/* Without memory for the n-th piece nothing comes of it, and nothing is left. */
static void test_no_memory(void **state)
{
    (void)state;
    struct weir_config *base =
        taken(BASE "upstreams: [{name: u, base_url: 'mock:', models: [a]}]\n");
    struct weir_config *config = NULL;
    struct weir_entries *entries =
        entries_in(PAIRS("key:alice", "{\"l\\u0069mits\":{\"requests\":\"1/s\"}}", "key:new",
                         "{\"secret\":\"news\",\"plan\":\"p\"}", "plan:p", "{\"limits\":{}}",
                         "team:search", "{\"org\":\"other\"}"));
    struct weir_overlay_report report = {0};
    enum weir_err err = WEIR_ERR_NOMEM;
    uint64_t n = 0;
    for (; err == WEIR_ERR_NOMEM; n++) {
        assert_null(config);
        weir_mem_fail_after(n);
        err = weir_config_overlay(base, entries, NOW_MS, &config, &report);
        weir_mem_fail_after(UINT64_MAX);
    }
    assert_int_equal(err, WEIR_OK);
    assert_true(n > 15);
    assert_int_equal(report.used, 4);
    weir_entries_let_go(entries);
    weir_config_free(base);
    weir_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_new_things),
        cmocka_unit_test(test_over_an_empty_file),
        cmocka_unit_test(test_keys_changed),
        cmocka_unit_test(test_key_enabled),
        cmocka_unit_test(test_disabled_kept),
        cmocka_unit_test(test_rotate),
        cmocka_unit_test(test_team_moves),
        cmocka_unit_test(test_plan_changed),
        cmocka_unit_test(test_shadow),
        cmocka_unit_test(test_own_limits),
        cmocka_unit_test(test_name_with_escapes),
        cmocka_unit_test(test_own_limits_bounded),
        cmocka_unit_test(test_own_limits_shared),
        cmocka_unit_test(test_own_plans_bounded),
        cmocka_unit_test(test_grants),
        cmocka_unit_test(test_grants_and_limits),
        cmocka_unit_test(test_unusable),
        cmocka_unit_test(test_unusable_grants),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_unusable_below),
        cmocka_unit_test(test_max_subjects),
        cmocka_unit_test(test_plans_bounded),
        cmocka_unit_test(test_leases),
        cmocka_unit_test(test_base_untouched),
        cmocka_unit_test(test_the_rest),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
