/* SPDX-License-Identifier: Apache-2.0 */
/* plan_set.h - the plans of one configuration. They live as long as somebody keeps one of them:
 * what a store holds of a subject outlives the configuration that it comes from. Thread-safe, but
 * for the making. */
#ifndef WEIR_LIMIT_PLAN_SET_H
#define WEIR_LIMIT_PLAN_SET_H

#include <stdatomic.h>

#include "limit/plan.h"

struct weir_plan_set {
    _Atomic uint32_t keepers;
    size_t room;
    struct weir_plan plan[]; /* `room` of them, and behind them as many shares */
};

/* Kept once, by its maker. NULL: no memory. */
struct weir_plan_set *weir_plan_set_new(size_t room);
/* When its plans are complete: they may be kept, and each has its share. */
void weir_plan_set_finish(struct weir_plan_set *set, size_t plans, uint32_t nodes);
/* NULL is allowed. */
void weir_plan_set_let_go(struct weir_plan_set *set);

/* A plan that is of no set lives as its owner says: then these do nothing. NULL is allowed. */
const struct weir_plan *weir_plan_keep(const struct weir_plan *plan);
void weir_plan_let_go(const struct weir_plan *plan);

#endif
