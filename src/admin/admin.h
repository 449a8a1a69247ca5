/* SPDX-License-Identifier: Apache-2.0 */
/* admin.h - what operators ask a node that runs: the admin API (docs/admin.md), on a listener, a
 * thread and a store handle of its own, so that it never waits for the workers nor they for it. */
#ifndef WEIR_ADMIN_ADMIN_H
#define WEIR_ADMIN_ADMIN_H

#include "config/config.h"
#include "net/loop.h"
#include "registry/registry.h"
#include "service/service.h"
#include "store/open.h"

struct weir_admin;

/* On its own loop; everything belongs to that loop's thread. settings, shared and group outlive
 * it; of the group's services it reads what other threads may. fd: the listening socket, owned from
 * here on. */
WEIR_MUSTCHECK enum weir_err
weir_admin_new(struct weir_config *config, const struct weir_config *settings,
               struct weir_loop *loop, struct weir_store_shared *shared,
               const struct weir_service_group *group, int fd, struct weir_admin **ret_admin);
/* What an operator calls who wants the configuration to be read again: weir_admin_adopt follows,
 * later. Set before the loop runs. */
void weir_admin_on_reload(struct weir_admin *a, void (*reload)(void *ctx), void *ctx);
/* Keys and plans are changed by it, and laid over `base`; so many of its entries cannot be used.
 * Set before the loop runs; without, such changes are refused. */
void weir_admin_registry(struct weir_admin *a, struct weir_registry *registry,
                         struct weir_config *base, size_t unusable);
/* On its loop's thread: the registry has said something, for the `number`th time. What was changed
 * by it is answered when a configuration that knows this is in force. */
void weir_admin_told(struct weir_admin *a, uint64_t number);

/* What became of another configuration. */
struct weir_admin_changed {
    struct weir_config *next; /* in force from here on; NULL: nothing was changed, and `why` */
    const char *why;
    struct weir_config *base; /* what of it the file says */
    size_t unusable;          /* entries of the registry */
    uint64_t told;            /* the last number that it knows */
    bool reload;              /* the file was read again, as on_reload asks for */
};
/* On its loop's thread. */
void weir_admin_adopt(struct weir_admin *a, const struct weir_admin_changed *changed);
/* Nothing new is taken; streams end, requests under way have timeout_ms to finish, and then
 * nothing of it keeps the loop alive. */
void weir_admin_drain(struct weir_admin *a, uint32_t timeout_ms);
/* After that. NULL is allowed. */
void weir_admin_free(struct weir_admin *a);

#endif
