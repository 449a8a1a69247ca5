/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens/pack.h"

#include "base/mem.h"
#include "tokens/pack_internal.h"
#include "tokens/vocabulary_file.h"

/* ---- tables ---- */

/* Places for `items`, two thirds full, so that a search is short and always ends. */
static uint32_t places_for(size_t items)
{
    return (uint32_t)(items + items / 2 + 8);
}

static void put(uint64_t *table, uint32_t places, uint64_t hash, uint64_t value)
{
    uint32_t i = weir_place(hash, places);
    while (table[i] != 0) {
        i = i + 1 == places ? 0 : i + 1;
    }
    table[i] = value;
}

/* One that ends with a NUL would look like a shorter one that is padded. */
static bool is_word(struct weir_str token)
{
    return token.len <= WEIR_WORD_BYTES && token.p[token.len - 1] != '\0';
}

static enum weir_err pack_whole(struct packing *p)
{
    const struct weir_pack_source *s = p->source;
    size_t words = 0, longs = 0;
    for (size_t t = 0; t < s->tokens; t++) {
        words += is_word(s->token[t]) ? 1 : 0;
        longs += s->token[t].len > WEIR_WORD_BYTES ? 1 : 0;
    }
    p->words = places_for(words);
    p->longs = places_for(longs);
    p->word = weir_zalloc_array(p->words, sizeof(*p->word));
    p->longer = weir_zalloc_array(p->longs, sizeof(*p->longer));
    if (p->word == NULL || p->longer == NULL) {
        return WEIR_ERR_NOMEM;
    }
    for (size_t t = 0; t < s->tokens; t++) {
        struct weir_str token = s->token[t];
        uint64_t word = 0;
        if (is_word(token)) {
            memcpy(&word, token.p, token.len);
            put(p->word, p->words, weir_hash_word(word), word);
        } else if (token.len > WEIR_WORD_BYTES) {
            uint64_t hash = weir_hash_long((const unsigned char *)token.p, token.len);
            put(p->longer, p->longs, hash, hash << 32 | (t + 1));
        }
    }
    return WEIR_OK;
}

/* ---- tokens in the order of their bytes ---- */

static int by_bytes(const void *a, const void *b, void *ctx)
{
    const struct weir_str *token = ctx;
    struct weir_str x = token[*(const uint32_t *)a], y = token[*(const uint32_t *)b];
    int order = memcmp(x.p, y.p, x.len < y.len ? x.len : y.len);
    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

static enum weir_err check_order(const struct packing *p)
{
    const struct weir_pack_source *s = p->source;
    unsigned single = 0;
    for (size_t i = 0; i < s->tokens; i++) {
        single += s->token[i].len == 1 ? 1 : 0;
        if (i > 0 && weir_str_eq(s->token[p->order[i - 1]], s->token[p->order[i]])) {
            return WEIR_ERR_INVALID;
        }
    }
    return single == 256 ? WEIR_OK : WEIR_ERR_INVALID;
}

static enum weir_err pack_order(struct packing *p)
{
    const struct weir_pack_source *s = p->source;
    size_t bytes = 0;
    for (size_t t = 0; t < s->tokens; t++) {
        if (s->token[t].len == 0 || s->token[t].len > WEIR_TOKEN_BYTES_MAX) {
            return WEIR_ERR_INVALID;
        }
        bytes += s->token[t].len;
    }
    p->order = weir_zalloc_array(s->tokens, sizeof(*p->order));
    p->start = weir_zalloc_array(s->tokens + 1, sizeof(*p->start));
    p->bytes = weir_zalloc(bytes + 1);
    if (p->order == NULL || p->start == NULL || p->bytes == NULL) {
        return WEIR_ERR_NOMEM;
    }
    for (uint32_t t = 0; t < s->tokens; t++) {
        p->order[t] = t;
        p->start[t + 1] = p->start[t] + (uint32_t)s->token[t].len;
        memcpy(p->bytes + p->start[t], s->token[t].p, s->token[t].len);
    }
    qsort_r(p->order, s->tokens, sizeof(*p->order), by_bytes, (void *)(uintptr_t)s->token);
    return check_order(p);
}

/* ---- merges ---- */

/* The token of these bytes or WEIR_TOKEN_NONE. */
static uint32_t find(const struct packing *p, const unsigned char *at, size_t len)
{
    uint32_t state = 0;
    for (size_t i = 0; i < len; i++) {
        uint32_t next = (p->state[state].base & ~WEIR_STATE_TOKEN) + at[i];
        if (p->state[next].from != state) {
            return WEIR_TOKEN_NONE;
        }
        state = next;
    }
    return p->state_token[state];
}

static void pack_shorter(struct packing *p)
{
    uint32_t chain[WEIR_TOKEN_BYTES_MAX + 1]; /* each begins with the one before */
    unsigned n = 0;
    for (size_t i = 0; i < p->source->tokens; i++) {
        uint32_t t = p->order[i];
        while (n > 0 && !weir_str_starts(p->source->token[t], p->source->token[chain[n - 1]])) {
            n--;
        }
        p->shorter[t] = n == 0 ? WEIR_TOKEN_NONE : chain[n - 1];
        chain[n++] = t;
    }
}

static void put_pair(struct packing *p, uint32_t left, uint32_t right, uint32_t token)
{
    uint64_t key = weir_pair_key(left, right), hash = weir_hash_word(key);
    put(p->pair, p->pairs, hash, key << 20 | token);
    p->filter[weir_filter_place(hash, p->filters)] |= weir_filter_bits(hash);
}

/* Merging, in the order of ranks, makes a token of just the two halves that it leaves beside each
 * other when it knows only the tokens before. False: it makes no such two, so that tokens that fit
 * beside each other need not be what merging finds. */
static bool split(struct packing *p, const struct weir_encoding *e, uint32_t t)
{
    const unsigned char *at = p->bytes + p->start[t];
    size_t len = p->source->token[t].len;
    for (uint32_t left = p->shorter[t]; left != WEIR_TOKEN_NONE; left = p->shorter[left]) {
        size_t left_len = p->source->token[left].len;
        uint32_t right = find(p, at + left_len, len - left_len);
        if (left < t && right < t && weir_tokens_fit(e, left, right)) {
            p->halves[t] = (struct weir_halves){left, right};
            put_pair(p, left, right, t);
            return true;
        }
    }
    return len == 1;
}

static enum weir_err pack_merges(struct packing *p)
{
    const uint32_t tokens = (uint32_t)p->source->tokens;
    p->pairs = places_for(tokens);
    p->pair = weir_zalloc_array(p->pairs, sizeof(*p->pair));
    p->filters = 1;
    while (p->filters < tokens / 8) {
        p->filters *= 2;
    }
    p->filter = weir_zalloc_array(p->filters, sizeof(*p->filter));
    p->halves = weir_zalloc_array(tokens, sizeof(*p->halves));
    p->shorter = weir_zalloc_array(tokens, sizeof(*p->shorter));
    if (p->pair == NULL || p->filter == NULL || p->halves == NULL || p->shorter == NULL) {
        return WEIR_ERR_NOMEM;
    }
    pack_shorter(p);
    const struct weir_encoding e = {.pair = p->pair,
                                    .pairs = p->pairs,
                                    .filter = p->filter,
                                    .filters = p->filters,
                                    .halves = p->halves};
    for (uint32_t t = 0; t < tokens; t++) {
        p->halves[t] = (struct weir_halves){t, t};
        if (!split(p, &e, t)) {
            return WEIR_ERR_INVALID;
        }
    }
    return WEIR_OK;
}

/* ---- the file ---- */

static void append_part(const struct packing *p, int part, struct weir_vocabulary_entry *entry,
                        struct weir_buf *file)
{
    const size_t tokens = p->source->tokens;
    const struct {
        const void *items;
        size_t count;
    } parts[WEIR_PARTS] = {
        [WEIR_PART_WORD] = {p->word, p->words},
        [WEIR_PART_LONGER] = {p->longer, p->longs},
        [WEIR_PART_STATE] = {p->state, p->states},
        [WEIR_PART_STATE_TOKEN] = {p->state_token, p->states},
        [WEIR_PART_PAIR] = {p->pair, p->pairs},
        [WEIR_PART_FILTER] = {p->filter, p->filters},
        [WEIR_PART_HALVES] = {p->halves, tokens},
        [WEIR_PART_SHORTER] = {p->shorter, tokens},
        [WEIR_PART_START] = {p->start, tokens + 1},
        [WEIR_PART_BYTES] = {p->bytes, p->start[tokens]},
    };
    static const char zeros[8];
    weir_buf_append(file, zeros, (8 - file->len % 8) % 8);
    entry->part[part] = (struct weir_vocabulary_part_place){file->len, parts[part].count};
    weir_buf_append(file, parts[part].items, parts[part].count * weir_part_width[part]);
}

static enum weir_err pack_one(struct packing *p, struct weir_vocabulary_entry *entry,
                              struct weir_buf *file)
{
    const struct weir_pack_source *s = p->source;
    if (s->tokens < 256 || s->name.len > WEIR_ENCODING_NAME_MAX) {
        return WEIR_ERR_INVALID;
    }
    if (s->tokens > WEIR_VOCABULARY_TOKENS_MAX) {
        return WEIR_ERR_LIMIT;
    }
    WEIR_TRY(pack_order(p));
    WEIR_TRY(pack_whole(p));
    WEIR_TRY(weir_pack_states(p));
    WEIR_TRY(pack_merges(p));
    memcpy(entry->name, s->name.p, s->name.len);
    entry->rule = s->rule;
    entry->tokens = (uint32_t)s->tokens;
    for (int i = 0; i < WEIR_PARTS; i++) {
        append_part(p, i, entry, file);
    }
    return WEIR_OK;
}

static void packing_deinit(struct packing *p)
{
    void *const blocks[] = {p->order, p->start,       p->bytes,  p->word,   p->longer, p->pair,
                            p->state, p->state_token, p->filter, p->halves, p->shorter};
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        weir_free(blocks[i]);
    }
}

enum weir_err weir_pack(const struct weir_pack_source *source, size_t sources,
                        struct weir_buf *ret_file)
{
    struct weir_vocabulary_head head = {.magic = WEIR_VOCABULARY_MAGIC, .encodings = sources};
    enum weir_err err = sources > WEIR_ENCODINGS_MAX ? WEIR_ERR_LIMIT : WEIR_OK;
    weir_buf_append(ret_file, &head, sizeof(head));
    for (size_t i = 0; err == WEIR_OK && i < sources; i++) {
        struct packing p = {.source = &source[i]};
        err = pack_one(&p, &head.entry[i], ret_file);
        packing_deinit(&p);
    }
    if (err == WEIR_OK && ret_file->failed) {
        err = WEIR_ERR_NOMEM;
    }
    if (err == WEIR_OK) {
        head.bytes = ret_file->len;
        memcpy(ret_file->data, &head, sizeof(head));
        head.check = weir_vocabulary_check(weir_buf_view(ret_file));
        memcpy(ret_file->data, &head, sizeof(head));
    }
    return err;
}
