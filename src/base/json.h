/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - JSON texts (RFC 8259) read where they stand, into a flat list of nodes: no tree of
 * pointers, no recursion, one allocation that is used again. Strict: UTF-8, no byte behind the
 * value, at most WEIR_JSON_DEPTH_MAX lists and objects within each other. Bounded; one owner. */
#ifndef WEIR_BASE_JSON_H
#define WEIR_BASE_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    WEIR_JSON_DEPTH_MAX = 128,
    WEIR_JSON_NODES_MAX = 4 << 20, /* of 16 bytes */
};

enum weir_json_kind {
    WEIR_JSON_NULL,
    WEIR_JSON_FALSE,
    WEIR_JSON_TRUE,
    WEIR_JSON_NUMBER,
    WEIR_JSON_STRING,
    WEIR_JSON_ARRAY,
    WEIR_JSON_OBJECT,
};

/* A value, followed by the nodes of what it holds; a member of an object is its name, a string,
 * followed by its value. */
struct weir_json_node {
    uint32_t at, len; /* its bytes in the text; a string's without the quotes */
    uint32_t past;    /* the node behind it and all that it holds */
    uint8_t kind;     /* enum weir_json_kind */
    uint8_t escaped;  /* a string with escapes: its bytes are not yet its text */
};

struct weir_json {
    struct weir_str text; /* borrowed: as long as values are asked for */
    struct weir_json_node *node;
    uint32_t nodes, room;
};

void weir_json_init(struct weir_json *j);
void weir_json_deinit(struct weir_json *j);

/* Reads the whole text; the value is node 0. WEIR_ERR_INVALID: not JSON; WEIR_ERR_LIMIT: too deep
 * or too many values; WEIR_ERR_NOMEM. On failure no node is there. */
WEIR_MUSTCHECK enum weir_err weir_json_parse(struct weir_json *j, struct weir_str text);

static inline const struct weir_json_node *weir_json_root(const struct weir_json *j)
{
    return j->node;
}

/* The first node in a list or object, and the one behind a node: NULL at the end. */
static inline const struct weir_json_node *weir_json_first(const struct weir_json *j,
                                                           const struct weir_json_node *in)
{
    return in + 1 < j->node + in->past ? in + 1 : NULL;
}

static inline const struct weir_json_node *weir_json_next(const struct weir_json *j,
                                                          const struct weir_json_node *in,
                                                          const struct weir_json_node *n)
{
    return n->past < in->past ? j->node + n->past : NULL;
}

/* The bytes of a node as they stand. */
static inline struct weir_str weir_json_raw(const struct weir_json *j,
                                            const struct weir_json_node *n)
{
    return weir_str(j->text.p + n->at, n->len);
}

/* The text of a string: where it stands, or, when it has escapes, decoded at the end of `space`,
 * and valid until that changes. Half a surrogate pair becomes U+FFFD. When `space` fails the slice
 * is empty. */
struct weir_str weir_json_string(const struct weir_json *j, const struct weir_json_node *n,
                                 struct weir_buf *space);
bool weir_json_escaped_is(const struct weir_json *j, const struct weir_json_node *n,
                          struct weir_str text);

/* The value of the first member of that name; NULL: there is none, or `in` (which may be NULL) is
 * no object. */
const struct weir_json_node *weir_json_member(const struct weir_json *j,
                                              const struct weir_json_node *in, const char *name);

/* Whether a string is this one. */
static inline bool weir_json_string_is(const struct weir_json *j, const struct weir_json_node *n,
                                       struct weir_str text)
{
    return WEIR_LIKELY(!n->escaped) ? weir_str_eq(weir_json_raw(j, n), text)
                                    : weir_json_escaped_is(j, n, text);
}

/* A number that is whole, also when it is written as 1e3 or 16.0. WEIR_ERR_INVALID: no number, not
 * whole, or negative; WEIR_ERR_LIMIT: above max, which is at most 2^53. */
WEIR_MUSTCHECK enum weir_err weir_json_u64(const struct weir_json *j,
                                           const struct weir_json_node *n, uint64_t max,
                                           uint64_t *ret_value);

#endif
