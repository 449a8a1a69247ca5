/* SPDX-License-Identifier: Apache-2.0 */
#include "config/issued.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/hash.h"
#include "base/mem.h"
#include "config/parse.h"

static const struct weir_str prefix = WEIR_STR_INIT("sk-weir-");
static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

enum { LETTERS = sizeof(letters) - 1, FAIR = 256 / LETTERS * LETTERS };

void weir_issue_secret(char ret_secret[static WEIR_ISSUED_BYTES + 1])
{
    size_t len = prefix.len;
    uint8_t random[64];
    memcpy(ret_secret, prefix.p, len);
    while (len < WEIR_ISSUED_BYTES) {
        weir_random_bytes(random, sizeof(random));
        for (size_t i = 0; i < sizeof(random) && len < WEIR_ISSUED_BYTES; i++) {
            if (random[i] < FAIR) { /* all letters alike */
                ret_secret[len++] = letters[random[i] % LETTERS];
            }
        }
    }
    ret_secret[len] = '\0';
    weir_wipe(random, sizeof(random));
}

bool weir_is_issued(struct weir_str secret, struct weir_str *ret_lookup)
{
    if (secret.len != WEIR_ISSUED_BYTES || !weir_str_starts(secret, prefix)) {
        return false;
    }
    *ret_lookup = weir_str(secret.p + prefix.len, WEIR_LOOKUP_BYTES);
    return true;
}

static void digest(const uint8_t *salt, size_t salt_len, struct weir_str secret,
                   uint8_t ret_sha256[static 32])
{
    uint8_t both[16 + WEIR_SECRET_MAX];
    WEIR_ASSERT(salt_len + secret.len <= sizeof(both));
    memcpy(both, salt, salt_len);
    memcpy(both + salt_len, secret.p, secret.len);
    weir_sha256(weir_str((const char *)both, salt_len + secret.len), ret_sha256);
    weir_wipe(both, sizeof(both));
}

static char *hex(const uint8_t *bytes, size_t len, char *to)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        *to++ = digits[bytes[i] >> 4];
        *to++ = digits[bytes[i] & 15];
    }
    return to;
}

void weir_salt_secret(const char *secret, char ret_text[static WEIR_SALTED_BYTES + 1])
{
    struct weir_key_secret kept;
    char *to = ret_text;
    weir_random_bytes(kept.salt, sizeof(kept.salt));
    digest(kept.salt, sizeof(kept.salt), weir_str(secret, WEIR_ISSUED_BYTES), kept.sha256);
    memcpy(to, secret + prefix.len, WEIR_LOOKUP_BYTES);
    to += WEIR_LOOKUP_BYTES;
    *to++ = ':';
    to = hex(kept.salt, sizeof(kept.salt), to);
    *to++ = ':';
    to = hex(kept.sha256, sizeof(kept.sha256), to);
    *to = '\0';
}

static bool is_letters(struct weir_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == '\0' || strchr(letters, text.p[i]) == NULL) {
            return false;
        }
    }
    return true;
}

bool weir_salted_read(struct weir_str text, struct weir_key_secret *ret_kept)
{
    enum { SALT = WEIR_LOOKUP_BYTES + 1, DIGEST = SALT + 33 };
    struct weir_key_secret kept = {.salted = true};
    if (text.len != WEIR_SALTED_BYTES || text.p[SALT - 1] != ':' || text.p[DIGEST - 1] != ':' ||
        !is_letters(weir_str(text.p, WEIR_LOOKUP_BYTES)) ||
        !weir_parse_hex(weir_str(text.p + SALT, 32), sizeof(kept.salt), kept.salt) ||
        !weir_parse_hex(weir_str(text.p + DIGEST, 64), sizeof(kept.sha256), kept.sha256)) {
        return false;
    }
    memcpy(kept.lookup, text.p, sizeof(kept.lookup));
    *ret_kept = kept;
    return true;
}

bool weir_salted_is(const struct weir_key_secret *kept, struct weir_str secret)
{
    uint8_t sha256[32];
    digest(kept->salt, sizeof(kept->salt), secret, sha256);
    return CRYPTO_memcmp(sha256, kept->sha256, sizeof(sha256)) == 0;
}
