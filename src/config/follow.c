/* SPDX-License-Identifier: Apache-2.0 */
/* follow.c - what a running process takes over from a file that changed, and what it cannot: all
 * that was opened or sized at its start. */
#include "config/parse.h"

void weir_config_settings(const struct weir_config *config, struct weir_config *ret_settings)
{
    *ret_settings = *config;
    ret_settings->plans = ret_settings->orgs = ret_settings->teams = ret_settings->keys = 0;
    ret_settings->models = ret_settings->upstreams = 0;
    ret_settings->plan = NULL;
    ret_settings->org = ret_settings->team = NULL;
    ret_settings->key = NULL;
    ret_settings->model = NULL;
    ret_settings->upstream = NULL;
    ret_settings->unknown_plan = NULL;
    ret_settings->_index = NULL;
    ret_settings->_plans = NULL;
}

/* Numbers that are read anew with each request or each snapshot. */
static bool is_live(const struct weir_option *o)
{
    return weir_str_starts(weir_str_z(o->section), WEIR_STR("mock")) ||
           strcmp(o->name, "nodes") == 0 || strcmp(o->name, "metrics_top") == 0;
}

static bool same_store(const struct weir_config *a, const struct weir_config *b)
{
    const struct weir_redis_target *x = &a->redis, *y = &b->redis;
    const struct weir_redis_seeds *s = &a->redis_seeds, *t = &b->redis_seeds;
    bool same = a->store == b->store && x->part == y->part && strcmp(x->host, y->host) == 0 &&
                x->port == y->port && strcmp(x->unix_path, y->unix_path) == 0 &&
                strcmp(x->user, y->user) == 0 && strcmp(x->password, y->password) == 0 &&
                x->db == y->db && s->kind == t->kind && s->hosts == t->hosts &&
                strcmp(s->service, t->service) == 0;
    for (size_t i = 0; same && i < s->hosts; i++) {
        same = strcmp(s->host[i].name, t->host[i].name) == 0 && s->host[i].port == t->host[i].port;
    }
    return same;
}

static bool same_store_tls(const struct weir_store_tls *a, const struct weir_store_tls *b)
{
    return a->on == b->on && strcmp(a->ca, b->ca) == 0 && strcmp(a->cert, b->cert) == 0 &&
           strcmp(a->key, b->key) == 0 && strcmp(a->server_name, b->server_name) == 0;
}

/* The first field that differs and cannot change; NULL: there is none. */
static const char *fixed_field(const struct weir_config *a, const struct weir_config *b,
                               const char **ret_section)
{
    size_t count;
    const struct weir_option *o = weir_options(&count);
    for (size_t i = 0; i < count; i++) {
        if (weir_option_is_number(&o[i]) && !is_live(&o[i]) &&
            weir_option_value(&o[i], a) != weir_option_value(&o[i], b)) {
            *ret_section = o[i].section;
            return o[i].name;
        }
    }
    *ret_section = "";
    const struct {
        const char *name;
        bool same;
    } rest[] = {
        {"listen", strcmp(a->listen.host, b->listen.host) == 0 && a->listen.port == b->listen.port},
        {"admin.listen", a->has_admin == b->has_admin &&
                             strcmp(a->admin_listen.host, b->admin_listen.host) == 0 &&
                             a->admin_listen.port == b->admin_listen.port},
        {"store", same_store(a, b)},
        {"store_tls", same_store_tls(&a->store_tls, &b->store_tls)},
        {"mode", a->mode == b->mode},
        {"on_store_failure", a->on_store_failure == b->on_store_failure},
        {"token_data", strcmp(a->token_data, b->token_data) == 0},
        {"access_log", strcmp(a->access_log, b->access_log) == 0},
        {"registry", strcmp(a->registry, b->registry) == 0},
        {"the presence of upstreams", (a->upstreams == 0) == (b->upstreams == 0)},
    };
    for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++) {
        if (!rest[i].same) {
            return rest[i].name;
        }
    }
    return NULL;
}

bool weir_config_can_follow(const struct weir_config *now, const struct weir_config *next,
                            char ret_why[static WEIR_CONFIG_WHY_BYTES])
{
    const char *section, *name = fixed_field(now, next, &section);
    if (name == NULL) {
        return true;
    }
    snprintf(ret_why, WEIR_CONFIG_WHY_BYTES, "%s%s%s has changed, which needs a restart", section,
             section[0] == '\0' ? "" : ".", name);
    return false;
}
