/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/node.h"

#include "base/mem.h"
#include "store/redis/command.h"

_Static_assert((int)WEIR_CALL_ASKS_MAX <= 64, "one bit for each");

uint64_t weir_sim_draw(struct weir_rand *r, struct weir_sim_range range)
{
    return range.low == range.high ? range.low
                                   : range.low + weir_rand_below(r, range.high - range.low + 1);
}

void weir_sim_soon(struct weir_sim_world *w, const struct weir_sim_event *event)
{
    w->failed = !weir_sim_events_add(&w->events, event) || w->failed;
}

/* ---- what waits and flies: kept for the next one ---- */

static struct weir_sim_request *request_new(struct weir_sim_world *w)
{
    struct weir_sim_request *q = w->free_request;
    if (q != NULL) {
        w->free_request = q->next_free;
        return q;
    }
    q = weir_zalloc(sizeof(*q));
    if (q == NULL) {
        w->failed = true;
        return NULL;
    }
    q->next_made = w->made_request;
    w->made_request = q;
    return q;
}

static void request_free(struct weir_sim_world *w, struct weir_sim_request *q)
{
    q->next_free = w->free_request;
    w->free_request = q;
}

static struct weir_sim_flight *flight_new(struct weir_sim_world *w)
{
    struct weir_sim_flight *f = w->free_flight;
    if (f == NULL) {
        f = weir_zalloc(sizeof(*f));
        if (f == NULL) {
            w->failed = true;
            return NULL;
        }
        f->next_made = w->made_flight;
        w->made_flight = f;
    } else {
        w->free_flight = f->next_free;
    }
    f->h = NULL;
    f->alone = NULL;
    f->sent_us = w->now_us;
    f->call = (struct weir_sim_call){0};
    return f;
}

void weir_sim_flight_free(struct weir_sim_world *w, struct weir_sim_flight *f)
{
    f->next_free = w->free_flight;
    w->free_flight = f;
}

/* ---- decisions ---- */

struct weir_amounts weir_sim_stays(const struct weir_sim_world *w, const struct weir_amounts *a,
                                   uint32_t used)
{
    uint64_t output = a->of[WEIR_METER_OUTPUT_TOKENS];
    output = w->o->settles && used < output ? used : output;
    return weir_amounts(1, a->of[WEIR_METER_INPUT_TOKENS], output);
}

void weir_sim_settle_later(struct weir_sim_world *w, enum weir_sim_what what, uint32_t node,
                           uint32_t key, uint64_t taken_us, uint32_t number,
                           const struct weir_amounts *a, uint32_t used)
{
    const struct weir_sim_event event = {
        .at_us = w->now_us + weir_sim_draw(&w->network, w->o->hold_us),
        .taken_us = taken_us,
        .node = node,
        .key = key,
        .number = number,
        .input = (uint32_t)a->of[WEIR_METER_INPUT_TOKENS],
        .reserved = (uint32_t)a->of[WEIR_METER_OUTPUT_TOKENS],
        .used = used,
        .what = what,
    };
    if (w->o->settles) {
        weir_sim_soon(w, &event);
    }
}

uint32_t weir_sim_admit_now(struct weir_sim_world *w, uint32_t key, const struct weir_amounts *a,
                            uint32_t used)
{
    uint32_t number = 0;
    struct weir_amounts rest = weir_sim_stays(w, a, used);
    struct weir_sim_key *k = weir_sim_shards_get(&w->store, key, w->now_us);
    w->failed =
        k == NULL || !weir_sim_admit(&w->store, k, w->now_us, a, &rest, &number) || w->failed;
    return number;
}

static void decided(struct weir_sim_world *w, uint64_t arrived_us, uint32_t key,
                    const struct weir_amounts *a, bool allowed)
{
    w->r->allowed += allowed;
    w->r->denied += !allowed;
    weir_hist_add(&w->r->latency, (w->now_us - arrived_us) * 1000);
    if (w->o->on_decision != NULL) {
        w->o->on_decision(w->o->ctx, arrived_us, key, a, allowed);
    }
}

void weir_sim_answer_request(struct weir_sim_world *w, struct weir_sim_request *q,
                             uint64_t taken_us, bool allowed)
{
    decided(w, q->arrived_us, q->key, &q->call.amounts, allowed);
    if (allowed) {
        weir_sim_settle_later(w, WEIR_SIM_SETTLE, q->node, q->key, taken_us, q->number,
                              &q->call.amounts, q->used);
    }
    request_free(w, q);
}

/* ---- the node ---- */

uint32_t weir_sim_key_of_flight(const struct weir_sim_flight *f)
{
    return f->h != NULL ? weir_sim_seat_key(f->h) : f->alone->key;
}

/* Both ways take half of it. */
static void to_store(struct weir_sim_world *w, struct weir_sim_flight *f)
{
    const struct weir_sim_event event = {
        .at_us = w->now_us + weir_sim_draw(&w->network, w->o->rtt_us) / 2,
        .call = f,
        .what = WEIR_SIM_AT_STORE,
    };
    w->r->lease_calls++;
    weir_sim_shards_called(&w->store, weir_sim_key_of_flight(f));
    weir_sim_soon(w, &event);
}

static void lapse(struct weir_sim_world *w, struct weir_holding *h)
{
    if (!weir_lease_is_empty(&h->lease)) {
        weir_holding_lapse(h);
        w->r->returns++;
    }
}

void weir_sim_send_call(struct weir_sim_world *w, struct weir_holding *h)
{
    struct weir_sim_flight *f = flight_new(w);
    unsigned asks = 0;
    if (f == NULL) {
        return;
    }
    for (const struct weir_call *c = h->waiting; c != NULL && asks < WEIR_CALL_ASKS_MAX;
         c = c->next) {
        asks++;
    }
    if (asks > 0) {
        lapse(w, h);
        f->call.want = weir_demand_want(&h->demand, h->meters, w->now_us, h->life_us);
    }
    f->h = h;
    memcpy(f->back, h->back, sizeof(f->back));
    f->call.backs = h->backs;
    f->call.debt = h->debt;
    weir_holding_sent(h, asks);
    to_store(w, f);
}

void weir_sim_watch(struct weir_sim_world *w, struct weir_holding *h)
{
    if (!weir_lease_is_empty(&h->lease)) {
        weir_holdings_due(&w->seats.wheel, h, w->now_us, h->lease.until_us);
    }
    if (weir_holding_has_news(h)) {
        weir_holdings_due(&w->seats.wheel, h, w->now_us, w->now_us + h->life_us);
    }
}

void weir_sim_tick(struct weir_sim_world *w)
{
    struct weir_holding *h;
    while (!w->failed && (h = weir_holdings_next_due(&w->seats.wheel, w->now_us)) != NULL) {
        if (w->now_us >= h->lease.until_us) {
            lapse(w, h);
        }
        bool tells = weir_holding_must_tell(h);
        if (tells && !h->in_flight) {
            weir_sim_send_call(w, h);
        } else if (!tells) {
            weir_sim_watch(w, h);
            weir_sim_seats_rest(&w->seats, h, w->now_us);
        }
    }
}

static void wait_for_store(struct weir_sim_world *w, struct weir_holding *h, uint32_t node,
                           uint32_t key, const struct weir_amounts *a, uint32_t used)
{
    struct weir_sim_request *q = request_new(w);
    struct weir_sim_flight *f = q != NULL && h == NULL ? flight_new(w) : NULL;
    if (w->failed) {
        return;
    }
    q->call.amounts = *a;
    q->call.next = NULL;
    q->arrived_us = w->now_us;
    q->node = node;
    q->key = key;
    q->used = used;
    if (f != NULL) {
        f->alone = q;
        to_store(w, f);
        return;
    }
    weir_holding_wait(h, &q->call);
    if (!h->in_flight) {
        weir_sim_send_call(w, h);
    }
}

void weir_sim_ask(struct weir_sim_world *w, uint32_t node, uint32_t key,
                  const struct weir_amounts *a, uint32_t used)
{
    struct weir_decision d;
    if (w->o->exact) {
        wait_for_store(w, NULL, node, key, a, used);
        return;
    }
    struct weir_holding *h = weir_sim_seats_get(&w->seats, node, key, w->now_us);
    if (h == NULL) {
        w->failed = true;
        return;
    }
    switch (weir_holding_ask(h, w->now_us, w->now_us, a, &d)) {
    case WEIR_HELD_ALLOWED:
        w->r->lease_hits++;
        decided(w, w->now_us, key, a, true);
        weir_sim_settle_later(w, WEIR_SIM_SETTLE, node, key, d.at_us,
                              weir_sim_admit_now(w, key, a, used), a, used);
        break;
    case WEIR_HELD_DENIED:
        w->r->remembered_denials++;
        decided(w, w->now_us, key, a, false);
        break;
    case WEIR_HELD_ASK_STORE:
        wait_for_store(w, h, node, key, a, used);
        break;
    }
}

static void on_look(struct weir_sim_world *w, const struct weir_sim_event *e)
{
    struct weir_holding *h = weir_sim_seats_find(&w->seats, e->node, e->key);
    if (h != NULL) {
        weir_sim_seats_rest(&w->seats, h, w->now_us);
    }
}

void weir_sim_happen(struct weir_sim_world *w, const struct weir_sim_event *e)
{
    switch (e->what) {
    case WEIR_SIM_AT_STORE:
        weir_sim_at_store(w, e->call);
        break;
    case WEIR_SIM_ANSWER:
        weir_sim_answered(w, e->call);
        break;
    case WEIR_SIM_SETTLE:
        weir_sim_settle(w, e);
        break;
    case WEIR_SIM_SETTLE_AT_STORE:
        weir_sim_settle_at_store(w, e);
        break;
    case WEIR_SIM_SETTLE_IDEAL:
        weir_sim_settle_ideal(w, e);
        break;
    case WEIR_SIM_LOOK:
        on_look(w, e);
        break;
    }
}

uint64_t weir_sim_next_tick_us(const struct weir_sim_world *w)
{
    return w->seats.wheel.dues == 0
               ? UINT64_MAX
               : (w->now_us / WEIR_HOLDINGS_TICK_US + 1) * WEIR_HOLDINGS_TICK_US;
}

void weir_sim_free(struct weir_sim_world *w)
{
    for (struct weir_sim_flight *f; (f = w->made_flight) != NULL;) {
        w->made_flight = f->next_made;
        weir_free(f->value.data);
        weir_free(f);
    }
    for (struct weir_sim_request *q; (q = w->made_request) != NULL;) {
        w->made_request = q->next_made;
        weir_free(q);
    }
    weir_sim_events_deinit(&w->events);
    weir_sim_seats_deinit(&w->seats);
    weir_sim_shards_deinit(&w->store);
}
