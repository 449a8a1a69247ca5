/* SPDX-License-Identifier: Apache-2.0 */
/* parse.h - reading the YAML tree with errors that say where. Private to config. */
#ifndef WEIR_CONFIG_PARSE_H
#define WEIR_CONFIG_PARSE_H

#include "config/config.h"
#include "config/index.h"
#include "config/yaml.h"

/* A value that is being read. */
struct node {
    const struct weir_yaml_node *at;  /* NULL: a flag's, not the file's */
    const struct weir_yaml_node *key; /* of the field; NULL in a list */
    const char *name;                 /* of the field, or "a plan"; for messages */
};

struct parse {
    struct weir_config *config;
    struct weir_config_error *error;
};

/* The lookups of a snapshot. A number is a place in the array, from 1. */
struct weir_config_index {
    _Atomic uint32_t keepers; /* of the snapshot */
    struct weir_index secret, key, org, team, model, plan;
    const struct weir_model *glob[WEIR_CONFIG_GLOBS_MAX]; /* the first that matches counts */
    size_t globs;
    size_t limited; /* models with a plan */
};

/* A field of the top level or of a section of numbers. */
struct weir_option {
    const char *section; /* "" for the top level */
    const char *name;
    /* One of these, or a number of 4 or 8 bytes in struct weir_config. */
    enum weir_err (*parse)(struct parse *p, const struct node *n);
    const char *fields; /* the section that is its mapping */
    bool first;         /* `parse` is called before all other fields are read */
    bool duration;      /* written as "10min", kept in seconds */
    size_t offset, width;
    uint64_t min, max;
    /* For the reference, in Markdown. */
    const char *type, *range; /* of a number the range is `min` to `max` */
    const char *fallback;     /* NULL: the number in the default configuration */
    const char *meaning;
};

/* The table: fields.c. */
const struct weir_option *weir_options(size_t *ret_count);
bool weir_option_is_number(const struct weir_option *o);
uint64_t weir_option_value(const struct weir_option *o, const struct weir_config *config);

/* All return WEIR_ERR_INVALID with the error set, or WEIR_OK. A message repeats nothing of the file
 * but what has the form of a field's name: the rest may be a secret that stands in a wrong place.
 */
WEIR_MUSTCHECK enum weir_err weir_parse_fail(struct parse *p, const struct node *n, const char *fmt,
                                             ...) WEIR_PRINTF(3, 4);
/* "<name>: unknown field of <what>". */
WEIR_MUSTCHECK enum weir_err weir_parse_unknown(struct parse *p, const struct node *n,
                                                const char *what);
WEIR_MUSTCHECK enum weir_err weir_parse_scalar(struct parse *p, const struct node *n,
                                               const char *expected, struct weir_str *ret_text);
/* 1 to room - 1 bytes without NUL, into `to`, which ends with one. */
WEIR_MUSTCHECK enum weir_err weir_parse_copy(struct parse *p, const struct node *n, char *to,
                                             size_t room);
/* Whether it is a name of 1 to WEIR_NAME_MAX bytes without control characters. */
bool weir_parse_name_valid(struct weir_str name);
/* The id of a key, a team or an org. */
bool weir_parse_id_valid(struct weir_str id);
WEIR_MUSTCHECK enum weir_err weir_parse_id(struct parse *p, const struct node *n,
                                           struct weir_str *ret_id);
/* A plan, by its name. */
WEIR_MUSTCHECK enum weir_err weir_parse_plan(struct parse *p, const struct node *n,
                                             const struct weir_plan **ret_plan);
/* A team or an org, by its id. */
WEIR_MUSTCHECK enum weir_err weir_parse_group(struct parse *p, const struct node *n,
                                              enum weir_scope scope,
                                              const struct weir_group **ret_group);
WEIR_MUSTCHECK enum weir_err weir_parse_number(struct parse *p, const struct node *n, uint64_t min,
                                               uint64_t max, uint64_t *ret_value);
WEIR_MUSTCHECK enum weir_err weir_parse_seconds(struct parse *p, const struct node *n, uint64_t min,
                                                uint64_t max, uint64_t *ret_seconds);
/* A secret: plain text, {env: NAME} or {file: PATH}. `buf` holds what was read. */
WEIR_MUSTCHECK enum weir_err weir_parse_secret(struct parse *p, const struct node *n,
                                               char buf[static WEIR_SECRET_MAX + 2],
                                               struct weir_str *ret_secret);

/* A secret of which only its SHA-256 is kept. */
WEIR_MUSTCHECK enum weir_err weir_parse_token(struct parse *p, const struct node *n,
                                              uint8_t ret_sha256[static 32]);

/* Calls `field` for each entry of a mapping; it must know the key or fail. No key comes twice. */
typedef enum weir_err weir_field_fn(struct parse *p, struct weir_str key, const struct node *value,
                                    void *ctx);
WEIR_MUSTCHECK enum weir_err weir_parse_mapping(struct parse *p, const struct node *n,
                                                weir_field_fn *field, void *ctx);
/* Calls `item` for each item of a list. */
typedef enum weir_err weir_item_fn(struct parse *p, const struct node *item, void *ctx);
WEIR_MUSTCHECK enum weir_err weir_parse_list(struct parse *p, const struct node *n,
                                             weir_item_fn *item, void *ctx);

/* Two hexadecimal digits for each of `bytes` bytes. */
bool weir_parse_hex(struct weir_str hex, size_t bytes, uint8_t *ret_bytes);

/* inet_pton's view of a numeric address. */
bool weir_parse_is_address(int family, const char *host);
/* "[...]" without its brackets; false when it has none. */
bool weir_parse_take_brackets(struct weir_str *s);

WEIR_MUSTCHECK enum weir_err weir_parse_bool(struct parse *p, const struct node *n, bool *ret);

/* ---- what a thing's fields say, from the file or from an entry of the registry ---- */

/* A plan. */
struct plan_draft {
    struct weir_limit limit[WEIR_PLAN_LIMITS_MAX];
    bool in_shadow[WEIR_PLAN_LIMITS_MAX];
    size_t limits;
    bool shadow; /* all of them */
    uint64_t default_output_tokens;
    bool cut_on_overrun;
    enum weir_reserve reserve;
    uint32_t forecast_permille;
    uint64_t reserve_fixed;
    uint32_t cached_permille;
    bool charge_failed;
    enum weir_meter meter; /* of the rates being read */
};

/* A key. `set`: what of it the fields have said themselves. */
struct key_draft {
    struct weir_str id;
    struct weir_key_secret secret;
    const struct weir_plan *plan;
    const struct weir_group *group;
    bool has_secret, disabled;
    bool set_secret, set_group;
};

/* A team or an org. */
struct group_draft {
    enum weir_scope scope;
    struct weir_str id;
    const struct weir_plan *plan;
    const struct weir_group *org;
    bool disabled;
};

/* plans.c: a plan that says nothing; what `plan` says; and a plan by the draft. */
struct plan_draft weir_plan_draft(void);
struct plan_draft weir_plan_draft_of(const struct weir_plan *plan);
weir_field_fn weir_plan_field;  /* ctx: struct plan_draft */
weir_field_fn weir_limit_field; /* of `limits`; the same */
WEIR_MUSTCHECK enum weir_err weir_plan_of_draft(struct parse *p, const struct node *n,
                                                const struct plan_draft *d, struct weir_str name,
                                                struct weir_plan *ret_plan);
/* keys.c, groups.c: the same; what is put adds one, or takes the place of the one of that id. */
weir_field_fn weir_key_field;
WEIR_MUSTCHECK enum weir_err weir_key_put(struct parse *p, const struct node *n,
                                          const struct key_draft *d);
/* It is found by its secret from here on. */
void weir_key_index_secret(struct weir_config *config, const struct weir_key *key);
weir_field_fn weir_group_field;
WEIR_MUSTCHECK enum weir_err weir_group_put(struct parse *p, const struct node *n,
                                            const struct group_draft *d);
/* models.c: those of another snapshot, whose plans have the same places. */
WEIR_MUSTCHECK enum weir_err weir_models_copy(struct weir_config *config,
                                              const struct weir_config *from);
/* config.c: the defaults, without lists. NULL: no memory. */
struct weir_config *weir_config_new(void);
/* The checks and the work when all is read. */
WEIR_MUSTCHECK enum weir_err weir_config_check_subjects(struct parse *p);

/* fields.c: the top level and its sections. */
enum weir_err weir_parse_fields(struct parse *p, const struct node *root);
/* A flag over a field of the top level: a number, or one of the next. */
enum weir_err weir_parse_flag(struct parse *p, const char *flag, const char *field,
                              const char *text);
/* listen, admin_listen, store, mode, on_store_failure, token_data, access_log or registry. */
enum weir_err weir_parse_text(struct parse *p, const struct node *n, const char *field,
                              struct weir_str text);
/* store_url.c: the store's kind, and how to reach it. */
bool weir_parse_store(struct weir_str text, struct weir_config *config);
/* store_tls.c; and what it must not be beside the store's URL, when all is read. */
enum weir_err weir_parse_store_tls(struct parse *p, const struct node *n);
enum weir_err weir_store_tls_finish(struct parse *p);
/* admin.c; and that who listens beyond loopback has a token. */
enum weir_err weir_parse_admin(struct parse *p, const struct node *n);
enum weir_err weir_admin_check(struct parse *p, const struct node *n);
/* plans.c, groups.c, keys.c, models.c: the sections of their names. */
enum weir_err weir_parse_plans(struct parse *p, const struct node *n);
enum weir_err weir_parse_orgs(struct parse *p, const struct node *n);
enum weir_err weir_parse_teams(struct parse *p, const struct node *n);
enum weir_err weir_parse_keys(struct parse *p, const struct node *n);
enum weir_err weir_parse_models(struct parse *p, const struct node *n);
/* upstreams.c */
enum weir_err weir_parse_upstreams(struct parse *p, const struct node *n);
/* Without that section: the one model "weir-mock". */
enum weir_err weir_models_default(struct weir_config *config);
/* The entry of exactly this text. */
const struct weir_model *weir_model_by_name(const struct weir_config *config, struct weir_str name);
/* `*` stands for any text, `?` for one character. */
bool weir_glob_matches(struct weir_str glob, struct weir_str text);
/* Sets the subject's name, "<scope>:<id>" in `room`, and its plan. */
void weir_subject_set(struct weir_subject *s, char *room, enum weir_scope scope, struct weir_str id,
                      const struct weir_plan *plan);
/* Its root is that of the group that it belongs to: the org, else the team; NULL: none. */
void weir_subject_belongs(struct weir_subject *s, const struct weir_group *group);

#endif
