/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/window.h"

#include "limit/block.h"

uint64_t weir_value_now_us(const struct weir_value *v, const struct weir_plan *plan,
                           uint64_t now_us)
{
    uint32_t at = 0;
    for (unsigned k = 0; k < plan->windows && at < v->len; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        const uint8_t *b = v->data + at;
        if (block_tag(b) != w->tag) {
            break;
        }
        uint64_t start_us = block_step(b) * w->step_us;
        now_us = start_us > now_us ? start_us : now_us;
        at += block_bytes(b, block_layout(b, w));
    }
    return now_us;
}

static void value_resize_block(struct weir_value *v, uint8_t *b, uint32_t old_bytes,
                               uint32_t new_bytes)
{
    uint32_t tail = v->len - (uint32_t)(b - v->data) - old_bytes;
    memmove(b + new_bytes, b + old_bytes, tail);
    v->len = v->len - old_bytes + new_bytes;
}

/* The block anew: class 0, no ring, nothing in it. At the step of now, so that a clock that steps
 * back cannot charge into a step whose settlements may still come. */
static void block_restart(struct weir_value *v, uint8_t *b, const struct weir_window_spec *w,
                          uint64_t now_us)
{
    value_resize_block(v, b, block_bytes(b, block_layout(b, w)), w->layout[0].ring);
    memset(b, 0, w->layout[0].ring);
    memcpy(b, &w->tag, sizeof(w->tag));
    store_bytes(b + BLOCK_STEP, STEP_BYTES, now_us / w->step_us);
}

/* Lets the oldest closed entry go. */
static void ring_pop(uint8_t *b, const struct weir_window_spec *w, const struct weir_layout *l)
{
    const uint8_t *entry = b + ring_offset(b, l, 0);
    for (unsigned i = 0; i < w->meters; i++) {
        uint64_t amount = load_bytes(entry + l->amount[i], l->amount_bytes[i]);
        store_bytes(b + l->sum[i], l->sum_bytes[i], block_sum(b, l, i) - amount);
    }
    unsigned head = b[BLOCK_RING_HEAD] + 1U;
    b[BLOCK_RING_HEAD] = (uint8_t)(head == b[BLOCK_RING_ROOM] ? 0 : head);
    b[BLOCK_RING_COUNT]--;
}

void weir_block_expire(struct weir_value *v, uint8_t *b, const struct weir_window_spec *w,
                       uint64_t now_us)
{
    uint64_t step = block_step(b);
    if (WEIR_UNLIKELY(leaves_at_us(w, step) <= now_us)) {
        block_restart(v, b, w, now_us);
        return;
    }
    const struct weir_layout *l = block_layout(b, w);
    while (b[BLOCK_RING_COUNT] > 0 &&
           leaves_at_us(w, entry_step(b + ring_offset(b, l, 0), step)) <= now_us) {
        ring_pop(b, w, l);
    }
}

uint32_t weir_value_prepare(struct weir_value *v, const struct weir_plan *plan, uint64_t now_us)
{
    uint32_t at = 0;
    for (unsigned i = 0; i < plan->windows && v->len > 0; i++) {
        const struct weir_window_spec *w = &plan->window[i];
        if (WEIR_UNLIKELY(at >= v->len || block_tag(v->data + at) != w->tag)) {
            return weir_value_adopt(v, plan, now_us);
        }
        weir_block_expire(v, v->data + at, w, now_us);
        at += block_bytes(v->data + at, block_layout(v->data + at, w));
    }
    return WEIR_UNLIKELY(at != v->len) ? weir_value_adopt(v, plan, now_us) : 0;
}

/* The step that a charge at now_us belongs to. One division, and none within the current step. */
static uint64_t step_at(const uint8_t *b, const struct weir_window_spec *w, uint64_t now_us)
{
    uint64_t step = block_step(b);
    if (now_us < (step + 1) * w->step_us) {
        return step; /* also for a time before the step */
    }
    return now_us / w->step_us;
}

/* What a charge does to one block. */
struct block_change {
    uint64_t step;
    uint64_t current[WEIR_METERS]; /* the current entry after it, by index in the window */
    uint64_t sum[WEIR_METERS];
    bool close; /* the current entry goes into the ring first */
    uint8_t width_class, ring_room;
};

static unsigned ring_grown(unsigned count)
{
    unsigned room = count + 1 + (count + 1) / 8;
    return room < WEIR_RING_MAX ? room : WEIR_RING_MAX;
}

static void change_of(const uint8_t *b, const struct weir_window_spec *w, uint64_t now_us,
                      const struct weir_amounts *a, struct block_change *ret_change)
{
    struct block_change *c = ret_change;
    const struct weir_layout *l = block_layout(b, w);
    uint64_t old_step = block_step(b);
    unsigned width_class = block_class(b);
    c->step = step_at(b, w, now_us);
    bool later = c->step > old_step;
    uint64_t any = 0;
    for (unsigned i = 0; i < w->meters; i++) {
        enum weir_meter m = w->meter[i];
        uint64_t sum = block_sum(b, l, i);
        uint64_t current = block_current(b, l, i);
        uint64_t add = a->of[m];
        if (WEIR_UNLIKELY(add > WEIR_SUM_MAX - sum)) {
            add = WEIR_SUM_MAX - sum;
        }
        any |= current;
        c->sum[i] = sum + add;
        c->current[i] = later ? add : current + add;
        unsigned need = class_of_sum(c->sum[i], m) | class_of_amount(c->current[i], m);
        if (WEIR_UNLIKELY(need > width_class)) {
            need = need > 2 ? 2 : need; /* 1 | 2 */
            width_class = need;
        }
    }
    c->close = later && any != 0;
    c->width_class = (uint8_t)width_class;
    c->ring_room = b[BLOCK_RING_ROOM];
    if (c->close && b[BLOCK_RING_COUNT] == c->ring_room) {
        WEIR_ASSERT(c->ring_room < WEIR_RING_MAX);
        c->ring_room = (uint8_t)ring_grown(b[BLOCK_RING_COUNT]);
    }
}

static bool change_fits_in_place(const uint8_t *b, const struct block_change *c)
{
    return c->width_class == block_class(b) && c->ring_room == b[BLOCK_RING_ROOM];
}

static void apply_in_place(uint8_t *b, const struct weir_window_spec *w,
                           const struct block_change *c)
{
    const struct weir_layout *l = block_layout(b, w);
    if (c->close) {
        uint8_t *entry = b + ring_offset(b, l, b[BLOCK_RING_COUNT]);
        entry[0] = (uint8_t)block_step(b);
        /* the current entry has the same form behind its step byte */
        memcpy(entry + 1, b + l->current[0], l->entry_bytes - 1U);
        b[BLOCK_RING_COUNT]++;
    }
    store_bytes(b + BLOCK_STEP, STEP_BYTES, c->step);
    for (unsigned i = 0; i < w->meters; i++) {
        store_bytes(b + l->sum[i], l->sum_bytes[i], c->sum[i]);
        store_bytes(b + l->current[i], l->amount_bytes[i], c->current[i]);
    }
}

/* A ring that grows and begins at 0 stays as it is, with free places behind it. */
static bool grow_in_place(struct weir_value *v, uint8_t *b, const struct weir_window_spec *w,
                          const struct block_change *c)
{
    if (c->width_class != block_class(b) || b[BLOCK_RING_HEAD] != 0) {
        return false;
    }
    const struct weir_layout *l = block_layout(b, w);
    uint32_t old_bytes = block_bytes(b, l);
    uint32_t more = (uint32_t)(c->ring_room - b[BLOCK_RING_ROOM]) * l->entry_bytes;
    value_resize_block(v, b, old_bytes, old_bytes + more);
    memset(b + old_bytes, 0, more);
    b[BLOCK_RING_ROOM] = c->ring_room;
    return true;
}

static void apply_by_packing(struct weir_value *v, uint8_t *b, const struct weir_window_spec *w,
                             const struct block_change *c)
{
    struct block_full full;
    const struct weir_layout *l = block_layout(b, w);
    weir_block_unpack(b, l, w->meter, w->meters, &full);
    if (c->close) {
        struct block_entry *e = &full.entry[full.count++];
        e->step = full.step;
        memcpy(e->amount, full.current, sizeof(e->amount));
    }
    full.step = c->step;
    for (unsigned i = 0; i < w->meters; i++) {
        full.sum[w->meter[i]] = c->sum[i];
        full.current[w->meter[i]] = c->current[i];
    }
    const struct weir_layout *to = &w->layout[c->width_class];
    value_resize_block(v, b, block_bytes(b, l),
                       to->ring + (uint32_t)c->ring_room * to->entry_bytes);
    weir_block_pack(b, w, c->width_class, c->ring_room, &full);
}

/* All blocks of the plan, empty, at the step of now. */
static uint32_t value_create(struct weir_value *v, const struct weir_plan *plan, uint64_t now_us)
{
    uint32_t len = 0;
    for (unsigned k = 0; k < plan->windows; k++) {
        len += plan->window[k].layout[0].ring;
    }
    if (v->room < len + WEIR_VALUE_SLACK) {
        return len + WEIR_VALUE_SLACK;
    }
    uint8_t *b = v->data;
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        memset(b, 0, w->layout[0].ring);
        memcpy(b, &w->tag, sizeof(w->tag));
        store_bytes(b + BLOCK_STEP, STEP_BYTES, now_us / w->step_us);
        b += w->layout[0].ring;
    }
    v->len = len;
    return 0;
}

uint32_t weir_value_add(struct weir_value *v, const struct weir_plan *plan, uint64_t now_us,
                        const struct weir_amounts *a)
{
    if (plan->windows == 0 || weir_amounts_none(a)) {
        return 0;
    }
    if (WEIR_UNLIKELY(v->len == 0)) {
        uint32_t need = value_create(v, plan, now_us);
        if (need > 0) {
            return need;
        }
    }
    struct block_change change[WEIR_PLAN_WINDOWS_MAX];
    uint32_t len = 0;
    const uint8_t *b = v->data;
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        change_of(b, w, now_us, a, &change[k]);
        const struct weir_layout *to = &w->layout[change[k].width_class];
        len += to->ring + (uint32_t)change[k].ring_room * to->entry_bytes;
        b += block_bytes(b, block_layout(b, w));
    }
    if (WEIR_UNLIKELY(v->room < len + WEIR_VALUE_SLACK)) {
        return len + WEIR_VALUE_SLACK;
    }
    uint8_t *at = v->data;
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        if (WEIR_LIKELY(change_fits_in_place(at, &change[k])) ||
            grow_in_place(v, at, w, &change[k])) {
            apply_in_place(at, w, &change[k]);
        } else {
            apply_by_packing(v, at, w, &change[k]);
        }
        at += block_bytes(at, block_layout(at, w));
    }
    return 0;
}

/* The entry of this step: the current one's amounts, a closed one's, or NULL. Closed entries stand
 * in ascending order of steps, so the place is found by halving. */
static uint8_t *amounts_of_step(uint8_t *b, const struct weir_layout *l, uint64_t step)
{
    uint64_t current = block_step(b);
    if (step == current) {
        return b + l->current[0];
    }
    if (step > current) {
        return NULL;
    }
    unsigned low = 0, high = b[BLOCK_RING_COUNT];
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (entry_step(b + ring_offset(b, l, mid), current) < step) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if (low == b[BLOCK_RING_COUNT]) {
        return NULL;
    }
    uint8_t *entry = b + ring_offset(b, l, low);
    return entry_step(entry, current) == step ? entry + 1 : NULL;
}

void weir_value_lower(struct weir_value *v, const struct weir_plan *plan, uint64_t at_us,
                      const struct weir_amounts *less)
{
    uint8_t *b = v->data;
    for (unsigned k = 0; k < plan->windows && v->len > 0; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        const struct weir_layout *l = block_layout(b, w);
        uint8_t *amounts = amounts_of_step(b, l, at_us / w->step_us);
        for (unsigned i = 0; i < w->meters && amounts != NULL; i++) {
            uint8_t *p = amounts + l->amount[i] - 1;
            uint64_t has = load_bytes(p, l->amount_bytes[i]);
            uint64_t take = less->of[w->meter[i]] < has ? less->of[w->meter[i]] : has;
            store_bytes(p, l->amount_bytes[i], has - take);
            store_bytes(b + l->sum[i], l->sum_bytes[i], block_sum(b, l, i) - take);
        }
        b += block_bytes(b, l);
    }
}
