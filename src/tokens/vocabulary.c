/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens/vocabulary.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/mem.h"
#include "tokens/vocabulary_file.h"

uint64_t weir_vocabulary_check(struct weir_str file)
{
    const size_t from = offsetof(struct weir_vocabulary_head, encodings);
    return XXH3_64bits(file.p + from, file.len - from);
}

/* ---- what the arrays must hold, so that no reader leaves them ---- */

static bool starts_valid(const struct weir_encoding *e, uint64_t bytes)
{
    for (uint32_t t = 0; t < e->tokens; t++) {
        if (e->start[t] >= e->start[t + 1] || weir_token_len(e, t) > WEIR_TOKEN_BYTES_MAX) {
            return false;
        }
    }
    return e->start[0] == 0 && e->start[e->tokens] == bytes;
}

/* A chain of halves ends, and one of shorter beginnings. */
static bool tokens_valid(const struct weir_encoding *e)
{
    for (uint32_t t = 0; t < e->tokens; t++) {
        struct weir_halves h = e->halves[t];
        uint32_t shorter = e->shorter[t];
        if ((h.left >= t || h.right >= t) && (h.left != t || h.right != t)) {
            return false;
        }
        if (shorter != WEIR_TOKEN_NONE &&
            (shorter >= e->tokens || weir_token_len(e, shorter) >= weir_token_len(e, t))) {
            return false;
        }
    }
    return true;
}

/* Where the automaton comes to from the start; no state: e->states. */
static uint32_t state_after(const struct weir_encoding *e, const unsigned char *p, size_t len)
{
    uint32_t at = 0;
    for (size_t i = 0; i < len; i++) {
        uint32_t next = (e->state[at].base & ~WEIR_STATE_TOKEN) + p[i];
        if (e->state[next].from != at) {
            return e->states;
        }
        at = next;
    }
    return at;
}

/* No step leads outside; every byte begins a token and is one; and where a token ends it is the one
 * whose bytes lead there. */
static bool states_valid(const struct weir_encoding *e)
{
    for (uint32_t s = 0; s < e->states; s++) {
        if ((e->state[s].base & ~WEIR_STATE_TOKEN) > e->states - 256) {
            return false;
        }
    }
    for (uint32_t s = 0; s < e->states; s++) {
        uint32_t t = e->state_token[s];
        if ((e->state[s].base & WEIR_STATE_TOKEN) != 0 &&
            (t >= e->tokens || state_after(e, e->bytes + e->start[t], weir_token_len(e, t)) != s)) {
            return false;
        }
    }
    for (unsigned c = 0; c < 256; c++) {
        const unsigned char byte = (unsigned char)c;
        uint32_t s = state_after(e, &byte, 1);
        if (s == e->states || (e->state[s].base & WEIR_STATE_TOKEN) == 0) {
            return false;
        }
    }
    return true;
}

static bool has_hole(const uint64_t *table, uint32_t places)
{
    for (uint32_t i = 0; i < places; i++) {
        if (table[i] == 0) {
            return true;
        }
    }
    return false;
}

/* Each search comes to an end, and to a token that there is. */
static bool tables_valid(const struct weir_encoding *e)
{
    for (uint32_t i = 0; i < e->longs; i++) {
        uint32_t token = (uint32_t)e->longer[i];
        if (e->longer[i] != 0 && (token == 0 || token > e->tokens)) {
            return false;
        }
    }
    return has_hole(e->word, e->words) && has_hole(e->longer, e->longs) &&
           has_hole(e->pair, e->pairs);
}

static bool is_power(uint64_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static bool counts_valid(const struct weir_vocabulary_entry *entry)
{
    const uint64_t tokens = entry->tokens;
    const struct weir_vocabulary_part_place *part = entry->part;
    return tokens >= 256 && tokens <= WEIR_VOCABULARY_TOKENS_MAX &&
           entry->rule < WEIR_SPLIT_RULES &&
           memchr(entry->name, '\0', sizeof(entry->name)) != NULL &&
           part[WEIR_PART_HALVES].count == tokens && part[WEIR_PART_SHORTER].count == tokens &&
           part[WEIR_PART_START].count == tokens + 1 && is_power(part[WEIR_PART_FILTER].count) &&
           part[WEIR_PART_STATE].count > 256 &&
           part[WEIR_PART_STATE].count == part[WEIR_PART_STATE_TOKEN].count;
}

static bool view_encoding(struct weir_str file, const struct weir_vocabulary_entry *entry,
                          struct weir_encoding *ret)
{
    const void *array[WEIR_PARTS];
    for (int i = 0; i < WEIR_PARTS; i++) {
        struct weir_vocabulary_part_place place = entry->part[i];
        if (place.at % 8 != 0 || place.at > file.len ||
            place.count > (file.len - place.at) / weir_part_width[i]) {
            return false;
        }
        array[i] = file.p + place.at;
    }
    if (!counts_valid(entry)) {
        return false;
    }
    *ret = (struct weir_encoding){
        .rule = (enum weir_split_rule)entry->rule,
        .tokens = entry->tokens,
        .words = (uint32_t)entry->part[WEIR_PART_WORD].count,
        .longs = (uint32_t)entry->part[WEIR_PART_LONGER].count,
        .states = (uint32_t)entry->part[WEIR_PART_STATE].count,
        .pairs = (uint32_t)entry->part[WEIR_PART_PAIR].count,
        .filters = (uint32_t)entry->part[WEIR_PART_FILTER].count,
        .word = array[WEIR_PART_WORD],
        .longer = array[WEIR_PART_LONGER],
        .state = array[WEIR_PART_STATE],
        .state_token = array[WEIR_PART_STATE_TOKEN],
        .pair = array[WEIR_PART_PAIR],
        .filter = array[WEIR_PART_FILTER],
        .halves = array[WEIR_PART_HALVES],
        .shorter = array[WEIR_PART_SHORTER],
        .start = array[WEIR_PART_START],
        .bytes = array[WEIR_PART_BYTES],
    };
    memcpy(ret->name, entry->name, sizeof(ret->name));
    return starts_valid(ret, entry->part[WEIR_PART_BYTES].count) && tokens_valid(ret) &&
           states_valid(ret) && tables_valid(ret);
}

enum weir_err weir_vocabulary_view(struct weir_str bytes, struct weir_vocabulary *ret_vocabulary)
{
    struct weir_vocabulary_head head;
    struct weir_vocabulary v = {0};
    if (bytes.len < sizeof(head) || bytes.len > WEIR_VOCABULARY_BYTES_MAX) {
        return WEIR_ERR_INVALID;
    }
    memcpy(&head, bytes.p, sizeof(head));
    if (head.magic != WEIR_VOCABULARY_MAGIC || head.bytes != bytes.len ||
        head.encodings > WEIR_ENCODINGS_MAX || head.check != weir_vocabulary_check(bytes)) {
        return WEIR_ERR_INVALID;
    }
    for (; v.encodings < head.encodings; v.encodings++) {
        if (!view_encoding(bytes, &head.entry[v.encodings], &v.encoding[v.encodings])) {
            return WEIR_ERR_INVALID;
        }
    }
    *ret_vocabulary = v;
    return WEIR_OK;
}

/* ---- the file ---- */

static enum weir_err map(int fd, void **ret_map, size_t *ret_bytes)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return WEIR_ERR_IO;
    }
    if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct weir_vocabulary_head) ||
        st.st_size > WEIR_VOCABULARY_BYTES_MAX) {
        return WEIR_ERR_INVALID;
    }
    void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED) {
        return WEIR_ERR_IO;
    }
    *ret_map = at;
    *ret_bytes = (size_t)st.st_size;
    return WEIR_OK;
}

enum weir_err weir_vocabulary_open(const char *path, struct weir_vocabulary **ret_vocabulary)
{
    void *at = NULL;
    size_t bytes = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT || errno == ENOTDIR ? WEIR_ERR_NOT_FOUND : WEIR_ERR_IO;
    }
    enum weir_err err = map(fd, &at, &bytes);
    int why = errno;
    close(fd);
    errno = why;
    if (err != WEIR_OK) {
        return err;
    }
    struct weir_vocabulary *v = weir_zalloc(sizeof(*v));
    err = v == NULL ? WEIR_ERR_NOMEM : weir_vocabulary_view(weir_str(at, bytes), v);
    if (err != WEIR_OK) {
        munmap(at, bytes);
        weir_free(v);
        return err;
    }
    v->_map = at;
    v->_map_bytes = bytes;
    *ret_vocabulary = v;
    return WEIR_OK;
}

void weir_vocabulary_free(struct weir_vocabulary *v)
{
    if (v != NULL && v->_map != NULL) {
        munmap(v->_map, v->_map_bytes);
    }
    weir_free(v);
}
