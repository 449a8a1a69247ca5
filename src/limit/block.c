/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/block.h"

void weir_layout_of_mask(unsigned mask, unsigned width_class, struct weir_layout *ret_layout,
                         uint8_t ret_meter[static WEIR_METERS], unsigned *ret_meters)
{
    static const uint8_t wide_amount[] = {0, 4, 7}, wide_sum[] = {0, 5, 7};
    struct weir_layout *l = ret_layout;
    unsigned sum = WEIR_BLOCK_HEAD, amount = 1, n = 0;
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        if ((mask >> m & 1) == 0) {
            continue;
        }
        bool requests = m == WEIR_METER_REQUESTS;
        l->amount_bytes[n] = width_class > 0 ? wide_amount[width_class] : requests ? 1 : 2;
        l->sum_bytes[n] = width_class > 0 ? wide_sum[width_class] : requests ? 2 : 3;
        l->sum_max[n] = UINT64_MAX >> (64 - 8 * l->sum_bytes[n]);
        l->amount_max[n] = UINT64_MAX >> (64 - 8 * l->amount_bytes[n]);
        l->sum[n] = (uint8_t)sum;
        l->amount[n] = (uint8_t)amount;
        sum += l->sum_bytes[n];
        amount += l->amount_bytes[n];
        ret_meter[n++] = (uint8_t)m;
    }
    for (unsigned i = 0; i < n; i++) {
        l->current[i] = (uint8_t)(sum + l->amount[i] - 1);
    }
    l->ring = (uint8_t)(sum + amount - 1);
    l->entry_bytes = (uint8_t)amount;
    *ret_meters = n;
}

void weir_block_unpack(const uint8_t *b, const struct weir_layout *l, const uint8_t *meter,
                       unsigned meters, struct block_full *ret_full)
{
    struct block_full *f = ret_full;
    memset(f->sum, 0, sizeof(f->sum));
    memset(f->current, 0, sizeof(f->current));
    f->step = block_step(b);
    f->count = b[BLOCK_RING_COUNT];
    for (unsigned i = 0; i < meters; i++) {
        f->sum[meter[i]] = block_sum(b, l, i);
        f->current[meter[i]] = block_current(b, l, i);
    }
    for (unsigned e = 0; e < f->count; e++) {
        const uint8_t *entry = b + ring_offset(b, l, e);
        f->entry[e] = (struct block_entry){.step = entry_step(entry, f->step)};
        for (unsigned i = 0; i < meters; i++) {
            f->entry[e].amount[meter[i]] = load_bytes(entry + l->amount[i], l->amount_bytes[i]);
        }
    }
}

void weir_block_pack(uint8_t *b, const struct weir_window_spec *w, unsigned width_class,
                     unsigned ring_room, const struct block_full *full)
{
    const struct weir_layout *l = &w->layout[width_class];
    WEIR_ASSERT(full->count <= ring_room && ring_room <= WEIR_RING_MAX);
    memset(b, 0, l->ring + ring_room * l->entry_bytes);
    uint32_t tag = w->tag | width_class;
    memcpy(b, &tag, sizeof(tag));
    store_bytes(b + BLOCK_STEP, STEP_BYTES, full->step);
    b[BLOCK_RING_ROOM] = (uint8_t)ring_room;
    b[BLOCK_RING_COUNT] = (uint8_t)full->count;
    for (unsigned i = 0; i < w->meters; i++) {
        store_bytes(b + l->sum[i], l->sum_bytes[i], full->sum[w->meter[i]]);
        store_bytes(b + l->current[i], l->amount_bytes[i], full->current[w->meter[i]]);
    }
    for (unsigned e = 0; e < full->count; e++) {
        uint8_t *entry = b + l->ring + e * l->entry_bytes;
        entry[0] = (uint8_t)full->entry[e].step;
        for (unsigned i = 0; i < w->meters; i++) {
            store_bytes(entry + l->amount[i], l->amount_bytes[i],
                        full->entry[e].amount[w->meter[i]]);
        }
    }
}

unsigned weir_block_class_needed(const struct block_full *full, const struct weir_window_spec *w)
{
    unsigned need = 0;
    for (unsigned i = 0; i < w->meters; i++) {
        enum weir_meter m = w->meter[i];
        unsigned c = class_of_sum(full->sum[m], m);
        need = c > need ? c : need;
        c = class_of_amount(full->current[m], m);
        need = c > need ? c : need;
        for (unsigned e = 0; e < full->count; e++) {
            c = class_of_amount(full->entry[e].amount[m], m);
            need = c > need ? c : need;
        }
    }
    return need;
}
