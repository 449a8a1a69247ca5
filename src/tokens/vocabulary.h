/* SPDX-License-Identifier: Apache-2.0 */
/* vocabulary.h - the file of token data: one or several encodings, mapped read-only and shared by
 * all workers. Made by pack.h. Every offset, size and number in it is checked when it is opened, so
 * that counting with it is safe whatever it says. */
#ifndef WEIR_TOKENS_VOCABULARY_H
#define WEIR_TOKENS_VOCABULARY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "tokens/split.h"

enum {
    WEIR_ENCODINGS_MAX = 4,
    WEIR_ENCODING_NAME_MAX = 23,
    WEIR_TOKEN_BYTES_MAX = 255,
    WEIR_VOCABULARY_TOKENS_MAX = (1 << 20) - 1, /* of one encoding: pairs pack three in 60 bits */
    WEIR_VOCABULARY_BYTES_MAX = 256 << 20,
    WEIR_WORD_BYTES = 8, /* tokens up to this length are words */
};

#define WEIR_TOKEN_NONE UINT32_MAX

/* A state of the automaton that finds the longest token: a byte b leads from state s to base + b if
 * that one's `from` is s. State 0 is the start. */
struct weir_state {
    uint32_t base; /* the top bit: a token ends here */
    uint32_t from;
};

#define WEIR_STATE_TOKEN (UINT32_C(1) << 31)

/* The two tokens that a token is merged of; a token that is not merged has itself twice. */
struct weir_halves {
    uint32_t left, right;
};

/* One encoding. Its tokens are numbered by rank, from 0: a lower one is merged first. All arrays
 * belong to the vocabulary. Tables are hashed, open addressing; an empty place is 0. */
struct weir_encoding {
    char name[WEIR_ENCODING_NAME_MAX + 1];
    enum weir_split_rule rule;
    uint32_t tokens;
    uint32_t words, longs, states, pairs; /* how many there are in the arrays */
    uint32_t filters;                     /* a power of two */
    const uint64_t *word;   /* tokens of up to 8 bytes, padded with NULs; none ends with one */
    const uint64_t *longer; /* tag << 32 | token + 1, of those with more */
    const struct weir_state *state;
    const uint32_t *state_token;
    const uint64_t *pair;   /* left << 40 | right << 20 | merged */
    const uint64_t *filter; /* two bits for each pair: most others are told by it */
    const struct weir_halves *halves;
    const uint32_t *shorter; /* the longest other token that it begins with */
    const uint32_t *start;   /* of its bytes; one more than there are tokens */
    const unsigned char *bytes;
};

struct weir_vocabulary {
    size_t encodings;
    struct weir_encoding encoding[WEIR_ENCODINGS_MAX];
    void *_map; /* NULL: the bytes are the caller's */
    size_t _map_bytes;
};

/* What `bytes` (at a multiple of 8, as they stay while the vocabulary is used) say.
 * WEIR_ERR_INVALID: they are damaged, or of another version. */
WEIR_MUSTCHECK enum weir_err weir_vocabulary_view(struct weir_str bytes,
                                                  struct weir_vocabulary *ret_vocabulary);
/* The same of a file, which must not be written to while it is mapped (a new one is renamed over
 * it). WEIR_ERR_NOT_FOUND: there is none; WEIR_ERR_IO: errno says why; WEIR_ERR_NOMEM. */
WEIR_MUSTCHECK enum weir_err weir_vocabulary_open(const char *path,
                                                  struct weir_vocabulary **ret_vocabulary);
/* NULL is allowed. */
void weir_vocabulary_free(struct weir_vocabulary *v);

/* By name, as "o200k_base"; NULL: it has none. v may be NULL. */
const struct weir_encoding *weir_vocabulary_encoding(const struct weir_vocabulary *v,
                                                     struct weir_str name);
/* What OpenAI's models count with; NULL: not known, or not there. v may be NULL. */
const struct weir_encoding *weir_vocabulary_for_model(const struct weir_vocabulary *v,
                                                      struct weir_str model);
/* The same encoding's name; empty: not known. */
struct weir_str weir_encoding_of_model(struct weir_str model);

/* ---- for the files of this folder ---- */

static inline size_t weir_token_len(const struct weir_encoding *e, uint32_t token)
{
    return e->start[token + 1] - e->start[token];
}

/* A place for a hash in a table of `places`. */
static inline uint32_t weir_place(uint64_t hash, uint32_t places)
{
    return (uint32_t)((hash >> 32) * places >> 32);
}

#define WEIR_HASH_A UINT64_C(0x9e3779b97f4a7c15)
#define WEIR_HASH_B UINT64_C(0xd6e8feb86659fd93)

static inline uint64_t weir_hash_word(uint64_t word)
{
    word *= WEIR_HASH_A;
    return (word ^ word >> 32) * WEIR_HASH_B;
}

/* Of more than 8 bytes. */
static inline uint64_t weir_hash_long(const unsigned char *p, size_t len)
{
    uint64_t hash = len, word;
    for (size_t i = 0; i + sizeof(word) < len; i += sizeof(word)) {
        memcpy(&word, p + i, sizeof(word));
        hash = weir_hash_word(hash ^ word);
    }
    memcpy(&word, p + len - sizeof(word), sizeof(word));
    return weir_hash_word(hash ^ word);
}

static inline uint64_t weir_pair_key(uint32_t left, uint32_t right)
{
    return (uint64_t)left << 20 | right;
}

/* Where a pair's two bits are in the filter, and which. */
static inline uint32_t weir_filter_place(uint64_t hash, uint32_t filters)
{
    return (uint32_t)(hash >> 32) & (filters - 1);
}

static inline uint64_t weir_filter_bits(uint64_t hash)
{
    return UINT64_C(1) << (hash & 63) | UINT64_C(1) << (hash >> 6 & 63);
}

#endif
