/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <errno.h>
#include <sched.h>

#include "base/mem.h"
#include "config/parse.h"

static uint32_t cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? (uint32_t)n : 1;
}

static struct weir_config defaults(void)
{
    return (struct weir_config){
        .listen = {.host = "127.0.0.1", .port = 8000},
        .workers = cores(),
        .store = WEIR_STORE_EMBEDDED,
        .redis = {.port = 6379, .timeout_ms = 50, .connect_timeout_ms = 250},
        .on_store_failure = WEIR_FAIL_LOCAL,
        .nodes = 1,
        .max_subjects = 1000000,
        .reservation_ttl_s = 600,
        .reservations_max = 1000000,
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
        const char *name, *text;
    } given[] = {
        {"listen", flags->listen}, {"workers", flags->workers},
        {"store", flags->store},   {"on_store_failure", flags->on_store_failure},
        {"nodes", flags->nodes},
    };
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        if (given[i].text != NULL) {
            WEIR_TRY(weir_parse_text_field(p, given[i].name, weir_str_z(given[i].text)));
        }
    }
    return WEIR_OK;
}

/* libfyaml's own complaint. */
static enum weir_err yaml_error(struct parse *p, struct fy_diag *diag)
{
    void *at = NULL;
    const struct fy_diag_error *e = fy_diag_errors_iterate(diag, &at);
    *p->error = (struct weir_config_error){0};
    if (e != NULL && e->line >= 0) {
        p->error->line = (unsigned)e->line;
        p->error->column = (unsigned)e->column;
    }
    snprintf(p->error->text, sizeof(p->error->text), "not valid YAML: %s",
             e == NULL ? "expected one YAML document" : e->msg);
    return WEIR_ERR_INVALID;
}

static enum weir_err parse_yaml(struct parse *p, struct weir_str yaml)
{
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    struct fy_diag *diag = fy_diag_create(&diag_cfg);
    if (diag == NULL) {
        return WEIR_ERR_NOMEM;
    }
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg cfg = {.flags = FYPCF_DEFAULT_DOC | FYPCF_JSON_NONE | FYPCF_COLLECT_DIAG,
                               .diag = diag};
    struct fy_document *doc = fy_document_build_from_string(&cfg, yaml.p, yaml.len);
    enum weir_err err = WEIR_OK;
    if (doc == NULL) {
        err = yaml_error(p, diag);
    } else {
        struct node root = {.fy = fy_document_root(doc), .name = "the file"};
        if (root.fy != NULL && !fy_node_is_null(root.fy)) {
            err = weir_parse_fields(p, &root);
        }
    }
    fy_document_destroy(doc);
    fy_diag_destroy(diag);
    return err;
}

static bool only_space(struct weir_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] != ' ' && s.p[i] != '\n' && s.p[i] != '\r' && s.p[i] != '\t') {
            return false;
        }
    }
    return true;
}

static enum weir_err finish(struct parse *p)
{
    struct weir_config *config = p->config;
    if (config->keys > config->max_subjects) {
        return weir_parse_fail(p, NULL, "max_subjects: expected at least the number of keys, %zu",
                               config->keys);
    }
    if (config->models == 0) {
        config->model = weir_zalloc(sizeof(*config->model));
        if (config->model == NULL) {
            return WEIR_ERR_NOMEM;
        }
        memcpy(config->model[0], "weir-mock", sizeof("weir-mock"));
        config->models = 1;
    }
    return weir_config_index_build(config);
}

enum weir_err weir_config_parse(struct weir_str yaml, const struct weir_config_flags *flags,
                                struct weir_config **ret_config,
                                struct weir_config_error *ret_error)
{
    *ret_error = (struct weir_config_error){0};
    struct weir_config *config = weir_zalloc(sizeof(*config));
    enum weir_err err = WEIR_ERR_NOMEM;
    if (config != NULL) {
        *config = defaults();
        struct parse p = {.config = config, .error = ret_error};
        if (yaml.len > WEIR_CONFIG_BYTES_MAX) {
            err = weir_parse_fail(&p, NULL, "expected at most %d bytes", WEIR_CONFIG_BYTES_MAX);
        } else {
            err = only_space(yaml) ? WEIR_OK : parse_yaml(&p, yaml);
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

static enum weir_err read_all(const char *path, char **ret_text, size_t *ret_len,
                              struct weir_config_error *ret_error)
{
    FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t len = 0, room = 0;
    enum weir_err err = WEIR_OK;
    while (f != NULL && err == WEIR_OK) {
        if (room - len < 4096) {
            room = room == 0 ? 65536 : room * 2;
            char *more = room > 2 * (size_t)WEIR_CONFIG_BYTES_MAX ? NULL : weir_realloc(text, room);
            if (more == NULL) {
                err = WEIR_ERR_LIMIT;
                break;
            }
            text = more;
        }
        size_t got = fread(text + len, 1, room - len, f);
        len += got;
        if (got == 0) {
            break;
        }
    }
    if (f == NULL || ferror(f)) {
        snprintf(ret_error->text, sizeof(ret_error->text), "cannot be read: %s", strerror(errno));
        err = WEIR_ERR_IO;
    } else if (err != WEIR_OK) {
        snprintf(ret_error->text, sizeof(ret_error->text), "is too large");
    }
    if (f != NULL) {
        fclose(f);
    }
    if (err != WEIR_OK) {
        weir_free(text);
        return err;
    }
    *ret_text = text;
    *ret_len = len;
    return WEIR_OK;
}

enum weir_err weir_config_load(const char *path, const struct weir_config_flags *flags,
                               struct weir_config **ret_config, struct weir_config_error *ret_error)
{
    char *text = NULL;
    size_t len = 0;
    *ret_error = (struct weir_config_error){0};
    if (path != NULL) {
        WEIR_TRY(read_all(path, &text, &len, ret_error));
    }
    enum weir_err err = weir_config_parse(weir_str(text, len), flags, ret_config, ret_error);
    if (text != NULL) {
        weir_wipe(text, len);
    }
    weir_free(text);
    return err;
}

void weir_config_free(struct weir_config *config)
{
    if (config == NULL) {
        return;
    }
    weir_config_index_free(config);
    weir_free(config->plan);
    weir_free(config->key);
    weir_free(config->model);
    weir_wipe(config, sizeof(*config));
    weir_free(config);
}
