/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.h - what weir_config_overlay is made of. Private to config. */
#ifndef WEIR_CONFIG_OVERLAY_H
#define WEIR_CONFIG_OVERLAY_H

#include "config/parse.h"

enum { WEIR_OVERLAY_OWN_MAX = 10000 }; /* plans of single subjects that are not alike */

/* Room for what entries may add. */
struct weir_overlay_room {
    size_t plans, orgs, teams, keys;
    size_t own; /* plans of single subjects */
};

/* Everything of `base` as a snapshot of its own, with room for more. *ret_config is to be freed in
 * any case, if it is not NULL. */
WEIR_MUSTCHECK enum weir_err weir_overlay_copy(const struct weir_config *base,
                                               const struct weir_overlay_room *room,
                                               struct weir_config **ret_config);

/* The plans of single subjects: those that are alike are one. */
struct weir_own_plans {
    struct weir_plan *plan; /* behind the named ones; there is room for one more */
    size_t count, room;
    struct weir_index index;
};

WEIR_MUSTCHECK enum weir_err weir_own_plans_init(struct weir_own_plans *o, size_t room);
void weir_own_plans_deinit(struct weir_own_plans *o);
/* One like plan[count], which it may be itself until weir_own_plans_add. NULL: there are too many.
 */
const struct weir_plan *weir_own_plans_like(const struct weir_own_plans *o);
void weir_own_plans_add(struct weir_own_plans *o);

/* An entry's fields for one subject alone; NULL: it has none. */
struct weir_own {
    const struct weir_yaml_node *limits, *grants;
};

/* The subject's own plan over `of` (NULL: it has none). *next_ms becomes smaller when a grant ends
 * before. */
WEIR_MUSTCHECK enum weir_err weir_own_plan(struct parse *p, const struct weir_own *own,
                                           const struct weir_plan *of, uint64_t now_ms,
                                           uint64_t *next_ms, struct weir_plan *ret_plan);

#endif
