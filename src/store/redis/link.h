/* SPDX-License-Identifier: Apache-2.0 */
/* link.h - one try to reach a server: resolves its name, connects, agrees on TLS where that is
 * wanted, carries bytes both ways. Private to redis; everything belongs to the loop's thread. */
#ifndef WEIR_STORE_REDIS_LINK_H
#define WEIR_STORE_REDIS_LINK_H

#include "store/redis/conn.h"
#include "store/redis/tls.h"

struct redis_link;

/* Each may close the link. After on_broken it does nothing but wait for that. */
struct redis_link_owner {
    void *ctx;
    void (*on_open)(void *ctx); /* bytes may be written */
    void (*on_bytes)(void *ctx, const char *bytes, size_t len);
    void (*on_writable)(void *ctx); /* it was busy, and is not any more */
    void (*on_broken)(void *ctx, enum weir_redis_why why, const char *text);
};

/* target and tls (NULL: in clear) outlive it. `address` chooses one of those that a name has. NULL
 * and *ret_link, or why it cannot be tried. */
WEIR_MUSTCHECK const char *redis_link_open(struct weir_loop *loop,
                                           const struct weir_redis_target *target,
                                           const struct weir_redis_tls *tls, uint32_t address,
                                           const struct redis_link_owner *owner,
                                           struct redis_link **ret_link);
/* NULL is allowed. No further callbacks; its memory goes when libuv lets it. */
void redis_link_close(struct redis_link *l);

/* It may still have to agree on TLS. */
bool redis_link_is_connected(const struct redis_link *l);
/* The kernel's buffer is full and bytes wait for it: nothing may be written. */
bool redis_link_busy(const struct redis_link *l);
/* Not when busy. Takes *ret_taken of the bytes, at least one. NULL, or why it is broken. */
WEIR_MUSTCHECK const char *redis_link_write(struct redis_link *l, const char *bytes, size_t len,
                                            size_t *ret_taken);

#endif
