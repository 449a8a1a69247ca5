/* SPDX-License-Identifier: Apache-2.0 */
/* service.c - from a request to its handler, and the life of a service. */
#include "service/service.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "gateway/fetch.h"
#include "gateway/http_limits.h"
#include "service/access_log.h"
#include "service/top.h"
#include "tokens/memory.h"

enum { HEAD_MAX = 64 * 1024, BODY_MAX = 64 << 20 };

static const struct route {
    struct weir_str path;
    enum weir_http_method method; /* GET serves HEAD too */
    weir_handler_fn *handler;
    bool json; /* needs content-type: application/json */
} routes[] = {
    {WEIR_STR_INIT("/v1/chat/completions"), WEIR_HTTP_POST, weir_chat_completions, true},
    {WEIR_STR_INIT("/weir/v1/acquire"), WEIR_HTTP_POST, weir_acquire, true},
    {WEIR_STR_INIT("/weir/v1/settle"), WEIR_HTTP_POST, weir_settle, true},
    {WEIR_STR_INIT("/v1/models"), WEIR_HTTP_GET, weir_models, false},
    {WEIR_STR_INIT("/v1/usage"), WEIR_HTTP_GET, weir_usage, false},
    {WEIR_STR_INIT("/healthz"), WEIR_HTTP_GET, weir_healthz, false},
    {WEIR_STR_INIT("/readyz"), WEIR_HTTP_GET, weir_readyz, false},
    {WEIR_STR_INIT("/metrics"), WEIR_HTTP_GET, weir_metrics, false},
};

static const struct route *route_of(struct weir_str path)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (weir_str_eq(path, routes[i].path)) {
            return &routes[i];
        }
    }
    return NULL;
}

bool weir_request_is_json(const struct weir_http_request *http)
{
    struct weir_str type = weir_http_header(http, WEIR_STR("content-type"));
    const char *semicolon = type.p == NULL ? NULL : memchr(type.p, ';', type.len);
    if (semicolon != NULL) {
        type.len = (size_t)(semicolon - type.p);
    }
    return weir_str_eq_nocase(weir_str_trim(type), WEIR_STR("application/json"));
}

/* Whether upstreams answer it: all of /v1/ but what weir knows itself. */
static bool is_proxied(struct weir_str path)
{
    return weir_str_starts(path, WEIR_STR("/v1/")) && !weir_str_eq(path, WEIR_STR("/v1/models")) &&
           !weir_str_eq(path, WEIR_STR("/v1/usage"));
}

static bool method_serves(enum weir_http_method offered, enum weir_http_method asked)
{
    return asked == offered || (asked == WEIR_HTTP_HEAD && offered == WEIR_HTTP_GET);
}

/* Whether it is asked all the time, by machines: it is not in the access log. */
static bool is_quiet(const struct route *route)
{
    return route != NULL && (route->handler == weir_healthz || route->handler == weir_readyz ||
                             route->handler == weir_metrics);
}

static void watch(const struct weir_request *r)
{
    if (WEIR_UNLIKELY(r->service->access_log != NULL)) {
        weir_access_begin(r->service, r->x, r->http, r->started_ns);
    }
}

static void on_request(void *ctx, struct weir_http_exchange *x,
                       const struct weir_http_request *http)
{
    struct weir_request r = {.service = ctx, .x = x, .http = http, .started_ns = weir_clock_ns()};
    if (WEIR_UNLIKELY(r.service->upstreams != NULL) && is_proxied(http->path)) {
        watch(&r);
        weir_proxy(&r);
        return;
    }
    const struct route *route = route_of(http->path);
    if (!is_quiet(route)) {
        watch(&r);
    }
    if (route == NULL) {
        weir_refuse(&r, 404, NULL, "unknown_url", "Unknown request URL. See docs/http-api.md.");
    } else if (!method_serves(route->method, http->method)) {
        weir_refuse_method(&r, route->method == WEIR_HTTP_GET ? WEIR_STR("GET, HEAD")
                                                              : WEIR_STR("POST"));
    } else if (route->json && !weir_request_is_json(http)) {
        weir_refuse(&r, 415, NULL, "unsupported_media_type",
                    "The content-type must be application/json.");
    } else {
        route->handler(&r);
    }
}

static void on_gone(void *ctx, struct weir_http_exchange *x)
{
    weir_access_outcome(weir_access_of(ctx, x), WEIR_ACCESS_CLIENT_GONE);
    struct weir_pending *pending = *weir_http_exchange_slot(x);
    if (pending != NULL) {
        pending->gone(pending);
    }
}

static void on_drained(void *ctx, struct weir_http_exchange *x)
{
    (void)ctx;
    struct weir_pending *pending = *weir_http_exchange_slot(x);
    pending->drained(pending);
}

static void refusal_body(void *ctx, int status, struct weir_str reason,
                         const struct weir_http_request *http, struct weir_buf *body)
{
    struct weir_service *s = ctx;
    weir_count(&s->metrics.responses[status / 100], 1);
    if (s->access_log != NULL) {
        weir_access_malformed(s->access_log, http, status);
    }
    weir_refusal_body(body, http, status, reason);
}

void weir_answered(struct weir_service *s, int status, uint64_t started_ns)
{
    weir_count(&s->metrics.responses[status / 100], 1);
    weir_hist_add(&s->metrics.request, weir_clock_ns() - started_ns);
}

void weir_answer(struct weir_service *s, struct weir_http_exchange *x, uint64_t started_ns,
                 int status, struct weir_str headers, struct weir_str type, struct weir_str body)
{
    if (s->head.failed || s->body.failed) {
        weir_buf_reset(&s->head);
        weir_buf_reset(&s->body);
        weir_answered(s, 503, started_ns);
        weir_access_outcome(weir_access_of(s, x), WEIR_ACCESS_UNAVAILABLE);
        weir_access_answered(s, x, 503, WEIR_STR(""));
        weir_http_reply(x, 503, WEIR_STR("retry-after: 1\r\n"), WEIR_STR(""), WEIR_STR(""));
        return;
    }
    weir_answered(s, status, started_ns);
    weir_access_answered(s, x, status, headers);
    weir_http_reply(x, status, headers, type, body);
}

enum weir_err weir_service_new(struct weir_config *config, struct weir_loop *loop,
                               struct weir_store *store, struct weir_service_group *group, int fd,
                               struct weir_service **ret_service)
{
    struct weir_service *s = weir_zalloc(sizeof(*s));
    if (s == NULL) {
        close(fd);
        return WEIR_ERR_NOMEM;
    }
    s->snapshot = weir_snapshot_new(config);
    s->config = config;
    s->loop = loop;
    s->store = store;
    s->store_stats = &store->stats;
    s->group = group;
    weir_json_init(&s->json);
    weir_buf_init(&s->text, config->body_bytes_max);
    weir_buf_init(&s->head, HEAD_MAX);
    weir_buf_init(&s->body, BODY_MAX);
    uint64_t seed;
    weir_random_bytes(&seed, sizeof(seed));
    weir_rand_init(&s->ids, seed);
    const struct weir_http_limits limits = weir_http_limits_of(config);
    const struct weir_http_handler handler = {.on_request = on_request,
                                              .on_gone = on_gone,
                                              .on_drained = on_drained,
                                              .error_body = refusal_body,
                                              .ctx = s};
    enum weir_err err = s->snapshot == NULL ? WEIR_ERR_NOMEM : weir_top_new(&s->top);
    if (err == WEIR_OK && weir_tokens_base() != NULL) {
        err = weir_token_memory_new(&s->memory);
    }
    if (err == WEIR_OK && config->upstreams > 0) {
        err = weir_upstreams_new(config, loop, &s->upstreams);
    }
    if (err == WEIR_OK && group->access_sink != NULL) {
        err = weir_access_log_new(loop, group->access_sink, &s->metrics.access_dropped,
                                  &s->access_log);
    }
    if (err == WEIR_OK) {
        err = weir_http_server_new(loop, fd, &limits, &handler, &s->http);
    } else {
        close(fd);
    }
    if (err != WEIR_OK) {
        weir_service_free(s);
        return err;
    }
    *ret_service = s;
    return WEIR_OK;
}

void weir_service_close(struct weir_service *s)
{
    weir_proxied_close(s);
    weir_upstreams_close(s->upstreams);
    if (s->access_log != NULL) {
        weir_access_log_close(s->access_log);
    }
    pthread_mutex_lock(&s->group->mutex);
    memcpy(&s->last_stats, s->store_stats, sizeof(s->last_stats));
    s->store_stats = &s->last_stats;
    pthread_mutex_unlock(&s->group->mutex);
}

void weir_service_free(struct weir_service *s)
{
    if (s == NULL) {
        return;
    }
    weir_http_server_free(s->http);
    weir_upstreams_free(s->upstreams);
    weir_chats_free(s);
    weir_proxied_free(s);
    weir_acquires_free(s);
    weir_access_log_free(s->access_log);
    weir_snapshot_let_go(s->snapshot);
    weir_top_free(s->top);
    weir_token_memory_free(s->memory);
    weir_json_deinit(&s->json);
    weir_buf_deinit(&s->text);
    weir_buf_deinit(&s->head);
    weir_buf_deinit(&s->body);
    weir_free(s);
}
