/* SPDX-License-Identifier: Apache-2.0 */
#include "store/embedded/table.h"

#include <sched.h>

#include "base/mem.h"

enum {
    SLOTS_MIN = 16,
    SPINS_BEFORE_YIELD = 256,
    ROOM_ALIGN = 16, /* what malloc rounds to anyhow */
    GROW_SPARE = 8,  /* an eighth more than asked for: fewer moves */
};

void stripe_lock(struct stripe *s)
{
    for (unsigned spins = 0; atomic_flag_test_and_set_explicit(&s->lock, memory_order_acquire);) {
        if (++spins == SPINS_BEFORE_YIELD) {
            spins = 0;
            sched_yield(); /* the holder may have lost its core */
        }
    }
}

void stripe_deinit(struct stripe *s)
{
    for (uint32_t i = 0; i < s->slots; i++) {
        weir_free(s->slot[i].node);
    }
    weir_free(s->slot);
    weir_free(s->heap);
}

struct slot *stripe_find(const struct stripe *s, const uint64_t id[static 2])
{
    if (s->slots == 0) {
        return NULL;
    }
    uint32_t mask = s->slots - 1;
    for (uint32_t i = (uint32_t)id[0] & mask; s->slot[i].node != NULL; i = (i + 1) & mask) {
        if (s->slot[i].id0 == id[0] && s->slot[i].node->id[1] == id[1]) {
            return &s->slot[i];
        }
    }
    return NULL;
}

static struct slot *free_slot(struct slot *slot, uint32_t slots, uint64_t id0)
{
    uint32_t i = (uint32_t)id0 & (slots - 1);
    while (slot[i].node != NULL) {
        i = (i + 1) & (slots - 1);
    }
    return &slot[i];
}

/* Keeps the table at most three quarters full. */
static bool slots_make_room(struct stripe *s)
{
    if (s->slots > 0 && s->used < s->slots / 4 * 3) {
        return true;
    }
    uint32_t slots = s->slots == 0 ? SLOTS_MIN : s->slots * 2;
    struct slot *fresh = weir_zalloc_array(slots, sizeof(*fresh));
    if (fresh == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < s->slots; i++) {
        if (s->slot[i].node != NULL) {
            *free_slot(fresh, slots, s->slot[i].id0) = s->slot[i];
        }
    }
    weir_free(s->slot);
    s->bytes += (slots - s->slots) * sizeof(*fresh);
    s->slot = fresh;
    s->slots = slots;
    return true;
}

static bool heap_make_room(struct stripe *s)
{
    if (s->heap_len < s->heap_room) {
        return true;
    }
    uint32_t room = s->heap_room == 0 ? SLOTS_MIN : s->heap_room + s->heap_room / 2;
    struct idle_entry *heap = weir_realloc(s->heap, room * sizeof(*heap));
    if (heap == NULL) {
        return false;
    }
    s->bytes += (room - s->heap_room) * sizeof(*heap);
    s->heap = heap;
    s->heap_room = room;
    return true;
}

static void heap_push(struct stripe *s, struct idle_entry entry)
{
    uint32_t i = s->heap_len++;
    for (uint32_t up; i > 0 && s->heap[up = (i - 1) / 2].not_before_us > entry.not_before_us;
         i = up) {
        s->heap[i] = s->heap[up];
    }
    s->heap[i] = entry;
}

/* Puts `entry` in the place of the first one. */
static void heap_replace_first(struct stripe *s, struct idle_entry entry)
{
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= s->heap_len) {
            break;
        }
        if (child + 1 < s->heap_len &&
            s->heap[child + 1].not_before_us < s->heap[child].not_before_us) {
            child++;
        }
        if (s->heap[child].not_before_us >= entry.not_before_us) {
            break;
        }
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = entry;
}

struct slot *stripe_insert(struct stripe *s, const uint64_t id[static 2], bool reserved,
                           uint64_t now_us)
{
    if (!slots_make_room(s) || (!reserved && !heap_make_room(s))) {
        return NULL;
    }
    struct node *node = weir_zalloc(sizeof(*node));
    if (node == NULL) {
        return NULL;
    }
    node->id[0] = id[0];
    node->id[1] = id[1];
    node->reserved = reserved;
    if (!reserved) {
        heap_push(s, (struct idle_entry){now_us, {id[0], id[1]}});
    }
    struct slot *slot = free_slot(s->slot, s->slots, id[0]);
    *slot = (struct slot){id[0], node};
    s->used++;
    s->bytes += sizeof(*node);
    return slot;
}

bool stripe_grow(struct stripe *s, struct slot *slot, uint32_t room)
{
    uint32_t head = sizeof(struct node);
    uint32_t old = slot->node->room;
    room += room / GROW_SPARE;
    room = (head + room + ROOM_ALIGN - 1) / ROOM_ALIGN * ROOM_ALIGN - head;
    struct node *node = weir_realloc(slot->node, head + room);
    if (node == NULL) {
        return false;
    }
    memset(node->data + old, 0, room - old);
    node->room = room;
    slot->node = node;
    s->bytes += room - old;
    return true;
}

/* Frees the slot and moves back what had to give way to it, so that no mark stays behind. */
static void slot_remove(struct stripe *s, struct slot *slot)
{
    uint32_t mask = s->slots - 1;
    uint32_t hole = (uint32_t)(slot - s->slot);
    s->bytes -= sizeof(*slot->node) + slot->node->room;
    weir_free(slot->node);
    for (uint32_t i = (hole + 1) & mask; s->slot[i].node != NULL; i = (i + 1) & mask) {
        uint32_t home = (uint32_t)s->slot[i].id0 & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            s->slot[hole] = s->slot[i];
            hole = i;
        }
    }
    s->slot[hole] = (struct slot){0};
    s->used--;
}

bool stripe_evict_idle(struct stripe *s, uint64_t now_us)
{
    while (s->heap_len > 0 && s->heap[0].not_before_us <= now_us) {
        struct idle_entry first = s->heap[0];
        struct slot *slot = stripe_find(s, first.id);
        WEIR_ASSERT(slot != NULL);
        struct weir_value v = node_value(slot->node);
        uint64_t idle_us = weir_value_idle_at_us(&v);
        if (idle_us > now_us) { /* it was used since: put it where it belongs */
            first.not_before_us = idle_us;
            heap_replace_first(s, first);
            continue;
        }
        slot_remove(s, slot);
        s->heap_len--;
        heap_replace_first(s, s->heap[s->heap_len]);
        return true;
    }
    return false;
}
