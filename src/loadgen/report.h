/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - what a finished run found, for people and for programs. */
#ifndef WEIR_LOADGEN_REPORT_H
#define WEIR_LOADGEN_REPORT_H

#include <stdio.h>

#include "loadgen/tally.h"

enum {
    WEIR_LOAD_REPORT_KEYS = 20, /* rows of a table by key */
    WEIR_LOAD_KEY_SHOWN_MAX = 24,
    WEIR_LOAD_FAILURE_BYTES_MAX = 4096,
};

/* The three meters of OpenAI's limits always, others when they denied something. */
bool weir_load_meter_shown(const struct weir_load_tally *t, enum weir_load_meter meter);
/* Appends a key for a reader's eyes: whole up to WEIR_LOAD_KEY_SHOWN_MAX bytes, of a longer one, as
 * real secrets are, the first 8 and the last 4. */
void weir_load_key_shown(const struct weir_load_options *o, uint32_t key, struct weir_buf *out);
/* Appends what the failures of a kind have in common, as "no connection: connection refused". */
void weir_load_failure_text(const struct weir_load_tally *t, enum weir_load_error error,
                            struct weir_buf *out);

void weir_load_report_text(const struct weir_load_tally *t, FILE *out);
void weir_load_report_json(const struct weir_load_tally *t, FILE *out);

#endif
