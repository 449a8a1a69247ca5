/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - a call of the simulation: what it does at the store, and what its answer does at the
 * node, as redis_granted.c has it. */
#include "base/mem.h"
#include "sim/node.h"

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

void weir_sim_at_store(struct weir_sim_world *w, struct weir_sim_flight *f)
{
    struct weir_sim_key *key = weir_sim_shards_get(&w->store, weir_sim_key_of_flight(f), w->now_us);
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
            q->number = weir_sim_admit_now(w, q->key, &c->amounts, q->used);
        }
    }
    uint64_t way_us = w->now_us - f->sent_us; /* an odd microsecond is lost */
    const struct weir_sim_event event = {
        .at_us = w->now_us + way_us, .call = f, .what = WEIR_SIM_ANSWER};
    weir_sim_soon(w, &event);
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
        weir_sim_soon(w, &event);
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
        q->number = allowed ? weir_sim_admit_now(w, q->key, &call->amounts, q->used) : 0;
        weir_sim_answer_request(w, q, call->decision.at_us, allowed);
    }
}

/* As redis_granted.c's. */
static void land(struct weir_sim_world *w, struct weir_sim_flight *f)
{
    struct weir_holding *h = f->h;
    unsigned i = 0;
    for (struct weir_call *call = weir_holding_landed(h, true), *next; call != NULL; call = next) {
        next = call->next;
        weir_sim_answer_request(w, request_of(call), f->call.at_us, f->call.granted >> i++ & 1);
    }
    serve_waiting(w, h);
    h->in_flight = false;
    if (h->waiting != NULL || !weir_amounts_none(&h->debt)) {
        weir_sim_send_call(w, h);
    } else {
        weir_sim_watch(w, h);
        weir_sim_seats_rest(&w->seats, h, w->now_us);
    }
}

void weir_sim_answered(struct weir_sim_world *w, struct weir_sim_flight *f)
{
    if (f->h == NULL) {
        weir_sim_answer_request(w, f->alone, f->call.at_us, f->call.granted & 1);
    } else {
        if (f->h->flights > 0) {
            decide_flying(w, f);
        }
        land(w, f);
    }
    weir_sim_flight_free(w, f);
}
