/* SPDX-License-Identifier: Apache-2.0 */
/* directory.c - GET /admin/v1/keys, /teams, /orgs and /plans: what the configuration in force has,
 * without its secrets. */
#include "admin/internal.h"

enum { PAGE = 100, PAGE_MAX = 1000 };

/* ---- one ---- */

void admin_show(struct admin_request *r)
{
    enum admin_kind kind = r->kind;
    struct weir_buf *b = &r->admin->body;
    if (!admin_thing_exists(admin_config(r->admin), kind, r->name)) {
        admin_unknown_thing(r->admin, r->x, kind);
        return;
    }
    weir_buf_reset(b);
    weir_buf_char(b, '{');
    admin_thing_members(r->admin, kind, r->name);
    if (kind == ADMIN_KEY) {
        const struct weir_subject *subject[WEIR_SUBJECTS_MAX];
        const struct weir_key *key = weir_config_key_by_id(admin_config(r->admin), r->name);
        unsigned subjects = weir_key_subjects(key, subject);
        WEIR_BUF_LIT(b, ",\"subjects\":[");
        for (unsigned i = 0; i < subjects; i++) {
            weir_buf_str(b, i > 0 ? WEIR_STR(",") : WEIR_STR(""));
            weir_buf_json(b, subject[i]->name);
        }
        weir_buf_char(b, ']');
    }
    weir_buf_char(b, '}');
    admin_answer(r->admin, r->x);
}

/* ---- a page ---- */

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

static size_t count_of(const struct weir_config *config, enum admin_kind kind)
{
    return kind == ADMIN_KEY ? config->keys : kind == ADMIN_TEAM ? config->teams : config->orgs;
}

/* The i-th one's id. */
static struct weir_str id_at(const struct weir_config *config, enum admin_kind kind, size_t i)
{
    struct weir_str name = kind == ADMIN_KEY    ? config->key[i].subject.name
                           : kind == ADMIN_TEAM ? config->team[i].subject.name
                                                : config->org[i].subject.name;
    return weir_name_behind_scope(name);
}

/* How many are up to this one; it exists. */
static size_t place_behind(const struct weir_config *config, enum admin_kind kind,
                           struct weir_str id)
{
    if (kind == ADMIN_KEY) {
        return (size_t)(weir_config_key_by_id(config, id) - config->key) + 1;
    }
    bool team = kind == ADMIN_TEAM;
    const struct weir_group *g =
        weir_group_by_id(config, team ? WEIR_SCOPE_TEAM : WEIR_SCOPE_ORG, id);
    return (size_t)(g - (team ? config->team : config->org)) + 1;
}

void admin_list(struct admin_request *r)
{
    enum admin_kind kind = r->kind;
    const struct weir_config *config = admin_config(r->admin);
    struct weir_buf *b = &r->admin->body;
    struct page page;
    if (!read_page(r->http->query, &page)) {
        admin_refuse(r->admin, r->x, 400, "invalid_query", "",
                     "Expected after=ID, limit=1 to %d, or both.", PAGE_MAX);
        return;
    }
    if (page.after.p != NULL && !admin_thing_exists(config, kind, page.after)) {
        admin_unknown_thing(r->admin, r->x, kind);
        return;
    }
    size_t from = page.after.p == NULL ? 0 : place_behind(config, kind, page.after);
    size_t left = count_of(config, kind) - from, count = left < page.limit ? left : page.limit;
    weir_buf_reset(b);
    weir_buf_printf(b, "{\"%ss\":[", admin_kind_word(kind));
    for (size_t i = from; i < from + count; i++) {
        weir_buf_str(b, i > from ? WEIR_STR(",{") : WEIR_STR("{"));
        admin_thing_members(r->admin, kind, id_at(config, kind, i));
        weir_buf_char(b, '}');
    }
    weir_buf_str(b, count < left ? WEIR_STR("],\"more\":true}") : WEIR_STR("],\"more\":false}"));
    admin_answer(r->admin, r->x);
}

/* All: they are few. */
void admin_plans(struct admin_request *r)
{
    const struct weir_config *config = admin_config(r->admin);
    struct weir_buf *b = &r->admin->body;
    weir_buf_reset(b);
    WEIR_BUF_LIT(b, "{\"plans\":[");
    for (size_t i = 0; i < config->plans; i++) {
        weir_buf_str(b, i > 0 ? WEIR_STR(",{") : WEIR_STR("{"));
        admin_thing_members(r->admin, ADMIN_PLAN, weir_str_z(config->plan[i].name));
        weir_buf_char(b, '}');
    }
    WEIR_BUF_LIT(b, "]}");
    admin_answer(r->admin, r->x);
}
