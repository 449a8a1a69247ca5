/* SPDX-License-Identifier: Apache-2.0 */
/* flags.h - command lines of the form --name value or --name=value, read by a table: each flag has
 * its reader. Text is borrowed from argv. */
#ifndef WEIR_BASE_FLAGS_H
#define WEIR_BASE_FLAGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { WEIR_FLAG_ERROR_BYTES = 320 };

struct weir_flag;

/* A flag as it was found. */
struct weir_flag_value {
    const struct weir_flag *flag;
    const char *value; /* NULL: it has none */
    void *into;        /* what the caller reads */
    char *error;
};

struct weir_flag {
    const char *name; /* with its dashes */
    /* False: the error says why the value is not taken. */
    bool (*read)(const struct weir_flag_value *v);
    const void *more; /* the reader's own */
    bool bare;        /* it has no value */
};

struct weir_flags {
    const struct weir_flag *flag;
    size_t count;
    const char *command; /* as "weir sim", whose --help lists them */
};

/* Reads argv[*at], and the argument behind it when that is its value, and moves *at behind them.
 * False: `error` says which argument is wrong. */
WEIR_MUSTCHECK bool weir_flags_next(const struct weir_flags *flags, int argc, char **argv, int *at,
                                    void *into, char error[static WEIR_FLAG_ERROR_BYTES]);
/* Says that another value was expected. Returns false. */
bool weir_flag_refuse(const struct weir_flag_value *v, const char *expected);

#endif
