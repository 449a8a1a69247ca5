/* SPDX-License-Identifier: Apache-2.0 */
/* ledger.h - the requests of one key that were admitted, each at its very moment: what holds the
 * packed windows and the leases to guarantee 1, and what they are compared with. It knows of no
 * steps and no lives. Pure but for memory. One owner.
 *
 * What stands at the moment of an admission in the window that ends there is never less than what
 * any window with that admission as its last holds in the end, since settling only lowers. So it is
 * enough to look at each admission once. */
#ifndef WEIR_SIM_LEDGER_H
#define WEIR_SIM_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "limit/plan.h"

/* Half-open windows that end now, both shifted so that a request at its start is out. */
struct weir_sim_span {
    uint64_t input, output; /* what stands in it */
    uint32_t requests;      /* the newest so many are in it */
};

struct weir_sim_entry {
    uint32_t at_us; /* since the beginning of the simulation */
    uint32_t input, output;
};

struct weir_sim_ledger {
    struct weir_sim_entry *_entry; /* a ring */
    uint32_t _room, _head, _count;
    uint32_t _added; /* the number that the next one gets */
};

/* Zeroed is empty, and so are its spans: one for each window of the plan, kept by the caller. */
void weir_sim_ledger_deinit(struct weir_sim_ledger *l);
/* Lets those out that a window is over for. */
void weir_sim_ledger_expire(struct weir_sim_ledger *l, struct weir_sim_span *span,
                            const struct weir_plan *plan, uint32_t now_us);
/* Whether one more request fits beside what stands; it is brought to the present. */
bool weir_sim_ledger_fits(const struct weir_sim_span *span, const struct weir_plan *plan,
                          const struct weir_amounts *a);
/* One request. False: no memory. */
bool weir_sim_ledger_add(struct weir_sim_ledger *l, struct weir_sim_span *span,
                         const struct weir_plan *plan, uint32_t now_us,
                         const struct weir_amounts *a, uint32_t *ret_number);
/* Takes output tokens out of a request, where it still stands. */
void weir_sim_ledger_lower(struct weir_sim_ledger *l, struct weir_sim_span *span,
                           const struct weir_plan *plan, uint32_t number, uint32_t output_less);
/* What stands in the span of a meter. */
uint64_t weir_sim_span_of(const struct weir_sim_span *span, enum weir_meter meter);

#endif
