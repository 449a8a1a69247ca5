/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <errno.h>
#include <sched.h>

#include "base/buf.h"
#include "base/mem.h"
#include "config/parse.h"

static uint32_t cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : n > WEIR_CONFIG_WORKERS_MAX ? WEIR_CONFIG_WORKERS_MAX : (uint32_t)n;
}

static struct weir_config defaults(void)
{
    return (struct weir_config){
        .listen = {.host = "127.0.0.1", .port = 8000},
        .admin_listen = {.host = "127.0.0.1", .port = 9090},
        .workers = cores(),
        .store = WEIR_STORE_EMBEDDED,
        .redis = {.port = WEIR_REDIS_PORT, .timeout_ms = 50, .connect_timeout_ms = 250},
        .on_store_failure = WEIR_FAIL_LOCAL,
        .nodes = 1,
        .max_subjects = 1000000,
        .reservation_ttl_s = 600,
        .reservations_max = 1000000,
        .histories_max = 65536,
        .head_bytes_max = 32768,
        .target_bytes_max = 8192,
        .body_bytes_max = 4 << 20,
        .connections_max = 10000,
        .head_timeout_ms = 10000,
        .body_timeout_ms = 30000,
        .idle_timeout_ms = 75000,
        .drain_timeout_ms = 10000,
        .mock = {.output_mean = 150, .output_max = 512},
    };
}

static enum weir_err lay_flags(struct parse *p, const struct weir_config_flags *flags)
{
    const struct {
        const char *flag, *field, *text;
    } given[] = {
        {"--listen", "listen", flags->listen},
        {"--workers", "workers", flags->workers},
        {"--store", "store", flags->store},
        {"--on-store-failure", "on_store_failure", flags->on_store_failure},
        {"--nodes", "nodes", flags->nodes},
        {"--access-log", "access_log", flags->access_log},
        {"--admin-listen", "admin_listen", flags->admin_listen},
    };
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        if (given[i].text == NULL) {
            continue;
        }
        enum weir_err err = weir_parse_flag(p, given[i].flag, given[i].field, given[i].text);
        if (err == WEIR_OK && given[i].text == flags->admin_listen) {
            const struct node n = {.name = given[i].flag};
            err = weir_admin_check(p, &n);
        }
        if (err != WEIR_OK) {
            p->error->in_flag = true;
            return err;
        }
    }
    return WEIR_OK;
}

static enum weir_err parse_yaml(struct parse *p, struct weir_str text)
{
    struct weir_yaml yaml;
    enum weir_err err = weir_yaml_build(p, text, &yaml);
    bool empty =
        yaml.nodes == 0 || (yaml.node[0].kind == WEIR_YAML_SCALAR && yaml.node[0].len == 0);
    if (err == WEIR_OK && !empty) {
        const struct node root = {.at = &yaml.node[0], .name = "the file"};
        err = weir_parse_fields(p, &root);
    }
    weir_yaml_deinit(&yaml);
    return err;
}

static enum weir_err count_subject(void *ctx, const struct weir_subject *subject)
{
    size_t *count = ctx;
    (void)subject;
    (*count)++;
    return WEIR_OK;
}

/* All configured subjects have their places from the start. */
enum weir_err weir_config_check_subjects(struct parse *p)
{
    size_t subjects = 0;
    WEIR_TRY(weir_config_each_subject(p->config, count_subject, &subjects));
    if (subjects > p->config->max_subjects) {
        return weir_parse_fail(p, NULL,
                               "max_subjects: expected at least the number of keys, teams, orgs "
                               "and models with a plan, %zu",
                               subjects);
    }
    return WEIR_OK;
}

static enum weir_err finish(struct parse *p)
{
    struct weir_config *config = p->config;
    WEIR_TRY(weir_config_check_subjects(p));
    WEIR_TRY(weir_store_tls_finish(p));
    for (size_t i = 0; config->store == WEIR_STORE_REDIS && i < config->plans; i++) {
        weir_plan_lease(&config->plan[i]); /* in both modes: nodes of both may share a Redis */
    }
    if (config->plans > 0) {
        weir_plan_set_finish(config->_plans, config->plans, config->nodes);
    }
    return config->model == NULL ? weir_models_default(config) : WEIR_OK;
}

/* NULL: no memory. */
struct weir_config *weir_config_new(void)
{
    struct weir_config *config = weir_zalloc(sizeof(*config));
    if (config == NULL) {
        return NULL;
    }
    *config = defaults();
    config->_index = weir_zalloc(sizeof(*config->_index));
    if (config->_index == NULL) {
        weir_free(config);
        return NULL;
    }
    atomic_init(&config->_index->keepers, 1);
    return config;
}

enum weir_err weir_config_parse(struct weir_str yaml, const struct weir_config_flags *flags,
                                struct weir_config **ret_config,
                                struct weir_config_error *ret_error)
{
    *ret_error = (struct weir_config_error){0};
    struct weir_config *config = weir_config_new();
    enum weir_err err = WEIR_ERR_NOMEM;
    if (config != NULL) {
        struct parse p = {.config = config, .error = ret_error};
        if (yaml.len > WEIR_CONFIG_BYTES_MAX) {
            err = weir_parse_fail(&p, NULL, "expected at most %d bytes", WEIR_CONFIG_BYTES_MAX);
        } else {
            err = parse_yaml(&p, yaml);
        }
        err = err == WEIR_OK && flags != NULL ? lay_flags(&p, flags) : err;
        err = err == WEIR_OK ? finish(&p) : err;
    }
    if (err == WEIR_OK) {
        *ret_config = config;
        return WEIR_OK;
    }
    if (err == WEIR_ERR_NOMEM) {
        snprintf(ret_error->text, sizeof(ret_error->text), "out of memory");
    }
    weir_config_free(config);
    return err;
}

/* The bytes of the file, one more than the maximum at most. */
static enum weir_err read_all(FILE *f, struct weir_buf *b)
{
    enum { CHUNK = 65536 };
    size_t got = 1;
    while (got > 0 && b->len <= WEIR_CONFIG_BYTES_MAX) {
        if (!weir_buf_reserve(b, CHUNK)) {
            return WEIR_ERR_NOMEM;
        }
        got = fread(b->data + b->len, 1, CHUNK, f);
        b->len += got;
    }
    return ferror(f) ? WEIR_ERR_IO : WEIR_OK;
}

enum weir_err weir_config_load(const char *path, const struct weir_config_flags *flags,
                               struct weir_config **ret_config, struct weir_config_error *ret_error)
{
    struct weir_buf b;
    weir_buf_init(&b, WEIR_CONFIG_BYTES_MAX + 2 * 65536);
    *ret_error = (struct weir_config_error){0};
    enum weir_err err = WEIR_OK;
    if (path != NULL) {
        FILE *f = fopen(path, "re");
        err = f == NULL ? WEIR_ERR_IO : read_all(f, &b);
        snprintf(ret_error->text, sizeof(ret_error->text), "cannot be read: %s",
                 strerror(err == WEIR_ERR_NOMEM ? ENOMEM : errno));
        if (f != NULL) {
            fclose(f);
        }
    }
    if (err == WEIR_OK) {
        err = weir_config_parse(weir_buf_view(&b), flags, ret_config, ret_error);
    }
    if (b.data != NULL) {
        weir_wipe(b.data, b.len);
    }
    weir_buf_deinit(&b);
    return err;
}

void weir_config_error_say(const struct weir_config_error *e, const char *path, char *ret_text,
                           size_t room)
{
    if (path == NULL || e->in_flag) {
        snprintf(ret_text, room, "%s", e->text);
    } else if (e->line == 0) {
        snprintf(ret_text, room, "%s: %s", path, e->text);
    } else {
        snprintf(ret_text, room, "%s:%u:%u: %s", path, e->line, e->column, e->text);
    }
}

struct weir_config *weir_config_keep(struct weir_config *config)
{
    atomic_fetch_add_explicit(&config->_index->keepers, 1, memory_order_relaxed);
    return config;
}

void weir_config_free(struct weir_config *config)
{
    if (config == NULL ||
        atomic_fetch_sub_explicit(&config->_index->keepers, 1, memory_order_acq_rel) > 1) {
        return;
    }
    weir_index_deinit(&config->_index->secret);
    weir_index_deinit(&config->_index->key);
    weir_index_deinit(&config->_index->org);
    weir_index_deinit(&config->_index->team);
    weir_index_deinit(&config->_index->model);
    weir_index_deinit(&config->_index->plan);
    weir_free(config->_index);
    weir_plan_set_let_go(config->_plans);
    weir_free(config->org);
    weir_free(config->team);
    weir_free(config->key);
    weir_free(config->model);
    weir_upstream_configs_free(config->upstream, config->upstreams);
    weir_wipe(config, sizeof(*config));
    weir_free(config);
}
