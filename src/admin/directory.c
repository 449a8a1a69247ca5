/* SPDX-License-Identifier: Apache-2.0 */
/* directory.c - GET /admin/v1/keys and /admin/v1/plans: what the configuration has, without its
 * secrets. */
#include <inttypes.h>

#include "admin/internal.h"

enum { PAGE = 100, PAGE_MAX = 1000 };

/* The id in a name as "team:search"; `null` for none. */
static void id_of(struct weir_buf *b, const struct weir_subject *subject)
{
    if (subject == NULL) {
        WEIR_BUF_LIT(b, "null");
        return;
    }
    const char *colon = memchr(subject->name.p, ':', subject->name.len);
    size_t scope = (size_t)(colon - subject->name.p) + 1;
    weir_buf_json(b, weir_str(colon + 1, subject->name.len - scope));
}

/* What a key's members say, without the braces. */
static void key_members(struct weir_buf *b, const struct weir_key *key)
{
    const struct weir_subject *team = NULL, *org = NULL;
    for (const struct weir_group *g = key->group; g != NULL; g = g->org) {
        *(weir_str_starts(g->subject.name, WEIR_STR("org:")) ? &org : &team) = &g->subject;
    }
    WEIR_BUF_LIT(b, "\"id\":");
    id_of(b, &key->subject);
    WEIR_BUF_LIT(b, ",\"plan\":");
    if (key->subject.plan == NULL) {
        WEIR_BUF_LIT(b, "null");
    } else {
        weir_buf_json(b, weir_str_z(key->subject.plan->name));
    }
    WEIR_BUF_LIT(b, ",\"team\":");
    id_of(b, team);
    WEIR_BUF_LIT(b, ",\"org\":");
    id_of(b, org);
}

void admin_unknown_key(struct admin_request *r)
{
    admin_refuse(r->admin, r->x, 404, "unknown_key", "", "There is no key of this id.");
}

void admin_key(struct admin_request *r)
{
    struct weir_buf *b = &r->admin->body;
    const struct weir_subject *subject[WEIR_SUBJECTS_MAX];
    const struct weir_key *key = weir_config_key_by_id(admin_config(r->admin), r->name);
    if (key == NULL) {
        admin_unknown_key(r);
        return;
    }
    weir_buf_reset(b);
    weir_buf_char(b, '{');
    key_members(b, key);
    WEIR_BUF_LIT(b, ",\"subjects\":[");
    unsigned subjects = weir_key_subjects(key, subject);
    for (unsigned i = 0; i < subjects; i++) {
        weir_buf_str(b, i > 0 ? WEIR_STR(",") : WEIR_STR(""));
        weir_buf_json(b, subject[i]->name);
    }
    WEIR_BUF_LIT(b, "]}");
    admin_answer(r->admin, r->x);
}

/* ---- a page of keys ---- */

struct page {
    char room[ADMIN_NAME_MAX];
    struct weir_str after; /* p NULL: from the first on */
    uint64_t limit;
};

static bool read_field(struct weir_str name, struct weir_str value, struct page *p)
{
    if (weir_str_eq(name, WEIR_STR("after"))) {
        return p->after.p == NULL && admin_decode(value, p->room, sizeof(p->room), &p->after);
    }
    return weir_str_eq(name, WEIR_STR("limit")) &&
           weir_str_u64(value, PAGE_MAX, &p->limit) == WEIR_OK && p->limit > 0;
}

/* The rest behind the next `end`, of which the part before it is cut off; without one, nothing. */
static struct weir_str cut(struct weir_str *s, char end)
{
    const char *at = s->len == 0 ? NULL : memchr(s->p, end, s->len);
    if (at == NULL) {
        return weir_str("", 0);
    }
    struct weir_str rest = weir_str(at + 1, s->len - (size_t)(at - s->p) - 1);
    s->len = (size_t)(at - s->p);
    return rest;
}

static bool read_page(struct weir_str query, struct page *ret_page)
{
    *ret_page = (struct page){.limit = PAGE};
    while (query.len > 0) {
        struct weir_str name = query;
        query = cut(&name, '&');
        struct weir_str value = cut(&name, '=');
        if (!read_field(name, value, ret_page)) {
            return false;
        }
    }
    return true;
}

void admin_keys(struct admin_request *r)
{
    const struct weir_config *config = admin_config(r->admin);
    struct weir_buf *b = &r->admin->body;
    struct page page;
    size_t from = 0;
    if (!read_page(r->http->query, &page)) {
        admin_refuse(r->admin, r->x, 400, "invalid_query", "",
                     "Expected after=ID, limit=1 to %d, or both.", PAGE_MAX);
        return;
    }
    if (page.after.p != NULL) {
        const struct weir_key *after = weir_config_key_by_id(config, page.after);
        if (after == NULL) {
            admin_unknown_key(r);
            return;
        }
        from = (size_t)(after - config->key) + 1;
    }
    size_t left = config->keys - from, count = left < page.limit ? left : page.limit;
    weir_buf_reset(b);
    WEIR_BUF_LIT(b, "{\"keys\":[");
    for (size_t i = from; i < from + count; i++) {
        weir_buf_str(b, i > from ? WEIR_STR(",{") : WEIR_STR("{"));
        key_members(b, &config->key[i]);
        weir_buf_char(b, '}');
    }
    weir_buf_str(b, count < left ? WEIR_STR("],\"more\":true}") : WEIR_STR("],\"more\":false}"));
    admin_answer(r->admin, r->x);
}

/* ---- plans ---- */

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

void admin_plans(struct admin_request *r)
{
    const struct weir_config *config = admin_config(r->admin);
    struct weir_buf *b = &r->admin->body;
    weir_buf_reset(b);
    WEIR_BUF_LIT(b, "{\"plans\":[");
    for (size_t i = 0; i < config->plans; i++) {
        weir_buf_str(b, i > 0 ? WEIR_STR(",{\"name\":") : WEIR_STR("{\"name\":"));
        weir_buf_json(b, weir_str_z(config->plan[i].name));
        WEIR_BUF_LIT(b, ",\"limits\":[");
        plan_limits(b, &config->plan[i]);
        WEIR_BUF_LIT(b, "]}");
    }
    WEIR_BUF_LIT(b, "]}");
    admin_answer(r->admin, r->x);
}
