/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/node_internal.h"
#include "cli/start.h"
#include "cli/token_data.h"
#include "limit/history.h"
#include "registry/registry.h"
#include "service/access_sink.h"
#include "tokens/calibration.h"

/* ---- one worker ---- */

static void close_worker(void *server)
{
    struct node_worker *w = server;
    weir_store_close(w->store);
    weir_service_free(w->service);
    weir_free(w);
}

static enum weir_err open_service(struct node *node, struct weir_loop *loop, int fd,
                                  struct node_worker *w)
{
    enum weir_err err = weir_store_open(&node->settings, loop, node->shared, &w->store);
    if (err != WEIR_OK) {
        close(fd);
        return err;
    }
    return weir_service_new(node->config, loop, w->store, &node->group, fd, &w->service);
}

static enum weir_err open_worker(void *ctx, struct weir_loop *loop, int fd, void **ret_server)
{
    struct node *node = ctx;
    struct node_worker *w = weir_zalloc(sizeof(*w));
    if (w == NULL) {
        close(fd);
        return WEIR_ERR_NOMEM;
    }
    enum weir_err err = open_service(node, loop, fd, w);
    if (err != WEIR_OK) {
        close_worker(w);
        return err;
    }
    node->worker[node->workers++] = w;
    node->group.service[node->group.services++] = w->service;
    *ret_server = w;
    return WEIR_OK;
}

static void on_drained(void *ctx)
{
    struct node_worker *w = ctx;
    weir_service_close(w->service);
    weir_store_close(w->store); /* the last answers are given */
    w->store = NULL;
}

static void drain_worker(void *server, uint32_t timeout_ms)
{
    struct node_worker *w = server;
    weir_http_server_drain(w->service->http, timeout_ms, on_drained, w);
}

static void adopt_worker(void *server, void *changed)
{
    struct node_worker *w = server;
    if (((struct node_changed *)changed)->next != NULL) {
        weir_service_adopt(w->service, w->next, w->next_upstreams);
        w->next = NULL;
        w->next_upstreams = NULL;
    }
}

static void reopen_log(void *ctx)
{
    struct node *node = ctx;
    weir_access_sink_reopen(node->group.access_sink);
}

static const struct weir_worker_ops workers = {.open = open_worker,
                                               .drain = drain_worker,
                                               .close = close_worker,
                                               .adopt = adopt_worker,
                                               .reload = node_reload,
                                               .follow = node_follow,
                                               .reopen = reopen_log};

/* ---- the node ---- */

/* False: said what is wrong. */
static bool open_access_log(struct node *node)
{
    const char *where = node->base->access_log;
    enum weir_err err =
        where[0] == '\0' ? WEIR_OK : weir_access_sink_open(where, &node->group.access_sink);
    if (err != WEIR_OK) {
        fprintf(stderr, "weir serve: access_log: cannot open %s: %s\n", where,
                err == WEIR_ERR_IO ? strerror(errno) : "out of memory");
    }
    return err == WEIR_OK;
}

/* What the registry says before the node serves. False: ret_why says why. */
static bool open_registry(struct node *node, char *ret_why, size_t room)
{
    char why[512];
    if (node->base->registry[0] == '\0') {
        return true;
    }
    enum weir_err err = weir_registry_first(node->base, &node->told.entries, why, sizeof(why));
    if (err != WEIR_OK) {
        snprintf(ret_why, room, "registry: %s", why);
    }
    return err == WEIR_OK;
}

/* An exit code; said what is wrong. */
static int node_prepare(struct node *node)
{
    char why[1024];
    int code = weir_start_config("weir serve", node->path, node->flags, &node->base);
    if (code != WEIR_EXIT_OK) {
        return code;
    }
    if (!open_access_log(node) ||
        !weir_token_data_use("weir serve", node->base->token_data, &node->vocabulary)) {
        return WEIR_EXIT_FAILED;
    }
    if (weir_store_check(node->base, why, sizeof(why)) != WEIR_OK ||
        !open_registry(node, why, sizeof(why)) || !node_lay_first(node, why, sizeof(why))) {
        fprintf(stderr, "weir serve: %s\n", why);
        return WEIR_EXIT_FAILED;
    }
    weir_config_settings(node->config, &node->settings);
    node->group.service = weir_zalloc_array(node->config->workers, sizeof(*node->group.service));
    node->worker = weir_zalloc_array(node->config->workers, sizeof(*node->worker));
    weir_service_count_reload(&node->group, true, weir_clock_wall_s());
    if (node->group.service == NULL || node->worker == NULL ||
        weir_store_shared_new(node->config, &node->shared) != WEIR_OK ||
        !node_open_history(node, node->config) ||
        weir_calibration_new(&node->group.calibration) != WEIR_OK) {
        fprintf(stderr, "weir serve: out of memory\n");
        return WEIR_EXIT_FAILED;
    }
    return WEIR_EXIT_OK;
}

static void node_free(struct node *node)
{
    weir_free(node->group.service);
    weir_free(node->worker);
    weir_access_sink_free(node->group.access_sink);
    weir_history_free(node->group.history);
    weir_calibration_free(node->group.calibration);
    weir_store_shared_free(node->shared);
    weir_token_data_end(node->vocabulary);
    weir_config_free(node->config);
    weir_config_free(node->base);
    weir_entries_let_go(node->told.entries);
    weir_wipe(&node->settings, sizeof(node->settings));
}

int weir_node_run(const char *path, const struct weir_config_flags *flags)
{
    struct node node = {.path = path,
                        .flags = flags,
                        .group = {.mutex = PTHREAD_MUTEX_INITIALIZER},
                        .mutex = PTHREAD_MUTEX_INITIALIZER};
    int code = node_prepare(&node);
    if (code == WEIR_EXIT_OK) {
        const struct weir_worker_aside control = {
            .what = "admin API",
            .listen = node.settings.has_admin ? &node.settings.admin_listen : NULL,
            .ops = &node_controls};
        bool aside = node.settings.has_admin || node.told.entries != NULL;
        code = weir_workers_run("weir serve", &node.settings, &workers, aside ? &control : NULL,
                                &node);
    }
    node_free(&node);
    return code;
}
