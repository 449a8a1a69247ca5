/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.c - the entries of a registry over what the file says: plans, orgs, teams, keys, in this
 * order, each read by the readers of the file's fields. An entry that cannot be used leaves what is
 * there as it is. */
#include "config/overlay.h"

#include "base/mem.h"
#include "config/entry_tree.h"

enum kind { PLAN, ORG, TEAM, KEY, KINDS };

static const struct weir_str scopes[KINDS] = {WEIR_STR_INIT("plan:"), WEIR_STR_INIT("org:"),
                                              WEIR_STR_INIT("team:"), WEIR_STR_INIT("key:")};

struct overlay {
    struct parse p;
    struct weir_config_error error;
    struct weir_entry_tree tree;
    struct weir_overlay_report *report;
    uint64_t now_ms;
    struct weir_own_plans own;
};

/* False: it is of another kind. */
static bool is_kind(const struct weir_entry *e, enum kind kind, struct weir_str *ret_id)
{
    size_t len = scopes[kind].len;
    if (!weir_str_starts(e->name, scopes[kind])) {
        return false;
    }
    *ret_id = weir_str(e->name.p + len, e->name.len - len);
    return true;
}

static bool has_word(struct weir_str text, const char *word)
{
    return memmem(text.p, text.len, word, strlen(word)) != NULL;
}

/* Whether it may have limits or grants: a name with escapes may be theirs too. */
static bool may_have_own(struct weir_str text)
{
    return has_word(text, "\"limits\"") || has_word(text, "\"grants\"") || has_word(text, "\\");
}

/* At most so much is added. */
static struct weir_overlay_room room_for(const struct weir_entries *entries)
{
    struct weir_overlay_room room = {0};
    size_t *const count[KINDS] = {&room.plans, &room.orgs, &room.teams, &room.keys};
    for (size_t i = 0; i < entries->count; i++) {
        const struct weir_entry *e = entries->entry[i];
        struct weir_str id;
        for (enum kind kind = PLAN; kind < KINDS; kind++) {
            if (is_kind(e, kind, &id)) {
                (*count[kind])++;
                room.own += kind != PLAN && may_have_own(e->text);
            }
        }
    }
    return room;
}

/* ---- one entry ---- */

/* With Redis entries are kept for as long as leases live. */
static void lease(const struct weir_config *config, struct weir_plan *plan)
{
    if (config->store == WEIR_STORE_REDIS) {
        weir_plan_lease(plan);
    }
}

static enum weir_err lay_plan(struct overlay *o, const struct node *n, struct weir_str name)
{
    struct weir_config *config = o->p.config;
    const struct weir_plan *found = weir_plan_by_name(config, name);
    struct plan_draft d = found == NULL ? weir_plan_draft() : weir_plan_draft_of(found);
    struct weir_plan plan = {0};
    if (!weir_parse_name_valid(name) || weir_str_eq(name, WEIR_STR("reject"))) {
        return weir_parse_fail(&o->p, n, "expected a name of 1 to 63 characters other than reject");
    }
    if (found == NULL && config->plans == WEIR_CONFIG_PLANS_MAX) {
        return weir_parse_fail(&o->p, n, "plans: at most %d", WEIR_CONFIG_PLANS_MAX);
    }
    WEIR_TRY(weir_parse_mapping(&o->p, n, weir_plan_field, &d));
    WEIR_TRY(weir_plan_of_draft(&o->p, n, &d, name, &plan));
    lease(config, &plan);
    size_t at = found == NULL ? config->plans++ : (size_t)(found - config->plan);
    config->plan[at] = plan;
    if (found == NULL) {
        weir_index_add(&config->_index->plan, name, (uint32_t)config->plans);
    }
    return WEIR_OK;
}

/* A subject's fields: those of the file, which are texts, and `limits` and `grants`. Who
 * writes an entry need not own this machine: {file: PATH} and {env: NAME} are refused. */
struct subject_fields {
    weir_field_fn *field;
    void *draft;
    struct weir_own own;
};

static enum weir_err subject_field(struct parse *p, struct weir_str key, const struct node *value,
                                   void *ctx)
{
    struct subject_fields *f = ctx;
    if (weir_str_eq(key, WEIR_STR("limits"))) {
        f->own.limits = value->at;
        return WEIR_OK;
    }
    if (weir_str_eq(key, WEIR_STR("grants"))) {
        f->own.grants = value->at;
        return WEIR_OK;
    }
    if (value->at->kind != WEIR_YAML_SCALAR) {
        return weir_parse_fail(p, value, "%s: expected a text", value->name);
    }
    return f->field(p, key, value, f->draft);
}

/* The plan that the subject has then; it takes a place in `put_own`. */
static enum weir_err own_plan(struct overlay *o, const struct weir_own *own,
                              const struct weir_plan **plan)
{
    struct weir_config *config = o->p.config;
    if (own->limits == NULL && own->grants == NULL) {
        return WEIR_OK;
    }
    o->own.plan = config->plan + config->plans; /* all named ones are there */
    struct weir_plan *room = &o->own.plan[o->own.count];
    WEIR_TRY(weir_own_plan(&o->p, own, *plan, o->now_ms, &o->report->next_ms, room));
    lease(config, room);
    if (own->limits == NULL && (*plan == NULL || weir_plan_limits_alike(*plan, room))) {
        return WEIR_OK; /* grants raise what is there, until they end */
    }
    *plan = weir_own_plans_like(&o->own);
    return *plan != NULL ? WEIR_OK
                         : weir_parse_fail(&o->p, NULL,
                                           "limits: at most %d that are not alike, of keys, teams "
                                           "and orgs",
                                           WEIR_OVERLAY_OWN_MAX);
}

/* A subject with this plan was put. */
static void put_own(struct overlay *o, const struct weir_plan *plan)
{
    if (o->own.plan != NULL && plan == &o->own.plan[o->own.count]) {
        weir_own_plans_add(&o->own);
    }
}

static enum weir_err lay_group(struct overlay *o, const struct node *n, enum weir_scope scope,
                               struct weir_str id)
{
    const struct weir_group *found = weir_group_by_id(o->p.config, scope, id);
    struct group_draft d = {.scope = scope};
    struct subject_fields f = {.field = weir_group_field, .draft = &d};
    if (found != NULL) {
        d.plan = found->subject.plan;
        d.org = found->org;
        d.disabled = found->disabled;
    }
    WEIR_TRY(weir_parse_mapping(&o->p, n, subject_field, &f));
    d.id = id;
    WEIR_TRY(own_plan(o, &f.own, &d.plan));
    WEIR_TRY(weir_group_put(&o->p, n, &d));
    put_own(o, d.plan);
    return WEIR_OK;
}

static enum weir_err lay_key(struct overlay *o, const struct node *n, struct weir_str id)
{
    const struct weir_key *found = weir_config_key_by_id(o->p.config, id);
    struct key_draft d = {0};
    struct subject_fields f = {.field = weir_key_field, .draft = &d};
    if (found != NULL) {
        d.secret = found->secret;
        d.has_secret = true;
        d.plan = found->subject.plan;
        d.group = found->group;
        d.disabled = found->disabled;
    }
    WEIR_TRY(weir_parse_mapping(&o->p, n, subject_field, &f));
    d.id = id;
    WEIR_TRY(own_plan(o, &f.own, &d.plan));
    WEIR_TRY(weir_key_put(&o->p, n, &d));
    put_own(o, d.plan);
    return WEIR_OK;
}

static enum weir_err lay(struct overlay *o, enum kind kind, const struct weir_entry *e,
                         struct weir_str id)
{
    uint64_t next_ms = o->report->next_ms;
    enum weir_err err = weir_entry_tree_read(&o->tree, e->text);
    if (err == WEIR_ERR_INVALID) {
        return weir_parse_fail(&o->p, NULL,
                               "expected a JSON object without null, its texts of at most %d bytes",
                               WEIR_YAML_SCALAR_MAX);
    }
    WEIR_TRY(err);
    const struct node n = {.at = o->tree.node, .name = "the entry"};
    if (kind == PLAN) {
        return lay_plan(o, &n, id);
    }
    if (!weir_parse_id_valid(id)) {
        return weir_parse_fail(&o->p, &n, "expected an id of letters, digits and -_.:@ alone");
    }
    err = kind == KEY   ? lay_key(o, &n, id)
          : kind == ORG ? lay_group(o, &n, WEIR_SCOPE_ORG, id)
                        : lay_group(o, &n, WEIR_SCOPE_TEAM, id);
    if (err != WEIR_OK) { /* nothing of it stays */
        o->report->next_ms = next_ms;
    }
    return err;
}

/* ---- all ---- */

static void unusable(struct overlay *o, const struct weir_entry *e)
{
    struct weir_overlay_report *r = o->report;
    bool asked = r->of.p != NULL && weir_str_eq(e->name, r->of);
    if (r->unusable++ == 0 || asked) {
        snprintf(r->name, sizeof(r->name), "%.*s", (int)e->name.len, e->name.p);
        snprintf(r->why, sizeof(r->why), "%s", o->error.text);
    }
    r->of_unusable = r->of_unusable || asked;
}

static enum weir_err lay_all(struct overlay *o, const struct weir_entries *entries)
{
    for (enum kind kind = PLAN; kind < KINDS; kind++) {
        for (size_t i = 0; i < entries->count; i++) {
            struct weir_str id;
            if (!is_kind(entries->entry[i], kind, &id)) {
                continue;
            }
            enum weir_err err = lay(o, kind, entries->entry[i], id);
            if (err == WEIR_ERR_INVALID) {
                unusable(o, entries->entry[i]);
            } else if (err != WEIR_OK) {
                return err;
            } else {
                o->report->used++;
            }
        }
    }
    return WEIR_OK;
}

/* Whose a subject is may have changed above it. */
static void set_roots(struct weir_config *config)
{
    for (size_t i = 0; i < config->teams; i++) {
        config->team[i].subject.root = weir_str(NULL, 0);
        weir_subject_belongs(&config->team[i].subject, config->team[i].org);
    }
    for (size_t i = 0; i < config->keys; i++) {
        config->key[i].subject.root = weir_str(NULL, 0);
        weir_subject_belongs(&config->key[i].subject, config->key[i].group);
    }
}

/* More of something than there may be. */
static enum weir_err too_many(struct overlay *o)
{
    const struct weir_config *config = o->p.config;
    bool many = config->keys > WEIR_CONFIG_KEYS_MAX || config->teams > WEIR_CONFIG_GROUPS_MAX ||
                config->orgs > WEIR_CONFIG_GROUPS_MAX;
    if (many) {
        return weir_parse_fail(&o->p, NULL, "at most %d keys, teams and orgs each",
                               WEIR_CONFIG_KEYS_MAX);
    }
    return weir_config_check_subjects(&o->p);
}

enum weir_err weir_config_overlay(const struct weir_config *base,
                                  const struct weir_entries *entries, uint64_t now_ms,
                                  struct weir_config **ret_config,
                                  struct weir_overlay_report *ret_report)
{
    struct weir_overlay_room room = room_for(entries);
    room.own = room.own < WEIR_OVERLAY_OWN_MAX ? room.own : WEIR_OVERLAY_OWN_MAX;
    struct overlay o = {.report = ret_report, .now_ms = now_ms};
    struct weir_config *config = NULL;
    *ret_report = (struct weir_overlay_report){.of = ret_report->of, .next_ms = UINT64_MAX};
    enum weir_err err = weir_own_plans_init(&o.own, room.own);
    err = err == WEIR_OK ? weir_overlay_copy(base, &room, &config) : err;
    o.p = (struct parse){.config = config, .error = &o.error};
    weir_entry_tree_init(&o.tree);
    err = err == WEIR_OK ? lay_all(&o, entries) : err;
    weir_entry_tree_deinit(&o.tree);
    weir_own_plans_deinit(&o.own);
    if (err == WEIR_OK) {
        set_roots(config);
        weir_plan_set_finish(config->_plans, config->plans + o.own.count, config->nodes);
        err = too_many(&o);
        if (err == WEIR_ERR_INVALID) {
            snprintf(ret_report->why, sizeof(ret_report->why), "%s", o.error.text);
            err = WEIR_ERR_LIMIT;
        }
    }
    if (err != WEIR_OK) {
        weir_config_free(config);
        return err;
    }
    *ret_config = config;
    return WEIR_OK;
}
