/* SPDX-License-Identifier: Apache-2.0 */
#include "config/parse.h"

#include <stdarg.h>

enum { FIELD_NAME_MAX = 32 };

enum weir_err weir_parse_fail(struct parse *p, const struct node *n, const char *fmt, ...)
{
    va_list args;
    struct weir_config_error *e = p->error;
    *e = (struct weir_config_error){0};
    if (n != NULL && n->at != NULL) {
        const struct weir_yaml_node *place = n->at->line == 0 && n->key != NULL ? n->key : n->at;
        e->line = place->line; /* nothing stands where a value is missing */
        e->column = place->column;
    }
    va_start(args, fmt);
    vsnprintf(e->text, sizeof(e->text), fmt, args);
    va_end(args);
    return WEIR_ERR_INVALID;
}

enum weir_err weir_parse_unknown(struct parse *p, const struct node *n, const char *what)
{
    const struct node key = {.at = n->key};
    return weir_parse_fail(p, &key, "%s%sunknown field of %s", n->name,
                           n->name[0] == '\0' ? "" : ": ", what);
}

/* ---- scalars ---- */

enum weir_err weir_parse_bool(struct parse *p, const struct node *n, bool *ret)
{
    struct weir_str text;
    WEIR_TRY(weir_parse_scalar(p, n, "true or false", &text));
    *ret = weir_str_eq(text, WEIR_STR("true"));
    if (!*ret && !weir_str_eq(text, WEIR_STR("false"))) {
        return weir_parse_fail(p, n, "%s: expected true or false", n->name);
    }
    return WEIR_OK;
}

enum weir_err weir_parse_scalar(struct parse *p, const struct node *n, const char *expected,
                                struct weir_str *ret_text)
{
    if (n->at->kind != WEIR_YAML_SCALAR) {
        return weir_parse_fail(p, n, "%s: expected %s", n->name, expected);
    }
    *ret_text = weir_str(n->at->text, n->at->len);
    return WEIR_OK;
}

enum weir_err weir_parse_copy(struct parse *p, const struct node *n, char *to, size_t room)
{
    struct weir_str text;
    WEIR_TRY(weir_parse_scalar(p, n, "a text", &text));
    if (text.len == 0 || text.len >= room || memchr(text.p, '\0', text.len) != NULL) {
        return weir_parse_fail(p, n, "%s: expected 1 to %zu characters", n->name, room - 1);
    }
    memcpy(to, text.p, text.len);
    to[text.len] = '\0';
    return WEIR_OK;
}

bool weir_parse_name_valid(struct weir_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f) {
            return false;
        }
    }
    return name.len > 0 && name.len <= WEIR_NAME_MAX;
}

bool weir_parse_id_valid(struct weir_str id)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@-";
    for (size_t i = 0; i < id.len; i++) {
        if (memchr(allowed, id.p[i], sizeof(allowed) - 1) == NULL) {
            return false;
        }
    }
    return id.len > 0 && id.len <= WEIR_ID_MAX;
}

enum weir_err weir_parse_id(struct parse *p, const struct node *n, struct weir_str *ret_id)
{
    struct weir_str id;
    WEIR_TRY(weir_parse_scalar(p, n, "a text", &id));
    if (!weir_parse_id_valid(id)) {
        return weir_parse_fail(p, n, "id: expected 1 to %d characters of A-Z a-z 0-9 . _ : @ -",
                               WEIR_ID_MAX);
    }
    *ret_id = id;
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

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool weir_parse_hex(struct weir_str hex, size_t bytes, uint8_t *ret_bytes)
{
    if (hex.len != bytes * 2) {
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        int high = hex_digit(hex.p[2 * i]), low = hex_digit(hex.p[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        ret_bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* ---- mappings and lists ---- */

/* The key, if it has the form of a field's name; else nothing. */
static void name_of(struct weir_str key, char ret_name[static FIELD_NAME_MAX + 1])
{
    bool field = key.len <= FIELD_NAME_MAX;
    for (size_t i = 0; field && i < key.len; i++) {
        char c = key.p[i];
        field = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    }
    size_t len = field ? key.len : 0;
    memcpy(ret_name, key.p, len);
    ret_name[len] = '\0';
}

/* Few fields are known and the first unknown one ends it: this is no long search. */
static bool came_before(const struct weir_yaml_node *mapping, const struct weir_yaml_node *key)
{
    const struct weir_yaml_node *other = mapping + 1;
    while (other < key &&
           (other->len != key->len || memcmp(other->text, key->text, key->len) != 0)) {
        other += other->span;
        other += other->span;
    }
    return other < key;
}

enum weir_err weir_parse_mapping(struct parse *p, const struct node *n, weir_field_fn *field,
                                 void *ctx)
{
    if (n->at->kind != WEIR_YAML_MAPPING) {
        return weir_parse_fail(p, n, "%s: expected a mapping", n->name);
    }
    const struct weir_yaml_node *end = n->at + n->at->span, *value;
    for (const struct weir_yaml_node *key = n->at + 1; key < end; key = value + value->span) {
        const struct node key_node = {.at = key, .name = n->name};
        struct weir_str text;
        char name[FIELD_NAME_MAX + 1];
        WEIR_TRY(weir_parse_scalar(p, &key_node, "a field name", &text));
        if (came_before(n->at, key)) {
            return weir_parse_fail(p, &key_node, "%s: the same field twice", n->name);
        }
        name_of(text, name);
        value = key + 1;
        const struct node value_node = {.at = value, .key = key, .name = name};
        WEIR_TRY(field(p, text, &value_node, ctx));
    }
    return WEIR_OK;
}

enum weir_err weir_parse_list(struct parse *p, const struct node *n, weir_item_fn *item, void *ctx)
{
    if (n->at->kind != WEIR_YAML_LIST) {
        return weir_parse_fail(p, n, "%s: expected a list", n->name);
    }
    const struct weir_yaml_node *end = n->at + n->at->span;
    for (const struct weir_yaml_node *at = n->at + 1; at < end; at += at->span) {
        const struct node value = {.at = at, .name = n->name};
        WEIR_TRY(item(p, &value, ctx));
    }
    return WEIR_OK;
}
