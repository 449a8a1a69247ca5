/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/sketch.h"

#include "base/err.h"

enum { HALVINGS_MAX = 63 };

void weir_sketch_init(struct weir_sketch *s, uint32_t places)
{
    WEIR_ASSERT(places > 0 && places <= WEIR_SKETCH_PLACES_MAX);
    *s = (struct weir_sketch){.places = places};
    for (uint32_t i = 0; i < places; i++) {
        s->place[i]._at = (uint8_t)i;
        s->_heap[i].place = i;
    }
}

static uint8_t *bucket_of(struct weir_sketch *s, const uint64_t id[static 2])
{
    return &s->_bucket[id[0] % sizeof(s->_bucket)];
}

unsigned weir_sketch_find(const struct weir_sketch *s, const uint64_t id[static 2])
{
    uint8_t next = s->_bucket[id[0] % sizeof(s->_bucket)];
    while (next != 0) {
        const struct weir_sketch_place *p = &s->place[next - 1];
        if (p->id[0] == id[0] && p->id[1] == id[1]) {
            return next - 1U;
        }
        next = p->_next;
    }
    return WEIR_SKETCH_NONE;
}

static void unlink_place(struct weir_sketch *s, unsigned i)
{
    uint8_t *link = bucket_of(s, s->place[i].id);
    while (*link != i + 1) {
        link = &s->place[*link - 1]._next;
    }
    *link = s->place[i]._next;
}

/* The place with the lowest count, for this id from now on. */
static unsigned take_over(struct weir_sketch *s, const uint64_t id[static 2])
{
    unsigned i = s->_heap[0].place;
    struct weir_sketch_place *p = &s->place[i];
    if (s->_heap[0].count > 0) {
        unlink_place(s, i);
    }
    uint8_t *first = bucket_of(s, id);
    p->id[0] = id[0];
    p->id[1] = id[1];
    p->sure = 0;
    p->_next = *first;
    *first = (uint8_t)(i + 1);
    return i;
}

/* The count at this point of the heap grew: it goes down to where it belongs. */
static void sink(struct weir_sketch *s, uint32_t at)
{
    const struct weir_sketch_node grown = s->_heap[at];
    for (uint32_t child; (child = 2 * at + 1) < s->places; at = child) {
        uint32_t other = child + (child + 1 < s->places); /* no branch: either is as likely */
        child += s->_heap[other].count < s->_heap[child].count;
        if (grown.count <= s->_heap[child].count) {
            break;
        }
        s->_heap[at] = s->_heap[child];
        s->place[s->_heap[at].place]._at = (uint8_t)at;
    }
    s->_heap[at] = grown;
    s->place[grown.place]._at = (uint8_t)at;
}

unsigned weir_sketch_add(struct weir_sketch *s, const uint64_t id[static 2], bool *ret_new)
{
    unsigned i = weir_sketch_find(s, id);
    *ret_new = i == WEIR_SKETCH_NONE;
    if (*ret_new) {
        i = take_over(s, id);
    }
    struct weir_sketch_place *p = &s->place[i];
    p->sure += WEIR_SKETCH_ONE;
    s->_heap[p->_at].count += WEIR_SKETCH_ONE;
    sink(s, p->_at);
    return i;
}

uint64_t weir_sketch_decayed_sure(uint64_t sure, uint32_t halvings)
{
    return sure >> (halvings < HALVINGS_MAX ? halvings : HALVINGS_MAX);
}

/* Rounded up: a count is never too low, and one that is used is never 0. */
uint64_t weir_sketch_decayed_count(uint64_t count, uint32_t halvings)
{
    uint32_t k = halvings < HALVINGS_MAX ? halvings : HALVINGS_MAX;
    return (count >> k) + ((count & ((UINT64_C(1) << k) - 1)) != 0);
}

/* Halving keeps the order of counts, and so the heap. */
void weir_sketch_decay(struct weir_sketch *s, uint32_t halvings)
{
    for (uint32_t i = 0; i < s->places; i++) {
        s->place[i].sure = weir_sketch_decayed_sure(s->place[i].sure, halvings);
        s->_heap[i].count = weir_sketch_decayed_count(s->_heap[i].count, halvings);
    }
}
