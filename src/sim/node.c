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

static void soon(struct weir_sim_world *w, const struct weir_sim_event *event)
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

static void flight_free(struct weir_sim_world *w, struct weir_sim_flight *f)
{
    f->next_free = w->free_flight;
    w->free_flight = f;
}

/* ---- decisions ---- */

/* What stands of it in the end. */
struct weir_amounts weir_sim_stays(const struct weir_sim_world *w, const struct weir_amounts *a,
                                   uint32_t used)
{
    uint64_t output = a->of[WEIR_METER_OUTPUT_TOKENS];
    output = w->o->settles && used < output ? used : output;
    return weir_amounts(1, a->of[WEIR_METER_INPUT_TOKENS], output);
}

/* An answer begins with the decision; when it is complete it is settled. */
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
        soon(w, &event);
    }
}

/* The charge is made now: at the store, or out of a lease. */
static uint32_t admit(struct weir_sim_world *w, uint32_t key, const struct weir_amounts *a,
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

static void answer_request(struct weir_sim_world *w, struct weir_sim_request *q, uint64_t taken_us,
                           bool allowed)
{
    decided(w, q->arrived_us, q->key, &q->call.amounts, allowed);
    if (allowed) {
        weir_sim_settle_later(w, WEIR_SIM_SETTLE, q->node, q->key, taken_us, q->number,
                              &q->call.amounts, q->used);
    }
    request_free(w, q);
}

/* ---- the node ---- */

static uint32_t key_of_flight(const struct weir_sim_flight *f)
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
    weir_sim_shards_called(&w->store, key_of_flight(f));
    soon(w, &event);
}

static void lapse(struct weir_sim_world *w, struct weir_holding *h)
{
    if (!weir_lease_is_empty(&h->lease)) {
        weir_holding_lapse(h);
        w->r->returns++;
    }
}

static void send_call(struct weir_sim_world *w, struct weir_holding *h)
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

static void watch(struct weir_sim_world *w, struct weir_holding *h)
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
            send_call(w, h);
        } else if (!tells) {
            watch(w, h);
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
        send_call(w, h);
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
        weir_sim_settle_later(w, WEIR_SIM_SETTLE, node, key, d.at_us, admit(w, key, a, used), a,
                              used);
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

/* ---- the call ---- */

static struct weir_sim_request *request_of(const struct weir_call *call)
{
    return (struct weir_sim_request *)((char *)(uintptr_t)call -
                                       offsetof(struct weir_sim_request, call));
}

static void copy_value(struct weir_sim_world *w, struct weir_sim_flight *f,
                       const struct weir_value *value)
{
    uint32_t room = value->len + WEIR_VALUE_SLACK;
    if (f->value.room < room) {
        uint8_t *data = weir_realloc(f->value.data, room);
        if (data == NULL) {
            w->failed = true;
            return;
        }
        f->value.data = data;
        f->value.room = room;
    }
    if (value->len > 0) {
        memcpy(f->value.data, value->data, value->len);
    }
    f->value.len = value->len;
}

static void at_store(struct weir_sim_world *w, struct weir_sim_flight *f)
{
    struct weir_sim_key *key = weir_sim_shards_get(&w->store, key_of_flight(f), w->now_us);
    f->call.ask = f->h != NULL ? f->h->flying : &f->alone->call;
    f->call.back = f->back;
    if (key == NULL || !weir_sim_charge(key, &w->o->plan, w->now_us, &f->call)) {
        w->failed = true;
        return;
    }
    if (!f->call.all) {
        copy_value(w, f, &key->value);
    }
    unsigned i = 0;
    for (const struct weir_call *c = f->call.ask; c != NULL; c = c->next, i++) {
        if (f->call.granted >> i & 1) {
            struct weir_sim_request *q = request_of(c);
            q->number = admit(w, q->key, &c->amounts, q->used);
        }
    }
    uint64_t way_us = w->now_us - f->sent_us; /* an odd microsecond is lost */
    const struct weir_sim_event event = {
        .at_us = w->now_us + way_us, .call = f, .what = WEIR_SIM_ANSWER};
    soon(w, &event);
}

static void deny_flying(struct weir_sim_world *w, struct weir_holding *h,
                        const struct weir_sim_flight *f, struct weir_call *call)
{
    w->r->unexplained += h->denied_until_us == 0 ||
                         !weir_holding_denies(h, f->call.at_us, &call->amounts, &call->decision);
}

static void decide_flying(struct weir_sim_world *w, struct weir_sim_flight *f)
{
    struct weir_holding *h = f->h;
    if (f->call.all) {
        h->denied_until_us = 0;
    } else {
        struct weir_str value = weir_str((const char *)f->value.data, f->value.len);
        w->failed = !weir_holding_remember(h, &value, f->call.at_us, w->now_us) || w->failed;
        const struct weir_sim_event event = {.at_us = h->denied_until_us,
                                             .node = weir_sim_seat_node(h),
                                             .key = weir_sim_seat_key(h),
                                             .what = WEIR_SIM_LOOK};
        soon(w, &event);
    }
    weir_holding_grant(h, f->call.at_us, f->sent_us, &f->call.ahead);
    h->lease.until_us += w->o->overstay_us;
    unsigned i = 0;
    for (struct weir_call *call = h->flying; call != NULL; call = call->next, i++) {
        if (f->call.granted >> i & 1) {
            weir_demand_add(&h->demand, &call->amounts);
        } else {
            deny_flying(w, h, f, call);
        }
    }
}

/* Those that came while the call was under way, as far as its answer decides them, too. */
static void serve_waiting(struct weir_sim_world *w, struct weir_holding *h)
{
    struct weir_call *call = weir_holding_serve(h, w->now_us, w->now_us), *next;
    for (; call != NULL; call = next) {
        struct weir_sim_request *q = request_of(call);
        bool allowed = call->decision.allowed;
        next = call->next;
        w->r->lease_hits += allowed;
        w->r->remembered_denials += !allowed;
        q->number = allowed ? admit(w, q->key, &call->amounts, q->used) : 0;
        answer_request(w, q, call->decision.at_us, allowed);
    }
}

/* As redis_lease.c's. */
static void land(struct weir_sim_world *w, struct weir_sim_flight *f)
{
    struct weir_holding *h = f->h;
    unsigned i = 0;
    for (struct weir_call *call = weir_holding_landed(h, true), *next; call != NULL; call = next) {
        next = call->next;
        answer_request(w, request_of(call), f->call.at_us, f->call.granted >> i++ & 1);
    }
    serve_waiting(w, h);
    h->in_flight = false;
    if (h->waiting != NULL || !weir_amounts_none(&h->debt)) {
        send_call(w, h);
    } else {
        watch(w, h);
        weir_sim_seats_rest(&w->seats, h, w->now_us);
    }
}

static void on_answer(struct weir_sim_world *w, struct weir_sim_flight *f)
{
    if (f->h == NULL) {
        answer_request(w, f->alone, f->call.at_us, f->call.granted & 1);
    } else {
        if (f->h->flights > 0) {
            decide_flying(w, f);
        }
        land(w, f);
    }
    flight_free(w, f);
}

/* ---- settling ---- */

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
        watch(w, h);
    } else if (!h->in_flight) {
        send_call(w, h);
    }
    return true;
}

static void on_settle(struct weir_sim_world *w, const struct weir_sim_event *e)
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
    soon(w, &event);
}

static void on_settle_at_store(struct weir_sim_world *w, const struct weir_sim_event *e)
{
    struct weir_return back = {.at_us = e->taken_us};
    struct weir_sim_call call = {.back = &back, .backs = 1};
    struct weir_sim_key *key = weir_sim_shards_get(&w->store, e->key, w->now_us);
    amounts_of(e, &back.less, &call.debt);
    w->failed = key == NULL || !weir_sim_charge(key, &w->o->plan, w->now_us, &call) || w->failed;
}

static void on_settle_ideal(struct weir_sim_world *w, const struct weir_sim_event *e)
{
    struct weir_sim_key *key = weir_sim_shards_find(&w->store, e->key);
    if (key != NULL && e->used < e->reserved) {
        weir_sim_lower(&w->store, key, true, e->number, e->reserved - e->used);
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
        at_store(w, e->call);
        break;
    case WEIR_SIM_ANSWER:
        on_answer(w, e->call);
        break;
    case WEIR_SIM_SETTLE:
        on_settle(w, e);
        break;
    case WEIR_SIM_SETTLE_AT_STORE:
        on_settle_at_store(w, e);
        break;
    case WEIR_SIM_SETTLE_IDEAL:
        on_settle_ideal(w, e);
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
