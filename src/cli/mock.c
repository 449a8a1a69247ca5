/* SPDX-License-Identifier: Apache-2.0 */
/* mock.c - the mock model server: its options, and one server for each worker. */
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
};

/* ---- options ---- */

/* How a value is taken, and what it may be. */
struct more {
    bool (*set)(const char *text, struct weir_mock_options *o);
    const char *expected;
};

static bool number(const char *text, uint64_t max, uint32_t *ret)
{
    uint64_t value;
    if (!weir_mock_number(text, 0, max, &value)) {
        return false;
    }
    *ret = (uint32_t)value;
    return true;
}

static bool set_seed(const char *text, struct weir_mock_options *o)
{
    return weir_mock_number(text, 0, UINT64_MAX, &o->model.seed);
}

static bool set_output(const char *text, struct weir_mock_options *o)
{
    return weir_mock_output_tokens(&o->model, text);
}

static bool set_first(const char *text, struct weir_mock_options *o)
{
    return number(text, 600000, &o->model.first_token_ms);
}

static bool set_pace(const char *text, struct weir_mock_options *o)
{
    return number(text, 1000000, &o->model.tokens_per_s);
}

static bool add_fail(const char *text, struct weir_mock_options *o)
{
    return weir_mock_fail_add(&o->faults, text);
}

static bool set_abort(const char *text, struct weir_mock_options *o)
{
    return weir_mock_share(text, &o->faults.abort_share);
}

static bool set_retry(const char *text, struct weir_mock_options *o)
{
    return number(text, 86400000, &o->retry_after_ms);
}

static bool set_cached(const char *text, struct weir_mock_options *o)
{
    return weir_mock_share(text, &o->cached_share);
}

static bool set_models(const char *text, struct weir_mock_options *o)
{
    return weir_mock_names(text, &o->models);
}

static bool read_value(const struct weir_flag_value *v)
{
    const struct arguments *a = v->into;
    const struct more *more = v->flag->more;
    return more->set(v->value, a->o) || weir_flag_refuse(v, more->expected);
}

/* A secret, which no message repeats. */
static bool read_key(const struct weir_flag_value *v)
{
    const struct arguments *a = v->into;
    a->o->api_key = weir_str_z(v->value);
    if (a->o->api_key.len == 0) {
        snprintf(v->error, WEIR_FLAG_ERROR_BYTES, "--%s: expected a key", v->flag->name);
    }
    return a->o->api_key.len > 0;
}

#define TEXT(field)           .read = weir_flag_text, .at = offsetof(struct arguments, field)
#define VALUE(function, what) .read = read_value, .more = (&(const struct more){(function), (what)})
static const struct weir_flag table[] = {
    {"listen", TEXT(flags.listen)},
    {"workers", TEXT(flags.workers)},
    {"seed", VALUE(set_seed, "a whole number")},
    {"output-tokens", VALUE(set_output, "MEAN or MEAN:MAX with 1 <= MEAN <= MAX <= 1000000")},
    {"first-token-ms", VALUE(set_first, "milliseconds from 0 to 600000")},
    {"tokens-per-s", VALUE(set_pace, "tokens per second from 0 to 1000000")},
    {"fail", VALUE(add_fail, "STATUS:PERCENT%, as 429:5%, of a status in docs/mock.md, together "
                             "at most 100%")},
    {"abort", VALUE(set_abort, "a share from 0% to 100%")},
    {"retry-after-ms", VALUE(set_retry, "milliseconds from 0 to 86400000")},
    {"cached", VALUE(set_cached, "a share from 0% to 100%")},
    {"api-key", .read = read_key},
    {"models", VALUE(set_models, "names of 1 to 128 bytes with commas between")},
};

static const struct weir_flags flags = {
    .flag = table, .count = sizeof(table) / sizeof(table[0]), .command = "weir mock"};

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
    int operands;
    enum weir_flags_end end = weir_start_flags(&flags, argc, argv, &arguments, &operands);
    if (end != WEIR_FLAGS_READ) {
        return weir_start_help(end, help);
    }
    return mock(&m, &arguments);
}
