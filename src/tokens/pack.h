/* SPDX-License-Identifier: Apache-2.0 */
/* pack.h - makes the file that vocabulary.h reads, of tokens in the order of their ranks. At set-up
 * and in tests only: takes a second and 100 bytes of memory per token. Pure. */
#ifndef WEIR_TOKENS_PACK_H
#define WEIR_TOKENS_PACK_H

#include "base/buf.h"
#include "tokens/vocabulary.h"

/* One encoding to be. */
struct weir_pack_source {
    struct weir_str name;
    enum weir_split_rule rule;
    const struct weir_str *token; /* by rank; all 256 bytes are among them */
    size_t tokens;
};

/* Appends the file to ret_file, which is empty. WEIR_ERR_INVALID: a token is there twice, empty, of
 * more than WEIR_TOKEN_BYTES_MAX bytes, or a byte is none; WEIR_ERR_LIMIT; WEIR_ERR_NOMEM. */
WEIR_MUSTCHECK enum weir_err weir_pack(const struct weir_pack_source *source, size_t sources,
                                       struct weir_buf *ret_file);

/* A list of ranks as OpenAI publishes them: lines of a token in base64, a blank and its rank, which
 * goes up by one from 0. */
struct weir_ranks {
    size_t tokens;
    struct weir_str *token; /* in _bytes */
    char *_bytes;
};

/* WEIR_ERR_INVALID: *ret_line is not such a line; WEIR_ERR_NOMEM. */
WEIR_MUSTCHECK enum weir_err weir_ranks_read(struct weir_str text, struct weir_ranks *ret_ranks,
                                             size_t *ret_line);
void weir_ranks_deinit(struct weir_ranks *r);

#endif
