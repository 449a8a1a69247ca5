/* SPDX-License-Identifier: Apache-2.0 */
#include "loadgen/record.h"

#include "verify/record.h"

enum { LINE_MAX_BYTES = 1024, SUBJECT_MAX = WEIR_LOAD_KEY_ID_MAX + 8 };

void weir_load_record_init(struct weir_load_record *r, const struct weir_load_options *options,
                           FILE *file)
{
    *r = (struct weir_load_record){.options = options, .file = file};
    weir_buf_init(&r->_subject, SUBJECT_MAX);
    weir_buf_init(&r->_line, LINE_MAX_BYTES);
}

void weir_load_record_deinit(struct weir_load_record *r)
{
    weir_buf_deinit(&r->_subject);
    weir_buf_deinit(&r->_line);
}

void weir_load_record_add(struct weir_load_record *r, const struct weir_load_answer *answer)
{
    if (!answer->has_usage) {
        r->without_usage++;
        return;
    }
    weir_buf_reset(&r->_subject);
    weir_buf_reset(&r->_line);
    weir_load_subject(r->options, answer->key, &r->_subject);
    const struct weir_record record = {
        .subject = weir_buf_view(&r->_subject),
        .sent_us = answer->sent_ns / 1000,
        .received_us = (answer->head_ns + 999) / 1000,
        .amounts = weir_amounts(1, answer->input_tokens, answer->output_tokens),
    };
    weir_record_write(&r->_line, &record);
    fwrite(r->_line.data, 1, r->_line.len, r->file);
}
