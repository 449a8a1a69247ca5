/* SPDX-License-Identifier: Apache-2.0 */
/* adopt.c - another configuration is in force, or was refused: all who wait for that are answered.
 */
#include "admin/internal.h"

static void take_over(struct weir_config **kept, struct weir_config *next)
{
    struct weir_config *before = *kept;
    *kept = weir_config_keep(next);
    weir_config_free(before);
}

void weir_admin_registry(struct weir_admin *a, struct weir_registry *registry,
                         struct weir_config *base, size_t unusable)
{
    a->registry = registry;
    a->base = weir_config_keep(base);
    a->unusable = unusable;
}

void weir_admin_told(struct weir_admin *a, uint64_t number)
{
    a->told = number;
}

void weir_admin_adopt(struct weir_admin *a, const struct weir_admin_changed *changed)
{
    if (changed->next != NULL) {
        take_over(&a->_config, changed->next);
    }
    if (changed->next != NULL && a->registry != NULL) {
        take_over(&a->base, changed->base);
        a->unusable = changed->unusable;
    }
    if (changed->reload) {
        admin_reloaded(a, changed->why);
    }
    if (!changed->reload || changed->next != NULL) {
        admin_edits_adopted(a, changed->told, changed->why);
    }
}
