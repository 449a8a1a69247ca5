/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - the `keys` section, and finding a key by its secret or its id. */
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/mem.h"
#include "config/issued.h"
#include "config/parse.h"

void weir_sha256(struct weir_str secret, uint8_t ret_digest[static 32])
{
    unsigned len = 0;
    int ok = EVP_Digest(secret.p, secret.len, ret_digest, &len, EVP_sha256(), NULL);
    WEIR_ASSERT(ok == 1 && len == 32);
}

static struct weir_str digest_of(const uint8_t *sha256)
{
    return weir_str((const char *)sha256, 32);
}

/* What a secret is found by. */
static struct weir_str searched_by(const struct weir_key_secret *secret)
{
    return secret->salted ? weir_str(secret->lookup, sizeof(secret->lookup))
                          : digest_of(secret->sha256);
}

static const struct weir_key *by_lookup(const struct weir_config *config, struct weir_str lookup)
{
    const struct weir_index *index = &config->_index->secret;
    uint32_t at = weir_index_first(index, lookup), number;
    while ((number = weir_index_next(index, &at)) != 0) {
        const struct weir_key_secret *s = &config->key[number - 1].secret;
        if (s->salted && weir_str_eq(searched_by(s), lookup)) {
            return &config->key[number - 1];
        }
    }
    return NULL;
}

static const struct weir_key *by_sha256(const struct weir_config *config,
                                        const uint8_t sha256[static 32])
{
    const struct weir_index *index = &config->_index->secret;
    uint32_t at = weir_index_first(index, digest_of(sha256)), number;
    while ((number = weir_index_next(index, &at)) != 0) {
        const struct weir_key *key = &config->key[number - 1];
        if (!key->secret.salted && CRYPTO_memcmp(key->secret.sha256, sha256, 32) == 0) {
            return key;
        }
    }
    return NULL;
}

const struct weir_key *weir_config_key_by_secret(const struct weir_config *config,
                                                 struct weir_str secret,
                                                 uint8_t ret_sha256[static 32])
{
    struct weir_str lookup;
    weir_sha256(secret, ret_sha256);
    if (weir_is_issued(secret, &lookup)) {
        const struct weir_key *key = by_lookup(config, lookup);
        if (key != NULL && weir_salted_is(&key->secret, secret)) {
            return key;
        }
    }
    return by_sha256(config, ret_sha256);
}

bool weir_key_disabled(const struct weir_key *key)
{
    bool disabled = key->disabled;
    for (const struct weir_group *g = key->group; g != NULL; g = g->org) {
        disabled = disabled || g->disabled;
    }
    return disabled;
}

static struct weir_str id_of(const struct weir_key *key)
{
    return weir_str(key->subject.name.p + 4, key->subject.name.len - 4);
}

const struct weir_key *weir_config_key_by_id(const struct weir_config *config, struct weir_str id)
{
    const struct weir_index *index = &config->_index->key;
    uint32_t at = weir_index_first(index, id), number;
    while ((number = weir_index_next(index, &at)) != 0) {
        const struct weir_key *key = &config->key[number - 1];
        if (weir_str_eq(id_of(key), id)) {
            return key;
        }
    }
    return NULL;
}

/* ---- the section ---- */

enum form { PLAIN, HASHED, SALTED };

/* The secret as the field has it. */
static enum weir_err read_secret(struct parse *p, const struct node *value, enum form form,
                                 struct weir_key_secret *ret_secret)
{
    char buf[WEIR_SECRET_MAX + 2];
    struct weir_str text;
    enum weir_err err = weir_parse_secret(p, value, buf, &text);
    *ret_secret = (struct weir_key_secret){0};
    if (err == WEIR_OK && form == PLAIN) {
        weir_sha256(text, ret_secret->sha256);
    } else if (err == WEIR_OK && form == HASHED &&
               !weir_parse_hex(text, sizeof(ret_secret->sha256), ret_secret->sha256)) {
        err = weir_parse_fail(p, value, "secret_sha256: expected 64 hexadecimal digits");
    } else if (err == WEIR_OK && form == SALTED && !weir_salted_read(text, ret_secret)) {
        err = weir_parse_fail(p, value, "secret_salted: expected what weir made of a secret");
    }
    weir_wipe(buf, sizeof(buf));
    return err;
}

static enum weir_err secret_field(struct parse *p, const struct node *value, struct key_draft *d,
                                  enum form form)
{
    if (d->set_secret) {
        return weir_parse_fail(
            p, value, "%s: expected one of secret, secret_sha256 and secret_salted", value->name);
    }
    WEIR_TRY(read_secret(p, value, form, &d->secret));
    d->has_secret = d->set_secret = true;
    return WEIR_OK;
}

static enum weir_err group_field(struct parse *p, const struct node *value, struct key_draft *d,
                                 enum weir_scope scope)
{
    if (d->set_group) {
        return weir_parse_fail(p, value, "%s: expected one of team and org", value->name);
    }
    d->set_group = true;
    return weir_parse_group(p, value, scope, &d->group);
}

enum weir_err weir_key_field(struct parse *p, struct weir_str key, const struct node *value,
                             void *ctx)
{
    struct key_draft *d = ctx;
    if (weir_str_eq(key, WEIR_STR("id"))) {
        return weir_parse_id(p, value, &d->id);
    }
    if (weir_str_eq(key, WEIR_STR("secret"))) {
        return secret_field(p, value, d, PLAIN);
    }
    if (weir_str_eq(key, WEIR_STR("secret_sha256"))) {
        return secret_field(p, value, d, HASHED);
    }
    if (weir_str_eq(key, WEIR_STR("secret_salted"))) {
        return secret_field(p, value, d, SALTED);
    }
    if (weir_str_eq(key, WEIR_STR("plan"))) {
        return weir_parse_plan(p, value, &d->plan);
    }
    if (weir_str_eq(key, WEIR_STR("team"))) {
        return group_field(p, value, d, WEIR_SCOPE_TEAM);
    }
    if (weir_str_eq(key, WEIR_STR("org"))) {
        return group_field(p, value, d, WEIR_SCOPE_ORG);
    }
    if (weir_str_eq(key, WEIR_STR("disabled"))) {
        return weir_parse_bool(p, value, &d->disabled);
    }
    const struct node unnamed = {.key = value->key, .name = ""}; /* `secret x` without its colon */
    return weir_parse_unknown(p, &unnamed,
                              "a key; expected id, secret, secret_sha256, secret_salted, plan, "
                              "team, org or disabled");
}

void weir_key_index_secret(struct weir_config *config, const struct weir_key *key)
{
    weir_index_add(&config->_index->secret, searched_by(&key->secret),
                   (uint32_t)(key - config->key) + 1);
}

/* Another key with this secret, or NULL. */
static const struct weir_key *other_with(const struct weir_config *config,
                                         const struct key_draft *d, const struct weir_key *own)
{
    const struct weir_key_secret *s = &d->secret;
    const struct weir_key *key = s->salted
                                     ? by_lookup(config, weir_str(s->lookup, sizeof(s->lookup)))
                                     : by_sha256(config, s->sha256);
    return key == own ? NULL : key;
}

/* The place of a key that is new. */
static struct weir_key *add_key(struct weir_config *config, struct weir_str id)
{
    struct weir_key *key = &config->key[config->keys++];
    weir_index_add(&config->_index->key, id, (uint32_t)config->keys);
    return key;
}

enum weir_err weir_key_put(struct parse *p, const struct node *n, const struct key_draft *d)
{
    struct weir_config *config = p->config;
    const struct weir_key *found = weir_config_key_by_id(config, d->id);
    if (!d->has_secret) {
        return weir_parse_fail(p, n, "keys: expected a secret");
    }
    if (d->plan == NULL && d->group == NULL) {
        return weir_parse_fail(p, n, "keys: expected plan, team or org");
    }
    if (d->set_secret && other_with(config, d, found) != NULL) {
        return weir_parse_fail(p, n, "keys: the secret of \"%.*s\" is another key's too",
                               (int)d->id.len, d->id.p);
    }
    struct weir_key *key =
        found == NULL ? add_key(config, d->id) : &config->key[found - config->key];
    weir_subject_set(&key->subject, key->name, WEIR_SCOPE_KEY, d->id, d->plan);
    key->secret = d->secret;
    key->group = d->group;
    key->disabled = d->disabled;
    key->subject.root = weir_str(NULL, 0);
    weir_subject_belongs(&key->subject, d->group);
    if (d->set_secret) {
        weir_key_index_secret(config, key);
    }
    return WEIR_OK;
}

static enum weir_err key_item(struct parse *p, const struct node *n, void *ctx)
{
    struct weir_config *config = p->config;
    struct key_draft d = {0};
    (void)ctx;
    WEIR_TRY(weir_parse_mapping(p, n, weir_key_field, &d));
    if (d.id.len == 0 || !d.has_secret || (d.plan == NULL && d.group == NULL)) {
        return weir_parse_fail(p, n,
                               "keys: expected id, secret, secret_sha256 or secret_salted, and "
                               "plan, team or org");
    }
    if (weir_config_key_by_id(config, d.id) != NULL) {
        return weir_parse_fail(p, n, "keys: the id \"%.*s\" is there twice", (int)d.id.len, d.id.p);
    }
    return weir_key_put(p, n, &d);
}

enum weir_err weir_parse_keys(struct parse *p, const struct node *n)
{
    size_t count = n->at->kind == WEIR_YAML_LIST ? n->at->len : 0;
    if (count > WEIR_CONFIG_KEYS_MAX) {
        return weir_parse_fail(p, n, "keys: at most %d", WEIR_CONFIG_KEYS_MAX);
    }
    p->config->key = weir_zalloc_array(count + 1, sizeof(p->config->key[0]));
    if (p->config->key == NULL) {
        return WEIR_ERR_NOMEM;
    }
    WEIR_TRY(weir_index_init(&p->config->_index->key, count));
    WEIR_TRY(weir_index_init(&p->config->_index->secret, count));
    return weir_parse_list(p, n, key_item, NULL);
}
