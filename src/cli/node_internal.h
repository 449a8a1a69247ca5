/* SPDX-License-Identifier: Apache-2.0 */
/* node_internal.h - a node, as its parts share it. Private to cli.
 *   node.c     its life, and its workers
 *   change.c   a configuration that takes the place of another: the main thread's
 *   control.c  what stands beside the workers: the registry, the admin API */
#ifndef WEIR_CLI_NODE_INTERNAL_H
#define WEIR_CLI_NODE_INTERNAL_H

#include <pthread.h>

#include "cli/node.h"
#include "cli/workers.h"
#include "service/service.h"
#include "service/snapshot.h"
#include "store/open.h"

struct node_worker {
    struct weir_store *store; /* NULL: closed */
    struct weir_service *service;
    /* of a configuration that is about to be in force */
    struct weir_snapshot *next;
    struct weir_upstream_set *next_upstreams; /* NULL: the same as before */
};

/* What the registry has said last. */
struct node_told {
    struct weir_entries *entries; /* kept; NULL: there is no registry */
    uint64_t number;              /* how often it has */
};

struct node {
    const char *path; /* of the configuration; NULL: the defaults */
    const struct weir_config_flags *flags;
    struct weir_config *base;    /* what the file says */
    struct weir_config *config;  /* in force: that, and what the registry lays over it */
    size_t unusable;             /* entries that it could not */
    uint64_t next_ms;            /* when a grant that is in it ends; Unix time */
    struct weir_config settings; /* what of it stays as long as the node */
    struct node_worker **worker; /* settings.workers of them */
    uint32_t workers;            /* that are open */
    struct weir_store_shared *shared;
    struct weir_vocabulary *vocabulary; /* NULL: tokens are estimated */
    struct weir_service_group group;
    pthread_mutex_t mutex; /* of what is told */
    struct node_told told;
};

/* ---- change.c ---- */

/* What became of a change, for all threads. */
struct node_changed {
    struct weir_config *next; /* NULL: nothing was changed, and `why` */
    const char *why;
    struct weir_config *base;
    size_t unusable;
    uint64_t told;    /* with what the registry had said so many times */
    uint64_t next_ms; /* when a grant ends; Unix time */
    bool reload;      /* the file was read again */
};

/* The first configuration: node->base with node->told laid over it. False: ret_why says why. */
bool node_lay_first(struct node *node, char *ret_why, size_t room);
/* The operations of the workers. */
void node_reload(void *ctx, struct weir_workers *workers);
void node_follow(void *ctx, struct weir_workers *workers);
/* Made when a plan forecasts, and kept from then on. False: no memory. */
bool node_open_history(struct node *node, const struct weir_config *config);

/* ---- control.c ---- */

/* What stands aside; of a node whose settings name a registry or an admin API. */
extern const struct weir_worker_ops node_controls;
/* What the registry says, to whoever asks next. */
void node_tell(struct node *node, struct weir_entries *entries);

#endif
