/* SPDX-License-Identifier: Apache-2.0 */
/* vocabulary_file.h - the form of the file: a head, then arrays at multiples of 8, in the byte
 * order of the machine that made it. Private to the floor. */
#ifndef WEIR_TOKENS_VOCABULARY_FILE_H
#define WEIR_TOKENS_VOCABULARY_FILE_H

#include <stdint.h>

#include "tokens/vocabulary.h"

/* "weirtok" and a 1, of this byte order. */
#define WEIR_VOCABULARY_MAGIC UINT64_C(0x016b6f7472696577)

enum weir_vocabulary_part {
    WEIR_PART_WORD,
    WEIR_PART_LONGER,
    WEIR_PART_STATE,
    WEIR_PART_STATE_TOKEN,
    WEIR_PART_PAIR,
    WEIR_PART_FILTER,
    WEIR_PART_HALVES,
    WEIR_PART_SHORTER,
    WEIR_PART_START,
    WEIR_PART_BYTES,
    WEIR_PARTS,
};

/* Bytes of one item, by part. */
static const unsigned char weir_part_width[WEIR_PARTS] = {8, 8, 8, 4, 8, 8, 8, 4, 4, 1};

struct weir_vocabulary_part_place {
    uint64_t at; /* from the start of the file */
    uint64_t count;
};

struct weir_vocabulary_entry {
    char name[WEIR_ENCODING_NAME_MAX + 1];
    uint32_t rule;
    uint32_t tokens;
    struct weir_vocabulary_part_place part[WEIR_PARTS];
};

struct weir_vocabulary_head {
    uint64_t magic;
    uint64_t bytes; /* of the whole file */
    uint64_t check; /* XXH3 of all behind this field */
    uint64_t encodings;
    struct weir_vocabulary_entry entry[WEIR_ENCODINGS_MAX];
};

_Static_assert(sizeof(struct weir_vocabulary_entry) == 32 + 16 * WEIR_PARTS, "no holes");
_Static_assert(sizeof(struct weir_vocabulary_head) ==
                   32 + WEIR_ENCODINGS_MAX * sizeof(struct weir_vocabulary_entry),
               "no holes");
_Static_assert(sizeof(struct weir_state) == 8 && sizeof(struct weir_halves) == 8, "as in the file");

/* The check of a file's bytes, at least a head. */
uint64_t weir_vocabulary_check(struct weir_str file);

#endif
