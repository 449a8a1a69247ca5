/* SPDX-License-Identifier: Apache-2.0 */
/* auth.c - who asks. Configured secrets are kept as SHA-256 only. A secret that was found before is
 * found again by its XXH3 under a random secret of this process: 128 bits that nobody outside can
 * compute or see, so a hit is no weaker than the digest; it saves the digest and its comparison. */
#include <openssl/crypto.h>

#include "base/hash.h"
#include "base/mem.h"
#include "service/access_log.h"

static struct weir_str bearer(const struct weir_http_request *http)
{
    struct weir_str value = weir_http_header(http, WEIR_STR("authorization"));
    struct weir_str scheme = WEIR_STR("bearer ");
    if (value.len <= scheme.len || !weir_str_eq_nocase(weir_str(value.p, scheme.len), scheme)) {
        return weir_str(NULL, 0);
    }
    return weir_str_trim(weir_str(value.p + scheme.len, value.len - scheme.len));
}

bool weir_bearer_is(const struct weir_http_request *http, const uint8_t sha256[static 32])
{
    uint8_t digest[32];
    struct weir_str token = bearer(http);
    weir_sha256(token, digest);
    return token.len > 0 && CRYPTO_memcmp(digest, sha256, sizeof(digest)) == 0;
}

const struct weir_key *weir_key_of_secret(struct weir_service *s, struct weir_str secret,
                                          uint8_t ret_sha256[static 32])
{
    struct weir_auth_slot *slot = s->snapshot->auth;
    uint32_t mask = s->snapshot->auth_slots - 1;
    uint64_t hash[2];
    weir_hash128(secret.p, secret.len, hash);
    uint32_t i = (uint32_t)hash[0] & mask;
    for (; slot[i].key != NULL; i = (i + 1) & mask) {
        if (slot[i].hash[0] == hash[0] && slot[i].hash[1] == hash[1]) {
            return slot[i].key;
        }
    }
    const struct weir_key *key = weir_config_key_by_secret(s->config, secret, ret_sha256);
    if (key != NULL) {
        slot[i] = (struct weir_auth_slot){{hash[0], hash[1]}, key};
    }
    return key;
}

enum weir_caller_found weir_caller_of(struct weir_request *r, struct weir_caller *ret_caller)
{
    struct weir_str secret = bearer(r->http);
    if (secret.len == 0) {
        secret = weir_http_header(r->http, WEIR_STR("x-api-key"));
    }
    if (secret.len == 0) {
        return WEIR_CALLER_SILENT;
    }
    if (secret.len > WEIR_SECRET_MAX) {
        return WEIR_CALLER_UNKNOWN;
    }
    ret_caller->key = weir_key_of_secret(r->service, secret, ret_caller->sha256);
    if (ret_caller->key == NULL && r->service->config->unknown_plan == NULL) {
        return WEIR_CALLER_UNKNOWN;
    }
    weir_access_caller(weir_access_of(r->service, r->x), ret_caller);
    if (ret_caller->key != NULL && weir_key_disabled(ret_caller->key)) {
        return WEIR_CALLER_DISABLED;
    }
    return WEIR_CALLER_KNOWN;
}

bool weir_authenticate(struct weir_request *r, struct weir_caller *ret_caller)
{
    enum weir_caller_found found = weir_caller_of(r, ret_caller);
    if (found == WEIR_CALLER_SILENT) {
        weir_refuse(
            r, 401, NULL, NULL,
            "You didn't provide an API key. You need to provide your API key in an "
            "Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).");
        return false;
    }
    if (found == WEIR_CALLER_UNKNOWN) {
        weir_refuse(r, 401, NULL, "invalid_api_key", "Incorrect API key provided.");
        return false;
    }
    if (found == WEIR_CALLER_DISABLED) {
        weir_refuse(r, 403, NULL, "key_disabled", "This API key is disabled.");
        return false;
    }
    return true;
}

bool weir_authorize_service(struct weir_request *r)
{
    const struct weir_config *config = r->service->config;
    if (!config->has_service_token) {
        if (!weir_http_peer_loopback(r->x)) {
            weir_refuse(r, 403, NULL, "service_token_required",
                        "Without a service_token in the configuration, only callers on the "
                        "loopback interface may use this API.");
            return false;
        }
        return true;
    }
    if (!weir_bearer_is(r->http, config->service_token_sha256)) {
        weir_refuse(r, 401, NULL, "invalid_service_token",
                    "This API expects the service token in an Authorization header using Bearer "
                    "auth.");
        return false;
    }
    return true;
}

/* ---- the subjects of a request ---- */

static const struct weir_str anonymous_prefix = WEIR_STR_INIT("key:anon-");

void weir_anonymous_init(struct weir_anonymous *a, const uint8_t sha256[static 32],
                         const struct weir_plan *plan)
{
    static const char hex[] = "0123456789abcdef";
    size_t at = anonymous_prefix.len;
    memcpy(a->name, anonymous_prefix.p, at);
    for (unsigned i = 0; i < 16; i++) {
        a->name[at++] = hex[sha256[i] >> 4];
        a->name[at++] = hex[sha256[i] & 15];
    }
    a->subject.name = weir_str(a->name, at);
    a->subject.plan = plan;
    weir_subject_id(a->subject.name, a->subject.id);
}

bool weir_anonymous_is(struct weir_str name)
{
    return weir_str_starts(name, anonymous_prefix);
}

void weir_call_subjects(struct weir_call *call, const struct weir_config *config,
                        const struct weir_caller *caller, struct weir_anonymous *a,
                        const struct weir_subject *model)
{
    if (caller->key != NULL) {
        call->subjects = (uint8_t)weir_key_subjects(caller->key, call->subject);
    } else {
        weir_anonymous_init(a, caller->sha256, config->unknown_plan);
        call->subject[0] = &a->subject;
        call->subjects = 1;
    }
    if (model != NULL) {
        call->subject[call->subjects++] = model;
    }
}
