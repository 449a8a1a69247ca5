/* SPDX-License-Identifier: Apache-2.0 */
#include "store/embedded/table.h"

#include <sched.h>

#include "base/mem.h"

enum {
    SLOTS_MIN = 4,
    HEAP_MIN = 16,
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
        weir_free(s->entry[i].far);
    }
    weir_free(s->entry);
    weir_free(s->heap);
}

/* Where a subject belongs. Any number of slots, so that the table grows by small steps. */
static uint32_t home_of(uint64_t id0, uint32_t slots)
{
    return (uint32_t)((id0 >> 32) * slots >> 32);
}

static uint32_t next_of(uint32_t i, uint32_t slots)
{
    return i + 1 == slots ? 0 : i + 1;
}

struct entry *stripe_find(const struct stripe *s, const uint64_t id[static 2])
{
    if (s->slots == 0) {
        return NULL;
    }
    uint32_t i = home_of(id[0], s->slots);
    __builtin_prefetch((const char *)&s->entry[i] + ENTRY_BYTES / 2);
    for (; s->entry[i].used; i = next_of(i, s->slots)) {
        if (s->entry[i].id[0] == id[0] && s->entry[i].id[1] == id[1]) {
            return &s->entry[i];
        }
    }
    return NULL;
}

static struct entry *free_entry(struct entry *entry, uint32_t slots, uint64_t id0)
{
    uint32_t i = home_of(id0, slots);
    while (entry[i].used) {
        i = next_of(i, slots);
    }
    return &entry[i];
}

/* Keeps the table at most two thirds full. */
static bool entries_make_room(struct stripe *s)
{
    if (s->used + 1 <= (uint64_t)s->slots * 2 / 3) {
        return true;
    }
    uint32_t slots = s->slots + s->slots / 4 + SLOTS_MIN;
    struct entry *fresh = weir_zalloc_aligned(ENTRY_BYTES, slots * sizeof(*fresh));
    if (fresh == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < s->slots; i++) {
        if (s->entry[i].used) {
            *free_entry(fresh, slots, s->entry[i].id[0]) = s->entry[i];
        }
    }
    weir_free(s->entry);
    s->bytes += (slots - s->slots) * sizeof(*fresh);
    s->entry = fresh;
    s->slots = slots;
    return true;
}

static bool heap_make_room(struct stripe *s)
{
    if (s->heap_len < s->heap_room) {
        return true;
    }
    uint32_t room = s->heap_room == 0 ? HEAP_MIN : s->heap_room + s->heap_room / 2;
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

struct entry *stripe_insert(struct stripe *s, const uint64_t id[static 2], bool reserved,
                            uint64_t now_us)
{
    if (!entries_make_room(s) || (!reserved && !heap_make_room(s))) {
        return NULL;
    }
    if (!reserved) {
        heap_push(s, (struct idle_entry){now_us, {id[0], id[1]}});
    }
    struct entry *e = free_entry(s->entry, s->slots, id[0]);
    *e = (struct entry){.id = {id[0], id[1]}, .used = true, .reserved = reserved};
    s->used++;
    return e;
}

void stripe_release(struct stripe *s, struct entry *e)
{
    if (e->reserved && heap_make_room(s)) { /* else it keeps its place */
        heap_push(s, (struct idle_entry){0, {e->id[0], e->id[1]}});
        e->reserved = false;
    }
}

bool stripe_grow(struct stripe *s, struct entry *e, uint32_t room)
{
    room = (room + room / GROW_SPARE + ROOM_ALIGN - 1) / ROOM_ALIGN * ROOM_ALIGN;
    uint8_t *far = weir_realloc(e->far, room);
    if (far == NULL) {
        return false;
    }
    if (e->far == NULL) {
        memcpy(far, e->near, ENTRY_NEAR);
    }
    s->bytes += room - e->room;
    e->far = far;
    e->room = (uint16_t)room;
    return true;
}

static void drop_far(struct stripe *s, struct entry *e)
{
    s->bytes -= e->room;
    weir_free(e->far);
    e->far = NULL;
    e->room = 0;
}

void stripe_set_len(struct stripe *s, struct entry *e, uint32_t len)
{
    e->len = (uint16_t)len;
    if (e->far != NULL && len + WEIR_VALUE_SLACK <= ENTRY_NEAR) {
        memcpy(e->near, e->far, len);
        drop_far(s, e);
    }
}

/* Frees the entry and moves back what had to give way to it, so that no mark stays behind. */
static void entry_remove(struct stripe *s, struct entry *e)
{
    uint32_t hole = (uint32_t)(e - s->entry);
    drop_far(s, e);
    for (uint32_t i = next_of(hole, s->slots); s->entry[i].used; i = next_of(i, s->slots)) {
        uint32_t home = home_of(s->entry[i].id[0], s->slots);
        uint32_t from_home = i >= home ? i - home : i + s->slots - home;
        uint32_t from_hole = i >= hole ? i - hole : i + s->slots - hole;
        if (from_home >= from_hole) {
            s->entry[hole] = s->entry[i];
            hole = i;
        }
    }
    s->entry[hole] = (struct entry){0};
    s->used--;
}

bool stripe_evict_idle(struct stripe *s, uint64_t now_us)
{
    while (s->heap_len > 0 && s->heap[0].not_before_us <= now_us) {
        struct idle_entry first = s->heap[0];
        struct entry *e = stripe_find(s, first.id);
        WEIR_ASSERT(e != NULL);
        struct weir_value v = entry_value(e);
        uint64_t idle_us = weir_value_idle_at_us(&v);
        if (idle_us > now_us) { /* it was used since: put it where it belongs */
            first.not_before_us = idle_us;
            heap_replace_first(s, first);
            continue;
        }
        entry_remove(s, e);
        s->heap_len--;
        heap_replace_first(s, s->heap[s->heap_len]);
        return true;
    }
    return false;
}
