/* SPDX-License-Identifier: Apache-2.0 */
/* control.c - what stands beside the workers, on a thread of its own: the registry, and the admin
 * API, which asks it for changes. What the registry says is laid over the file by the main thread,
 * as at SIGHUP. */
#include <signal.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cli/node_internal.h"
#include "registry/registry.h"

struct control {
    struct node *node;
    struct weir_registry *registry; /* NULL: there is none */
    struct weir_admin *admin;       /* NULL: it is not offered */
    uv_timer_t grants;              /* until the next one ends */
};

void node_tell(struct node *node, struct weir_entries *entries)
{
    pthread_mutex_lock(&node->mutex);
    struct weir_entries *before = node->told.entries;
    node->told = (struct node_told){weir_entries_keep(entries), node->told.number + 1};
    pthread_mutex_unlock(&node->mutex);
    weir_entries_let_go(before);
}

/* The main thread waits for these. */
static void ask_for_reload(void *ctx)
{
    (void)ctx;
    kill(getpid(), SIGHUP);
}

static void ask_to_follow(void)
{
    kill(getpid(), SIGUSR2);
}

static void on_entries(void *ctx, struct weir_entries *entries)
{
    struct control *c = ctx;
    node_tell(c->node, entries);
    if (c->admin != NULL) {
        weir_admin_told(c->admin, c->node->told.number); /* only this thread changes it */
    }
    ask_to_follow();
}

static void on_reach(void *ctx, bool up)
{
    struct control *c = ctx;
    atomic_store(&c->node->group.registry_up, up ? WEIR_REGISTRY_IN_REACH : WEIR_REGISTRY_AWAY);
}

/* ---- grants that end ---- */

static void on_grant_end(uv_timer_t *timer)
{
    (void)timer;
    ask_to_follow();
}

static void wait_for_grant(struct control *c, uint64_t next_ms)
{
    uint64_t now_ms = weir_clock_wall_us() / 1000;
    uv_timer_stop(&c->grants);
    if (next_ms != UINT64_MAX) {
        uv_timer_start(&c->grants, on_grant_end, next_ms > now_ms ? next_ms - now_ms : 0, 0);
    }
}

/* ---- its life ---- */

static enum weir_err open_admin(struct control *c, struct weir_loop *loop, int fd)
{
    struct node *node = c->node;
    WEIR_TRY(weir_admin_new(node->config, &node->settings, loop, node->shared, &node->group, fd,
                            &c->admin));
    weir_admin_on_reload(c->admin, ask_for_reload, NULL);
    if (c->registry != NULL) {
        weir_admin_registry(c->admin, c->registry, node->base, node->unusable);
    }
    return WEIR_OK;
}

static enum weir_err open_parts(struct control *c, struct weir_loop *loop, int fd)
{
    struct node *node = c->node;
    const struct weir_registry_owner owner = {
        .ctx = c, .on_entries = on_entries, .on_reach = on_reach};
    enum weir_err err = WEIR_OK;
    uv_timer_init(&loop->uv, &c->grants);
    c->grants.data = c;
    wait_for_grant(c, node->next_ms);
    if (node->told.entries != NULL) {
        on_reach(c, true);
        err = weir_registry_open(&node->settings, loop, node->told.entries, &owner, &c->registry);
    }
    if (err == WEIR_OK && fd >= 0) {
        return open_admin(c, loop, fd);
    }
    if (fd >= 0) {
        close(fd);
    }
    return err;
}

static void stop_registry(struct control *c)
{
    uv_close((uv_handle_t *)&c->grants, NULL);
    weir_registry_close(c->registry);
    c->registry = NULL;
}

static void free_control(uv_handle_t *grants)
{
    weir_free(grants->data);
}

/* Where it was not drained, the loop has its timer still. */
static void close_control(void *server)
{
    struct control *c = server;
    bool drained = uv_is_closing((uv_handle_t *)&c->grants);
    weir_registry_close(c->registry);
    weir_admin_free(c->admin);
    if (drained) {
        weir_free(c);
    } else {
        uv_close((uv_handle_t *)&c->grants, free_control);
    }
}

static enum weir_err open_control(void *ctx, struct weir_loop *loop, int fd, void **ret_server)
{
    struct control *c = weir_zalloc(sizeof(*c));
    if (c == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return WEIR_ERR_NOMEM;
    }
    c->node = ctx;
    enum weir_err err = open_parts(c, loop, fd);
    if (err != WEIR_OK) {
        close_control(c);
        return err;
    }
    *ret_server = c;
    return WEIR_OK;
}

static void drain_control(void *server, uint32_t timeout_ms)
{
    struct control *c = server;
    stop_registry(c); /* it holds changes that the admin API ends */
    if (c->admin != NULL) {
        weir_admin_drain(c->admin, timeout_ms);
    }
}

static void adopt_control(void *server, void *changed)
{
    struct control *c = server;
    const struct node_changed *n = changed;
    if (n->next != NULL) {
        wait_for_grant(c, n->next_ms);
    }
    if (c->admin != NULL) {
        const struct weir_admin_changed told = {.next = n->next,
                                                .why = n->why,
                                                .base = n->base,
                                                .unusable = n->unusable,
                                                .told = n->told,
                                                .reload = n->reload};
        weir_admin_adopt(c->admin, &told);
    }
}

const struct weir_worker_ops node_controls = {
    .open = open_control, .drain = drain_control, .close = close_control, .adopt = adopt_control};
