/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets that weir makes, what is kept of them, and keys that are found by them. */
#include "base/buf.h"
#include "base/mem.h"
#include "config/issued.h"
#include "support/configs.h"

#define LETTERS "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define ZEROS   "000000000000000000000000000000000000000000000000000000000000000" /* 63 */

/* A secret with these first letters, the rest of it zeros. */
static void secret_of(const char *lookup, char to[static WEIR_ISSUED_BYTES + 1])
{
    snprintf(to, WEIR_ISSUED_BYTES + 1, "sk-weir-%s%.32s", lookup, ZEROS);
    assert_int_equal(strlen(to), WEIR_ISSUED_BYTES);
}

static void test_form(void **state)
{
    (void)state;
    char a[WEIR_ISSUED_BYTES + 1], b[WEIR_ISSUED_BYTES + 1];
    struct weir_str lookup;
    weir_issue_secret(a);
    weir_issue_secret(b);
    assert_int_equal(strlen(a), 52);
    assert_memory_equal(a, "sk-weir-", 8);
    assert_int_equal(strspn(a + 8, LETTERS), 44);
    assert_memory_not_equal(a, b, WEIR_ISSUED_BYTES);
    assert_true(weir_is_issued(weir_str_z(a), &lookup));
    assert_ptr_equal(lookup.p, a + 8);
    assert_int_equal(lookup.len, WEIR_LOOKUP_BYTES);
    assert_false(weir_is_issued(weir_str(a, WEIR_ISSUED_BYTES - 1), &lookup));
    assert_false(weir_is_issued(weir_str(a, WEIR_ISSUED_BYTES + 1), &lookup));
    a[0] = 'S';
    assert_false(weir_is_issued(weir_str_z(a), &lookup));
    assert_false(weir_is_issued(WEIR_STR(""), &lookup));
}

/* Every letter comes, in thousands of them, about as often as the others. */
static void test_letters_alike(void **state)
{
    enum { SECRETS = 1000, MEAN = SECRETS * 44 / 62 };
    (void)state;
    unsigned count[256] = {0};
    for (unsigned i = 0; i < SECRETS; i++) {
        char secret[WEIR_ISSUED_BYTES + 1];
        weir_issue_secret(secret);
        for (const char *p = secret + 8; *p != '\0'; p++) {
            count[(unsigned char)*p]++;
        }
    }
    for (const char *p = LETTERS; *p != '\0'; p++) { /* 9 standard deviations */
        assert_in_range(count[(unsigned char)*p], MEAN * 2 / 3, MEAN * 4 / 3);
    }
}

static void test_salted(void **state)
{
    (void)state;
    char secret[WEIR_ISSUED_BYTES + 1], a[WEIR_SALTED_BYTES + 1], b[WEIR_SALTED_BYTES + 1];
    struct weir_key_secret kept;
    secret_of("0123456789ab", secret);
    weir_salt_secret(secret, a);
    weir_salt_secret(secret, b);
    assert_int_equal(strlen(a), WEIR_SALTED_BYTES);
    assert_memory_equal(a, "0123456789ab:", 13);
    assert_memory_not_equal(a + 13, b + 13, 32);    /* another salt */
    assert_null(strstr(a, "00000000000000000000")); /* nothing of the secret's rest */
    assert_true(weir_salted_read(weir_str_z(a), &kept));
    assert_true(kept.salted);
    assert_memory_equal(kept.lookup, "0123456789ab", WEIR_LOOKUP_BYTES);
    assert_true(weir_salted_is(&kept, weir_str_z(secret)));
    secret[WEIR_ISSUED_BYTES - 1] = '1';
    assert_false(weir_salted_is(&kept, weir_str_z(secret)));
    secret[WEIR_ISSUED_BYTES - 1] = '0';
    kept.salt[15] ^= 1;
    assert_false(weir_salted_is(&kept, weir_str_z(secret)));
    kept.salt[15] ^= 1;
    kept.sha256[31] ^= 1;
    assert_false(weir_salted_is(&kept, weir_str_z(secret)));
}

/* A text of before is read for ever: this salt and this secret have this digest. */
static void test_known_digest(void **state)
{
    (void)state;
    char secret[WEIR_ISSUED_BYTES + 1];
    struct weir_key_secret kept;
    secret_of("0123456789ab", secret);
    assert_true(weir_salted_read(
        WEIR_STR("0123456789ab:000102030405060708090a0b0c0d0e0f:"
                 "3475dd12425364e93bda13e62c57bbcdafd799132beb6cea9738bcd1e5d21667"),
        &kept));
    assert_true(weir_salted_is(&kept, weir_str_z(secret)));
}

static void test_wrong_texts(void **state)
{
    (void)state;
    char secret[WEIR_ISSUED_BYTES + 1], text[WEIR_SALTED_BYTES + 2] = "", wrong[sizeof(text)];
    static const struct {
        size_t at;
        char byte;
    } changes[] = {{0, ' '},  {11, '-'}, {12, '-'},  {13, 'g'}, {44, ' '},
                   {45, '.'}, {46, 'x'}, {109, ':'}, {5, '\0'}};
    struct weir_key_secret kept = {.salt = {7}}, before = kept;
    secret_of("0123456789ab", secret);
    weir_salt_secret(secret, text);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        memcpy(wrong, text, sizeof(text));
        wrong[changes[i].at] = changes[i].byte;
        assert_false(weir_salted_read(weir_str(wrong, WEIR_SALTED_BYTES), &kept));
    }
    assert_false(weir_salted_read(weir_str(text, WEIR_SALTED_BYTES - 1), &kept));
    assert_false(weir_salted_read(weir_str(text, WEIR_SALTED_BYTES + 1), &kept));
    assert_false(weir_salted_read(WEIR_STR(""), &kept));
    assert_memory_equal(&kept, &before, sizeof(kept));
}

/* ---- keys of a file ---- */

static const struct weir_key *by_secret(const struct weir_config *config, const char *secret)
{
    uint8_t sha256[32], digest[32];
    const struct weir_key *key = weir_config_key_by_secret(config, weir_str_z(secret), sha256);
    weir_sha256(weir_str_z(secret), digest);
    assert_memory_equal(sha256, digest, 32);
    return key;
}

static void test_found(void **state)
{
    (void)state;
    char a[WEIR_ISSUED_BYTES + 1], b[WEIR_ISSUED_BYTES + 1], salted[2][WEIR_SALTED_BYTES + 1];
    char yaml[1024];
    secret_of("aaaaaaaaaaaa", a);
    secret_of("bbbbbbbbbbbb", b);
    weir_salt_secret(a, salted[0]);
    weir_salt_secret(b, salted[1]);
    snprintf(yaml, sizeof(yaml),
             PLAN "keys:\n- {id: a, secret_salted: '%s', plan: p}\n"
                  "- {id: b, secret_salted: '%s', plan: p}\n- {id: c, secret: cs, plan: p}\n"
                  "- {id: d, secret: sk-weir-dddddddddddd%.32s, plan: p}\n",
             salted[0], salted[1], ZEROS);
    struct weir_config *c = taken(yaml);
    assert_ptr_equal(by_secret(c, a), &c->key[0]);
    assert_ptr_equal(by_secret(c, b), &c->key[1]);
    assert_ptr_equal(by_secret(c, "cs"), &c->key[2]);
    char d[WEIR_ISSUED_BYTES + 1]; /* of such a form, and the file has it plain */
    secret_of("dddddddddddd", d);
    assert_ptr_equal(by_secret(c, d), &c->key[3]);
    a[WEIR_ISSUED_BYTES - 1] = '1'; /* its lookup alone opens nothing */
    assert_null(by_secret(c, a));
    assert_null(by_secret(c, "aaaaaaaaaaaa"));
    assert_null(by_secret(c, salted[0])); /* nor does what is kept */
    weir_config_free(c);
}

static void test_refused(void **state)
{
    (void)state;
    char secret[WEIR_ISSUED_BYTES + 1], salted[2][WEIR_SALTED_BYTES + 1], yaml[1024];
    secret_of("aaaaaaaaaaaa", secret);
    weir_salt_secret(secret, salted[0]);
    secret[WEIR_ISSUED_BYTES - 1] = '1';
    weir_salt_secret(secret, salted[1]); /* another secret that is found alike */
    snprintf(yaml, sizeof(yaml),
             PLAN "keys:\n- {id: a, secret_salted: '%s', plan: p}\n"
                  "- {id: b, secret_salted: '%s', plan: p}\n",
             salted[0], salted[1]);
    refused(yaml, 4, 3, "keys: the secret of \"b\" is another key's too");
    snprintf(yaml, sizeof(yaml), PLAN "keys: [{id: a, secret_salted: '%s', secret: s, plan: p}]\n",
             salted[0]);
    refused(yaml, 2, 153, "secret: expected one of secret, secret_sha256 and secret_salted");
    refused(PLAN "keys: [{id: a, secret_salted: abc, plan: p}]\n", 2, 31,
            "secret_salted: expected what weir made of a secret");
}

/* ---- disabled ---- */

static bool is_disabled(const struct weir_config *config, const char *id)
{
    const struct weir_key *key = weir_config_key_by_id(config, weir_str_z(id));
    assert_non_null(key);
    return weir_key_disabled(key);
}

static void test_disabled(void **state)
{
    (void)state;
    struct weir_config *c = taken(PLAN "orgs:\n- {id: on, plan: p}\n"
                                       "- {id: off, plan: p, disabled: true}\n"
                                       "teams:\n- {id: on, org: on}\n- {id: above, org: off}\n"
                                       "- {id: off, org: on, disabled: true}\n"
                                       "keys:\n- {id: on, secret: a, plan: p, disabled: false}\n"
                                       "- {id: off, secret: b, plan: p, disabled: true}\n"
                                       "- {id: team-on, secret: c, team: on}\n"
                                       "- {id: team-off, secret: d, team: off}\n"
                                       "- {id: team-above, secret: e, team: above}\n"
                                       "- {id: org-off, secret: f, org: off}\n"
                                       "- {id: both, secret: g, team: on, disabled: true}\n");
    assert_false(is_disabled(c, "on"));
    assert_true(is_disabled(c, "off"));
    assert_false(is_disabled(c, "team-on"));
    assert_true(is_disabled(c, "team-off"));
    assert_true(is_disabled(c, "team-above"));
    assert_true(is_disabled(c, "org-off"));
    assert_true(is_disabled(c, "both"));
    assert_ptr_equal(by_secret(c, "b"), &c->key[1]); /* who it is stays known */
    weir_config_free(c);
    refused(PLAN "keys: [{id: a, secret: b, plan: p, disabled: maybe}]\n", 2, 46, "disabled");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),        cmocka_unit_test(test_letters_alike),
        cmocka_unit_test(test_salted),      cmocka_unit_test(test_known_digest),
        cmocka_unit_test(test_wrong_texts), cmocka_unit_test(test_found),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_disabled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
