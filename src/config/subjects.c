/* SPDX-License-Identifier: Apache-2.0 */
/* subjects.c - who is limited, by all that the configuration has. */
#include "config/parse.h"

void weir_subject_set(struct weir_subject *s, char *room, enum weir_scope scope, struct weir_str id,
                      const struct weir_plan *plan)
{
    const char *name = weir_scope_name(scope);
    size_t len = strlen(name);
    memcpy(room, name, len);
    room[len] = ':';
    memcpy(room + len + 1, id.p, id.len);
    s->name = weir_str(room, len + 1 + id.len);
    s->plan = plan;
    weir_subject_id(s->name, s->id);
}

void weir_subject_belongs(struct weir_subject *s, const struct weir_group *group)
{
    for (; group != NULL; group = group->org) {
        s->root = group->subject.name;
    }
}

unsigned weir_key_subjects(const struct weir_key *key,
                           const struct weir_subject *ret_subject[static WEIR_SCOPE_MODEL])
{
    unsigned n = 0;
    if (key->subject.plan != NULL) {
        ret_subject[n++] = &key->subject;
    }
    for (const struct weir_group *g = key->group; g != NULL; g = g->org) {
        if (g->subject.plan != NULL) {
            ret_subject[n++] = &g->subject;
        }
    }
    return n;
}

static const struct weir_subject *of_group(const struct weir_config *config, enum weir_scope scope,
                                           struct weir_str id)
{
    const struct weir_group *group = weir_group_by_id(config, scope, id);
    return group == NULL ? NULL : &group->subject;
}

const struct weir_subject *weir_config_subject(const struct weir_config *config,
                                               struct weir_str name)
{
    enum weir_scope scope;
    struct weir_str id;
    const struct weir_subject *found = NULL;
    if (weir_scope_split(name, &scope, &id) != WEIR_OK) {
        return NULL;
    }
    if (scope == WEIR_SCOPE_KEY) {
        const struct weir_key *key = weir_config_key_by_id(config, id);
        found = key == NULL ? NULL : &key->subject;
    } else if (scope == WEIR_SCOPE_MODEL) {
        const struct weir_model *model = weir_model_by_name(config, id);
        found = model == NULL ? NULL : &model->subject;
    } else {
        found = of_group(config, scope, id);
    }
    return found == NULL || found->plan == NULL ? NULL : found;
}

static enum weir_err visit(const struct weir_subject *subject, weir_subject_fn *each, void *ctx)
{
    return subject->plan == NULL ? WEIR_OK : each(ctx, subject);
}

enum weir_err weir_config_each_subject(const struct weir_config *config, weir_subject_fn *each,
                                       void *ctx)
{
    for (size_t i = 0; i < config->keys; i++) {
        WEIR_TRY(visit(&config->key[i].subject, each, ctx));
    }
    for (size_t i = 0; i < config->teams; i++) {
        WEIR_TRY(visit(&config->team[i].subject, each, ctx));
    }
    for (size_t i = 0; i < config->orgs; i++) {
        WEIR_TRY(visit(&config->org[i].subject, each, ctx));
    }
    for (size_t i = 0; i < config->models; i++) {
        WEIR_TRY(visit(&config->model[i].subject, each, ctx));
    }
    return WEIR_OK;
}
