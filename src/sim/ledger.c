/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/ledger.h"

#include "base/mem.h"

enum { ROOM_FIRST = 2 };

void weir_sim_ledger_deinit(struct weir_sim_ledger *l)
{
    weir_free(l->_entry);
    *l = (struct weir_sim_ledger){0};
}

/* That of the n-th newest, from 1. */
static struct weir_sim_entry *newest(const struct weir_sim_ledger *l, uint32_t n)
{
    uint32_t at = l->_head + l->_count - n;
    return &l->_entry[at < l->_room ? at : at - l->_room];
}

void weir_sim_ledger_expire(struct weir_sim_ledger *l, struct weir_sim_span *span,
                            const struct weir_plan *plan, uint32_t now_us)
{
    uint32_t kept = 0;
    for (unsigned k = 0; k < plan->windows; k++) {
        while (span[k].requests > 0) {
            const struct weir_sim_entry *e = newest(l, span[k].requests);
            if (e->at_us + plan->window[k].window_us > now_us) {
                break;
            }
            span[k].input -= e->input;
            span[k].output -= e->output;
            span[k].requests--;
        }
        kept = span[k].requests > kept ? span[k].requests : kept;
    }
    l->_head = l->_room == 0 ? 0 : (l->_head + (l->_count - kept)) % l->_room;
    l->_count = kept;
}

uint64_t weir_sim_span_of(const struct weir_sim_span *span, enum weir_meter meter)
{
    switch (meter) {
    case WEIR_METER_REQUESTS:
        return span->requests;
    case WEIR_METER_INPUT_TOKENS:
        return span->input;
    case WEIR_METER_OUTPUT_TOKENS:
        return span->output;
    default:
        return span->input + span->output;
    }
}

bool weir_sim_ledger_fits(const struct weir_sim_span *span, const struct weir_plan *plan,
                          const struct weir_amounts *a)
{
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        for (unsigned i = 0; i < w->meters; i++) {
            uint64_t ask = a->of[w->meter[i]];
            if (ask > 0 && weir_sim_span_of(&span[k], w->meter[i]) + ask > w->capacity[i]) {
                return false;
            }
        }
    }
    return true;
}

static bool grow(struct weir_sim_ledger *l)
{
    uint32_t room = l->_room == 0 ? ROOM_FIRST : l->_room + l->_room / 2 + 1;
    struct weir_sim_entry *entry = weir_zalloc_array(room, sizeof(*entry));
    if (entry == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < l->_count; i++) {
        entry[i] = *newest(l, l->_count - i);
    }
    weir_free(l->_entry);
    l->_entry = entry;
    l->_room = room;
    l->_head = 0;
    return true;
}

bool weir_sim_ledger_add(struct weir_sim_ledger *l, struct weir_sim_span *span,
                         const struct weir_plan *plan, uint32_t now_us,
                         const struct weir_amounts *a, uint32_t *ret_number)
{
    if (l->_count == l->_room && !grow(l)) {
        return false;
    }
    l->_count++;
    *newest(l, 1) = (struct weir_sim_entry){
        .at_us = now_us,
        .input = (uint32_t)a->of[WEIR_METER_INPUT_TOKENS],
        .output = (uint32_t)a->of[WEIR_METER_OUTPUT_TOKENS],
    };
    for (unsigned k = 0; k < plan->windows; k++) {
        span[k].requests++;
        span[k].input += a->of[WEIR_METER_INPUT_TOKENS];
        span[k].output += a->of[WEIR_METER_OUTPUT_TOKENS];
    }
    *ret_number = l->_added++;
    return true;
}

void weir_sim_ledger_lower(struct weir_sim_ledger *l, struct weir_sim_span *span,
                           const struct weir_plan *plan, uint32_t number, uint32_t output_less)
{
    uint32_t age = l->_added - number; /* from 1 */
    if (age > l->_count) {
        return;
    }
    struct weir_sim_entry *e = newest(l, age);
    uint32_t less = output_less < e->output ? output_less : e->output;
    e->output -= less;
    for (unsigned k = 0; k < plan->windows; k++) {
        span[k].output -= age <= span[k].requests ? less : 0;
    }
}
