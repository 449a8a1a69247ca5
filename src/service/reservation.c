/* SPDX-License-Identifier: Apache-2.0 */
#include "service/reservation.h"

#include <xxhash.h>

#include "config/scope.h"

/* Binary form, little-endian: u8 version, u64 nonce, epoch, at_us, shared_at_us, u32 primary,
 * shared_primary, u64 requests, input, output, for each subject a u8 length and its name, and the
 * low 4 bytes of the XXH3 of all that. */
enum {
    VERSION = 4,
    PRIMARIES = 4, /* the words before it */
    AMOUNTS,
    WORDS = AMOUNTS + 3,
    FIXED = 1 + 8 * WORDS,
    CHECK = 4,
    BINARY_MAX = FIXED + WEIR_SUBJECTS_MAX * (1 + WEIR_SUBJECT_NAME_MAX) + CHECK,
};

_Static_assert((int)WEIR_SUBJECT_NAME_MAX <= UINT8_MAX, "a length is a byte");
_Static_assert(4 + (BINARY_MAX * 4 + 2) / 3 == WEIR_RESERVATION_TEXT_MAX, "the longest text");

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static const struct weir_str prefix = WEIR_STR_INIT("rsv_");

static void write_base64(struct weir_buf *b, const uint8_t *p, size_t len)
{
    char out[BINARY_MAX * 4 / 3 + 4];
    size_t n = 0;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = (uint32_t)p[i] << 16;
        group |= i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0;
        group |= i + 2 < len ? p[i + 2] : 0;
        out[n++] = alphabet[group >> 18];
        out[n++] = alphabet[group >> 12 & 63];
        if (i + 1 < len) {
            out[n++] = alphabet[group >> 6 & 63];
        }
        if (i + 2 < len) {
            out[n++] = alphabet[group & 63];
        }
    }
    weir_buf_append(b, out, n);
}

static int digit_of(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '-'             ? 62
           : c == '_'             ? 63
                                  : -1;
}

/* False for another character, or for bits behind the last byte: a text has one spelling. At most
 * `room` bytes are written. */
static bool read_base64(struct weir_str text, uint8_t *out, size_t room, size_t *ret_len)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_of(text.p[i]);
        if (digit < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            if (n == room) {
                return false;
            }
            out[n++] = (uint8_t)(bits >> held);
        }
    }
    *ret_len = n;
    return held < 6 && (bits & ((1U << held) - 1)) == 0;
}

static uint32_t check_of(const uint8_t *p, size_t len)
{
    return (uint32_t)XXH3_64bits(p, len);
}

void weir_reservation_write(struct weir_buf *b, const struct weir_reservation *r,
                            const struct weir_subject *const *subject, unsigned subjects)
{
    WEIR_ASSERT(subjects > 0 && subjects <= WEIR_SUBJECTS_MAX);
    const uint64_t words[WORDS] = {
        r->nonce,
        r->epoch,
        r->at_us,
        r->shared_at_us,
        (uint64_t)r->shared_primary << 32 | r->primary,
        r->reserved.of[WEIR_METER_REQUESTS],
        r->reserved.of[WEIR_METER_INPUT_TOKENS],
        r->reserved.of[WEIR_METER_OUTPUT_TOKENS],
    };
    uint8_t binary[BINARY_MAX] = {VERSION};
    size_t len = FIXED;
    memcpy(binary + 1, words, sizeof(words));
    for (unsigned i = 0; i < subjects; i++) {
        struct weir_str name = subject[i]->name;
        WEIR_ASSERT(name.len <= WEIR_SUBJECT_NAME_MAX);
        binary[len++] = (uint8_t)name.len;
        memcpy(binary + len, name.p, name.len);
        len += name.len;
    }
    uint32_t check = check_of(binary, len);
    memcpy(binary + len, &check, CHECK);
    weir_buf_str(b, prefix);
    write_base64(b, binary, len + CHECK);
}

/* The names in these bytes, which they fill. */
static bool read_names(struct weir_str bytes, struct weir_reserved *r)
{
    int last_scope = -1;
    r->subjects = 0;
    while (bytes.len > 0 && r->subjects < WEIR_SUBJECTS_MAX) {
        size_t len = (uint8_t)bytes.p[0];
        struct weir_str name = weir_str(bytes.p + 1, len), id;
        enum weir_scope scope;
        if (len >= bytes.len || len > WEIR_SUBJECT_NAME_MAX ||
            weir_scope_split(name, &scope, &id) != WEIR_OK || (int)scope <= last_scope) {
            return false;
        }
        last_scope = (int)scope;
        r->subject[r->subjects++] = name;
        bytes = weir_str(bytes.p + 1 + len, bytes.len - 1 - len);
    }
    return bytes.len == 0 && r->subjects > 0;
}

enum weir_err weir_reservation_read(struct weir_str text,
                                    char space[static WEIR_RESERVATION_TEXT_MAX],
                                    struct weir_reserved *ret_reserved)
{
    uint8_t *binary = (uint8_t *)space;
    size_t len;
    uint32_t check;
    uint64_t words[WORDS];
    struct weir_reserved r = {0};
    if (!weir_str_starts(text, prefix) ||
        !read_base64(weir_str(text.p + prefix.len, text.len - prefix.len), binary, BINARY_MAX,
                     &len) ||
        len < FIXED + CHECK || binary[0] != VERSION) {
        return WEIR_ERR_INVALID;
    }
    memcpy(&check, binary + len - CHECK, CHECK);
    memcpy(words, binary + 1, sizeof(words));
    if (check != check_of(binary, len - CHECK) ||
        !read_names(weir_str(space + FIXED, len - FIXED - CHECK), &r)) {
        return WEIR_ERR_INVALID;
    }
    for (unsigned i = AMOUNTS; i < WORDS; i++) {
        if (words[i] > WEIR_AMOUNT_MAX / 2) {
            return WEIR_ERR_INVALID;
        }
    }
    r.reservation = (struct weir_reservation){
        .nonce = words[0],
        .epoch = words[1],
        .at_us = words[2],
        .shared_at_us = words[3],
        .primary = (uint32_t)words[PRIMARIES],
        .shared_primary = (uint32_t)(words[PRIMARIES] >> 32),
        .reserved = weir_amounts(words[AMOUNTS], words[AMOUNTS + 1], words[AMOUNTS + 2]),
    };
    *ret_reserved = r;
    return WEIR_OK;
}
