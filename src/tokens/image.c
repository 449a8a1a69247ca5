/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens/image.h"

enum {
    TILE = 512,
    LONG_SIDE_MAX = 2048, /* scaled down to both, before tiles are counted */
    SHORT_SIDE_MAX = 768,
    PATCH = 32,
    PATCHES_MAX = 1536,
    NOT_KNOWN = 1024,
    SEGMENTS_MAX = 64, /* of a JPEG, before its size */
    HEAD_MAX = 128,    /* of a data: URL, before its data */
};

/* ---- costs ---- */

/* The first prefix that fits decides. */
static const struct {
    const char *prefix;
    struct weir_image_rule rule;
} rules[] = {
    {"gpt-4o-mini", {2833, 5667, 0}},
    {"gpt-4.1-mini", {0, 0, 162}},
    {"gpt-4.1-nano", {0, 0, 246}},
    {"gpt-5-mini", {0, 0, 162}},
    {"gpt-5-nano", {0, 0, 246}},
    {"gpt-5", {70, 140, 0}},
    {"o4-mini", {0, 0, 172}},
    {"o1", {75, 150, 0}},
    {"o3", {75, 150, 0}},
    {"", {85, 170, 0}},
};

struct weir_image_rule weir_image_rule_of(struct weir_str model)
{
    size_t i = 0;
    while (!weir_str_starts(model, weir_str_z(rules[i].prefix))) {
        i++;
    }
    return rules[i].rule;
}

/* Rounded up. */
static uint64_t pieces(double side, double piece)
{
    uint64_t n = (uint64_t)(side / piece);
    return (double)n * piece < side ? n + 1 : n;
}

uint64_t weir_image_tokens(struct weir_image_rule rule, uint32_t width, uint32_t height, bool low)
{
    double w = width == 0 || height == 0 ? NOT_KNOWN : width;
    double h = width == 0 || height == 0 ? NOT_KNOWN : height;
    if (rule.patch_percent > 0) {
        uint64_t across = pieces(w, PATCH), down = pieces(h, PATCH);
        bool more = across > PATCHES_MAX || down > PATCHES_MAX || across * down > PATCHES_MAX;
        return ((more ? PATCHES_MAX : across * down) * rule.patch_percent + 99) / 100;
    }
    if (low) {
        return rule.base;
    }
    double long_side = w > h ? w : h, short_side = w > h ? h : w;
    if (long_side > LONG_SIDE_MAX) {
        short_side *= LONG_SIDE_MAX / long_side;
        long_side = LONG_SIDE_MAX;
    }
    if (short_side > SHORT_SIDE_MAX) {
        long_side *= SHORT_SIDE_MAX / short_side;
        short_side = SHORT_SIDE_MAX;
    }
    uint64_t long_tiles = pieces(long_side, TILE), short_tiles = pieces(short_side, TILE);
    return rule.base + rule.tile * (long_tiles * (short_tiles > 0 ? short_tiles : 1));
}

/* ---- sizes ---- */

/* Base64 that is decoded where it is looked at. */
struct data {
    struct weir_str digits;
    bool ended; /* it was looked at behind its end, or is no base64 there */
};

static unsigned digit_at(struct data *d, size_t i)
{
    char c = i < d->digits.len ? d->digits.p[i] : '=';
    if (c >= 'A' && c <= 'Z') {
        return (unsigned)(c - 'A');
    }
    if (c >= 'a' && c <= 'z') {
        return (unsigned)(c - 'a') + 26;
    }
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0') + 52;
    }
    d->ended |= c != '+' && c != '/';
    return c == '+' ? 62 : 63;
}

static unsigned byte_at(struct data *d, size_t i)
{
    size_t first = i / 3 * 4 + i % 3;
    unsigned both = digit_at(d, first) << 6 | digit_at(d, first + 1);
    return both >> (4 - i % 3 * 2) & 255;
}

/* Two or four bytes, the highest first. */
static uint32_t big(struct data *d, size_t at, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value = value << 8 | byte_at(d, at + i);
    }
    return value;
}

/* The lowest first. */
static uint32_t little(struct data *d, size_t at, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = bytes; i > 0; i--) {
        value = value << 8 | byte_at(d, at + i - 1);
    }
    return value;
}

static bool starts(struct data *d, size_t at, struct weir_str with)
{
    for (size_t i = 0; i < with.len; i++) {
        if (byte_at(d, at + i) != (unsigned char)with.p[i]) {
            return false;
        }
    }
    return true;
}

/* ITU T.81: segments of a marker and a length, up to the one that begins the frame. */
static bool jpeg_size(struct data *d, uint32_t *ret_width, uint32_t *ret_height)
{
    size_t at = 2;
    for (int i = 0; i < SEGMENTS_MAX && !d->ended && byte_at(d, at) == 0xff; i++) {
        unsigned marker = byte_at(d, at + 1);
        uint32_t length = big(d, at + 2, 2);
        bool frame =
            marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
        if (frame) {
            *ret_height = big(d, at + 5, 2);
            *ret_width = big(d, at + 7, 2);
            return true;
        }
        at += 2 + (size_t)length;
    }
    return false;
}

/* RFC 9649: lossy, lossless or extended. */
static bool webp_size(struct data *d, uint32_t *ret_width, uint32_t *ret_height)
{
    if (starts(d, 12, WEIR_STR("VP8 "))) {
        *ret_width = little(d, 26, 2) & 0x3fff;
        *ret_height = little(d, 28, 2) & 0x3fff;
        return true;
    }
    if (starts(d, 12, WEIR_STR("VP8L"))) {
        uint32_t bits = little(d, 21, 4);
        *ret_width = (bits & 0x3fff) + 1;
        *ret_height = (bits >> 14 & 0x3fff) + 1;
        return true;
    }
    *ret_width = little(d, 24, 3) + 1;
    *ret_height = little(d, 27, 3) + 1;
    return starts(d, 12, WEIR_STR("VP8X"));
}

static bool read_size(struct data *d, uint32_t *ret_width, uint32_t *ret_height)
{
    if (starts(d, 0, WEIR_STR("\x89PNG\r\n\x1a\n"))) {
        *ret_width = big(d, 16, 4);
        *ret_height = big(d, 20, 4);
        return true;
    }
    if (starts(d, 0, WEIR_STR("GIF8"))) {
        *ret_width = little(d, 6, 2);
        *ret_height = little(d, 8, 2);
        return true;
    }
    if (starts(d, 0, WEIR_STR("\xff\xd8"))) {
        return jpeg_size(d, ret_width, ret_height);
    }
    return starts(d, 0, WEIR_STR("RIFF")) && starts(d, 8, WEIR_STR("WEBP")) &&
           webp_size(d, ret_width, ret_height);
}

bool weir_image_size(struct weir_str url, uint32_t *ret_width, uint32_t *ret_height)
{
    uint32_t width = 0, height = 0;
    size_t head = url.len < HEAD_MAX ? url.len : HEAD_MAX;
    const char *comma = head > 0 ? memchr(url.p, ',', head) : NULL;
    if (comma == NULL || !weir_str_starts(url, WEIR_STR("data:")) || comma - url.p < 12 ||
        memcmp(comma - 7, ";base64", 7) != 0) {
        return false;
    }
    struct data d = {.digits = weir_str(comma + 1, url.len - (size_t)(comma + 1 - url.p))};
    if (!read_size(&d, &width, &height) || d.ended || width == 0 || height == 0) {
        return false;
    }
    *ret_width = width;
    *ret_height = height;
    return true;
}
