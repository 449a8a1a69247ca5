/* SPDX-License-Identifier: Apache-2.0 */
/* block.h - reading and writing one packed window (see window.h for the bytes). Private to limit.
 * Loads touch 8 bytes, so a buffer keeps WEIR_VALUE_SLACK bytes behind its value. */
#ifndef WEIR_LIMIT_BLOCK_H
#define WEIR_LIMIT_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "limit/window.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "packed windows are little-endian");
_Static_assert(WEIR_METERS <= 6, "the meter mask of a block has 6 bits");

enum {
    BLOCK_STEP = 4,
    BLOCK_RING_ROOM = 9,
    BLOCK_RING_HEAD = 10,
    BLOCK_RING_COUNT = 11,
    STEP_BYTES = 5,
    CLASS_BITS = 3,
};

static inline uint64_t load_bytes(const uint8_t *p, unsigned bytes)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v & (UINT64_MAX >> (64 - 8 * bytes));
}

/* Writes just these bytes and reads none: a read across what was stored a moment ago would have to
 * wait for it. bytes: 1, 2, 3, 4, 5 or 7. */
static inline void store_bytes(uint8_t *p, unsigned bytes, uint64_t value)
{
    if (bytes >= 4) {
        memcpy(p, &value, 4);
        p += 4;
        bytes -= 4;
        value >>= 32;
    }
    if (bytes >= 2) {
        memcpy(p, &value, 2);
        p += 2;
        bytes -= 2;
        value >>= 16;
    }
    if (bytes == 1) {
        *p = (uint8_t)value;
    }
}

static inline uint32_t block_tag(const uint8_t *b)
{
    uint32_t tag;
    memcpy(&tag, b, sizeof(tag));
    return tag & ~(uint32_t)CLASS_BITS;
}

static inline unsigned block_class(const uint8_t *b)
{
    return b[0] & CLASS_BITS;
}

static inline uint64_t block_step(const uint8_t *b)
{
    return load_bytes(b + BLOCK_STEP, STEP_BYTES);
}

static inline const struct weir_layout *block_layout(const uint8_t *b,
                                                     const struct weir_window_spec *w)
{
    return &w->layout[block_class(b)];
}

static inline uint32_t block_bytes(const uint8_t *b, const struct weir_layout *l)
{
    return l->ring + (uint32_t)b[BLOCK_RING_ROOM] * l->entry_bytes;
}

static inline uint64_t block_sum(const uint8_t *b, const struct weir_layout *l, unsigned i)
{
    return load_bytes(b + l->sum[i], l->sum_bytes[i]);
}

static inline uint64_t block_current(const uint8_t *b, const struct weir_layout *l, unsigned i)
{
    return load_bytes(b + l->current[i], l->amount_bytes[i]);
}

/* The i-th closed entry, the oldest first. */
static inline uint32_t ring_offset(const uint8_t *b, const struct weir_layout *l, unsigned i)
{
    unsigned at = b[BLOCK_RING_HEAD] + i;
    if (at >= b[BLOCK_RING_ROOM]) {
        at -= b[BLOCK_RING_ROOM];
    }
    return l->ring + at * l->entry_bytes;
}

/* The whole step number of an entry of the block: at most 255 before the current one. */
static inline uint64_t entry_step(const uint8_t *entry, uint64_t current_step)
{
    return current_step - (uint8_t)((uint8_t)current_step - entry[0]);
}

/* The moment an entry of this step leaves. */
static inline uint64_t leaves_at_us(const struct weir_window_spec *w, uint64_t step)
{
    return (step + 1) * w->step_us + w->keep_us;
}

static inline unsigned class_of_amount(uint64_t amount, enum weir_meter meter)
{
    return amount >> (meter == WEIR_METER_REQUESTS ? 8 : 16) == 0 ? 0 : amount >> 32 == 0 ? 1 : 2;
}

static inline unsigned class_of_sum(uint64_t sum, enum weir_meter meter)
{
    return sum >> (meter == WEIR_METER_REQUESTS ? 16 : 24) == 0 ? 0 : sum >> 40 == 0 ? 1 : 2;
}

/* One window, unpacked: the slow paths work on this and pack it again. */
struct block_entry {
    uint64_t step;
    uint64_t amount[WEIR_METERS]; /* by enum weir_meter */
};

struct block_full {
    uint64_t step;
    uint64_t sum[WEIR_METERS];
    uint64_t current[WEIR_METERS];
    unsigned count;
    struct block_entry entry[WEIR_RING_MAX];
};

/* Where the fields stand for a mask, without a plan. */
void weir_layout_of_mask(unsigned mask, unsigned width_class, struct weir_layout *ret_layout,
                         uint8_t ret_meter[static WEIR_METERS], unsigned *ret_meters);
void weir_block_unpack(const uint8_t *b, const struct weir_layout *l, const uint8_t *meter,
                       unsigned meters, struct block_full *ret_full);
/* Writes the block with a ring of `ring_room` entries at b; at least the bytes that block_bytes
 * then says, plus the slack, must be there. */
void weir_block_pack(uint8_t *b, const struct weir_window_spec *w, unsigned width_class,
                     unsigned ring_room, const struct block_full *full);
/* The lowest class that holds all of it. */
unsigned weir_block_class_needed(const struct block_full *full, const struct weir_window_spec *w);
/* Lets the entries go that have left by now_us. The value may become shorter. */
void weir_block_expire(struct weir_value *v, uint8_t *b, const struct weir_window_spec *w,
                       uint64_t now_us);
/* When the newest amount of the block leaves; 0 when it holds none. */
uint64_t weir_block_idle_at_us(const uint8_t *b, const struct weir_window_spec *w);
/* Makes the blocks those of the plan (window.h, the last rule). 0, or the room needed first. */
uint32_t weir_value_adopt(struct weir_value *v, const struct weir_plan *plan, uint64_t now_us);

#endif
