/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - fields whose text has a form of its own, from the file or from a flag. No message
 * repeats the text: a store's address may hold a password. */
#include <arpa/inet.h>

#include "config/parse.h"

static bool is_address(int family, const char *host)
{
    unsigned char ignored[16];
    return inet_pton(family, host, ignored) == 1;
}

/* "[...]" without its brackets; false when it has none. */
static bool take_brackets(struct weir_str *s)
{
    if (s->len < 2 || s->p[0] != '[' || s->p[s->len - 1] != ']') {
        return false;
    }
    *s = weir_str(s->p + 1, s->len - 2);
    return true;
}

/* ADDRESS:PORT, [ADDRESS]:PORT */
static bool parse_listen(struct weir_str text, struct weir_listen *ret_listen)
{
    const char *colon = memrchr(text.p, ':', text.len);
    uint64_t port;
    if (colon == NULL) {
        return false;
    }
    struct weir_str host = weir_str(text.p, (size_t)(colon - text.p));
    struct weir_str port_text = weir_str(colon + 1, text.len - host.len - 1);
    bool ipv6 = take_brackets(&host);
    struct weir_listen listen = {0};
    if (host.len >= sizeof(listen.host) || weir_str_u64(port_text, UINT16_MAX, &port) != WEIR_OK) {
        return false;
    }
    memcpy(listen.host, host.p, host.len);
    listen.port = (uint16_t)port;
    if (!is_address(ipv6 ? AF_INET6 : AF_INET, listen.host)) {
        return false;
    }
    *ret_listen = listen;
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
    struct weir_str user = weir_str(s->p, (size_t)(at - s->p));
    const char *colon = memchr(user.p, ':', user.len);
    if (colon == NULL) {
        return false;
    }
    struct weir_str password = weir_str(colon + 1, user.len - (size_t)(colon + 1 - user.p));
    user.len = (size_t)(colon - user.p);
    *s = weir_str(at + 1, s->len - (size_t)(at + 1 - s->p));
    return password.len > 0 && copy_decoded(password, t->password, sizeof(t->password)) &&
           copy_decoded(user, t->user, sizeof(t->user));
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

/* A name or an IPv4 address; an IPv6 address in brackets. */
static bool take_host(struct weir_str s, struct weir_redis_target *t)
{
    bool ipv6 = take_brackets(&s);
    if (s.len == 0 || s.len >= sizeof(t->host)) {
        return false;
    }
    memcpy(t->host, s.p, s.len);
    t->host[s.len] = '\0';
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return ipv6 ? is_address(AF_INET6, t->host) : strspn(t->host, allowed) == s.len;
}

/* [[user]:password@]host[:port][/db] */
static bool parse_redis_authority(struct weir_str s, struct weir_redis_target *t)
{
    if (!take_login(&s, t)) {
        return false;
    }
    const char *slash = memchr(s.p, '/', s.len);
    if (slash != NULL) {
        struct weir_str db = weir_str(slash + 1, s.len - (size_t)(slash + 1 - s.p));
        if (db.len > 0 && !take_db(db, t)) {
            return false;
        }
        s.len = (size_t)(slash - s.p);
    }
    const char *colon = memrchr(s.p, ':', s.len);
    if (colon != NULL && memchr(colon, ']', s.len - (size_t)(colon - s.p)) == NULL) {
        struct weir_str port = weir_str(colon + 1, s.len - (size_t)(colon + 1 - s.p));
        uint64_t number;
        if (weir_str_u64(port, UINT16_MAX, &number) != WEIR_OK || number == 0) {
            return false;
        }
        t->port = (uint16_t)number;
        s.len = (size_t)(colon - s.p);
    }
    return take_host(s, t);
}

/* [[user]:password@]/path[?db=N] */
static bool parse_redis_path(struct weir_str s, struct weir_redis_target *t)
{
    if ((s.len > 0 && s.p[0] != '/' && !take_login(&s, t)) || s.len < 2 || s.p[0] != '/') {
        return false;
    }
    const char *question = memchr(s.p, '?', s.len);
    if (question != NULL) {
        struct weir_str query = weir_str(question + 1, s.len - (size_t)(question + 1 - s.p));
        if (!weir_str_starts(query, WEIR_STR("db=")) ||
            !take_db(weir_str(query.p + 3, query.len - 3), t)) {
            return false;
        }
        s.len = (size_t)(question - s.p);
    }
    return copy_decoded(s, t->unix_path, sizeof(t->unix_path));
}

static bool parse_store(struct weir_str text, struct weir_config *config)
{
    struct weir_redis_target t = {
        .port = WEIR_REDIS_PORT,
        .timeout_ms = config->redis.timeout_ms,
        .connect_timeout_ms = config->redis.connect_timeout_ms,
    };
    bool ok = false;
    if (weir_str_eq(text, WEIR_STR("embedded"))) {
        config->store = WEIR_STORE_EMBEDDED;
        return true;
    }
    if (weir_str_starts(text, WEIR_STR("redis://"))) {
        ok = parse_redis_authority(weir_str(text.p + 8, text.len - 8), &t);
    } else if (weir_str_starts(text, WEIR_STR("redis+unix://"))) {
        ok = parse_redis_path(weir_str(text.p + 13, text.len - 13), &t);
    }
    if (ok) {
        config->store = WEIR_STORE_REDIS;
        config->redis = t;
    }
    return ok;
}

/* Which of the names it is; `count`: none. */
static unsigned choice(struct weir_str text, const struct weir_str *names, unsigned count)
{
    unsigned i = 0;
    while (i < count && !weir_str_eq(text, names[i])) {
        i++;
    }
    return i;
}

static bool parse_failure_policy(struct weir_str text, enum weir_on_store_failure *ret_policy)
{
    static const struct weir_str names[] = {{"local", 5}, {"closed", 6}, {"open", 4}};
    unsigned i = choice(text, names, 3);
    if (i < 3) {
        *ret_policy = (enum weir_on_store_failure)i;
    }
    return i < 3;
}

static bool parse_mode(struct weir_str text, enum weir_store_mode *ret_mode)
{
    static const struct weir_str names[] = {{"lease", 5}, {"exact", 5}};
    unsigned i = choice(text, names, 2);
    if (i < 2) {
        *ret_mode = (enum weir_store_mode)i;
    }
    return i < 2;
}

enum weir_err weir_parse_text(struct parse *p, const struct node *n, const char *field,
                              struct weir_str text)
{
    struct weir_config *config = p->config;
    const char *expected;
    bool ok;
    if (strcmp(field, "listen") == 0) {
        ok = parse_listen(text, &config->listen);
        expected = "ADDRESS:PORT with a numeric address, as 127.0.0.1:8000 or \"[::1]:8000\"";
    } else if (strcmp(field, "store") == 0) {
        ok = parse_store(text, config);
        expected = "embedded, redis://[[user]:password@]host[:port][/db] or "
                   "redis+unix://[[user]:password@]/path[?db=N]";
    } else if (strcmp(field, "mode") == 0) {
        ok = parse_mode(text, &config->mode);
        expected = "lease or exact";
    } else {
        WEIR_ASSERT(strcmp(field, "on_store_failure") == 0);
        ok = parse_failure_policy(text, &config->on_store_failure);
        expected = "local, closed or open";
    }
    return ok ? WEIR_OK : weir_parse_fail(p, n, "%s: expected %s", n->name, expected);
}
