/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - one stripe of the embedded store: a hash table of subjects with their packed values in
 * one block of memory each, and a heap that finds idle subjects. Its users hold the stripe's lock;
 * private to this folder. */
#ifndef WEIR_STORE_EMBEDDED_TABLE_H
#define WEIR_STORE_EMBEDDED_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "limit/window.h"

/* A subject: its value's bytes follow the head. */
struct node {
    uint64_t id[2];
    uint32_t len;
    uint32_t room;
    bool reserved; /* never evicted */
    uint8_t data[];
};

struct slot {
    uint64_t id0;
    struct node *node; /* NULL: free */
};

/* A subject is not idle before this; found by id because nodes move when they grow. */
struct idle_entry {
    uint64_t not_before_us;
    uint64_t id[2];
};

struct stripe {
    _Alignas(64) atomic_flag lock;
    uint32_t slots; /* a power of two, or 0 */
    uint32_t used;
    struct slot *slot;
    uint32_t heap_room, heap_len;
    struct idle_entry *heap;
    uint64_t bytes;
};

void stripe_lock(struct stripe *s);
static inline void stripe_unlock(struct stripe *s)
{
    atomic_flag_clear_explicit(&s->lock, memory_order_release);
}

void stripe_deinit(struct stripe *s);

/* The subject's slot, or NULL. Valid until the next call that changes the stripe. */
struct slot *stripe_find(const struct stripe *s, const uint64_t id[static 2]);
/* A new subject with an empty value; it is not there yet. NULL: no memory. */
struct slot *stripe_insert(struct stripe *s, const uint64_t id[static 2], bool reserved,
                           uint64_t now_us);
/* Gives the slot's node at least `room` bytes for its value. False: no memory, nothing changed. */
bool stripe_grow(struct stripe *s, struct slot *slot, uint32_t room);
/* Frees one subject that holds nothing at now_us. False: there is none. A subject that was emptied
 * by a settlement alone counts as idle once its charge would have left. */
bool stripe_evict_idle(struct stripe *s, uint64_t now_us);

static inline struct weir_value node_value(struct node *n)
{
    return (struct weir_value){n->data, n->len, n->room};
}

#endif
