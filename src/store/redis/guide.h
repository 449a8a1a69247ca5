/* SPDX-License-Identifier: Apache-2.0 */
/* guide.h - asks one of several servers who serves which slot: the nodes of a cluster for its map,
 * Sentinels for their service's primary. One question at a time, on a connection of its own, which
 * goes with the answer. Private to redis; everything belongs to the loop's thread. */
#ifndef WEIR_STORE_REDIS_GUIDE_H
#define WEIR_STORE_REDIS_GUIDE_H

#include "store/redis/conn.h"
#include "store/redis/slots.h"

/* No question is under way any more when one of these is called. */
struct weir_redis_guide_owner {
    void *ctx;
    /* Valid during the call. */
    void (*on_map)(void *ctx, const struct weir_redis_map *map);
    /* None of them has answered. `text`: what follows on "Redis", without secrets. */
    void (*on_failed)(void *ctx, enum weir_redis_why why, const char *text);
};

struct weir_redis_guide;

/* config and tls outlive it. */
WEIR_MUSTCHECK enum weir_err weir_redis_guide_new(struct weir_loop *loop,
                                                  const struct weir_config *config,
                                                  const struct weir_redis_tls *tls,
                                                  const struct weir_redis_guide_owner *owner,
                                                  struct weir_redis_guide **ret_guide);
/* Also while a question is under way: no callback follows. NULL is allowed. */
void weir_redis_guide_free(struct weir_redis_guide *guide);

bool weir_redis_guide_asks(const struct weir_redis_guide *guide);
/* Not while it asks. `known` are servers beside those of the URL, of a cluster: the URL's may be
 * gone for years. */
void weir_redis_guide_ask(struct weir_redis_guide *guide, const struct weir_redis_host *known,
                          unsigned count);

/* "at HOST:PORT TEXT", or the path of a socket. */
void weir_redis_say_where(const struct weir_redis_target *target, const char *text, char *ret_text,
                          size_t room);

#endif
