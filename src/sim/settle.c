/* SPDX-License-Identifier: Apache-2.0 */
/* settle.c - settlements of the simulation: with the next call of the node that reserved, or by a
 * call of their own. */
#include "sim/node.h"

static void amounts_of(const struct weir_sim_event *e, struct weir_amounts *ret_less,
                       struct weir_amounts *ret_more)
{
    struct weir_amounts reserved = weir_amounts(1, e->input, e->reserved);
    struct weir_amounts used = weir_amounts(1, e->input, e->used);
    weir_amounts_settle(&reserved, &used, ret_less, ret_more);
}

/* With the next call for this key, as redis_lease_settle does. False: by a call of its own. */
static bool settle_held(struct weir_sim_world *w, const struct weir_sim_event *e,
                        const struct weir_amounts *less, const struct weir_amounts *more)
{
    struct weir_holding *h = weir_sim_seats_get(&w->seats, e->node, e->key, w->now_us);
    if (h == NULL) {
        w->failed = true;
        return true;
    }
    if (!weir_holding_give_back(h, e->taken_us, less)) {
        return false;
    }
    weir_holding_owe(h, more);
    if (weir_amounts_none(more) && !weir_holding_is_full(h)) {
        weir_sim_watch(w, h);
    } else if (!h->in_flight) {
        weir_sim_send_call(w, h);
    }
    return true;
}

void weir_sim_settle(struct weir_sim_world *w, const struct weir_sim_event *e)
{
    struct weir_amounts less, more;
    struct weir_sim_key *key = weir_sim_shards_find(&w->store, e->key);
    amounts_of(e, &less, &more);
    if (key != NULL) { /* from now on it is not used, wherever it stands */
        weir_sim_lower(&w->store, key, false, e->number,
                       (uint32_t)less.of[WEIR_METER_OUTPUT_TOKENS]);
    }
    w->r->settlements++;
    w->r->debt_tokens += more.of[WEIR_METER_OUTPUT_TOKENS];
    if (!w->o->exact && !w->o->settle_anywhere && settle_held(w, e, &less, &more)) {
        return;
    }
    struct weir_sim_event event = *e;
    event.what = WEIR_SIM_SETTLE_AT_STORE;
    event.at_us = w->now_us + weir_sim_draw(&w->network, w->o->rtt_us) / 2;
    w->r->settle_calls++;
    weir_sim_shards_called(&w->store, e->key);
    weir_sim_soon(w, &event);
}

void weir_sim_settle_at_store(struct weir_sim_world *w, const struct weir_sim_event *e)
{
    struct weir_return back = {.at_us = e->taken_us};
    struct weir_sim_call call = {.back = &back, .backs = 1};
    struct weir_sim_key *key = weir_sim_shards_get(&w->store, e->key, w->now_us);
    amounts_of(e, &back.less, &call.debt);
    w->failed = key == NULL || !weir_sim_charge(key, &w->o->plan, w->now_us, &call) || w->failed;
}

void weir_sim_settle_ideal(struct weir_sim_world *w, const struct weir_sim_event *e)
{
    struct weir_sim_key *key = weir_sim_shards_find(&w->store, e->key);
    if (key != NULL && e->used < e->reserved) {
        weir_sim_lower(&w->store, key, true, e->number, e->reserved - e->used);
    }
}
