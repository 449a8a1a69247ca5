/* SPDX-License-Identifier: Apache-2.0 */
/* admin.h - what operators ask a node that runs: the admin API (docs/admin.md), on a listener, a
 * thread and a store handle of its own, so that it never waits for the workers nor they for it. */
#ifndef WEIR_ADMIN_ADMIN_H
#define WEIR_ADMIN_ADMIN_H

#include "config/config.h"
#include "net/loop.h"
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
/* What an operator calls who wants the configuration to be read again: weir_admin_reloaded follows,
 * later. Set before the loop runs. */
void weir_admin_on_reload(struct weir_admin *a, void (*reload)(void *ctx), void *ctx);
/* On its loop's thread: `next` is in force from here on; or it is NULL, since nothing was changed
 * and `why`. */
void weir_admin_reloaded(struct weir_admin *a, struct weir_config *next, const char *why);
/* Nothing new is taken; streams end, requests under way have timeout_ms to finish, and then
 * nothing of it keeps the loop alive. */
void weir_admin_drain(struct weir_admin *a, uint32_t timeout_ms);
/* After that. NULL is allowed. */
void weir_admin_free(struct weir_admin *a);

#endif
