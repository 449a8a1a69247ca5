/* SPDX-License-Identifier: Apache-2.0 */
/* Random streams of operations on packed windows against the naive model: guarantees 1 to 4 of the
 * design are checked at every step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"
#include "limit/window.h"
#include "support/naive.h"

enum { STREAMS = 400, STEPS = 5000 };

struct stream {
    struct weir_rand random;
    struct weir_plan plan;
    struct weir_value value;
    struct naive model;
    uint64_t now_us;
    uint64_t mean_gap_us;
    uint64_t scale; /* of amounts */
};

static void grow(struct weir_value *v, uint32_t room)
{
    v->data = weir_realloc(v->data, room);
    assert_non_null(v->data);
    v->room = room;
}

static void prepare(struct weir_value *v, const struct weir_plan *plan, uint64_t now_us)
{
    for (uint32_t need; (need = weir_value_prepare(v, plan, now_us)) > 0;) {
        grow(v, need);
    }
}

static void add(struct weir_value *v, const struct weir_plan *plan, uint64_t now_us,
                const struct weir_amounts *a)
{
    for (uint32_t need; (need = weir_value_add(v, plan, now_us, a)) > 0;) {
        assert_true(need > v->room);
        grow(v, need);
    }
}

static struct weir_value copy_of(const struct weir_value *v)
{
    struct weir_value copy = {0};
    grow(&copy, v->len + WEIR_VALUE_SLACK);
    if (v->len > 0) {
        memcpy(copy.data, v->data, v->len);
    }
    copy.len = v->len;
    return copy;
}

/* Whether the same charge would pass later. */
static bool fits_at(const struct stream *s, uint64_t at_us, const struct weir_amounts *a)
{
    struct weir_value copy = copy_of(&s->value);
    struct weir_verdict verdict;
    prepare(&copy, &s->plan, at_us);
    bool fits = weir_value_fits(&copy, &s->plan, at_us, a, &verdict);
    weir_free(copy.data);
    return fits;
}

static void random_plan(struct stream *s)
{
    static const uint32_t lengths[] = {1, 2, 7, 60, 61, 600, 3600, 86400, 30 * 86400};
    struct weir_limit limit[WEIR_PLAN_LIMITS_MAX];
    size_t count = 0;
    unsigned windows = 1 + (unsigned)weir_rand_below(&s->random, 3);
    uint32_t shortest = lengths[weir_rand_below(&s->random, 9)];
    for (unsigned k = 0; k < windows; k++) {
        uint32_t window_s = k == 0 ? shortest : lengths[weir_rand_below(&s->random, 9)];
        for (unsigned m = 0; m < WEIR_METERS; m++) {
            if (weir_rand_below(&s->random, 3) > 0) {
                uint64_t per_step = s->scale * (1 + weir_rand_below(&s->random, 300));
                limit[count++] = (struct weir_limit){m, window_s, per_step > WEIR_AMOUNT_MAX
                                                                      ? WEIR_AMOUNT_MAX
                                                                      : per_step};
            }
        }
    }
    struct weir_plan plan;
    if (weir_plan_compile(limit, count, &plan) == WEIR_OK) {
        s->plan = plan; /* else the same length was drawn twice: the plan stays */
    }
}

static struct weir_amounts random_amounts(struct stream *s)
{
    uint64_t in = weir_rand_below(&s->random, 8) == 0 ? 0 : weir_rand_below(&s->random, 4 * s->scale);
    uint64_t out = weir_rand_below(&s->random, 8) == 0 ? 0 : weir_rand_below(&s->random, 4 * s->scale);
    if (weir_rand_below(&s->random, 50) == 0) {
        in *= 100;
    }
    uint64_t half = WEIR_AMOUNT_MAX / 2;
    return weir_amounts(weir_rand_below(&s->random, 3), in < half ? in : half,
                        out < half ? out : half);
}

static void pass_time(struct stream *s)
{
    uint64_t dice = weir_rand_below(&s->random, 1000);
    const struct weir_window_spec *w =
        &s->plan.window[s->plan.windows == 0 ? 0 : weir_rand_below(&s->random, s->plan.windows)];
    if (dice < 1 && s->now_us > UINT64_C(1000000000000)) {
        s->now_us -= weir_rand_below(&s->random, 5000000); /* the clock steps back */
    } else if (dice < 5) {
        s->now_us += UINT64_C(3600000000) * (1 + weir_rand_below(&s->random, 100));
    } else if (dice < 30 && s->plan.windows > 0) { /* onto the edge of a step, one off either way */
        uint64_t edge = (s->now_us / w->step_us + 1 + weir_rand_below(&s->random, 140)) * w->step_us;
        s->now_us = edge - 1 + weir_rand_below(&s->random, 3);
    } else if (dice < 700) {
        s->now_us += weir_rand_below(&s->random, 2 * s->mean_gap_us);
    }
}

/* The states against the model: exactly what a step-wise log holds. */
static void check_states(const struct stream *s)
{
    struct weir_decision d;
    weir_decision_begin(&d, s->now_us);
    weir_value_states(&s->value, &s->plan, s->now_us, 0, &d);
    assert_int_equal(d.states, s->plan.limits);
    unsigned at = 0;
    for (unsigned k = 0; k < s->plan.windows; k++) {
        const struct weir_window_spec *w = &s->plan.window[k];
        for (unsigned i = 0; i < w->meters; i++, at++) {
            uint64_t held = naive_held(&s->model, k, w->meter[i]);
            assert_int_equal(d.state[at].used, held);
            assert_true((d.state[at].reset_us == 0) == (held == 0));
        }
    }
}

static void check_allowed(const struct stream *s, const struct weir_amounts *a)
{
    for (unsigned k = 0; k < s->plan.windows; k++) {
        const struct weir_window_spec *w = &s->plan.window[k];
        for (unsigned i = 0; i < w->meters; i++) {
            uint64_t ask = a->of[w->meter[i]];
            uint64_t used = naive_in_window(&s->model, w->meter[i], s->now_us, w->window_us);
            assert_true(ask == 0 || used + ask <= w->capacity[i]); /* guarantee 1 */
        }
    }
}

static void check_denied(const struct stream *s, const struct weir_amounts *a,
                         const struct weir_verdict *verdict)
{
    bool late = false, never = false;
    for (unsigned k = 0; k < s->plan.windows; k++) {
        const struct weir_window_spec *w = &s->plan.window[k];
        for (unsigned i = 0; i < w->meters; i++) {
            uint64_t ask = a->of[w->meter[i]];
            uint64_t recent = naive_in_window(&s->model, w->meter[i], s->now_us,
                                              w->window_us + w->step_us);
            late = late || (ask > 0 && recent + ask > w->capacity[i]);
            never = never || ask > w->capacity[i];
        }
    }
    assert_true(late); /* guarantee 2: what fits beside the last W + r is admitted */
    assert_true(never == (verdict->retry_after_us == WEIR_RETRY_NEVER));
    if (!never) { /* guarantee 4 */
        assert_true(verdict->retry_after_us > 0);
        assert_false(fits_at(s, s->now_us + verdict->retry_after_us - 1, a));
        assert_true(fits_at(s, s->now_us + verdict->retry_after_us, a));
    }
}

static void charge(struct stream *s)
{
    struct weir_amounts a = random_amounts(s);
    struct weir_verdict verdict;
    prepare(&s->value, &s->plan, s->now_us);
    if (weir_value_fits(&s->value, &s->plan, s->now_us, &a, &verdict)) {
        check_allowed(s, &a);
        add(&s->value, &s->plan, s->now_us, &a);
        naive_add(&s->model, s->now_us, &a);
    } else {
        struct weir_value before = copy_of(&s->value);
        check_denied(s, &a, &verdict);
        assert_int_equal(before.len, s->value.len); /* guarantee 3 */
        assert_memory_equal(before.data, s->value.data, before.len);
        weir_free(before.data);
    }
}

static void settle(struct stream *s)
{
    if (s->model.events == 0) {
        return;
    }
    struct naive_event *e = &s->model.event[weir_rand_below(&s->random, s->model.events)];
    uint64_t in = e->amount[WEIR_METER_INPUT_TOKENS], out = e->amount[WEIR_METER_OUTPUT_TOKENS];
    uint64_t less_in = in == 0 ? 0 : weir_rand_below(&s->random, in + 1);
    uint64_t less_out = out == 0 ? 0 : weir_rand_below(&s->random, out + 1);
    struct weir_amounts less = weir_amounts(0, less_in, less_out);
    prepare(&s->value, &s->plan, s->now_us);
    weir_value_lower(&s->value, &s->plan, e->at_us, &less);
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        e->amount[m] -= less.of[m];
    }
}

static void debt(struct stream *s)
{
    struct weir_amounts a = weir_amounts(0, weir_rand_below(&s->random, 9 * s->scale), 0);
    prepare(&s->value, &s->plan, s->now_us);
    add(&s->value, &s->plan, s->now_us, &a);
    naive_add(&s->model, s->now_us, &a);
}

static void run_stream(struct stream *s, uint64_t seed)
{
    static const uint64_t scales[] = {1, 10, 1000, 60000, 1000000, 1 << 30, WEIR_AMOUNT_MAX / 8};
    weir_rand_init(&s->random, seed);
    s->scale = scales[weir_rand_below(&s->random, 7)];
    s->now_us = UINT64_C(1790000000000000) + weir_rand_below(&s->random, 1000000000);
    s->model.events = 0;
    s->plan = (struct weir_plan){0};
    random_plan(s);
    s->mean_gap_us = s->plan.windows == 0 ? 1 : s->plan.window[0].step_us /
                                                    (1 + weir_rand_below(&s->random, 3)) * 2;
    for (unsigned i = 0; i < STEPS; i++) {
        pass_time(s);
        s->now_us = weir_value_now_us(&s->value, &s->plan, s->now_us);
        prepare(&s->value, &s->plan, s->now_us);
        naive_pass(&s->model, &s->plan, s->now_us);
        naive_prune(&s->model, &s->plan, s->now_us);
        if (s->model.events > 300) { /* long windows: let them empty */
            s->now_us += s->plan.longest_us / 2;
            continue;
        }
        uint64_t dice = weir_rand_below(&s->random, 10);
        if (dice < 7) {
            charge(s);
        } else if (dice < 9) {
            settle(s);
        } else if (weir_rand_below(&s->random, 8) == 0) {
            debt(s);
        }
        assert_true(s->value.len == 0 || weir_value_valid(s->value.data, s->value.len));
        prepare(&s->value, &s->plan, s->now_us);
        check_states(s);
    }
    weir_free(s->value.data);
    s->value = (struct weir_value){0};
}

static void test_streams(void **state)
{
    (void)state;
    struct stream *s = weir_zalloc(sizeof(*s));
    for (uint64_t seed = 1; seed <= STREAMS; seed++) {
        run_stream(s, seed);
    }
    weir_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
