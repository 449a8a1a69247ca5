/* SPDX-License-Identifier: Apache-2.0 */
/* secret.c - a secret in the file, in the environment or in a file of its own. */
#include <errno.h>

#include "base/mem.h"
#include "config/parse.h"

struct source {
    char *buf; /* WEIR_SECRET_MAX + 2 bytes */
    struct weir_str found;
};

/* One trailing newline is cut. */
static enum weir_err read_file(struct parse *p, const struct node *n, const char *path,
                               struct source *s)
{
    FILE *f = fopen(path, "re");
    size_t len = 0;
    bool failed = f == NULL;
    if (f != NULL) {
        setvbuf(f, NULL, _IONBF, 0); /* no copy of the secret is left behind */
        len = fread(s->buf, 1, WEIR_SECRET_MAX + 2, f);
        failed = ferror(f) != 0;
    }
    int why = errno;
    if (f != NULL) {
        fclose(f);
    }
    if (failed) {
        return weir_parse_fail(p, n, "file: cannot be read: %s", strerror(why));
    }
    if (len > 0 && s->buf[len - 1] == '\n') {
        len--;
    }
    s->found = weir_str(s->buf, len);
    return WEIR_OK;
}

/* In capitals, as variables are named: what else stands there may be the secret itself. */
static bool is_variable(struct weir_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.p[i];
        if ((c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_') {
            return false;
        }
    }
    return name.len > 0 && name.len <= 64;
}

static enum weir_err read_env(struct parse *p, const struct node *n, const char *name,
                              struct source *s)
{
    const char *value = getenv(name);
    if (value == NULL) {
        bool told = is_variable(weir_str_z(name));
        return weir_parse_fail(p, n, "env: %s is not set in the environment",
                               told ? name : "this variable");
    }
    s->found = weir_str_z(value);
    return WEIR_OK;
}

static enum weir_err source_field(struct parse *p, struct weir_str key, const struct node *value,
                                  void *ctx)
{
    struct source *s = ctx;
    struct weir_str text;
    char name[WEIR_YAML_SCALAR_MAX + 1];
    bool file = weir_str_eq(key, WEIR_STR("file"));
    if (!file && !weir_str_eq(key, WEIR_STR("env"))) {
        return weir_parse_fail(p, value, "expected {env: NAME} or {file: PATH}");
    }
    WEIR_TRY(weir_parse_scalar(p, value, "a name", &text));
    if (s->found.p != NULL) {
        return weir_parse_fail(p, value, "expected one of {env: NAME} and {file: PATH}");
    }
    memcpy(name, text.p, text.len);
    name[text.len] = '\0';
    return file ? read_file(p, value, name, s) : read_env(p, value, name, s);
}

enum weir_err weir_parse_secret(struct parse *p, const struct node *n,
                                char buf[static WEIR_SECRET_MAX + 2], struct weir_str *ret_secret)
{
    struct source s = {.buf = buf};
    if (n->at->kind == WEIR_YAML_MAPPING) {
        WEIR_TRY(weir_parse_mapping(p, n, source_field, &s));
    } else {
        WEIR_TRY(weir_parse_scalar(p, n, "a text, {env: NAME} or {file: PATH}", &s.found));
    }
    if (s.found.len == 0 || s.found.len > WEIR_SECRET_MAX) {
        return weir_parse_fail(p, n, "%s: expected 1 to %d characters", n->name, WEIR_SECRET_MAX);
    }
    for (size_t i = 0; i < s.found.len; i++) {
        if (s.found.p[i] < '!' || s.found.p[i] > '~') {
            return weir_parse_fail(p, n, "%s: expected printable ASCII without blanks", n->name);
        }
    }
    *ret_secret = s.found;
    return WEIR_OK;
}

enum weir_err weir_parse_token(struct parse *p, const struct node *n, uint8_t ret_sha256[static 32])
{
    char buf[WEIR_SECRET_MAX + 2];
    struct weir_str token;
    enum weir_err err = weir_parse_secret(p, n, buf, &token);
    if (err == WEIR_OK) {
        weir_sha256(token, ret_sha256);
    }
    weir_wipe(buf, sizeof(buf));
    return err;
}
