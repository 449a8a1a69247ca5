/* SPDX-License-Identifier: Apache-2.0 */
/* count.c - the exact number of tokens: each piece is a token, or it is merged. */
#include "base/mem.h"
#include "tokens/pack_internal.h"
#include "tokens/tokens.h"

typedef const unsigned char bytes;

enum { SMALL_PIECE_BYTES = 256 };

/* ---- a piece as one token ---- */

static bool is_word(const struct weir_encoding *e, uint64_t word)
{
    for (uint32_t i = weir_place(weir_hash_word(word), e->words); e->word[i] != 0;) {
        if (e->word[i] == word) {
            return true;
        }
        i = i + 1 == e->words ? 0 : i + 1;
    }
    return false;
}

static bool is_longer(const struct weir_encoding *e, bytes *p, size_t len)
{
    uint64_t hash = weir_hash_long(p, len);
    for (uint32_t i = weir_place(hash, e->longs); e->longer[i] != 0;) {
        uint32_t token = (uint32_t)e->longer[i] - 1;
        if (e->longer[i] >> 32 == (hash & UINT32_MAX) && weir_token_len(e, token) == len &&
            memcmp(e->bytes + e->start[token], p, len) == 0) {
            return true;
        }
        i = i + 1 == e->longs ? 0 : i + 1;
    }
    return false;
}

/* Up to 8 bytes at p, the rest zero; `end` is where the text ends. */
static inline uint64_t load_word(bytes *p, size_t len, bytes *end)
{
    uint64_t word = 0;
    if (WEIR_LIKELY((size_t)(end - p) >= sizeof(word))) {
        memcpy(&word, p, sizeof(word));
        return len == sizeof(word) ? word : word & ((UINT64_C(1) << len * 8) - 1);
    }
    memcpy(&word, p, len);
    return word;
}

/* ---- a piece that is merged ---- */

/* The longest token at p, which begins with a byte that is one; *ret_past: where it ends. */
static uint32_t longest(const struct weir_encoding *e, bytes *p, bytes *end, bytes **ret_past)
{
    uint32_t at = 0, found = 0;
    uint32_t base = e->state[0].base & ~WEIR_STATE_TOKEN;
    while (p < end) {
        uint32_t next = base + *p++;
        struct weir_state s = e->state[next];
        if (s.from != at) {
            break;
        }
        at = next;
        if ((s.base & WEIR_STATE_TOKEN) != 0) {
            found = next;
            *ret_past = p;
        }
        base = s.base & ~WEIR_STATE_TOKEN;
    }
    return e->state_token[found];
}

/* What these two are merged to; WEIR_TOKEN_NONE: they are not. */
static uint32_t merged(const struct weir_encoding *e, uint32_t left, uint32_t right)
{
    uint64_t key = weir_pair_key(left, right), hash = weir_hash_word(key);
    uint64_t bits = weir_filter_bits(hash);
    if ((e->filter[weir_filter_place(hash, e->filters)] & bits) != bits) {
        return WEIR_TOKEN_NONE;
    }
    for (uint32_t i = weir_place(hash, e->pairs); e->pair[i] != 0;) {
        if (e->pair[i] >> 20 == key) {
            return (uint32_t)(e->pair[i] & WEIR_VOCABULARY_TOKENS_MAX);
        }
        i = i + 1 == e->pairs ? 0 : i + 1;
    }
    return WEIR_TOKEN_NONE;
}

/* Whether merging leaves these two beside each other: their merges are taken back, the latest
 * first, and at each stage the two that touch must not have been merged before. */
bool weir_tokens_fit(const struct weir_encoding *e, uint32_t left, uint32_t right)
{
    uint32_t latest = WEIR_TOKEN_NONE;
    for (;;) {
        if (merged(e, left, right) < latest) {
            return false;
        }
        uint32_t left_half = e->halves[left].right, right_half = e->halves[right].left;
        bool left_whole = left_half == left, right_whole = right_half == right;
        if (left_whole && right_whole) {
            return true;
        }
        if (right_whole || (left > right && !left_whole)) {
            latest = left;
            left = left_half;
        } else {
            latest = right + 1;
            right = right_half;
        }
    }
}

/* Merging finds the only sequence of tokens in which all neighbours fit. It is found by taking the
 * longest token that fits, again and again; where none does, the last one is taken back and this
 * place is not tried again, so that each place is left at most twice. */
struct merging {
    uint32_t *token;     /* those taken: room for one per byte */
    unsigned char *dead; /* a bit for each place: not to be tried again */
};

static inline bool is_dead(const struct merging *m, size_t place)
{
    return (m->dead[place / 8] >> place % 8 & 1) != 0;
}

static size_t merge_in(const struct weir_encoding *e, bytes *p, size_t len, struct merging *m)
{
    size_t count = 0;
    bytes *at = p, *end = p + len, *past = end;
    uint32_t next = longest(e, at, end, &past);
    for (;;) {
        if (!is_dead(m, (size_t)(past - p)) &&
            (count == 0 || weir_tokens_fit(e, m->token[count - 1], next))) {
            m->token[count++] = next;
            if (past == end) {
                return count;
            }
            at = past;
            next = longest(e, at, end, &past);
        } else if (e->shorter[next] != WEIR_TOKEN_NONE) {
            next = e->shorter[next];
            past = at + weir_token_len(e, next);
        } else if (count > 0) {
            size_t place = (size_t)(at - p);
            m->dead[place / 8] |= (unsigned char)(1u << place % 8);
            next = m->token[--count];
            past = at;
            at -= weir_token_len(e, next);
        } else {
            return len; /* no vocabulary that was trained; a token per byte is not too few */
        }
    }
}

static size_t merge(const struct weir_encoding *e, bytes *p, size_t len, bool *no_memory)
{
    if (len <= SMALL_PIECE_BYTES) {
        uint32_t token[SMALL_PIECE_BYTES];
        unsigned char dead[SMALL_PIECE_BYTES / 8 + 1];
        memset(dead, 0, len / 8 + 1);
        return merge_in(e, p, len, &(struct merging){token, dead});
    }
    struct merging m = {weir_zalloc_array(len, sizeof(*m.token)), weir_zalloc(len / 8 + 1)};
    bool room = m.token != NULL && m.dead != NULL;
    size_t count = room ? merge_in(e, p, len, &m) : len;
    *no_memory |= !room;
    weir_free(m.token);
    weir_free(m.dead);
    return count;
}

/* ---- the text ---- */

static inline uint64_t count_piece(const struct weir_encoding *e, bytes *p, size_t len, bytes *end,
                                   bool *no_memory)
{
    bool whole = len <= WEIR_WORD_BYTES ? p[len - 1] != '\0' && is_word(e, load_word(p, len, end))
                                        : len <= WEIR_TOKEN_BYTES_MAX && is_longer(e, p, len);
    return whole ? 1 : merge(e, p, len, no_memory);
}

uint64_t weir_tokens_count_exact(const struct weir_encoding *e, struct weir_str text,
                                 bool *no_memory)
{
    uint64_t tokens = 0;
    bytes *p = (bytes *)text.p, *end = p + text.len;
    while (p < end) {
        bytes *past =
            e->rule == WEIR_SPLIT_O200K ? weir_split_o200k(p, end) : weir_split_cl100k(p, end);
        tokens += count_piece(e, p, (size_t)(past - p), end, no_memory);
        p = past;
    }
    return tokens;
}

uint64_t weir_tokens_count(const struct weir_encoding *e, struct weir_str text)
{
    bool no_memory = false;
    return e == NULL ? weir_tokens_estimate(text) : weir_tokens_count_exact(e, text, &no_memory);
}
