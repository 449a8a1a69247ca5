/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/plan_set.h"

#include "base/mem.h"

struct weir_plan_set *weir_plan_set_new(size_t room)
{
    if (room > SIZE_MAX / sizeof(struct weir_plan) / 2 - 1) {
        return NULL;
    }
    struct weir_plan_set *set =
        weir_zalloc(sizeof(struct weir_plan_set) + 2 * room * sizeof(struct weir_plan));
    if (set != NULL) {
        atomic_init(&set->keepers, 1);
        set->room = room;
    }
    return set;
}

void weir_plan_set_finish(struct weir_plan_set *set, size_t plans, uint32_t nodes)
{
    for (size_t i = 0; i < plans; i++) {
        struct weir_plan *plan = &set->plan[i], *share = &set->plan[set->room + i];
        plan->set = set;
        weir_plan_share(plan, nodes, share);
        plan->share = share;
    }
}

void weir_plan_set_let_go(struct weir_plan_set *set)
{
    /* the last one sees what all others have done with it */
    if (set != NULL && atomic_fetch_sub_explicit(&set->keepers, 1, memory_order_acq_rel) == 1) {
        weir_free(set);
    }
}

const struct weir_plan *weir_plan_keep(const struct weir_plan *plan)
{
    if (plan != NULL && plan->set != NULL) {
        atomic_fetch_add_explicit(&plan->set->keepers, 1, memory_order_relaxed);
    }
    return plan;
}

void weir_plan_let_go(const struct weir_plan *plan)
{
    if (plan != NULL) {
        weir_plan_set_let_go(plan->set);
    }
}
