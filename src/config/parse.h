/* SPDX-License-Identifier: Apache-2.0 */
/* parse.h - reading the YAML tree with errors that say where. Private to config. */
#ifndef WEIR_CONFIG_PARSE_H
#define WEIR_CONFIG_PARSE_H

#include <libfyaml.h>

#include "config/config.h"

/* A node that is being read. `where` is the nearest scalar: it has the position. */
struct node {
    struct fy_node *fy;
    struct fy_node *where;
    const char *name; /* of the field, for messages */
};

struct parse {
    struct weir_config *config;
    struct weir_config_error *error;
};

/* All return WEIR_ERR_INVALID with the error set, or WEIR_OK. */
WEIR_MUSTCHECK enum weir_err weir_parse_fail(struct parse *p, const struct node *n, const char *fmt,
                                             ...) WEIR_PRINTF(3, 4);
WEIR_MUSTCHECK enum weir_err weir_parse_scalar(struct parse *p, const struct node *n,
                                               const char *expected, struct weir_str *ret_text);
WEIR_MUSTCHECK enum weir_err weir_parse_number(struct parse *p, const struct node *n, uint64_t min,
                                               uint64_t max, uint64_t *ret_value);
WEIR_MUSTCHECK enum weir_err weir_parse_seconds(struct parse *p, const struct node *n, uint64_t min,
                                                uint64_t max, uint64_t *ret_seconds);
/* A secret: plain text, {env: NAME} or {file: PATH}. `buf` holds what was read. */
WEIR_MUSTCHECK enum weir_err weir_parse_secret(struct parse *p, const struct node *n,
                                               char buf[static WEIR_SECRET_MAX + 2],
                                               struct weir_str *ret_secret);

/* Calls `field` for each entry of a mapping; it must know the key or fail. */
typedef enum weir_err weir_field_fn(struct parse *p, struct weir_str key, const struct node *value,
                                    void *ctx);
WEIR_MUSTCHECK enum weir_err weir_parse_mapping(struct parse *p, const struct node *n,
                                                weir_field_fn *field, void *ctx);
/* Calls `item` for each item of a list. */
typedef enum weir_err weir_item_fn(struct parse *p, const struct node *item, void *ctx);
WEIR_MUSTCHECK enum weir_err weir_parse_list(struct parse *p, const struct node *n,
                                             weir_item_fn *item, void *ctx);

/* "1.5k" and the like; "10min", "7s", "day". */
bool weir_parse_amount(struct weir_str text, uint64_t *ret_amount);
bool weir_parse_duration_s(struct weir_str text, uint64_t *ret_seconds);

/* fields.c: the top level. plans.c, keys.c: those sections. */
enum weir_err weir_parse_fields(struct parse *p, const struct node *root);
enum weir_err weir_parse_plans(struct parse *p, const struct node *n);
enum weir_err weir_parse_keys(struct parse *p, const struct node *n);
enum weir_err weir_parse_text_field(struct parse *p, const char *name, struct weir_str text);
const struct weir_plan *weir_plan_by_name(const struct weir_config *config, struct weir_str name);
/* Builds the lookups. */
enum weir_err weir_config_index_build(struct weir_config *config);
void weir_config_index_free(struct weir_config *config);

#endif
