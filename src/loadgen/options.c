/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - the command line of `weir load`: a table of flags, each with its own reader. */
#include "loadgen/options.h"

#include "base/flags.h"
#include "base/mem.h"
#include "base/utf8.h"

struct parse {
    struct weir_load_options *o;
    bool has_count, has_prefix, has_maximum, has_rate, has_prompt, has_speed;
};

static const char help_text[] =
    "usage: weir load --target URL[,URL..] (--keys a,b,c | --key-count N --key-prefix P)\n"
    "                 [OPTION...]\n"
    "\n"
    "Sends chat completion requests at a rate and reports what came back.\n"
    "\n"
    "  --target URL[,URL..]  http://HOST:PORT; more than one: at random per request\n"
    "  --clients N           each sends one request at a time (50)\n"
    "  --rate R              requests per second; 0: as fast as it goes (100)\n"
    "  --duration S          seconds (10; with --trace: as long as it is)\n"
    "  --trace FILE          replay a CSV file with TIMESTAMP, ContextTokens, GeneratedTokens\n"
    "  --speed X             so many times as fast as the trace (1)\n"
    "  --keys a,b,c          API keys, at random per request\n"
    "  --key-ids a,b,c       what --record calls the keys (1, 2, ...)\n"
    "  --key-count N         N keys: the prefix and a number from 1 to N\n"
    "  --key-prefix P        what these begin with (sk-load-)\n"
    "  --zipf S              the k-th key in proportion to k^-S; 0: all alike (0)\n"
    "  --prompt-tokens A-B   tokens of the prompt, about (50-150)\n"
    "  --max-tokens A-B      max_tokens of the request (50-200; with --trace: 1024-4096, one\n"
    "                        for each key); none: no maximum; exact: the trace's output\n"
    "  --stream              ask for the answer as a stream\n"
    "  --model NAME          model of the request (weir-mock)\n"
    "  --seed N              the same seed gives the same requests (1)\n"
    "  --json FILE           also write the report as JSON\n"
    "  --html FILE           also write the report as one HTML page\n"
    "  --record FILE         also write each admitted request, for weir verify\n"
    "  --help                this text\n";

const char *weir_load_options_help(void)
{
    return help_text;
}

static struct parse *parse_of(const struct weir_flag_value *v)
{
    return v->into;
}

static struct weir_load_options *options(const struct weir_flag_value *v)
{
    return parse_of(v)->o;
}

static bool whole(struct weir_str text, uint64_t min, uint64_t max, uint64_t *ret)
{
    return weir_str_u64(text, max, ret) == WEIR_OK && *ret >= min;
}

/* Takes the part up to the next comma off *rest. False when nothing is left. */
static bool next_part(struct weir_str *rest, struct weir_str *part)
{
    if (rest->p == NULL) {
        return false;
    }
    const char *comma = rest->len > 0 ? memchr(rest->p, ',', rest->len) : NULL;
    if (comma == NULL) {
        *part = *rest;
        *rest = weir_str(NULL, 0);
        return true;
    }
    *part = weir_str(rest->p, (size_t)(comma - rest->p));
    *rest = weir_str(comma + 1, rest->len - part->len - 1);
    return true;
}

static bool set_target(const struct weir_flag_value *v)
{
    struct weir_load_options *o = options(v);
    struct weir_str rest = weir_str_z(v->value), url;
    o->targets = 0;
    while (next_part(&rest, &url)) {
        if (o->targets == WEIR_LOAD_TARGETS_MAX) {
            return weir_flag_refuse(v, "at most 16 targets");
        }
        if (!weir_load_target_read(url, &o->target[o->targets])) {
            return weir_flag_refuse(v, "http://HOST:PORT with a host that has an address");
        }
        o->targets++;
    }
    return true;
}

static bool set_clients(const struct weir_flag_value *v)
{
    uint64_t n;
    if (!whole(weir_str_z(v->value), 1, WEIR_LOAD_CLIENTS_MAX, &n)) {
        return weir_flag_refuse(v, "a number of clients from 1 to 65536");
    }
    options(v)->clients = (uint32_t)n;
    return true;
}

static bool set_rate(const struct weir_flag_value *v)
{
    double *rate = &options(v)->rate;
    /* below 0.001 a run of the longest duration would not hold 100 requests */
    parse_of(v)->has_rate = true;
    return (weir_decimal(v->value, rate) && *rate <= WEIR_LOAD_RATE_MAX &&
            (*rate == 0 || *rate >= 0.001)) ||
           weir_flag_refuse(v, "requests per second from 0.001 to 10000000, or 0 for no limit");
}

static bool set_duration(const struct weir_flag_value *v)
{
    double *seconds = &options(v)->duration_s;
    options(v)->duration_given = true;
    return (weir_decimal(v->value, seconds) && *seconds >= 0.1 &&
            *seconds <= WEIR_LOAD_DURATION_MAX_S) ||
           weir_flag_refuse(v, "seconds from 0.1 to 86400");
}

static bool set_path(const struct weir_flag_value *v, const char **ret_path)
{
    *ret_path = v->value;
    return *v->value != '\0' || weir_flag_refuse(v, "the name of a file");
}

static bool set_trace(const struct weir_flag_value *v)
{
    return set_path(v, &options(v)->trace);
}

static bool set_speed(const struct weir_flag_value *v)
{
    double *speed = &options(v)->speed;
    parse_of(v)->has_speed = true;
    return (weir_decimal(v->value, speed) && *speed >= 0.001 && *speed <= WEIR_LOAD_SPEED_MAX) ||
           weir_flag_refuse(v, "a factor from 0.001 to 1000000");
}

/* What may stand in a header field without ending it or being trimmed away. */
static bool is_key(struct weir_str key, size_t bytes_max)
{
    for (size_t i = 0; i < key.len; i++) {
        if (key.p[i] <= ' ' || key.p[i] > '~') {
            return false;
        }
    }
    return key.len > 0 && key.len <= bytes_max;
}

/* The parts between commas; *list was one before, or NULL. */
static bool read_list(const struct weir_flag_value *v, size_t bytes_max, const char *expected,
                      struct weir_str **list, uint32_t *ret_count)
{
    size_t count = 1;
    for (const char *c = v->value; *c != '\0'; c++) {
        count += *c == ',';
    }
    weir_free(*list);
    *ret_count = 0;
    *list = weir_zalloc_array(count, sizeof(**list));
    if (*list == NULL) {
        return weir_flag_refuse(v, "a list that fits into memory");
    }
    struct weir_str rest = weir_str_z(v->value), part;
    while (next_part(&rest, &part)) {
        if (!is_key(part, bytes_max)) {
            return weir_flag_refuse(v, expected);
        }
        (*list)[(*ret_count)++] = part;
    }
    return true;
}

static bool set_keys(const struct weir_flag_value *v)
{
    return read_list(v, WEIR_LOAD_KEY_BYTES_MAX,
                     "keys of 1 to 512 visible ASCII characters, with commas between",
                     &options(v)->key_list, &options(v)->keys);
}

static bool set_key_ids(const struct weir_flag_value *v)
{
    return read_list(v, WEIR_LOAD_KEY_ID_MAX,
                     "ids of 1 to 100 visible ASCII characters, with commas between",
                     &options(v)->key_ids, &options(v)->ids);
}

static bool set_key_count(const struct weir_flag_value *v)
{
    uint64_t n;
    if (!whole(weir_str_z(v->value), 1, WEIR_LOAD_KEYS_MAX, &n)) {
        return weir_flag_refuse(v, "a number of keys from 1 to 10000000");
    }
    options(v)->keys = (uint32_t)n;
    parse_of(v)->has_count = true;
    return true;
}

static bool set_zipf(const struct weir_flag_value *v)
{
    return (weir_decimal(v->value, &options(v)->zipf) && options(v)->zipf <= WEIR_LOAD_ZIPF_MAX) ||
           weir_flag_refuse(v, "an exponent from 0 to 10");
}

static bool set_key_prefix(const struct weir_flag_value *v)
{
    options(v)->key_prefix = weir_str_z(v->value);
    parse_of(v)->has_prefix = true;
    return is_key(options(v)->key_prefix, WEIR_LOAD_KEY_BYTES_MAX) ||
           weir_flag_refuse(v, "1 to 512 visible ASCII characters");
}

/* "A-B", or "A" for the same at both ends. */
static bool read_range(const char *text, uint64_t max, struct weir_load_range *r)
{
    const char *dash = strchr(text, '-');
    struct weir_str high = weir_str_z(dash == NULL ? text : dash + 1);
    struct weir_str low = dash == NULL ? high : weir_str(text, (size_t)(dash - text));
    return whole(low, 1, max, &r->low) && whole(high, r->low, max, &r->high);
}

static bool set_prompt_tokens(const struct weir_flag_value *v)
{
    parse_of(v)->has_prompt = true;
    return read_range(v->value, WEIR_LOAD_PROMPT_TOKENS_MAX, &options(v)->prompt_tokens) ||
           weir_flag_refuse(v, "A-B with 1 <= A <= B <= 1000000");
}

static bool set_max_tokens(const struct weir_flag_value *v)
{
    struct weir_load_options *o = options(v);
    parse_of(v)->has_maximum = true;
    if (strcmp(v->value, "none") == 0 || strcmp(v->value, "exact") == 0) {
        o->asking = *v->value == 'n' ? WEIR_LOAD_ASK_NONE : WEIR_LOAD_ASK_EXACT;
        return true;
    }
    o->asking = WEIR_LOAD_ASK_RANGE;
    return read_range(v->value, WEIR_LOAD_MAX_TOKENS_MAX, &o->max_tokens) ||
           weir_flag_refuse(v, "A-B with 1 <= A <= B <= 10000000, none or exact");
}

static bool set_seed(const struct weir_flag_value *v)
{
    return whole(weir_str_z(v->value), 0, UINT64_MAX, &options(v)->seed) ||
           weir_flag_refuse(v, "a whole number");
}

static bool set_model(const struct weir_flag_value *v)
{
    options(v)->model = weir_str_z(v->value);
    struct weir_str model = options(v)->model;
    return (model.len > 0 && model.len <= 256 && weir_utf8_valid(model)) ||
           weir_flag_refuse(v, "1 to 256 bytes of UTF-8");
}

static bool set_json(const struct weir_flag_value *v)
{
    return set_path(v, &options(v)->json);
}

static bool set_html(const struct weir_flag_value *v)
{
    return set_path(v, &options(v)->html);
}

static bool set_record(const struct weir_flag_value *v)
{
    return set_path(v, &options(v)->record);
}

static bool set_stream(const struct weir_flag_value *v)
{
    options(v)->stream = true;
    return true;
}

static const struct weir_flag table[] = {
    {"target", .read = set_target},
    {"clients", .read = set_clients},
    {"rate", .read = set_rate},
    {"duration", .read = set_duration},
    {"trace", .read = set_trace},
    {"speed", .read = set_speed},
    {"keys", .read = set_keys},
    {"key-ids", .read = set_key_ids},
    {"key-count", .read = set_key_count},
    {"key-prefix", .read = set_key_prefix},
    {"zipf", .read = set_zipf},
    {"prompt-tokens", .read = set_prompt_tokens},
    {"max-tokens", .read = set_max_tokens},
    {"stream", set_stream, .bare = true},
    {"seed", .read = set_seed},
    {"model", .read = set_model},
    {"json", .read = set_json},
    {"html", .read = set_html},
    {"record", .read = set_record},
};

static const struct weir_flags flags = {
    .flag = table, .count = sizeof(table) / sizeof(table[0]), .command = "weir load"};

static bool check_together(const struct parse *p, char *error)
{
    const char *wrong = NULL;
    if (p->o->targets == 0) {
        wrong = "--target: expected at least one, http://HOST:PORT";
    } else if (p->o->keys == 0) {
        wrong = "--keys: expected the API keys to use (or --key-count N --key-prefix P)";
    } else if (p->o->key_list != NULL && (p->has_count || p->has_prefix)) {
        wrong = "--keys: expected either this or --key-count with --key-prefix, not both";
    } else if (p->o->key_ids != NULL && p->o->ids != p->o->keys) {
        wrong = "--key-ids: expected as many as there are keys";
    } else if (p->o->trace != NULL && (p->has_rate || p->has_prompt)) {
        wrong = "--trace: expected no --rate and no --prompt-tokens, which the trace says";
    } else if (p->o->trace == NULL && p->has_speed) {
        wrong = "--speed: expected a --trace";
    } else if (p->o->trace == NULL && p->o->asking == WEIR_LOAD_ASK_EXACT) {
        wrong = "--max-tokens: expected a --trace with exact";
    }
    if (wrong != NULL) {
        snprintf(error, WEIR_LOAD_ERROR_BYTES, "%s", wrong);
    }
    return wrong == NULL;
}

bool weir_load_options_parse(int argc, char **argv, struct weir_load_options *o,
                             char error[static WEIR_LOAD_ERROR_BYTES])
{
    *o = (struct weir_load_options){
        .clients = 50,
        .rate = 100,
        .duration_s = 10,
        .speed = 1,
        .key_prefix = WEIR_STR("sk-load-"),
        .prompt_tokens = {50, 150},
        .max_tokens = {50, 200},
        .seed = 1,
        .model = WEIR_STR("weir-mock"),
    };
    struct parse p = {.o = o};
    int operands;
    enum weir_flags_end end = weir_flags_read(&flags, argc, argv, &p, &operands, error);
    o->help = end == WEIR_FLAGS_HELP;
    if (end != WEIR_FLAGS_READ) {
        return o->help;
    }
    if (o->trace != NULL && !p.has_maximum) {
        o->max_tokens = (struct weir_load_range){1024, 4096};
    }
    return check_together(&p, error);
}

void weir_load_options_deinit(struct weir_load_options *o)
{
    weir_free(o->key_list);
    weir_free(o->key_ids);
    o->key_list = o->key_ids = NULL;
}

void weir_load_key(const struct weir_load_options *o, uint32_t key, struct weir_buf *out)
{
    if (o->key_list != NULL) {
        weir_buf_str(out, o->key_list[key]);
        return;
    }
    weir_buf_str(out, o->key_prefix);
    weir_buf_u64(out, (uint64_t)key + 1);
}

void weir_load_subject(const struct weir_load_options *o, uint32_t key, struct weir_buf *out)
{
    WEIR_BUF_LIT(out, "key:");
    if (o->key_ids != NULL) {
        weir_buf_str(out, o->key_ids[key]);
        return;
    }
    weir_buf_u64(out, (uint64_t)key + 1);
}
