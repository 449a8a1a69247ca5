/* SPDX-License-Identifier: Apache-2.0 */
/* window.h - the packed windows of one subject: the same bytes in the embedded store, in the Redis
 * value (src/store/redis/charge.lua edits them in place) and in tests. Pure: no I/O, no clock,
 * no allocation. One owner at a time. Times: microseconds of one clock; see weir_value_now_us for a
 * clock that steps back.
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
 * (+ lease life where there are leases). The rules, the same in C and in Lua so that after each
 * charge both hold the same bytes:
 *   - when the current entry has left, the block starts anew: class 0, no ring, all zero;
 *   - a charge of a later step closes the current entry into the ring, unless all its amounts are
 *     0, and begins a new one;
 *   - a ring without room for that grows to n + 1 + (n + 1) / 8 entries, at most 130, n being its
 *     closed entries;
 *   - an amount or sum that does not fit moves the block to the lowest class that fits all, never
 *     to a lower one than it has;
 *   - a block whose ring or class changed is laid out with head 0, free places zero;
 *   - a charge of nothing changes no byte; a value with no bytes gets all blocks of the plan at its
 *     first charge;
 *   - settling lower reduces current or ring amount and sum in place, each at most to 0;
 *   - a value whose blocks are not those of the plan (W or mask) is adopted: a block of the same W
 *     keeps what it has of the meters that stay (new ones start at 0), in the lowest class that
 *     fits and a ring of just its closed entries; a W that is new starts with one current entry at
 *     now, per meter the largest sum among the blocks that go; the rest is dropped. */
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
    WEIR_VALUE_SLACK =
        8, /* bytes of the caller's own behind a value: loads and stores touch them */
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
/* What one subject says to a charge. */
struct weir_verdict {
    bool fits;
    uint8_t meter; /* the limit to name, when not */
    uint32_t window_s;
    uint64_t retry_after_us; /* over all its limits; WEIR_RETRY_NEVER: larger than a capacity */
};

/* The time that v goes by: now_us, or the start of its latest current step when that is later (a
 * clock that stepped back). The functions below take it, and a charge is named by it when it is
 * settled; several subjects of one decision go by the latest of theirs. Blocks from the first on
 * that is not the plan's are not looked at. */
uint64_t weir_value_now_us(const struct weir_value *v, const struct weir_plan *plan,
                           uint64_t now_us);

/* Makes the blocks those of the plan and lets entries leave. 0, or the `room` that v needs first
 * (enlarge and call again). */
WEIR_MUSTCHECK uint32_t weir_value_prepare(struct weir_value *v, const struct weir_plan *plan,
                                           uint64_t now_us);
/* Whether `a` fits; a meter of which nothing is asked is not checked. v is prepared for now_us.
 * *ret_verdict is set when it does not fit. O(1) when it fits; else walks the entries. */
WEIR_MUSTCHECK bool weir_value_fits(const struct weir_value *v, const struct weir_plan *plan,
                                    uint64_t now_us, const struct weir_amounts *a,
                                    struct weir_verdict *ret_verdict);
/* Adds `a` whether it fits or not. v is prepared for now_us. 0, or the `room` that v needs first
 * (then nothing was added: enlarge and call again). */
WEIR_MUSTCHECK uint32_t weir_value_add(struct weir_value *v, const struct weir_plan *plan,
                                       uint64_t now_us, const struct weir_amounts *a);
/* Prepare, fits, add and states in one pass, for the common charge: it fits, falls into the current
 * step of every window, and no entry has to leave or be laid out anew. False otherwise, and nothing
 * has changed: the calls above decide then. d is begun. */
WEIR_MUSTCHECK bool weir_value_take_in_step(struct weir_value *v, const struct weir_plan *plan,
                                            uint64_t now_us, const struct weir_amounts *a,
                                            unsigned subject, struct weir_decision *d);
/* Takes `less` out of the entry of at_us in each block that still has it, never below 0. v's blocks
 * are those of the plan. */
void weir_value_lower(struct weir_value *v, const struct weir_plan *plan, uint64_t at_us,
                      const struct weir_amounts *less);
/* Appends the state of every limit of the plan to d. v is prepared for now_us. */
void weir_value_states(const struct weir_value *v, const struct weir_plan *plan, uint64_t now_us,
                       unsigned subject, struct weir_decision *d);
/* The same as if `a` were added; v stays as it is, and may hold nothing. */
void weir_value_states_with(const struct weir_value *v, const struct weir_plan *plan,
                            uint64_t now_us, const struct weir_amounts *a, unsigned subject,
                            struct weir_decision *d);
/* When the last entry of all blocks leaves; 0 when the value holds nothing. Blocks of any plan. */
uint64_t weir_value_idle_at_us(const struct weir_value *v);
/* Whether the bytes are a value: lengths, shapes, ring indexes, sums. For what comes from outside
 * (Redis), and for tests. WEIR_VALUE_SLACK bytes behind the len must be readable. */
WEIR_MUSTCHECK bool weir_value_valid(const uint8_t *data, size_t len);

/* Starts a decision that allows; a subject's verdict that does not fit makes it a denial. The limit
 * named: one that can never pass first, then input, output, total tokens, requests, then the
 * earlier subject, the shorter window. */
void weir_decision_begin(struct weir_decision *d, uint64_t at_us);
void weir_decision_deny(struct weir_decision *d, unsigned subject, const struct weir_verdict *v);
/* Adds what was decided elsewhere about further subjects, `part`'s first being this one: its states
 * behind those of d, and its denial. Both together have at most WEIR_SUBJECTS_MAX subjects. */
void weir_decision_join(struct weir_decision *d, const struct weir_decision *part,
                        unsigned subject);

#endif
