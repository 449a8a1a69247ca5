/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the access log: every field, what is escaped, and how long one can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "service/access.h"

#define TIME "2026-01-31T23:59:59.999Z"

/* The line, until the next one. */
static const char *line_of(const struct weir_access *a, uint64_t now_ns)
{
    static char text[2 * WEIR_ACCESS_LINE_MAX];
    struct weir_buf b;
    weir_buf_init(&b, sizeof(text) - 1);
    weir_access_line(&b, a, WEIR_STR(TIME), now_ns);
    assert_false(b.failed);
    memcpy(text, b.data, b.len);
    text[b.len] = '\0';
    weir_buf_deinit(&b);
    return text;
}

static struct weir_access asked(struct weir_str method, struct weir_str path,
                                const struct weir_http_header *header, size_t headers)
{
    const struct weir_http_request http = {
        .method_text = method, .path = path, .header = header, .headers = headers};
    struct weir_access a = {0};
    weir_access_asked(&a, &http);
    return a;
}

static void test_nothing_known(void **state)
{
    (void)state;
    struct weir_access a = {0};
    assert_string_equal(
        line_of(&a, 5),
        "{\"time\":\"" TIME "\",\"request_id\":null,\"trace_id\":null,\"parent_id\":null,"
        "\"method\":null,\"path\":null,\"key\":null,\"team\":null,\"org\":null,\"model\":null,"
        "\"stream\":false,\"status\":null,\"outcome\":\"allowed\",\"denied_by\":null,"
        "\"tokens\":{\"reserved\":null,\"settled\":null},\"upstream\":null,\"decision_us\":null,"
        "\"upstream_first_byte_ms\":null,\"duration_ms\":null}\n");
}

static void test_all_known(void **state)
{
    (void)state;
    const struct weir_http_header header = {
        WEIR_STR_INIT("TraceParent"),
        WEIR_STR_INIT("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")};
    struct weir_access a = asked(WEIR_STR("POST"), WEIR_STR("/v1/chat/completions"), &header, 1);
    const struct weir_group org = {.name = "org:acme"}, team = {.name = "team:search", .org = &org};
    const struct weir_key key = {.name = "key:alice", .group = &team};
    const struct weir_caller caller = {.key = &key};
    const struct weir_call call = {.amounts = weir_amounts(1, 7, 100),
                                   .outcome = WEIR_OUTCOME_DECIDED,
                                   .decision = {.allowed = true}};
    a.started_ns = 1000000;
    weir_access_upstream(&a, "east");
    weir_access_caller(&a, &caller);
    weir_access_asks(&a, WEIR_STR("gpt-4o"), true);
    weir_access_decided(&a, &call, 12345);
    weir_access_sent(&a, 2000000);
    weir_access_first_byte(&a, 3500000);
    weir_access_status(&a, 200, "req_0123456789abcdef0123456789abcdef");
    weir_access_settled(&a, 8, 42);
    assert_string_equal(
        line_of(&a, UINT64_C(61002003456)),
        "{\"time\":\"" TIME "\",\"request_id\":\"req_0123456789abcdef0123456789abcdef\","
        "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"parent_id\":\"b7ad6b7169203331\","
        "\"method\":\"POST\",\"path\":\"/v1/chat/completions\",\"key\":\"alice\","
        "\"team\":\"search\",\"org\":\"acme\",\"model\":\"gpt-4o\",\"stream\":true,"
        "\"status\":200,\"outcome\":\"allowed\",\"denied_by\":null,\"tokens\":{\"reserved\":"
        "{\"input\":7,\"output\":100},\"settled\":{\"input\":8,\"output\":42}},"
        "\"upstream\":\"east\",\"decision_us\":12.345,\"upstream_first_byte_ms\":1.500,"
        "\"duration_ms\":61001.003}\n");
}

static void test_denied(void **state)
{
    (void)state;
    const struct weir_subject subject = {.name = WEIR_STR_INIT("team:search")};
    const struct weir_call call = {.subject = {NULL, &subject},
                                   .amounts = weir_amounts(1, 7, 100),
                                   .outcome = WEIR_OUTCOME_DECIDED,
                                   .decision = {.denied_subject = 1,
                                                .denied_meter = WEIR_METER_OUTPUT_TOKENS,
                                                .denied_window_s = 60}};
    struct weir_access a = {0};
    weir_access_decided(&a, &call, 0);
    weir_access_outcome(&a, WEIR_ACCESS_REFUSED); /* the first one stands */
    const char *line = line_of(&a, 0);
    assert_non_null(strstr(line,
                           "\"outcome\":\"denied\",\"denied_by\":{\"subject\":\"team:search\","
                           "\"meter\":\"output_tokens\",\"window_s\":60},"
                           "\"tokens\":{\"reserved\":null,\"settled\":null}"));
}

/* Of a call that was not decided nothing of its decision is told. */
static void test_unavailable(void **state)
{
    (void)state;
    const struct weir_call call = {.outcome = WEIR_OUTCOME_UNAVAILABLE};
    struct weir_access a = {0};
    weir_access_decided(&a, &call, 0);
    assert_non_null(strstr(line_of(&a, 0), "\"outcome\":\"unavailable\",\"denied_by\":null,"));
}

static void test_outcomes(void **state)
{
    (void)state;
    static const char *const names[WEIR_ACCESS_OUTCOMES] = {
        "allowed", "denied",          "cut",        "settled", "unavailable",
        "refused", "upstream_failed", "client_gone"};
    for (unsigned i = 0; i < WEIR_ACCESS_OUTCOMES; i++) {
        char expected[64];
        struct weir_access a = {0};
        weir_access_outcome(&a, (enum weir_access_outcome)i);
        snprintf(expected, sizeof(expected), "\"outcome\":\"%s\",", names[i]);
        assert_non_null(strstr(line_of(&a, 0), expected));
    }
}

static void test_escapes(void **state)
{
    (void)state;
    struct weir_access a = asked(WEIR_STR("GET"), WEIR_STR("/a\"b\\c\xff\x80"), NULL, 0);
    weir_access_asks(&a, WEIR_STR("m\"\n\x01\xc3\xa4"), false);
    const char *line = line_of(&a, 0);
    assert_non_null(strstr(line, "\"path\":\"/a\\\"b\\\\c?\?\","));
    assert_non_null(strstr(line, "\"model\":\"m\\\"\\n\\u0001\xc3\xa4\","));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void test_second_trace(void **state)
{
    (void)state;
    const struct weir_str one = WEIR_STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    const struct weir_http_header header[] = {{WEIR_STR("traceparent"), one},
                                              {WEIR_STR("traceparent"), one}};
    assert_true(asked(WEIR_STR("GET"), WEIR_STR("/"), header, 1).traced);
    assert_false(asked(WEIR_STR("GET"), WEIR_STR("/"), header, 2).traced);
    assert_false(asked(WEIR_STR("GET"), WEIR_STR("/"), header, 0).traced);
}

static void test_unconfigured_key(void **state)
{
    (void)state;
    struct weir_caller caller = {0};
    struct weir_access a = {0};
    memset(caller.sha256, 0xab, sizeof(caller.sha256));
    weir_access_caller(&a, &caller);
    assert_non_null(strstr(line_of(&a, 0), "\"key\":\"anon-abababababababababababababababab\","));
}

/* A reservation may name a subject that is not configured in any bytes. */
static void test_subjects(void **state)
{
    (void)state;
    struct weir_access a = {0};
    weir_access_subject(&a, WEIR_STR("key:anon-\"\xc3\xa4"));
    weir_access_subject(&a, WEIR_STR("team:\xff"));
    weir_access_subject(&a, WEIR_STR("somebody"));
    assert_non_null(
        strstr(line_of(&a, 0), "\"key\":\"anon-\\\"\xc3\xa4\",\"team\":null,\"org\":null,"));
}

/* All texts as long as they can be, and as long again as escapes make them. */
static void test_longest(void **state)
{
    (void)state;
    char path[WEIR_ACCESS_PATH_MAX + 1], model[WEIR_MODEL_MAX + 1], id[WEIR_ID_MAX + 6];
    memset(path, '"', sizeof(path));
    memset(model, 1, sizeof(model));
    memset(id, 'x', sizeof(id));
    struct weir_access a =
        asked(weir_str(path, sizeof(path)), weir_str(path, sizeof(path)), NULL, 0);
    assert_int_equal(a.method_len, WEIR_ACCESS_METHOD_MAX);
    assert_int_equal(a.path_len, WEIR_ACCESS_PATH_MAX);
    weir_access_asks(&a, weir_str(model, sizeof(model)), false);
    assert_int_equal(a.model_len, WEIR_MODEL_MAX);
    const struct weir_subject subject = {.name = weir_str(id, sizeof(id))};
    const struct weir_call call = {.subject = {&subject},
                                   .outcome = WEIR_OUTCOME_DECIDED,
                                   .decision = {.denied_window_s = UINT32_MAX}};
    weir_access_decided(&a, &call, UINT64_MAX);
    for (unsigned i = 0; i < WEIR_SCOPES; i++) {
        a.name[i] = weir_str(id, sizeof(id));
    }
    char upstream[WEIR_NAME_MAX + 1] = {0};
    memset(upstream, 'u', WEIR_NAME_MAX);
    weir_access_upstream(&a, upstream);
    a.traced = a.has_id = true;
    memset(a.id, 'r', sizeof(a.id));
    a.reserved = a.settled = (struct weir_access_tokens){true, UINT64_MAX, UINT64_MAX};
    a.started_ns = a.head_ns = 1;
    assert_true(strlen(line_of(&a, 0)) <= WEIR_ACCESS_LINE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_known), cmocka_unit_test(test_all_known),
        cmocka_unit_test(test_denied),        cmocka_unit_test(test_unavailable),
        cmocka_unit_test(test_outcomes),      cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_second_trace),  cmocka_unit_test(test_unconfigured_key),
        cmocka_unit_test(test_subjects),      cmocka_unit_test(test_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
