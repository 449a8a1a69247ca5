/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world.h"

#include <math.h>

#include "sim/node.h"

enum { BEGIN_US = 2000000 }; /* no moment is 0 */

/* ---- the clients ---- */

static void arrive(struct weir_sim_world *w)
{
    const struct weir_sim_options *o = w->o;
    uint32_t key = (uint32_t)weir_zipf_draw(&w->zipf, &w->clients), number;
    uint64_t input = weir_sim_draw(&w->clients, o->input),
             output = weir_sim_draw(&w->clients, o->output);
    uint32_t used = (uint32_t)weir_sim_draw(&w->clients, o->used);
    uint64_t choice = weir_rand_u64(&w->clients);
    uint32_t node = (uint32_t)((o->by_key ? weir_mix64(key) : choice) % o->nodes);
    const struct weir_amounts a = weir_amounts(1, input, output);
    const struct weir_amounts rest = weir_sim_stays(w, &a, used);
    bool allowed;
    struct weir_sim_key *k = weir_sim_shards_get(&w->store, key, w->now_us);
    w->r->requests++;
    if (k == NULL || !weir_sim_admit_ideal(&w->store, k, w->now_us, &a, &rest, &allowed, &number)) {
        w->failed = true;
        return;
    }
    if (allowed) {
        weir_sim_settle_later(w, WEIR_SIM_SETTLE_IDEAL, node, key, 0, number, &a, used);
    }
    weir_sim_ask(w, node, key, &a, used);
}

/* At random moments: the gap to the next one. */
static double gap_us(struct weir_sim_world *w)
{
    return -log(1 - weir_rand_unit(&w->clients)) * 1e6 / w->o->rate;
}

/* A time without pauses, with them. UINT64_MAX: none comes any more. */
static uint64_t arrives_at_us(const struct weir_sim_options *o, double busy_us)
{
    double at_us = busy_us;
    if (o->pause_us > 0) {
        at_us += floor(busy_us / (double)o->burst_us) * (double)o->pause_us;
    }
    return at_us < o->duration_s * 1e6 ? BEGIN_US + (uint64_t)at_us : UINT64_MAX;
}

static void run(struct weir_sim_world *w)
{
    double busy_us = gap_us(w);
    w->now_us = BEGIN_US;
    while (!w->failed) {
        uint64_t arrives_us = arrives_at_us(w->o, busy_us);
        uint64_t tick_us = weir_sim_next_tick_us(w), event_us = weir_sim_events_next_us(&w->events);
        if (event_us <= arrives_us && event_us <= tick_us && event_us != UINT64_MAX) {
            struct weir_sim_event e = weir_sim_events_take(&w->events);
            w->now_us = e.at_us;
            weir_sim_happen(w, &e);
        } else if (tick_us <= arrives_us && tick_us != UINT64_MAX) {
            w->now_us = tick_us;
            weir_sim_tick(w);
        } else if (arrives_us != UINT64_MAX) {
            w->now_us = arrives_us;
            busy_us += gap_us(w);
            arrive(w);
        } else {
            break;
        }
    }
}

/* ---- the whole ---- */

static void report(struct weir_sim_world *w)
{
    weir_sim_shards_end(&w->store, w->now_us);
    memcpy(w->r->limit, w->store.limit, sizeof(w->r->limit));
    memcpy(w->r->held, w->store.held, sizeof(w->r->held));
    memcpy(w->r->stands, w->store.stands, sizeof(w->r->stands));
    w->r->keys = w->store.keys;
    w->r->saturated = w->store.saturated;
    w->r->over = w->store.over;
    for (uint32_t i = 0; i < w->o->shards; i++) {
        uint64_t calls = w->store.calls[i];
        w->r->shard_calls_most = calls > w->r->shard_calls_most ? calls : w->r->shard_calls_most;
    }
}

enum weir_err weir_sim_run(const struct weir_sim_options *options,
                           struct weir_sim_result *ret_result)
{
    struct weir_sim_options o = *options;
    struct weir_sim_world w = {.o = &o, .r = ret_result};
    *ret_result = (struct weir_sim_result){0};
    if (!o.exact) {
        weir_plan_lease(&o.plan);
    }
    weir_zipf_init(&w.zipf, o.keys, o.zipf);
    weir_rand_init(&w.clients, o.seed);
    weir_rand_init(&w.network, weir_mix64(o.seed));
    w.failed = weir_sim_shards_init(&w.store, &o) != WEIR_OK ||
               weir_sim_seats_init(&w.seats, &o.plan) != WEIR_OK;
    run(&w);
    if (!w.failed) {
        report(&w);
    }
    weir_sim_free(&w);
    return w.failed ? WEIR_ERR_NOMEM : WEIR_OK;
}
