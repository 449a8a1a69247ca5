/* SPDX-License-Identifier: Apache-2.0 */
/* workers.h - the worker threads of a command that serves: each has a loop, a listener on the port
 * that all share (or on what the service manager hands over), and on both of them the command's own
 * server. */
#ifndef WEIR_CLI_WORKERS_H
#define WEIR_CLI_WORKERS_H

#include "config/config.h"
#include "net/loop.h"

struct weir_workers;

/* What stands on a worker's loop. */
struct weir_worker_ops {
    /* One worker's server. fd: its listening socket, owned from here on. Before any worker runs. */
    enum weir_err (*open)(void *ctx, struct weir_loop *loop, int fd, void **ret_server);
    /* On the worker's thread: nothing new is taken, requests under way have timeout_ms to finish,
     * and then nothing of the server keeps the loop alive. */
    void (*drain)(void *server, uint32_t timeout_ms);
    /* After that, when no worker runs any more. */
    void (*close)(void *server);
    /* On the worker's thread, for weir_workers_adopt; NULL without reload. */
    void (*adopt)(void *server, void *next);
    /* SIGHUP, on the main thread while the workers serve. NULL: the signal is not taken. */
    void (*reload)(void *ctx, struct weir_workers *workers);
    /* SIGUSR2, in the same way: what stands aside asks for it. */
    void (*follow)(void *ctx, struct weir_workers *workers);
    /* At SIGUSR1, on no worker's thread; ctx: as of open. NULL: the signal is not watched for. */
    void (*reopen)(void *ctx);
};

/* One more thread with another server on it. */
struct weir_worker_aside {
    const char *what;                 /* as "the admin API" */
    const struct weir_listen *listen; /* its own; NULL: it has none, and is opened with fd -1 */
    const struct weir_worker_ops *ops;
};

/* Opens the workers that the configuration names, serves until SIGTERM or SIGINT, drains them and
 * closes them. command: as "weir serve", for what is said on stderr. aside: opened when all workers
 * are; NULL: none. Returns an exit code; a failure was said. */
int weir_workers_run(const char *command, const struct weir_config *config,
                     const struct weir_worker_ops *ops, const struct weir_worker_aside *aside,
                     void *ctx);

/* For reload: each worker in its turn, and then what stands aside, adopts `next` on its own thread.
 * Returns when all have. */
void weir_workers_adopt(struct weir_workers *workers, void *next);

#endif
