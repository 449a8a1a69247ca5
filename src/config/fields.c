/* SPDX-License-Identifier: Apache-2.0 */
/* fields.c - the fields of the file: numbers as a table, and the sections. */
#include "base/mem.h"
#include "config/parse.h"

#define FIELD(section, name, duration, field, min, max)                                            \
    {                                                                                              \
        section, name, duration, offsetof(struct weir_config, field),                              \
            sizeof(((struct weir_config *)NULL)->field), min, max                                  \
    }
#define OPTION(section, name, field, min, max)   FIELD(section, name, false, field, min, max)
#define DURATION(section, name, field, min, max) FIELD(section, name, true, field, min, max)

/* Defaults: config.c. Meanings: docs/configuration.md, which a test holds against this table. */
static const struct weir_option options[] = {
    OPTION("", "workers", workers, 1, WEIR_CONFIG_WORKERS_MAX),
    OPTION("", "nodes", nodes, 1, 100000),
    OPTION("", "max_subjects", max_subjects, 1, UINT64_C(1) << 31),
    DURATION("", "reservation_ttl", reservation_ttl_s, 1, 86400),
    OPTION("", "reservations_max", reservations_max, 1, 100000000),
    OPTION("", "forecast_histories", histories_max, 8, UINT64_C(1) << 24),
    OPTION("", "store_timeout_ms", redis.timeout_ms, 1, 60000),
    OPTION("", "store_connect_timeout_ms", redis.connect_timeout_ms, 1, 60000),
    OPTION("http", "max_head_bytes", head_bytes_max, 1024, 1 << 20),
    OPTION("http", "max_target_bytes", target_bytes_max, 64, 1 << 20),
    OPTION("http", "max_body_bytes", body_bytes_max, 1024, 1 << 30),
    OPTION("http", "max_connections", connections_max, 1, 10000000),
    OPTION("http", "head_timeout_ms", head_timeout_ms, 1, 3600000),
    OPTION("http", "body_timeout_ms", body_timeout_ms, 1, 3600000),
    OPTION("http", "idle_timeout_ms", idle_timeout_ms, 1, 86400000),
    OPTION("http", "drain_timeout_ms", drain_timeout_ms, 0, 3600000),
    OPTION("mock", "seed", mock.seed, 0, UINT64_C(1) << 53),
    OPTION("mock", "first_token_ms", mock.first_token_ms, 0, 600000),
    OPTION("mock", "tokens_per_s", mock.tokens_per_s, 0, 1000000),
    OPTION("mock.output_tokens", "mean", mock.output_mean, 1, 1000000),
    OPTION("mock.output_tokens", "max", mock.output_max, 1, 1000000),
};

enum { OPTIONS = sizeof(options) / sizeof(options[0]) };

const struct weir_option *weir_options(size_t *ret_count)
{
    *ret_count = OPTIONS;
    return options;
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

static enum weir_err option_field(struct parse *p, const char *section, struct weir_str key,
                                  const struct node *value)
{
    const struct weir_option *o = find_option(section, key);
    uint64_t number;
    if (o == NULL) {
        return weir_parse_unknown(p, value, section[0] == '\0' ? "the file" : section);
    }
    WEIR_TRY(o->duration ? weir_parse_seconds(p, value, o->min, o->max, &number)
                         : weir_parse_number(p, value, o->min, o->max, &number));
    set_option(p->config, o, number);
    return WEIR_OK;
}

/* ---- sections ---- */

static enum weir_err http_field(struct parse *p, struct weir_str key, const struct node *value,
                                void *ctx)
{
    (void)ctx;
    return option_field(p, "http", key, value);
}

static enum weir_err mock_output_field(struct parse *p, struct weir_str key,
                                       const struct node *value, void *ctx)
{
    (void)ctx;
    return option_field(p, "mock.output_tokens", key, value);
}

static enum weir_err mock_field(struct parse *p, struct weir_str key, const struct node *value,
                                void *ctx)
{
    if (weir_str_eq(key, WEIR_STR("output_tokens"))) {
        return weir_parse_mapping(p, value, mock_output_field, ctx);
    }
    return option_field(p, "mock", key, value);
}

static enum weir_err service_token(struct parse *p, const struct node *value)
{
    char buf[WEIR_SECRET_MAX + 2];
    struct weir_str token;
    enum weir_err err = weir_parse_secret(p, value, buf, &token);
    if (err == WEIR_OK) {
        weir_sha256(token, p->config->service_token_sha256);
        p->config->has_service_token = true;
    }
    weir_wipe(buf, sizeof(buf));
    return err;
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

/* What other sections name; each after what it names itself. */
static const struct {
    struct weir_str section;
    enum weir_err (*parse)(struct parse *p, const struct node *n);
} named[] = {
    {WEIR_STR_INIT("plans"), weir_parse_plans},
    {WEIR_STR_INIT("orgs"), weir_parse_orgs},
    {WEIR_STR_INIT("teams"), weir_parse_teams},
};

enum { NAMED = sizeof(named) / sizeof(named[0]) };

static enum weir_err top_field(struct parse *p, struct weir_str key, const struct node *value,
                               void *ctx)
{
    (void)ctx;
    for (size_t i = 0; i < NAMED; i++) {
        if (weir_str_eq(key, named[i].section)) {
            return WEIR_OK; /* was read first */
        }
    }
    if (weir_str_eq(key, WEIR_STR("keys"))) {
        return weir_parse_keys(p, value);
    }
    if (weir_str_eq(key, WEIR_STR("listen")) || weir_str_eq(key, WEIR_STR("store")) ||
        weir_str_eq(key, WEIR_STR("mode")) || weir_str_eq(key, WEIR_STR("on_store_failure")) ||
        weir_str_eq(key, WEIR_STR("token_data"))) {
        return text_field(p, value);
    }
    if (weir_str_eq(key, WEIR_STR("store_tls"))) {
        return weir_parse_store_tls(p, value);
    }
    if (weir_str_eq(key, WEIR_STR("service_token"))) {
        return service_token(p, value);
    }
    if (weir_str_eq(key, WEIR_STR("unknown_keys"))) {
        return unknown_keys(p, value);
    }
    if (weir_str_eq(key, WEIR_STR("models"))) {
        return weir_parse_models(p, value);
    }
    if (weir_str_eq(key, WEIR_STR("upstreams"))) {
        return weir_parse_upstreams(p, value);
    }
    if (weir_str_eq(key, WEIR_STR("http"))) {
        return weir_parse_mapping(p, value, http_field, NULL);
    }
    if (weir_str_eq(key, WEIR_STR("mock"))) {
        return weir_parse_mapping(p, value, mock_field, NULL);
    }
    return option_field(p, "", key, value);
}

/* Reads a section, wherever in the file it stands. */
static enum weir_err read_section(struct parse *p, const struct node *root, size_t i)
{
    const struct weir_yaml_node *end = root->at + root->at->span, *value;
    for (const struct weir_yaml_node *key = root->at + 1; key < end; key = value + value->span) {
        value = key + key->span;
        if (key->kind == WEIR_YAML_SCALAR &&
            weir_str_eq(weir_str(key->text, key->len), named[i].section)) {
            const struct node section = {.at = value, .key = key, .name = named[i].section.p};
            return named[i].parse(p, &section);
        }
    }
    return WEIR_OK;
}

enum weir_err weir_parse_fields(struct parse *p, const struct node *root)
{
    if (root->at->kind == WEIR_YAML_MAPPING) {
        for (size_t i = 0; i < NAMED; i++) {
            WEIR_TRY(read_section(p, root, i));
        }
    }
    return weir_parse_mapping(p, root, top_field, NULL);
}

/* ---- flags ---- */

enum weir_err weir_parse_flag(struct parse *p, const char *flag, const char *field,
                              const char *text)
{
    const struct node n = {.name = flag};
    const struct weir_option *o = find_option("", weir_str_z(field));
    uint64_t number;
    if (o == NULL) {
        return weir_parse_text(p, &n, field, weir_str_z(text));
    }
    if (!weir_parse_amount(weir_str_z(text), &number) || number < o->min || number > o->max) {
        return weir_parse_fail(p, &n, "%s: expected a whole number from %llu to %llu", flag,
                               (unsigned long long)o->min, (unsigned long long)o->max);
    }
    set_option(p->config, o, number);
    return WEIR_OK;
}
