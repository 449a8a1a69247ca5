/* SPDX-License-Identifier: Apache-2.0 */
/* reserve.c - what is reserved for an output, and what its answer teaches. */
#include "service/reserve.h"

enum { PERMILLE = 1000 };

const uint32_t weir_used_bound_permille[WEIR_USED_BOUNDS] = {50,   100,  250,  500,  750,  900,
                                                             1000, 1100, 1250, 1500, 2000, 4000};

enum weir_err weir_reserve_histories_new(const struct weir_config *config,
                                         struct weir_history **ret_history)
{
    bool forecasts = false;
    for (size_t i = 0; i < config->plans; i++) {
        forecasts = forecasts || config->plan[i].reserve == WEIR_RESERVE_FORECAST;
    }
    if (!forecasts) {
        *ret_history = NULL;
        return WEIR_OK;
    }
    return weir_history_new(config->histories_max, ret_history);
}

void weir_reserve(struct weir_service *s, const struct weir_call *call,
                  const struct weir_subject *key, struct weir_str model, uint64_t input_tokens,
                  uint64_t output_max, uint32_t choices, struct weir_reserving *ret_reserving)
{
    const struct weir_plan *plan = call->subject[0]->plan;
    struct weir_reserving r = {.rule = plan->reserve, .choices = choices};
    uint64_t forecast = 0, ever = UINT64_MAX;
    if (plan->reserve == WEIR_RESERVE_FORECAST) {
        r.of = weir_history_of(key, model);
        forecast = weir_history_quantile(s->group->history, &r.of, plan->forecast_permille,
                                         plan->default_output_tokens);
    }
    if (plan->reserve != WEIR_RESERVE_MAX) {
        ever = weir_output_ever(call->subject, call->subjects, input_tokens);
    }
    r.tokens = weir_reserve_output(plan, choices, output_max, forecast, ever);
    *ret_reserving = r;
}

static void count_used(struct weir_used_ratio *used, uint64_t tokens, uint64_t reserved)
{
    unsigned i = 0;
    while (i < WEIR_USED_BOUNDS && tokens * PERMILLE > reserved * weir_used_bound_permille[i]) {
        i++;
    }
    weir_count(&used->bucket[i], 1);
    weir_count(&used->sum_permille, tokens * PERMILLE / reserved);
}

void weir_reserve_used(struct weir_service *s, const struct weir_reserving *r,
                       uint64_t output_tokens, uint64_t now_ns)
{
    if (r->tokens > 0) {
        count_used(&s->metrics.used[r->rule], output_tokens, r->tokens);
    }
    if (r->rule == WEIR_RESERVE_FORECAST) {
        uint64_t of_each = (output_tokens + r->choices - 1) / r->choices;
        weir_history_add(s->group->history, &r->of, of_each,
                         (uint32_t)(now_ns / UINT64_C(1000000000)));
    }
}
