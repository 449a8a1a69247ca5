/* SPDX-License-Identifier: Apache-2.0 */
#include "config/parse.h"

#include <stdarg.h>

enum { LIST_MAX = WEIR_CONFIG_KEYS_MAX };

enum weir_err weir_parse_fail(struct parse *p, const struct node *n, const char *fmt, ...)
{
    va_list args;
    struct weir_config_error *e = p->error;
    *e = (struct weir_config_error){0};
    if (n != NULL && n->where != NULL) {
        struct fy_token *token = fy_node_get_scalar_token(n->where);
        const struct fy_mark *mark = token == NULL ? NULL : fy_token_start_mark(token);
        if (mark != NULL) {
            e->line = (unsigned)mark->line + 1;
            e->column = (unsigned)mark->column + 1;
        }
    }
    va_start(args, fmt);
    vsnprintf(e->text, sizeof(e->text), fmt, args);
    va_end(args);
    return WEIR_ERR_INVALID;
}

static struct node node_at(struct fy_node *fy, const struct node *from, const char *name)
{
    struct node n = {.fy = fy, .where = from->where, .name = name};
    if (fy != NULL && fy_node_is_scalar(fy) && fy_node_get_scalar_token(fy) != NULL) {
        n.where = fy;
    }
    return n;
}

enum weir_err weir_parse_scalar(struct parse *p, const struct node *n, const char *expected,
                                struct weir_str *ret_text)
{
    size_t len = 0;
    const char *text = NULL;
    if (n->fy != NULL && fy_node_is_scalar(n->fy) && !fy_node_is_alias(n->fy)) {
        text = fy_node_get_scalar(n->fy, &len);
    }
    if (text == NULL) {
        return weir_parse_fail(p, n, "%s: expected %s", n->name, expected);
    }
    *ret_text = weir_str(text, len);
    return WEIR_OK;
}

enum weir_err weir_parse_number(struct parse *p, const struct node *n, uint64_t min, uint64_t max,
                                uint64_t *ret_value)
{
    struct weir_str text;
    uint64_t value;
    WEIR_TRY(weir_parse_scalar(p, n, "a number", &text));
    if (!weir_parse_amount(text, &value) || value < min || value > max) {
        return weir_parse_fail(p, n, "%s: expected a whole number from %llu to %llu", n->name,
                               (unsigned long long)min, (unsigned long long)max);
    }
    *ret_value = value;
    return WEIR_OK;
}

enum weir_err weir_parse_seconds(struct parse *p, const struct node *n, uint64_t min, uint64_t max,
                                 uint64_t *ret_seconds)
{
    struct weir_str text;
    uint64_t value;
    WEIR_TRY(weir_parse_scalar(p, n, "a duration such as 30s, 10min, 1h or 1day", &text));
    if (!weir_parse_duration_s(text, &value) || value < min || value > max) {
        return weir_parse_fail(p, n,
                               "%s: expected a duration such as 30s or 10min, from %llus to %llus",
                               n->name, (unsigned long long)min, (unsigned long long)max);
    }
    *ret_seconds = value;
    return WEIR_OK;
}

/* ---- mappings and lists ---- */

enum weir_err weir_parse_mapping(struct parse *p, const struct node *n, weir_field_fn *field,
                                 void *ctx)
{
    if (n->fy == NULL || !fy_node_is_mapping(n->fy)) {
        return weir_parse_fail(p, n, "%s: expected a mapping", n->name);
    }
    void *at = NULL;
    struct fy_node_pair *pair;
    while ((pair = fy_node_mapping_iterate(n->fy, &at)) != NULL) {
        struct node key_node = node_at(fy_node_pair_key(pair), n, n->name);
        struct weir_str key;
        WEIR_TRY(weir_parse_scalar(p, &key_node, "a field name", &key));
        if (key.len > WEIR_KEY_ID_MAX) {
            return weir_parse_fail(p, &key_node, "%s: a field name is too long", n->name);
        }
        char name[WEIR_KEY_ID_MAX + 1];
        memcpy(name, key.p, key.len);
        name[key.len] = '\0';
        struct node value = node_at(fy_node_pair_value(pair), &key_node, name);
        WEIR_TRY(field(p, key, &value, ctx));
    }
    return WEIR_OK;
}

enum weir_err weir_parse_list(struct parse *p, const struct node *n, weir_item_fn *item, void *ctx)
{
    if (n->fy == NULL || !fy_node_is_sequence(n->fy)) {
        return weir_parse_fail(p, n, "%s: expected a list", n->name);
    }
    void *at = NULL;
    struct fy_node *fy;
    for (unsigned i = 0; (fy = fy_node_sequence_iterate(n->fy, &at)) != NULL; i++) {
        struct node value = node_at(fy, n, n->name);
        if (fy_node_is_mapping(fy)) { /* its first key has the position */
            void *first = NULL;
            struct fy_node_pair *pair = fy_node_mapping_iterate(fy, &first);
            value.where = pair == NULL ? n->where : fy_node_pair_key(pair);
        }
        if (i == LIST_MAX) {
            return weir_parse_fail(p, &value, "%s: at most %u items", n->name, LIST_MAX);
        }
        WEIR_TRY(item(p, &value, ctx));
    }
    return WEIR_OK;
}

/* ---- secrets ---- */

struct secret_source {
    char *buf;
    struct weir_str found;
};

/* One trailing newline is cut. */
static enum weir_err read_file(struct parse *p, const struct node *n, const char *path,
                               struct secret_source *s)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return weir_parse_fail(p, n, "file: cannot read %s", path);
    }
    size_t len = fread(s->buf, 1, WEIR_SECRET_MAX + 2, f);
    fclose(f);
    if (len > 0 && s->buf[len - 1] == '\n') {
        len--;
    }
    s->found = weir_str(s->buf, len);
    return WEIR_OK;
}

static enum weir_err secret_field(struct parse *p, struct weir_str key, const struct node *value,
                                  void *ctx)
{
    struct secret_source *s = ctx;
    struct weir_str text;
    char name[4096];
    WEIR_TRY(weir_parse_scalar(p, value, "a name", &text));
    if (text.len >= sizeof(name) || s->found.p != NULL) {
        return weir_parse_fail(p, value, "expected one of {env: NAME} or {file: PATH}");
    }
    memcpy(name, text.p, text.len);
    name[text.len] = '\0';
    if (weir_str_eq(key, WEIR_STR("file"))) {
        return read_file(p, value, name, s);
    }
    if (!weir_str_eq(key, WEIR_STR("env"))) {
        return weir_parse_fail(p, value, "expected env or file");
    }
    const char *env = getenv(name);
    if (env == NULL) {
        return weir_parse_fail(p, value, "env: %s is not set in the environment", name);
    }
    s->found = weir_str_z(env);
    return WEIR_OK;
}

enum weir_err weir_parse_secret(struct parse *p, const struct node *n,
                                char buf[static WEIR_SECRET_MAX + 2], struct weir_str *ret_secret)
{
    struct secret_source s = {.buf = buf};
    if (n->fy != NULL && fy_node_is_mapping(n->fy)) {
        WEIR_TRY(weir_parse_mapping(p, n, secret_field, &s));
    } else {
        WEIR_TRY(weir_parse_scalar(p, n, "a text, {env: NAME} or {file: PATH}", &s.found));
    }
    if (s.found.len == 0 || s.found.len > WEIR_SECRET_MAX) {
        return weir_parse_fail(p, n, "%s: expected 1 to %d characters", n->name, WEIR_SECRET_MAX);
    }
    for (size_t i = 0; i < s.found.len; i++) {
        if (s.found.p[i] <= ' ' || s.found.p[i] == 0x7f) {
            return weir_parse_fail(p, n, "%s: expected no blanks or control characters", n->name);
        }
    }
    *ret_secret = s.found;
    return WEIR_OK;
}
