/* SPDX-License-Identifier: Apache-2.0 */
/* index.h - numbers of 64 bits to slots, which stay where they are: the owner keeps arrays beside
 * it. One owner. */
#ifndef WEIR_SIM_INDEX_H
#define WEIR_SIM_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define WEIR_SIM_NO_SLOT UINT32_MAX

struct weir_sim_link {
    uint64_t id;
    uint32_t next; /* in its bucket, or of those that were given up */
};

struct weir_sim_index {
    uint32_t slots; /* those below it are taken or were */
    uint32_t count;
    uint32_t _buckets, _room, _free; /* _free: the first of those that were given up */
    uint32_t *_bucket;
    struct weir_sim_link *_link;
};

/* Zeroed is empty. */
void weir_sim_index_deinit(struct weir_sim_index *x);
/* WEIR_SIM_NO_SLOT: it is not there. */
uint32_t weir_sim_index_find(const struct weir_sim_index *x, uint64_t id);
/* A slot for an id that is not there: one that was given up, or the next. WEIR_SIM_NO_SLOT: no
 * memory. */
uint32_t weir_sim_index_add(struct weir_sim_index *x, uint64_t id);
void weir_sim_index_remove(struct weir_sim_index *x, uint32_t slot);
uint64_t weir_sim_index_id(const struct weir_sim_index *x, uint32_t slot);
/* How many slots an owner's array needs room for; grows by doubling. */
uint32_t weir_sim_index_room(const struct weir_sim_index *x);

#endif
