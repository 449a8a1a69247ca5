/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens/memory.h"

#include "base/hash.h"
#include "base/mem.h"

enum { WAYS = 8, SETS = WEIR_TOKEN_MEMORY_PLACES / WAYS };

struct place {
    uint64_t hash[2];
    uint32_t tokens; /* 0: free */
    uint32_t used;   /* by the clock of the memory */
};

_Static_assert(sizeof(struct place) == 24, "as the header says");

struct weir_token_memory {
    uint32_t clock; /* looks; it wraps */
    struct place set[SETS][WAYS];
};

enum weir_err weir_token_memory_new(struct weir_token_memory **ret_memory)
{
    struct weir_token_memory *m = weir_zalloc(sizeof(*m));
    if (m == NULL) {
        return WEIR_ERR_NOMEM;
    }
    *ret_memory = m;
    return WEIR_OK;
}

void weir_token_memory_free(struct weir_token_memory *m)
{
    weir_free(m);
}

/* The place of this hash, else the one to take for it: a free one, else that which was not used
 * for longest. */
static struct place *look(struct weir_token_memory *m, const uint64_t hash[static 2])
{
    struct place *set = m->set[hash[0] % SETS], *oldest = set;
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].tokens == 0) {
            return &set[i]; /* they are taken in order: nothing is behind it */
        }
        if (set[i].hash[0] == hash[0] && set[i].hash[1] == hash[1]) {
            return &set[i];
        }
        oldest = m->clock - set[i].used > m->clock - oldest->used ? &set[i] : oldest;
    }
    return oldest;
}

/* The tokens of one stretch. */
static uint64_t recall(struct weir_token_memory *m, const struct weir_encoding *e,
                       struct weir_str stretch)
{
    uint64_t hash[2];
    if (stretch.len < WEIR_TOKEN_MEMORY_TEXT_MIN) {
        return weir_tokens_count(e, stretch);
    }
    weir_hash128(stretch.p, stretch.len, hash);
    hash[0] ^= weir_hash_word((uintptr_t)e); /* the same text, counted otherwise */
    m->clock++;
    struct place *p = look(m, hash);
    if (p->tokens == 0 || p->hash[0] != hash[0] || p->hash[1] != hash[1]) {
        bool no_memory = false;
        uint64_t tokens = weir_tokens_count_exact(e, stretch, &no_memory);
        if (no_memory || tokens > UINT32_MAX) {
            return tokens;
        }
        *p = (struct place){{hash[0], hash[1]}, (uint32_t)tokens, 0};
    }
    p->used = m->clock;
    return p->tokens;
}

uint64_t weir_token_memory_count(struct weir_token_memory *m, const struct weir_encoding *e,
                                 struct weir_str text)
{
    if (m == NULL || e == NULL) {
        return weir_tokens_count(e, text);
    }
    const unsigned char *p = (const unsigned char *)text.p, *end = p + text.len;
    uint64_t tokens = 0;
    while (p < end) {
        const unsigned char *cut = end;
        if ((size_t)(end - p) > WEIR_TOKEN_MEMORY_STRETCH_MIN) {
            cut = weir_split_cut(p, p + WEIR_TOKEN_MEMORY_STRETCH_MIN, end);
        }
        tokens += recall(m, e, weir_str((const char *)p, (size_t)(cut - p)));
        p = cut;
    }
    return tokens;
}
