/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/workers.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/activation.h"
#include "cli/cli.h"
#include "cli/notify.h"
#include "net/http_server.h"

struct worker {
    struct weir_workers *of;
    const struct weir_worker_ops *ops;
    pthread_t thread;
    struct weir_loop loop;
    void *server;
    atomic_bool called; /* to adopt, on its thread */
};

struct weir_workers {
    const char *command;
    const struct weir_config *config;
    const struct weir_worker_ops *ops;
    const struct weir_worker_aside *aside;
    void *ctx;
    struct worker *worker; /* the last one is what stands aside, if anything does */
    uint32_t count;        /* how many are set up */
    uint32_t sockets; /* that the service manager handed over; 0: the configuration names one */
    void *next;       /* what each adopts now */
    sem_t adopted;
};

static void on_stop(void *ctx)
{
    struct worker *w = ctx;
    w->ops->drain(w->server, w->of->config->drain_timeout_ms);
}

static void on_wake(void *ctx)
{
    struct worker *w = ctx;
    if (atomic_exchange(&w->called, false)) {
        w->ops->adopt(w->server, w->of->next);
        sem_post(&w->of->adopted);
    }
}

void weir_workers_adopt(struct weir_workers *all, void *next)
{
    all->next = next;
    for (uint32_t i = 0; i < all->count; i++) {
        atomic_store(&all->worker[i].called, true);
        weir_loop_wake(&all->worker[i].loop);
        while (sem_wait(&all->adopted) != 0) {
        }
    }
}

static void *run_worker(void *arg)
{
    struct worker *w = arg;
    weir_loop_run(&w->loop);
    return NULL;
}

/* False: said what is wrong. */
static bool open_worker(struct weir_workers *all, const struct weir_worker_ops *ops, int fd)
{
    struct worker *w = &all->worker[all->count];
    w->of = all;
    w->ops = ops;
    if (weir_loop_init(&w->loop) != WEIR_OK) {
        fprintf(stderr, "%s: the kernel gives no event loop: %s\n", all->command, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    enum weir_err err = ops->open(all->ctx, &w->loop, fd, &w->server);
    if (err != WEIR_OK) {
        fprintf(stderr, "%s: a worker cannot start: %s\n", all->command, weir_err_name(err));
        weir_loop_deinit(&w->loop);
        return false;
    }
    weir_loop_on_stop(&w->loop, on_stop, w);
    weir_loop_on_wake(&w->loop, on_wake, w);
    all->count++;
    return true;
}

/* False: said what is wrong. */
static bool listen_on(const struct weir_workers *all, const struct weir_listen *listen,
                      uint16_t port, bool first, int *ret_fd, uint16_t *ret_port)
{
    if (weir_http_listen(listen->host, port, first, ret_fd, ret_port) == WEIR_OK) {
        return true;
    }
    fprintf(stderr, "%s: cannot listen on %s:%u: %s\n", all->command, listen->host, listen->port,
            errno == EADDRINUSE ? "address already in use" : strerror(errno));
    return false;
}

/* The next worker's listener: *port is 0 or that of those before. False: said what is wrong. */
static bool open_listener(struct weir_workers *all, uint16_t *port, int *ret_fd)
{
    if (all->sockets == 0) {
        return listen_on(all, &all->config->listen, *port, all->count == 0, ret_fd, port);
    }
    *ret_fd = weir_activation_listener(all->sockets, all->count);
    if (*ret_fd < 0) {
        fprintf(stderr, "%s: no descriptor for a worker: %s\n", all->command, strerror(errno));
    }
    return *ret_fd >= 0;
}

/* A listener for each worker, on one port. False: said what is wrong. */
static bool open_workers(struct weir_workers *all, uint16_t *ret_port)
{
    uint16_t port = all->config->listen.port;
    if (!weir_activation_take(all->command, all->config->workers, &all->sockets)) {
        return false;
    }
    all->worker = weir_zalloc_array(all->config->workers + 1, sizeof(*all->worker));
    if (all->worker == NULL) {
        fprintf(stderr, "%s: out of memory\n", all->command);
        return false;
    }
    while (all->count < all->config->workers) {
        int fd;
        if (!open_listener(all, &port, &fd) || !open_worker(all, all->ops, fd)) {
            return false;
        }
    }
    *ret_port = port;
    return true;
}

/* "127.0.0.1:8000", "[::1]:8000". */
static void say_listening(const char *what, const char *host, uint16_t port)
{
    bool ipv6 = strchr(host, ':') != NULL;
    fprintf(stderr, "weir: %s on %s%s%s:%u\n", what, ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
}

/* False: said what is wrong. */
static bool open_aside(struct weir_workers *all)
{
    const struct weir_worker_aside *aside = all->aside;
    int fd;
    uint16_t port;
    if (aside == NULL) {
        return true;
    }
    if (aside->listen == NULL) {
        return open_worker(all, aside->ops, -1);
    }
    if (!listen_on(all, aside->listen, aside->listen->port, true, &fd, &port) ||
        !open_worker(all, aside->ops, fd)) {
        return false;
    }
    say_listening(aside->what, aside->listen->host, port);
    return true;
}

static void start_threads(struct weir_workers *all)
{
    for (uint32_t i = 0; i < all->count; i++) {
        int err = pthread_create(&all->worker[i].thread, NULL, run_worker, &all->worker[i]);
        if (err != 0) {
            fprintf(stderr, "%s: cannot start worker %u: %s\n", all->command, i, strerror(err));
            exit(WEIR_EXIT_FAILED); /* no request was served yet */
        }
    }
}

/* Whether no worker is stuck: all loops have come round since the last time. */
static bool all_turned(struct weir_workers *all)
{
    bool turned = true;
    for (uint32_t i = 0; i < all->count; i++) {
        turned = weir_loop_turned(&all->worker[i].loop) && turned;
    }
    return turned;
}

/* The next of the signals; the service manager hears meanwhile that the workers turn. */
static int next_signal(const sigset_t *signals, struct weir_workers *all)
{
    uint64_t every_us = weir_notify_watchdog_us();
    const struct timespec every = {.tv_sec = (time_t)(every_us / 1000000),
                                   .tv_nsec = (long)(every_us % 1000000) * 1000};
    int got;
    if (every_us == 0) {
        sigwait(signals, &got);
        return got;
    }
    while ((got = sigtimedwait(signals, NULL, &every)) < 0) {
        if (errno == EAGAIN && all_turned(all)) {
            weir_notify("WATCHDOG=1");
        }
    }
    return got;
}

/* False: it is time to stop. */
static bool on_signal(int got, struct weir_workers *all)
{
    switch (got) {
    case SIGHUP:
        weir_notify_reloading();
        all->ops->reload(all->ctx, all);
        weir_notify("READY=1");
        return true;
    case SIGUSR2:
        all->ops->follow(all->ctx, all);
        return true;
    case SIGUSR1:
        all->ops->reopen(all->ctx);
        return true;
    default:
        return false;
    }
}

/* Until SIGTERM or SIGINT; a second one ends the process at once. */
static void wait_for_stop(const sigset_t *signals, struct weir_workers *all)
{
    while (on_signal(next_signal(signals, all), all)) {
    }
    weir_notify("STOPPING=1");
    weir_log(WEIR_LOG_INFO, "stopping: requests under way may finish");
    for (uint32_t i = 0; i < all->count; i++) {
        weir_loop_stop(&all->worker[i].loop);
    }
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, signals, NULL);
}

static void say_where(const struct weir_workers *all, uint16_t port)
{
    if (all->sockets > 0) {
        weir_activation_say(all->sockets);
    } else {
        say_listening("listening", all->config->listen.host, port);
    }
}

static void serve(struct weir_workers *all, uint16_t port)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    if (all->ops->reload != NULL) {
        sigaddset(&signals, SIGHUP);
    }
    if (all->ops->follow != NULL) {
        sigaddset(&signals, SIGUSR2);
    }
    if (all->ops->reopen != NULL) {
        sigaddset(&signals, SIGUSR1);
    }
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    start_threads(all);
    say_where(all, port);
    weir_notify("READY=1");
    wait_for_stop(&signals, all);
    for (uint32_t i = 0; i < all->count; i++) {
        pthread_join(all->worker[i].thread, NULL);
    }
}

/* Listeners of workers that never ran are drained here, so that all can be freed. */
static void close_workers(struct weir_workers *all, bool ran)
{
    for (uint32_t i = 0; i < all->count; i++) {
        struct worker *w = &all->worker[i];
        if (!ran) {
            on_stop(w);
            weir_loop_run(&w->loop);
        }
        w->ops->close(w->server);
        weir_loop_deinit(&w->loop);
    }
    weir_free(all->worker);
}

int weir_workers_run(const char *command, const struct weir_config *config,
                     const struct weir_worker_ops *ops, const struct weir_worker_aside *aside,
                     void *ctx)
{
    struct weir_workers all = {
        .command = command, .config = config, .ops = ops, .aside = aside, .ctx = ctx};
    uint16_t port = 0;
    sem_init(&all.adopted, 0, 0);
    bool ready = open_workers(&all, &port) && open_aside(&all);
    if (ready) {
        serve(&all, port);
    }
    close_workers(&all, ready);
    sem_destroy(&all.adopted);
    return ready ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
}
