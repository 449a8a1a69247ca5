/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - GET /metrics, Prometheus text format 0.0.4: the sums over all workers. */
#include "base/clock.h"
#include "gateway/fetch.h"
#include "limit/history.h"
#include "service/service.h"
#include "service/top.h"
#include "tokens/calibration.h"

#define LOAD(x) atomic_load_explicit(&(x), memory_order_relaxed)

static const char *const settle_names[5] = {"done", "repeated", "expired", "elsewhere",
                                            "unavailable"};

static void family(struct weir_buf *b, const char *name, const char *type, const char *help)
{
    weir_buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Sums one counter, given by its offset in struct weir_service, over all workers. */
static uint64_t sum_of(const struct weir_service_group *g, size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < g->services; i++) {
        sum += LOAD(*(_Atomic uint64_t *)((char *)g->service[i] + offset));
    }
    return sum;
}

#define SUM(group, field) sum_of((group), offsetof(struct weir_service, field))

static void decisions_of(struct weir_buf *b, const char *outcome, const char *meter,
                         const char *scope, uint64_t n)
{
    weir_buf_printf(b, "weir_decisions_total{outcome=\"%s\",meter=\"%s\",scope=\"%s\"} %llu\n",
                    outcome, meter, scope, (unsigned long long)n);
}

static void decisions(struct weir_buf *b, const struct weir_service_group *g)
{
    family(b, "weir_decisions_total", "counter",
           "Decisions by outcome and, when denied, by the meter of the limit that denied and the "
           "scope of its subject.");
    decisions_of(b, "allowed", "", "", SUM(g, metrics.allowed));
    for (unsigned scope = 0; scope < WEIR_SCOPES; scope++) {
        for (unsigned m = 0; m < WEIR_METERS; m++) {
            decisions_of(b, "denied", weir_meter_name(m), weir_scope_name(scope),
                         SUM(g, metrics.denied[scope][m]));
        }
    }
    decisions_of(b, "unavailable", "", "", SUM(g, metrics.unavailable));
}

/* Charges by the meter of a limit and the scope of its subject. The first of their counters is
 * given by its offset in struct weir_service. */
static void charges(struct weir_buf *b, const struct weir_service_group *g, const char *name,
                    const char *help, size_t first)
{
    family(b, name, "counter", help);
    for (unsigned scope = 0; scope < WEIR_SCOPES; scope++) {
        for (unsigned m = 0; m < WEIR_METERS; m++) {
            size_t offset = first + (scope * WEIR_METERS + m) * sizeof(_Atomic uint64_t);
            weir_buf_printf(b, "%s{meter=\"%s\",scope=\"%s\"} %llu\n", name, weir_meter_name(m),
                            weir_scope_name(scope), (unsigned long long)sum_of(g, offset));
        }
    }
}

static void limits(struct weir_buf *b, const struct weir_service_group *g)
{
    charges(b, g, "weir_near_limit_total",
            "Charges that left less than a tenth of a limit, by its meter and the scope of its "
            "subject.",
            offsetof(struct weir_service, metrics.near));
    charges(b, g, "weir_shadow_denied_total",
            "Charges that a limit in shadow would have denied, by its meter and the scope of its "
            "subject.",
            offsetof(struct weir_service, metrics.shadow_denied));
}

static void histogram(struct weir_buf *b, const struct weir_service_group *g, const char *name,
                      const char *help, const struct weir_hist *(*of)(const struct weir_service *))
{
    static const uint64_t bounds_us[] = {1,    5,    10,   25,    50,    100,    250,     500,
                                         1000, 2500, 5000, 10000, 50000, 250000, 1000000, 10000000};
    family(b, name, "histogram", help);
    uint64_t count = 0, sum_ns = 0;
    for (size_t k = 0; k < sizeof(bounds_us) / sizeof(bounds_us[0]); k++) {
        uint64_t below = 0;
        for (uint32_t i = 0; i < g->services; i++) {
            below += weir_hist_count_upto(of(g->service[i]), bounds_us[k] * 1000);
        }
        weir_buf_printf(b, "%s_bucket{le=\"%g\"} %llu\n", name, (double)bounds_us[k] / 1e6,
                        (unsigned long long)below);
    }
    for (uint32_t i = 0; i < g->services; i++) {
        count += LOAD(of(g->service[i])->count);
        sum_ns += LOAD(of(g->service[i])->sum_ns);
    }
    weir_buf_printf(b, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.9f\n%s_count %llu\n", name,
                    (unsigned long long)count, name, (double)sum_ns / 1e9, name,
                    (unsigned long long)count);
}

static const struct weir_hist *decision_of(const struct weir_service *s)
{
    return &s->metrics.decision;
}

static const struct weir_hist *request_of(const struct weir_service *s)
{
    return &s->metrics.request;
}

static const struct weir_hist *round_trip_of(const struct weir_service *s)
{
    return &s->store_stats->round_trip;
}

static void one(struct weir_buf *b, const char *name, const char *type, const char *help,
                uint64_t value)
{
    family(b, name, type, help);
    weir_buf_printf(b, "%s %llu\n", name, (unsigned long long)value);
}

/* What was used of what was reserved, by the rule that said how much. */
static void used(struct weir_buf *b, const struct weir_service_group *g)
{
    static const char *const rules[WEIR_RESERVES] = {"max", "forecast", "fixed"};
    static const char name[] = "weir_output_used_ratio";
    family(b, name, "histogram",
           "Of complete answers: output tokens used, divided by those reserved.");
    for (unsigned rule = 0; rule < WEIR_RESERVES; rule++) {
        uint64_t below = 0;
        for (unsigned i = 0; i < WEIR_USED_BOUNDS; i++) {
            below += SUM(g, metrics.used[rule].bucket[i]);
            weir_buf_printf(b, "%s_bucket{reserve=\"%s\",le=\"%g\"} %llu\n", name, rules[rule],
                            weir_used_bound_permille[i] / 1e3, (unsigned long long)below);
        }
        below += SUM(g, metrics.used[rule].bucket[WEIR_USED_BOUNDS]);
        weir_buf_printf(b,
                        "%s_bucket{reserve=\"%s\",le=\"+Inf\"} %llu\n"
                        "%s_sum{reserve=\"%s\"} %.3f\n%s_count{reserve=\"%s\"} %llu\n",
                        name, rules[rule], (unsigned long long)below, name, rules[rule],
                        (double)SUM(g, metrics.used[rule].sum_permille) / 1e3, name, rules[rule],
                        (unsigned long long)below);
    }
    one(b, "weir_forecast_histories", "gauge", "Keys and models whose answers are remembered.",
        g->history == NULL ? 0 : weir_history_count(g->history));
}

/* One side of what was reserved, of one meter. */
static void settle_errors_of(struct weir_buf *b, const struct weir_service_group *g, unsigned more,
                             unsigned meter)
{
    static const char name[] = "weir_settle_error_tokens";
    static const char *const sides[2] = {"less", "more"};
    char labels[64];
    uint64_t below = 0;
    snprintf(labels, sizeof(labels), "meter=\"%s\",than_reserved=\"%s\"",
             weir_meter_name(weir_settled_meters[meter]), sides[more]);
    for (unsigned i = 0; i < WEIR_SETTLE_BOUNDS; i++) {
        below += SUM(g, metrics.settle_error[more][meter].bucket[i]);
        weir_buf_printf(b, "%s_bucket{%s,le=\"%llu\"} %llu\n", name, labels,
                        (unsigned long long)weir_settle_bounds[i], (unsigned long long)below);
    }
    below += SUM(g, metrics.settle_error[more][meter].bucket[WEIR_SETTLE_BOUNDS]);
    weir_buf_printf(b, "%s_bucket{%s,le=\"+Inf\"} %llu\n%s_sum{%s} %llu\n%s_count{%s} %llu\n", name,
                    labels, (unsigned long long)below, name, labels,
                    (unsigned long long)SUM(g, metrics.settle_error[more][meter].sum), name, labels,
                    (unsigned long long)below);
}

static void settle_errors(struct weir_buf *b, const struct weir_service_group *g)
{
    family(b, "weir_settle_error_tokens", "histogram",
           "How far what was used is from what was reserved, on either side of it.");
    for (unsigned more = 0; more < 2; more++) {
        for (unsigned meter = 0; meter < 2; meter++) {
            settle_errors_of(b, g, more, meter);
        }
    }
}

/* Inputs that are counted by a ratio. */
static void calibration(struct weir_buf *b, const struct weir_service_group *g)
{
    static const char *const results[2] = {"ignored", "learnt"};
    family(b, "weir_input_reports_total", "counter",
           "Reports of input tokens, for models whose encoding is not known.");
    for (unsigned i = 0; i < 2; i++) {
        weir_buf_printf(b, "weir_input_reports_total{result=\"%s\"} %llu\n", results[i],
                        (unsigned long long)SUM(g, metrics.reports[i]));
    }
    one(b, "weir_calibrated_models", "gauge", "Models whose ratio is learnt from reports.",
        weir_calibration_count(g->calibration));
}

/* Counters of the handles on the store. */
static uint64_t store_sum(const struct weir_service_group *g, size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < g->services; i++) {
        const char *stats = (const char *)g->service[i]->store_stats;
        sum += LOAD(*(const _Atomic uint64_t *)(stats + offset));
    }
    return sum;
}

#define STORE_SUM(group, field) store_sum((group), offsetof(struct weir_store_stats, field))

/* Of a cluster's shards, and of workers, whoever heard last of most. */
static uint64_t nodes_alive(const struct weir_service_group *g)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < g->services; i++) {
        uint64_t nodes = LOAD(g->service[i]->store_stats->nodes);
        most = nodes > most ? nodes : most;
    }
    return most;
}

/* As the worker sees it that reaches the fewest. */
static void shards(struct weir_buf *b, const struct weir_service_group *g)
{
    uint64_t up = 0, away = 0;
    for (uint32_t i = 0; i < g->services; i++) {
        const struct weir_store_stats *stats = g->service[i]->store_stats;
        uint64_t lost = LOAD(stats->shards_away);
        if (i == 0 || lost > away) {
            up = LOAD(stats->shards_up);
            away = lost;
        }
    }
    family(b, "weir_store_shards", "gauge", "Redis servers that keep windows: in reach, and not.");
    weir_buf_printf(b,
                    "weir_store_shards{state=\"up\"} %llu\n"
                    "weir_store_shards{state=\"away\"} %llu\n",
                    (unsigned long long)up, (unsigned long long)away);
}

/* What this node may admit beyond a limit, as a share of it: guarantee 1 of docs/design. */
static void over_admission(struct weir_buf *b, const struct weir_config *config, bool decides)
{
    family(b, "weir_over_admission_ratio", "gauge",
           "What this node may at most admit beyond a limit now, as a share of the limit.");
    if (!decides && config->on_store_failure == WEIR_FAIL_OPEN) {
        WEIR_BUF_LIT(b, "weir_over_admission_ratio +Inf\n");
        return;
    }
    bool share = !decides && config->on_store_failure == WEIR_FAIL_LOCAL;
    weir_buf_printf(b, "weir_over_admission_ratio %g\n", share ? 1.0 / config->nodes : 0.0);
}

/* Budget taken ahead, and where it went. */
static void leased(struct weir_buf *b, const struct weir_service_group *g)
{
    static const char *const fates[WEIR_LEASED_FATES] = {"taken", "used", "returned", "dropped"};
    family(b, "weir_lease_amount_total", "counter",
           "Budget of leases by meter: taken ahead, used, returned in time, dropped.");
    for (unsigned fate = 0; fate < WEIR_LEASED_FATES; fate++) {
        for (unsigned m = 0; m < WEIR_METERS; m++) {
            weir_buf_printf(b, "weir_lease_amount_total{fate=\"%s\",meter=\"%s\"} %llu\n",
                            fates[fate], weir_meter_name(m),
                            (unsigned long long)STORE_SUM(g, leased[fate][m]));
        }
    }
}

/* Of readiness, what the worker that is asked knows; of primaries all know the same. */
static void store(struct weir_buf *b, const struct weir_service *s)
{
    const struct weir_service_group *g = s->group;
    bool ready = weir_store_ready(s->store);
    bool up = STORE_SUM(g, up) == g->services;
    one(b, "weir_store_up", "gauge", "1 while every worker reaches the store.", up ? 1 : 0);
    shards(b, g);
    over_admission(b, s->config, up && ready);
    one(b, "weir_store_round_trips_total", "counter", "Answers received from the store.",
        STORE_SUM(g, round_trips));
    one(b, "weir_store_errors_total", "counter", "Calls that got no usable answer from the store.",
        STORE_SUM(g, errors));
    one(b, "weir_store_reconnects_total", "counter", "Connections to the store made anew.",
        STORE_SUM(g, reconnects));
    one(b, "weir_store_clock_refusals_total", "counter",
        "Answers whose time this node's own clock did not believe.", STORE_SUM(g, clock_refusals));
    one(b, "weir_lease_decisions_total", "counter",
        "Requests allowed from a lease, without a call to the store.",
        STORE_SUM(g, lease_decisions));
    one(b, "weir_lease_remembered_denials_total", "counter",
        "Requests denied by what the store had answered a moment before.",
        STORE_SUM(g, remembered_denials));
    one(b, "weir_lease_returns_total", "counter", "Leases of which a rest went back to the store.",
        STORE_SUM(g, lease_returns));
    leased(b, g);
    one(b, "weir_store_primaries_entered_total", "counter",
        "Redis primaries that this node went over to, the first included.",
        STORE_SUM(g, primaries_entered));
    one(b, "weir_store_charged_again_total", "counter",
        "Subjects charged again at a new primary, or after local decisions.",
        STORE_SUM(g, charged_again));
    one(b, "weir_store_nodes", "gauge", "Nodes alive, as the store counted them last.",
        nodes_alive(g));
    family(b, "weir_store_failure_decisions_total", "counter",
           "Decisions taken without the store, by the policy on_store_failure.");
    weir_buf_printf(b,
                    "weir_store_failure_decisions_total{policy=\"local\"} %llu\n"
                    "weir_store_failure_decisions_total{policy=\"open\"} %llu\n"
                    "weir_store_failure_decisions_total{policy=\"closed\"} %llu\n",
                    (unsigned long long)STORE_SUM(g, local_decisions),
                    (unsigned long long)STORE_SUM(g, open_decisions),
                    (unsigned long long)STORE_SUM(g, closed_decisions));
    one(b, "weir_subjects", "gauge", "Subjects held in this process.",
        weir_store_subjects(s->store));
    one(b, "weir_subjects_refused_total", "counter",
        "Charges refused because max_subjects was reached.", STORE_SUM(g, subjects_refused));
    one(b, "weir_debt_tokens_total", "counter", "Tokens charged beyond a reservation.",
        STORE_SUM(g, debt_tokens));
}

static void http(struct weir_buf *b, const struct weir_service_group *g)
{
    uint64_t open = 0, total = 0, refused_connections = 0, refused_requests = 0;
    for (uint32_t i = 0; i < g->services; i++) {
        const struct weir_http_stats *h = weir_http_server_stats(g->service[i]->http);
        open += LOAD(h->connections_open);
        total += LOAD(h->connections_total);
        refused_connections += LOAD(h->connections_refused);
        refused_requests += LOAD(h->requests_refused);
    }
    one(b, "weir_connections", "gauge", "Open client connections.", open);
    one(b, "weir_connections_total", "counter", "Client connections accepted.", total);
    one(b, "weir_connections_refused_total", "counter",
        "Client connections closed at once: max_connections was reached.", refused_connections);
    one(b, "weir_requests_malformed_total", "counter",
        "Requests refused as HTTP: malformed, too large, too slow.", refused_requests);
    one(b, "weir_access_log_dropped_total", "counter",
        "Lines of the access log that were dropped, because it could not be written fast enough or "
        "at all.",
        SUM(g, metrics.access_dropped));
    family(b, "weir_responses_total", "counter", "Answers by class of status.");
    for (unsigned k = 2; k < 6; k++) {
        weir_buf_printf(b, "weir_responses_total{status=\"%uxx\"} %llu\n", k,
                        (unsigned long long)SUM(g, metrics.responses[k]));
    }
    family(b, "weir_settlements_total", "counter", "Settlements through the decision API.");
    for (unsigned k = 0; k < 5; k++) {
        weir_buf_printf(b, "weir_settlements_total{result=\"%s\"} %llu\n", settle_names[k],
                        (unsigned long long)SUM(g, metrics.settlements[k]));
    }
}

/* ---- upstreams ---- */

/* Of the service that has the same one; NULL: it has not adopted it yet. */
static const struct weir_upstream_stats *upstream_stats(const struct weir_service_group *g,
                                                        uint32_t s, size_t upstream)
{
    const char *name = weir_upstreams_set(g->service[0]->upstreams)->config[upstream].name;
    const struct weir_upstream_set *set = weir_upstreams_set(g->service[s]->upstreams);
    for (size_t i = 0; i < set->upstreams; i++) {
        if (strcmp(set->config[i].name, name) == 0) {
            return &set->upstream[i].state->stats;
        }
    }
    return NULL;
}

/* Sums one counter of an upstream, given by its offset in its stats, over all workers. */
static unsigned long long upstream_sum(const struct weir_service_group *g, size_t upstream,
                                       size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < g->services; i++) {
        const char *stats = (const char *)upstream_stats(g, i, upstream);
        sum += stats == NULL ? 0 : LOAD(*(const _Atomic uint64_t *)(stats + offset));
    }
    return sum;
}

#define UPSTREAM_SUM(group, upstream, field)                                                       \
    upstream_sum((group), (upstream), offsetof(struct weir_upstream_stats, field))

static void upstream_seconds(struct weir_buf *b, const struct weir_service_group *g,
                             size_t upstream, const char *label)
{
    static const uint64_t bounds_ms[] = {1,   5,    10,   50,   100,   250,
                                         500, 1000, 2500, 5000, 10000, 60000};
    for (size_t k = 0; k < sizeof(bounds_ms) / sizeof(bounds_ms[0]); k++) {
        uint64_t below = 0;
        for (uint32_t i = 0; i < g->services; i++) {
            const struct weir_upstream_stats *stats = upstream_stats(g, i, upstream);
            below += stats == NULL
                         ? 0
                         : weir_hist_count_upto(&stats->first_byte, bounds_ms[k] * 1000000);
        }
        weir_buf_printf(b,
                        "weir_upstream_first_byte_seconds_bucket{upstream=\"%s\",le=\"%g\"} %llu\n",
                        label, (double)bounds_ms[k] / 1e3, (unsigned long long)below);
    }
    unsigned long long count = UPSTREAM_SUM(g, upstream, first_byte.count);
    weir_buf_printf(b,
                    "weir_upstream_first_byte_seconds_bucket{upstream=\"%s\",le=\"+Inf\"} %llu\n"
                    "weir_upstream_first_byte_seconds_sum{upstream=\"%s\"} %.9f\n"
                    "weir_upstream_first_byte_seconds_count{upstream=\"%s\"} %llu\n",
                    label, count, label, (double)UPSTREAM_SUM(g, upstream, first_byte.sum_ns) / 1e9,
                    label, count);
}

/* Their names come from the configuration, and need no escaping. */
static void upstreams(struct weir_buf *b, const struct weir_service_group *g)
{
    if (g->service[0]->upstreams == NULL) {
        return;
    }
    const struct weir_upstream_set *set = weir_upstreams_set(g->service[0]->upstreams);
    family(b, "weir_upstream_responses_total", "counter",
           "Answers of upstreams by class of status, those of which another was asked too.");
    for (size_t u = 0; u < set->upstreams; u++) {
        for (unsigned k = 2; k < 6; k++) {
            weir_buf_printf(b,
                            "weir_upstream_responses_total{upstream=\"%s\",status=\"%uxx\"} %llu\n",
                            set->config[u].name, k, UPSTREAM_SUM(g, u, responses[k]));
        }
    }
    family(b, "weir_upstream_failures_total", "counter",
           "Requests to upstreams that got no answer, or not all of one.");
    for (size_t u = 0; u < set->upstreams; u++) {
        for (unsigned k = 0; k < WEIR_UPSTREAM_FAILURES; k++) {
            weir_buf_printf(b, "weir_upstream_failures_total{upstream=\"%s\",reason=\"%s\"} %llu\n",
                            set->config[u].name, weir_upstream_failure_name(k),
                            UPSTREAM_SUM(g, u, failures[k]));
        }
    }
    family(b, "weir_upstream_first_byte_seconds", "histogram",
           "From sending a request to an upstream to the head of its answer.");
    for (size_t u = 0; u < set->upstreams; u++) {
        upstream_seconds(b, g, u, set->config[u].name);
    }
}

static void registry(struct weir_buf *b, const struct weir_service_group *g)
{
    family(b, "weir_registry_entries", "gauge",
           "Entries of the registry that are in force, and that this node could not use.");
    weir_buf_printf(b,
                    "weir_registry_entries{state=\"used\"} %llu\n"
                    "weir_registry_entries{state=\"unusable\"} %llu\n",
                    (unsigned long long)atomic_load(&g->registry_used),
                    (unsigned long long)atomic_load(&g->registry_unusable));
    one(b, "weir_registry_up", "gauge", "1 while the registry is in reach.",
        atomic_load(&g->registry_up) == WEIR_REGISTRY_IN_REACH);
}

static void reloads(struct weir_buf *b, const struct weir_service_group *g)
{
    family(b, "weir_config_loads_total", "counter", "Configurations read, the first included.");
    weir_buf_printf(b,
                    "weir_config_loads_total{result=\"applied\"} %llu\n"
                    "weir_config_loads_total{result=\"refused\"} %llu\n",
                    (unsigned long long)atomic_load(&g->reloads[true]),
                    (unsigned long long)atomic_load(&g->reloads[false]));
    one(b, "weir_config_last_load_successful", "gauge",
        "1 when the configuration read last is in force.", atomic_load(&g->reloaded));
    one(b, "weir_config_last_load_success_timestamp_seconds", "gauge",
        "When the configuration in force was read.", atomic_load(&g->reloaded_s));
}

void weir_metrics(struct weir_request *r)
{
    struct weir_service_group *g = r->service->group;
    struct weir_buf *b = &r->service->body;
    weir_buf_reset(b);
    pthread_mutex_lock(&g->mutex);
    family(b, "weir_build_info", "gauge", "The version that runs.");
    weir_buf_printf(b, "weir_build_info{version=\"%s\"} 1\n", WEIR_VERSION);
    one(b, "weir_workers", "gauge", "Worker threads.", g->services);
    reloads(b, g);
    if (atomic_load(&g->registry_up) != WEIR_REGISTRY_NONE) {
        registry(b, g);
    }
    decisions(b, g);
    limits(b, g);
    http(b, g);
    store(b, r->service);
    upstreams(b, g);
    used(b, g);
    settle_errors(b, g);
    weir_metrics_top(b, g, (uint32_t)(weir_clock_wall_s() / 60), r->service->config->metrics_top);
    calibration(b, g);
    histogram(b, g, "weir_decision_duration_seconds", "From asking the store to its decision.",
              decision_of);
    histogram(b, g, "weir_request_duration_seconds", "From a complete request to its answer.",
              request_of);
    histogram(b, g, "weir_store_round_trip_duration_seconds",
              "From sending a call to the store to its answer.", round_trip_of);
    pthread_mutex_unlock(&g->mutex);
    weir_answer(r->service, r->x, r->started_ns, 200, WEIR_STR(""),
                WEIR_STR("text/plain; version=0.0.4; charset=utf-8"), weir_buf_view(b));
}
