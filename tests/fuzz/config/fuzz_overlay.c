/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a registry's document, laid over a small file: it is refused, or each entry is used or
 * left out for a reason that can be printed, and what comes of it holds together. Seeds:
 * fuzz_overlay/. */
#include "base/utf8.h"
#include "config/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW_MS = 1000000 };

static const struct weir_str file =
    WEIR_STR_INIT("plans:\n"
                  "  p: {limits: {requests: 10/min, total_tokens: [100/min, 1000/day]}}\n"
                  "  q: {limits: {requests: 20/min shadow}}\n"
                  "orgs: [{id: acme, plan: q}]\n"
                  "teams: [{id: search, org: acme}]\n"
                  "keys:\n"
                  "- {id: alice, secret: a, plan: p, team: search}\n"
                  "- {id: bob, secret: b, org: acme}\n"
                  "unknown_keys: p\n"
                  "models: {small: {plan: p}}\n");

/* A secret of the form {file: PATH} would read what stands on this machine, or wait for a pipe;
 * with escapes it may be spelled otherwise. */
static bool passed_over(struct weir_str s)
{
    return memmem(s.p, s.len, "file", 4) != NULL || memmem(s.p, s.len, "\\u00", 4) != NULL;
}

static bool is_plan_of(const struct weir_config *c, const struct weir_plan *plan)
{
    return plan >= c->plan && plan < c->plan + c->_plans->room && plan->share != NULL &&
           plan->set == c->_plans;
}

static bool is_group_of(const struct weir_config *c, const struct weir_group *g)
{
    return g == NULL || (g >= c->team && g < c->team + c->teams) ||
           (g >= c->org && g < c->org + c->orgs);
}

static enum weir_err check_subject(void *ctx, const struct weir_subject *s)
{
    const struct weir_config *c = ctx;
    if (weir_config_subject(c, s->name) != s || !is_plan_of(c, s->plan)) {
        abort();
    }
    return WEIR_OK;
}

static void check_key(const struct weir_config *c, const struct weir_key *key)
{
    const struct weir_subject *subject[WEIR_SCOPE_MODEL];
    struct weir_str id = weir_str(key->name + 4, key->subject.name.len - 4);
    if (weir_config_key_by_id(c, id) != key || weir_key_subjects(key, subject) == 0 ||
        !is_group_of(c, key->group) || (key->group != NULL && !is_group_of(c, key->group->org))) {
        abort();
    }
}

static void check_config(struct weir_config *c)
{
    for (size_t i = 0; i < c->keys; i++) {
        check_key(c, &c->key[i]);
    }
    if (weir_config_key_by_id(c, WEIR_STR("bob")) == NULL ||
        weir_config_each_subject(c, check_subject, c) != WEIR_OK) {
        abort();
    }
}

static void check_report(const struct weir_overlay_report *r, const struct weir_entries *entries)
{
    size_t len = strnlen(r->why, sizeof(r->why));
    if (r->used + r->unusable != entries->count || (r->unusable > 0) != (len > 0) ||
        len == sizeof(r->why) || !weir_utf8_valid(weir_str(r->why, len)) || r->next_ms <= NOW_MS) {
        abort();
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)r->why[i] < ' ' || r->why[i] == 0x7f) {
            abort();
        }
    }
}

/* Written and read again it is the same. */
static void check_document(const struct weir_entries *entries)
{
    struct weir_buf b;
    struct weir_entries *again;
    char why[256];
    weir_buf_init(&b, 1 << 24);
    weir_entries_write(entries, &b);
    if (b.failed || weir_entries_read(weir_buf_view(&b), &again, why, sizeof(why)) != WEIR_OK ||
        !weir_entries_alike(entries, again)) {
        abort();
    }
    weir_entries_let_go(again);
    weir_buf_deinit(&b);
}

static void check_entries(const struct weir_entries *entries)
{
    struct weir_config *base, *config;
    struct weir_config_error error;
    struct weir_overlay_report report = {0};
    if (weir_config_parse(file, NULL, &base, &error) != WEIR_OK ||
        weir_config_overlay(base, entries, NOW_MS, &config, &report) != WEIR_OK) {
        abort();
    }
    weir_config_free(base);
    check_report(&report, entries);
    check_config(config);
    weir_config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_str text = weir_str((const char *)data, size);
    struct weir_entries *entries;
    char why[256];
    if (size == 0 || passed_over(text) ||
        weir_entries_read(text, &entries, why, sizeof(why)) != WEIR_OK) {
        return 0;
    }
    check_document(entries);
    check_entries(entries);
    weir_entries_let_go(entries);
    return 0;
}
