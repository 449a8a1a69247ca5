/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/replay_args.h"

#include <stddef.h>

#include "config/config.h"

static const char help_text[] =
    "usage: weir replay FILE [OPTION...]\n"
    "\n"
    "Plays a workload trace in virtual time on the windows that weir serve uses, once by each "
    "rule\n"
    "of `reserve` and once by an oracle that knows each output beforehand, and says what was\n"
    "admitted and what became debt. FILE is CSV with the columns TIMESTAMP, ContextTokens and\n"
    "GeneratedTokens, or arrival_time, input_tokens and output_tokens.\n"
    "\n"
    "  --keys K             tenants; each request's is drawn by Zipf's law (20)\n"
    "  --zipf S             the k-th comes up in proportion to k^-S; 0: all alike (1)\n"
    "  --limits LIMITS      of each, as a plan has them (input_tokens: 50k/min, output_tokens:\n"
    "                       10k/min)\n"
    "  --max-output N       what clients say their output is at most (the trace's largest output)\n"
    "  --fixed N            what `fixed` reserves (256)\n"
    "  --quantile Q         what `forecast` asks of its history (0.95)\n"
    "  --default-output N   what it reserves before it has one (256)\n"
    "  --first-token MS     from a request's admission to its first token (500)\n"
    "  --tokens-per-s N     and from there on (50)\n"
    "  --seed N             of the tenants (1)\n"
    "  --seeds N            so many runs, of this seed and the next ones; all are summed up (1)\n"
    "  --json               the report as JSON\n"
    "  --help               this text\n"
    "\n"
    "Numbers may have k, M or G behind them. Exit codes: 0 it is played, 1 the trace cannot be "
    "read\n"
    "or there is no memory, 2 a wrong argument.\n";

const char *weir_replay_help(void)
{
    return help_text;
}

#define AT(field) offsetof(struct weir_replay_options, field)

/* Options that are a whole number; of 8 bytes, but for --seeds. */
static const struct flag {
    const char *name;
    size_t offset;
    uint64_t min, max, times;
} flags[] = {
    {"--keys", AT(keys), 1, WEIR_REPLAY_KEYS_MAX, 1},
    {"--max-output", AT(output_max), 1, WEIR_TRACE_TOKENS_MAX, 1},
    {"--fixed", AT(plan.reserve_fixed), 1, WEIR_TRACE_TOKENS_MAX, 1},
    {"--default-output", AT(plan.default_output_tokens), 1, WEIR_TRACE_TOKENS_MAX, 1},
    {"--first-token", AT(first_token_us), 0, WEIR_REPLAY_FIRST_MAX_MS, 1000},
    {"--tokens-per-s", AT(tokens_per_s), 1, WEIR_REPLAY_RATE_MAX, 1},
    {"--seed", AT(seed), 0, UINT32_MAX, 1},
};

struct parse {
    struct weir_replay_args *args;
    const char *arg; /* as it is written */
    const char *limits;
    char *error;
};

static bool refuse(struct parse *p, const char *name, const char *expected, const char *value)
{
    snprintf(p->error, WEIR_REPLAY_ERROR_BYTES, "%s: expected %s, got \"%.80s\"", name, expected,
             value);
    return false;
}

static bool number(struct parse *p, const char *name, const char *value, uint64_t min, uint64_t max,
                   uint64_t *ret)
{
    char expected[64];
    if (weir_parse_amount(weir_str_z(value), ret) && *ret >= min && *ret <= max) {
        return true;
    }
    snprintf(expected, sizeof(expected), "a whole number from %llu to %llu",
             (unsigned long long)min, (unsigned long long)max);
    return refuse(p, name, expected, value);
}

static bool read_other(struct parse *p, const char *name, const char *value)
{
    struct weir_replay_options *o = &p->args->options;
    uint64_t whole;
    if (strcmp(name, "--limits") == 0) {
        p->limits = value;
        return true;
    }
    if (strcmp(name, "--zipf") == 0) {
        return (weir_decimal(value, &o->zipf) && o->zipf <= 10) ||
               refuse(p, name, "an exponent from 0 to 10", value);
    }
    if (strcmp(name, "--seeds") == 0) {
        bool good = number(p, name, value, 1, WEIR_REPLAY_SEEDS_MAX, &whole);
        o->seeds = good ? (uint32_t)whole : 0;
        return good;
    }
    if (strcmp(name, "--quantile") == 0) {
        bool good = weir_parse_permille(weir_str_z(value), &whole) && whole >= 500 && whole <= 999;
        o->plan.forecast_permille = good ? (uint32_t)whole : 0;
        return good || refuse(p, name, "a number from 0.5 to 0.999", value);
    }
    snprintf(p->error, WEIR_REPLAY_ERROR_BYTES,
             "there is no option \"%.80s\"; weir replay --help lists them", p->arg);
    return false;
}

static bool read_option(struct parse *p, const char *name, const char *value)
{
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        const struct flag *f = &flags[i];
        if (strcmp(name, f->name) == 0) {
            uint64_t whole;
            bool good = number(p, name, value, f->min, f->max, &whole);
            whole *= f->times;
            if (good) {
                memcpy((char *)&p->args->options + f->offset, &whole, sizeof(whole));
            }
            return good;
        }
    }
    return read_other(p, name, value);
}

/* argv[*at], and the argument behind it when that is its value. */
static bool read_argument(struct parse *p, int argc, char **argv, int *at)
{
    const char *arg = argv[*at];
    char name[32];
    if (strcmp(arg, "--json") == 0) {
        p->args->json = true;
        return true;
    }
    if (arg[0] != '-') {
        if (p->args->path != NULL) {
            return refuse(p, "FILE", "one trace", arg);
        }
        p->args->path = arg;
        return true;
    }
    p->arg = arg;
    size_t len = strcspn(arg, "=");
    snprintf(name, sizeof(name), "%.*s", (int)(len < sizeof(name) ? len : sizeof(name) - 1), arg);
    if (arg[len] == '=') {
        return read_option(p, name, arg + len + 1);
    }
    if (*at + 1 >= argc) {
        return refuse(p, name, "a value behind it", "");
    }
    return read_option(p, name, argv[++*at]);
}

/* The limits, with the numbers that were read for the plan. */
static bool make_plan(struct parse *p)
{
    struct weir_config_error why;
    struct weir_plan *plan = &p->args->options.plan, limits;
    if (weir_limits_parse(weir_str_z(p->limits), &limits, &why) != WEIR_OK) {
        snprintf(p->error, WEIR_REPLAY_ERROR_BYTES, "--limits: %.200s", why.text);
        return false;
    }
    limits.reserve_fixed = plan->reserve_fixed;
    limits.default_output_tokens = plan->default_output_tokens;
    limits.forecast_permille = plan->forecast_permille;
    *plan = limits;
    return true;
}

bool weir_replay_args_parse(int argc, char **argv, struct weir_replay_args *ret_args,
                            char error[WEIR_REPLAY_ERROR_BYTES])
{
    *ret_args = (struct weir_replay_args){
        .options = {.keys = 20,
                    .zipf = 1,
                    .first_token_us = 500000,
                    .tokens_per_s = 50,
                    .seed = 1,
                    .seeds = 1},
    };
    ret_args->options.plan.reserve_fixed = 256;
    ret_args->options.plan.default_output_tokens = 256;
    ret_args->options.plan.forecast_permille = 950;
    struct parse p = {.args = ret_args,
                      .limits = "input_tokens: 50k/min, output_tokens: 10k/min",
                      .error = error};
    for (int at = 1; at < argc; at++) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            ret_args->help = true;
            return true;
        }
        if (!read_argument(&p, argc, argv, &at)) {
            return false;
        }
    }
    if (ret_args->path == NULL) {
        return refuse(&p, "FILE", "the path of a trace", "");
    }
    return make_plan(&p);
}
