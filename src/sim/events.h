/* SPDX-License-Identifier: Apache-2.0 */
/* events.h - what is going to happen, by its moment; of one moment in the order in which it was
 * said. One owner. */
#ifndef WEIR_SIM_EVENTS_H
#define WEIR_SIM_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

enum weir_sim_what {
    WEIR_SIM_AT_STORE,        /* a call reaches the store */
    WEIR_SIM_ANSWER,          /* its answer reaches the node */
    WEIR_SIM_SETTLE,          /* an answer is complete: its reservation is settled */
    WEIR_SIM_SETTLE_AT_STORE, /* by a call of its own */
    WEIR_SIM_SETTLE_IDEAL,    /* the same in the ledger that leases are compared with */
    WEIR_SIM_LOOK,            /* whether a node may let go of a key */
};

struct weir_sim_event {
    uint64_t at_us;
    uint64_t _order;
    void *call; /* AT_STORE, ANSWER */
    /* The others. */
    uint64_t taken_us; /* the store's moment of the reservation */
    uint32_t node, key;
    uint32_t number; /* in the key's ledger */
    uint32_t input, reserved, used;
    enum weir_sim_what what;
};

struct weir_sim_events {
    struct weir_sim_event *_event; /* a heap */
    uint64_t _count, _room, _order;
};

/* Zeroed is empty. */
void weir_sim_events_deinit(struct weir_sim_events *q);
/* False: no memory. */
bool weir_sim_events_add(struct weir_sim_events *q, const struct weir_sim_event *event);
/* UINT64_MAX: nothing. */
uint64_t weir_sim_events_next_us(const struct weir_sim_events *q);
/* The next one; there is one. */
struct weir_sim_event weir_sim_events_take(struct weir_sim_events *q);

#endif
