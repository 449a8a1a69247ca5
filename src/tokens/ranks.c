/* SPDX-License-Identifier: Apache-2.0 */
/* ranks.c - reads a list of ranks. */
#include "base/mem.h"
#include "tokens/pack.h"

/* The value of a digit of base64 (RFC 4648, section 4); -1: it is none. */
static int digit(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Into `to`, which has room for three bytes to four digits. False: not base64 of something. */
static bool decode(struct weir_str text, char *to, size_t *ret_len)
{
    size_t len = 0;
    if (text.len == 0 || text.len % 4 != 0) {
        return false;
    }
    size_t padding = text.p[text.len - 1] != '=' ? 0 : text.p[text.len - 2] != '=' ? 1 : 2;
    uint32_t bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool pad = i >= text.len - padding;
        int value = pad ? 0 : digit(text.p[i]);
        if (value < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 == 3) {
            for (int shift = 16; shift >= 0; shift -= 8) {
                to[len++] = (char)(bits >> shift & 255);
            }
            bits = 0;
        }
    }
    *ret_len = len - padding;
    return true;
}

static bool read_line(struct weir_str line, uint64_t rank, char *to, size_t *ret_len)
{
    uint64_t said;
    const char *blank = memchr(line.p, ' ', line.len);
    if (blank == NULL) {
        return false;
    }
    size_t len = (size_t)(blank - line.p);
    return weir_str_u64(weir_str(blank + 1, line.len - len - 1), UINT32_MAX, &said) == WEIR_OK &&
           said == rank && decode(weir_str(line.p, len), to, ret_len);
}

static enum weir_err read_lines(struct weir_str text, struct weir_ranks *r, size_t *ret_line)
{
    char *to = r->_bytes;
    for (size_t at = 0, len; at < text.len;) {
        const char *newline = memchr(text.p + at, '\n', text.len - at);
        size_t past = newline == NULL ? text.len : (size_t)(newline - text.p);
        if (!read_line(weir_str(text.p + at, past - at), r->tokens, to, &len)) {
            *ret_line = r->tokens + 1;
            return WEIR_ERR_INVALID;
        }
        r->token[r->tokens++] = weir_str(to, len);
        to += len;
        at = past + 1;
    }
    return WEIR_OK;
}

enum weir_err weir_ranks_read(struct weir_str text, struct weir_ranks *ret_ranks, size_t *ret_line)
{
    size_t lines = 1;
    for (size_t i = 0; i < text.len; i++) {
        lines += text.p[i] == '\n' ? 1 : 0;
    }
    struct weir_ranks r = {
        .token = weir_zalloc_array(lines, sizeof(*r.token)),
        ._bytes = weir_zalloc(text.len + 4),
    };
    enum weir_err err =
        r.token == NULL || r._bytes == NULL ? WEIR_ERR_NOMEM : read_lines(text, &r, ret_line);
    if (err != WEIR_OK) {
        weir_ranks_deinit(&r);
        return err;
    }
    *ret_ranks = r;
    return WEIR_OK;
}

void weir_ranks_deinit(struct weir_ranks *r)
{
    weir_free(r->token);
    weir_free(r->_bytes);
    *r = (struct weir_ranks){0};
}
