/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/args.h"

#include <stddef.h>
#include <stdio.h>

#include "base/flags.h"
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
    const char *limits, *window;
};

/* Where a flag's value goes, and what it may be. */
struct more {
    size_t offset;
    uint64_t min, max;
    const char *expected;
    const char *choice[2]; /* false and true */
};

static const struct more *more_of(const struct weir_flag_value *v)
{
    return v->flag->more;
}

static void *place(const struct weir_flag_value *v)
{
    const struct parse *p = v->into;
    return (char *)p->args + more_of(v)->offset;
}

static bool refuse(const struct weir_flag_value *v)
{
    return weir_flag_refuse(v, more_of(v)->expected);
}

static bool amount(const struct weir_flag_value *v, struct weir_str text, uint64_t *ret)
{
    return weir_parse_amount(text, ret) && *ret >= more_of(v)->min && *ret <= more_of(v)->max;
}

static bool read_u64(const struct weir_flag_value *v)
{
    uint64_t *to = place(v);
    return amount(v, weir_str_z(v->value), to) || refuse(v);
}

static bool read_u32(const struct weir_flag_value *v)
{
    uint64_t number;
    uint32_t *to = place(v);
    if (!amount(v, weir_str_z(v->value), &number)) {
        return refuse(v);
    }
    *to = (uint32_t)number;
    return true;
}

static bool read_whole(const struct weir_flag_value *v)
{
    uint64_t number;
    double *to = place(v);
    if (!amount(v, weir_str_z(v->value), &number)) {
        return refuse(v);
    }
    *to = (double)number;
    return true;
}

static bool read_decimal(const struct weir_flag_value *v)
{
    double *to = place(v);
    return (weir_decimal(v->value, to) && *to <= (double)more_of(v)->max) || refuse(v);
}

static bool read_range(const struct weir_flag_value *v)
{
    struct weir_sim_range *to = place(v);
    const char *dash = strchr(v->value, '-');
    struct weir_str high = weir_str_z(dash == NULL ? v->value : dash + 1);
    struct weir_str low = dash == NULL ? high : weir_str(v->value, (size_t)(dash - v->value));
    return (amount(v, low, &to->low) && amount(v, high, &to->high) && to->low <= to->high) ||
           refuse(v);
}

static bool read_used(const struct weir_flag_value *v)
{
    struct parse *p = v->into;
    p->args->options.settles = true;
    return read_range(v);
}

static bool read_ms(const struct weir_flag_value *v)
{
    struct weir_sim_range *to = place(v);
    if (!read_range(v)) {
        return false;
    }
    to->low *= 1000;
    to->high *= 1000;
    return true;
}

static bool read_u64_ms(const struct weir_flag_value *v)
{
    uint64_t *to = place(v);
    if (!read_u64(v)) {
        return false;
    }
    *to *= 1000;
    return true;
}

static bool read_choice(const struct weir_flag_value *v)
{
    bool *to = place(v);
    *to = strcmp(v->value, more_of(v)->choice[1]) == 0;
    return *to || strcmp(v->value, more_of(v)->choice[0]) == 0 || refuse(v);
}

static bool read_bare(const struct weir_flag_value *v)
{
    bool *to = place(v);
    *to = true;
    return true;
}

#define AT(field) .offset = offsetof(struct weir_sim_args, field)
#define NUMBER(field, low, high, what)                                                             \
    .more =                                                                                        \
        (&(const struct more){AT(options.field), .min = (low), .max = (high), .expected = (what)})
#define CHOICE(field, what, a, b)                                                                  \
    .more = (&(const struct more){AT(options.field), .expected = (what), .choice = {(a), (b)}})
#define TEXT(field) .read = weir_flag_text, .at = offsetof(struct parse, field)
#define BARE(field) .more = (&(const struct more){AT(field)})
#define TOKENS      "tokens, A-B with 0 <= A <= B <= 100M"
static const struct weir_flag table[] = {
    {"nodes", read_u32, NUMBER(nodes, 1, WEIR_SIM_NODES_MAX, "nodes from 1 to 1M")},
    {"keys", read_u64, NUMBER(keys, 1, WEIR_SIM_KEYS_MAX, "keys from 1 to 4G")},
    {"zipf", read_decimal, NUMBER(zipf, 0, WEIR_SIM_ZIPF_MAX, "an exponent from 0 to 10")},
    {"rate", read_whole, NUMBER(rate, 1, WEIR_SIM_RATE_MAX, "requests/s from 1 to 100M")},
    {"duration", read_whole,
     NUMBER(duration_s, 1, WEIR_SIM_DURATION_MAX_S, "seconds from 1 to 3600")},
    {"burst", read_u64_ms, NUMBER(burst_us, 1, WEIR_SIM_BURST_MAX_US / 1000, "ms from 1 to 600k")},
    {"pause", read_u64_ms, NUMBER(pause_us, 1, WEIR_SIM_BURST_MAX_US / 1000, "ms from 1 to 600k")},
    {"limits", TEXT(limits)},
    {"window", TEXT(window)},
    {"input", read_range, NUMBER(input, 0, WEIR_SIM_TOKENS_MAX, TOKENS)},
    {"output", read_range, NUMBER(output, 0, WEIR_SIM_TOKENS_MAX, TOKENS)},
    {"used", read_used, NUMBER(used, 0, WEIR_SIM_TOKENS_MAX, TOKENS)},
    {"hold", read_ms,
     NUMBER(hold_us, 0, WEIR_SIM_HOLD_MAX_US / 1000, "ms, A-B with 0 <= A <= B <= 600k")},
    {"settle", read_choice, CHOICE(settle_anywhere, "same or random", "same", "random")},
    {"balance", read_choice, CHOICE(by_key, "random or key", "random", "key")},
    {"mode", read_choice, CHOICE(exact, "lease or exact", "lease", "exact")},
    {"rtt", read_range,
     NUMBER(rtt_us, 0, WEIR_SIM_RTT_MAX_US, "microseconds, A-B with 0 <= A <= B <= 10M")},
    {"shards", read_u32, NUMBER(shards, 1, WEIR_SIM_SHARDS_MAX, "shards from 1 to 4096")},
    {"store-us-per-call", read_decimal,
     NUMBER(store_us_per_call, 0, WEIR_SIM_STORE_US_MAX, "microseconds from 0 to 1000000")},
    {"seed", read_u64, NUMBER(seed, 0, UINT64_MAX, "a whole number")},
    {"json", read_bare, BARE(json), .bare = true},
};

static const struct weir_flags flags = {
    .flag = table, .count = sizeof(table) / sizeof(table[0]), .command = "weir sim"};

/* The same limits over another window. */
static bool set_window(const char *window, struct weir_plan *plan, char *error)
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
        snprintf(error, WEIR_SIM_ERROR_BYTES,
                 "--window: expected a length from 1s to 30day, and one limit for each meter, got "
                 "\"%.80s\"",
                 window);
        return false;
    }
    return true;
}

static bool make_plan(const struct parse *p, char *error)
{
    struct weir_config_error why;
    struct weir_plan *plan = &p->args->options.plan;
    if (weir_limits_parse(weir_str_z(p->limits), plan, &why) != WEIR_OK) {
        snprintf(error, WEIR_SIM_ERROR_BYTES, "--limits: %.200s", why.text);
        return false;
    }
    return p->window == NULL || set_window(p->window, plan, error);
}

bool weir_sim_args_parse(int argc, char **argv, struct weir_sim_args *ret_args,
                         char error[static WEIR_SIM_ERROR_BYTES])
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
    struct parse p = {.args = ret_args, .limits = "requests: 100/min"};
    int operands;
    enum weir_flags_end end = weir_flags_read(&flags, argc, argv, &p, &operands, error);
    ret_args->help = end == WEIR_FLAGS_HELP;
    if (end != WEIR_FLAGS_READ) {
        return ret_args->help;
    }
    if ((ret_args->options.burst_us == 0) != (ret_args->options.pause_us == 0)) {
        snprintf(error, WEIR_SIM_ERROR_BYTES, "--burst: expected --pause with it");
        return false;
    }
    return make_plan(&p, error);
}
