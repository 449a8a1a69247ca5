/* SPDX-License-Identifier: Apache-2.0 */
/* store_tls.c - the `store_tls` section: certificates for a rediss store. */
#include "config/parse.h"

static enum weir_err tls_field(struct parse *p, struct weir_str key, const struct node *value,
                               void *ctx)
{
    struct weir_store_tls *tls = ctx;
    const struct {
        struct weir_str name;
        char *to;
        size_t room;
    } fields[] = {
        {WEIR_STR("ca"), tls->ca, sizeof(tls->ca)},
        {WEIR_STR("cert"), tls->cert, sizeof(tls->cert)},
        {WEIR_STR("key"), tls->key, sizeof(tls->key)},
        {WEIR_STR("server_name"), tls->server_name, sizeof(tls->server_name)},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (weir_str_eq(key, fields[i].name)) {
            return weir_parse_copy(p, value, fields[i].to, fields[i].room);
        }
    }
    return weir_parse_unknown(p, value, "store_tls");
}

enum weir_err weir_parse_store_tls(struct parse *p, const struct node *n)
{
    struct weir_store_tls *tls = &p->config->store_tls;
    WEIR_TRY(weir_parse_mapping(p, n, tls_field, tls));
    if ((tls->cert[0] == '\0') != (tls->key[0] == '\0')) {
        return weir_parse_fail(p, n, "store_tls: expected cert and key, or neither");
    }
    return WEIR_OK;
}

/* Whoever names certificates means them to be used. */
enum weir_err weir_store_tls_finish(struct parse *p)
{
    const struct weir_store_tls *tls = &p->config->store_tls;
    bool given = tls->ca[0] != '\0' || tls->cert[0] != '\0' || tls->server_name[0] != '\0';
    if (given && !tls->on && p->config->store == WEIR_STORE_REDIS) {
        return weir_parse_fail(p, NULL,
                               "store_tls: expected a store of rediss://, "
                               "rediss+cluster:// or rediss+sentinel://");
    }
    return WEIR_OK;
}
