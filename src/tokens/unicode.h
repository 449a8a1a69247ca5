/* SPDX-License-Identifier: Apache-2.0 */
/* unicode.h - the class of a character, as far as the pieces of a text depend on it. Pure. */
#ifndef WEIR_TOKENS_UNICODE_H
#define WEIR_TOKENS_UNICODE_H

#include <stddef.h>
#include <stdint.h>

/* Every code point has one. */
enum weir_char_class {
    WEIR_CHAR_OTHER,   /* none of the following, unassigned ones too */
    WEIR_CHAR_SPACE,   /* \s without the next */
    WEIR_CHAR_NEWLINE, /* \r and \n */
    WEIR_CHAR_NUMBER,  /* \p{N} */
    WEIR_CHAR_MARK,    /* \p{M} */
    WEIR_CHAR_LETTER,  /* \p{Lo} and \p{Lm}: neither upper nor lower case */
    WEIR_CHAR_UPPER,   /* \p{Lu} and \p{Lt} */
    WEIR_CHAR_LOWER,   /* \p{Ll} */
    WEIR_CHAR_END,     /* no character: the text ends */
};

enum {
    WEIR_UNICODE_BLOCK_BITS = 7, /* 128 code points */
    WEIR_UNICODE_BLOCKS = 7173,  /* what is beyond has the class OTHER */
};

/* unicode_table.c, made by scripts/unicode-classes: the number of each block of code points, and
 * for each number the classes, 16 in a word, the first in the lowest bits. */
extern const unsigned char weir_unicode_block[WEIR_UNICODE_BLOCKS];
extern const uint64_t weir_unicode_class[];

static inline enum weir_char_class weir_unicode_class_of(uint32_t point)
{
    uint32_t block = point >> WEIR_UNICODE_BLOCK_BITS;
    if (block >= WEIR_UNICODE_BLOCKS) {
        return WEIR_CHAR_OTHER;
    }
    uint32_t in_block = point & ((1 << WEIR_UNICODE_BLOCK_BITS) - 1);
    uint64_t word = weir_unicode_class[(uint32_t)weir_unicode_block[block] * 8 + in_block / 16];
    return (enum weir_char_class)(word >> in_block % 16 * 4 & 15);
}

#endif
