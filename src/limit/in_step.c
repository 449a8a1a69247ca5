/* SPDX-License-Identifier: Apache-2.0 */
/* in_step.c - the common charge in one pass. It decides nothing that the general calls would decide
 * otherwise: where it is not sure it declines. */
#include "limit/block.h"
#include "limit/window.h"

/* Whether now is in the block's current step and no closed entry has to leave. */
static bool in_step(const uint8_t *b, const struct weir_window_spec *w, const struct weir_layout *l,
                    uint64_t now_us)
{
    uint64_t step = block_step(b);
    uint64_t start_us = step * w->step_us;
    if (now_us < start_us || now_us - start_us >= w->step_us) {
        return false;
    }
    return b[BLOCK_RING_COUNT] == 0 ||
           leaves_at_us(w, entry_step(b + ring_offset(b, l, 0), step)) > now_us;
}

/* The fields of one window with the charge in: 8 bytes from where each begins, so that one addition
 * changes the field and keeps what follows it. */
struct words {
    uint64_t sum[WEIR_METERS];
    uint64_t current[WEIR_METERS];
};

static inline uint64_t load_word(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

/* Whether `a` fits the limits and the bytes of the block as they stand, and leaves something in the
 * current entry, which is then the newest one that holds something. */
static bool fits_in_place(const uint8_t *b, const struct weir_window_spec *w,
                          const struct weir_layout *l, const struct weir_amounts *a,
                          struct words *ret_words)
{
    bool over = false;
    uint64_t any = 0;
    for (unsigned i = 0; i < w->meters; i++) {
        uint64_t ask = a->of[w->meter[i]];
        uint64_t sum_word = load_word(b + l->sum[i]);
        uint64_t current_word = load_word(b + l->current[i]);
        uint64_t sum = (sum_word & l->sum_max[i]) + ask;
        uint64_t current = (current_word & l->amount_max[i]) + ask;
        over |= ((sum > w->capacity[i]) & (ask > 0)) | (sum > l->sum_max[i]) |
                (sum > WEIR_SUM_MAX) | (current > l->amount_max[i]);
        any |= current;
        ret_words->sum[i] = sum_word + ask;
        ret_words->current[i] = current_word + ask;
    }
    return !over && any != 0;
}

/* In ascending order: what a store writes behind its field are old bytes of the next ones, which
 * the next stores set; behind the last they are as they were. No load stands between the stores,
 * it would have to wait for them. */
static void write_words(uint8_t *b, const struct weir_window_spec *w, const struct weir_layout *l,
                        const struct words *words)
{
    for (unsigned i = 0; i < w->meters; i++) {
        memcpy(b + l->sum[i], &words->sum[i], sizeof(words->sum[i]));
    }
    for (unsigned i = 0; i < w->meters; i++) {
        memcpy(b + l->current[i], &words->current[i], sizeof(words->current[i]));
    }
}

static void add_states(const struct weir_window_spec *w, const struct weir_layout *l,
                       const struct words *words, uint64_t reset_us, unsigned subject,
                       struct weir_decision *d)
{
    for (unsigned i = 0; i < w->meters; i++) {
        weir_decision_add(d, subject, w, i, words->sum[i] & l->sum_max[i], reset_us);
    }
}

bool weir_value_take_in_step(struct weir_value *v, const struct weir_plan *plan, uint64_t now_us,
                             const struct weir_amounts *a, unsigned subject,
                             struct weir_decision *d)
{
    struct words words[WEIR_PLAN_WINDOWS_MAX];
    uint32_t at = 0;
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        const uint8_t *b = v->data + at;
        if (at >= v->len || block_tag(b) != w->tag) {
            return false;
        }
        const struct weir_layout *l = block_layout(b, w);
        if (!in_step(b, w, l, now_us) || !fits_in_place(b, w, l, a, &words[k])) {
            return false;
        }
        at += block_bytes(b, l);
    }
    if (at != v->len) {
        return false;
    }
    uint8_t *b = v->data;
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        const struct weir_layout *l = block_layout(b, w);
        uint64_t reset_us = leaves_at_us(w, block_step(b)) - now_us;
        uint8_t *next = b + block_bytes(b, l);
        write_words(b, w, l, &words[k]);
        add_states(w, l, &words[k], reset_us, subject, d);
        b = next;
    }
    return true;
}
