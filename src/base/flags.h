/* SPDX-License-Identifier: Apache-2.0 */
/* flags.h - command lines of the form --name value or --name=value, read by a table: each flag has
 * its reader. What is no flag is an operand, wherever it stands; behind -- all is. Names are not
 * abbreviated: a flag that comes later would make another one of it. Text is borrowed from argv. */
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
    const char *name; /* behind its dashes */
    /* False: the error says why the value is not taken. */
    bool (*read)(const struct weir_flag_value *v);
    const void *more; /* the reader's own */
    size_t at;        /* of weir_flag_text and weir_flag_set: where it goes in `into` */
    bool bare;        /* it has no value */
};

struct weir_flags {
    const struct weir_flag *flag;
    size_t count;
    const char *command; /* as "weir sim" */
    const char *operand; /* what it expects beside flags, as "at least one FILE"; NULL: nothing */
    int operands_min, operands_max;
};

enum weir_flags_end {
    WEIR_FLAGS_READ,
    WEIR_FLAGS_HELP, /* --help or -h: what stands behind it was not looked at */
    WEIR_FLAGS_WRONG,
};

/* Reads what stands behind argv[0], and moves the operands to argv[1] and on, in their order.
 * WEIR_FLAGS_WRONG: `error` says which argument is wrong, and what was expected. */
WEIR_MUSTCHECK enum weir_flags_end weir_flags_read(const struct weir_flags *flags, int argc,
                                                   char **argv, void *into, int *ret_operands,
                                                   char error[static WEIR_FLAG_ERROR_BYTES]);

/* Says that another value was expected. Returns false. */
bool weir_flag_refuse(const struct weir_flag_value *v, const char *expected);

/* Readers: of a const char * that becomes the value, and of a bool that becomes true. */
bool weir_flag_text(const struct weir_flag_value *v);
bool weir_flag_set(const struct weir_flag_value *v);

#endif
