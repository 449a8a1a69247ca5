/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - fields whose text has a form of its own, from the file or from a flag; the store's
 * stands in store_url.c. No message repeats the text: a store's address may hold a password. */
#include <arpa/inet.h>

#include "config/parse.h"

bool weir_parse_is_address(int family, const char *host)
{
    unsigned char ignored[16];
    return inet_pton(family, host, ignored) == 1;
}

bool weir_parse_take_brackets(struct weir_str *s)
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
    bool ipv6 = weir_parse_take_brackets(&host);
    struct weir_listen listen = {0};
    if (host.len >= sizeof(listen.host) || weir_str_u64(port_text, UINT16_MAX, &port) != WEIR_OK) {
        return false;
    }
    memcpy(listen.host, host.p, host.len);
    listen.port = (uint16_t)port;
    if (!weir_parse_is_address(ipv6 ? AF_INET6 : AF_INET, listen.host)) {
        return false;
    }
    *ret_listen = listen;
    return true;
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
    static const struct weir_str names[] = {WEIR_STR_INIT("local"), WEIR_STR_INIT("closed"),
                                            WEIR_STR_INIT("open")};
    unsigned i = choice(text, names, 3);
    if (i < 3) {
        *ret_policy = (enum weir_on_store_failure)i;
    }
    return i < 3;
}

static bool parse_mode(struct weir_str text, enum weir_store_mode *ret_mode)
{
    static const struct weir_str names[] = {WEIR_STR_INIT("lease"), WEIR_STR_INIT("exact")};
    unsigned i = choice(text, names, 2);
    if (i < 2) {
        *ret_mode = (enum weir_store_mode)i;
    }
    return i < 2;
}

static bool parse_token_data(struct weir_str text, char ret_path[static WEIR_TOKEN_DATA_MAX + 1])
{
    if (text.len == 0 || text.len > WEIR_TOKEN_DATA_MAX || memchr(text.p, '\0', text.len) != NULL) {
        return false;
    }
    memcpy(ret_path, text.p, text.len);
    ret_path[text.len] = '\0';
    return true;
}

/* A path has a slash, so that no misspelt word becomes a file. */
static bool is_path(struct weir_str text, size_t max)
{
    return text.len <= max && memchr(text.p, '\0', text.len) == NULL &&
           memchr(text.p, '/', text.len) != NULL;
}

static bool parse_registry(struct weir_str text, char ret_path[static WEIR_REGISTRY_MAX + 1])
{
    if (weir_str_eq(text, WEIR_STR("off"))) {
        ret_path[0] = '\0';
        return true;
    }
    if (!is_path(text, WEIR_REGISTRY_MAX) || text.p[text.len - 1] == '/') {
        return false;
    }
    memcpy(ret_path, text.p, text.len);
    ret_path[text.len] = '\0';
    return true;
}

static bool parse_access_log(struct weir_str text, char ret_where[static WEIR_ACCESS_LOG_MAX + 1])
{
    if (weir_str_eq(text, WEIR_STR("off"))) {
        ret_where[0] = '\0';
        return true;
    }
    bool stream = weir_str_eq(text, WEIR_STR("stderr")) || weir_str_eq(text, WEIR_STR("stdout"));
    if (!stream && !is_path(text, WEIR_ACCESS_LOG_MAX)) {
        return false;
    }
    memcpy(ret_where, text.p, text.len);
    ret_where[text.len] = '\0';
    return true;
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
    } else if (strcmp(field, "admin_listen") == 0) {
        ok = parse_listen(text, &config->admin_listen);
        config->has_admin = ok;
        expected = "ADDRESS:PORT with a numeric address, as 127.0.0.1:9090 or \"[::1]:9090\"";
    } else if (strcmp(field, "store") == 0) {
        ok = weir_parse_store(text, config);
        expected = "embedded, redis://[[user]:password@]host[:port][/db], "
                   "redis+unix://[[user]:password@]/path[?db=N], "
                   "redis+cluster://host[:port],... or redis+sentinel://host[:port],.../service";
    } else if (strcmp(field, "mode") == 0) {
        ok = parse_mode(text, &config->mode);
        expected = "lease or exact";
    } else if (strcmp(field, "token_data") == 0) {
        ok = parse_token_data(text, config->token_data);
        expected = "the path of a file, of 1 to 1023 bytes";
    } else if (strcmp(field, "access_log") == 0) {
        ok = parse_access_log(text, config->access_log);
        expected = "off, stderr, stdout or the path of a file, with a slash in it";
    } else if (strcmp(field, "registry") == 0) {
        ok = parse_registry(text, config->registry);
        expected = "off or the path of a file, of at most 1000 bytes, with a slash in it";
    } else {
        WEIR_ASSERT(strcmp(field, "on_store_failure") == 0);
        ok = parse_failure_policy(text, &config->on_store_failure);
        expected = "local, closed or open";
    }
    return ok ? WEIR_OK : weir_parse_fail(p, n, "%s: expected %s", n->name, expected);
}
