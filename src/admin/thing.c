/* SPDX-License-Identifier: Apache-2.0 */
/* thing.c - a key, a team, an org or a plan, as answers tell it: without secrets. */
#include <inttypes.h>

#include "admin/internal.h"

static const char *const words[ADMIN_KINDS] = {"key", "team", "org", "plan"};

const char *admin_kind_word(enum admin_kind kind)
{
    return words[kind];
}

bool admin_thing_name(enum admin_kind kind, struct weir_str id, char *room, size_t size,
                      struct weir_str *ret_name)
{
    int len = snprintf(room, size, "%s:%.*s", words[kind], (int)id.len, id.p);
    if (len < 0 || (size_t)len >= size || memchr(id.p, '\0', id.len) != NULL) {
        return false;
    }
    *ret_name = weir_str(room, (size_t)len);
    return weir_entry_name_valid(*ret_name);
}

static const struct weir_group *group_of(const struct weir_config *config, enum admin_kind kind,
                                         struct weir_str id)
{
    return weir_group_by_id(config, kind == ADMIN_TEAM ? WEIR_SCOPE_TEAM : WEIR_SCOPE_ORG, id);
}

bool admin_thing_exists(const struct weir_config *config, enum admin_kind kind, struct weir_str id)
{
    switch (kind) {
    case ADMIN_KEY:
        return weir_config_key_by_id(config, id) != NULL;
    case ADMIN_PLAN:
        return weir_plan_by_name(config, id) != NULL;
    default:
        return group_of(config, kind, id) != NULL;
    }
}

void admin_unknown_thing(struct weir_admin *a, struct weir_http_exchange *x, enum admin_kind kind)
{
    char code[32];
    snprintf(code, sizeof(code), "unknown_%s", words[kind]);
    admin_refuse(a, x, 404, code, "", "There is no %s of this %s.", words[kind],
                 kind == ADMIN_PLAN ? "name" : "id");
}

/* ---- what it is ---- */

/* The id in a name as "team:search"; `null` for none. */
static void id_of(struct weir_buf *b, const struct weir_subject *subject)
{
    if (subject == NULL) {
        WEIR_BUF_LIT(b, "null");
        return;
    }
    weir_buf_json(b, weir_name_behind_scope(subject->name));
}

static void plan_of(struct weir_buf *b, const struct weir_subject *subject)
{
    WEIR_BUF_LIT(b, "\"id\":");
    id_of(b, subject);
    WEIR_BUF_LIT(b, ",\"plan\":");
    admin_plan_name(b, subject->plan);
}

static void groups_of(struct weir_buf *b, const struct weir_group *first, bool of_a_key)
{
    const struct weir_subject *team = NULL, *org = NULL;
    for (const struct weir_group *g = first; g != NULL; g = g->org) {
        *(weir_str_starts(g->subject.name, WEIR_STR("org:")) ? &org : &team) = &g->subject;
    }
    if (of_a_key) {
        WEIR_BUF_LIT(b, ",\"team\":");
        id_of(b, team);
    }
    WEIR_BUF_LIT(b, ",\"org\":");
    id_of(b, org);
}

static void plan_limits(struct weir_buf *b, const struct weir_plan *plan)
{
    bool first = true;
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        for (unsigned i = 0; i < w->meters; i++) {
            weir_buf_printf(b, "%s{\"meter\":\"%s\",\"window_s\":%u,\"limit\":%" PRIu64 "%s}",
                            first ? "" : ",", weir_meter_name(w->meter[i]), w->window_s,
                            w->stated[i], (w->shadow >> i & 1) != 0 ? ",\"shadow\":true" : "");
            first = false;
        }
    }
}

static void what_it_is(struct weir_buf *b, const struct weir_config *config, enum admin_kind kind,
                       struct weir_str id)
{
    if (kind == ADMIN_PLAN) {
        WEIR_BUF_LIT(b, "\"name\":");
        weir_buf_json(b, id);
        WEIR_BUF_LIT(b, ",\"limits\":[");
        plan_limits(b, weir_plan_by_name(config, id));
        WEIR_BUF_LIT(b, "]");
        return;
    }
    const struct weir_key *key = kind == ADMIN_KEY ? weir_config_key_by_id(config, id) : NULL;
    const struct weir_group *group = key == NULL ? group_of(config, kind, id) : NULL;
    plan_of(b, key != NULL ? &key->subject : &group->subject);
    if (kind != ADMIN_ORG) {
        groups_of(b, key != NULL ? key->group : group->org, key != NULL);
    }
    if (key != NULL ? key->disabled : group->disabled) {
        WEIR_BUF_LIT(b, ",\"disabled\":true");
    }
}

/* ---- where it comes from ---- */

/* A member of the entry, as it stands there. */
static void own(struct weir_buf *b, const struct weir_json *j, const char *field)
{
    const struct weir_json_node *value = weir_json_member(j, weir_json_root(j), field);
    if (value != NULL) {
        weir_buf_printf(b, ",\"%s\":", field);
        weir_buf_str(b, weir_json_raw(j, value));
    }
}

void admin_thing_members(struct weir_admin *a, enum admin_kind kind, struct weir_str id)
{
    struct weir_buf *b = &a->body;
    char room[WEIR_ENTRY_NAME_MAX];
    struct weir_str name;
    what_it_is(b, admin_config(a), kind, id);
    const struct weir_entry *entry = NULL;
    if (a->registry != NULL && admin_thing_name(kind, id, room, sizeof(room), &name)) {
        entry = weir_entries_find(weir_registry_entries(a->registry), name);
    }
    bool filed = a->registry == NULL || admin_thing_exists(a->base, kind, id);
    weir_buf_str(b, !filed          ? WEIR_STR(",\"source\":\"registry\"")
                    : entry == NULL ? WEIR_STR(",\"source\":\"file\"")
                                    : WEIR_STR(",\"source\":\"override\""));
    if (entry == NULL) { /* or it goes, and is in force for a moment still */
        return;
    }
    struct weir_json j;
    weir_json_init(&j);
    if (kind != ADMIN_PLAN && weir_json_parse(&j, entry->text) == WEIR_OK) {
        own(b, &j, "limits");
        own(b, &j, "grants");
    }
    weir_json_deinit(&j);
}
