/* SPDX-License-Identifier: Apache-2.0 */
/* groups.c - the sections `orgs` and `teams`, and finding one by its id. */
#include "base/mem.h"
#include "config/parse.h"

const struct weir_group *weir_group_by_id(const struct weir_config *config, enum weir_scope scope,
                                          struct weir_str id)
{
    bool team = scope == WEIR_SCOPE_TEAM;
    const struct weir_index *index = team ? &config->_index->team : &config->_index->org;
    const struct weir_group *groups = team ? config->team : config->org;
    uint32_t at = weir_index_first(index, id), number;
    while ((number = weir_index_next(index, &at)) != 0) {
        struct weir_str name = groups[number - 1].subject.name;
        if (weir_str_eq(weir_name_behind_scope(name), id)) {
            return &groups[number - 1];
        }
    }
    return NULL;
}

enum weir_err weir_parse_group(struct parse *p, const struct node *n, enum weir_scope scope,
                               const struct weir_group **ret_group)
{
    struct weir_str id;
    const char *article = scope == WEIR_SCOPE_TEAM ? "a" : "an", *name = weir_scope_name(scope);
    char expected[32];
    snprintf(expected, sizeof(expected), "the id of %s %s", article, name);
    WEIR_TRY(weir_parse_scalar(p, n, expected, &id));
    const struct weir_group *group = weir_group_by_id(p->config, scope, id);
    if (group == NULL) {
        return weir_parse_fail(p, n, "%s: expected %s", name, expected);
    }
    *ret_group = group;
    return WEIR_OK;
}

enum weir_err weir_group_field(struct parse *p, struct weir_str key, const struct node *value,
                               void *ctx)
{
    struct group_draft *d = ctx;
    bool team = d->scope == WEIR_SCOPE_TEAM;
    if (weir_str_eq(key, WEIR_STR("id"))) {
        return weir_parse_id(p, value, &d->id);
    }
    if (weir_str_eq(key, WEIR_STR("plan"))) {
        return weir_parse_plan(p, value, &d->plan);
    }
    if (weir_str_eq(key, WEIR_STR("disabled"))) {
        return weir_parse_bool(p, value, &d->disabled);
    }
    if (team && weir_str_eq(key, WEIR_STR("org"))) {
        return weir_parse_group(p, value, WEIR_SCOPE_ORG, &d->org);
    }
    return weir_parse_unknown(p, value,
                              team ? "a team; expected id, plan, org or disabled"
                                   : "an org; expected id, plan or disabled");
}

/* The place of one that is new. */
static struct weir_group *add_group(struct weir_config *config, enum weir_scope scope,
                                    struct weir_str id)
{
    bool team = scope == WEIR_SCOPE_TEAM;
    struct weir_group *group = team ? &config->team[config->teams++] : &config->org[config->orgs++];
    weir_index_add(team ? &config->_index->team : &config->_index->org, id,
                   (uint32_t)(team ? config->teams : config->orgs));
    return group;
}

enum weir_err weir_group_put(struct parse *p, const struct node *n, const struct group_draft *d)
{
    struct weir_config *config = p->config;
    bool team = d->scope == WEIR_SCOPE_TEAM;
    const struct weir_group *found = weir_group_by_id(config, d->scope, d->id);
    struct weir_group *all = team ? config->team : config->org;
    if (d->plan == NULL && d->org == NULL) {
        return weir_parse_fail(p, n, "%s: expected id, and plan%s", team ? "teams" : "orgs",
                               team ? " or org" : "");
    }
    struct weir_group *group =
        found == NULL ? add_group(config, d->scope, d->id) : &all[found - all];
    weir_subject_set(&group->subject, group->name, d->scope, d->id, d->plan);
    group->org = d->org;
    group->disabled = d->disabled;
    group->subject.root = weir_str(NULL, 0);
    weir_subject_belongs(&group->subject, d->org);
    return WEIR_OK;
}

static enum weir_err group_item(struct parse *p, const struct node *n, enum weir_scope scope)
{
    struct group_draft d = {.scope = scope};
    bool team = scope == WEIR_SCOPE_TEAM;
    WEIR_TRY(weir_parse_mapping(p, n, weir_group_field, &d));
    if (d.id.len == 0) {
        return weir_parse_fail(p, n, "%s: expected id, and plan%s", n->name, team ? " or org" : "");
    }
    if (weir_group_by_id(p->config, scope, d.id) != NULL) {
        return weir_parse_fail(p, n, "%s: the id \"%.*s\" is there twice", n->name, (int)d.id.len,
                               d.id.p);
    }
    return weir_group_put(p, n, &d);
}

static enum weir_err org_item(struct parse *p, const struct node *n, void *ctx)
{
    (void)ctx;
    return group_item(p, n, WEIR_SCOPE_ORG);
}

static enum weir_err team_item(struct parse *p, const struct node *n, void *ctx)
{
    (void)ctx;
    return group_item(p, n, WEIR_SCOPE_TEAM);
}

/* Room for all that the list may hold. */
static enum weir_err groups_init(struct parse *p, const struct node *n,
                                 struct weir_group **ret_groups, struct weir_index *index)
{
    size_t count = n->at->kind == WEIR_YAML_LIST ? n->at->len : 0;
    if (count > WEIR_CONFIG_GROUPS_MAX) {
        return weir_parse_fail(p, n, "%s: at most %d", n->name, WEIR_CONFIG_GROUPS_MAX);
    }
    struct weir_group *groups = weir_zalloc_array(count + 1, sizeof(*groups));
    if (groups == NULL) {
        return WEIR_ERR_NOMEM;
    }
    *ret_groups = groups;
    return weir_index_init(index, count);
}

enum weir_err weir_parse_orgs(struct parse *p, const struct node *n)
{
    WEIR_TRY(groups_init(p, n, &p->config->org, &p->config->_index->org));
    return weir_parse_list(p, n, org_item, NULL);
}

enum weir_err weir_parse_teams(struct parse *p, const struct node *n)
{
    WEIR_TRY(groups_init(p, n, &p->config->team, &p->config->_index->team));
    return weir_parse_list(p, n, team_item, NULL);
}
