/* SPDX-License-Identifier: Apache-2.0 */
/* usage.c - GET /v1/usage: the limits of the caller, its team and its org. A look, which charges
 * nothing. */
#include "service/lookup.h"

static void usage_done(struct weir_service *s, struct weir_http_exchange *x, uint64_t started_ns,
                       const struct weir_call *call)
{
    if (call->outcome != WEIR_OUTCOME_DECIDED) {
        weir_refuse_outcome(s, x, started_ns, call->outcome);
        return;
    }
    weir_buf_reset(&s->body);
    WEIR_BUF_LIT(&s->body, "{\"object\":\"usage\",\"limits\":");
    weir_limits_json(&s->body, call);
    WEIR_BUF_LIT(&s->body, "}");
    weir_answer(s, x, started_ns, 200, weir_buf_view(weir_head(s, NULL)),
                WEIR_STR("application/json"), weir_buf_view(&s->body));
}

void weir_usage(struct weir_request *r)
{
    struct weir_caller caller;
    if (!weir_authenticate(r, &caller)) {
        return;
    }
    struct weir_acquire *a = weir_acquire_new(r, usage_done);
    if (a == NULL) {
        weir_refuse_outcome(r->service, r->x, r->started_ns, WEIR_OUTCOME_UNAVAILABLE);
        return;
    }
    weir_acquire_start(a, &caller, NULL, weir_amounts(0, 0, 0));
}
