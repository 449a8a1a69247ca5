/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/node.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/start.h"
#include "cli/token_data.h"
#include "cli/workers.h"
#include "service/access_sink.h"
#include "service/reserve.h"
#include "store/open.h"
#include "tokens/calibration.h"

struct worker {
    struct weir_store *store; /* NULL: closed */
    struct weir_service *service;
    struct weir_snapshot *next; /* of a configuration that is about to be in force */
};

struct node {
    const char *path; /* of the configuration; NULL: the defaults */
    const struct weir_config_flags *flags;
    struct weir_config *config;  /* in force */
    struct weir_config settings; /* what of it stays as long as the node */
    struct worker **worker;      /* settings.workers of them */
    uint32_t workers;            /* that are open */
    struct weir_store_shared *shared;
    struct weir_vocabulary *vocabulary; /* NULL: tokens are estimated */
    struct weir_service_group group;
};

/* ---- one worker ---- */

static void close_worker(void *server)
{
    struct worker *w = server;
    weir_store_close(w->store);
    weir_service_free(w->service);
    weir_free(w);
}

static enum weir_err open_service(struct node *node, struct weir_loop *loop, int fd,
                                  struct worker *w)
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
    struct worker *w = weir_zalloc(sizeof(*w));
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
    struct worker *w = ctx;
    weir_service_close(w->service);
    weir_store_close(w->store); /* the last answers are given */
    w->store = NULL;
}

static void drain_worker(void *server, uint32_t timeout_ms)
{
    struct worker *w = server;
    weir_http_server_drain(w->service->http, timeout_ms, on_drained, w);
}

/* ---- a configuration that changed ---- */

/* What became of it, for all threads. */
struct reloaded {
    struct weir_config *next; /* NULL: nothing was changed, and `why` */
    const char *why;
};

static void adopt_worker(void *server, void *reloaded)
{
    struct worker *w = server;
    if (((struct reloaded *)reloaded)->next != NULL) {
        weir_service_adopt(w->service, w->next);
        w->next = NULL;
    }
}

/* Made when a plan forecasts, and kept from then on. False: no memory. */
static bool open_history(struct node *node, const struct weir_config *config)
{
    struct weir_history *history = atomic_load(&node->group.history);
    if (history == NULL && weir_reserve_histories_new(config, &history) != WEIR_OK) {
        return false;
    }
    atomic_store(&node->group.history, history);
    return true;
}

/* All that can fail, before anything changes. False: ret_why says why. */
static bool prepare_next(struct node *node, struct weir_config *next,
                         char ret_why[static WEIR_CONFIG_WHY_BYTES])
{
    if (!weir_config_can_follow(node->config, next, ret_why)) {
        return false;
    }
    bool made =
        weir_store_shared_prepare(node->shared, next) == WEIR_OK && open_history(node, next);
    for (uint32_t i = 0; made && i < node->workers; i++) {
        node->worker[i]->next = weir_snapshot_new(next);
        made = node->worker[i]->next != NULL;
    }
    if (!made) {
        snprintf(ret_why, WEIR_CONFIG_WHY_BYTES, "out of memory");
    }
    return made;
}

static void drop_next(struct node *node)
{
    for (uint32_t i = 0; i < node->workers; i++) {
        weir_snapshot_let_go(node->worker[i]->next);
        node->worker[i]->next = NULL;
    }
}

/* NULL: ret_why says why; the configuration in force stays. */
static struct weir_config *read_again(struct node *node, char *ret_why, size_t room)
{
    const char *path = node->path;
    struct weir_config *next;
    struct weir_config_error error;
    char why[WEIR_CONFIG_WHY_BYTES];
    if (path == NULL) {
        snprintf(ret_why, room, "without --config there is nothing to read again");
        return NULL;
    }
    if (weir_config_load(path, node->flags, &next, &error) != WEIR_OK) {
        weir_config_error_say(&error, path, ret_why, room);
        return NULL;
    }
    if (!prepare_next(node, next, why)) {
        snprintf(ret_why, room, "%s", why);
        drop_next(node);
        weir_config_free(next);
        return NULL;
    }
    return next;
}

static void reload(void *ctx, struct weir_workers *workers)
{
    struct node *node = ctx;
    struct reloaded r = {0};
    char why[1024];
    r.next = read_again(node, why, sizeof(why));
    r.why = r.next == NULL ? why : NULL;
    weir_workers_adopt(workers, &r);
    weir_service_count_reload(&node->group, r.next != NULL, weir_clock_wall_s());
    if (r.next == NULL) {
        weir_log(WEIR_LOG_ERROR, "reload: %s; nothing was changed", why);
        return;
    }
    weir_store_shared_follow(node->shared, node->config, r.next);
    weir_config_free(node->config);
    node->config = r.next;
    weir_log(WEIR_LOG_INFO, "reload: in force: %zu plans, %zu keys", r.next->plans, r.next->keys);
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
                                               .reload = reload,
                                               .reopen = reopen_log};

/* ---- the admin API ---- */

/* The main thread waits for it. */
static void ask_for_reload(void *ctx)
{
    (void)ctx;
    kill(getpid(), SIGHUP);
}

static enum weir_err open_admin(void *ctx, struct weir_loop *loop, int fd, void **ret_server)
{
    struct node *node = ctx;
    struct weir_admin *admin;
    WEIR_TRY(weir_admin_new(node->config, &node->settings, loop, node->shared, &node->group, fd,
                            &admin));
    weir_admin_on_reload(admin, ask_for_reload, NULL);
    *ret_server = admin;
    return WEIR_OK;
}

static void drain_admin(void *server, uint32_t timeout_ms)
{
    weir_admin_drain(server, timeout_ms);
}

static void close_admin(void *server)
{
    weir_admin_free(server);
}

static void adopt_admin(void *server, void *reloaded)
{
    const struct reloaded *r = reloaded;
    weir_admin_reloaded(server, r->next, r->why);
}

static const struct weir_worker_ops admins = {
    .open = open_admin, .drain = drain_admin, .close = close_admin, .adopt = adopt_admin};

/* ---- the node ---- */

/* False: said what is wrong. */
static bool open_access_log(struct node *node)
{
    const char *where = node->config->access_log;
    enum weir_err err =
        where[0] == '\0' ? WEIR_OK : weir_access_sink_open(where, &node->group.access_sink);
    if (err != WEIR_OK) {
        fprintf(stderr, "weir serve: access_log: cannot open %s: %s\n", where,
                err == WEIR_ERR_IO ? strerror(errno) : "out of memory");
    }
    return err == WEIR_OK;
}

/* An exit code; said what is wrong. */
static int node_prepare(struct node *node)
{
    char why[1024];
    int code = weir_start_config("weir serve", node->path, node->flags, &node->config);
    if (code != WEIR_EXIT_OK) {
        return code;
    }
    if (!open_access_log(node) ||
        !weir_token_data_use("weir serve", node->config->token_data, &node->vocabulary)) {
        return WEIR_EXIT_FAILED;
    }
    if (weir_store_check(node->config, why, sizeof(why)) != WEIR_OK) {
        fprintf(stderr, "weir serve: %s\n", why);
        return WEIR_EXIT_FAILED;
    }
    weir_config_settings(node->config, &node->settings);
    node->group.service = weir_zalloc_array(node->config->workers, sizeof(*node->group.service));
    node->worker = weir_zalloc_array(node->config->workers, sizeof(*node->worker));
    weir_service_count_reload(&node->group, true, weir_clock_wall_s());
    if (node->group.service == NULL || node->worker == NULL ||
        weir_store_shared_new(node->config, &node->shared) != WEIR_OK ||
        !open_history(node, node->config) ||
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
    weir_wipe(&node->settings, sizeof(node->settings));
}

int weir_node_run(const char *path, const struct weir_config_flags *flags)
{
    struct node node = {
        .path = path, .flags = flags, .group = {.mutex = PTHREAD_MUTEX_INITIALIZER}};
    int code = node_prepare(&node);
    if (code == WEIR_EXIT_OK) {
        const struct weir_worker_aside admin = {
            .what = "admin API", .listen = &node.settings.admin_listen, .ops = &admins};
        code = weir_workers_run("weir serve", &node.settings, &workers,
                                node.settings.has_admin ? &admin : NULL, &node);
    }
    node_free(&node);
    return code;
}
