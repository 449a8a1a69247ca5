/* SPDX-License-Identifier: Apache-2.0 */
/* fields.c - the fields of the file: the table of those outside lists and plans, and how they are
 * read. */
#include "config/parse.h"

static enum weir_err service_token(struct parse *p, const struct node *value)
{
    WEIR_TRY(weir_parse_token(p, value, p->config->service_token_sha256));
    p->config->has_service_token = true;
    return WEIR_OK;
}

static enum weir_err unknown_keys(struct parse *p, const struct node *value)
{
    struct weir_str name;
    WEIR_TRY(weir_parse_scalar(p, value, "reject or the name of a plan", &name));
    p->config->unknown_plan = weir_plan_by_name(p->config, name);
    if (p->config->unknown_plan == NULL && !weir_str_eq(name, WEIR_STR("reject"))) {
        return weir_parse_fail(p, value, "unknown_keys: expected reject or the name of a plan");
    }
    return WEIR_OK;
}

static enum weir_err text_field(struct parse *p, const struct node *value)
{
    struct weir_str text;
    WEIR_TRY(weir_parse_scalar(p, value, "a text", &text));
    return weir_parse_text(p, value, value->name, text);
}

/* A field that is a number: of `type`, from `min` to `max`. */
#define FIELD(in, as, is_duration, field, from, to, of, otherwise, what)                           \
    {                                                                                              \
        .section = in, .name = as, .duration = is_duration,                                        \
        .offset = offsetof(struct weir_config, field),                                             \
        .width = sizeof(((struct weir_config *)NULL)->field), .min = from, .max = to, .type = of,  \
        .fallback = otherwise, .meaning = what                                                     \
    }
#define OPTION(section, name, field, min, max, type, meaning)                                      \
    FIELD(section, name, false, field, min, max, type, NULL, meaning)
#define DURATION(section, name, field, min, max, meaning)                                          \
    FIELD(section, name, true, field, min, max, "duration", NULL, meaning)
/* A field of another form, which `reader` reads. */
#define OTHER(in, as, reader, of, within, otherwise, what)                                         \
    {                                                                                              \
        .section = in, .name = as, .parse = reader, .type = of, .range = within,                   \
        .fallback = otherwise, .meaning = what                                                     \
    }
/* The same, of what other fields name: read before all others. */
#define NAMED(as, reader, of, within, what)                                                        \
    {                                                                                              \
        .section = "", .name = as, .parse = reader, .first = true, .type = of, .range = within,    \
        .fallback = "none", .meaning = what                                                        \
    }
/* A mapping whose fields are the rows of the section `of`. */
#define SECTION(in, as, of, what)                                                                  \
    {                                                                                              \
        .section = in, .name = as, .fields = of, .type = "mapping", .range = "", .fallback = "",   \
        .meaning = what                                                                            \
    }

/* The fields in the order of the reference: scripts/config-reference makes of these rows what
 * docs/configuration.md and the manual say of them. The words are Markdown. Defaults of numbers:
 * config.c. */
static const struct weir_option options[] = {
    OTHER("", "listen", text_field, "address:port", "", "`127.0.0.1:8000`",
          "a numeric IPv4 address, or an IPv6 address in brackets; port 0: the kernel chooses one, "
          "and the log names it; not used with sockets of a service manager"),
    FIELD("", "workers", false, workers, 1, WEIR_CONFIG_WORKERS_MAX, "number", "one per core",
          "worker threads, each with its loop, listener and store connection"),
    OTHER("", "store", text_field, "URL", "", "`embedded`",
          "where windows live: see [store](#store)"),
    OTHER("", "store_tls", weir_parse_store_tls, "mapping", "", "",
          "certificates for a `rediss` store: see [TLS](#tls)"),
    OPTION("", "store_timeout_ms", redis.timeout_ms, 1, 60000, "ms",
           "silence of Redis that counts as its failure"),
    OPTION("", "store_connect_timeout_ms", redis.connect_timeout_ms, 1, 60000, "ms",
           "how long connecting to Redis may take"),
    OTHER("", "mode", text_field, "`lease`, `exact`", "", "`lease`",
          "with Redis: take budget ahead of need and answer from it, or ask Redis for each "
          "request; never over the limit in both: see [leases](design/leases.md)"),
    OTHER("", "on_store_failure", text_field, "`local`, `closed`, `open`", "", "`local`",
          "with Redis out of reach: go on with each node's share of every limit, refuse, or admit "
          "everything"),
    OPTION("", "nodes", nodes, 1, 100000, "number",
           "how many nodes share the Redis; a node's share is a limit divided by this"),
    OPTION("", "max_subjects", max_subjects, 1, UINT64_C(1) << 31, "number",
           "windows of how many [subjects](#who-is-limited) are kept at once; at least the number "
           "of `keys`, `teams`, `orgs` and `models` with a plan, which have their places reserved. "
           "At the bound idle unknown keys go first, one with usage never"),
    DURATION("", "reservation_ttl", reservation_ttl_s, 1, 86400,
             "how long a reservation can be settled"),
    OPTION("", "reservations_max", reservations_max, 1, 100000000, "number",
           "how many settled reservations a node remembers, so that one is not settled twice (with "
           "Redis: again after a failover that lost the first)"),
    OTHER("", "token_data", text_field, "path", "", "beside the program",
          "the data for [exact token counts](design/tokens.md), `weir.tokens`; without it there, "
          "weir estimates and says so at the start"),
    OTHER(
        "", "access_log", text_field, "`off`, `stderr`, `stdout` or a path", "", "`off`",
        "where a line for each request goes: see [the access log](access-log.md). A path has a "
        "slash in it; the file is made with mode 0640 or appended to, and opened again at SIGUSR1"),
    OPTION(
        "", "metrics_top", metrics_top, 0, WEIR_METRICS_TOP_MAX, "number",
        "how many subjects `/metrics` names for each scope and meter, with what they used in the "
        "last whole minute ([weir_subject_used](metrics.md)); 0: none. `/metrics` is there for "
        "whoever reaches the listener"),
    OPTION("", "forecast_histories", histories_max, 8, UINT64_C(1) << 24, "number",
           "keys and models whose answers are remembered for [`reserve: "
           "forecast`](#what-is-reserved), 64 bytes each, allocated when a plan has it; at the "
           "bound the one goes that was idle longest"),
    OTHER("", "service_token", service_token, "secret", "", "none",
          "what callers of `/weir/v1/` send as `Authorization: Bearer`; without one only the "
          "loopback interface may call it"),
    OTHER("", "admin", weir_parse_admin, "mapping", "", "none",
          "where operators ask: see [admin](#admin)"),
    OTHER("", "registry", text_field, "`off` or a path", "", "`off`",
          "the file of keys and plans that are made while nodes run: see [registry](#registry). A "
          "path has a slash in it"),
    OTHER("", "unknown_keys", unknown_keys, "`reject` or a plan", "", "`reject`",
          "what a request with a secret that is not in `keys` gets: 401, or its own windows on "
          "this plan"),
    NAMED("plans", weir_parse_plans, "mapping", "at most 1000", "see [plans](#plans)"),
    NAMED("orgs", weir_parse_orgs, "list", "at most 1000000",
          "see [teams and orgs](#teams-and-orgs)"),
    NAMED("teams", weir_parse_teams, "list", "at most 1000000",
          "see [teams and orgs](#teams-and-orgs)"),
    OTHER("", "keys", weir_parse_keys, "list", "at most 1000000", "none", "see [keys](#keys)"),
    OTHER("", "models", weir_parse_models, "mapping", "at most 1000, 100 of them globs",
          "`{weir-mock: {}}`", "see [models](#models)"),
    OTHER("", "upstreams", weir_parse_upstreams, "list", "at most 64", "the mock",
          "see [upstreams](#upstreams)"),
    SECTION("", "http", "http", "see [http](#http)"),
    SECTION("", "mock", "mock", "see [mock](#mock)"),
    OPTION("http", "max_head_bytes", head_bytes_max, 1024, 1 << 20, "bytes",
           "request line and headers; more is answered with 431"),
    OPTION("http", "max_target_bytes", target_bytes_max, 64, 1 << 20, "bytes",
           "the path with its query; more: 414"),
    OPTION("http", "max_body_bytes", body_bytes_max, 1024, 1 << 30, "bytes", "a body; more: 413"),
    OPTION("http", "max_connections", connections_max, 1, 10000000, "number",
           "of one worker; above, a connection is closed at once"),
    OPTION("http", "head_timeout_ms", head_timeout_ms, 1, 3600000, "ms",
           "for the head to arrive; longer: 408"),
    OPTION("http", "body_timeout_ms", body_timeout_ms, 1, 3600000, "ms",
           "for the body to arrive; longer: 408"),
    OPTION("http", "idle_timeout_ms", idle_timeout_ms, 1, 86400000, "ms",
           "of a connection without a request; then it is closed"),
    OPTION("http", "drain_timeout_ms", drain_timeout_ms, 0, 3600000, "ms",
           "how long requests under way may take after SIGTERM or SIGINT"),
    OPTION("mock", "seed", mock.seed, 0, UINT64_C(1) << 53, "number",
           "another seed, other answers"),
    OPTION("mock", "first_token_ms", mock.first_token_ms, 0, 600000, "ms",
           "before the first token"),
    OPTION("mock", "tokens_per_s", mock.tokens_per_s, 0, 1000000, "tokens/s",
           "how fast the rest comes; 0: at once"),
    SECTION("mock", "output_tokens", "mock.output_tokens", "how long answers are"),
    OPTION("mock.output_tokens", "mean", mock.output_mean, 1, 1000000, "tokens",
           "the mean of the drawn lengths"),
    OPTION("mock.output_tokens", "max", mock.output_max, 1, 1000000, "tokens",
           "no answer is longer, whatever a request asks"),
};

enum { OPTIONS = sizeof(options) / sizeof(options[0]) };

const struct weir_option *weir_options(size_t *ret_count)
{
    *ret_count = OPTIONS;
    return options;
}

bool weir_option_is_number(const struct weir_option *o)
{
    return o->width > 0;
}

uint64_t weir_option_value(const struct weir_option *o, const struct weir_config *config)
{
    uint64_t wide = 0;
    uint32_t narrow = 0;
    const char *field = (const char *)config + o->offset;
    if (o->width == sizeof(narrow)) {
        memcpy(&narrow, field, sizeof(narrow));
        return narrow;
    }
    memcpy(&wide, field, sizeof(wide));
    return wide;
}

static void set_option(struct weir_config *config, const struct weir_option *o, uint64_t value)
{
    char *field = (char *)config + o->offset;
    uint32_t narrow = (uint32_t)value;
    if (o->width == sizeof(narrow)) {
        memcpy(field, &narrow, sizeof(narrow));
    } else {
        memcpy(field, &value, sizeof(value));
    }
}

static const struct weir_option *find_option(const char *section, struct weir_str name)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        if (strcmp(options[i].section, section) == 0 &&
            weir_str_eq(weir_str_z(options[i].name), name)) {
            return &options[i];
        }
    }
    return NULL;
}

static enum weir_err number_field(struct parse *p, const struct weir_option *o,
                                  const struct node *value)
{
    uint64_t number;
    WEIR_TRY(o->duration ? weir_parse_seconds(p, value, o->min, o->max, &number)
                         : weir_parse_number(p, value, o->min, o->max, &number));
    set_option(p->config, o, number);
    return WEIR_OK;
}

/* A field of the section that `ctx` points to. */
static enum weir_err any_field(struct parse *p, struct weir_str key, const struct node *value,
                               void *ctx)
{
    const char **section = ctx;
    const struct weir_option *o = find_option(*section, key);
    if (o == NULL) {
        return weir_parse_unknown(p, value, *section[0] == '\0' ? "the file" : *section);
    }
    if (o->fields != NULL) {
        const char *fields = o->fields;
        return weir_parse_mapping(p, value, any_field, &fields);
    }
    if (o->first) {
        return WEIR_OK; /* was read */
    }
    return o->parse != NULL ? o->parse(p, value) : number_field(p, o, value);
}

/* Reads a field of the top level, wherever in the file it stands. */
static enum weir_err read_first(struct parse *p, const struct node *root,
                                const struct weir_option *o)
{
    const struct weir_yaml_node *end = root->at + root->at->span, *value;
    for (const struct weir_yaml_node *key = root->at + 1; key < end; key = value + value->span) {
        value = key + key->span;
        if (key->kind == WEIR_YAML_SCALAR &&
            weir_str_eq(weir_str(key->text, key->len), weir_str_z(o->name))) {
            const struct node field = {.at = value, .key = key, .name = o->name};
            return o->parse(p, &field);
        }
    }
    return WEIR_OK;
}

enum weir_err weir_parse_fields(struct parse *p, const struct node *root)
{
    const char *top = "";
    for (size_t i = 0; i < OPTIONS; i++) {
        if (options[i].first && root->at->kind == WEIR_YAML_MAPPING) {
            WEIR_TRY(read_first(p, root, &options[i]));
        }
    }
    return weir_parse_mapping(p, root, any_field, &top);
}

/* ---- flags ---- */

enum weir_err weir_parse_flag(struct parse *p, const char *flag, const char *field,
                              const char *text)
{
    const struct node n = {.name = flag};
    const struct weir_option *o = find_option("", weir_str_z(field));
    uint64_t number;
    if (o == NULL || o->parse != NULL) {
        return weir_parse_text(p, &n, field, weir_str_z(text));
    }
    if (!weir_parse_amount(weir_str_z(text), &number) || number < o->min || number > o->max) {
        return weir_parse_fail(p, &n, "%s: expected a whole number from %llu to %llu", flag,
                               (unsigned long long)o->min, (unsigned long long)o->max);
    }
    set_option(p->config, o, number);
    return WEIR_OK;
}
