/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "admin/internal.h"
#include "base/clock.h"
#include "base/mem.h"
#include "gateway/http_limits.h"

enum {
    HEAD_MAX = 4096,
    BODY_MAX = 64 << 20,
    REQUEST_BODY_MAX = 64 * 1024,
    CONNECTIONS_MAX = 256,
    PIPELINE_MAX = 16,
};

static void refusal_body(void *ctx, int status, struct weir_str reason,
                         const struct weir_http_request *http, struct weir_buf *body)
{
    (void)ctx;
    (void)status;
    (void)http;
    admin_error_body(body, reason, WEIR_STR("malformed_request"));
}

static void on_gone(void *ctx, struct weir_http_exchange *x)
{
    (void)ctx;
    struct admin_pending *pending = *weir_http_exchange_slot(x);
    if (pending != NULL) {
        pending->gone(pending);
    }
}

static struct weir_http_limits limits_of(const struct weir_config *config)
{
    struct weir_http_limits limits = weir_http_limits_of(config);
    limits.body_bytes_max = REQUEST_BODY_MAX;
    limits.connections_max = CONNECTIONS_MAX;
    limits.pipeline_max = PIPELINE_MAX;
    return limits;
}

static enum weir_err open_server(struct weir_admin *a, int fd)
{
    const struct weir_http_limits limits = limits_of(admin_config(a));
    const struct weir_http_handler handler = {
        .on_request = admin_on_request, .on_gone = on_gone, .error_body = refusal_body, .ctx = a};
    return weir_http_server_new(a->loop, fd, &limits, &handler, &a->http);
}

enum weir_err weir_admin_new(struct weir_config *config, const struct weir_config *settings,
                             struct weir_loop *loop, struct weir_store_shared *shared,
                             const struct weir_service_group *group, int fd,
                             struct weir_admin **ret_admin)
{
    struct weir_admin *a = weir_zalloc(sizeof(*a));
    if (a == NULL) {
        close(fd);
        return WEIR_ERR_NOMEM;
    }
    a->_config = weir_config_keep(config);
    a->group = group;
    a->loop = loop;
    a->started_us = weir_clock_us();
    weir_buf_init(&a->head, HEAD_MAX);
    weir_buf_init(&a->body, BODY_MAX);
    weir_buf_init(&a->overview, BODY_MAX);
    weir_buf_init(&a->text, REQUEST_BODY_MAX);
    weir_json_init(&a->json);
    enum weir_err err = weir_store_open(settings, loop, shared, &a->store);
    if (err != WEIR_OK) {
        close(fd);
    } else {
        err = open_server(a, fd);
    }
    if (err != WEIR_OK) {
        weir_admin_free(a);
        return err;
    }
    admin_events_init(a);
    *ret_admin = a;
    return WEIR_OK;
}

static void on_drained(void *ctx)
{
    struct weir_admin *a = ctx;
    weir_store_close(a->store);
    a->store = NULL;
}

void weir_admin_drain(struct weir_admin *a, uint32_t timeout_ms)
{
    admin_events_close(a);
    a->registry = NULL; /* what is asked meanwhile is refused */
    admin_edits_end(a);
    weir_http_server_drain(a->http, timeout_ms, on_drained, a);
}

void weir_admin_free(struct weir_admin *a)
{
    if (a == NULL) {
        return;
    }
    weir_store_close(a->store);
    weir_http_server_free(a->http);
    weir_buf_deinit(&a->head);
    admin_asks_free(a);
    weir_buf_deinit(&a->body);
    weir_buf_deinit(&a->overview);
    weir_buf_deinit(&a->text);
    weir_json_deinit(&a->json);
    weir_config_free(a->gathering.config);
    weir_config_free(a->base);
    weir_config_free(a->_config);
    weir_free(a);
}
