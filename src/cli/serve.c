/* SPDX-License-Identifier: Apache-2.0 */
/* serve.c - a node: one thread per worker, each with its loop, listener and store handle. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/token_data.h"
#include "config/config.h"
#include "service/reserve.h"
#include "store/open.h"
#include "tokens/calibration.h"
#include "tokens/tokens.h"

struct worker {
    struct node *node;
    pthread_t thread;
    struct weir_loop loop;
    struct weir_store *store;
    struct weir_service *service;
};

struct node {
    struct weir_config *config;
    struct weir_store_shared *shared;
    struct weir_vocabulary *vocabulary; /* NULL: tokens are estimated */
    struct worker *worker;
    uint32_t workers; /* how many are set up */
    struct weir_service_group group;
};

static const char help[] =
    "usage: weir serve [OPTION...]\n\n"
    "  --config FILE              configuration (default: built-in defaults)\n"
    "  --listen ADDRESS:PORT      where to listen (127.0.0.1:8000)\n"
    "  --workers N                worker threads (one per core)\n"
    "  --store URL                embedded, redis://HOST:PORT/DB or redis+unix:///PATH\n"
    "  --on-store-failure POLICY  local, closed or open\n"
    "  --nodes N                  nodes that share the store (1)\n"
    "  --help                     this text\n\n"
    "SIGTERM and SIGINT let the requests under way finish; a second one ends at once.\n";

struct arguments {
    const char *config;
    struct weir_config_flags flags;
    bool help;
};

/* Above every character, so that a short option is told from a long one. */
enum {
    OPTION_CONFIG = 256,
    OPTION_LISTEN,
    OPTION_WORKERS,
    OPTION_STORE,
    OPTION_NODES,
    OPTION_FAILURE,
    OPTION_HELP,
};

static void say_unknown(char **argv)
{
    const char name[] = {'-', (char)optopt, '\0'};
    bool one_letter = optopt > 0 && optopt < OPTION_CONFIG; /* perhaps of several, as in -xy */
    fprintf(stderr, "weir serve: unknown option %s; see weir serve --help\n",
            one_letter ? name : argv[optind - 1]);
}

/* False: said what is wrong. */
static bool parse_arguments(int argc, char **argv, struct arguments *ret)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, OPTION_CONFIG},
        {"listen", required_argument, NULL, OPTION_LISTEN},
        {"workers", required_argument, NULL, OPTION_WORKERS},
        {"store", required_argument, NULL, OPTION_STORE},
        {"nodes", required_argument, NULL, OPTION_NODES},
        {"on-store-failure", required_argument, NULL, OPTION_FAILURE},
        {"help", no_argument, NULL, OPTION_HELP},
        {0},
    };
    opterr = 0;
    for (int o; (o = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        switch (o) {
        case OPTION_CONFIG:
            ret->config = optarg;
            break;
        case OPTION_LISTEN:
            ret->flags.listen = optarg;
            break;
        case OPTION_WORKERS:
            ret->flags.workers = optarg;
            break;
        case OPTION_STORE:
            ret->flags.store = optarg;
            break;
        case OPTION_NODES:
            ret->flags.nodes = optarg;
            break;
        case OPTION_FAILURE:
            ret->flags.on_store_failure = optarg;
            break;
        case OPTION_HELP:
            ret->help = true;
            break;
        case ':':
            fprintf(stderr, "weir serve: %s expects a value\n", argv[optind - 1]);
            return false;
        default:
            say_unknown(argv);
            return false;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "weir serve: unexpected \"%s\"; see weir serve --help\n", argv[optind]);
        return false;
    }
    return true;
}

/* ---- one worker ---- */

static void on_drained(void *ctx)
{
    struct worker *w = ctx;
    weir_service_close(w->service);
    weir_store_close(w->store); /* the last answers are given */
    w->store = NULL;
}

static void on_stop(void *ctx)
{
    struct worker *w = ctx;
    weir_http_server_drain(w->service->http, w->node->config->drain_timeout_ms, on_drained, w);
}

static void *run_worker(void *arg)
{
    struct worker *w = arg;
    weir_loop_run(&w->loop);
    return NULL;
}

/* False: said what is wrong. */
static bool worker_open(struct node *node, struct worker *w, int fd)
{
    w->node = node;
    if (weir_loop_init(&w->loop) != WEIR_OK) {
        fprintf(stderr, "weir serve: the kernel gives no event loop: %s\n", strerror(errno));
        close(fd);
        return false;
    }
    enum weir_err err = weir_store_open(node->config, &w->loop, node->shared, &w->store);
    if (err == WEIR_OK) {
        err = weir_service_new(node->config, &w->loop, w->store, &node->group, fd, &w->service);
    } else {
        close(fd);
    }
    if (err != WEIR_OK) {
        fprintf(stderr, "weir serve: a worker cannot start: %s\n", weir_err_name(err));
        weir_store_close(w->store);
        weir_loop_deinit(&w->loop);
        return false;
    }
    weir_loop_on_stop(&w->loop, on_stop, w);
    return true;
}

static void worker_close(struct worker *w)
{
    weir_store_close(w->store);
    weir_service_free(w->service);
    weir_loop_deinit(&w->loop);
}

/* ---- the node ---- */

/* A listener for each worker, on one port. False: said what is wrong. */
static bool node_open_workers(struct node *node, uint16_t *ret_port)
{
    struct weir_config *config = node->config;
    uint16_t port = config->listen.port;
    node->worker = weir_zalloc_array(config->workers, sizeof(*node->worker));
    node->group.service = weir_zalloc_array(config->workers, sizeof(*node->group.service));
    if (node->worker == NULL || node->group.service == NULL) {
        fprintf(stderr, "weir serve: out of memory\n");
        return false;
    }
    for (uint32_t i = 0; i < config->workers; i++) {
        int fd;
        if (weir_http_listen(config->listen.host, port, i == 0, &fd, &port) != WEIR_OK) {
            fprintf(stderr, "weir serve: cannot listen on %s:%u: %s\n", config->listen.host,
                    config->listen.port,
                    errno == EADDRINUSE ? "address already in use" : strerror(errno));
            return false;
        }
        if (!worker_open(node, &node->worker[i], fd)) {
            return false;
        }
        node->group.service[i] = node->worker[i].service;
        node->workers++;
    }
    node->group.services = node->workers;
    *ret_port = port;
    return true;
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Until SIGTERM or SIGINT; a second one ends the process at once. */
static void wait_for_signal(const sigset_t *signals, struct node *node)
{
    int got;
    sigwait(signals, &got);
    weir_log(WEIR_LOG_INFO, "stopping: requests under way may finish");
    for (uint32_t i = 0; i < node->workers; i++) {
        weir_loop_stop(&node->worker[i].loop);
    }
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, signals, NULL);
}

static int node_run(struct node *node)
{
    uint16_t port = 0;
    if (!node_open_workers(node, &port)) {
        return WEIR_EXIT_FAILED;
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    for (uint32_t i = 0; i < node->workers; i++) {
        if (pthread_create(&node->worker[i].thread, NULL, run_worker, &node->worker[i]) != 0) {
            fprintf(stderr, "weir serve: cannot start worker %u: %s\n", i, strerror(errno));
            exit(WEIR_EXIT_FAILED); /* no request was served yet */
        }
    }
    bool ipv6 = strchr(node->config->listen.host, ':') != NULL;
    fprintf(stderr, "weir: listening on %s%s%s:%u\n", ipv6 ? "[" : "", node->config->listen.host,
            ipv6 ? "]" : "", port);
    wait_for_signal(&signals, node);
    for (uint32_t i = 0; i < node->workers; i++) {
        pthread_join(node->worker[i].thread, NULL);
    }
    return WEIR_EXIT_OK;
}

/* Listeners of workers that never ran are drained here, so that all can be freed. */
static void node_close(struct node *node, bool ran)
{
    for (uint32_t i = 0; i < node->workers; i++) {
        if (!ran) {
            on_stop(&node->worker[i]);
            weir_loop_run(&node->worker[i].loop);
        }
        worker_close(&node->worker[i]);
    }
    weir_free(node->worker);
    weir_free(node->group.service);
    weir_history_free(node->group.history);
    weir_calibration_free(node->group.calibration);
    weir_store_shared_free(node->shared);
    weir_tokens_use(NULL);
    weir_vocabulary_free(node->vocabulary);
    weir_config_free(node->config);
}

/* Without the data tokens are estimated, unless the configuration names it. False: said what is
 * wrong. */
static bool open_token_data(struct node *node)
{
    char why[WEIR_TOKEN_DATA_ERROR_BYTES];
    const char *path = node->config->token_data;
    if (weir_token_data_open(path, &node->vocabulary, why) == WEIR_OK) {
        weir_tokens_use(node->vocabulary);
        return true;
    }
    if (path[0] != '\0') {
        fprintf(stderr, "weir serve: token_data: %s\n", why);
        return false;
    }
    weir_log(WEIR_LOG_WARN, "tokens are estimated: %s", why);
    return true;
}

/* An exit code; said what is wrong. */
static int node_prepare(struct node *node, const struct arguments *a)
{
    struct weir_config_error error;
    char why[1024];
    if (weir_config_load(a->config, &a->flags, &node->config, &error) != WEIR_OK) {
        weir_config_error_say(&error, a->config, why, sizeof(why));
        fprintf(stderr, "weir serve: %s\n", why);
        return error.in_flag ? WEIR_EXIT_USAGE : WEIR_EXIT_FAILED;
    }
    if (!open_token_data(node)) {
        return WEIR_EXIT_FAILED;
    }
    if (weir_store_check(node->config, why, sizeof(why)) != WEIR_OK) {
        fprintf(stderr, "weir serve: %s\n", why);
        return WEIR_EXIT_FAILED;
    }
    if (weir_store_shared_new(node->config, &node->shared) != WEIR_OK ||
        weir_reserve_histories_new(node->config, &node->group.history) != WEIR_OK ||
        weir_calibration_new(&node->group.calibration) != WEIR_OK) {
        fprintf(stderr, "weir serve: out of memory\n");
        return WEIR_EXIT_FAILED;
    }
    return WEIR_EXIT_OK;
}

int weir_cmd_serve(int argc, char **argv)
{
    struct arguments arguments = {0};
    struct node node = {0};
    if (!parse_arguments(argc, argv, &arguments)) {
        return WEIR_EXIT_USAGE;
    }
    if (arguments.help) {
        fputs(help, stdout);
        return WEIR_EXIT_OK;
    }
    prctl(PR_SET_DUMPABLE, 0); /* no core file with what clients sent */
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    int code = node_prepare(&node, &arguments);
    if (code == WEIR_EXIT_OK) {
        code = node_run(&node);
    }
    node_close(&node, code == WEIR_EXIT_OK);
    return code;
}
