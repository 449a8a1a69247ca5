/* SPDX-License-Identifier: Apache-2.0 */
/* change.c - a configuration that takes the place of another while a node serves: the file was
 * changed and is read again, or the registry has changed what it lays over it. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "cli/node_internal.h"
#include "gateway/upstream.h"
#include "service/reserve.h"

bool node_open_history(struct node *node, const struct weir_config *config)
{
    struct weir_history *history = atomic_load(&node->group.history);
    if (history == NULL && weir_reserve_histories_new(config, &history) != WEIR_OK) {
        return false;
    }
    atomic_store(&node->group.history, history);
    return true;
}

/* ---- what the registry lays over the file ---- */

static struct node_told what_is_told(struct node *node)
{
    pthread_mutex_lock(&node->mutex);
    struct node_told told = node->told;
    if (told.entries != NULL) {
        weir_entries_keep(told.entries);
    }
    pthread_mutex_unlock(&node->mutex);
    return told;
}

static void say_unusable(const struct weir_overlay_report *report)
{
    if (report->unusable > 0) {
        weir_log(WEIR_LOG_WARN, "registry: %s cannot be used: %s (%zu in all)", report->name,
                 report->why, report->unusable);
    }
}

/* changed->base with what is told: changed->next and all that is said of it. NULL: ret_why says
 * why. */
static void lay_over(struct node *node, struct node_changed *changed,
                     struct weir_overlay_report *ret_report, char *ret_why, size_t room)
{
    struct node_told told = what_is_told(node);
    *ret_report = (struct weir_overlay_report){.next_ms = UINT64_MAX};
    changed->told = told.number;
    if (told.entries == NULL) {
        changed->next = weir_config_keep(changed->base);
    } else if (weir_config_overlay(changed->base, told.entries, weir_clock_wall_us() / 1000,
                                   &changed->next, ret_report) != WEIR_OK) {
        changed->next = NULL;
        snprintf(ret_why, room, "registry: %s",
                 ret_report->why[0] == '\0' ? "out of memory" : ret_report->why);
    }
    weir_entries_let_go(told.entries);
    changed->unusable = ret_report->unusable;
    changed->next_ms = ret_report->next_ms;
}

/* It is in force. */
static void keep_report(struct node *node, const struct weir_overlay_report *report)
{
    node->unusable = report->unusable;
    node->next_ms = report->next_ms;
    atomic_store(&node->group.registry_used, report->used);
    atomic_store(&node->group.registry_unusable, report->unusable);
}

bool node_lay_first(struct node *node, char *ret_why, size_t room)
{
    struct weir_overlay_report report;
    struct node_changed changed = {.base = node->base};
    lay_over(node, &changed, &report, ret_why, room);
    if (changed.next == NULL) {
        return false;
    }
    say_unusable(&report);
    keep_report(node, &report);
    node->config = changed.next;
    return true;
}

/* ---- all that can fail, before anything changes ---- */

static bool prepare_worker(struct node_worker *w, struct weir_config *next, bool other_upstreams)
{
    uint64_t seed;
    weir_random_bytes(&seed, sizeof(seed));
    w->next = weir_snapshot_new(next);
    w->next_upstreams = other_upstreams ? weir_upstream_set_new(next, seed) : NULL;
    return w->next != NULL && (!other_upstreams || w->next_upstreams != NULL);
}

/* False: ret_why says why. */
static bool prepare(struct node *node, struct weir_config *next, char *ret_why, size_t room)
{
    bool made =
        weir_store_shared_prepare(node->shared, next) == WEIR_OK && node_open_history(node, next);
    bool other_upstreams = !weir_upstream_configs_alike(node->config, next);
    for (uint32_t i = 0; made && i < node->workers; i++) {
        made = prepare_worker(node->worker[i], next, other_upstreams);
    }
    if (!made) {
        snprintf(ret_why, room, "out of memory");
    }
    return made;
}

static void drop_next(struct node *node)
{
    for (uint32_t i = 0; i < node->workers; i++) {
        weir_snapshot_let_go(node->worker[i]->next);
        weir_upstream_set_let_go(node->worker[i]->next_upstreams);
        node->worker[i]->next = NULL;
        node->worker[i]->next_upstreams = NULL;
    }
}

/* All threads go over to changed->next, or hear that there is none and why. */
static void hand_over(struct node *node, struct weir_workers *workers, struct node_changed *changed,
                      const struct weir_overlay_report *report, char *why, size_t room)
{
    if (changed->next != NULL && !prepare(node, changed->next, why, room)) {
        drop_next(node);
        weir_config_free(changed->next);
        changed->next = NULL;
    }
    changed->why = changed->next == NULL ? why : NULL;
    weir_workers_adopt(workers, changed);
    if (changed->next == NULL) {
        return;
    }
    say_unusable(report);
    keep_report(node, report);
    weir_store_shared_follow(node->shared, node->config, changed->next);
    weir_config_free(node->config);
    node->config = changed->next;
}

/* ---- the file ---- */

/* NULL: ret_why says why. */
static struct weir_config *read_again(struct node *node, char *ret_why, size_t room)
{
    struct weir_config *base;
    struct weir_config_error error;
    char why[WEIR_CONFIG_WHY_BYTES];
    if (node->path == NULL) {
        snprintf(ret_why, room, "without --config there is nothing to read again");
        return NULL;
    }
    if (weir_config_load(node->path, node->flags, &base, &error) != WEIR_OK) {
        weir_config_error_say(&error, node->path, ret_why, room);
        return NULL;
    }
    if (!weir_config_can_follow(node->base, base, why)) {
        snprintf(ret_why, room, "%s", why);
        weir_config_free(base);
        return NULL;
    }
    return base;
}

/* A file that takes away what entries of the registry need is refused. */
static void lay_over_anew(struct node *node, struct node_changed *changed,
                          struct weir_overlay_report *ret_report, char *ret_why, size_t room)
{
    lay_over(node, changed, ret_report, ret_why, room);
    if (changed->next != NULL && changed->unusable > node->unusable) {
        snprintf(ret_why, room, "%s of the registry could not be used: %s", ret_report->name,
                 ret_report->why);
        weir_config_free(changed->next);
        changed->next = NULL;
    }
}

void node_reload(void *ctx, struct weir_workers *workers)
{
    struct node *node = ctx;
    struct node_changed changed = {.reload = true};
    struct weir_overlay_report report = {0};
    char why[1024];
    changed.base = read_again(node, why, sizeof(why));
    if (changed.base != NULL) {
        lay_over_anew(node, &changed, &report, why, sizeof(why));
    }
    hand_over(node, workers, &changed, &report, why, sizeof(why));
    weir_service_count_reload(&node->group, changed.next != NULL, weir_clock_wall_s());
    if (changed.next == NULL) {
        weir_config_free(changed.base);
        weir_log(WEIR_LOG_ERROR, "reload: %s; nothing was changed", why);
        return;
    }
    weir_config_free(node->base);
    node->base = changed.base;
    weir_log(WEIR_LOG_INFO, "reload: in force: %zu plans, %zu keys", changed.next->plans,
             changed.next->keys);
}

/* ---- the registry ---- */

void node_follow(void *ctx, struct weir_workers *workers)
{
    struct node *node = ctx;
    struct node_changed changed = {.base = node->base};
    struct weir_overlay_report report;
    char why[1024];
    lay_over(node, &changed, &report, why, sizeof(why));
    hand_over(node, workers, &changed, &report, why, sizeof(why));
    if (changed.next == NULL) {
        weir_log(WEIR_LOG_ERROR, "registry: what has changed is not in force: %s", why);
    }
}
