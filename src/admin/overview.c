/* SPDX-License-Identifier: Apache-2.0 */
/* overview.c - GET /admin/v1/overview: the node, its counters summed over its workers, who is busy
 * and who is denied. What the limits of the busiest have left is asked of the store, once for all
 * who wait for it. */
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

/* Where Redis is, and nothing else of its URL. */
static void store_host(struct weir_buf *b, const struct weir_config *config)
{
    const struct weir_redis_seeds *seeds = &config->redis_seeds;
    if (config->redis.unix_path[0] != '\0') {
        weir_buf_str(b, weir_str_z(config->redis.unix_path));
    } else if (seeds->hosts == 0) {
        host(b, config->redis.host, config->redis.port);
    }
    for (size_t i = 0; i < seeds->hosts; i++) {
        weir_buf_str(b, i > 0 ? WEIR_STR(",") : WEIR_STR(""));
        host(b, seeds->host[i].name, seeds->host[i].port);
    }
}

static void store(struct weir_buf *b, struct weir_admin *a)
{
    const struct weir_config *config = admin_config(a);
    uint64_t nodes = load(&a->store->stats.nodes);
    if (config->store == WEIR_STORE_EMBEDDED) {
        WEIR_BUF_LIT(b, "{\"kind\":\"embedded\",\"mode\":null,\"url_host\":null");
    } else {
        WEIR_BUF_LIT(b, "{\"kind\":\"redis\",\"mode\":");
        weir_buf_json(b, config->mode == WEIR_MODE_LEASE ? WEIR_STR("lease") : WEIR_STR("exact"));
        weir_buf_reset(&a->text);
        store_host(&a->text, config);
        WEIR_BUF_LIT(b, ",\"url_host\":");
        weir_buf_json(b, weir_buf_view(&a->text));
    }
    weir_buf_printf(b,
                    ",\"up\":%s,\"ready\":%s,\"shards\":{\"up\":%" PRIu64 ",\"away\":%" PRIu64
                    "},\"nodes\":%" PRIu64 "}",
                    load(&a->store->stats.up) != 0 ? "true" : "false",
                    weir_store_ready(a->store) ? "true" : "false", load(&a->store->stats.shards_up),
                    load(&a->store->stats.shards_away), nodes > 0 ? nodes : 1);
}

static void registry(struct weir_buf *b, const struct weir_admin *a)
{
    const struct weir_service_group *g = a->group;
    int state = atomic_load_explicit(&g->registry_up, memory_order_relaxed);
    if (state == WEIR_REGISTRY_NONE) {
        WEIR_BUF_LIT(b, "null");
        return;
    }
    weir_buf_printf(b, "{\"up\":%s,\"entries\":%" PRIu64 ",\"unusable\":%" PRIu64 "}",
                    state == WEIR_REGISTRY_IN_REACH ? "true" : "false", load(&g->registry_used),
                    load(&g->registry_unusable));
}

static void node(struct weir_buf *b, struct weir_admin *a)
{
    weir_buf_printf(b,
                    "\"node\":{\"version\":\"" WEIR_VERSION "\",\"uptime_s\":%" PRIu64
                    ",\"workers\":%u,\"store\":",
                    (weir_clock_us() - a->started_us) / 1000000, a->group->services);
    store(b, a);
    WEIR_BUF_LIT(b, ",\"registry\":");
    registry(b, a);
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

static uint64_t shadow_denied(const struct weir_service_group *g)
{
    uint64_t denied = 0;
    for (unsigned scope = 0; scope < WEIR_SCOPES; scope++) {
        for (unsigned m = 0; m < WEIR_METERS; m++) {
            denied += SUM(g, shadow_denied[scope][m]);
        }
    }
    return denied;
}

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
    weir_buf_printf(b,
                    "},\"unavailable\":%" PRIu64 ",\"shadow_denied\":%" PRIu64
                    ",\"input_tokens\":%" PRIu64 ",\"output_tokens\":%" PRIu64 ",\"responses\":{",
                    SUM(g, unavailable), shadow_denied(g), SUM(g, input_tokens),
                    SUM(g, output_tokens));
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

/* ---- who is busy ---- */

static uint32_t minute_now(void)
{
    return (uint32_t)(weir_clock_wall_s() / 60);
}

static uint64_t denied_of(const struct weir_top_subject *s)
{
    uint64_t denied = 0;
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        denied += s->denied[m];
    }
    return denied;
}

static void subject(struct weir_buf *b, const struct weir_top_subject *s,
                    const struct admin_row *row)
{
    WEIR_BUF_LIT(b, "{\"subject\":");
    weir_buf_json(b, weir_str_z(s->name));
    WEIR_BUF_LIT(b, ",\"plan\":");
    if (row->known) {
        admin_plan_name(b, row->call.subject[0]->plan);
    } else {
        WEIR_BUF_LIT(b, "null");
    }
    weir_buf_printf(b,
                    ",\"allowed\":%" PRIu64 ",\"denied\":%" PRIu64 ",\"input_tokens\":%" PRIu64
                    ",\"output_tokens\":%" PRIu64 ",\"limits\":",
                    s->allowed, denied_of(s), s->used[WEIR_METER_INPUT_TOKENS],
                    s->used[WEIR_METER_OUTPUT_TOKENS]);
    if (row->known && row->call.outcome == WEIR_OUTCOME_DECIDED) {
        admin_limits(b, &row->call);
    } else {
        WEIR_BUF_LIT(b, "[]");
    }
    weir_buf_char(b, '}');
}

static void subjects(struct weir_buf *b, const struct admin_gathering *g)
{
    WEIR_BUF_LIT(b, "\"subjects\":[");
    for (size_t i = 0; i < g->rows; i++) {
        weir_buf_str(b, i > 0 ? WEIR_STR(",") : WEIR_STR(""));
        subject(b, &g->subject[i], &g->row[i]);
    }
    weir_buf_char(b, ']');
}

static void denials(struct weir_buf *b, const struct weir_service_group *g)
{
    struct weir_top_denial denial[ADMIN_ROWS];
    size_t n;
    if (weir_top_denials(g, minute_now(), ADMIN_ROWS, denial, &n) != WEIR_OK) {
        n = 0;
    }
    WEIR_BUF_LIT(b, "\"denials\":[");
    for (size_t i = 0; i < n; i++) {
        weir_buf_str(b, i > 0 ? WEIR_STR(",{\"subject\":") : WEIR_STR("{\"subject\":"));
        weir_buf_json(b, weir_str_z(denial[i].name));
        weir_buf_printf(b, ",\"meter\":\"%s\",\"window_s\":%u,\"count\":%" PRIu64 "}",
                        weir_meter_name(denial[i].meter), denial[i].window_s, denial[i].count);
    }
    weir_buf_char(b, ']');
}

/* ---- all of it ---- */

static void write_overview(struct weir_admin *a)
{
    struct weir_buf *b = &a->overview;
    weir_buf_reset(b);
    weir_buf_printf(b, "{\"time_ms\":%" PRIu64 ",", weir_clock_wall_us() / 1000);
    node(b, a);
    weir_buf_char(b, ',');
    totals(b, a->group);
    weir_buf_char(b, ',');
    decision(b, a);
    weir_buf_char(b, ',');
    subjects(b, &a->gathering);
    weir_buf_char(b, ',');
    denials(b, a->group);
    weir_buf_char(b, '}');
}

static void gathered(struct weir_admin *a)
{
    write_overview(a);
    while (a->waiting != NULL) {
        struct admin_ask *k = a->waiting;
        a->waiting = k->waits;
        weir_buf_reset(&a->body);
        weir_buf_str(&a->body, weir_buf_view(&a->overview));
        a->body.failed = a->body.failed || a->overview.failed;
        struct weir_http_exchange *x = admin_ask_end(k);
        if (x != NULL) {
            admin_answer(a, x);
        }
    }
    admin_events_send(a);
}

static void one_gathered(struct weir_admin *a)
{
    struct weir_config *config = a->gathering.config;
    if (--a->gathering.asked == 0) {
        a->gathering.config = NULL;
        gathered(a);
        weir_config_free(config);
    }
}

static void looked(struct weir_call *call)
{
    one_gathered(call->ctx);
}

static void look(struct weir_admin *a, const struct weir_top_subject *s, struct admin_row *row)
{
    memset(row, 0, sizeof(*row));
    row->call.subject[0] = admin_subject(admin_config(a), weir_str_z(s->name), &row->anonymous);
    row->known = row->call.subject[0] != NULL;
    if (!row->known) {
        return;
    }
    row->call.subjects = 1;
    row->call.done = looked;
    row->call.ctx = a;
    row->call.now_us = weir_clock_us();
    a->gathering.asked++;
    if (weir_store_take(a->store, &row->call) == WEIR_OK) {
        a->gathering.asked--;
    }
}

void admin_overview_gather(struct weir_admin *a)
{
    struct admin_gathering *g = &a->gathering;
    const unsigned scopes = 1 << WEIR_SCOPE_KEY | 1 << WEIR_SCOPE_TEAM | 1 << WEIR_SCOPE_ORG;
    if (g->asked > 0) {
        return; /* one is under way */
    }
    if (weir_top_merge(a->group, minute_now(), scopes, ADMIN_ROWS, g->subject, &g->rows) !=
        WEIR_OK) {
        g->rows = 0;
    }
    g->asked = 1;
    g->config = weir_config_keep(a->_config);
    for (size_t i = 0; i < g->rows; i++) {
        look(a, &g->subject[i], &g->row[i]);
    }
    one_gathered(a);
}

void admin_overview(struct admin_request *r)
{
    struct weir_admin *a = r->admin;
    struct admin_ask *k = admin_ask_new(r);
    if (k != NULL) {
        k->waits = a->waiting;
        a->waiting = k;
        admin_overview_gather(a);
    }
}
