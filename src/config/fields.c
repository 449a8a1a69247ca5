/* SPDX-License-Identifier: Apache-2.0 */
/* fields.c - the fields of the file as a table, and those that need code of their own. */
#include <arpa/inet.h>

#include "base/mem.h"
#include "config/parse.h"

enum kind { KIND_U32, KIND_U64, KIND_SIZE, KIND_SECONDS };

struct option {
    const char *section; /* "" for the top level */
    const char *name;
    enum kind kind;
    size_t offset;
    uint64_t min, max;
};

#define OPTION(section, name, kind, field, min, max)                                               \
    {                                                                                              \
        section, name, kind, offsetof(struct weir_config, field), min, max                         \
    }

/* Defaults: config.c. Meanings: docs/configuration.md, which a test holds against this table. */
static const struct option options[] = {
    OPTION("", "workers", KIND_U32, workers, 1, 256),
    OPTION("", "nodes", KIND_U32, nodes, 1, 100000),
    OPTION("", "max_subjects", KIND_U64, max_subjects, 1, UINT64_C(1) << 31),
    OPTION("", "reservation_ttl", KIND_SECONDS, reservation_ttl_s, 1, 86400),
    OPTION("", "reservations_max", KIND_U32, reservations_max, 1, 100000000),
    OPTION("", "store_timeout_ms", KIND_U32, redis.timeout_ms, 1, 60000),
    OPTION("", "store_connect_timeout_ms", KIND_U32, redis.connect_timeout_ms, 1, 60000),
    OPTION("http", "max_head_bytes", KIND_SIZE, head_bytes_max, 1024, 1 << 20),
    OPTION("http", "max_target_bytes", KIND_SIZE, target_bytes_max, 64, 1 << 20),
    OPTION("http", "max_body_bytes", KIND_SIZE, body_bytes_max, 1024, 1 << 30),
    OPTION("http", "max_connections", KIND_U32, connections_max, 1, 10000000),
    OPTION("http", "head_timeout_ms", KIND_U32, head_timeout_ms, 1, 3600000),
    OPTION("http", "body_timeout_ms", KIND_U32, body_timeout_ms, 1, 3600000),
    OPTION("http", "idle_timeout_ms", KIND_U32, idle_timeout_ms, 1, 86400000),
    OPTION("http", "drain_timeout_ms", KIND_U32, drain_timeout_ms, 0, 3600000),
    OPTION("mock", "seed", KIND_U64, mock.seed, 0, UINT64_C(1) << 53),
    OPTION("mock", "first_token_ms", KIND_U32, mock.first_token_ms, 0, 600000),
    OPTION("mock", "tokens_per_s", KIND_U32, mock.tokens_per_s, 0, 1000000),
    OPTION("mock.output_tokens", "mean", KIND_U32, mock.output_mean, 1, 1000000),
    OPTION("mock.output_tokens", "max", KIND_U32, mock.output_max, 1, 1000000),
};

static void set_option(struct weir_config *config, const struct option *o, uint64_t value)
{
    char *field = (char *)config + o->offset;
    uint32_t narrow = (uint32_t)value;
    size_t size = (size_t)value;
    switch (o->kind) {
    case KIND_U32:
    case KIND_SECONDS:
        memcpy(field, &narrow, sizeof(narrow));
        break;
    case KIND_U64:
        memcpy(field, &value, sizeof(value));
        break;
    case KIND_SIZE:
        memcpy(field, &size, sizeof(size));
        break;
    }
}

static enum weir_err option_field(struct parse *p, const char *section, struct weir_str key,
                                  const struct node *value)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        const struct option *o = &options[i];
        if (strcmp(o->section, section) != 0 || !weir_str_eq(key, weir_str_z(o->name))) {
            continue;
        }
        uint64_t number;
        WEIR_TRY(o->kind == KIND_SECONDS ? weir_parse_seconds(p, value, o->min, o->max, &number)
                                         : weir_parse_number(p, value, o->min, o->max, &number));
        set_option(p->config, o, number);
        return WEIR_OK;
    }
    return weir_parse_fail(p, value, "%s: unknown field%s%s", value->name,
                           section[0] == '\0' ? "" : " of ", section);
}

/* ---- texts with a form of their own, from the file or from a flag ---- */

static bool parse_listen(struct weir_str text, struct weir_listen *ret_listen)
{
    const char *colon = memrchr(text.p, ':', text.len);
    uint64_t port;
    if (colon == NULL) {
        return false;
    }
    struct weir_str host = weir_str(text.p, (size_t)(colon - text.p));
    struct weir_str port_text = weir_str(colon + 1, text.len - host.len - 1);
    if (host.len >= 2 && host.p[0] == '[' && host.p[host.len - 1] == ']') {
        host = weir_str(host.p + 1, host.len - 2);
    }
    struct weir_listen listen = {0};
    unsigned char ignored[16];
    if (host.len >= sizeof(listen.host) || weir_str_u64(port_text, UINT16_MAX, &port) != WEIR_OK) {
        return false;
    }
    memcpy(listen.host, host.p, host.len);
    listen.port = (uint16_t)port;
    if (inet_pton(AF_INET, listen.host, ignored) != 1 &&
        inet_pton(AF_INET6, listen.host, ignored) != 1) {
        return false;
    }
    *ret_listen = listen;
    return true;
}

static bool copy_decoded(struct weir_str s, char *to, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        if (c == '%') {
            char hex[3] = {0};
            char *end;
            if (i + 2 >= s.len) {
                return false;
            }
            memcpy(hex, s.p + i + 1, 2);
            c = (char)strtoul(hex, &end, 16);
            if (end != hex + 2 || c == '\0') {
                return false;
            }
            i += 2;
        }
        if (n + 1 >= room) {
            return false;
        }
        to[n++] = c;
    }
    to[n] = '\0';
    return true;
}

/* [user[:password]@]host[:port][/db] */
static bool parse_redis_authority(struct weir_str s, struct weir_redis_target *t)
{
    const char *at = memrchr(s.p, '@', s.len);
    if (at != NULL) {
        struct weir_str user = weir_str(s.p, (size_t)(at - s.p));
        const char *colon = memchr(user.p, ':', user.len);
        if (colon != NULL) {
            struct weir_str password = weir_str(colon + 1, user.len - (size_t)(colon + 1 - user.p));
            user.len = (size_t)(colon - user.p);
            if (!copy_decoded(password, t->password, sizeof(t->password))) {
                return false;
            }
        }
        if (!copy_decoded(user, t->user, sizeof(t->user))) {
            return false;
        }
        s = weir_str(at + 1, s.len - (size_t)(at + 1 - s.p));
    }
    uint64_t number;
    const char *slash = memchr(s.p, '/', s.len);
    if (slash != NULL) {
        struct weir_str db = weir_str(slash + 1, s.len - (size_t)(slash + 1 - s.p));
        if (db.len > 0 && weir_str_u64(db, 1000000, &number) != WEIR_OK) {
            return false;
        }
        t->db = db.len > 0 ? (uint32_t)number : 0;
        s.len = (size_t)(slash - s.p);
    }
    const char *colon = memrchr(s.p, ':', s.len);
    if (colon != NULL && memchr(colon, ']', s.len - (size_t)(colon - s.p)) == NULL) {
        struct weir_str port = weir_str(colon + 1, s.len - (size_t)(colon + 1 - s.p));
        if (weir_str_u64(port, UINT16_MAX, &number) != WEIR_OK || number == 0) {
            return false;
        }
        t->port = (uint16_t)number;
        s.len = (size_t)(colon - s.p);
    }
    if (s.len > 2 && s.p[0] == '[' && s.p[s.len - 1] == ']') {
        s = weir_str(s.p + 1, s.len - 2);
    }
    return s.len > 0 && copy_decoded(s, t->host, sizeof(t->host));
}

/* /path[?db=N] */
static bool parse_redis_path(struct weir_str s, struct weir_redis_target *t)
{
    const char *question = memchr(s.p, '?', s.len);
    if (question != NULL) {
        struct weir_str query = weir_str(question + 1, s.len - (size_t)(question + 1 - s.p));
        uint64_t db;
        if (!weir_str_starts(query, WEIR_STR("db=")) ||
            weir_str_u64(weir_str(query.p + 3, query.len - 3), 1000000, &db) != WEIR_OK) {
            return false;
        }
        t->db = (uint32_t)db;
        s.len = (size_t)(question - s.p);
    }
    return s.len > 1 && s.p[0] == '/' && copy_decoded(s, t->unix_path, sizeof(t->unix_path));
}

static bool parse_store(struct weir_str text, struct weir_config *config)
{
    struct weir_redis_target t = {
        .port = 6379,
        .timeout_ms = config->redis.timeout_ms,
        .connect_timeout_ms = config->redis.connect_timeout_ms,
    };
    bool ok = false;
    if (weir_str_eq(text, WEIR_STR("embedded"))) {
        config->store = WEIR_STORE_EMBEDDED;
        return true;
    }
    if (weir_str_starts(text, WEIR_STR("redis://"))) {
        ok = parse_redis_authority(weir_str(text.p + 8, text.len - 8), &t);
    } else if (weir_str_starts(text, WEIR_STR("redis+unix://"))) {
        ok = parse_redis_path(weir_str(text.p + 13, text.len - 13), &t);
    }
    if (ok) {
        config->store = WEIR_STORE_REDIS;
        config->redis = t;
    }
    return ok;
}

static bool parse_failure_policy(struct weir_str text, enum weir_on_store_failure *ret_policy)
{
    static const struct weir_str names[] = {{"local", 5}, {"closed", 6}, {"open", 4}};
    for (unsigned i = 0; i < 3; i++) {
        if (weir_str_eq(text, names[i])) {
            *ret_policy = (enum weir_on_store_failure)i;
            return true;
        }
    }
    return false;
}

/* No message repeats the text: a store's address may hold a password. */
enum weir_err weir_parse_text_field(struct parse *p, const char *name, struct weir_str text)
{
    struct weir_config *config = p->config;
    uint64_t number;
    const struct node nowhere = {.name = name};
    if (strcmp(name, "listen") == 0) {
        return parse_listen(text, &config->listen)
                   ? WEIR_OK
                   : weir_parse_fail(p, &nowhere,
                                     "listen: expected ADDRESS:PORT with a numeric "
                                     "address, as 127.0.0.1:8000 or [::1]:8000");
    }
    if (strcmp(name, "store") == 0) {
        return parse_store(text, config)
                   ? WEIR_OK
                   : weir_parse_fail(p, &nowhere,
                                     "store: expected embedded, redis://[user:password@]host[:port]"
                                     "[/db] or redis+unix:///path");
    }
    if (strcmp(name, "on_store_failure") == 0) {
        return parse_failure_policy(text, &config->on_store_failure)
                   ? WEIR_OK
                   : weir_parse_fail(p, &nowhere,
                                     "on_store_failure: expected local, closed or open");
    }
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        const struct option *o = &options[i];
        if (o->section[0] != '\0' || strcmp(o->name, name) != 0) {
            continue;
        }
        if (!weir_parse_amount(text, &number) || number < o->min || number > o->max) {
            return weir_parse_fail(p, &nowhere, "%s: expected a whole number from %llu to %llu",
                                   name, (unsigned long long)o->min, (unsigned long long)o->max);
        }
        set_option(config, o, number);
        return WEIR_OK;
    }
    WEIR_ASSERT(false && "a flag without a field");
    return WEIR_ERR_INVALID;
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

static enum weir_err model_item(struct parse *p, const struct node *n, void *ctx)
{
    struct weir_config *config = p->config;
    struct weir_str name;
    (void)ctx;
    WEIR_TRY(weir_parse_scalar(p, n, "a model's name", &name));
    if (name.len == 0 || name.len >= sizeof(config->model[0])) {
        return weir_parse_fail(p, n, "models: expected names of 1 to 63 characters");
    }
    char(*model)[64] = weir_realloc(config->model, (config->models + 1) * sizeof(*model));
    if (model == NULL) {
        return WEIR_ERR_NOMEM;
    }
    memset(model[config->models], 0, sizeof(*model));
    memcpy(model[config->models], name.p, name.len);
    config->model = model;
    config->models++;
    return WEIR_OK;
}

static enum weir_err service_token(struct parse *p, const struct node *value)
{
    char buf[WEIR_SECRET_MAX + 2];
    struct weir_str token;
    WEIR_TRY(weir_parse_secret(p, value, buf, &token));
    weir_sha256(token, p->config->service_token_sha256);
    p->config->has_service_token = true;
    weir_wipe(buf, sizeof(buf));
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
    if (weir_parse_text_field(p, value->name, text) != WEIR_OK) {
        char why[sizeof(p->error->text)];
        memcpy(why, p->error->text, sizeof(why));
        return weir_parse_fail(p, value, "%s", why); /* now with its place */
    }
    return WEIR_OK;
}

static enum weir_err top_field(struct parse *p, struct weir_str key, const struct node *value,
                               void *ctx)
{
    (void)ctx;
    if (weir_str_eq(key, WEIR_STR("plans"))) {
        return WEIR_OK; /* was read first */
    }
    if (weir_str_eq(key, WEIR_STR("keys"))) {
        return weir_parse_keys(p, value);
    }
    if (weir_str_eq(key, WEIR_STR("listen")) || weir_str_eq(key, WEIR_STR("store")) ||
        weir_str_eq(key, WEIR_STR("on_store_failure"))) {
        return text_field(p, value);
    }
    if (weir_str_eq(key, WEIR_STR("service_token"))) {
        return service_token(p, value);
    }
    if (weir_str_eq(key, WEIR_STR("unknown_keys"))) {
        return unknown_keys(p, value);
    }
    if (weir_str_eq(key, WEIR_STR("models"))) {
        return weir_parse_list(p, value, model_item, NULL);
    }
    if (weir_str_eq(key, WEIR_STR("http"))) {
        return weir_parse_mapping(p, value, http_field, NULL);
    }
    if (weir_str_eq(key, WEIR_STR("mock"))) {
        return weir_parse_mapping(p, value, mock_field, NULL);
    }
    return option_field(p, "", key, value);
}

/* Keys name plans, wherever in the file those stand. */
static enum weir_err plans_first(struct parse *p, struct weir_str key, const struct node *value,
                                 void *ctx)
{
    (void)ctx;
    return weir_str_eq(key, WEIR_STR("plans")) ? weir_parse_plans(p, value) : WEIR_OK;
}

enum weir_err weir_parse_fields(struct parse *p, const struct node *root)
{
    WEIR_TRY(weir_parse_mapping(p, root, plans_first, NULL));
    return weir_parse_mapping(p, root, top_field, NULL);
}
