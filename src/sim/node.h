/* SPDX-License-Identifier: Apache-2.0 */
/* node.h - a simulation while it runs, as its parts share it, and its nodes: what redis_lease.c
 * does around a holding, with events in the place of sockets. Private to sim.
 *   node.c    requests as they come, decisions, what a node sends
 *   call.c    a call at the store, and its answer
 *   settle.c  settlements */
#ifndef WEIR_SIM_NODE_H
#define WEIR_SIM_NODE_H

#include "base/rand.h"
#include "base/zipf.h"
#include "sim/events.h"
#include "sim/seats.h"
#include "sim/world.h"

/* A request that waits for the store. */
struct weir_sim_request {
    struct weir_call call;
    struct weir_sim_request *next_free, *next_made;
    uint64_t arrived_us;
    uint32_t node, key, used;
    uint32_t number; /* in the key's ledger, once it is granted */
};

/* A call under way. */
struct weir_sim_flight {
    struct weir_sim_flight *next_free, *next_made;
    struct weir_holding *h;         /* NULL: one request, in exact mode */
    struct weir_sim_request *alone; /* that one */
    uint64_t sent_us;
    struct weir_sim_call call;
    struct weir_return back[WEIR_HOLDING_BACK_MAX];
    struct weir_value value; /* after it, when a request was denied */
};

struct weir_sim_world {
    const struct weir_sim_options *o;
    struct weir_sim_result *r;
    struct weir_sim_shards store;
    struct weir_sim_seats seats;
    struct weir_sim_events events;
    struct weir_zipf zipf;
    struct weir_rand clients, network; /* of their own: both modes see the same requests */
    struct weir_sim_request *free_request, *made_request;
    struct weir_sim_flight *free_flight, *made_flight;
    uint64_t now_us;
    bool failed; /* no memory */
};

/* ---- node.c ---- */

/* Evenly. */
uint64_t weir_sim_draw(struct weir_rand *r, struct weir_sim_range range);
/* A request has come to a node: it is decided, now or when the store has answered. */
void weir_sim_ask(struct weir_sim_world *w, uint32_t node, uint32_t key,
                  const struct weir_amounts *a, uint32_t used);
/* What stands of a request in the end. */
struct weir_amounts weir_sim_stays(const struct weir_sim_world *w, const struct weir_amounts *a,
                                   uint32_t used);
/* A reservation that was just made is going to be settled, by `what`: an answer begins with the
 * decision, and is complete later. */
void weir_sim_settle_later(struct weir_sim_world *w, enum weir_sim_what what, uint32_t node,
                           uint32_t key, uint64_t taken_us, uint32_t number,
                           const struct weir_amounts *a, uint32_t used);
void weir_sim_happen(struct weir_sim_world *w, const struct weir_sim_event *e);
/* Looks at what is due; when that is next, if anything is. */
void weir_sim_tick(struct weir_sim_world *w);
uint64_t weir_sim_next_tick_us(const struct weir_sim_world *w);
/* Whatever was under way. */
void weir_sim_free(struct weir_sim_world *w);
/* It happens at its moment. */
void weir_sim_soon(struct weir_sim_world *w, const struct weir_sim_event *event);
/* A charge is made now: at the store, or out of a lease. Returns its number in the key's ledger. */
uint32_t weir_sim_admit_now(struct weir_sim_world *w, uint32_t key, const struct weir_amounts *a,
                            uint32_t used);
/* The request, which is over then, was decided. */
void weir_sim_answer_request(struct weir_sim_world *w, struct weir_sim_request *q,
                             uint64_t taken_us, bool allowed);
uint32_t weir_sim_key_of_flight(const struct weir_sim_flight *f);
/* Those that wait in it, and what it has to tell. */
void weir_sim_send_call(struct weir_sim_world *w, struct weir_holding *h);
/* It is looked at when there is something to do. */
void weir_sim_watch(struct weir_sim_world *w, struct weir_holding *h);
void weir_sim_flight_free(struct weir_sim_world *w, struct weir_sim_flight *f);

/* ---- call.c ---- */

void weir_sim_at_store(struct weir_sim_world *w, struct weir_sim_flight *f);
void weir_sim_answered(struct weir_sim_world *w, struct weir_sim_flight *f);

/* ---- settle.c: events ---- */

void weir_sim_settle(struct weir_sim_world *w, const struct weir_sim_event *e);
void weir_sim_settle_at_store(struct weir_sim_world *w, const struct weir_sim_event *e);
/* In the ledger that leases are compared with. */
void weir_sim_settle_ideal(struct weir_sim_world *w, const struct weir_sim_event *e);

#endif
