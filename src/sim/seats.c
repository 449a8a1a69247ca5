/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/seats.h"

#include "base/mem.h"

enum {
    HAND_SEATS = 2,    /* looked at whenever one is added */
    REST_US = 5000000, /* as a worker keeps one that was not asked for (store/holdings.c) */
};

enum weir_err weir_sim_seats_init(struct weir_sim_seats *s, const struct weir_plan *plan)
{
    *s = (struct weir_sim_seats){.plan = plan};
    return weir_holdings_init(&s->wheel, 1);
}

void weir_sim_seats_deinit(struct weir_sim_seats *s)
{
    for (uint32_t slot = 0; slot < s->index.slots && slot < s->_room; slot++) {
        weir_holding_free(s->_seat[slot].h);
    }
    weir_holdings_deinit(&s->wheel);
    weir_sim_index_deinit(&s->index);
    weir_free(s->_seat);
    *s = (struct weir_sim_seats){0};
}

static uint64_t id_of(uint32_t node, uint32_t key)
{
    return (uint64_t)node << 32 | key;
}

/* The subject's identity inside the simulation: whose seat it is, and its slot. */
static uint32_t slot_of(const struct weir_holding *h)
{
    return (uint32_t)h->id[1];
}

uint32_t weir_sim_seat_key(const struct weir_holding *h)
{
    return (uint32_t)h->id[0];
}

uint32_t weir_sim_seat_node(const struct weir_holding *h)
{
    return (uint32_t)(h->id[0] >> 32);
}

static void sweep(struct weir_sim_seats *s, uint64_t now_us)
{
    for (uint32_t i = 0; i < HAND_SEATS && s->index.slots > 0; i++) {
        uint32_t slot = s->_hand++ % s->index.slots;
        struct weir_sim_seat *seat = &s->_seat[slot];
        if (seat->asked_us > 0 && seat->h == NULL && now_us >= seat->asked_us + REST_US) {
            *seat = (struct weir_sim_seat){0};
            weir_sim_index_remove(&s->index, slot);
        }
    }
}

static bool make_room(struct weir_sim_seats *s)
{
    uint32_t room = weir_sim_index_room(&s->index);
    if (room <= s->_room) {
        return true;
    }
    struct weir_sim_seat *seat = weir_realloc(s->_seat, room * sizeof(*seat));
    if (seat == NULL) {
        return false;
    }
    s->_seat = seat;
    s->_room = room;
    return true;
}

static struct weir_holding *take_seat(struct weir_sim_seats *s, uint32_t slot)
{
    struct weir_sim_seat *seat = &s->_seat[slot];
    const struct weir_subject subject = {
        .id = {weir_sim_index_id(&s->index, slot), slot},
        .name = WEIR_STR(""),
        .plan = s->plan,
    };
    const struct weir_subject *one = &subject;
    seat->h = weir_holding_new(&one, 1);
    if (seat->h == NULL) {
        return NULL;
    }
    struct weir_demand *demand = &seat->h->demand;
    demand->noted_us = seat->noted_us;
    for (unsigned m = 0; m < WEIR_METER_TOTAL_TOKENS; m++) {
        demand->used.of[m] = seat->used[m];
        demand->per_life[m] = seat->per_life[m];
    }
    return seat->h;
}

struct weir_holding *weir_sim_seats_get(struct weir_sim_seats *s, uint32_t node, uint32_t key,
                                        uint64_t now_us)
{
    uint64_t id = id_of(node, key);
    uint32_t slot = weir_sim_index_find(&s->index, id);
    if (slot == WEIR_SIM_NO_SLOT) {
        sweep(s, now_us);
        slot = weir_sim_index_add(&s->index, id);
        if (slot == WEIR_SIM_NO_SLOT || !make_room(s)) {
            return NULL;
        }
        s->_seat[slot] = (struct weir_sim_seat){0};
    }
    s->_seat[slot].asked_us = now_us;
    return s->_seat[slot].h != NULL ? s->_seat[slot].h : take_seat(s, slot);
}

struct weir_holding *weir_sim_seats_find(struct weir_sim_seats *s, uint32_t node, uint32_t key)
{
    uint32_t slot = weir_sim_index_find(&s->index, id_of(node, key));
    return slot == WEIR_SIM_NO_SLOT ? NULL : s->_seat[slot].h;
}

void weir_sim_seats_rest(struct weir_sim_seats *s, struct weir_holding *h, uint64_t now_us)
{
    if (!weir_holding_is_idle(h, now_us) || h->_due_at != NULL) {
        return; /* in the wheel: when its turn comes */
    }
    struct weir_sim_seat *seat = &s->_seat[slot_of(h)];
    const struct weir_demand *demand = &h->demand;
    seat->noted_us = demand->noted_us;
    for (unsigned m = 0; m < WEIR_METER_TOTAL_TOKENS; m++) {
        uint64_t used = demand->used.of[m];
        seat->used[m] = used < UINT32_MAX ? (uint32_t)used : UINT32_MAX; /* the average cuts it */
        seat->per_life[m] = demand->per_life[m];
    }
    seat->h = NULL;
    weir_holding_free(h);
}
