/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - the `keys` section, and finding a key by its secret or its id. */
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/mem.h"
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

const struct weir_key *weir_config_key_by_sha256(const struct weir_config *config,
                                                 const uint8_t sha256[static 32])
{
    const struct weir_index *index = &config->_index->secret;
    uint32_t at = weir_index_first(index, digest_of(sha256)), number;
    while ((number = weir_index_next(index, &at)) != 0) {
        const struct weir_key *key = &config->key[number - 1];
        if (CRYPTO_memcmp(key->secret_sha256, sha256, 32) == 0) {
            return key;
        }
    }
    return NULL;
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

struct key_draft {
    struct weir_str id;
    bool has_secret;
    uint8_t sha256[32];
    const struct weir_plan *plan;
    const struct weir_group *group;
};

static enum weir_err secret_field(struct parse *p, const struct node *value, struct key_draft *d,
                                  bool hashed)
{
    char buf[WEIR_SECRET_MAX + 2];
    struct weir_str secret;
    if (d->has_secret) {
        return weir_parse_fail(p, value, "%s: expected one of secret and secret_sha256",
                               value->name);
    }
    enum weir_err err = weir_parse_secret(p, value, buf, &secret);
    if (err == WEIR_OK && !hashed) {
        weir_sha256(secret, d->sha256);
    } else if (err == WEIR_OK && !weir_parse_hex(secret, sizeof(d->sha256), d->sha256)) {
        err = weir_parse_fail(p, value, "secret_sha256: expected 64 hexadecimal digits");
    }
    weir_wipe(buf, sizeof(buf));
    d->has_secret = true;
    return err;
}

static enum weir_err group_field(struct parse *p, const struct node *value, struct key_draft *d,
                                 enum weir_scope scope)
{
    if (d->group != NULL) {
        return weir_parse_fail(p, value, "%s: expected one of team and org", value->name);
    }
    return weir_parse_group(p, value, scope, &d->group);
}

static enum weir_err key_field(struct parse *p, struct weir_str key, const struct node *value,
                               void *ctx)
{
    struct key_draft *d = ctx;
    if (weir_str_eq(key, WEIR_STR("id"))) {
        return weir_parse_id(p, value, &d->id);
    }
    if (weir_str_eq(key, WEIR_STR("secret"))) {
        return secret_field(p, value, d, false);
    }
    if (weir_str_eq(key, WEIR_STR("secret_sha256"))) {
        return secret_field(p, value, d, true);
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
    const struct node unnamed = {.key = value->key, .name = ""}; /* `secret x` without its colon */
    return weir_parse_unknown(p, &unnamed,
                              "a key; expected id, secret, secret_sha256, plan, team or org");
}

static enum weir_err key_item(struct parse *p, const struct node *n, void *ctx)
{
    struct weir_config *config = p->config;
    struct key_draft d = {0};
    (void)ctx;
    WEIR_TRY(weir_parse_mapping(p, n, key_field, &d));
    if (d.id.len == 0 || !d.has_secret || (d.plan == NULL && d.group == NULL)) {
        return weir_parse_fail(p, n,
                               "keys: expected id, secret or secret_sha256, and plan, team or org");
    }
    if (weir_config_key_by_id(config, d.id) != NULL) {
        return weir_parse_fail(p, n, "keys: the id \"%.*s\" is there twice", (int)d.id.len, d.id.p);
    }
    if (weir_config_key_by_sha256(config, d.sha256) != NULL) {
        return weir_parse_fail(p, n, "keys: the secret of \"%.*s\" is another key's too",
                               (int)d.id.len, d.id.p);
    }
    struct weir_key *key = &config->key[config->keys++];
    memcpy(key->secret_sha256, d.sha256, sizeof(key->secret_sha256));
    weir_subject_set(&key->subject, key->name, WEIR_SCOPE_KEY, d.id, d.plan);
    key->group = d.group;
    weir_subject_belongs(&key->subject, d.group);
    weir_index_add(&config->_index->key, d.id, (uint32_t)config->keys);
    weir_index_add(&config->_index->secret, digest_of(key->secret_sha256), (uint32_t)config->keys);
    return WEIR_OK;
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
