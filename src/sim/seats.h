/* SPDX-License-Identifier: Apache-2.0 */
/* seats.h - what all nodes hold of all keys. A holding (store/holding.h) has a kilobyte: while it
 * holds nothing, only how fast the node uses the key is kept, and that as long as a worker keeps
 * it. One owner. */
#ifndef WEIR_SIM_SEATS_H
#define WEIR_SIM_SEATS_H

#include "sim/index.h"
#include "store/holding.h"
#include "store/holdings.h"

struct weir_sim_seat {
    struct weir_holding *h; /* NULL: it holds nothing */
    uint64_t asked_us;      /* 0: free */
    uint64_t noted_us;      /* its demand while h is NULL */
    uint64_t per_life[WEIR_METER_TOTAL_TOKENS];
    uint32_t used[WEIR_METER_TOTAL_TOKENS];
};

struct weir_sim_seats {
    const struct weir_plan *plan;
    struct weir_sim_index index;
    struct weir_holdings wheel; /* of those that have something to do later; it holds nothing */
    struct weir_sim_seat *_seat;
    uint32_t _room, _hand;
};

WEIR_MUSTCHECK enum weir_err weir_sim_seats_init(struct weir_sim_seats *s,
                                                 const struct weir_plan *plan);
void weir_sim_seats_deinit(struct weir_sim_seats *s);
/* The holding of a node for a key, as a worker finds it when a request comes. NULL: no memory. */
struct weir_holding *weir_sim_seats_get(struct weir_sim_seats *s, uint32_t node, uint32_t key,
                                        uint64_t now_us);
/* NULL: it holds nothing. */
struct weir_holding *weir_sim_seats_find(struct weir_sim_seats *s, uint32_t node, uint32_t key);
uint32_t weir_sim_seat_key(const struct weir_holding *h);
uint32_t weir_sim_seat_node(const struct weir_holding *h);
/* Frees the holding if nothing is lost by it. */
void weir_sim_seats_rest(struct weir_sim_seats *s, struct weir_holding *h, uint64_t now_us);

#endif
