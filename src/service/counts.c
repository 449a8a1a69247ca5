/* SPDX-License-Identifier: Apache-2.0 */
/* counts.c - what the decision path counts; metrics.c tells it. */
#include "base/clock.h"
#include "service/service.h"
#include "service/top.h"

const uint64_t weir_settle_bounds[WEIR_SETTLE_BOUNDS] = {0, 1, 10, 100, 1000, 10000, 100000};
const enum weir_meter weir_settled_meters[2] = {WEIR_METER_INPUT_TOKENS, WEIR_METER_OUTPUT_TOKENS};

static uint32_t minute_now(void)
{
    return (uint32_t)(weir_clock_wall_s() / 60);
}

static void count_denial(struct weir_service *s, const struct weir_call *call)
{
    const struct weir_decision *d = &call->decision;
    weir_count(
        &s->metrics.denied[weir_scope_of(call->subject[d->denied_subject]->name)][d->denied_meter],
        1);
}

/* A bit for each meter of each subject. */
static void count_each(_Atomic uint64_t counter[static WEIR_SCOPES][WEIR_METERS], uint32_t bits,
                       const struct weir_call *call)
{
    for (; WEIR_UNLIKELY(bits != 0); bits &= bits - 1) {
        unsigned bit = (unsigned)__builtin_ctz(bits);
        enum weir_scope scope = weir_scope_of(call->subject[bit / WEIR_METERS]->name);
        weir_count(&counter[scope][bit % WEIR_METERS], 1);
    }
}

/* A charge that leaves less than a tenth of a limit, and one that a limit in shadow would have
 * denied: once for each meter of a subject, however many limits it has. */
static void count_charge(struct weir_service *s, const struct weir_call *call)
{
    uint32_t near = 0, shadow = 0;
    for (unsigned i = 0; i < call->decision.states; i++) {
        const struct weir_limit_state *state = &call->decision.state[i];
        uint32_t bit = UINT32_C(1) << (state->subject * WEIR_METERS + state->meter);
        bool over = state->used > state->capacity && call->amounts.of[state->meter] > 0;
        bool is_near = weir_limit_remaining(state) * 10 < state->capacity;
        shadow |= state->shadow && over ? bit : 0;
        near |= !state->shadow && is_near ? bit : 0;
    }
    count_each(s->metrics.near, near, call);
    count_each(s->metrics.shadow_denied, shadow, call);
}

/* `more` in place of `less`. */
static void count_tokens(struct weir_service *s, const struct weir_amounts *more,
                         const struct weir_amounts *less)
{
    weir_count(&s->metrics.input_tokens,
               more->of[WEIR_METER_INPUT_TOKENS] - less->of[WEIR_METER_INPUT_TOKENS]);
    weir_count(&s->metrics.output_tokens,
               more->of[WEIR_METER_OUTPUT_TOKENS] - less->of[WEIR_METER_OUTPUT_TOKENS]);
}

static const struct weir_amounts nothing;

void weir_count_decision(struct weir_service *s, const struct weir_call *call, uint64_t took_ns)
{
    if (call->outcome != WEIR_OUTCOME_DECIDED) {
        weir_count(&s->metrics.unavailable, 1);
    } else if (call->decision.allowed) {
        weir_count(&s->metrics.allowed, 1);
        count_tokens(s, &call->amounts, &nothing);
        if (!weir_amounts_none(&call->amounts)) {
            count_charge(s, call);
        }
    } else {
        count_denial(s, call);
    }
    weir_hist_add(&s->metrics.decision, took_ns);
    weir_top_decided(s->top, call, minute_now());
}

void weir_count_more(struct weir_service *s, const struct weir_call *call)
{
    count_tokens(s, &call->amounts, &nothing);
    weir_top_settled(s->top, call->subject, call->subjects, &nothing, &call->amounts, minute_now());
}

static void count_settle_error(struct weir_service *s, unsigned meter, uint64_t reserved,
                               uint64_t used)
{
    bool more = used > reserved;
    uint64_t tokens = more ? used - reserved : reserved - used;
    struct weir_settle_error *error = &s->metrics.settle_error[more][meter];
    unsigned i = 0;
    while (i < WEIR_SETTLE_BOUNDS && tokens > weir_settle_bounds[i]) {
        i++;
    }
    weir_count(&error->bucket[i], 1);
    weir_count(&error->sum, tokens);
}

void weir_count_settled(struct weir_service *s, const struct weir_settle *settle)
{
    const uint64_t *reserved = settle->reservation.reserved.of, *used = settle->used.of;
    if (settle->result == WEIR_SETTLE_DONE) {
        count_tokens(s, &settle->used, &settle->reservation.reserved);
        for (unsigned i = 0; i < 2; i++) {
            count_settle_error(s, i, reserved[weir_settled_meters[i]],
                               used[weir_settled_meters[i]]);
        }
        weir_top_settled(s->top, settle->subject, settle->subjects, &settle->reservation.reserved,
                         &settle->used, minute_now());
    }
}

void weir_service_count_reload(struct weir_service_group *g, bool applied, uint64_t wall_s)
{
    weir_count(&g->reloads[applied], 1);
    atomic_store(&g->reloaded, applied);
    if (applied) {
        atomic_store(&g->reloaded_s, wall_s);
    }
}
