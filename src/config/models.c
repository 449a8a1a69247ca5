/* SPDX-License-Identifier: Apache-2.0 */
/* models.c - the `models` section, and which of its entries limits a model. */
#include "base/mem.h"
#include "config/parse.h"

/* ---- matching ---- */

/* Behind the UTF-8 character at `at`. */
static size_t past_character(struct weir_str s, size_t at)
{
    do {
        at++;
    } while (at < s.len && ((unsigned char)s.p[at] & 0xc0) == 0x80);
    return at;
}

/* Only the last `*` is tried again: what an earlier one took does not matter any more. */
bool weir_glob_matches(struct weir_str glob, struct weir_str text)
{
    size_t g = 0, t = 0, behind_star = 0, star_end = 0;
    while (t < text.len) {
        if (g < glob.len && glob.p[g] == '*') {
            behind_star = ++g;
            star_end = t;
        } else if (g < glob.len && glob.p[g] == '?') {
            g++;
            t = past_character(text, t);
        } else if (g < glob.len && glob.p[g] == text.p[t]) {
            g++;
            t++;
        } else if (behind_star > 0) {
            g = behind_star;
            t = star_end = past_character(text, star_end);
        } else {
            return false;
        }
    }
    while (g < glob.len && glob.p[g] == '*') {
        g++;
    }
    return g == glob.len;
}

const struct weir_model *weir_model_by_name(const struct weir_config *config, struct weir_str name)
{
    const struct weir_index *index = &config->_index->model;
    uint32_t at = weir_index_first(index, name), number;
    while ((number = weir_index_next(index, &at)) != 0) {
        const struct weir_model *m = &config->model[number - 1];
        if (weir_str_eq(m->text, name)) {
            return m;
        }
    }
    return NULL;
}

static const struct weir_subject *limits_of(const struct weir_model *m)
{
    return m->subject.plan == NULL ? NULL : &m->subject;
}

const struct weir_subject *weir_config_model(const struct weir_config *config,
                                             struct weir_str model)
{
    const struct weir_config_index *index = config->_index;
    if (index->limited == 0) {
        return NULL;
    }
    const struct weir_model *exact = weir_model_by_name(config, model);
    if (exact != NULL && !exact->glob) {
        return limits_of(exact);
    }
    for (size_t i = 0; i < index->globs; i++) {
        if (weir_glob_matches(index->glob[i]->text, model)) {
            return limits_of(index->glob[i]);
        }
    }
    return NULL;
}

/* ---- the section ---- */

static unsigned stars(struct weir_str glob)
{
    unsigned n = 0;
    for (size_t i = 0; i < glob.len; i++) {
        n += glob.p[i] == '*';
    }
    return n;
}

/* Whether a is asked before b: an order that does not depend on that of the file. */
static bool asked_before(struct weir_str a, struct weir_str b)
{
    if (a.len != b.len) {
        return a.len > b.len;
    }
    return stars(a) != stars(b) ? stars(a) < stars(b) : memcmp(a.p, b.p, a.len) < 0;
}

static void add_glob(struct weir_config_index *index, const struct weir_model *m)
{
    size_t at = index->globs++;
    for (; at > 0 && asked_before(m->text, index->glob[at - 1]->text); at--) {
        index->glob[at] = index->glob[at - 1];
    }
    index->glob[at] = m;
}

static void add_model(struct weir_config *config, struct weir_str name, bool glob,
                      const struct weir_plan *plan)
{
    struct weir_model *m = &config->model[config->models++];
    weir_subject_set(&m->subject, m->name, WEIR_SCOPE_MODEL, name, plan);
    m->text = weir_str(m->subject.name.p + m->subject.name.len - name.len, name.len);
    m->glob = glob;
    weir_index_add(&config->_index->model, name, (uint32_t)config->models);
    config->_index->limited += plan != NULL;
    if (glob) {
        add_glob(config->_index, m);
    }
}

static enum weir_err models_init(struct weir_config *config, size_t count)
{
    config->model = weir_zalloc_array(count + 1, sizeof(config->model[0]));
    return config->model == NULL ? WEIR_ERR_NOMEM : weir_index_init(&config->_index->model, count);
}

enum weir_err weir_models_copy(struct weir_config *config, const struct weir_config *from)
{
    WEIR_TRY(models_init(config, from->models));
    for (size_t i = 0; i < from->models; i++) {
        const struct weir_model *m = &from->model[i];
        const struct weir_plan *plan = m->subject.plan;
        add_model(config, m->text, m->glob, plan == NULL ? NULL : &config->plan[plan - from->plan]);
    }
    return WEIR_OK;
}

enum weir_err weir_models_default(struct weir_config *config)
{
    WEIR_TRY(models_init(config, 1));
    add_model(config, WEIR_STR("weir-mock"), false, NULL);
    return WEIR_OK;
}

static enum weir_err model_field(struct parse *p, struct weir_str key, const struct node *value,
                                 void *ctx)
{
    const struct weir_plan **plan = ctx;
    if (weir_str_eq(key, WEIR_STR("plan"))) {
        return weir_parse_plan(p, value, plan);
    }
    return weir_parse_unknown(p, value, "a model; expected plan");
}

static enum weir_err model_entry(struct parse *p, struct weir_str key, const struct node *value,
                                 void *ctx)
{
    struct weir_config *config = p->config;
    const struct node name = {.at = value->key};
    const struct node entry = {.at = value->at, .key = value->key, .name = "a model"};
    const struct weir_plan *plan = NULL;
    bool glob = memchr(key.p, '*', key.len) != NULL || memchr(key.p, '?', key.len) != NULL;
    (void)ctx;
    if (!weir_parse_name_valid(key)) {
        return weir_parse_fail(p, &name, "models: expected names or globs of 1 to %d characters",
                               WEIR_NAME_MAX);
    }
    if (glob && config->_index->globs == WEIR_CONFIG_GLOBS_MAX) {
        return weir_parse_fail(p, &name, "models: at most %d globs", WEIR_CONFIG_GLOBS_MAX);
    }
    WEIR_TRY(weir_parse_mapping(p, &entry, model_field, &plan));
    add_model(config, key, glob, plan);
    return WEIR_OK;
}

enum weir_err weir_parse_models(struct parse *p, const struct node *n)
{
    size_t count = n->at->kind == WEIR_YAML_MAPPING ? n->at->len / 2 : 0;
    if (count > WEIR_CONFIG_MODELS_MAX) {
        return weir_parse_fail(p, n, "models: at most %d", WEIR_CONFIG_MODELS_MAX);
    }
    WEIR_TRY(models_init(p->config, count));
    return weir_parse_mapping(p, n, model_entry, NULL);
}
