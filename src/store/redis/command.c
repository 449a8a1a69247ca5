/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis/command.h"

#include <inttypes.h>
#include <openssl/evp.h>

#include "charge_lua.h" /* made of charge.lua by CMake: charge_lua[] */

enum { SETTLES = 1, CLAIMS = 2, LEASES = 4, WORD = 7, ASKED = 3 };

enum {
    CALL_BYTES = (4 + 2 * ASKED) * WORD + 1,
    LEASE_BYTES = ASKED * WORD + 2 + WEIR_CALL_RETURNS_MAX * (1 + ASKED) * WORD +
                  WEIR_CALL_ASKS_MAX * ASKED * WORD,
    CLAIM_BYTES = sizeof(":s:0123456789abcdef"),
};

static void word(struct weir_buf *b, struct weir_str s)
{
    weir_buf_char(b, '$');
    weir_buf_u64(b, s.len);
    WEIR_BUF_LIT(b, "\r\n");
    weir_buf_str(b, s);
    WEIR_BUF_LIT(b, "\r\n");
}

static void word_u64(struct weir_buf *b, uint64_t value)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%" PRIu64, value);
    word(b, weir_str(digits, (size_t)len));
}

static void begin(struct weir_buf *b, unsigned words)
{
    weir_buf_char(b, '*');
    weir_buf_u64(b, words);
    WEIR_BUF_LIT(b, "\r\n");
}

void weir_redis_command(struct weir_buf *b, const struct weir_str *w, unsigned n)
{
    begin(b, n);
    for (unsigned i = 0; i < n; i++) {
        word(b, w[i]);
    }
}

struct weir_str weir_redis_script(void)
{
    return weir_str((const char *)charge_lua, sizeof(charge_lua));
}

void weir_redis_sha(struct weir_str script, char ret_hex[static 40])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int ok = EVP_Digest(script.p, script.len, digest, &len, EVP_sha1(), NULL);
    WEIR_ASSERT(ok == 1 && len == 20);
    for (unsigned i = 0; i < len; i++) {
        ret_hex[2 * i] = hex[digest[i] >> 4];
        ret_hex[2 * i + 1] = hex[digest[i] & 15];
    }
}

void weir_redis_script_sha(char ret_hex[static 40])
{
    weir_redis_sha(weir_redis_script(), ret_hex);
}

/* The low 7 bytes, the form '<I7' of the script. Values never need more (2^52, microseconds). */
static uint8_t *put(uint8_t *p, uint64_t value)
{
    for (unsigned i = 0; i < WORD; i++) {
        *p++ = (uint8_t)(value >> 8 * i);
    }
    return p;
}

static char *copy(char *to, struct weir_str s)
{
    WEIR_ASSERT(s.len <= WEIR_SUBJECT_NAME_MAX);
    memcpy(to, s.p, s.len);
    return to + s.len;
}

/* weir:{root} */
static char *put_root(char *to, const struct weir_subject *subject)
{
    to = copy(to, WEIR_STR("weir:{"));
    to = copy(to, subject->root.len > 0 ? subject->root : subject->name);
    return copy(to, WEIR_STR("}"));
}

struct weir_str weir_redis_key(const struct weir_subject *subject,
                               char buf[static WEIR_REDIS_KEY_MAX])
{
    char *end = put_root(buf, subject);
    if (subject->root.len > 0) {
        end = copy(copy(end, WEIR_STR(":")), subject->name);
    }
    return weir_str(buf, (size_t)(end - buf));
}

static void key(struct weir_buf *b, const struct weir_subject *subject)
{
    char buf[WEIR_REDIS_KEY_MAX];
    word(b, weir_redis_key(subject, buf));
}

/* What remembers that a reservation was settled: beside the value of its first subject. */
static void claim_key(struct weir_buf *b, const struct weir_subject *subject, uint64_t nonce)
{
    char buf[WEIR_REDIS_KEY_MAX + CLAIM_BYTES];
    char *end = put_root(buf, subject);
    int len = snprintf(end, CLAIM_BYTES, ":s:%016" PRIx64, nonce);
    word(b, weir_str(buf, (size_t)(end - buf) + (size_t)len));
}

/* Without total_tokens, which is the sum of two. */
static uint8_t *put_amounts(uint8_t *p, const struct weir_amounts *a)
{
    p = put(p, a->of[WEIR_METER_REQUESTS]);
    p = put(p, a->of[WEIR_METER_INPUT_TOKENS]);
    return put(p, a->of[WEIR_METER_OUTPUT_TOKENS]);
}

static uint8_t *put_lease(uint8_t *p, const struct weir_redis_lease *l)
{
    WEIR_ASSERT(l->returns <= WEIR_CALL_RETURNS_MAX && l->asks <= WEIR_CALL_ASKS_MAX);
    p = put_amounts(p, &l->want);
    *p++ = (uint8_t)l->returns;
    *p++ = (uint8_t)l->asks;
    for (unsigned i = 0; i < l->returns; i++) {
        p = put(p, l->back[i].at_us);
        p = put_amounts(p, &l->back[i].less);
    }
    for (unsigned i = 0; i < l->asks; i++) {
        p = put_amounts(p, l->ask[i]);
    }
    return p;
}

static void call(struct weir_buf *b, const struct weir_redis_charge *c)
{
    uint8_t bytes[CALL_BYTES + LEASE_BYTES];
    uint8_t *p = put(bytes, c->clock.low_us);
    p = put(p, c->clock.high_us);
    *p++ = (uint8_t)((c->settles ? SETTLES : 0) | (c->claim_nonce != 0 ? CLAIMS : 0) |
                     (c->lease != NULL ? LEASES : 0));
    p = put(p, c->claim_ms);
    p = put(p, c->taken_at_us);
    p = put_amounts(p, &c->amounts);
    p = put_amounts(p, &c->less);
    if (c->lease != NULL) {
        p = put_lease(p, c->lease);
    }
    word(b, weir_str((const char *)bytes, (size_t)(p - bytes)));
}

/* For each window: u24 seconds, u8 mask, u8 meters; for each meter: u8, its capacity. */
struct weir_str weir_redis_plan(const struct weir_plan *plan, char buf[static WEIR_REDIS_PLAN_MAX])
{
    uint8_t *p = (uint8_t *)buf;
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        *p++ = (uint8_t)w->window_s;
        *p++ = (uint8_t)(w->window_s >> 8);
        *p++ = (uint8_t)(w->window_s >> 16);
        *p++ = w->mask;
        *p++ = w->meters;
        for (unsigned i = 0; i < w->meters; i++) {
            *p++ = w->meter[i];
            p = put(p, w->capacity[i]);
        }
    }
    return weir_str(buf, (size_t)(p - (uint8_t *)buf));
}

static void plan_word(struct weir_buf *b, const struct weir_plan *plan)
{
    char buf[WEIR_REDIS_PLAN_MAX];
    word(b, weir_redis_plan(plan, buf));
}

void weir_redis_charge_command(struct weir_buf *b, const char sha[static 40],
                               const struct weir_redis_charge *c)
{
    unsigned keys = c->subjects + (c->claim_nonce != 0);
    begin(b, 3 + keys + 1 + c->subjects);
    word(b, WEIR_STR("EVALSHA"));
    word(b, weir_str(sha, 40));
    word_u64(b, keys);
    for (unsigned i = 0; i < c->subjects; i++) {
        key(b, c->subject[i]);
    }
    if (c->claim_nonce != 0) {
        claim_key(b, c->subject[0], c->claim_nonce);
    }
    call(b, c);
    for (unsigned i = 0; i < c->subjects; i++) {
        plan_word(b, c->subject[i]->plan);
    }
}
