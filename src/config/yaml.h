/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.h - one YAML document as a compact tree. Private to config. libfyaml reads the bytes; its
 * own tree is not used: it takes 3 KB for each API key and compares the names of a mapping
 * pairwise. Anchors, aliases and tags are refused: nothing here grows beyond what the text spells
 * out. */
#ifndef WEIR_CONFIG_YAML_H
#define WEIR_CONFIG_YAML_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct parse;

enum {
    WEIR_YAML_DEPTH_MAX = 16,       /* mappings and lists in each other */
    WEIR_YAML_SCALAR_MAX = 4096,    /* bytes of one text */
    WEIR_YAML_NODES_MAX = 16 << 20, /* a million keys are ten million */
};

enum weir_yaml_kind { WEIR_YAML_SCALAR, WEIR_YAML_MAPPING, WEIR_YAML_LIST };

/* Nodes stand in the order of the text, a parent before its children; those of a mapping are key,
 * value, key, value. The first child of n is n + 1, the next sibling n + n->span. */
struct weir_yaml_node {
    const char *text; /* of a scalar; in the document's text or in the tree */
    uint32_t len;     /* bytes of a scalar; children of another */
    uint32_t span;    /* nodes with all below it, itself too */
    uint32_t line;    /* from 1 */
    uint32_t column : 30;
    uint32_t kind : 2; /* enum weir_yaml_kind */
};

struct weir_yaml {
    struct weir_yaml_node *node; /* the root is the first */
    size_t nodes, _room;
    struct weir_yaml_texts *_texts; /* scalars that stand otherwise in the text */
};

/* The tree of a text that outlives it. No nodes: the text has none, only comments perhaps. Fails as
 * the readers of parse.h do; *y is to be given to weir_yaml_deinit in any case. */
WEIR_MUSTCHECK enum weir_err weir_yaml_build(struct parse *p, struct weir_str text,
                                             struct weir_yaml *y);
/* Wipes the texts. */
void weir_yaml_deinit(struct weir_yaml *y);

#endif
