/* SPDX-License-Identifier: Apache-2.0 */
/* entry_tree.h - an entry of the registry as the readers of the file's fields take it. Private to
 * config. One owner; memory is used again. */
#ifndef WEIR_CONFIG_ENTRY_TREE_H
#define WEIR_CONFIG_ENTRY_TREE_H

#include "base/json.h"
#include "config/entries.h"
#include "config/yaml.h"

struct weir_entry_tree {
    struct weir_json json;
    struct weir_buf texts;       /* strings that had escapes */
    struct weir_yaml_node *node; /* the root is the first */
    uint32_t room;
};

void weir_entry_tree_init(struct weir_entry_tree *t);
/* Wipes the texts. */
void weir_entry_tree_deinit(struct weir_entry_tree *t);
/* The tree of a text that lives as long as it is used. WEIR_ERR_INVALID: it is no JSON object, is
 * too long, or has a null or a text above WEIR_YAML_SCALAR_MAX. */
WEIR_MUSTCHECK enum weir_err weir_entry_tree_read(struct weir_entry_tree *t, struct weir_str text);

#endif
