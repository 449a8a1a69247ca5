/* SPDX-License-Identifier: Apache-2.0 */
/* issued.h - secrets of keys that weir makes: "sk-weir-", 12 characters by which the key is found,
 * 32 that nobody can guess (190 bits), all of [0-9A-Za-z]. What is kept of one is its lookup and a
 * SHA-256 over a salt of its own and the whole secret. */
#ifndef WEIR_CONFIG_ISSUED_H
#define WEIR_CONFIG_ISSUED_H

#include "config/config.h"

enum {
    WEIR_ISSUED_BYTES = 8 + WEIR_LOOKUP_BYTES + 32,
    /* "LOOKUP:SALT:DIGEST", the last two in hexadecimal, as the field `secret_salted` */
    WEIR_SALTED_BYTES = WEIR_LOOKUP_BYTES + 1 + 32 + 1 + 64,
};

/* A new one, from the kernel's randomness. Wipe it after use. */
void weir_issue_secret(char ret_secret[static WEIR_ISSUED_BYTES + 1]);
/* What is kept of it, under a new salt, as a text. */
void weir_salt_secret(const char *secret, char ret_text[static WEIR_SALTED_BYTES + 1]);
/* That text read. */
bool weir_salted_read(struct weir_str text, struct weir_key_secret *ret_kept);
/* Whether a text has the form of such a secret; *ret_lookup: its part. */
bool weir_is_issued(struct weir_str secret, struct weir_str *ret_lookup);
/* In constant time. */
bool weir_salted_is(const struct weir_key_secret *kept, struct weir_str secret);

#endif
