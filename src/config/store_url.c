/* SPDX-License-Identifier: Apache-2.0 */
/* store_url.c - where the store is. */
#include <arpa/inet.h>

#include "config/parse.h"

static const char NAME_CHARACTERS[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

/* What was read so far. */
struct url {
    struct weir_redis_target target;
    struct weir_redis_seeds seeds;
};

/* What stands behind the first `c` of the text, which is then what stands before it. False: there
 * is none. */
static bool cut(struct weir_str *s, char c, struct weir_str *ret_behind)
{
    const char *at = s->len == 0 ? NULL : memchr(s->p, c, s->len);
    if (at == NULL) {
        return false;
    }
    *ret_behind = weir_str(at + 1, s->len - (size_t)(at + 1 - s->p));
    s->len = (size_t)(at - s->p);
    return true;
}

/* %-escapes are decoded. False: too long for `room`, or not an escape. */
static bool copy_decoded(struct weir_str s, char *to, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c == '%') {
            if (s.len - i < 3 || !weir_parse_hex(weir_str(s.p + i + 1, 2), 1, &c) || c == '\0') {
                return false;
            }
            i += 2;
        }
        if (n + 1 >= room) {
            return false;
        }
        to[n++] = (char)c;
    }
    to[n] = '\0';
    return true;
}

/* Cuts "[user]:password@" off the front. A user alone would have nothing to say to Redis. */
static bool take_login(struct weir_str *s, struct weir_redis_target *t)
{
    const char *at = memrchr(s->p, '@', s->len);
    if (at == NULL) {
        return true;
    }
    struct weir_str user = weir_str(s->p, (size_t)(at - s->p)), password;
    if (!cut(&user, ':', &password)) {
        return false;
    }
    *s = weir_str(at + 1, s->len - (size_t)(at + 1 - s->p));
    return password.len > 0 && copy_decoded(password, t->password, sizeof(t->password)) &&
           copy_decoded(user, t->user, sizeof(t->user));
}

/* Before several hosts it stands once: an @ of the password is written %40, so that "u:p@a,u:p@b"
 * is not read as one host and a long password. */
static bool take_only_login(struct weir_str *s, struct weir_redis_target *t)
{
    struct weir_str copy = *s, behind;
    return (!cut(&copy, '@', &behind) || memchr(behind.p, '@', behind.len) == NULL) &&
           take_login(s, t);
}

static bool take_db(struct weir_str text, struct weir_redis_target *t)
{
    uint64_t number;
    if (weir_str_u64(text, WEIR_REDIS_DB_MAX, &number) != WEIR_OK) {
        return false;
    }
    t->db = (uint32_t)number;
    return true;
}

/* host[:port], where the port stays what it was when there is none. A host is a name or an IPv4
 * address; an IPv6 address in brackets. */
static bool take_host(struct weir_str s, char *name, size_t room, uint16_t *port)
{
    const char *colon = s.len == 0 ? NULL : memrchr(s.p, ':', s.len);
    if (colon != NULL && memchr(colon, ']', s.len - (size_t)(colon - s.p)) == NULL) {
        struct weir_str text = weir_str(colon + 1, s.len - (size_t)(colon + 1 - s.p));
        uint64_t number;
        if (weir_str_u64(text, UINT16_MAX, &number) != WEIR_OK || number == 0) {
            return false;
        }
        *port = (uint16_t)number;
        s.len = (size_t)(colon - s.p);
    }
    bool ipv6 = weir_parse_take_brackets(&s);
    if (s.len == 0 || s.len >= room) {
        return false;
    }
    memcpy(name, s.p, s.len);
    name[s.len] = '\0';
    return ipv6 ? weir_parse_is_address(AF_INET6, name) : strspn(name, NAME_CHARACTERS) == s.len;
}

static bool take_hosts(struct weir_str s, uint16_t default_port, struct weir_redis_seeds *seeds)
{
    struct weir_str next;
    for (bool more = true; more; s = next) {
        more = cut(&s, ',', &next);
        if (seeds->hosts == WEIR_REDIS_HOSTS_MAX) {
            return false;
        }
        struct weir_redis_host *host = &seeds->host[seeds->hosts++];
        host->port = default_port;
        if (!take_host(s, host->name, sizeof(host->name), &host->port)) {
            return false;
        }
    }
    return true;
}

/* [[user]:password@]host[:port][/db] */
static bool parse_single(struct weir_str s, struct url *u)
{
    struct weir_str db;
    u->seeds.kind = WEIR_REDIS_SINGLE;
    if (!take_login(&s, &u->target) ||
        (cut(&s, '/', &db) && db.len > 0 && !take_db(db, &u->target))) {
        return false;
    }
    return take_host(s, u->target.host, sizeof(u->target.host), &u->target.port);
}

/* [[user]:password@]/path[?db=N] */
static bool parse_path(struct weir_str s, struct url *u)
{
    struct weir_redis_target *t = &u->target;
    struct weir_str query;
    u->seeds.kind = WEIR_REDIS_SINGLE;
    if ((s.len > 0 && s.p[0] != '/' && !take_login(&s, t)) || s.len < 2 || s.p[0] != '/') {
        return false;
    }
    if (cut(&s, '?', &query) && (!weir_str_starts(query, WEIR_STR("db=")) ||
                                 !take_db(weir_str(query.p + 3, query.len - 3), t))) {
        return false;
    }
    return copy_decoded(s, t->unix_path, sizeof(t->unix_path));
}

/* [[user]:password@]host[:port][,host[:port]...][/] A cluster has one database only. */
static bool parse_cluster(struct weir_str s, struct url *u)
{
    struct weir_str behind;
    u->seeds.kind = WEIR_REDIS_CLUSTER;
    return take_only_login(&s, &u->target) && (!cut(&s, '/', &behind) || behind.len == 0) &&
           take_hosts(s, WEIR_REDIS_PORT, &u->seeds);
}

/* [[user]:password@]host[:port][,host[:port]...]/service[/db] */
static bool parse_sentinels(struct weir_str s, struct url *u)
{
    struct weir_str service, db;
    char *name = u->seeds.service;
    u->seeds.kind = WEIR_REDIS_SENTINELS;
    if (!take_only_login(&s, &u->target) || !cut(&s, '/', &service) ||
        (cut(&service, '/', &db) && !take_db(db, &u->target)) || service.len == 0 ||
        service.len > WEIR_REDIS_SERVICE_MAX) {
        return false;
    }
    memcpy(name, service.p, service.len);
    return strspn(name, NAME_CHARACTERS) == service.len &&
           take_hosts(s, WEIR_SENTINEL_PORT, &u->seeds);
}

bool weir_parse_store(struct weir_str text, struct weir_config *config)
{
    static const struct {
        struct weir_str scheme;
        bool tls;
        bool (*parse)(struct weir_str s, struct url *u);
    } forms[] = {
        {WEIR_STR_INIT("redis://"), false, parse_single},
        {WEIR_STR_INIT("rediss://"), true, parse_single},
        {WEIR_STR_INIT("redis+unix://"), false, parse_path},
        {WEIR_STR_INIT("redis+cluster://"), false, parse_cluster},
        {WEIR_STR_INIT("rediss+cluster://"), true, parse_cluster},
        {WEIR_STR_INIT("redis+sentinel://"), false, parse_sentinels},
        {WEIR_STR_INIT("rediss+sentinel://"), true, parse_sentinels},
    };
    if (weir_str_eq(text, WEIR_STR("embedded"))) {
        config->store = WEIR_STORE_EMBEDDED;
        return true;
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct url u = {.target = {.port = WEIR_REDIS_PORT,
                                   .timeout_ms = config->redis.timeout_ms,
                                   .connect_timeout_ms = config->redis.connect_timeout_ms}};
        size_t begins = forms[i].scheme.len;
        if (weir_str_starts(text, forms[i].scheme) &&
            forms[i].parse(weir_str(text.p + begins, text.len - begins), &u)) {
            config->store = WEIR_STORE_REDIS;
            config->store_tls.on = forms[i].tls;
            config->redis = u.target;
            config->redis_seeds = u.seeds;
            return true;
        }
    }
    return false;
}
