/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens/split.h"

#include <stdbool.h>

#include "tokens/unicode.h"

typedef const unsigned char bytes;

/* Sets of classes. */
enum {
    OTHER = 1 << WEIR_CHAR_OTHER,
    SPACE = 1 << WEIR_CHAR_SPACE,
    NEWLINE = 1 << WEIR_CHAR_NEWLINE,
    NUMBER = 1 << WEIR_CHAR_NUMBER,
    MARK = 1 << WEIR_CHAR_MARK,
    UPPER = 1 << WEIR_CHAR_UPPER,
    LOWER = 1 << WEIR_CHAR_LOWER,
    NEITHER = 1 << WEIR_CHAR_LETTER,
    LETTERS = UPPER | LOWER | NEITHER,
    BLANKS = SPACE | NEWLINE,
    SYMBOLS = OTHER | MARK,         /* [^\s\p{L}\p{N}] */
    LEADERS = SPACE | OTHER | MARK, /* [^\r\n\p{L}\p{N}] */
    LARGE = UPPER | NEITHER | MARK, /* [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] */
    SMALL = LOWER | NEITHER | MARK, /* [\p{Ll}\p{Lm}\p{Lo}\p{M}] */
    NUMBERS_MAX = 3,                /* \p{N}{1,3} */
};

#define O WEIR_CHAR_OTHER
#define S WEIR_CHAR_SPACE
#define E WEIR_CHAR_NEWLINE
#define N WEIR_CHAR_NUMBER
#define U WEIR_CHAR_UPPER
#define L WEIR_CHAR_LOWER
static const unsigned char ascii_class[128] = {
    O, O, O, O, O, O, O, O, O, S, E, S, S, E, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
    S, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, N, N, N, N, N, N, N, N, N, N, O, O, O, O, O, O,
    O, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, O, O, O, O, O,
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O,
};
#undef O
#undef S
#undef E
#undef N
#undef U
#undef L

struct character {
    unsigned set; /* its class */
    unsigned len; /* bytes */
};

static struct character beyond_ascii(bytes *p, bytes *end)
{
    const uint32_t low = 0x3f;
    size_t left = (size_t)(end - p);
    uint32_t point;
    unsigned len;
    if (p[0] >= 0xc2 && p[0] < 0xe0 && left >= 2) {
        point = (p[0] & 0x1fu) << 6 | (p[1] & low);
        len = 2;
    } else if (p[0] >= 0xe0 && p[0] < 0xf0 && left >= 3) {
        point = (p[0] & 0x0fu) << 12 | (p[1] & low) << 6 | (p[2] & low);
        len = 3;
    } else if (p[0] >= 0xf0 && left >= 4) {
        point = (p[0] & 0x07u) << 18 | (p[1] & low) << 12 | (p[2] & low) << 6 | (p[3] & low);
        len = 4;
    } else {
        return (struct character){OTHER, 1};
    }
    return (struct character){1u << weir_unicode_class_of(point), len};
}

static inline struct character character_at(bytes *p, bytes *end)
{
    if (p == end) {
        return (struct character){1u << WEIR_CHAR_END, 0};
    }
    if (*p < 128) {
        return (struct character){1u << ascii_class[*p], 1};
    }
    return beyond_ascii(p, end);
}

static inline bytes *past_run(bytes *p, bytes *end, unsigned set)
{
    struct character c;
    while (c = character_at(p, end), (c.set & set) != 0) {
        p += c.len;
    }
    return p;
}

static bytes *past_numbers(bytes *p, bytes *end)
{
    struct character c;
    for (int i = 0; i < NUMBERS_MAX && (c = character_at(p, end), c.set == NUMBER); i++) {
        p += c.len;
    }
    return p;
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d), or p. Ignoring case, U+017F is an s. */
static bytes *past_contraction(bytes *p, bytes *end)
{
    size_t left = (size_t)(end - p);
    if (left < 2 || p[0] != '\'') {
        return p;
    }
    unsigned one = p[1] | 0x20u, two = left > 2 ? p[2] | 0x20u : 0;
    if (one == 's' || one == 't' || one == 'm' || one == 'd') {
        return p + 2;
    }
    bool is = (one == 'r' && two == 'e') || (one == 'v' && two == 'e') ||
              (one == 'l' && two == 'l') || (left > 2 && p[1] == 0xc5 && p[2] == 0xbf);
    return is ? p + 3 : p;
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ : up to the last newline; else without the last blank, when something
 * follows that this one may belong to. */
static bytes *past_blanks(bytes *p, bytes *end)
{
    bytes *at = p, *last = p, *line = NULL;
    struct character c;
    while (c = character_at(at, end), (c.set & BLANKS) != 0) {
        last = at;
        at += c.len;
        line = c.set == NEWLINE ? at : line;
    }
    if (line != NULL) {
        return line;
    }
    return at == end || last == p ? at : last;
}

const unsigned char *weir_split_cl100k(const unsigned char *p, const unsigned char *end)
{
    struct character c = character_at(p, end);
    bytes *next = p + c.len;
    if ((c.set & LETTERS) != 0) {
        return past_run(next, end, LETTERS);
    }
    if (c.set == NUMBER) {
        return past_numbers(p, end);
    }
    if (*p == '\'' && past_contraction(p, end) != p) {
        return past_contraction(p, end);
    }
    struct character d = character_at(next, end);
    if ((c.set & LEADERS) != 0 && (d.set & LETTERS) != 0) {
        return past_run(next + d.len, end, LETTERS);
    }
    if ((c.set & SYMBOLS) != 0 || (*p == ' ' && (d.set & SYMBOLS) != 0)) {
        next = past_run(next, end, SYMBOLS);
        while (next < end && (*next == '\r' || *next == '\n')) {
            next++;
        }
        return next;
    }
    return past_blanks(p, end);
}

/* [LARGE]*[SMALL]+|[LARGE]+[SMALL]* , or p. Where no lower case follows the run of LARGE, the first
 * alternative gives back as many of them as it must to have one that is SMALL too; *ret_second:
 * there is none. */
static inline bytes *past_word(bytes *p, bytes *end, bool *ret_second)
{
    bytes *both = NULL;
    struct character c;
    while (c = character_at(p, end), (c.set & LARGE) != 0) {
        p += c.len;
        both = c.set == UPPER ? both : p;
    }
    if (c.set == LOWER) {
        return past_run(p + c.len, end, SMALL);
    }
    *ret_second = both == NULL;
    return both != NULL ? both : p;
}

const unsigned char *weir_split_o200k(const unsigned char *p, const unsigned char *end)
{
    struct character c = character_at(p, end);
    bytes *next = p + c.len;
    bool second = false;
    if ((c.set & LETTERS) != 0) {
        return past_contraction(past_word(p, end, &second), end);
    }
    if (c.set == NUMBER) {
        return past_numbers(p, end);
    }
    struct character d = character_at(next, end);
    if ((c.set & LEADERS) != 0 && (d.set & (LETTERS | MARK)) != 0) {
        bytes *past = past_word(next, end, &second);
        /* a mark is a word itself, by the first alternative */
        return past_contraction(second && c.set == MARK ? next : past, end);
    }
    if (c.set == MARK) {
        return past_contraction(next, end);
    }
    if (c.set == OTHER || (*p == ' ' && d.set == OTHER)) {
        next = past_run(next, end, SYMBOLS);
        while (next < end && (*next == '\r' || *next == '\n' || *next == '/')) {
            next++;
        }
        return next;
    }
    return past_blanks(p, end);
}

/* ---- cuts ---- */

/* Whether a character begins at p: no byte before it is the first of one that goes on to it.
 * Characters are as long as their first byte says (beyond_ascii), so three bytes tell. */
static bool is_start(bytes *begin, bytes *p)
{
    for (unsigned back = 1; back <= 3 && back <= (size_t)(p - begin); back++) {
        unsigned char c = *(p - back);
        unsigned len = c < 0xc2 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        if (len > back) {
            return false;
        }
    }
    return true;
}

/* The character that ends at p. */
static struct character character_before(bytes *begin, bytes *p)
{
    bytes *at = p - 1;
    while (at > begin && p - at < 4 && (*at & 0xc0) == 0x80) {
        at--;
    }
    struct character c = character_at(at, p);
    bool whole = c.len == (size_t)(p - at) && is_start(begin, at);
    return whole ? c : (struct character){1u << WEIR_CHAR_END, 0};
}

/* A letter or a number ends a piece where a blank follows, as it does where the text ends: only
 * what begins with a blank may have it in front. And a newline ends one where a letter or number
 * follows: it is the last of its blanks, or of what goes with symbols. The rules look no further
 * than to the first character that does not go on with a run, and all runs end here. */
static bool is_cut(bytes *begin, bytes *p, bytes *end)
{
    struct character before = character_before(begin, p);
    if (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t') {
        return (before.set & (LETTERS | NUMBER)) != 0;
    }
    return before.set == NEWLINE && (character_at(p, end).set & (LETTERS | NUMBER)) != 0;
}

const unsigned char *weir_split_cut(const unsigned char *begin, const unsigned char *p,
                                    const unsigned char *end)
{
    while (p < end && !((*p <= ' ' || *(p - 1) == '\n') && is_cut(begin, p, end))) {
        p++;
    }
    return p;
}
