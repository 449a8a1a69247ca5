/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "loadgen/html.h"
#include "loadgen/report.h"

static const uint64_t START_NS = 5000000000, MS = 1000000, S = 1000000000;

static struct weir_str two_keys[] = {{"sk-a", 4}, {"<b>&\"'", 6}};

static struct weir_load_options options(void)
{
    return (struct weir_load_options){
        .target = {{.url = WEIR_STR("http://127.0.0.1:1")}},
        .targets = 1,
        .clients = 1,
        .rate = 10,
        .duration_s = 2,
        .key_list = two_keys,
        .keys = 2,
    };
}

static void add(struct weir_load_tally *t, enum weir_load_outcome outcome,
                enum weir_load_meter meter, uint32_t key, uint64_t due_ms, uint64_t took_ms)
{
    struct weir_load_answer answer = {
        .outcome = outcome,
        .meter = meter,
        .error = WEIR_LOAD_ERR_STATUS,
        .detail = 500,
        .key = key,
        .due_ns = START_NS + due_ms * MS,
    };
    weir_load_tally_add(t, &answer, answer.due_ns + took_ms * MS);
}

/* Three allowed, two denied, an error, one that was never answered. */
static void fill(struct weir_load_tally *t, const struct weir_load_options *o)
{
    assert_int_equal(weir_load_tally_init(t, o), WEIR_OK);
    weir_load_tally_start(t, START_NS);
    add(t, WEIR_LOAD_ALLOWED, WEIR_LOAD_NO_METER, 0, 0, 1);
    add(t, WEIR_LOAD_ALLOWED, WEIR_LOAD_NO_METER, 0, 50, 1);
    add(t, WEIR_LOAD_DENIED, WEIR_LOAD_OUTPUT_TOKENS, 0, 100, 2);
    add(t, WEIR_LOAD_ALLOWED, WEIR_LOAD_NO_METER, 1, 250, 2);
    add(t, WEIR_LOAD_DENIED, WEIR_LOAD_REQUESTS, 1, 1900, 4);
    add(t, WEIR_LOAD_ERROR, WEIR_LOAD_NO_METER, 1, 1910, 900);
    weir_load_tally_end(t, START_NS + 4 * S, 1);
}

static char *text_of(const struct weir_load_tally *t,
                     void (*write)(const struct weir_load_tally *t, FILE *out))
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    write(t, out);
    fclose(out);
    return text;
}

static void test_counts(void **state)
{
    (void)state;
    struct weir_load_options o = options();
    struct weir_load_tally t;
    fill(&t, &o);
    assert_int_equal(t.all.allowed, 3);
    assert_int_equal(t.all.denied, 2);
    assert_int_equal(t.all.errors, 2);
    assert_int_equal(weir_load_count_sum(&t.key[0]), 3);
    assert_int_equal(weir_load_count_sum(&t.key[1]), 3); /* the unanswered one has no key */
    assert_int_equal(t.failure[WEIR_LOAD_ERR_STATUS].count, 1);
    assert_int_equal(t.latency.count, 5); /* errors have no latency */
    assert_true(weir_load_tally_seconds(&t) == 4.0);
    assert_true(weir_load_tally_rate(&t) == 7.0 / 4.0);
    /* slots of 100 ms */
    assert_int_equal(weir_load_tally_slots(&t), 40);
    assert_int_equal(t.slot[0].allowed, 2);
    assert_int_equal(t.slot[1].denied, 1);
    assert_int_equal(t.slot[2].allowed, 1);
    assert_int_equal(t.slot[28].errors, 1);
    weir_load_tally_deinit(&t);
}

static void test_slots_are_bounded(void **state)
{
    (void)state;
    struct weir_load_options o = options();
    struct weir_load_tally t;
    o.duration_s = WEIR_LOAD_DURATION_MAX_S;
    assert_int_equal(weir_load_tally_init(&t, &o), WEIR_OK);
    weir_load_tally_start(&t, START_NS);
    add(&t, WEIR_LOAD_ALLOWED, WEIR_LOAD_NO_METER, 0, 86400 * 1000 - 1, 0);
    assert_int_equal(t.slot[WEIR_LOAD_SLOTS - 1].allowed, 1);
    add(&t, WEIR_LOAD_ALLOWED, WEIR_LOAD_NO_METER, 0, 864000 * 1000ULL, 0);
    assert_int_equal(t.slot[WEIR_LOAD_SLOTS + WEIR_LOAD_LATE_SLOTS - 1].allowed, 1);
    weir_load_tally_deinit(&t);
}

static void test_json(void **state)
{
    (void)state;
    struct weir_load_options o = options();
    struct weir_load_tally t;
    fill(&t, &o);
    char *json = text_of(&t, weir_load_report_json);
    assert_string_equal(
        json, "{\n"
              "  \"requests\": 7,\n  \"allowed\": 3,\n  \"denied\": 2,\n  \"errors\": 2,\n"
              "  \"unfinished\": 1,\n  \"interrupted\": false,\n"
              "  \"duration_s\": 4.000000,\n  \"rps\": 1.750,\n"
              "  \"latency_ms\": {\"mean\": 2.000000, \"p50\": 2.031615, \"p95\": 4.000000, "
              "\"p99\": 4.000000, \"max\": 4.000000},\n"
              "  \"denied_by\": {\"input_tokens\": 0, \"output_tokens\": 1, \"requests\": 1},\n"
              "  \"keys\": [\n"
              "    {\"key\": \"sk-a\", \"requests\": 3, \"allowed\": 2, \"denied\": 1},\n"
              "    {\"key\": \"<b>&\\\"'\", \"requests\": 3, \"allowed\": 1, \"denied\": 1}\n"
              "  ]\n}\n");
    free(json);
    weir_load_tally_deinit(&t);
}

static void test_other_meters_show_when_they_deny(void **state)
{
    (void)state;
    struct weir_load_options o = options();
    struct weir_load_tally t;
    fill(&t, &o);
    add(&t, WEIR_LOAD_DENIED, WEIR_LOAD_TOTAL_TOKENS, 0, 0, 1);
    add(&t, WEIR_LOAD_DENIED, WEIR_LOAD_NO_METER, 0, 0, 1);
    char *json = text_of(&t, weir_load_report_json);
    assert_non_null(strstr(json, "\"requests\": 1, \"total_tokens\": 1, \"unnamed\": 1}"));
    free(json);
    weir_load_tally_deinit(&t);
}

static void test_text(void **state)
{
    (void)state;
    struct weir_load_options o = options();
    struct weir_load_tally t;
    fill(&t, &o);
    char *text = text_of(&t, weir_load_report_text);
    static const char *const lines[] = {
        "requests             7  in 4.00 s, 1.8/s\n",
        "allowed              3   42.86 %\n",
        "denied               2   28.57 %\n",
        "             1  by output_tokens\n",
        "errors               2   28.57 %\n",
        "             1  neither 200 nor 429, first from http://127.0.0.1:1: status 500\n",
        "             1  due, but given up 10 s after the end\n",
        "latency   mean 2.000  p50 2.032  p95 4.000  p99 4.000  max 4.000 ms\n",
        "sk-a                                3            2            1            0\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (strstr(text, lines[i]) == NULL) {
            fail_msg("no line %sin\n%s", lines[i], text);
        }
    }
    free(text);
    weir_load_tally_deinit(&t);
}

static void test_nothing_answered(void **state)
{
    (void)state;
    struct weir_load_options o = options();
    struct weir_load_tally t;
    assert_int_equal(weir_load_tally_init(&t, &o), WEIR_OK);
    weir_load_tally_start(&t, START_NS);
    weir_load_tally_end(&t, START_NS, 0);
    char *text = text_of(&t, weir_load_report_text);
    char *json = text_of(&t, weir_load_report_json);
    char *html = text_of(&t, weir_load_html);
    assert_null(strstr(text, "nan"));
    assert_null(strstr(json, "nan"));
    assert_null(strstr(html, "nan"));
    assert_null(strstr(html, "inf"));
    free(text);
    free(json);
    free(html);
    weir_load_tally_deinit(&t);
}

/* 1000 keys: the table stays short, with the busiest first. */
static void test_many_keys(void **state)
{
    (void)state;
    struct weir_load_options o = options();
    struct weir_load_tally t;
    o.key_list = NULL;
    o.key_prefix = WEIR_STR("k");
    o.keys = 1000;
    assert_int_equal(weir_load_tally_init(&t, &o), WEIR_OK);
    weir_load_tally_start(&t, START_NS);
    for (uint32_t k = 0; k < 1000; k++) {
        t.key[k].allowed = k * 7 % 1000;
    }
    weir_load_tally_end(&t, START_NS + S, 0);
    uint32_t top[WEIR_LOAD_REPORT_KEYS];
    assert_int_equal(weir_load_tally_top(&t, top, WEIR_LOAD_REPORT_KEYS), WEIR_LOAD_REPORT_KEYS);
    for (uint32_t i = 0; i < WEIR_LOAD_REPORT_KEYS; i++) {
        assert_int_equal(t.key[top[i]].allowed, 999 - i);
    }
    char *text = text_of(&t, weir_load_report_text);
    assert_non_null(strstr(text, "and 980 more keys"));
    assert_true(strlen(text) < 4096);
    char *json = text_of(&t, weir_load_report_json);
    assert_non_null(strstr(json, "{\"key\": \"k1000\", "));
    free(text);
    free(json);
    weir_load_tally_deinit(&t);
}

static void test_long_keys_are_not_told(void **state)
{
    (void)state;
    struct weir_load_options o = options();
    struct weir_str keys[] = {WEIR_STR("sk-proj-0123456789abcdef0"),
                              WEIR_STR("sk-proj-0123456789abcdef")};
    o.key_list = keys;
    struct weir_buf shown;
    weir_buf_init(&shown, 1024);
    weir_load_key_shown(&o, 0, &shown);
    assert_true(weir_str_eq(weir_buf_view(&shown), WEIR_STR("sk-proj-...def0")));
    weir_buf_reset(&shown);
    weir_load_key_shown(&o, 1, &shown);
    assert_true(weir_str_eq(weir_buf_view(&shown), keys[1]));
    weir_buf_deinit(&shown);
}

static void test_html_escapes(void **state)
{
    (void)state;
    struct weir_load_options o = options();
    struct weir_load_tally t;
    fill(&t, &o);
    char *html = text_of(&t, weir_load_html);
    assert_null(strstr(html, "<b>"));
    assert_non_null(strstr(html, "&lt;b&gt;&amp;&quot;&#39;"));
    free(html);
    weir_load_tally_deinit(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_slots_are_bounded),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_other_meters_show_when_they_deny),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_nothing_answered),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_long_keys_are_not_told),
        cmocka_unit_test(test_html_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
