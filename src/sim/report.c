/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/report.h"

#include <inttypes.h>

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (double)part / (double)whole;
}

static double percent(uint64_t part, uint64_t whole)
{
    return 100 * share(part, whole);
}

static double per_second(const struct weir_sim_report *r, uint64_t count)
{
    return (double)count / r->options->duration_s;
}

/* Seconds of the store's CPU in a second. */
static double store_cpu(const struct weir_sim_report *r, uint64_t calls)
{
    return per_second(r, calls) * r->options->store_us_per_call / 1e6;
}

static double us(double ns)
{
    return ns / 1e3;
}

static void text_store(const struct weir_sim_report *r, FILE *out)
{
    const struct weir_sim_result *a = r->result;
    uint64_t calls = weir_sim_calls(a);
    double busiest = store_cpu(r, a->shard_calls_most);
    fprintf(out, "store calls %12" PRIu64 "  %8.4f for each request", calls,
            share(calls, a->requests));
    fprintf(out, "; %" PRIu64 " of them settle\n", a->settle_calls);
    fprintf(out, "            %12.0f  /s of one shard on average, %.0f of the busiest\n",
            per_second(r, calls) / r->options->shards, per_second(r, a->shard_calls_most));
    fprintf(out, "            %12.2f  cores at %.1f us for a call, %.2f in the busiest shard%s\n",
            store_cpu(r, calls), r->options->store_us_per_call, busiest,
            busiest >= 1 ? ": more than it has, calls would queue" : "");
}

static void text_limits(const struct weir_sim_report *r, FILE *out)
{
    const struct weir_plan *plan = &r->options->plan;
    unsigned limit = 0;
    fprintf(out, "\n%-14s %9s %14s %14s  %s\n", "limit", "window", "capacity", "worst window",
            "admitted of what saturated keys may");
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        for (unsigned i = 0; i < w->meters; i++, limit++) {
            const struct weir_sim_limit_result *l = &r->result->limit[limit];
            fprintf(out, "%-14s %7" PRIu32 " s %14" PRIu64 " %14" PRIu64,
                    weir_meter_name(w->meter[i]), w->window_s, w->capacity[i], l->worst);
            if (l->could > 0) {
                fprintf(out, "  %.2f %%", percent(l->took, l->could));
            }
            fputs(l->worst > w->capacity[i] ? "  OVER\n" : "\n", out);
        }
    }
}

void weir_sim_text(const struct weir_sim_report *r, FILE *out)
{
    const struct weir_sim_options *o = r->options;
    const struct weir_sim_result *a = r->result;
    fprintf(out,
            "%" PRIu32 " nodes, %" PRIu64 " keys (Zipf %.2f), %" PRIu32
            " shards, mode %s, seed %" PRIu64 "\n\n",
            o->nodes, o->keys, o->zipf, o->shards, o->exact ? "exact" : "lease", o->seed);
    fprintf(out, "requests    %12" PRIu64 "  in %.0f s, %.0f/s\n", a->requests, o->duration_s,
            per_second(r, a->requests));
    fprintf(out, "allowed     %12" PRIu64 "  %8.2f %%, %.2f %% of them out of a lease\n",
            a->allowed, percent(a->allowed, a->requests), percent(a->lease_hits, a->allowed));
    fprintf(out, "denied      %12" PRIu64 "  %8.2f %%, %.2f %% of them from memory\n", a->denied,
            percent(a->denied, a->requests), percent(a->remembered_denials, a->denied));
    fprintf(out, "settled     %12" PRIu64 "  %" PRIu64 " tokens were beyond what was reserved\n",
            a->settlements, a->debt_tokens);
    fprintf(out, "latency     mean %.1f  p50 %.1f  p99 %.1f  max %.1f us, of the decision\n",
            us(weir_hist_mean_ns(&a->latency)), us((double)weir_hist_quantile_ns(&a->latency, 0.5)),
            us((double)weir_hist_quantile_ns(&a->latency, 0.99)), us((double)a->latency.max_ns));
    text_store(r, out);
    fprintf(out, "returns     %12" PRIu64 "  leases of which a rest went back\n", a->returns);
    fprintf(out, "keys        %12" PRIu64 "  were used, %" PRIu64 " saturated, %" PRIu64 " over\n",
            a->keys, a->saturated, a->over);
    text_limits(r, out);
    fprintf(out, "\nIt took %.1f s and %.0f MB.\n", r->took_s, (double)r->memory_bytes / 1e6);
}

static void json_limits(const struct weir_sim_report *r, FILE *out)
{
    const struct weir_plan *plan = &r->options->plan;
    unsigned limit = 0;
    fputs("  \"limits\": [", out);
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        for (unsigned i = 0; i < w->meters; i++, limit++) {
            const struct weir_sim_limit_result *l = &r->result->limit[limit];
            fprintf(out,
                    "%s\n    {\"meter\": \"%s\", \"window_s\": %" PRIu32 ", \"capacity\": %" PRIu64
                    ", \"worst\": %" PRIu64 ", \"saturated_admitted\": %" PRIu64
                    ", \"saturated_allowed\": %" PRIu64 "}",
                    limit == 0 ? "" : ",", weir_meter_name(w->meter[i]), w->window_s,
                    w->capacity[i], l->worst, l->took, l->could);
        }
    }
    fputs("\n  ],\n", out);
}

void weir_sim_json(const struct weir_sim_report *r, FILE *out)
{
    const struct weir_sim_options *o = r->options;
    const struct weir_sim_result *a = r->result;
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {
        {"nodes", o->nodes},
        {"keys", o->keys},
        {"shards", o->shards},
        {"seed", o->seed},
        {"requests", a->requests},
        {"allowed", a->allowed},
        {"denied", a->denied},
        {"lease_hits", a->lease_hits},
        {"remembered_denials", a->remembered_denials},
        {"lease_returns", a->returns},
        {"settlements", a->settlements},
        {"debt_tokens", a->debt_tokens},
        {"store_calls", weir_sim_calls(a)},
        {"settle_calls", a->settle_calls},
        {"busiest_shard_calls", a->shard_calls_most},
        {"keys_used", a->keys},
        {"keys_saturated", a->saturated},
        {"keys_over", a->over},
        {"memory_bytes", r->memory_bytes},
    };
    fprintf(out, "{\n  \"mode\": \"%s\",\n", o->exact ? "exact" : "lease");
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        fprintf(out, "  \"%s\": %" PRIu64 ",\n", counts[i].name, counts[i].value);
    }
    json_limits(r, out);
    fprintf(out,
            "  \"latency_us\": {\"mean\": %.3f, \"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f},\n",
            us(weir_hist_mean_ns(&a->latency)), us((double)weir_hist_quantile_ns(&a->latency, 0.5)),
            us((double)weir_hist_quantile_ns(&a->latency, 0.99)), us((double)a->latency.max_ns));
    fprintf(out, "  \"calls_per_request\": %.6f,\n  \"store_cpu_cores\": %.6f,\n",
            share(weir_sim_calls(a), a->requests), store_cpu(r, weir_sim_calls(a)));
    fprintf(out, "  \"duration_s\": %.3f,\n  \"took_s\": %.3f\n}\n", o->duration_s, r->took_s);
}
