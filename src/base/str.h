/* SPDX-License-Identifier: Apache-2.0 */
/* str.h - a borrowed slice of bytes, for all text that was parsed. Never NUL-terminated by
 * promise; a slice lives as long as the memory it points into. */
#ifndef WEIR_BASE_STR_H
#define WEIR_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct weir_str {
    const char *p;
    size_t len;
};

/* A string literal as a slice. */
#define WEIR_STR(literal) ((struct weir_str){(literal), sizeof(literal) - 1})
/* The same as an initializer, where a constant is asked for: in a static table. */
#define WEIR_STR_INIT(literal)                                                                     \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

static inline struct weir_str weir_str(const char *p, size_t len)
{
    return (struct weir_str){p, len};
}

static inline struct weir_str weir_str_z(const char *z)
{
    return (struct weir_str){z, strlen(z)};
}

static inline bool weir_str_eq(struct weir_str a, struct weir_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline bool weir_str_starts(struct weir_str s, struct weir_str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.p, prefix.p, prefix.len) == 0);
}

/* Of equal lengths. */
bool weir_bytes_eq_nocase(const char *p, const char *lower, size_t len);

/* ASCII case is ignored; `lower` is lower case already (header names, schemes). */
static inline bool weir_str_eq_nocase(struct weir_str s, struct weir_str lower)
{
    return s.len == lower.len && weir_bytes_eq_nocase(s.p, lower.p, s.len);
}

/* Copies what has room; how much that was. Nothing of a slice that is nowhere. */
static inline size_t weir_str_copy(struct weir_str s, char *to, size_t room)
{
    size_t len = s.len < room ? s.len : room;
    if (len > 0) {
        memcpy(to, s.p, len);
    }
    return len;
}

/* The slice without blanks and tabs at both ends. */
struct weir_str weir_str_trim(struct weir_str s);

/* The decimal number that the whole slice is; digits only, no sign, no blanks.
 * WEIR_ERR_INVALID otherwise, WEIR_ERR_LIMIT above `max`. */
WEIR_MUSTCHECK enum weir_err weir_str_u64(struct weir_str s, uint64_t max, uint64_t *ret_value);
/* The same with at most one point, as of an argument: "0.5", "20". */
bool weir_decimal(const char *text, double *ret);

#endif
