/* SPDX-License-Identifier: Apache-2.0 */
/* config.h - the configuration file, parsed once into an immutable snapshot. Every field is
 * optional; an unknown field, a wrong type or a value out of range is refused with line, column
 * and what was expected. Any thread may read a snapshot. */
#ifndef WEIR_CONFIG_CONFIG_H
#define WEIR_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "config/entries.h"
#include "config/scope.h"
#include "limit/plan_set.h"
#include "limit/subject.h"

enum weir_store_kind { WEIR_STORE_EMBEDDED, WEIR_STORE_REDIS };
enum weir_store_mode { WEIR_MODE_LEASE, WEIR_MODE_EXACT };
enum weir_on_store_failure { WEIR_FAIL_LOCAL, WEIR_FAIL_CLOSED, WEIR_FAIL_OPEN };

enum {
    WEIR_ID_MAX = 100,  /* bytes of the id of a key, a team or an org */
    WEIR_NAME_MAX = 63, /* of the name of a plan or an entry of `models` */
    WEIR_SECRET_MAX = 256,
    WEIR_LOOKUP_BYTES = 12, /* of a secret that weir made */
    WEIR_CONFIG_KEYS_MAX = 1000000,
    WEIR_CONFIG_GROUPS_MAX = 1000000, /* teams, and as many orgs */
    WEIR_CONFIG_MODELS_MAX = 1000,
    WEIR_CONFIG_GLOBS_MAX = 100, /* of the models */
    WEIR_CONFIG_PLANS_MAX = 1000,
    WEIR_CONFIG_WORKERS_MAX = 256,
    WEIR_METRICS_TOP_MAX = 100,
    WEIR_CONFIG_BYTES_MAX = 256 << 20,
    WEIR_REDIS_PORT = 6379,
    WEIR_SENTINEL_PORT = 26379,
    WEIR_REDIS_DB_MAX = 1000000,
    WEIR_REDIS_HOSTS_MAX = 16, /* that one URL names */
    WEIR_REDIS_SERVICE_MAX = 127,
    WEIR_TLS_PATH_MAX = 1023,
    WEIR_TOKEN_DATA_MAX = 1023,
    WEIR_ACCESS_LOG_MAX = 1023,
    WEIR_REGISTRY_MAX = 1000,
    WEIR_CONFIG_UPSTREAMS_MAX = 64,
    WEIR_URL_MAX = 1000, /* of an upstream or its proxy */
};

struct weir_listen {
    char host[64]; /* numeric IPv4 or IPv6 */
    uint16_t port;
};

/* What a server must be, so that it is used for what it was asked for. */
enum weir_redis_part {
    WEIR_REDIS_SERVER,   /* the only one that the URL names: keeps all windows */
    WEIR_REDIS_PRIMARY,  /* named by a sentinel: keeps all windows */
    WEIR_REDIS_SHARD,    /* named by a cluster's map: keeps the windows of some slots */
    WEIR_REDIS_NODE,     /* of a cluster, whichever: knows the map */
    WEIR_REDIS_SENTINEL, /* knows the primary */
};

/* A server, and how one talks to it. Strings are empty when not given. */
struct weir_redis_target {
    enum weir_redis_part part;
    char host[256];
    uint16_t port;
    char unix_path[108]; /* instead of host and port */
    char user[128];
    char password[256];
    uint32_t db;
    uint32_t timeout_ms;         /* silence that means failure: store_timeout_ms, default 50 */
    uint32_t connect_timeout_ms; /* default 250 */
};

struct weir_redis_host {
    char name[256]; /* or a numeric address */
    uint16_t port;
};

/* Who knows where the windows are. */
enum weir_redis_kind { WEIR_REDIS_SINGLE, WEIR_REDIS_CLUSTER, WEIR_REDIS_SENTINELS };

struct weir_redis_seeds {
    enum weir_redis_kind kind;
    size_t hosts; /* nodes of the cluster, or sentinels; 0 for a single server */
    struct weir_redis_host host[WEIR_REDIS_HOSTS_MAX];
    char service[WEIR_REDIS_SERVICE_MAX + 1]; /* what the sentinels call it */
};

/* TLS to Redis. Strings are empty when not given; what is there is read when the store opens. */
struct weir_store_tls {
    bool on;                          /* a rediss URL */
    char ca[WEIR_TLS_PATH_MAX + 1];   /* certificates of authorities; else the system's */
    char cert[WEIR_TLS_PATH_MAX + 1]; /* ours, and what leads to its authority */
    char key[WEIR_TLS_PATH_MAX + 1];
    char server_name[256]; /* what the server's certificate must name; else the host's name */
};

/* A team or an org: what keys belong to. */
struct weir_group {
    char name[WEIR_ID_MAX + 6];   /* "team:<id>" or "org:<id>" */
    struct weir_subject subject;  /* that name; plan NULL: no limits of its own */
    const struct weir_group *org; /* of a team; NULL: none */
    bool disabled;                /* keys of it are refused */
};

/* What is kept of a key's secret, which is kept nowhere. */
struct weir_key_secret {
    bool salted; /* one that weir made (config/issued.h): found by `lookup`; else by the digest */
    char lookup[WEIR_LOOKUP_BYTES];
    uint8_t salt[16];
    uint8_t sha256[32]; /* of the salt, if there is one, and the secret */
};

/* It, its team or its org has a plan. */
struct weir_key {
    char name[WEIR_ID_MAX + 5]; /* "key:<id>" */
    struct weir_key_secret secret;
    struct weir_subject subject;    /* that name; plan NULL: no limits of its own */
    const struct weir_group *group; /* its team or its org; NULL: none */
    bool disabled;                  /* its requests are refused */
};

/* An entry of `models`. */
struct weir_model {
    char name[WEIR_NAME_MAX + 7]; /* "model:<name or glob>" */
    struct weir_str text;         /* the name or glob */
    bool glob;
    struct weir_subject subject; /* that name; plan NULL: no limits */
};

/* The mock model. */
struct weir_mock_config {
    uint64_t seed;
    uint32_t output_mean;    /* tokens */
    uint32_t output_max;     /* never more, whatever a request asks */
    uint32_t first_token_ms; /* 0: at once */
    uint32_t tokens_per_s;   /* 0: as fast as it goes */
};

/* A model server behind the gateway. Strings are empty when not given. */
struct weir_upstream_config {
    char name[WEIR_NAME_MAX + 1];
    bool mock;                       /* the built-in model: the rest of this is unused */
    char base_url[WEIR_URL_MAX + 8]; /* what stands for the "/v1" of a request's path */
    char api_key[WEIR_SECRET_MAX + 1];
    size_t globs; /* names or globs of the models that it serves; 0: all */
    char (*glob)[WEIR_NAME_MAX + 1];
    uint32_t weight; /* at least 1 */
    uint32_t connect_timeout_ms;
    uint32_t timeout_ms; /* silence that means failure */
    char proxy[WEIR_URL_MAX + 1];
    char ca[WEIR_TLS_PATH_MAX + 1]; /* certificates of authorities; else the system's */
};

struct weir_config {
    struct weir_listen listen;
    uint32_t workers; /* resolved: at least 1 */
    enum weir_store_kind store;
    enum weir_store_mode mode;      /* with Redis */
    struct weir_redis_target redis; /* without host where redis_seeds has some */
    struct weir_redis_seeds redis_seeds;
    struct weir_store_tls store_tls;
    enum weir_on_store_failure on_store_failure;
    uint32_t nodes;
    uint64_t max_subjects;
    uint32_t reservation_ttl_s;
    char token_data[WEIR_TOKEN_DATA_MAX + 1]; /* a path; empty: beside the program */
    char access_log[WEIR_ACCESS_LOG_MAX + 1]; /* stderr, stdout or a path; empty: off */
    char registry[WEIR_REGISTRY_MAX + 1];     /* a path; empty: there is no registry */
    uint32_t reservations_max; /* settled reservations remembered by the embedded store */
    uint64_t histories_max;    /* forecasts kept: limit/history.h */
    uint32_t metrics_top;      /* subjects named in metrics, for each scope and meter; 0: none */
    bool has_service_token;
    uint8_t service_token_sha256[32];
    bool has_admin; /* the admin API is offered; the rest of it is unused without */
    struct weir_listen admin_listen;
    bool has_admin_token; /* always beyond loopback */
    uint8_t admin_token_sha256[32];

    size_t head_bytes_max, target_bytes_max, body_bytes_max;
    uint32_t connections_max; /* per worker */
    uint32_t head_timeout_ms, body_timeout_ms, idle_timeout_ms, drain_timeout_ms;

    size_t plans;
    struct weir_plan *plan; /* those of _plans */
    size_t orgs, teams;
    struct weir_group *org, *team;
    size_t keys;
    struct weir_key *key;
    const struct weir_plan *unknown_plan; /* NULL: unknown keys are rejected */
    size_t models;
    struct weir_model *model; /* default: one, "weir-mock", without limits */
    struct weir_mock_config mock;
    size_t upstreams; /* 0: the mock model answers */
    struct weir_upstream_config *upstream;

    struct weir_config_index *_index; /* from texts to all of these */
    struct weir_plan_set *_plans;
};

/* What is wrong with a configuration. line and column count from 1; 0: the file as a whole. */
struct weir_config_error {
    bool in_flag; /* a flag is wrong, not the file; `text` begins with it */
    unsigned line, column;
    char text[256];
};

/* Overrides from the command line; NULL: not given. Texts in the form of the file's field. */
struct weir_config_flags {
    const char *listen;
    const char *workers;
    const char *store;
    const char *on_store_failure;
    const char *nodes;
    const char *access_log;
    const char *admin_listen;
};

/* The configuration in `yaml` (an empty text is the default configuration) with the flags laid
 * over it. `{env: NAME}` and `{file: PATH}` are read now. On failure *ret_error says why and
 * nothing is left to free. */
WEIR_MUSTCHECK enum weir_err weir_config_parse(struct weir_str yaml,
                                               const struct weir_config_flags *flags,
                                               struct weir_config **ret_config,
                                               struct weir_config_error *ret_error);
/* As weir_config_parse, from a file; path NULL: the default configuration. */
WEIR_MUSTCHECK enum weir_err weir_config_load(const char *path,
                                              const struct weir_config_flags *flags,
                                              struct weir_config **ret_config,
                                              struct weir_config_error *ret_error);
/* "weir.yaml:3:7: ...", with as much of the place as is known; path NULL: no file was named. */
void weir_config_error_say(const struct weir_config_error *e, const char *path, char *ret_text,
                           size_t room);
/* One more who frees it: it lives until all have. Thread-safe, as weir_config_free. */
struct weir_config *weir_config_keep(struct weir_config *config);
/* NULL is allowed. Wipes what is secret. */
void weir_config_free(struct weir_config *config);

/* ---- a configuration that takes the place of another ---- */

enum { WEIR_CONFIG_WHY_BYTES = 256 };

/* What stays as long as the process: *ret_settings is a copy without what is listed in the file
 * (plans, keys and all that), which may outlive the snapshot. It has secrets: wipe it. */
void weir_config_settings(const struct weir_config *config, struct weir_config *ret_settings);
/* Whether a running process can go over to `next`: what differs can change while it runs. False:
 * ret_why names a field that cannot. */
bool weir_config_can_follow(const struct weir_config *now, const struct weir_config *next,
                            char ret_why[static WEIR_CONFIG_WHY_BYTES]);

/* ---- a registry over the file ---- */

struct weir_overlay_report {
    struct weir_str of;    /* in: an entry that is asked about; empty: none */
    bool of_unusable;      /* it is: then `name` and `why` are its */
    size_t used, unusable; /* entries */
    /* The first entry that cannot be used, and why; empty: all are. */
    char name[WEIR_ENTRY_NAME_MAX + 1], why[256];
    uint64_t
        next_ms; /* when a grant ends first, so that it is to be laid again; UINT64_MAX: never */
};

/* `base`, which stays as it is, with the entries laid over it: what an entry says holds, what it
 * does not say is as the file has it. Entries that do not fit (a plan that is not there, a field
 * that is none) are left out. now_ms: Unix time. WEIR_ERR_LIMIT: more keys, plans or subjects than
 * there may be, in ret_report->why; WEIR_ERR_NOMEM. Any thread. */
WEIR_MUSTCHECK enum weir_err weir_config_overlay(const struct weir_config *base,
                                                 const struct weir_entries *entries,
                                                 uint64_t now_ms, struct weir_config **ret_config,
                                                 struct weir_overlay_report *ret_report);

/* The key with this secret, or NULL: found by what the secret says of itself (config/issued.h) or
 * by its SHA-256, which *ret_sha256 is; compared in constant time. */
const struct weir_key *weir_config_key_by_secret(const struct weir_config *config,
                                                 struct weir_str secret,
                                                 uint8_t ret_sha256[static 32]);
/* It, its team or its org is disabled. */
bool weir_key_disabled(const struct weir_key *key);
/* The plan of this name, or NULL. */
const struct weir_plan *weir_plan_by_name(const struct weir_config *config, struct weir_str name);
/* The team or the org with this id, or NULL. */
const struct weir_group *weir_group_by_id(const struct weir_config *config, enum weir_scope scope,
                                          struct weir_str id);
/* The key with this id or NULL. */
const struct weir_key *weir_config_key_by_id(const struct weir_config *config, struct weir_str id);

/* ---- subjects: all have a plan, and live as long as the snapshot ---- */

/* The key, its team, its org: at most three, at least one. Returns how many. */
unsigned weir_key_subjects(const struct weir_key *key,
                           const struct weir_subject *ret_subject[static WEIR_SCOPE_MODEL]);
/* What limits this model: its own entry, else the longest glob that matches; of equally long ones
 * that with the fewest `*`, then the first by bytes. NULL: nothing does. */
const struct weir_subject *weir_config_model(const struct weir_config *config,
                                             struct weir_str model);
/* The configured subject of this name, as "team:search" or "model:gpt-4*", or NULL. */
const struct weir_subject *weir_config_subject(const struct weir_config *config,
                                               struct weir_str name);
/* Calls `each` for every configured subject, until it fails. */
typedef enum weir_err weir_subject_fn(void *ctx, const struct weir_subject *subject);
WEIR_MUSTCHECK enum weir_err weir_config_each_subject(const struct weir_config *config,
                                                      weir_subject_fn *each, void *ctx);

/* Copies that live until they are freed. NULL: no memory. */
struct weir_upstream_config *weir_upstream_configs_copy(const struct weir_upstream_config *u,
                                                        size_t count);
/* Wipes what is secret. NULL is allowed. */
void weir_upstream_configs_free(struct weir_upstream_config *u, size_t count);
/* Whether both have the same upstreams. */
bool weir_upstream_configs_alike(const struct weir_config *a, const struct weir_config *b);
/* Whether only this machine reaches it. */
bool weir_listen_is_loopback(const struct weir_listen *listen);

/* Whether one of its globs matches; a request that names no model has the empty one. */
bool weir_upstream_serves(const struct weir_upstream_config *u, struct weir_str model);

/* "1.5k" and the like; "0.95" as thousandths, at most three places; "10min", "7s", "day". */
bool weir_parse_amount(struct weir_str text, uint64_t *ret_amount);
bool weir_parse_permille(struct weir_str text, uint64_t *ret_permille);
bool weir_parse_duration_s(struct weir_str text, uint64_t *ret_seconds);

/* One rate as the file writes it ("100/min", "20k/min", "1M/day", "5/7s") for this meter. */
WEIR_MUSTCHECK enum weir_err weir_rate_parse(struct weir_str text, enum weir_meter meter,
                                             struct weir_limit *ret_limit);

/* A plan's limits as one line of the file writes them, without the braces: "requests: 100/min,
 * output_tokens: [10k/min, 1M/day]"; at least one, none in shadow. On failure ret_error's text says
 * why; it has no place. */
WEIR_MUSTCHECK enum weir_err weir_limits_parse(struct weir_str text, struct weir_plan *ret_plan,
                                               struct weir_config_error *ret_error);
/* Such a text, in which rates may be in shadow, as a JSON object with its own words. */
WEIR_MUSTCHECK enum weir_err weir_limits_to_json(struct weir_str text, struct weir_buf *json,
                                                 struct weir_config_error *ret_error);

/* SHA-256 of a secret. */
void weir_sha256(struct weir_str secret, uint8_t ret_digest[static 32]);

#endif
