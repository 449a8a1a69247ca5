/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "verify/record.h"

#define GOOD                                                                                       \
    "{\"subject\":\"key:k\",\"sent_us\":10,\"received_us\":20,\"requests\":1,"                     \
    "\"input_tokens\":30,\"output_tokens\":16}"

static void accepts(const char *line, struct weir_record *ret)
{
    static struct weir_record_reader reader; /* the subject may stand in it */
    const char *expected = "";
    weir_record_reader_deinit(&reader);
    weir_record_reader_init(&reader);
    if (weir_record_read(&reader, weir_str_z(line), ret, &expected) != WEIR_OK) {
        fail_msg("%s: %s", line, expected);
    }
}

static void refuses(const char *line, const char *expected_begin)
{
    struct weir_record_reader reader;
    struct weir_record record;
    const char *expected = "";
    weir_record_reader_init(&reader);
    enum weir_err err = weir_record_read(&reader, weir_str_z(line), &record, &expected);
    if (err != WEIR_ERR_INVALID || strncmp(expected, expected_begin, strlen(expected_begin)) != 0) {
        fail_msg("%s: %s", line, err == WEIR_OK ? "accepted" : expected);
    }
    weir_record_reader_deinit(&reader);
}

static void test_reads(void **state)
{
    (void)state;
    struct weir_record r;
    accepts(GOOD, &r);
    assert_true(weir_str_eq(r.subject, WEIR_STR("key:k")));
    assert_int_equal(r.sent_us, 10);
    assert_int_equal(r.received_us, 20);
    assert_int_equal(r.amounts.of[WEIR_METER_REQUESTS], 1);
    assert_int_equal(r.amounts.of[WEIR_METER_INPUT_TOKENS], 30);
    assert_int_equal(r.amounts.of[WEIR_METER_OUTPUT_TOKENS], 16);
    assert_int_equal(r.amounts.of[WEIR_METER_TOTAL_TOKENS], 46);
    accepts("{\"output_tokens\":562949953421312, \"more\":{\"subject\":1},\"input_tokens\":0,"
            "\"requests\":0,\"received_us\":9007199254740992,\"sent_us\":9007199254740992,"
            "\"subject\":\"\\u006b:\\\"\"}",
            &r);
    assert_true(weir_str_eq(r.subject, WEIR_STR("k:\"")));
    assert_int_equal(r.sent_us, WEIR_RECORD_US_MAX);
    assert_int_equal(r.amounts.of[WEIR_METER_OUTPUT_TOKENS], WEIR_AMOUNT_MAX / 2);
}

/* GOOD with one part replaced. */
static const char *with(const char *part, const char *by)
{
    static char line[2048];
    const char *at = strstr(GOOD, part);
    assert_non_null(at);
    snprintf(line, sizeof(line), "%.*s%s%s", (int)(at - GOOD), GOOD, by, at + strlen(part));
    return line;
}

static void test_refuses(void **state)
{
    (void)state;
    refuses("", "expected one JSON object");
    refuses("[" GOOD "]", "expected one JSON object");
    refuses(GOOD GOOD, "expected one JSON object");
    refuses(&GOOD[1], "expected one JSON object");
    refuses("{}", "subject: ");
    refuses(with("\"subject\"", "\"subjects\""), "subject: ");
    refuses(with("\"key:k\"", "7"), "subject: ");
    refuses(with("key:k", ""), "subject: ");
    refuses(with("key:k", "\\u001b[2J"), "subject: ");
    refuses(with("key:k", "\x7f"), "subject: ");
    refuses(with("sent_us", "send_us"), "sent_us: ");
    refuses(with(":10,", ":10.5,"), "sent_us: ");
    refuses(with(":10,", ":-1,"), "sent_us: ");
    refuses(with(":10,", ":\"10\","), "sent_us: ");
    refuses(with(":20,", ":9007199254740993,"), "received_us: expected a whole");
    refuses(with(":20,", ":9,"), "received_us: expected no moment");
    refuses(with("requests", "request"), "requests: ");
    refuses(with(":30,", ":562949953421313,"), "input_tokens: ");
    refuses(with(",\"output_tokens\":16", ""), "output_tokens: ");
    refuses(with("output_tokens", "requests"), "expected each field once");
}

static void test_subject_bound(void **state)
{
    (void)state;
    struct weir_record r;
    char subject[WEIR_RECORD_SUBJECT_MAX + 2] = {0};
    memset(subject, 'x', WEIR_RECORD_SUBJECT_MAX);
    accepts(with("key:k", subject), &r);
    assert_int_equal(r.subject.len, WEIR_RECORD_SUBJECT_MAX);
    subject[WEIR_RECORD_SUBJECT_MAX] = 'x';
    refuses(with("key:k", subject), "subject: ");
}

static void test_written_is_read(void **state)
{
    (void)state;
    struct weir_record r;
    struct weir_buf b;
    const struct weir_record record = {WEIR_STR("key:\"x\"\\"), 1, 1u << 31,
                                       weir_amounts(1, WEIR_AMOUNT_MAX / 2, 7)};
    weir_buf_init(&b, WEIR_RECORD_LINE_MAX);
    weir_record_write(&b, &record);
    assert_int_equal(b.data[b.len - 1], '\n');
    b.data[b.len - 1] = '\0';
    accepts(b.data, &r);
    assert_true(weir_str_eq(r.subject, record.subject));
    assert_int_equal(r.sent_us, record.sent_us);
    assert_int_equal(r.received_us, record.received_us);
    assert_memory_equal(&r.amounts, &record.amounts, sizeof(r.amounts));
    weir_buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_subject_bound),
        cmocka_unit_test(test_written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
