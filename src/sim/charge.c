/* SPDX-License-Identifier: Apache-2.0 */
/* charge.c - the decision of src/store/redis/charge.lua, in C. */
#include "base/mem.h"
#include "sim/shards.h"

enum {
    AHEAD_OF = 16,  /* what is taken ahead of need is one part of so many of what remains */
    ROOM_ALIGN = 16 /* what malloc rounds to anyhow */
};

static bool make_room(struct weir_value *v, uint32_t need)
{
    uint32_t room = (need + ROOM_ALIGN - 1) / ROOM_ALIGN * ROOM_ALIGN;
    uint8_t *data = weir_realloc(v->data, room);
    if (data == NULL) {
        return false;
    }
    v->data = data;
    v->room = room;
    return true;
}

static bool prepare(struct weir_value *v, const struct weir_plan *plan, uint64_t now_us)
{
    uint32_t need;
    while ((need = weir_value_prepare(v, plan, now_us)) > 0) {
        if (!make_room(v, need)) {
            return false;
        }
    }
    return true;
}

static bool add(struct weir_value *v, const struct weir_plan *plan, uint64_t now_us,
                const struct weir_amounts *a)
{
    uint32_t need;
    while (!weir_amounts_none(a) && (need = weir_value_add(v, plan, now_us, a)) > 0) {
        if (!make_room(v, need)) {
            return false;
        }
    }
    return true;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A sixteenth of what remains, at most; input and output of it together, too, where they have a
 * limit together. */
static struct weir_amounts ahead_of(const struct weir_value *v, const struct weir_plan *plan,
                                    uint64_t now_us, const struct weir_amounts *want)
{
    struct weir_decision d;
    struct weir_amounts ahead = *want;
    weir_decision_begin(&d, now_us);
    weir_value_states(v, plan, now_us, 0, &d);
    for (unsigned i = 0; i < d.states; i++) {
        unsigned m = d.state[i].meter;
        uint64_t most = weir_limit_remaining(&d.state[i]) / AHEAD_OF;
        ahead.of[m] = m != WEIR_METER_TOTAL_TOKENS ? smaller(ahead.of[m], most) : 0;
    }
    uint64_t *input = &ahead.of[WEIR_METER_INPUT_TOKENS];
    uint64_t *output = &ahead.of[WEIR_METER_OUTPUT_TOKENS];
    for (unsigned i = 0; i < d.states; i++) {
        uint64_t tokens = *input + *output;
        uint64_t most = weir_limit_remaining(&d.state[i]) / AHEAD_OF;
        if (d.state[i].meter == WEIR_METER_TOTAL_TOKENS && tokens > most) {
            double part = (double)*input * ((double)most / (double)tokens);
            *input = smaller(*input, (uint64_t)part);
            *output = smaller(*output, most - *input);
        }
    }
    return weir_amounts(ahead.of[WEIR_METER_REQUESTS], *input, *output);
}

bool weir_sim_charge(struct weir_sim_key *key, const struct weir_plan *plan, uint64_t now_us,
                     struct weir_sim_call *call)
{
    struct weir_value *v = &key->value;
    unsigned asks = 0;
    now_us = weir_value_now_us(v, plan, now_us);
    call->at_us = now_us;
    call->granted = 0;
    call->all = true;
    call->ahead = (struct weir_amounts){0};
    if (!prepare(v, plan, now_us)) {
        return false;
    }
    for (unsigned i = 0; i < call->backs; i++) {
        weir_value_lower(v, plan, call->back[i].at_us, &call->back[i].less);
    }
    if (!add(v, plan, now_us, &call->debt)) {
        return false;
    }
    for (const struct weir_call *ask = call->ask; ask != NULL; ask = ask->next, asks++) {
        struct weir_verdict verdict;
        bool fits = weir_value_fits(v, plan, now_us, &ask->amounts, &verdict);
        if (fits && !add(v, plan, now_us, &ask->amounts)) {
            return false;
        }
        call->all = call->all && fits;
        call->granted |= (uint64_t)fits << asks;
    }
    if (call->all && asks > 0 && !weir_amounts_none(&call->want)) {
        call->ahead = ahead_of(v, plan, now_us, &call->want);
    }
    return add(v, plan, now_us, &call->ahead);
}
