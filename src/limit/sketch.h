/* SPDX-License-Identifier: Apache-2.0 */
/* sketch.h - who comes most often, of any number of ids in a fixed number of places: the
 * space-saving sketch (Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k
 * Elements in Data Streams, ICDT 2005), with decay. An id without a place takes that of the lowest
 * count and goes on from that count. So, with n the sum of all weights that were added:
 *   - a count is never less than the id's true weight, and too high by n / places at most;
 *   - `sure`, what was added since the id has its place, is never more than its true weight;
 *   - whoever has more than n / places has a place.
 * Decay halves weights, counts and n alike; with its rounding these bounds are wider by
 * 4 / WEIR_SKETCH_ONE at most.
 * Pure: no I/O, no clock, no allocation. O(log places) an id. */
#ifndef WEIR_LIMIT_SKETCH_H
#define WEIR_LIMIT_SKETCH_H

#include <stdbool.h>
#include <stdint.h>

enum { WEIR_SKETCH_PLACES_MAX = 128, WEIR_SKETCH_NONE = WEIR_SKETCH_PLACES_MAX };

#define WEIR_SKETCH_ONE (UINT64_C(1) << 16) /* the weight of one coming */

struct weir_sketch_place {
    uint64_t id[2];
    uint64_t sure;
    uint8_t _at;   /* in the heap */
    uint8_t _next; /* of its bucket's places, + 1; 0: none */
};

struct weir_sketch {
    uint32_t places;
    struct weir_sketch_place place[WEIR_SKETCH_PLACES_MAX];
    struct weir_sketch_node {
        uint64_t count; /* 0: never used */
        uint32_t place;
    } _heap[WEIR_SKETCH_PLACES_MAX]; /* no count is above those of its children 2 i + 1, 2 i + 2 */
    uint8_t
        _bucket[2 * WEIR_SKETCH_PLACES_MAX]; /* by the low bits of an id: the first place, + 1 */
};

/* places: 1 to WEIR_SKETCH_PLACES_MAX. */
void weir_sketch_init(struct weir_sketch *s, uint32_t places);
/* The id, 128 random bits, came once more: its place. *ret_new: it was not its place before. */
unsigned weir_sketch_add(struct weir_sketch *s, const uint64_t id[static 2], bool *ret_new);
/* The place of an id, or WEIR_SKETCH_NONE. */
unsigned weir_sketch_find(const struct weir_sketch *s, const uint64_t id[static 2]);
/* Halves every weight so many times. */
void weir_sketch_decay(struct weir_sketch *s, uint32_t halvings);
/* What weir_sketch_decay would leave of a `sure`, and of a count. */
uint64_t weir_sketch_decayed_sure(uint64_t sure, uint32_t halvings);
uint64_t weir_sketch_decayed_count(uint64_t count, uint32_t halvings);

/* 0: the place was never used. */
static inline uint64_t weir_sketch_count(const struct weir_sketch *s, unsigned place)
{
    return s->_heap[s->place[place]._at].count;
}

/* The lowest count: an id without a place has no more weight than that. */
static inline uint64_t weir_sketch_least(const struct weir_sketch *s)
{
    return s->_heap[0].count;
}

#endif
