/* SPDX-License-Identifier: Apache-2.0 */
/* adopt.c - values whose plan is not at hand: made under another one, or foreign bytes. */
#include "limit/block.h"
#include "limit/window.h"

/* The spec that a block was written under, its entries kept life_us longer than the window. */
static void spec_of_block(const uint8_t *b, uint64_t life_us, struct weir_window_spec *ret_spec)
{
    struct weir_window_spec *w = ret_spec;
    *w = (struct weir_window_spec){
        .tag = block_tag(b),
        .window_s = block_tag(b) >> 8,
        .mask = (uint8_t)(b[0] >> 2),
    };
    w->window_us = (uint64_t)w->window_s * 1000000;
    w->keep_us = w->window_us + life_us;
    w->step_us = (w->window_us + WEIR_WINDOW_STEPS - 1) / WEIR_WINDOW_STEPS;
    unsigned meters = 0;
    for (unsigned c = 0; c < WEIR_WIDTH_CLASSES; c++) {
        weir_layout_of_mask(w->mask, c, &w->layout[c], w->meter, &meters);
    }
    w->meters = (uint8_t)meters;
}

/* All blocks of a value, unpacked. */
struct old_value {
    unsigned blocks;
    struct block_full block[WEIR_PLAN_WINDOWS_MAX];
    uint32_t window_s[WEIR_PLAN_WINDOWS_MAX];
};

static void old_read(struct weir_value *v, const struct weir_plan *plan, uint64_t now_us,
                     struct old_value *ret_old)
{
    ret_old->blocks = 0;
    for (uint32_t at = 0; at < v->len && ret_old->blocks < WEIR_PLAN_WINDOWS_MAX;) {
        struct weir_window_spec w;
        uint8_t *b = v->data + at;
        spec_of_block(b, plan->life_us, &w);
        weir_block_expire(v, b, &w, now_us);
        const struct weir_layout *l = block_layout(b, &w);
        unsigned i = ret_old->blocks++;
        ret_old->window_s[i] = w.window_s;
        weir_block_unpack(b, l, w.meter, w.meters, &ret_old->block[i]);
        at += block_bytes(b, l);
    }
}

static bool plan_has_window(const struct weir_plan *plan, uint32_t window_s)
{
    for (unsigned k = 0; k < plan->windows; k++) {
        if (plan->window[k].window_s == window_s) {
            return true;
        }
    }
    return false;
}

/* One current entry at now: per meter the largest sum among the blocks that go. */
static void start_from_old(const struct old_value *old, const struct weir_plan *plan,
                           const struct weir_window_spec *w, uint64_t now_us,
                           struct block_full *ret_full)
{
    ret_full->step = now_us / w->step_us;
    ret_full->count = 0;
    memset(ret_full->sum, 0, sizeof(ret_full->sum));
    for (unsigned i = 0; i < old->blocks; i++) {
        for (unsigned m = 0; m < WEIR_METERS && !plan_has_window(plan, old->window_s[i]); m++) {
            if (old->block[i].sum[m] > ret_full->sum[m]) {
                ret_full->sum[m] = old->block[i].sum[m];
            }
        }
    }
    memcpy(ret_full->current, ret_full->sum, sizeof(ret_full->current));
}

uint32_t weir_value_adopt(struct weir_value *v, const struct weir_plan *plan, uint64_t now_us)
{
    struct old_value old;
    uint8_t packed[WEIR_VALUE_MAX + WEIR_VALUE_SLACK];
    uint32_t len = 0;
    old_read(v, plan, now_us, &old);
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        struct block_full fresh;
        const struct block_full *full = NULL;
        for (unsigned i = 0; i < old.blocks; i++) {
            full = old.window_s[i] == w->window_s ? &old.block[i] : full;
        }
        if (full == NULL) {
            start_from_old(&old, plan, w, now_us, &fresh);
            full = &fresh;
        }
        unsigned width_class = weir_block_class_needed(full, w);
        weir_block_pack(packed + len, w, width_class, full->count, full);
        len += block_bytes(packed + len, &w->layout[width_class]);
    }
    if (v->room < len + WEIR_VALUE_SLACK) {
        return len + WEIR_VALUE_SLACK;
    }
    memcpy(v->data, packed, len);
    v->len = len;
    return 0;
}

uint64_t weir_value_idle_at_us(const struct weir_value *v)
{
    uint64_t idle_us = 0;
    for (uint32_t at = 0; at < v->len;) {
        struct weir_window_spec w;
        const uint8_t *b = v->data + at;
        spec_of_block(b, 0, &w);
        uint64_t block_us = weir_block_idle_at_us(b, &w);
        idle_us = block_us > idle_us ? block_us : idle_us;
        at += block_bytes(b, block_layout(b, &w));
    }
    return idle_us;
}

static bool block_valid(const uint8_t *b, const struct weir_window_spec *w)
{
    const struct weir_layout *l = block_layout(b, w);
    uint64_t sum[WEIR_METERS];
    for (unsigned i = 0; i < w->meters; i++) {
        sum[i] = block_current(b, l, i);
    }
    uint64_t step = block_step(b);
    uint64_t before = step;
    for (unsigned e = b[BLOCK_RING_COUNT]; e > 0; e--) {
        const uint8_t *entry = b + ring_offset(b, l, e - 1);
        uint64_t entry_is = entry_step(entry, step);
        if (entry_is >= before || entry_is > step) {
            return false; /* not ascending; the second for a step below 0 */
        }
        before = entry_is;
        for (unsigned i = 0; i < w->meters; i++) {
            sum[i] += load_bytes(entry + l->amount[i], l->amount_bytes[i]);
        }
    }
    for (unsigned i = 0; i < w->meters; i++) {
        if (sum[i] != block_sum(b, l, i) || sum[i] > WEIR_SUM_MAX) {
            return false;
        }
    }
    return true;
}

bool weir_value_valid(const uint8_t *data, size_t len)
{
    uint32_t window_s = 0;
    unsigned blocks = 0;
    for (size_t at = 0; at < len; blocks++) {
        const uint8_t *b = data + at;
        if (len - at < WEIR_BLOCK_HEAD || blocks == WEIR_PLAN_WINDOWS_MAX ||
            block_class(b) >= WEIR_WIDTH_CLASSES || b[0] >> 2 == 0 ||
            b[0] >> 2 >= 1 << WEIR_METERS) {
            return false;
        }
        struct weir_window_spec w;
        spec_of_block(b, 0, &w);
        const struct weir_layout *l = block_layout(b, &w);
        unsigned room = b[BLOCK_RING_ROOM];
        if (w.window_s <= window_s || w.window_s > WEIR_WINDOW_S_MAX || room > WEIR_RING_MAX ||
            b[BLOCK_RING_COUNT] > room || b[BLOCK_RING_HEAD] >= (room > 0 ? room : 1) ||
            len - at < block_bytes(b, l) || !block_valid(b, &w)) {
            return false;
        }
        window_s = w.window_s;
        at += block_bytes(b, l);
    }
    return true;
}
