/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - one stripe of the embedded store: a hash table of subjects with their packed
 * values, and a heap that finds idle subjects. Its users hold the stripe's lock;
 * private to this folder. */
#ifndef WEIR_STORE_EMBEDDED_TABLE_H
#define WEIR_STORE_EMBEDDED_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "limit/window.h"

enum {
    ENTRY_BYTES = 128,
    ENTRY_NEAR = ENTRY_BYTES - 29, /* a plan of three meters in one window: eleven closed entries */
};

/* A subject with its packed value: near, in the entry itself, while it is small, so that a quiet
 * subject costs one visit to memory; far, in a block of its own, when it has grown. */
struct entry {
    uint64_t id[2];
    uint8_t *far; /* NULL: the value is near */
    uint16_t len;
    uint16_t room; /* of far */
    bool used : 1;
    bool reserved : 1; /* never evicted */
    uint8_t near[ENTRY_NEAR];
};

_Static_assert(sizeof(struct entry) == ENTRY_BYTES, "two cache lines");
_Static_assert(WEIR_VALUE_MAX + 2 * WEIR_VALUE_SLACK <= UINT16_MAX, "len and room fit");

/* A subject is not idle before this; found by id because entries move. */
struct idle_entry {
    uint64_t not_before_us;
    uint64_t id[2];
};

struct stripe {
    _Alignas(64) atomic_flag lock;
    uint32_t slots;
    uint32_t used;
    struct entry *entry; /* slots of them, by hash with linear probing */
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

/* The subject's entry, or NULL. Valid until the next insert or eviction. */
struct entry *stripe_find(const struct stripe *s, const uint64_t id[static 2]);
/* A new subject with an empty value; it is not there yet. NULL: no memory. */
struct entry *stripe_insert(struct stripe *s, const uint64_t id[static 2], bool reserved,
                            uint64_t now_us);
/* The entry may go when it is idle. Without memory it stays reserved. */
void stripe_release(struct stripe *s, struct entry *e);
/* Gives the entry's value at least `room` bytes. False: no memory, nothing changed. */
bool stripe_grow(struct stripe *s, struct entry *e, uint32_t room);
/* Takes over the value's length after a change, and moves a value near again that has become small.
 */
void stripe_set_len(struct stripe *s, struct entry *e, uint32_t len);
/* Frees one subject that holds nothing at now_us. False: there is none. A subject that was emptied
 * by a settlement alone counts as idle once its charge would have left. */
bool stripe_evict_idle(struct stripe *s, uint64_t now_us);

static inline struct weir_value entry_value(struct entry *e)
{
    return e->far == NULL ? (struct weir_value){e->near, e->len, ENTRY_NEAR}
                          : (struct weir_value){e->far, e->len, e->room};
}

#endif
