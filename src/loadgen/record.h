/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - the record of a run: a line (verify/record.h) for each admitted request, for `weir
 * verify`. Times are CLOCK_BOOTTIME's, so that records of one machine can be read together. */
#ifndef WEIR_LOADGEN_RECORD_H
#define WEIR_LOADGEN_RECORD_H

#include <stdio.h>

#include "loadgen/client.h"

struct weir_load_record {
    const struct weir_load_options *options;
    FILE *file;
    uint64_t without_usage; /* answers that did not say what was used: no line */
    struct weir_buf _subject, _line;
};

/* Both must live longer. */
void weir_load_record_init(struct weir_load_record *r, const struct weir_load_options *options,
                           FILE *file);
void weir_load_record_deinit(struct weir_load_record *r);

/* Writes nothing but into the file's buffer, most times. `answer` allows. Failures stay in the
 * file: ferror. */
void weir_load_record_add(struct weir_load_record *r, const struct weir_load_answer *answer);

#endif
