/* SPDX-License-Identifier: Apache-2.0 */
#include "service/reservation.h"

#include <xxhash.h>

/* Binary form, little-endian: u8 version, u64 nonce, epoch, at_us, requests, input, output, the
 * name, and the low 4 bytes of the XXH3 of all that. */
enum {
    VERSION = 1,
    WORDS = 6,
    FIXED = 1 + 8 * WORDS,
    CHECK = 4,
    BINARY_MAX = FIXED + WEIR_SUBJECT_NAME_MAX + CHECK,
};

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static const struct weir_str prefix = {"rsv_", 4};

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
                            struct weir_str name)
{
    WEIR_ASSERT(name.len <= WEIR_SUBJECT_NAME_MAX);
    const uint64_t words[WORDS] = {
        r->nonce,
        r->epoch,
        r->at_us,
        r->reserved.of[WEIR_METER_REQUESTS],
        r->reserved.of[WEIR_METER_INPUT_TOKENS],
        r->reserved.of[WEIR_METER_OUTPUT_TOKENS],
    };
    uint8_t binary[BINARY_MAX] = {VERSION};
    memcpy(binary + 1, words, sizeof(words));
    memcpy(binary + FIXED, name.p, name.len);
    uint32_t check = check_of(binary, FIXED + name.len);
    memcpy(binary + FIXED + name.len, &check, CHECK);
    weir_buf_str(b, prefix);
    write_base64(b, binary, FIXED + name.len + CHECK);
}

enum weir_err weir_reservation_read(struct weir_str text,
                                    char space[static WEIR_RESERVATION_TEXT_MAX],
                                    struct weir_reservation *ret_reservation,
                                    struct weir_str *ret_name)
{
    uint8_t binary[BINARY_MAX];
    size_t len;
    uint32_t check;
    uint64_t words[WORDS];
    if (!weir_str_starts(text, prefix) ||
        !read_base64(weir_str(text.p + prefix.len, text.len - prefix.len), binary, sizeof(binary),
                     &len) ||
        len < FIXED + CHECK || binary[0] != VERSION) {
        return WEIR_ERR_INVALID;
    }
    memcpy(&check, binary + len - CHECK, CHECK);
    memcpy(words, binary + 1, sizeof(words));
    if (check != check_of(binary, len - CHECK)) {
        return WEIR_ERR_INVALID;
    }
    for (unsigned i = 3; i < WORDS; i++) {
        if (words[i] > WEIR_AMOUNT_MAX / 2) {
            return WEIR_ERR_INVALID;
        }
    }
    size_t name_len = len - FIXED - CHECK;
    memcpy(space, binary + FIXED, name_len);
    *ret_name = weir_str(space, name_len);
    *ret_reservation = (struct weir_reservation){
        .nonce = words[0],
        .epoch = words[1],
        .at_us = words[2],
        .reserved = weir_amounts(words[3], words[4], words[5]),
    };
    return WEIR_OK;
}
