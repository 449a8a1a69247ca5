/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/args.h"

#include <stddef.h>
#include <stdio.h>

#include "config/config.h"

static const char help_text[] =
    "usage: weir sim [OPTION...]\n"
    "\n"
    "Plays nodes, their store and their clients in virtual time, with the windows and leases that\n"
    "weir serve uses, and says what was admitted, what it cost and whether a limit was passed.\n"
    "\n"
    "  --nodes N               nodes, one worker each (4)\n"
    "  --keys K                keys, all with the same limits (1k)\n"
    "  --zipf S                the k-th key comes up in proportion to k^-S; 0: all alike (1)\n"
    "  --rate R                requests per second of all nodes together (1k)\n"
    "  --duration S            seconds of virtual time (10)\n"
    "  --burst MS --pause MS   they come for so long, then none for so long, and again\n"
    "  --limits LIMITS         as a plan has them (requests: 100/min)\n"
    "  --window LENGTH         all of these limits' window, as 5s or 1h\n"
    "  --input A-B             input tokens of a request (100)\n"
    "  --output A-B            output tokens that it reserves (100)\n"
    "  --used A-B              output tokens that it is settled to (not settled)\n"
    "  --hold A-B              ms from its decision to that (1000)\n"
    "  --settle same|random    by the node that reserved, or by any with a call of its own (same)\n"
    "  --balance random|key    a request goes to any node, or all of a key's to one (random)\n"
    "  --mode lease|exact      budget ahead of need, or a call for each request (lease)\n"
    "  --rtt A-B               microseconds to the store and back (500)\n"
    "  --shards N              of the store (1)\n"
    "  --store-us-per-call U   its CPU for a call, for the estimate (20)\n"
    "  --seed N                the same seed gives the same run (1)\n"
    "  --json                  the report as JSON\n"
    "  --help                  this text\n"
    "\n"
    "Numbers may have k, M or G behind them. A-B is drawn evenly, A alone is always A.\n"
    "Exit codes: 0 nothing is over, 1 a limit was passed or no memory, 2 a wrong argument.\n";

const char *weir_sim_help(void)
{
    return help_text;
}

struct parse {
    struct weir_sim_args *args;
    const struct flag *flag;
    const char *value;
    const char *limits, *window;
    char *error;
};

/* How an option is read and where its value goes. */
struct flag {
    const char *name;
    bool (*read)(struct parse *p); /* NULL: takes no value */
    size_t offset;
    uint64_t min, max;
    const char *expected;
    const char *choice[2]; /* false and true */
};

static bool refuse(struct parse *p)
{
    snprintf(p->error, WEIR_SIM_ERROR_BYTES, "%s: expected %s, got \"%.80s\"", p->flag->name,
             p->flag->expected, p->value);
    return false;
}

static void *place(struct parse *p)
{
    return (char *)p->args + p->flag->offset;
}

static bool amount(struct parse *p, struct weir_str text, uint64_t *ret)
{
    return weir_parse_amount(text, ret) && *ret >= p->flag->min && *ret <= p->flag->max;
}

static bool read_u64(struct parse *p)
{
    uint64_t *to = place(p);
    return amount(p, weir_str_z(p->value), to) || refuse(p);
}

static bool read_u32(struct parse *p)
{
    uint64_t value;
    uint32_t *to = place(p);
    if (!amount(p, weir_str_z(p->value), &value)) {
        return refuse(p);
    }
    *to = (uint32_t)value;
    return true;
}

static bool read_whole(struct parse *p)
{
    uint64_t value;
    double *to = place(p);
    if (!amount(p, weir_str_z(p->value), &value)) {
        return refuse(p);
    }
    *to = (double)value;
    return true;
}

static bool read_decimal(struct parse *p)
{
    double *to = place(p);
    return (weir_decimal(p->value, to) && *to <= (double)p->flag->max) || refuse(p);
}

static bool read_range(struct parse *p)
{
    struct weir_sim_range *to = place(p);
    const char *dash = strchr(p->value, '-');
    struct weir_str high = weir_str_z(dash == NULL ? p->value : dash + 1);
    struct weir_str low = dash == NULL ? high : weir_str(p->value, (size_t)(dash - p->value));
    return (amount(p, low, &to->low) && amount(p, high, &to->high) && to->low <= to->high) ||
           refuse(p);
}

static bool read_used(struct parse *p)
{
    p->args->options.settles = true;
    return read_range(p);
}

static bool read_ms(struct parse *p)
{
    struct weir_sim_range *to = place(p);
    if (!read_range(p)) {
        return false;
    }
    to->low *= 1000;
    to->high *= 1000;
    return true;
}

static bool read_u64_ms(struct parse *p)
{
    uint64_t *to = place(p);
    if (!read_u64(p)) {
        return false;
    }
    *to *= 1000;
    return true;
}

static bool read_choice(struct parse *p)
{
    bool *to = place(p);
    *to = strcmp(p->value, p->flag->choice[1]) == 0;
    return *to || strcmp(p->value, p->flag->choice[0]) == 0 || refuse(p);
}

static bool read_limits(struct parse *p)
{
    p->limits = p->value;
    return true;
}

static bool read_window(struct parse *p)
{
    p->window = p->value;
    return true;
}

#define AT(field) offsetof(struct weir_sim_args, options.field)
#define TOKENS    "tokens, A-B with 0 <= A <= B <= 100M"
static const struct flag flags[] = {
    {"--nodes", read_u32, AT(nodes), 1, WEIR_SIM_NODES_MAX, "nodes from 1 to 1M", {0}},
    {"--keys", read_u64, AT(keys), 1, WEIR_SIM_KEYS_MAX, "keys from 1 to 4G", {0}},
    {"--zipf", read_decimal, AT(zipf), 0, WEIR_SIM_ZIPF_MAX, "an exponent from 0 to 10", {0}},
    {"--rate", read_whole, AT(rate), 1, WEIR_SIM_RATE_MAX, "requests/s from 1 to 100M", {0}},
    {"--duration",
     read_whole,
     AT(duration_s),
     1,
     WEIR_SIM_DURATION_MAX_S,
     "seconds from 1 to 3600",
     {0}},
    {"--burst",
     read_u64_ms,
     AT(burst_us),
     1,
     WEIR_SIM_BURST_MAX_US / 1000,
     "ms from 1 to 600k",
     {0}},
    {"--pause",
     read_u64_ms,
     AT(pause_us),
     1,
     WEIR_SIM_BURST_MAX_US / 1000,
     "ms from 1 to 600k",
     {0}},
    {"--limits", read_limits, 0, 0, 0, "limits", {0}},
    {"--window", read_window, 0, 0, 0, "a length from 1s to 30day", {0}},
    {"--input", read_range, AT(input), 0, WEIR_SIM_TOKENS_MAX, TOKENS, {0}},
    {"--output", read_range, AT(output), 0, WEIR_SIM_TOKENS_MAX, TOKENS, {0}},
    {"--used", read_used, AT(used), 0, WEIR_SIM_TOKENS_MAX, TOKENS, {0}},
    {"--hold",
     read_ms,
     AT(hold_us),
     0,
     WEIR_SIM_HOLD_MAX_US / 1000,
     "ms, A-B with 0 <= A <= B <= 600k",
     {0}},
    {"--settle", read_choice, AT(settle_anywhere), 0, 0, "same or random", {"same", "random"}},
    {"--balance", read_choice, AT(by_key), 0, 0, "random or key", {"random", "key"}},
    {"--mode", read_choice, AT(exact), 0, 0, "lease or exact", {"lease", "exact"}},
    {"--rtt",
     read_range,
     AT(rtt_us),
     0,
     WEIR_SIM_RTT_MAX_US,
     "microseconds, A-B with 0 <= A <= B <= 10M",
     {0}},
    {"--shards", read_u32, AT(shards), 1, WEIR_SIM_SHARDS_MAX, "shards from 1 to 4096", {0}},
    {"--store-us-per-call",
     read_decimal,
     AT(store_us_per_call),
     0,
     WEIR_SIM_STORE_US_MAX,
     "microseconds from 0 to 1000000",
     {0}},
    {"--seed", read_u64, AT(seed), 0, UINT64_MAX, "a whole number", {0}},
    {"--json", NULL, offsetof(struct weir_sim_args, json), 0, 0, "", {0}},
    {"--help", NULL, offsetof(struct weir_sim_args, help), 0, 0, "", {0}},
    {"-h", NULL, offsetof(struct weir_sim_args, help), 0, 0, "", {0}},
};

static const struct flag *find_flag(struct weir_str name)
{
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (weir_str_eq(name, weir_str_z(flags[i].name))) {
            return &flags[i];
        }
    }
    return NULL;
}

/* Reads argv[*at], and the argument behind it when that is its value. */
static bool read_argument(struct parse *p, int argc, char **argv, int *at)
{
    const char *arg = argv[*at];
    const char *equals = strchr(arg, '=');
    struct weir_str name = equals == NULL ? weir_str_z(arg) : weir_str(arg, (size_t)(equals - arg));
    p->flag = find_flag(name);
    if (p->flag == NULL || (p->flag->read == NULL && equals != NULL)) {
        snprintf(p->error, WEIR_SIM_ERROR_BYTES,
                 "there is no option \"%.80s\"; weir sim --help lists them", arg);
        return false;
    }
    if (p->flag->read == NULL) {
        bool *to = place(p);
        *to = true;
        return true;
    }
    p->value = equals == NULL ? NULL : equals + 1;
    if (p->value == NULL && ++*at >= argc) {
        snprintf(p->error, WEIR_SIM_ERROR_BYTES, "%s: expected a value behind it", p->flag->name);
        return false;
    }
    p->value = p->value == NULL ? argv[*at] : p->value;
    return p->flag->read(p);
}

/* The same limits over another window. */
static bool set_window(struct parse *p, const char *window, struct weir_plan *plan)
{
    struct weir_limit limit[WEIR_PLAN_LIMITS_MAX];
    uint64_t seconds;
    unsigned n = 0;
    bool length = weir_parse_duration_s(weir_str_z(window), &seconds) && seconds <= UINT32_MAX;
    for (unsigned k = 0; k < plan->windows; k++) {
        for (unsigned i = 0; i < plan->window[k].meters; i++) {
            limit[n++] =
                (struct weir_limit){plan->window[k].meter[i], length ? (uint32_t)seconds : 0,
                                    plan->window[k].capacity[i]};
        }
    }
    if (weir_plan_compile(limit, n, plan) != WEIR_OK) {
        snprintf(p->error, WEIR_SIM_ERROR_BYTES,
                 "--window: expected a length from 1s to 30day, and one limit for each meter, got "
                 "\"%.80s\"",
                 window);
        return false;
    }
    return true;
}

static bool make_plan(struct parse *p)
{
    struct weir_config_error why;
    struct weir_plan *plan = &p->args->options.plan;
    if (weir_limits_parse(weir_str_z(p->limits), plan, &why) != WEIR_OK) {
        snprintf(p->error, WEIR_SIM_ERROR_BYTES, "--limits: %.200s", why.text);
        return false;
    }
    return p->window == NULL || set_window(p, p->window, plan);
}

bool weir_sim_args_parse(int argc, char **argv, struct weir_sim_args *ret_args,
                         char error[WEIR_SIM_ERROR_BYTES])
{
    *ret_args = (struct weir_sim_args){.options = {
                                           .nodes = 4,
                                           .keys = 1000,
                                           .zipf = 1,
                                           .rate = 1000,
                                           .duration_s = 10,
                                           .input = {100, 100},
                                           .output = {100, 100},
                                           .hold_us = {1000000, 1000000},
                                           .rtt_us = {500, 500},
                                           .shards = 1,
                                           .store_us_per_call = 20,
                                           .seed = 1,
                                       }};
    struct parse p = {.args = ret_args, .limits = "requests: 100/min", .error = error};
    for (int at = 1; at < argc; at++) {
        if (!read_argument(&p, argc, argv, &at)) {
            return false;
        }
        if (ret_args->help) {
            return true;
        }
    }
    if ((ret_args->options.burst_us == 0) != (ret_args->options.pause_us == 0)) {
        snprintf(error, WEIR_SIM_ERROR_BYTES, "--burst: expected --pause with it");
        return false;
    }
    return make_plan(&p);
}
