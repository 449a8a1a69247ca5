/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - the `keys` section, and finding a key by its secret or its id. */
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/hash.h"
#include "base/mem.h"
#include "config/parse.h"

/* Two open hash tables of key numbers + 1; 0: free. At most half full. */
struct weir_config_index {
    uint32_t slots; /* a power of two */
    uint32_t *by_secret;
    uint32_t *by_id;
};

void weir_sha256(struct weir_str secret, uint8_t ret_digest[static 32])
{
    unsigned len = 0;
    int ok = EVP_Digest(secret.p, secret.len, ret_digest, &len, EVP_sha256(), NULL);
    WEIR_ASSERT(ok == 1 && len == 32);
}

static uint32_t first_slot(const struct weir_config_index *index, struct weir_str s)
{
    uint64_t hash[2];
    weir_hash128(s.p, s.len, hash);
    return (uint32_t)hash[0] & (index->slots - 1);
}

static struct weir_str digest_of(const uint8_t *sha256)
{
    return weir_str((const char *)sha256, 32);
}

const struct weir_key *weir_config_key_by_sha256(const struct weir_config *config,
                                                 const uint8_t sha256[static 32])
{
    const struct weir_config_index *index = config->_index;
    uint32_t i = first_slot(index, digest_of(sha256));
    for (; index->by_secret[i] != 0; i = (i + 1) & (index->slots - 1)) {
        const struct weir_key *key = &config->key[index->by_secret[i] - 1];
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
    const struct weir_config_index *index = config->_index;
    uint32_t i = first_slot(index, id);
    for (; index->by_id[i] != 0; i = (i + 1) & (index->slots - 1)) {
        const struct weir_key *key = &config->key[index->by_id[i] - 1];
        if (weir_str_eq(id_of(key), id)) {
            return key;
        }
    }
    return NULL;
}

static void index_add(const struct weir_config_index *index, uint32_t *table, struct weir_str s,
                      uint32_t number)
{
    uint32_t i = first_slot(index, s);
    while (table[i] != 0) {
        i = (i + 1) & (index->slots - 1);
    }
    table[i] = number;
}

/* Room for all keys that the list may hold. */
static enum weir_err index_new(struct weir_config *config, size_t keys)
{
    struct weir_config_index *index = weir_zalloc(sizeof(*index));
    if (index == NULL) {
        return WEIR_ERR_NOMEM;
    }
    config->_index = index;
    index->slots = 4;
    while (index->slots < keys * 2) {
        index->slots *= 2;
    }
    index->by_secret = weir_zalloc_array(index->slots, sizeof(uint32_t));
    index->by_id = weir_zalloc_array(index->slots, sizeof(uint32_t));
    return index->by_secret == NULL || index->by_id == NULL ? WEIR_ERR_NOMEM : WEIR_OK;
}

enum weir_err weir_config_index_build(struct weir_config *config)
{
    return config->_index != NULL ? WEIR_OK : index_new(config, 0);
}

void weir_config_index_free(struct weir_config *config)
{
    if (config->_index != NULL) {
        weir_free(config->_index->by_secret);
        weir_free(config->_index->by_id);
        weir_free(config->_index);
    }
}

/* ---- the section ---- */

struct key_draft {
    struct weir_str id;
    bool has_secret;
    uint8_t sha256[32];
    const struct weir_plan *plan;
};

static bool id_valid(struct weir_str id)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@-";
    for (size_t i = 0; i < id.len; i++) {
        if (memchr(allowed, id.p[i], sizeof(allowed) - 1) == NULL) {
            return false;
        }
    }
    return id.len > 0 && id.len <= WEIR_KEY_ID_MAX;
}

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

static enum weir_err key_field(struct parse *p, struct weir_str key, const struct node *value,
                               void *ctx)
{
    struct key_draft *d = ctx;
    struct weir_str name;
    if (weir_str_eq(key, WEIR_STR("id"))) {
        WEIR_TRY(weir_parse_scalar(p, value, "a text", &d->id));
        if (!id_valid(d->id)) {
            return weir_parse_fail(p, value,
                                   "id: expected 1 to %d characters of A-Z a-z 0-9 . _ : @ -",
                                   WEIR_KEY_ID_MAX);
        }
        return WEIR_OK;
    }
    if (weir_str_eq(key, WEIR_STR("secret"))) {
        return secret_field(p, value, d, false);
    }
    if (weir_str_eq(key, WEIR_STR("secret_sha256"))) {
        return secret_field(p, value, d, true);
    }
    if (weir_str_eq(key, WEIR_STR("plan"))) {
        WEIR_TRY(weir_parse_scalar(p, value, "the name of a plan", &name));
        d->plan = weir_plan_by_name(p->config, name);
        return d->plan != NULL ? WEIR_OK
                               : weir_parse_fail(p, value, "plan: expected the name of a plan");
    }
    const struct node unnamed = {.key = value->key, .name = ""}; /* `secret x` without its colon */
    return weir_parse_unknown(p, &unnamed, "a key; expected id, secret, secret_sha256 or plan");
}

static enum weir_err key_item(struct parse *p, const struct node *n, void *ctx)
{
    struct weir_config *config = p->config;
    struct key_draft d = {0};
    (void)ctx;
    WEIR_TRY(weir_parse_mapping(p, n, key_field, &d));
    if (d.id.len == 0 || !d.has_secret || d.plan == NULL) {
        return weir_parse_fail(p, n, "keys: expected id, secret or secret_sha256, and plan");
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
    memcpy(key->name, "key:", 4);
    memcpy(key->name + 4, d.id.p, d.id.len);
    key->subject.name = weir_str(key->name, 4 + d.id.len);
    key->subject.plan = d.plan;
    weir_subject_id(key->subject.name, key->subject.id);
    index_add(config->_index, config->_index->by_id, id_of(key), (uint32_t)config->keys);
    index_add(config->_index, config->_index->by_secret, digest_of(key->secret_sha256),
              (uint32_t)config->keys);
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
    WEIR_TRY(index_new(p->config, count));
    return weir_parse_list(p, n, key_item, NULL);
}
