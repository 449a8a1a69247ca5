/* SPDX-License-Identifier: Apache-2.0 */
/* open.h - the store that the configuration names. */
#ifndef WEIR_STORE_OPEN_H
#define WEIR_STORE_OPEN_H

#include <stddef.h>

#include "config/config.h"
#include "net/loop.h"
#include "store/store.h"

/* What the workers of one process share: the embedded table (the store itself, or the local record
 * of what this node was granted), settled reservations, the epoch. Thread-safe. */
struct weir_store_shared;

WEIR_MUSTCHECK enum weir_err weir_store_shared_new(const struct weir_config *config,
                                                   struct weir_store_shared **ret_shared);
/* After all handles are closed. NULL is allowed. */
/* A configuration is about to be in force: its subjects get their places, as far as there is room.
 * Workers may charge meanwhile. */
WEIR_MUSTCHECK enum weir_err weir_store_shared_prepare(struct weir_store_shared *shared,
                                                       const struct weir_config *next);
/* It is: those of the one before that it does not have lose theirs. */
void weir_store_shared_follow(struct weir_store_shared *shared, const struct weir_config *before,
                              const struct weir_config *now);
void weir_store_shared_free(struct weir_store_shared *shared);

/* A worker's handle, on its loop. config and shared outlive it. */
WEIR_MUSTCHECK enum weir_err weir_store_open(const struct weir_config *config,
                                             struct weir_loop *loop,
                                             struct weir_store_shared *shared,
                                             struct weir_store **ret_store);

/* Once, before serving: WEIR_ERR_INVALID and a sentence in *ret_text for a store that must not be
 * used (an eviction policy, wrong credentials, an unusable version). A store out of reach is no
 * error: nodes start without it. Blocks for at most three connect time-outs and the pauses between
 * them, or as long as the system takes to find out that it cannot resolve a name. */
WEIR_MUSTCHECK enum weir_err weir_store_check(const struct weir_config *config, char *ret_text,
                                              size_t text_size);

#endif
