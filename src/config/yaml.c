/* SPDX-License-Identifier: Apache-2.0 */
#include "config/yaml.h"

#include <libfyaml.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "config/parse.h"

enum { TEXTS_ROOM = 65536, NODES_ROOM = 256 };

/* A block of texts, newest first. */
struct weir_yaml_texts {
    struct weir_yaml_texts *older;
    size_t len;
    char data[TEXTS_ROOM];
};

_Static_assert((int)WEIR_YAML_SCALAR_MAX <= (int)TEXTS_ROOM, "a text fits a block");
_Static_assert((int)WEIR_CONFIG_BYTES_MAX < 1 << 30, "a column fits its bits");

struct build {
    struct parse *p;
    struct weir_yaml *y;
    struct weir_str text;
    unsigned documents;
    unsigned depth;
    uint32_t open[WEIR_YAML_DEPTH_MAX]; /* the mappings and lists that are not closed */
};

/* From 1; 0: not known. */
static void set_place(struct weir_yaml_node *n, size_t line, size_t column)
{
    n->line = (uint32_t)line;
    n->column = (uint32_t)column & ((UINT32_C(1) << 30) - 1);
}

static enum weir_err fail_at(struct parse *p, size_t line, size_t column, const char *why)
{
    struct weir_yaml_node at = {0};
    const struct node n = {.at = &at};
    set_place(&at, line, column);
    return weir_parse_fail(p, &n, "%s", why);
}

static enum weir_err fail_token(struct build *b, struct fy_token *token, const char *why)
{
    const struct fy_mark *mark = token == NULL ? NULL : fy_token_start_mark(token);
    return mark == NULL ? weir_parse_fail(b->p, NULL, "%s", why)
                        : fail_at(b->p, (size_t)mark->line + 1, (size_t)mark->column + 1, why);
}

/* ---- nodes ---- */

/* libfyaml's texts end with their token, but for those that it did not have to change. */
static enum weir_err keep_text(struct build *b, struct weir_str s, const char **ret_text)
{
    uintptr_t from = (uintptr_t)b->text.p, at = (uintptr_t)s.p;
    if (at >= from && at - from <= b->text.len && s.len <= b->text.len - (at - from)) {
        *ret_text = s.p;
        return WEIR_OK;
    }
    struct weir_yaml_texts *t = b->y->_texts;
    if (t == NULL || TEXTS_ROOM - t->len < s.len) {
        t = weir_zalloc(sizeof(*t));
        if (t == NULL) {
            return WEIR_ERR_NOMEM;
        }
        t->older = b->y->_texts;
        b->y->_texts = t;
    }
    memcpy(t->data + t->len, s.p, s.len);
    *ret_text = t->data + t->len;
    t->len += s.len;
    return WEIR_OK;
}

static enum weir_err add_node(struct build *b, struct fy_token *token, struct weir_yaml_node node)
{
    struct weir_yaml *y = b->y;
    if (y->nodes == y->_room) {
        if (y->nodes == WEIR_YAML_NODES_MAX) {
            return fail_token(b, token, "expected fewer fields and items in all");
        }
        size_t room = y->_room == 0 ? NODES_ROOM : y->_room * 2;
        struct weir_yaml_node *more = weir_realloc(y->node, room * sizeof(*more));
        if (more == NULL) {
            return WEIR_ERR_NOMEM;
        }
        y->node = more;
        y->_room = room;
    }
    const struct fy_mark *mark = token == NULL ? NULL : fy_token_start_mark(token);
    node.span = 1;
    if (mark != NULL) {
        set_place(&node, (size_t)mark->line + 1, (size_t)mark->column + 1);
    }
    if (b->depth > 0) {
        y->node[b->open[b->depth - 1]].len++;
    }
    y->node[y->nodes++] = node;
    return WEIR_OK;
}

static enum weir_err add_scalar(struct build *b, struct fy_token *value)
{
    struct weir_yaml_node node = {.kind = WEIR_YAML_SCALAR, .text = ""};
    struct weir_str s = {0};
    s.p = value == NULL ? NULL : fy_token_get_text(value, &s.len);
    if (s.p != NULL && s.len > 0) {
        if (s.len > WEIR_YAML_SCALAR_MAX) {
            return fail_token(b, value, "expected a text of at most 4096 bytes");
        }
        if (memchr(s.p, '\0', s.len) != NULL) {
            return fail_token(b, value, "expected a text without NUL");
        }
        WEIR_TRY(keep_text(b, s, &node.text));
        node.len = (uint32_t)s.len;
    }
    return add_node(b, value, node);
}

static enum weir_err open_node(struct build *b, struct fy_token *start, enum weir_yaml_kind kind)
{
    if (b->depth == WEIR_YAML_DEPTH_MAX) {
        return fail_token(b, start, "expected fewer mappings and lists in each other");
    }
    WEIR_TRY(add_node(b, start, (struct weir_yaml_node){.kind = kind}));
    b->open[b->depth++] = (uint32_t)(b->y->nodes - 1);
    return WEIR_OK;
}

static enum weir_err close_node(struct build *b)
{
    WEIR_ASSERT(b->depth > 0);
    uint32_t i = b->open[--b->depth];
    b->y->node[i].span = (uint32_t)b->y->nodes - i;
    return WEIR_OK;
}

/* ---- events ---- */

static enum weir_err refuse_extras(struct build *b, struct fy_token *anchor, struct fy_token *tag)
{
    struct fy_token *extra = anchor != NULL ? anchor : tag;
    return extra == NULL ? WEIR_OK
                         : fail_token(b, extra,
                                      "expected no anchor (&), alias (*) or tag (!); a text that "
                                      "begins with one of these stands in quotes");
}

static enum weir_err take_event(struct build *b, const struct fy_event *e)
{
    switch (e->type) {
    case FYET_DOCUMENT_START:
        return b->documents++ == 0 ? WEIR_OK
                                   : fail_token(b, e->document_start.document_start,
                                                "expected one YAML document, not a second one");
    case FYET_MAPPING_START:
        WEIR_TRY(refuse_extras(b, e->mapping_start.anchor, e->mapping_start.tag));
        return open_node(b, e->mapping_start.mapping_start, WEIR_YAML_MAPPING);
    case FYET_SEQUENCE_START:
        WEIR_TRY(refuse_extras(b, e->sequence_start.anchor, e->sequence_start.tag));
        return open_node(b, e->sequence_start.sequence_start, WEIR_YAML_LIST);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        return close_node(b);
    case FYET_SCALAR:
        WEIR_TRY(refuse_extras(b, e->scalar.anchor, e->scalar.tag));
        return add_scalar(b, e->scalar.value);
    case FYET_ALIAS:
        return refuse_extras(b, e->alias.anchor, NULL);
    default:
        return WEIR_OK;
    }
}

/* libfyaml's own complaint. Its parser quotes one character of the file at most. */
static enum weir_err complaint(struct build *b, struct fy_diag *diag)
{
    char why[160];
    void *at = NULL;
    const struct fy_diag_error *e = fy_diag_errors_iterate(diag, &at);
    if (e == NULL) {
        return weir_parse_fail(b->p, NULL, "not valid YAML");
    }
    snprintf(why, sizeof(why), "not valid YAML: %s", e->msg);
    for (char *c = why; *c != '\0'; c++) {
        *c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c;
    }
    return fail_at(b->p, e->line < 0 ? 0 : (size_t)e->line, (size_t)e->column, why);
}

static enum weir_err parse_events(struct build *b, struct fy_parser *parser, struct fy_diag *diag)
{
    enum weir_err err = WEIR_OK;
    struct fy_event *event;
    while (err == WEIR_OK && (event = fy_parser_parse(parser)) != NULL) {
        err = take_event(b, event);
        fy_parser_event_free(parser, event);
    }
    if (err == WEIR_OK && fy_parser_get_stream_error(parser)) {
        err = complaint(b, diag);
    }
    return err;
}

/* libfyaml would take a NUL for the end, and texts of ours are UTF-8 wherever they go. */
static enum weir_err check_bytes(struct parse *p, struct weir_str rest)
{
    for (size_t line = 1; rest.len > 0; line++) {
        const char *end = memchr(rest.p, '\n', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.p) + 1;
        if (memchr(rest.p, '\0', len) != NULL || !weir_utf8_valid(weir_str(rest.p, len))) {
            return fail_at(p, line, 1, "expected UTF-8 text without NUL");
        }
        rest = weir_str(rest.p + len, rest.len - len);
    }
    return WEIR_OK;
}

/* Perhaps: a question mark and no more of a word. */
static bool explicit_key(struct weir_str text)
{
    const char *end = text.p + text.len;
    for (const char *at = text.p; (at = memchr(at, '?', (size_t)(end - at))) != NULL;) {
        if (++at == end || (unsigned char)*at <= ' ' || (unsigned char)*at > '~') {
            return true;
        }
    }
    return false;
}

/* The tab behind a colon, as a position in the text; its length: none. */
static size_t tab_after_colon(struct weir_str text)
{
    const char *end = text.p + text.len;
    for (const char *at = text.p; (at = memchr(at, ':', (size_t)(end - at))) != NULL;) {
        for (at++; at < end && *at == ' '; at++) {
        }
        if (at < end && *at == '\t') {
            return (size_t)(at - text.p);
        }
    }
    return text.len;
}

/* libfyaml 0.7.12 frees a key twice when a tab stands where it wants none, behind the colon of a
 * key inside an explicit one ("? a:\t? b", its issue 57). */
static enum weir_err check_tabs(struct parse *p, struct weir_str text)
{
    size_t tab = explicit_key(text) ? tab_after_colon(text) : text.len;
    if (tab == text.len) {
        return WEIR_OK;
    }
    size_t line = 1, column = 1;
    for (size_t i = 0; i < tab; i++) {
        column = text.p[i] == '\n' ? 1 : column + 1;
        line += text.p[i] == '\n';
    }
    return fail_at(p, line, column, "expected no tab behind a colon in a file with a key behind ?");
}

enum weir_err weir_yaml_build(struct parse *p, struct weir_str text, struct weir_yaml *y)
{
    *y = (struct weir_yaml){0};
    if (text.len == 0) {
        return WEIR_OK;
    }
    WEIR_TRY(check_bytes(p, text));
    WEIR_TRY(check_tabs(p, text));
    struct build b = {.p = p, .y = y, .text = text};
    enum weir_err err = WEIR_ERR_NOMEM;
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    struct fy_diag *diag = fy_diag_create(&diag_cfg);
    const struct fy_parse_cfg cfg = {.flags = FYPCF_JSON_NONE | FYPCF_COLLECT_DIAG, .diag = diag};
    struct fy_parser *parser = diag == NULL ? NULL : fy_parser_create(&cfg);
    if (parser != NULL && fy_parser_set_string(parser, text.p, text.len) == 0) {
        fy_diag_set_collect_errors(diag, true);
        err = parse_events(&b, parser, diag);
    }
    fy_parser_destroy(parser);
    fy_diag_destroy(diag);
    return err;
}

void weir_yaml_deinit(struct weir_yaml *y)
{
    for (struct weir_yaml_texts *t = y->_texts, *older; t != NULL; t = older) {
        older = t->older;
        weir_wipe(t->data, t->len);
        weir_free(t);
    }
    weir_free(y->node);
    *y = (struct weir_yaml){0};
}
