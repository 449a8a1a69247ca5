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

static bool parse_failure_policy(struct weir_str text, enum weir_on_store_failure *ret_policy)
{
    static const struct weir_str names[] = {{"local", 5}, {"closed", 6}, {"open", 4}};
    for (unsigned i = 0; i < 3; i++) {
        if (weir_str_eq(text, names[i])) {
            *ret_policy = (enum weir_on_store_failure)i;
            return true;
        }
    }
    return false;
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
        ok = weir_parse_store(text, config);
        expected = "embedded, redis://[[user]:password@]host[:port][/db], "
                   "redis+unix://[[user]:password@]/path[?db=N], "
                   "redis+cluster://host[:port],... or redis+sentinel://host[:port],.../service";
    } else {
        WEIR_ASSERT(strcmp(field, "on_store_failure") == 0);
        ok = parse_failure_policy(text, &config->on_store_failure);
        expected = "local, closed or open";
    }
    return ok ? WEIR_OK : weir_parse_fail(p, n, "%s: expected %s", n->name, expected);
}
