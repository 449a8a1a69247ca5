/* SPDX-License-Identifier: Apache-2.0 */
/* overlay_copy.c - a snapshot copied: what points into the one points into the other. */
#include "base/mem.h"
#include "config/overlay.h"

/* The same place in the copy's plans. NULL stays. */
static const struct weir_plan *plan_of(const struct weir_config *base, struct weir_config *config,
                                       const struct weir_plan *plan)
{
    return plan == NULL ? NULL : &config->plan[plan - base->plan];
}

/* A team's or an org's place in the copy. */
static const struct weir_group *group_of(const struct weir_config *base, struct weir_config *config,
                                         const struct weir_group *group)
{
    if (group == NULL) {
        return NULL;
    }
    bool team = weir_str_starts(group->subject.name, WEIR_STR("team:"));
    return team ? &config->team[group - base->team] : &config->org[group - base->org];
}

/* Its name is in `name`, which is a copy of the one that it was in. Its root is set in the end. */
static void move_subject(struct weir_subject *s, const char *name, const struct weir_plan *plan)
{
    s->name.p = name;
    s->plan = plan;
}

static enum weir_err copy_plans(const struct weir_config *base, size_t more, size_t own,
                                struct weir_config *config)
{
    config->_plans = weir_plan_set_new(base->plans + more + own);
    if (config->_plans == NULL) {
        return WEIR_ERR_NOMEM;
    }
    WEIR_TRY(weir_index_init(&config->_index->plan, base->plans + more));
    config->plan = config->_plans->plan;
    for (size_t i = 0; i < base->plans; i++) {
        config->plan[i] = base->plan[i];
        config->plan[i].share = NULL;
        config->plan[i].set = NULL;
        weir_index_add(&config->_index->plan, weir_str_z(config->plan[i].name), (uint32_t)i + 1);
    }
    config->plans = base->plans;
    config->unknown_plan = plan_of(base, config, base->unknown_plan);
    return WEIR_OK;
}

static enum weir_err copy_groups(const struct weir_config *base, struct weir_config *config,
                                 bool team, size_t more)
{
    size_t count = team ? base->teams : base->orgs;
    const struct weir_group *from = team ? base->team : base->org;
    struct weir_index *index = team ? &config->_index->team : &config->_index->org;
    struct weir_group *to = weir_zalloc_array(count + more + 1, sizeof(*to));
    if (to == NULL) {
        return WEIR_ERR_NOMEM;
    }
    *(team ? &config->team : &config->org) = to;
    WEIR_TRY(weir_index_init(index, count + more));
    for (size_t i = 0; i < count; i++) {
        to[i] = from[i];
        to[i].org = group_of(base, config, from[i].org);
        move_subject(&to[i].subject, to[i].name, plan_of(base, config, from[i].subject.plan));
        weir_index_add(index, weir_name_behind_scope(to[i].subject.name), (uint32_t)i + 1);
    }
    *(team ? &config->teams : &config->orgs) = count;
    return WEIR_OK;
}

static enum weir_err copy_keys(const struct weir_config *base, struct weir_config *config,
                               size_t more)
{
    config->key = weir_zalloc_array(base->keys + more + 1, sizeof(config->key[0]));
    if (config->key == NULL) {
        return WEIR_ERR_NOMEM;
    }
    WEIR_TRY(weir_index_init(&config->_index->key, base->keys + more));
    WEIR_TRY(weir_index_init(&config->_index->secret, base->keys + more));
    for (size_t i = 0; i < base->keys; i++) {
        const struct weir_key *from = &base->key[i];
        struct weir_key *to = &config->key[i];
        *to = *from;
        to->group = group_of(base, config, from->group);
        move_subject(&to->subject, to->name, plan_of(base, config, from->subject.plan));
        weir_index_add(&config->_index->key, weir_name_behind_scope(to->subject.name),
                       (uint32_t)i + 1);
        weir_key_index_secret(config, to);
    }
    config->keys = base->keys;
    return WEIR_OK;
}

static enum weir_err copy_upstreams(const struct weir_config *base, struct weir_config *config)
{
    config->upstream = weir_upstream_configs_copy(base->upstream, base->upstreams);
    config->upstreams = config->upstream == NULL ? 0 : base->upstreams;
    return config->upstream == NULL ? WEIR_ERR_NOMEM : WEIR_OK;
}

enum weir_err weir_overlay_copy(const struct weir_config *base,
                                const struct weir_overlay_room *room,
                                struct weir_config **ret_config)
{
    struct weir_config *config = *ret_config = weir_config_new();
    if (config == NULL) {
        return WEIR_ERR_NOMEM;
    }
    struct weir_config_index *index = config->_index;
    weir_config_settings(base, config);
    config->_index = index;
    WEIR_TRY(copy_plans(base, room->plans, room->own + 1, config));
    WEIR_TRY(copy_groups(base, config, false, room->orgs));
    WEIR_TRY(copy_groups(base, config, true, room->teams));
    WEIR_TRY(copy_keys(base, config, room->keys));
    WEIR_TRY(weir_models_copy(config, base));
    return copy_upstreams(base, config);
}
