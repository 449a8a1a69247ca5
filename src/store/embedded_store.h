/* SPDX-License-Identifier: Apache-2.0 */
/* embedded_store.h - a worker's handle on the embedded table: the store of one machine alone.
 * Answers at once; its time is CLOCK_BOOTTIME. */
#ifndef WEIR_STORE_EMBEDDED_STORE_H
#define WEIR_STORE_EMBEDDED_STORE_H

#include "store/embedded/embedded.h"
#include "store/settled.h"
#include "store/store.h"

/* `epoch`: random, names the table's state; reservations of another one are expired. table and
 * settled outlive the handle. */
WEIR_MUSTCHECK enum weir_err weir_embedded_store_open(struct weir_embedded *table,
                                                      struct weir_settled *settled, uint64_t epoch,
                                                      struct weir_store **ret_store);

/* Settles a reservation that was taken from the table under this epoch, at now_us. For every handle
 * that has the table: this one and the local share of the Redis store. */
enum weir_settle_result weir_embedded_settle_call(struct weir_embedded *table,
                                                  struct weir_settled *settled,
                                                  const struct weir_settle *settle, uint64_t now_us,
                                                  struct weir_store_stats *stats);

#endif
