/* SPDX-License-Identifier: Apache-2.0 */
/* own_limits.c - what the registry gives one key, team or org beside its plan: limits of its own,
 * in place of those of the plan for the same meter and length of time, and grants, which raise a
 * limit until a moment. */
#include "config/overlay.h"

#include "config/parse.h"

static struct weir_limit *find(struct plan_draft *d, enum weir_meter meter, uint64_t window_s)
{
    for (size_t i = 0; i < d->limits; i++) {
        if (d->limit[i].meter == meter && d->limit[i].window_s == window_s) {
            return &d->limit[i];
        }
    }
    return NULL;
}

/* ---- limits ---- */

/* One of those of `d`, now or in shadow as `own` has it. */
static enum weir_err lay_limit(struct parse *p, const struct node *n, struct plan_draft *d,
                               const struct plan_draft *own, size_t i)
{
    struct weir_limit *limit = find(d, own->limit[i].meter, own->limit[i].window_s);
    if (limit == NULL && d->limits == WEIR_PLAN_LIMITS_MAX) {
        return weir_parse_fail(p, n, "limits: at most %d with those of the plan",
                               WEIR_PLAN_LIMITS_MAX);
    }
    if (limit == NULL) {
        limit = &d->limit[d->limits++];
    }
    *limit = own->limit[i];
    d->in_shadow[limit - d->limit] = own->in_shadow[i];
    return WEIR_OK;
}

static enum weir_err lay_limits(struct parse *p, const struct node *n, struct plan_draft *d)
{
    struct plan_draft own = {0};
    WEIR_TRY(weir_parse_mapping(p, n, weir_limit_field, &own));
    for (size_t i = 0; i < own.limits; i++) {
        WEIR_TRY(lay_limit(p, n, d, &own, i));
    }
    return WEIR_OK;
}

/* ---- grants ---- */

struct grants {
    struct plan_draft *d;
    uint64_t now_ms, *next_ms;
    uint64_t meter, window_s, amount, until_ms; /* of the one that is read */
    bool has_meter;
};

static enum weir_err grant_field(struct parse *p, struct weir_str key, const struct node *value,
                                 void *ctx)
{
    struct grants *g = ctx;
    if (weir_str_eq(key, WEIR_STR("meter"))) {
        struct weir_str name;
        enum weir_meter meter;
        WEIR_TRY(weir_parse_scalar(p, value, "a meter", &name));
        g->has_meter = weir_meter_parse(name, &meter) == WEIR_OK;
        g->meter = g->has_meter ? meter : 0;
        return g->has_meter ? WEIR_OK : weir_parse_fail(p, value, "meter: expected a meter");
    }
    if (weir_str_eq(key, WEIR_STR("window_s"))) {
        return weir_parse_number(p, value, 1, WEIR_WINDOW_S_MAX, &g->window_s);
    }
    if (weir_str_eq(key, WEIR_STR("amount"))) {
        return weir_parse_number(p, value, 1, WEIR_AMOUNT_MAX, &g->amount);
    }
    if (weir_str_eq(key, WEIR_STR("until_ms"))) {
        return weir_parse_number(p, value, 1, UINT64_C(1) << 53, &g->until_ms);
    }
    return weir_parse_unknown(p, value, "a grant; expected meter, window_s, amount and until_ms");
}

static enum weir_err grant_item(struct parse *p, const struct node *n, void *ctx)
{
    struct grants *g = ctx;
    g->has_meter = false;
    g->window_s = g->amount = g->until_ms = 0;
    WEIR_TRY(weir_parse_mapping(p, n, grant_field, g));
    if (!g->has_meter || g->window_s == 0 || g->amount == 0 || g->until_ms == 0) {
        return weir_parse_fail(p, n, "grants: expected meter, window_s, amount and until_ms");
    }
    struct weir_limit *limit = find(g->d, (enum weir_meter)g->meter, g->window_s);
    if (limit == NULL || g->until_ms <= g->now_ms) {
        return WEIR_OK;
    }
    uint64_t room = WEIR_AMOUNT_MAX - limit->capacity;
    limit->capacity += g->amount < room ? g->amount : room;
    *g->next_ms = g->until_ms < *g->next_ms ? g->until_ms : *g->next_ms;
    return WEIR_OK;
}

/* ---- */

enum weir_err weir_own_plan(struct parse *p, const struct weir_own *own, const struct weir_plan *of,
                            uint64_t now_ms, uint64_t *next_ms, struct weir_plan *ret_plan)
{
    struct plan_draft d = of == NULL ? weir_plan_draft() : weir_plan_draft_of(of);
    struct grants g = {.d = &d, .now_ms = now_ms, .next_ms = next_ms};
    const struct node limits = {.at = own->limits, .name = "limits"};
    const struct node grants = {.at = own->grants, .name = "grants"};
    if (own->limits != NULL) {
        WEIR_TRY(lay_limits(p, &limits, &d));
    }
    if (own->grants != NULL) {
        WEIR_TRY(weir_parse_list(p, &grants, grant_item, &g));
    }
    return weir_plan_of_draft(p, NULL, &d, weir_str_z(of == NULL ? "" : of->name), ret_plan);
}
