/* SPDX-License-Identifier: Apache-2.0 */
/* mock.c - the mock model server: one thread per worker, each with its loop and listener. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/token_data.h"
#include "config/config.h"
#include "gateway/mock_options.h"
#include "tokens/tokens.h"

struct worker {
    struct mock *mock;
    pthread_t thread;
    struct weir_loop loop;
    struct weir_mock_server *server;
};

struct mock {
    struct weir_config *config; /* its defaults, the address and the number of workers */
    struct weir_mock_options options;
    struct weir_mock_shared shared;
    struct worker *worker;
    uint32_t workers;                   /* how many are set up */
    struct weir_vocabulary *vocabulary; /* NULL: tokens of the input are estimated */
};

static const char help[] =
    "usage: weir mock [OPTION...]\n\n"
    "A model server in OpenAI's and Anthropic's forms that has no model, to test gateways with.\n\n"
    "  --listen ADDRESS:PORT       where to listen (127.0.0.1:9000)\n"
    "  --workers N                 worker threads (one per core)\n"
    "  --seed N                    the same seed and request give the same answer (0)\n"
    "  --output-tokens MEAN[:MAX]  length of answers (150:512)\n"
    "  --first-token-ms N          time before the first token (0)\n"
    "  --tokens-per-s N            pace of the others; 0: at once (0)\n"
    "  --fail STATUS:PERCENT%      fail this share of requests; may be given several times\n"
    "  --abort PERCENT%            end this share of streams in their middle\n"
    "  --retry-after-ms N          what a 429 says (1000)\n"
    "  --cached PERCENT%           tell this share of the input as cached (0%)\n"
    "  --api-key KEY               refuse any other; default: accept any, or none\n"
    "  --models a,b,c              what /v1/models lists (weir-mock); any model is served\n"
    "  --help                      this text\n\n"
    "GET /mock/usage tells what was produced. SIGTERM and SIGINT let the requests under way "
    "finish;\n"
    "a second one ends at once.\n";

struct arguments {
    struct weir_config_flags flags;
    struct weir_mock_options *o;
    bool help;
};

/* ---- options ---- */

/* Above every character, so that a short option is told from a long one. */
enum {
    OPTION_LISTEN = 256,
    OPTION_WORKERS,
    OPTION_HELP,
    OPTION_SEED, /* from here on: in `values` */
    OPTION_OUTPUT,
    OPTION_FIRST,
    OPTION_PACE,
    OPTION_FAIL,
    OPTION_ABORT,
    OPTION_RETRY,
    OPTION_CACHED,
    OPTION_KEY,
    OPTION_MODELS,
};

static bool set_number(const char *text, uint64_t max, uint32_t *ret)
{
    uint64_t value;
    if (!weir_mock_number(text, 0, max, &value)) {
        return false;
    }
    *ret = (uint32_t)value;
    return true;
}

static bool set_key(const char *text, struct weir_str *ret_key)
{
    *ret_key = weir_str_z(text);
    return ret_key->len > 0;
}

static bool set_value(struct weir_mock_options *o, int option, const char *text)
{
    switch (option) {
    case OPTION_SEED:
        return weir_mock_number(text, 0, UINT64_MAX, &o->model.seed);
    case OPTION_OUTPUT:
        return weir_mock_output_tokens(&o->model, text);
    case OPTION_FIRST:
        return set_number(text, 600000, &o->model.first_token_ms);
    case OPTION_PACE:
        return set_number(text, 1000000, &o->model.tokens_per_s);
    case OPTION_FAIL:
        return weir_mock_fail_add(&o->faults, text);
    case OPTION_ABORT:
        return weir_mock_share(text, &o->faults.abort_share);
    case OPTION_RETRY:
        return set_number(text, 86400000, &o->retry_after_ms);
    case OPTION_CACHED:
        return weir_mock_share(text, &o->cached_share);
    case OPTION_KEY:
        return set_key(text, &o->api_key);
    default:
        return weir_mock_names(text, &o->models);
    }
}

static const char *const expected[] = {
    "a whole number",
    "MEAN or MEAN:MAX with 1 <= MEAN <= MAX <= 1000000",
    "milliseconds from 0 to 600000",
    "tokens per second from 0 to 1000000",
    "STATUS:PERCENT%, as 429:5%, of a status in docs/mock.md, together at most 100%",
    "a share from 0% to 100%",
    "milliseconds from 0 to 86400000",
    "a share from 0% to 100%",
    "a key",
    "names of 1 to 128 bytes with commas between",
};

static const struct option options[] = {
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"workers", required_argument, NULL, OPTION_WORKERS},
    {"help", no_argument, NULL, OPTION_HELP},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"output-tokens", required_argument, NULL, OPTION_OUTPUT},
    {"first-token-ms", required_argument, NULL, OPTION_FIRST},
    {"tokens-per-s", required_argument, NULL, OPTION_PACE},
    {"fail", required_argument, NULL, OPTION_FAIL},
    {"abort", required_argument, NULL, OPTION_ABORT},
    {"retry-after-ms", required_argument, NULL, OPTION_RETRY},
    {"cached", required_argument, NULL, OPTION_CACHED},
    {"api-key", required_argument, NULL, OPTION_KEY},
    {"models", required_argument, NULL, OPTION_MODELS},
    {0},
};

static bool say_unknown(char **argv)
{
    const char name[] = {'-', (char)optopt, '\0'};
    bool one_letter = optopt > 0 && optopt < OPTION_LISTEN; /* perhaps of several, as in -xy */
    fprintf(stderr, "weir mock: unknown option %s; see weir mock --help\n",
            one_letter ? name : argv[optind - 1]);
    return false;
}

/* False: said what is wrong. */
static bool set_option(struct arguments *a, int option)
{
    if (option == OPTION_LISTEN) {
        a->flags.listen = optarg;
    } else if (option == OPTION_WORKERS) {
        a->flags.workers = optarg;
    } else if (option == OPTION_HELP) {
        a->help = true;
    } else if (!set_value(a->o, option, optarg)) {
        bool secret = option == OPTION_KEY;
        fprintf(stderr, "weir mock: --%s: expected %s%s%.80s%s\n",
                options[option - OPTION_LISTEN].name, expected[option - OPTION_SEED],
                secret ? "" : ", got \"", secret ? "" : optarg, secret ? "" : "\"");
        return false;
    }
    return true;
}

static bool parse_arguments(int argc, char **argv, struct arguments *a)
{
    opterr = 0;
    for (int o; (o = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        if (o == ':') {
            fprintf(stderr, "weir mock: %s expects a value\n", argv[optind - 1]);
            return false;
        }
        if (o == '?') {
            return say_unknown(argv);
        }
        if (!set_option(a, o)) {
            return false;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "weir mock: unexpected \"%s\"; see weir mock --help\n", argv[optind]);
        return false;
    }
    return true;
}

/* ---- workers ---- */

static void on_drained(void *ctx)
{
    (void)ctx;
}

static void on_stop(void *ctx)
{
    struct worker *w = ctx;
    weir_mock_server_drain(w->server, w->mock->config->drain_timeout_ms, on_drained, w);
}

static void *run_worker(void *arg)
{
    struct worker *w = arg;
    weir_loop_run(&w->loop);
    return NULL;
}

/* False: said what is wrong. */
static bool worker_open(struct mock *m, struct worker *w, int fd)
{
    w->mock = m;
    if (weir_loop_init(&w->loop) != WEIR_OK) {
        fprintf(stderr, "weir mock: the kernel gives no event loop: %s\n", strerror(errno));
        close(fd);
        return false;
    }
    if (weir_mock_server_new(&m->shared, &w->loop, fd, &w->server) != WEIR_OK) {
        fprintf(stderr, "weir mock: a worker cannot start: out of memory\n");
        weir_loop_deinit(&w->loop);
        return false;
    }
    weir_loop_on_stop(&w->loop, on_stop, w);
    return true;
}

/* A listener for each worker, on one port. False: said what is wrong. */
static bool open_workers(struct mock *m, uint16_t *ret_port)
{
    const struct weir_listen *listen = &m->config->listen;
    uint16_t port = listen->port;
    m->worker = weir_zalloc_array(m->config->workers, sizeof(*m->worker));
    if (m->worker == NULL || weir_mock_ledger_new(&m->shared.ledger) != WEIR_OK) {
        fprintf(stderr, "weir mock: out of memory\n");
        return false;
    }
    for (uint32_t i = 0; i < m->config->workers; i++) {
        int fd;
        if (weir_http_listen(listen->host, port, i == 0, &fd, &port) != WEIR_OK) {
            fprintf(stderr, "weir mock: cannot listen on %s:%u: %s\n", listen->host, listen->port,
                    errno == EADDRINUSE ? "address already in use" : strerror(errno));
            return false;
        }
        if (!worker_open(m, &m->worker[i], fd)) {
            return false;
        }
        m->workers++;
    }
    *ret_port = port;
    return true;
}

/* Until SIGTERM or SIGINT; a second one ends the process at once. */
static void wait_for_signal(const sigset_t *signals, struct mock *m)
{
    int got;
    sigwait(signals, &got);
    weir_log(WEIR_LOG_INFO, "stopping: requests under way may finish");
    for (uint32_t i = 0; i < m->workers; i++) {
        weir_loop_stop(&m->worker[i].loop);
    }
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, signals, NULL);
}

static int run(struct mock *m)
{
    uint16_t port = 0;
    if (!open_workers(m, &port)) {
        return WEIR_EXIT_FAILED;
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    for (uint32_t i = 0; i < m->workers; i++) {
        if (pthread_create(&m->worker[i].thread, NULL, run_worker, &m->worker[i]) != 0) {
            fprintf(stderr, "weir mock: cannot start worker %u: %s\n", i, strerror(errno));
            exit(WEIR_EXIT_FAILED); /* no request was served yet */
        }
    }
    bool ipv6 = strchr(m->config->listen.host, ':') != NULL;
    fprintf(stderr, "weir: listening on %s%s%s:%u\n", ipv6 ? "[" : "", m->config->listen.host,
            ipv6 ? "]" : "", port);
    wait_for_signal(&signals, m);
    for (uint32_t i = 0; i < m->workers; i++) {
        pthread_join(m->worker[i].thread, NULL);
    }
    return WEIR_EXIT_OK;
}

/* Listeners of workers that never ran are drained here, so that all can be freed. */
static void close_workers(struct mock *m, bool ran)
{
    for (uint32_t i = 0; i < m->workers; i++) {
        if (!ran) {
            on_stop(&m->worker[i]);
            weir_loop_run(&m->worker[i].loop);
        }
        weir_mock_server_free(m->worker[i].server);
        weir_loop_deinit(&m->worker[i].loop);
    }
    weir_free(m->worker);
    weir_mock_ledger_free(m->shared.ledger);
}

static struct weir_http_limits limits_of(const struct weir_config *config)
{
    return (struct weir_http_limits){
        .head_bytes_max = config->head_bytes_max,
        .target_bytes_max = config->target_bytes_max,
        .body_bytes_max = config->body_bytes_max,
        .answer_bytes_max = 1 << 20,
        .pipeline_max = 256,
        .connections_max = config->connections_max,
        .head_timeout_ms = config->head_timeout_ms,
        .body_timeout_ms = config->body_timeout_ms,
        .idle_timeout_ms = config->idle_timeout_ms,
    };
}

static void open_token_data(struct mock *m)
{
    char why[WEIR_TOKEN_DATA_ERROR_BYTES];
    if (weir_token_data_open(NULL, &m->vocabulary, why) == WEIR_OK) {
        weir_tokens_use(m->vocabulary);
    } else {
        weir_log(WEIR_LOG_WARN, "tokens are estimated: %s", why);
    }
}

static int mock(struct mock *m, struct arguments *a)
{
    struct weir_config_error error;
    if (a->flags.listen == NULL) {
        a->flags.listen = "127.0.0.1:9000";
    }
    if (weir_config_load(NULL, &a->flags, &m->config, &error) != WEIR_OK) {
        char why[1024];
        weir_config_error_say(&error, NULL, why, sizeof(why));
        fprintf(stderr, "weir mock: %s\n", why);
        return error.in_flag ? WEIR_EXIT_USAGE : WEIR_EXIT_FAILED;
    }
    m->options.limits = limits_of(m->config);
    m->shared.options = &m->options;
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    open_token_data(m);
    int code = run(m);
    close_workers(m, code == WEIR_EXIT_OK);
    weir_tokens_use(NULL);
    weir_vocabulary_free(m->vocabulary);
    weir_config_free(m->config);
    return code;
}

int weir_cmd_mock(int argc, char **argv)
{
    struct mock m = {.options = {.model = {.output_mean = 150, .output_max = 512},
                                 .models = WEIR_STR("weir-mock"),
                                 .retry_after_ms = 1000}};
    struct arguments arguments = {.o = &m.options};
    if (!parse_arguments(argc, argv, &arguments)) {
        return WEIR_EXIT_USAGE;
    }
    if (arguments.help) {
        fputs(help, stdout);
        return WEIR_EXIT_OK;
    }
    return mock(&m, &arguments);
}
