/* SPDX-License-Identifier: Apache-2.0 */
/* vocabulary.h - small vocabularies, made in memory, and merging done the plain way. Included once
 * per program. */
#ifndef WEIR_TESTS_VOCABULARY_H
#define WEIR_TESTS_VOCABULARY_H

#include "base/rand.h"
#include "tokens/pack.h"
#include "tokens/tokens.h"
#include "tokens/vocabulary_file.h"

enum { LIST_TOKENS_MAX = 2048, PLAIN_BYTES_MAX = 4096 };

/* Tokens by rank: all bytes, then others. */
struct list {
    struct weir_str token[LIST_TOKENS_MAX];
    size_t tokens;
    char bytes[LIST_TOKENS_MAX * 16];
    size_t used;
};

static inline void list_add(struct list *l, const char *p, size_t len)
{
    WEIR_ASSERT(l->tokens < LIST_TOKENS_MAX && l->used + len <= sizeof(l->bytes));
    memcpy(l->bytes + l->used, p, len);
    l->token[l->tokens++] = weir_str(l->bytes + l->used, len);
    l->used += len;
}

static inline void list_init(struct list *l)
{
    l->tokens = l->used = 0;
    for (unsigned c = 0; c < 256; c++) {
        list_add(l, &(const char){(char)c}, 1);
    }
}

/* Its rank; the number of tokens: it is none. */
static inline size_t list_find(const struct list *l, struct weir_str s)
{
    size_t t = 0;
    while (t < l->tokens && !weir_str_eq(l->token[t], s)) {
        t++;
    }
    return t;
}

/* How many tokens a piece is, by the definition: whole, or the neighbours whose token has the
 * lowest rank are merged, the first of them first, until none are left. */
static inline size_t list_count(const struct list *l, struct weir_str piece)
{
    static size_t at[PLAIN_BYTES_MAX + 1];
    size_t n = piece.len;
    WEIR_ASSERT(n <= PLAIN_BYTES_MAX);
    if (list_find(l, piece) < l->tokens) {
        return 1;
    }
    for (size_t i = 0; i <= n; i++) {
        at[i] = i;
    }
    for (;;) {
        size_t best = l->tokens, where = 0;
        for (size_t i = 0; i + 2 <= n; i++) {
            size_t rank = list_find(l, weir_str(piece.p + at[i], at[i + 2] - at[i]));
            if (rank < best) {
                best = rank;
                where = i;
            }
        }
        if (best == l->tokens) {
            return n;
        }
        memmove(at + where + 1, at + where + 2, (n - where - 1) * sizeof(at[0]));
        n--;
    }
}

/* More tokens, each of two that merging leaves beside each other, of these characters. */
static inline void list_grow(struct list *l, struct weir_rand *dice, struct weir_str characters,
                             size_t tokens)
{
    for (int tries = 0; tries < 20000 && l->tokens < tokens; tries++) {
        char both[16];
        size_t len = 0;
        for (int half = 0; half < 2; half++) {
            size_t t = 256 + weir_rand_below(dice, l->tokens - 256 + characters.len);
            struct weir_str s =
                t < l->tokens ? l->token[t] : weir_str(characters.p + (t - l->tokens), 1);
            if (len + s.len > sizeof(both)) {
                len = 0;
                break;
            }
            memcpy(both + len, s.p, s.len);
            len += s.len;
        }
        if (len >= 2 && list_count(l, weir_str(both, len)) == 2) {
            list_add(l, both, len);
        }
    }
}

/* Packed and opened. What it points into is *ret_file. */
static inline void list_open(const struct list *l, enum weir_split_rule rule,
                             struct weir_buf *ret_file, struct weir_vocabulary *ret_vocabulary)
{
    const struct weir_pack_source source = {
        .name = WEIR_STR("small"), .rule = rule, .token = l->token, .tokens = l->tokens};
    weir_buf_init(ret_file, WEIR_VOCABULARY_BYTES_MAX);
    enum weir_err err = weir_pack(&source, 1, ret_file);
    WEIR_ASSERT(err == WEIR_OK);
    err = weir_vocabulary_view(weir_buf_view(ret_file), ret_vocabulary);
    WEIR_ASSERT(err == WEIR_OK);
}

#endif
