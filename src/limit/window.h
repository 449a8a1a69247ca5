/* SPDX-License-Identifier: Apache-2.0 */
/* window.h - the packed windows of one subject: the same bytes in the embedded store, in the Redis
 * value (src/store/redis_take.lua edits them in place) and in tests. Pure: no I/O, no clock,
 * no allocation. One owner at a time. Times: microseconds of one non-decreasing clock; a time before
 * the value's current step counts as the start of that step.
 *
 * A value is one block per window of the plan, ascending by length; integers little-endian:
 *
 *   0  u8   shape: width class (bits 0-1), meter mask (bits 2-7)
 *   1  u24  W in seconds
 *   4  u40  step of the current entry: time / r, r = ceil(W / 128) in microseconds
 *   9  u8   capacity of the ring, in entries
 *   10 u8   head: index of the oldest closed entry
 *   11 u8   count of closed entries
 *   12      sums, one per meter of the mask, ascending
 *           amounts of the current entry, likewise
 *           the ring: `capacity` entries of {u8 step mod 256, amounts}
 *
 *   width class        0                  1    2
 *   amount   requests  1, other meters 2  4    7     bytes
 *   sum      requests  2, other meters 3  5    7
 *
 * sum = current + all closed entries, per meter. An entry of step s leaves when now >= (s+1) r + W
 * (+ retention). The rules, the same in C and in Lua so that both make the same bytes:
 *   - a charge whose step is new closes the current entry into the ring, unless all its amounts are 0;
 *   - a ring without room grows to n + 1 + (n + 1) / 8 entries, at most 130, n being its closed
 *     entries, and is then laid out from index 0;
 *   - an amount or sum that does not fit its class moves the block to the lowest class that fits,
 *     never to a lower one;
 *   - a block whose entries have all left starts anew: class 0 (or what the charge needs), no ring;
 *   - a denial and a charge of nothing change no byte;
 *   - a block whose W is not in the plan, or whose mask differs, is replaced: see weir_value_adopt. */
#ifndef WEIR_LIMIT_WINDOW_H
#define WEIR_LIMIT_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "limit/decision.h"
#include "limit/plan.h"

enum {
    WEIR_RING_MAX = 130,
    WEIR_BLOCK_HEAD = 12,
    /* The largest value of any plan. */
    WEIR_VALUE_MAX = WEIR_PLAN_WINDOWS_MAX *
                     (WEIR_BLOCK_HEAD + 14 * WEIR_METERS + WEIR_RING_MAX * (1 + 7 * WEIR_METERS)),
    WEIR_VALUE_SLACK = 8, /* readable and writable bytes a buffer keeps behind its value */
};

/* Sums never pass this; a debt that would is cut there. */
#define WEIR_SUM_MAX (UINT64_C(1) << 52)

/* One subject's value in caller's memory. `room` bytes at `data`, of which the first len are the
 * value; room >= len + WEIR_VALUE_SLACK whenever data is not NULL. Zeroed: no usage. */
struct weir_value {
    uint8_t *data;
    uint32_t len;
    uint32_t room;
};

#endif
