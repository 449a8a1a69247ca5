/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c - the `admin` section: where the admin API listens, and the token that it asks for. */
#include <arpa/inet.h>

#include "config/parse.h"

bool weir_listen_is_loopback(const struct weir_listen *listen)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, listen->host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    return inet_pton(AF_INET6, listen->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static enum weir_err listen_field(struct parse *p, const struct node *value)
{
    struct weir_str text;
    WEIR_TRY(weir_parse_scalar(p, value, "a text", &text));
    return weir_parse_text(p, value, "admin_listen", text);
}

static enum weir_err admin_field(struct parse *p, struct weir_str key, const struct node *value,
                                 void *ctx)
{
    struct node *listen = ctx;
    if (weir_str_eq(key, WEIR_STR("listen"))) {
        listen->at = value->at;
        return listen_field(p, value);
    }
    if (weir_str_eq(key, WEIR_STR("token"))) {
        WEIR_TRY(weir_parse_token(p, value, p->config->admin_token_sha256));
        p->config->has_admin_token = true;
        return WEIR_OK;
    }
    return weir_parse_unknown(p, value, "admin");
}

enum weir_err weir_admin_check(struct parse *p, const struct node *n)
{
    const struct weir_config *config = p->config;
    if (!config->has_admin_token && !weir_listen_is_loopback(&config->admin_listen)) {
        return weir_parse_fail(p, n, "%s: beyond loopback the admin API expects an admin token",
                               n->name);
    }
    return WEIR_OK;
}

enum weir_err weir_parse_admin(struct parse *p, const struct node *n)
{
    struct node listen = {.at = n->at, .key = n->key, .name = "listen"};
    p->config->has_admin = true;
    WEIR_TRY(weir_parse_mapping(p, n, admin_field, &listen));
    return weir_admin_check(p, &listen);
}
