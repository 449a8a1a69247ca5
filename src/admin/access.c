/* SPDX-License-Identifier: Apache-2.0 */
/* access.c - who may ask: whoever has the token; without one in the configuration, whoever is on
 * this machine (the listener is on loopback then). A web page of somebody else is on no machine: it
 * is told by the host that it asks for, by what its browser says of it, and by what forms send. */
#include <arpa/inet.h>

#include "admin/internal.h"

/* A Host header without its port, and without the brackets of an IPv6 address. */
static struct weir_str host_of(struct weir_str value)
{
    bool brackets = value.len > 0 && value.p[0] == '[';
    const char *end = memchr(value.p, brackets ? ']' : ':', value.len);
    if (brackets) {
        return weir_str(value.p + 1, end == NULL ? 0 : (size_t)(end - value.p) - 1);
    }
    return weir_str(value.p, end == NULL ? value.len : (size_t)(end - value.p));
}

/* A name that DNS answers for (rebinding) is none of ours. */
static bool is_loopback(struct weir_str host)
{
    struct weir_listen listen = {0};
    if (host.len >= sizeof(listen.host)) {
        return false;
    }
    memcpy(listen.host, host.p, host.len);
    return weir_str_eq_nocase(host, WEIR_STR("localhost")) || weir_listen_is_loopback(&listen);
}

static bool has_token(struct admin_request *r)
{
    const struct weir_config *config = admin_config(r->admin);
    if (!weir_bearer_is(r->http, config->admin_token_sha256)) {
        admin_refuse(r->admin, r->x, 401, "invalid_admin_token", "www-authenticate: Bearer\r\n",
                     "This API expects the admin token in an Authorization header using Bearer "
                     "auth.");
        return false;
    }
    return true;
}

static bool is_local(struct admin_request *r)
{
    struct weir_str host = weir_http_header(r->http, WEIR_STR("host"));
    if (host.p == NULL || !is_loopback(host_of(host))) {
        admin_refuse(r->admin, r->x, 403, "foreign_host", "",
                     "Without an admin token in the configuration this API is asked as "
                     "localhost or by a loopback address.");
        return false;
    }
    return true;
}

/* What browsers say of a request that another site's page makes. */
static bool is_of_a_foreign_page(const struct weir_http_request *http)
{
    struct weir_str site = weir_http_header(http, WEIR_STR("sec-fetch-site"));
    return site.p != NULL && !weir_str_eq(site, WEIR_STR("same-origin")) &&
           !weir_str_eq(site, WEIR_STR("none"));
}

bool admin_allows(struct admin_request *r)
{
    if (!(admin_config(r->admin)->has_admin_token ? has_token(r) : is_local(r))) {
        return false;
    }
    if (is_of_a_foreign_page(r->http)) {
        admin_refuse(r->admin, r->x, 403, "foreign_page", "",
                     "This API is not for pages of other sites.");
        return false;
    }
    bool has_body = r->http->method == WEIR_HTTP_POST || r->http->method == WEIR_HTTP_PATCH;
    if (has_body && !weir_request_is_json(r->http)) {
        admin_refuse(r->admin, r->x, 415, "unsupported_media_type", "",
                     "The content-type must be application/json.");
        return false;
    }
    return true;
}
