/* SPDX-License-Identifier: Apache-2.0 */
/* own_plans.c - plans of single subjects, each kept once: an operator who gives each key limits of
 * its own gives most of them the same. */
#include "config/overlay.h"

/* What tells such plans apart: all else they have from the plan of this name. */
struct content {
    char name[sizeof(((struct weir_plan *)NULL)->name)];
    uint64_t window[WEIR_PLAN_WINDOWS_MAX][2 + WEIR_METERS];
};

static struct weir_str content_of(const struct weir_plan *plan, struct content *c)
{
    memset(c, 0, sizeof(*c));
    snprintf(c->name, sizeof(c->name), "%s", plan->name);
    for (unsigned i = 0; i < plan->windows; i++) {
        const struct weir_window_spec *w = &plan->window[i];
        c->window[i][0] = w->window_s;
        c->window[i][1] = (uint64_t)w->mask << 8 | w->shadow;
        memcpy(&c->window[i][2], w->stated, w->meters * sizeof(w->stated[0]));
    }
    return weir_str((const char *)c, sizeof(*c));
}

enum weir_err weir_own_plans_init(struct weir_own_plans *o, size_t room)
{
    *o = (struct weir_own_plans){.room = room};
    return weir_index_init(&o->index, room);
}

void weir_own_plans_deinit(struct weir_own_plans *o)
{
    weir_index_deinit(&o->index);
}

const struct weir_plan *weir_own_plans_like(const struct weir_own_plans *o)
{
    struct content content, other;
    const struct weir_plan *plan = &o->plan[o->count];
    struct weir_str text = content_of(plan, &content);
    uint32_t at = weir_index_first(&o->index, text), number;
    while ((number = weir_index_next(&o->index, &at)) != 0) {
        if (weir_str_eq(content_of(&o->plan[number - 1], &other), text)) {
            return &o->plan[number - 1];
        }
    }
    return o->count < o->room ? plan : NULL;
}

void weir_own_plans_add(struct weir_own_plans *o)
{
    struct content content;
    struct weir_str text = content_of(&o->plan[o->count], &content);
    weir_index_add(&o->index, text, (uint32_t)++o->count);
}
