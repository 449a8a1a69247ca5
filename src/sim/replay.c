/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/replay.h"

#include "base/mem.h"
#include "base/zipf.h"
#include "limit/history.h"
#include "sim/events.h"
#include "store/embedded/embedded.h"

enum { KEY_NAME_MAX = 24, HISTORIES = 65536 };

static const uint64_t SECOND_US = 1000000;
/* The run begins there: a day, so that no window reaches before the clock's beginning. */
static const uint64_t BEGIN_US = UINT64_C(86400000000);

struct tenant {
    struct weir_subject subject;
    char name[KEY_NAME_MAX];
};

/* What stands at a moment in a tenant's windows in the end. */
struct charge {
    uint64_t at_us;
    uint32_t key;
    uint32_t requests, input, output;
};

struct replay {
    const struct weir_replay_options *o;
    struct weir_plan plan; /* with this run's rule */
    unsigned rule;
    struct tenant *tenant;
    struct weir_embedded *table;
    struct weir_history *history;
    struct weir_sim_events events;
    struct charge *charge;
    size_t charges;
    struct weir_replay_result *r;
};

static struct weir_history_of whose(const struct replay *w, uint32_t key)
{
    return weir_history_of(&w->tenant[key].subject, WEIR_STR("model"));
}

/* ---- one request ---- */

static uint64_t reservation(struct replay *w, const struct weir_trace_row *row, uint32_t key)
{
    const struct weir_subject *subject = &w->tenant[key].subject;
    uint64_t most = w->o->output_max > row->output_tokens ? w->o->output_max : row->output_tokens;
    uint64_t forecast = 0;
    if (w->rule == WEIR_REPLAY_ORACLE) {
        return row->output_tokens;
    }
    if (w->rule == WEIR_RESERVE_FORECAST) {
        const struct weir_history_of of = whose(w, key);
        forecast = weir_history_quantile(w->history, &of, w->plan.forecast_permille,
                                         w->plan.default_output_tokens);
    }
    return weir_reserve_output(&w->plan, 1, most, forecast,
                               weir_output_ever(&subject, 1, row->input_tokens));
}

static void charge(struct replay *w, uint64_t at_us, uint32_t key, uint32_t requests,
                   uint32_t input, uint64_t output)
{
    w->charge[w->charges++] = (struct charge){at_us, key, requests, input, (uint32_t)output};
}

static enum weir_err ask(struct replay *w, const struct weir_trace_row *row, uint32_t key)
{
    const struct weir_subject *subject = &w->tenant[key].subject;
    uint64_t now_us = BEGIN_US + row->at_ns / 1000, reserved = reservation(w, row, key);
    const struct weir_amounts a = weir_amounts(1, row->input_tokens, reserved);
    struct weir_decision d;
    WEIR_TRY(weir_embedded_take(w->table, &subject, 1, &a, now_us, &d));
    if (!d.allowed) {
        w->r->denied++;
        return WEIR_OK;
    }
    const struct weir_sim_event done = {
        .what = WEIR_SIM_SETTLE,
        .at_us =
            now_us + w->o->first_token_us + row->output_tokens * SECOND_US / w->o->tokens_per_s,
        .taken_us = d.at_us,
        .key = key,
        .number = (uint32_t)w->charges,
        .input = row->input_tokens,
        .reserved = (uint32_t)reserved,
        .used = row->output_tokens,
    };
    charge(w, now_us, key, 1, row->input_tokens, reserved);
    w->r->admitted++;
    w->r->input_tokens += row->input_tokens;
    w->r->output_tokens += row->output_tokens;
    w->r->reserved_tokens += reserved;
    return weir_sim_events_add(&w->events, &done) ? WEIR_OK : WEIR_ERR_NOMEM;
}

/* The answer of one is complete. */
static enum weir_err settle(struct replay *w)
{
    const struct weir_sim_event e = weir_sim_events_take(&w->events);
    const struct weir_subject *subject = &w->tenant[e.key].subject;
    const struct weir_amounts reserved = weir_amounts(1, e.input, e.reserved);
    const struct weir_amounts used = weir_amounts(1, e.input, e.used);
    uint64_t debt;
    WEIR_TRY(
        weir_embedded_settle(w->table, &subject, 1, e.taken_us, &reserved, &used, e.at_us, &debt));
    if (e.used > e.reserved) {
        charge(w, e.at_us, e.key, 0, 0, e.used - e.reserved);
        w->r->beyond++;
        w->r->beyond_tokens += debt;
    } else {
        w->charge[e.number].output = e.used;
    }
    if (w->rule == WEIR_RESERVE_FORECAST) {
        const struct weir_history_of of = whose(w, e.key);
        weir_history_add(w->history, &of, e.used, (uint32_t)(e.at_us / SECOND_US));
    }
    return WEIR_OK;
}

static enum weir_err settle_until(struct replay *w, uint64_t now_us)
{
    while (weir_sim_events_next_us(&w->events) <= now_us &&
           weir_sim_events_next_us(&w->events) != UINT64_MAX) {
        WEIR_TRY(settle(w));
    }
    return WEIR_OK;
}

/* ---- the windows in the end ---- */

static int by_key_and_time(const void *a, const void *b)
{
    const struct charge *x = a, *y = b;
    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    return (x->at_us > y->at_us) - (x->at_us < y->at_us);
}

static uint64_t amount_of(const struct charge *c, enum weir_meter meter)
{
    switch (meter) {
    case WEIR_METER_REQUESTS:
        return c->requests;
    case WEIR_METER_INPUT_TOKENS:
        return c->input;
    case WEIR_METER_OUTPUT_TOKENS:
        return c->output;
    default:
        return (uint64_t)c->input + c->output;
    }
}

/* The last charge of its moment. */
static bool ends_a_window(const struct replay *w, size_t k)
{
    const struct charge *c = &w->charge[k];
    return k + 1 == w->charges || c[1].key != c->key || c[1].at_us != c->at_us;
}

/* One limit over all charges, which are in order; marks those whose window holds too much. */
static void look(struct replay *w, const struct weir_window_spec *spec, unsigned i, uint8_t *over)
{
    uint64_t sum = 0, capacity = spec->capacity[i];
    for (size_t k = 0, first = 0; k < w->charges; k++) {
        const struct charge *c = &w->charge[k];
        if (k > 0 && c->key != c[-1].key) {
            first = k;
            sum = 0;
        }
        sum += amount_of(c, spec->meter[i]);
        while (w->charge[first].at_us + spec->window_us <= c->at_us) {
            sum -= amount_of(&w->charge[first++], spec->meter[i]);
        }
        bool last = ends_a_window(w, k);
        double part = capacity > 0 ? (double)sum / (double)capacity : (double)sum;
        if (last && part > w->r->worst) {
            w->r->worst = part;
        }
        over[k] |= last && sum > capacity;
    }
}

static enum weir_err look_at_all(struct replay *w)
{
    uint8_t *over = weir_zalloc(w->charges + 1);
    if (over == NULL) {
        return WEIR_ERR_NOMEM;
    }
    qsort(w->charge, w->charges, sizeof(w->charge[0]), by_key_and_time);
    for (unsigned k = 0; k < w->plan.windows; k++) {
        for (unsigned i = 0; i < w->plan.window[k].meters; i++) {
            look(w, &w->plan.window[k], i, over);
        }
    }
    for (size_t k = 0; k < w->charges; k++) {
        w->r->windows += ends_a_window(w, k);
        w->r->windows_in_debt += over[k];
    }
    weir_free(over);
    return WEIR_OK;
}

/* ---- one run ---- */

static enum weir_err begin(struct replay *w)
{
    const struct weir_embedded_opts opts = {.max_subjects = w->o->keys};
    w->tenant = weir_zalloc_array(w->o->keys, sizeof(w->tenant[0]));
    w->charge = weir_zalloc_array(w->o->trace->rows, 2 * sizeof(w->charge[0]));
    if (w->tenant == NULL || w->charge == NULL) {
        return WEIR_ERR_NOMEM;
    }
    for (uint64_t i = 0; i < w->o->keys; i++) {
        struct tenant *t = &w->tenant[i];
        int len = snprintf(t->name, sizeof(t->name), "key:%llu", (unsigned long long)i);
        t->subject.name = weir_str(t->name, (size_t)len);
        t->subject.plan = &w->plan;
        weir_subject_id(t->subject.name, t->subject.id);
    }
    WEIR_TRY(weir_history_new(HISTORIES, &w->history));
    return weir_embedded_new(&opts, &w->table);
}

static enum weir_err play(struct replay *w, uint64_t seed)
{
    struct weir_rand r;
    struct weir_zipf z;
    weir_rand_init(&r, seed);
    weir_zipf_init(&z, w->o->keys, w->o->zipf);
    for (size_t i = 0; i < w->o->trace->rows; i++) {
        const struct weir_trace_row *row = &w->o->trace->row[i];
        WEIR_TRY(settle_until(w, BEGIN_US + row->at_ns / 1000));
        WEIR_TRY(ask(w, row, (uint32_t)weir_zipf_draw(&z, &r)));
    }
    WEIR_TRY(settle_until(w, UINT64_MAX));
    return look_at_all(w);
}

static enum weir_err run(const struct weir_replay_options *o, unsigned rule, uint64_t seed,
                         struct weir_replay_result *result)
{
    struct replay w = {.o = o, .plan = o->plan, .rule = rule, .r = result};
    w.plan.reserve = rule == WEIR_REPLAY_ORACLE ? WEIR_RESERVE_MAX : (enum weir_reserve)rule;
    enum weir_err err = begin(&w);
    err = err == WEIR_OK ? play(&w, seed) : err;
    weir_sim_events_deinit(&w.events);
    weir_embedded_free(w.table);
    weir_history_free(w.history);
    weir_free(w.charge);
    weir_free(w.tenant);
    return err == WEIR_OK ? WEIR_OK : WEIR_ERR_NOMEM;
}

enum weir_err weir_replay_run(const struct weir_replay_options *options,
                              struct weir_replay_result ret_result[static WEIR_REPLAY_RULES])
{
    struct weir_replay_result result[WEIR_REPLAY_RULES] = {0};
    for (uint32_t i = 0; i < options->seeds; i++) {
        for (unsigned rule = 0; rule < WEIR_REPLAY_RULES; rule++) {
            WEIR_TRY(run(options, rule, options->seed + i, &result[rule]));
        }
    }
    memcpy(ret_result, result, sizeof(result));
    return WEIR_OK;
}
