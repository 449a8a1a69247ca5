/* SPDX-License-Identifier: Apache-2.0 */
#include "loadgen/target.h"

#include <netdb.h>
#include <stdio.h>

/* What a name or a literal address is made of; the rest could end the Host field. */
static bool is_host(struct weir_str host)
{
    for (size_t i = 0; i < host.len; i++) {
        char c = host.p[i];
        if (!(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
            memchr("-._:", c, 4) == NULL) {
            return false;
        }
    }
    return host.len > 0 && host.len < NI_MAXHOST;
}

/* IPv4 first: that is where most test servers listen when they say localhost. */
static bool read_address(struct weir_str host, uint64_t port, struct sockaddr_storage *addr)
{
    bool six = host.len > 2 && host.p[0] == '[' && host.p[host.len - 1] == ']';
    if (six) {
        host = weir_str(host.p + 1, host.len - 2);
    }
    if (!is_host(host) || (!six && memchr(host.p, ':', host.len) != NULL)) {
        return false;
    }
    char name[NI_MAXHOST], service[8];
    memcpy(name, host.p, host.len);
    name[host.len] = '\0';
    snprintf(service, sizeof(service), "%u", (unsigned)port);
    struct addrinfo hints = {.ai_family = six ? AF_INET6 : AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    if (getaddrinfo(name, service, &hints, &found) != 0) {
        hints.ai_family = AF_INET6;
        if (six || getaddrinfo(name, service, &hints, &found) != 0) {
            return false;
        }
    }
    memcpy(addr, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return true;
}

bool weir_load_target_read(struct weir_str url, struct weir_load_target *ret_target)
{
    struct weir_load_target t = {.url = url};
    if (!weir_str_starts(url, WEIR_STR("http://"))) {
        return false;
    }
    t.authority = weir_str(url.p + 7, url.len - 7);
    if (t.authority.len > 0 && t.authority.p[t.authority.len - 1] == '/') {
        t.authority.len--;
    }
    const char *colon = t.authority.len > 0 ? memrchr(t.authority.p, ':', t.authority.len) : NULL;
    if (colon == NULL) {
        return false;
    }
    uint64_t port;
    struct weir_str host = weir_str(t.authority.p, (size_t)(colon - t.authority.p));
    struct weir_str number = weir_str(colon + 1, t.authority.len - host.len - 1);
    if (weir_str_u64(number, 65535, &port) != WEIR_OK || port == 0 ||
        !read_address(host, port, &t.addr)) {
        return false;
    }
    *ret_target = t;
    return true;
}
