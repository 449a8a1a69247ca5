/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/replay_args.h"

#include <stddef.h>

#include "base/flags.h"
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

struct parse {
    struct weir_replay_args *args;
    const char *limits;
};

/* Where a whole number of 8 bytes goes, what it may be, and how many of it its unit is. */
struct more {
    size_t offset;
    uint64_t min, max, times;
};

static struct weir_replay_options *options(const struct weir_flag_value *v)
{
    return &((struct parse *)v->into)->args->options;
}

static bool whole(const struct weir_flag_value *v, uint64_t min, uint64_t max, uint64_t *ret)
{
    char expected[64];
    if (weir_parse_amount(weir_str_z(v->value), ret) && *ret >= min && *ret <= max) {
        return true;
    }
    snprintf(expected, sizeof(expected), "a whole number from %llu to %llu",
             (unsigned long long)min, (unsigned long long)max);
    return weir_flag_refuse(v, expected);
}

static bool read_number(const struct weir_flag_value *v)
{
    const struct more *more = v->flag->more;
    uint64_t number;
    if (!whole(v, more->min, more->max, &number)) {
        return false;
    }
    number *= more->times;
    memcpy((char *)options(v) + more->offset, &number, sizeof(number));
    return true;
}

static bool read_seeds(const struct weir_flag_value *v)
{
    uint64_t seeds;
    bool good = whole(v, 1, WEIR_REPLAY_SEEDS_MAX, &seeds);
    options(v)->seeds = good ? (uint32_t)seeds : 0;
    return good;
}

static bool read_zipf(const struct weir_flag_value *v)
{
    double *zipf = &options(v)->zipf;
    return (weir_decimal(v->value, zipf) && *zipf <= 10) ||
           weir_flag_refuse(v, "an exponent from 0 to 10");
}

static bool read_quantile(const struct weir_flag_value *v)
{
    uint64_t permille;
    if (!weir_parse_permille(weir_str_z(v->value), &permille) || permille < 500 || permille > 999) {
        return weir_flag_refuse(v, "a number from 0.5 to 0.999");
    }
    options(v)->plan.forecast_permille = (uint32_t)permille;
    return true;
}

static bool read_json(const struct weir_flag_value *v)
{
    ((struct parse *)v->into)->args->json = true;
    return true;
}

#define NUMBER(field, low, high, unit)                                                             \
    .more =                                                                                        \
        (&(const struct more){offsetof(struct weir_replay_options, field), (low), (high), (unit)})
static const struct weir_flag table[] = {
    {"keys", read_number, NUMBER(keys, 1, WEIR_REPLAY_KEYS_MAX, 1)},
    {"zipf", .read = read_zipf},
    {"limits", weir_flag_text, .at = offsetof(struct parse, limits)},
    {"max-output", read_number, NUMBER(output_max, 1, WEIR_TRACE_TOKENS_MAX, 1)},
    {"fixed", read_number, NUMBER(plan.reserve_fixed, 1, WEIR_TRACE_TOKENS_MAX, 1)},
    {"quantile", .read = read_quantile},
    {"default-output", read_number,
     NUMBER(plan.default_output_tokens, 1, WEIR_TRACE_TOKENS_MAX, 1)},
    {"first-token", read_number, NUMBER(first_token_us, 0, WEIR_REPLAY_FIRST_MAX_MS, 1000)},
    {"tokens-per-s", read_number, NUMBER(tokens_per_s, 1, WEIR_REPLAY_RATE_MAX, 1)},
    {"seed", read_number, NUMBER(seed, 0, UINT32_MAX, 1)},
    {"seeds", .read = read_seeds},
    {"json", read_json, .bare = true},
};

static const struct weir_flags flags = {.flag = table,
                                        .count = sizeof(table) / sizeof(table[0]),
                                        .command = "weir replay",
                                        .operand = "FILE, the path of a trace",
                                        .operands_min = 1,
                                        .operands_max = 1};

/* The limits, with the numbers that were read for the plan. */
static bool make_plan(const struct parse *p, char *error)
{
    struct weir_config_error why;
    struct weir_plan *plan = &p->args->options.plan, limits;
    if (weir_limits_parse(weir_str_z(p->limits), &limits, &why) != WEIR_OK) {
        snprintf(error, WEIR_REPLAY_ERROR_BYTES, "--limits: %.200s", why.text);
        return false;
    }
    limits.reserve_fixed = plan->reserve_fixed;
    limits.default_output_tokens = plan->default_output_tokens;
    limits.forecast_permille = plan->forecast_permille;
    *plan = limits;
    return true;
}

bool weir_replay_args_parse(int argc, char **argv, struct weir_replay_args *ret_args,
                            char error[static WEIR_REPLAY_ERROR_BYTES])
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
    struct parse p = {.args = ret_args, .limits = "input_tokens: 50k/min, output_tokens: 10k/min"};
    int operands;
    enum weir_flags_end end = weir_flags_read(&flags, argc, argv, &p, &operands, error);
    ret_args->help = end == WEIR_FLAGS_HELP;
    if (end != WEIR_FLAGS_READ) {
        return ret_args->help;
    }
    ret_args->path = argv[1];
    return make_plan(&p, error);
}
