/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - one admitted charge as a line of JSON, which a recorder writes and an audit reads:
 *   {"subject":"key:k","sent_us":1,"received_us":9,"requests":1,"input_tokens":3,"output_tokens":4}
 * The charge was made at one moment from sent_us to received_us, both included; the amounts are
 * those that stand in the end, after it was settled. */
#ifndef WEIR_VERIFY_RECORD_H
#define WEIR_VERIFY_RECORD_H

#include "base/json.h"
#include "limit/meter.h"

enum {
    WEIR_RECORD_SUBJECT_MAX = 256, /* bytes */
    WEIR_RECORD_LINE_MAX = 65536,
};

/* One clock's times: before 2^53 microseconds. */
#define WEIR_RECORD_US_MAX (UINT64_C(1) << 53)

struct weir_record {
    struct weir_str subject;
    uint64_t sent_us, received_us;
    struct weir_amounts amounts;
};

/* What reads many lines, and keeps its memory. */
struct weir_record_reader {
    struct weir_json _json;
    struct weir_buf _text;
};

void weir_record_reader_init(struct weir_record_reader *r);
void weir_record_reader_deinit(struct weir_record_reader *r);

/* One line, which the subject points into or, when it has escapes, the reader's memory: valid until
 * the next. Every field is required, so that a misspelt one is not taken for 0; further ones are
 * passed over. WEIR_ERR_INVALID: *ret_expected says what was expected, a constant text. */
WEIR_MUSTCHECK enum weir_err weir_record_read(struct weir_record_reader *r, struct weir_str line,
                                              struct weir_record *ret_record,
                                              const char **ret_expected);
/* Appends the line and its end. */
void weir_record_write(struct weir_buf *out, const struct weir_record *record);

#endif
