/* SPDX-License-Identifier: Apache-2.0 */
/* route.c - from a request to its handler. */
#include "admin/internal.h"

static const struct route {
    struct weir_str before, behind; /* of the name in the path; without one: the path, and p NULL */
    enum weir_http_method method;   /* GET serves HEAD too */
    admin_handler_fn *handler;
    enum admin_kind kind; /* that it is about, if it is one of these */
} routes[] = {
    {WEIR_STR_INIT("/admin/v1/overview"), {0}, WEIR_HTTP_GET, admin_overview, 0},
    {WEIR_STR_INIT("/admin/v1/events"), {0}, WEIR_HTTP_GET, admin_events, 0},
    {WEIR_STR_INIT("/admin/v1/subjects/"), WEIR_STR_INIT("/history"), WEIR_HTTP_GET, admin_history,
     0},
    {WEIR_STR_INIT("/admin/v1/subjects/"), WEIR_STR_INIT("/reset"), WEIR_HTTP_POST, admin_reset, 0},
    {WEIR_STR_INIT("/admin/v1/subjects/"), WEIR_STR_INIT(""), WEIR_HTTP_GET, admin_usage, 0},
    {WEIR_STR_INIT("/admin/v1/check"), {0}, WEIR_HTTP_POST, admin_check, 0},
    {WEIR_STR_INIT("/admin/v1/reload"), {0}, WEIR_HTTP_POST, admin_reload, 0},
    {WEIR_STR_INIT("/admin/v1/subjects/"), WEIR_STR_INIT("/grant"), WEIR_HTTP_POST, admin_grant, 0},
    {WEIR_STR_INIT("/admin/v1/keys"), {0}, WEIR_HTTP_GET, admin_list, ADMIN_KEY},
    {WEIR_STR_INIT("/admin/v1/keys"), {0}, WEIR_HTTP_POST, admin_create_key, 0},
    {WEIR_STR_INIT("/admin/v1/keys/"), WEIR_STR_INIT("/rotate"), WEIR_HTTP_POST, admin_rotate_key,
     0},
    {WEIR_STR_INIT("/admin/v1/keys/"), WEIR_STR_INIT(""), WEIR_HTTP_GET, admin_show, ADMIN_KEY},
    {WEIR_STR_INIT("/admin/v1/keys/"), WEIR_STR_INIT(""), WEIR_HTTP_PATCH, admin_change, ADMIN_KEY},
    {WEIR_STR_INIT("/admin/v1/keys/"), WEIR_STR_INIT(""), WEIR_HTTP_DELETE, admin_delete,
     ADMIN_KEY},
    {WEIR_STR_INIT("/admin/v1/teams"), {0}, WEIR_HTTP_GET, admin_list, ADMIN_TEAM},
    {WEIR_STR_INIT("/admin/v1/teams/"), WEIR_STR_INIT(""), WEIR_HTTP_GET, admin_show, ADMIN_TEAM},
    {WEIR_STR_INIT("/admin/v1/teams/"), WEIR_STR_INIT(""), WEIR_HTTP_PATCH, admin_change,
     ADMIN_TEAM},
    {WEIR_STR_INIT("/admin/v1/teams/"), WEIR_STR_INIT(""), WEIR_HTTP_DELETE, admin_delete,
     ADMIN_TEAM},
    {WEIR_STR_INIT("/admin/v1/orgs"), {0}, WEIR_HTTP_GET, admin_list, ADMIN_ORG},
    {WEIR_STR_INIT("/admin/v1/orgs/"), WEIR_STR_INIT(""), WEIR_HTTP_GET, admin_show, ADMIN_ORG},
    {WEIR_STR_INIT("/admin/v1/orgs/"), WEIR_STR_INIT(""), WEIR_HTTP_PATCH, admin_change, ADMIN_ORG},
    {WEIR_STR_INIT("/admin/v1/orgs/"), WEIR_STR_INIT(""), WEIR_HTTP_DELETE, admin_delete,
     ADMIN_ORG},
    {WEIR_STR_INIT("/admin/v1/plans"), {0}, WEIR_HTTP_GET, admin_plans, ADMIN_PLAN},
    {WEIR_STR_INIT("/admin/v1/plans/"), WEIR_STR_INIT(""), WEIR_HTTP_GET, admin_show, ADMIN_PLAN},
    {WEIR_STR_INIT("/admin/v1/plans/"), WEIR_STR_INIT(""), WEIR_HTTP_PATCH, admin_change,
     ADMIN_PLAN},
    {WEIR_STR_INIT("/admin/v1/plans/"), WEIR_STR_INIT(""), WEIR_HTTP_DELETE, admin_delete,
     ADMIN_PLAN},
};

enum { ROUTES = sizeof(routes) / sizeof(routes[0]) };

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool admin_decode(struct weir_str text, char *to, size_t room, struct weir_str *ret_text)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex(text.p[i + 1]) : -1;
            int low = i + 2 < text.len ? hex(text.p[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (len == room) {
            return false;
        }
        to[len++] = c;
    }
    *ret_text = weir_str(to, len);
    return true;
}

/* A name stands between two slashes: one of its own is encoded. */
static bool matches(const struct route *route, struct weir_str path, struct weir_str *ret_name)
{
    *ret_name = weir_str(NULL, 0);
    if (route->behind.p == NULL) {
        return weir_str_eq(path, route->before);
    }
    if (!weir_str_starts(path, route->before) ||
        path.len <= route->before.len + route->behind.len) {
        return false;
    }
    struct weir_str name =
        weir_str(path.p + route->before.len, path.len - route->before.len - route->behind.len);
    *ret_name = name;
    return memchr(name.p, '/', name.len) == NULL &&
           weir_str_eq(weir_str(name.p + name.len, route->behind.len), route->behind);
}

static bool method_serves(enum weir_http_method offered, enum weir_http_method asked)
{
    return asked == offered || (asked == WEIR_HTTP_HEAD && offered == WEIR_HTTP_GET);
}

/* The first that has the path: those of one path stand together. */
static const struct route *route_of(struct weir_str path, struct weir_str *ret_name)
{
    for (size_t i = 0; i < ROUTES; i++) {
        if (matches(&routes[i], path, ret_name)) {
            return &routes[i];
        }
    }
    return NULL;
}

static bool same_path(const struct route *a, const struct route *b)
{
    return weir_str_eq(a->before, b->before) && weir_str_eq(a->behind, b->behind);
}

static void refuse_method(struct admin_request *r, const struct route *route)
{
    static const char *const names[] = {[WEIR_HTTP_GET] = "GET, HEAD",
                                        [WEIR_HTTP_POST] = "POST",
                                        [WEIR_HTTP_PATCH] = "PATCH",
                                        [WEIR_HTTP_DELETE] = "DELETE"};
    char allow[64];
    size_t len = (size_t)snprintf(allow, sizeof(allow), "allow: %s", names[route->method]);
    for (const struct route *o = route + 1; o < routes + ROUTES && same_path(o, route); o++) {
        len += (size_t)snprintf(allow + len, sizeof(allow) - len, ", %s", names[o->method]);
    }
    snprintf(allow + len, sizeof(allow) - len, "\r\n");
    admin_refuse(r->admin, r->x, 405, "method_not_allowed", allow,
                 "This URL does not offer that method.");
}

/* By the method that is asked for, of those of the route's path. */
static void handle(struct admin_request *r, const struct route *route)
{
    for (const struct route *o = route; o < routes + ROUTES && same_path(o, route); o++) {
        if (method_serves(o->method, r->http->method)) {
            r->kind = o->kind;
            o->handler(r);
            return;
        }
    }
    refuse_method(r, route);
}

void admin_on_request(void *ctx, struct weir_http_exchange *x, const struct weir_http_request *http)
{
    struct admin_request r = {.admin = ctx, .x = x, .http = http};
    char name[ADMIN_NAME_MAX];
    struct weir_str raw;
    const struct route *route = route_of(http->path, &raw);
    if (admin_ui(&r) || !admin_allows(&r)) {
        return;
    }
    if (route == NULL || !admin_decode(raw, name, sizeof(name), &r.name)) {
        admin_refuse(r.admin, x, 404, "unknown_url", "", "Unknown request URL. See docs/admin.md.");
    } else {
        handle(&r, route);
    }
}
