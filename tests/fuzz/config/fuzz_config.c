/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes as a configuration file: taken whole, or refused with a text that can be printed and a
 * place that is in the file. Seeds: fuzz_config/. */
#include "base/utf8.h"
#include "config/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* {file: PATH} would read what stands on this machine, or wait for a pipe. And libfyaml 0.7.12
 * leaks up to 4 KB for a text in single quotes with several quotes inside: that is not what is
 * tested. */
static bool passed_over(struct weir_str s)
{
    unsigned quotes = 0;
    for (size_t i = 1; i < s.len; i++) {
        quotes += s.p[i] == '\'' && s.p[i - 1] == '\'';
    }
    return memmem(s.p, s.len, "file", 4) != NULL || quotes > 4;
}

static void check_error(const struct weir_config_error *e, struct weir_str yaml)
{
    size_t len = strnlen(e->text, sizeof(e->text));
    if (len == 0 || len == sizeof(e->text) || !weir_utf8_valid(weir_str(e->text, len))) {
        abort();
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)e->text[i] < ' ' || e->text[i] == 0x7f) {
            abort();
        }
    }
    size_t lines = 2; /* a mistake may be that the text ends, or stand behind its end */
    for (size_t i = 0; i < yaml.len; i++) {
        lines += yaml.p[i] == '\n' || yaml.p[i] == '\r';
    }
    if (e->line > lines || e->column > yaml.len + 2 || e->in_flag) {
        abort();
    }
}

static bool is_plan_of(const struct weir_config *c, const struct weir_plan *plan)
{
    return plan >= c->plan && plan < c->plan + c->plans;
}

static enum weir_err check_subject(void *ctx, const struct weir_subject *s)
{
    const struct weir_config *c = ctx;
    if (weir_config_subject(c, s->name) != s || !is_plan_of(c, s->plan)) {
        abort();
    }
    return WEIR_OK;
}

static void check_key(const struct weir_config *c, const struct weir_key *key)
{
    const struct weir_subject *subject[WEIR_SCOPE_MODEL];
    struct weir_str id = weir_str(key->name + 4, key->subject.name.len - 4);
    unsigned subjects = weir_key_subjects(key, subject);
    if (weir_config_key_by_id(c, id) != key || subjects == 0) {
        abort();
    }
    for (unsigned i = 0; i < subjects; i++) {
        if (weir_config_subject(c, subject[i]->name) != subject[i]) {
            abort();
        }
    }
}

/* A name is limited by itself; a glob matches itself. */
static void check_model(const struct weir_config *c, const struct weir_model *m)
{
    const struct weir_subject *s = weir_config_model(c, m->text);
    if (!m->glob && s != (m->subject.plan == NULL ? NULL : &m->subject)) {
        abort();
    }
    if (m->glob && !weir_glob_matches(m->text, m->text)) {
        abort();
    }
}

static void check_config(struct weir_config *c)
{
    for (size_t i = 0; i < c->keys; i++) {
        check_key(c, &c->key[i]);
    }
    for (size_t i = 0; i < c->models; i++) {
        check_model(c, &c->model[i]);
    }
    if (c->workers < 1 || weir_config_each_subject(c, check_subject, c) != WEIR_OK) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_str yaml = weir_str((const char *)data, size);
    struct weir_config *config = NULL;
    struct weir_config_error error;
    if (size == 0 || passed_over(yaml)) {
        return 0;
    }
    if (weir_config_parse(yaml, NULL, &config, &error) == WEIR_OK) {
        check_config(config);
        weir_config_free(config);
    } else {
        check_error(&error, yaml);
    }
    return 0;
}
