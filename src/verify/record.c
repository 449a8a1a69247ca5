/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/record.h"

enum { SUBJECT, SENT, RECEIVED, REQUESTS, INPUT, OUTPUT, FIELDS };

static const struct field {
    struct weir_str name;
    uint64_t max;
    const char *expected;
} fields[FIELDS] = {
    [SUBJECT] = {WEIR_STR_INIT("subject"), 0,
                 "subject: expected a text of 1 to 256 bytes without control characters"},
    [SENT] = {WEIR_STR_INIT("sent_us"), WEIR_RECORD_US_MAX,
              "sent_us: expected a whole number of microseconds up to 2^53"},
    [RECEIVED] = {WEIR_STR_INIT("received_us"), WEIR_RECORD_US_MAX,
                  "received_us: expected a whole number of microseconds up to 2^53"},
    [REQUESTS] = {WEIR_STR_INIT("requests"), WEIR_AMOUNT_MAX / 2,
                  "requests: expected a whole number up to 2^49"},
    [INPUT] = {WEIR_STR_INIT("input_tokens"), WEIR_AMOUNT_MAX / 2,
               "input_tokens: expected a whole number up to 2^49"},
    [OUTPUT] = {WEIR_STR_INIT("output_tokens"), WEIR_AMOUNT_MAX / 2,
                "output_tokens: expected a whole number up to 2^49"},
};

void weir_record_reader_init(struct weir_record_reader *r)
{
    weir_json_init(&r->_json);
    weir_buf_init(&r->_text, WEIR_RECORD_LINE_MAX);
}

void weir_record_reader_deinit(struct weir_record_reader *r)
{
    weir_json_deinit(&r->_json);
    weir_buf_deinit(&r->_text);
}

/* FIELDS: none of ours. */
static unsigned field_of(const struct weir_json *j, const struct weir_json_node *name)
{
    unsigned f = 0;
    while (f < FIELDS && !weir_json_string_is(j, name, fields[f].name)) {
        f++;
    }
    return f;
}

/* A terminal may show it as it stands. */
static bool is_subject(struct weir_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f) {
            return false;
        }
    }
    return s.len > 0 && s.len <= WEIR_RECORD_SUBJECT_MAX;
}

static bool read_field(struct weir_record_reader *r, unsigned f, const struct weir_json_node *n,
                       struct weir_str *subject, uint64_t *number)
{
    if (f != SUBJECT) {
        return weir_json_u64(&r->_json, n, fields[f].max, number) == WEIR_OK;
    }
    if (n->kind != WEIR_JSON_STRING) {
        return false;
    }
    *subject = weir_json_string(&r->_json, n, &r->_text);
    return is_subject(*subject);
}

static enum weir_err refuse(const char **ret_expected, const char *expected)
{
    *ret_expected = expected;
    return WEIR_ERR_INVALID;
}

enum weir_err weir_record_read(struct weir_record_reader *r, struct weir_str line,
                               struct weir_record *ret_record, const char **ret_expected)
{
    struct weir_str subject = {0};
    uint64_t number[FIELDS] = {0};
    bool found[FIELDS] = {false};
    struct weir_json *j = &r->_json;
    weir_buf_reset(&r->_text);
    enum weir_err err = weir_json_parse(j, line);
    if (err == WEIR_ERR_NOMEM) {
        return err;
    }
    const struct weir_json_node *root = weir_json_root(j);
    if (err != WEIR_OK || root->kind != WEIR_JSON_OBJECT) {
        return refuse(ret_expected, "expected one JSON object");
    }
    const struct weir_json_node *name = weir_json_first(j, root);
    while (name != NULL) {
        const struct weir_json_node *value = name + 1;
        unsigned f = field_of(j, name);
        if (f < FIELDS && (found[f] || !read_field(r, f, value, &subject, &number[f]))) {
            return refuse(ret_expected, found[f] ? "expected each field once" : fields[f].expected);
        }
        if (f < FIELDS) {
            found[f] = true;
        }
        name = weir_json_next(j, root, value);
    }
    for (unsigned f = 0; f < FIELDS; f++) {
        if (!found[f]) {
            return refuse(ret_expected, fields[f].expected);
        }
    }
    if (number[RECEIVED] < number[SENT]) {
        return refuse(ret_expected, "received_us: expected no moment before sent_us");
    }
    *ret_record = (struct weir_record){
        .subject = subject,
        .sent_us = number[SENT],
        .received_us = number[RECEIVED],
        .amounts = weir_amounts(number[REQUESTS], number[INPUT], number[OUTPUT]),
    };
    return WEIR_OK;
}

static void write_number(struct weir_buf *out, unsigned field, uint64_t value)
{
    WEIR_BUF_LIT(out, ",\"");
    weir_buf_str(out, fields[field].name);
    WEIR_BUF_LIT(out, "\":");
    weir_buf_u64(out, value);
}

void weir_record_write(struct weir_buf *out, const struct weir_record *record)
{
    WEIR_BUF_LIT(out, "{\"subject\":");
    weir_buf_json(out, record->subject);
    write_number(out, SENT, record->sent_us);
    write_number(out, RECEIVED, record->received_us);
    write_number(out, REQUESTS, record->amounts.of[WEIR_METER_REQUESTS]);
    write_number(out, INPUT, record->amounts.of[WEIR_METER_INPUT_TOKENS]);
    write_number(out, OUTPUT, record->amounts.of[WEIR_METER_OUTPUT_TOKENS]);
    WEIR_BUF_LIT(out, "}\n");
}
