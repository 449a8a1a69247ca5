/* SPDX-License-Identifier: Apache-2.0 */
/* mock.c - the mock model server: its options, and one server for each worker. */
#include <getopt.h>

#include "cli/cli.h"
#include "cli/start.h"
#include "cli/token_data.h"
#include "cli/workers.h"
#include "gateway/http_limits.h"
#include "gateway/mock_options.h"

struct mock {
    struct weir_config *config; /* its defaults, the address and the number of workers */
    struct weir_mock_options options;
    struct weir_mock_shared shared;
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

enum {
    OPTION_LISTEN = WEIR_OPTION_FIRST,
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
        if (o == ':' || o == '?') {
            return weir_start_wrong_option("weir mock", o, argv);
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

/* ---- the servers ---- */

static enum weir_err open_server(void *ctx, struct weir_loop *loop, int fd, void **ret_server)
{
    struct weir_mock_server *server;
    WEIR_TRY(weir_mock_server_new(ctx, loop, fd, &server));
    *ret_server = server;
    return WEIR_OK;
}

static void on_drained(void *ctx)
{
    (void)ctx;
}

static void drain_server(void *server, uint32_t timeout_ms)
{
    weir_mock_server_drain(server, timeout_ms, on_drained, NULL);
}

static void close_server(void *server)
{
    weir_mock_server_free(server);
}

static const struct weir_worker_ops servers = {
    .open = open_server, .drain = drain_server, .close = close_server};

static int run(struct mock *m)
{
    if (weir_mock_ledger_new(&m->shared.ledger) != WEIR_OK) {
        fprintf(stderr, "weir mock: out of memory\n");
        return WEIR_EXIT_FAILED;
    }
    int code = weir_workers_run("weir mock", m->config, &servers, NULL, &m->shared);
    weir_mock_ledger_free(m->shared.ledger);
    return code;
}

static int mock(struct mock *m, struct arguments *a)
{
    if (a->flags.listen == NULL) {
        a->flags.listen = "127.0.0.1:9000";
    }
    int code = weir_start_config("weir mock", NULL, &a->flags, &m->config);
    if (code != WEIR_EXIT_OK) {
        return code;
    }
    m->options.limits = weir_http_limits_of(m->config);
    m->shared.options = &m->options;
    weir_start_sockets();
    code = weir_token_data_use("weir mock", NULL, &m->vocabulary) ? run(m) : WEIR_EXIT_FAILED;
    weir_token_data_end(m->vocabulary);
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
