/* SPDX-License-Identifier: Apache-2.0 */
/* redis_store.h - the store in Redis, exact: each decision is one round trip of one script, on one
 * pipelined connection for each worker. What Redis grants is written down in the table of this
 * process as well: while Redis is out of reach, `local` decides from it, with the node's fair share
 * as capacities. Private to store. */
#ifndef WEIR_STORE_REDIS_STORE_H
#define WEIR_STORE_REDIS_STORE_H

#include "config/config.h"
#include "net/loop.h"
#include "store/shared.h"

/* config and shared outlive it. */
WEIR_MUSTCHECK enum weir_err weir_redis_store_open(const struct weir_config *config,
                                                   struct weir_loop *loop,
                                                   struct weir_store_shared *shared,
                                                   struct weir_store **ret_store);

/* weir_store_check for Redis. */
WEIR_MUSTCHECK enum weir_err weir_redis_store_check(const struct weir_config *config,
                                                    char *ret_text, size_t text_size);

#endif
