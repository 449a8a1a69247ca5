/* SPDX-License-Identifier: Apache-2.0 */
/* overview.c - GET /admin/v1/overview: the node and its counters, summed over its workers. */
#include <inttypes.h>

#include "admin/internal.h"
#include "base/clock.h"

static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ---- node ---- */

static void host(struct weir_buf *b, const char *name, uint16_t port)
{
    weir_buf_printf(b, strchr(name, ':') == NULL ? "%s:%u" : "[%s]:%u", name, port);
}

/* Where the store is, and nothing else of its URL. */
static void store_host(struct weir_buf *b, const struct weir_config *config)
{
    const struct weir_redis_seeds *seeds = &config->redis_seeds;
    weir_buf_char(b, '"');
    if (config->redis.unix_path[0] == '\0' && seeds->hosts == 0) {
        host(b, config->redis.host, config->redis.port);
    }
    for (size_t i = 0; i < seeds->hosts; i++) {
        weir_buf_str(b, i > 0 ? WEIR_STR(",") : WEIR_STR(""));
        host(b, seeds->host[i].name, seeds->host[i].port);
    }
    weir_buf_char(b, '"');
}

static void store(struct weir_buf *b, const struct weir_admin *a)
{
    const struct weir_config *config = admin_config(a);
    uint64_t nodes = load(&a->store->stats.nodes);
    if (config->store == WEIR_STORE_EMBEDDED) {
        WEIR_BUF_LIT(b, "{\"kind\":\"embedded\",\"mode\":null,\"url_host\":null");
    } else {
        WEIR_BUF_LIT(b, "{\"kind\":\"redis\",\"mode\":");
        weir_buf_json(b, config->mode == WEIR_MODE_LEASE ? WEIR_STR("lease") : WEIR_STR("exact"));
        WEIR_BUF_LIT(b, ",\"url_host\":");
        if (config->redis.unix_path[0] != '\0') {
            weir_buf_json(b, weir_str_z(config->redis.unix_path));
        } else {
            store_host(b, config);
        }
    }
    weir_buf_printf(b, ",\"up\":%s,\"ready\":%s,\"nodes\":%" PRIu64 "}",
                    load(&a->store->stats.up) != 0 ? "true" : "false",
                    weir_store_ready(a->store) ? "true" : "false", nodes > 0 ? nodes : 1);
}

static void node(struct weir_buf *b, const struct weir_admin *a)
{
    weir_buf_printf(b,
                    "\"node\":{\"version\":\"" WEIR_VERSION "\",\"uptime_s\":%" PRIu64
                    ",\"workers\":%u,\"store\":",
                    (weir_clock_us() - a->started_us) / 1000000, a->group->services);
    store(b, a);
    weir_buf_char(b, '}');
}

/* ---- counters ---- */

/* Sums one counter, given by its offset in struct weir_service_metrics, over all workers. */
static uint64_t sum_of(const struct weir_service_group *g, size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < g->services; i++) {
        sum += load((_Atomic uint64_t *)((char *)&g->service[i]->metrics + offset));
    }
    return sum;
}

#define SUM(group, field) sum_of((group), offsetof(struct weir_service_metrics, field))

static void totals(struct weir_buf *b, const struct weir_service_group *g)
{
    weir_buf_printf(b, "\"totals\":{\"allowed\":%" PRIu64 ",\"denied\":{", SUM(g, allowed));
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        uint64_t denied = 0;
        for (unsigned scope = 0; scope < WEIR_SCOPES; scope++) {
            denied += SUM(g, denied[scope][m]);
        }
        weir_buf_printf(b, "%s\"%s\":%" PRIu64, m > 0 ? "," : "", weir_meter_name(m), denied);
    }
    weir_buf_printf(b, "},\"unavailable\":%" PRIu64 ",\"responses\":{", SUM(g, unavailable));
    for (unsigned k = 2; k < 6; k++) {
        weir_buf_printf(b, "%s\"%uxx\":%" PRIu64, k > 2 ? "," : "", k, SUM(g, responses[k]));
    }
    WEIR_BUF_LIT(b, "}}");
}

static double quantile_us(const struct weir_hist *h, double q)
{
    return (double)weir_hist_quantile_ns(h, q) / 1000;
}

static void decision(struct weir_buf *b, struct weir_admin *a)
{
    struct weir_hist *all = &a->decision;
    memset(all, 0, sizeof(*all));
    for (uint32_t i = 0; i < a->group->services; i++) {
        weir_hist_merge(all, &a->group->service[i]->metrics.decision);
    }
    weir_buf_printf(b, "\"decision_us\":{\"p50\":%.1f,\"p99\":%.1f}", quantile_us(all, 0.5),
                    quantile_us(all, 0.99));
}

void admin_overview(struct admin_request *r)
{
    struct weir_admin *a = r->admin;
    struct weir_buf *b = &a->body;
    weir_buf_reset(b);
    weir_buf_printf(b, "{\"time_ms\":%" PRIu64 ",", weir_clock_wall_us() / 1000);
    node(b, a);
    weir_buf_char(b, ',');
    totals(b, a->group);
    weir_buf_char(b, ',');
    decision(b, a);
    weir_buf_char(b, '}');
    admin_answer(a, r->x);
}
