/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts of the mock model server: requests, failures, options, what it produced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "gateway/mock_ledger.h"
#include "gateway/mock_options.h"
#include "gateway/mock_page.h"

/* ---- requests ---- */

static struct weir_json json;
static struct weir_buf space;

static enum weir_err take(enum weir_mock_api api, const char *body, struct weir_mock_request *r,
                          struct weir_mock_refusal *why)
{
    return weir_mock_request_read(api, &json, &space, weir_str_z(body), r, why);
}

static struct weir_mock_request good(enum weir_mock_api api, const char *body)
{
    struct weir_mock_request r;
    struct weir_mock_refusal why;
    assert_int_equal(take(api, body, &r, &why), WEIR_OK);
    return r;
}

static void assert_name(const struct weir_mock_name *name, const char *expected)
{
    assert_true(weir_str_eq(weir_mock_name_view(name), weir_str_z(expected)));
}

#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static void test_chat_request(void **state)
{
    (void)state;
    struct weir_mock_request r =
        good(WEIR_MOCK_CHAT, "{\"model\":\"gpt-4o\"," HI ",\"max_tokens\":3,"
                             "\"max_completion_tokens\":7,\"stream\":true,"
                             "\"stream_options\":{\"include_usage\":true},"
                             "\"metadata\":{\"mock_output_tokens\":\"42\",\"mock_trace\":\"t\"}}");
    assert_name(&r.model, "gpt-4o");
    assert_name(&r.trace, "t");
    assert_int_equal(r.tool.len, 0);
    assert_int_equal(r.output_max, 7);
    assert_int_equal(r.output_asked, 42);
    assert_true(r.stream);
    assert_true(r.include_usage);
    assert_int_equal(r.input_tokens, 3 + 3 + 1);
    struct weir_mock_request other = good(WEIR_MOCK_CHAT, "{\"model\":\"gpt-4o-mini\"," HI "}");
    assert_true(r.prompt_hash != other.prompt_hash);
    assert_true(other.output_asked == WEIR_MOCK_NOT_ASKED);
    assert_int_equal(other.output_max, 0);
}

static void test_tools_on_demand(void **state)
{
    (void)state;
#define CHAT_TOOLS "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"look\"}}]"
    static const struct {
        enum weir_mock_api api;
        const char *body, *tool;
    } cases[] = {
        {WEIR_MOCK_CHAT, "{\"model\":\"m\"," HI "," CHAT_TOOLS "}", ""},
        {WEIR_MOCK_CHAT, "{\"model\":\"m\"," HI "," CHAT_TOOLS ",\"tool_choice\":\"auto\"}", ""},
        {WEIR_MOCK_CHAT, "{\"model\":\"m\"," HI "," CHAT_TOOLS ",\"tool_choice\":\"required\"}",
         "look"},
        {WEIR_MOCK_CHAT,
         "{\"model\":\"m\"," HI ",\"tool_choice\":{\"type\":\"function\",\"function\":"
         "{\"name\":\"find\"}}}",
         "find"},
        {WEIR_MOCK_RESPONSE,
         "{\"model\":\"m\",\"input\":\"x\",\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}}",
         "f"},
        {WEIR_MOCK_MESSAGE,
         "{\"model\":\"m\",\"max_tokens\":1," HI ",\"tools\":[{\"name\":\"g\"}],"
         "\"tool_choice\":{\"type\":\"any\"}}",
         "g"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_mock_request r = good(cases[i].api, cases[i].body);
        assert_name(&r.tool, cases[i].tool);
    }
#undef CHAT_TOOLS
}

static void test_embedding_request(void **state)
{
    (void)state;
    struct weir_mock_request r =
        good(WEIR_MOCK_EMBEDDING, "{\"model\":\"e\",\"input\":[\"one\",\"two\"],"
                                  "\"encoding_format\":\"base64\",\"dimensions\":4}");
    assert_int_equal(r.inputs, 2);
    assert_int_equal(r.dimensions, 4);
    assert_true(r.base64);
    r = good(WEIR_MOCK_EMBEDDING, "{\"model\":\"e\",\"input\":[1,2,3]}");
    assert_int_equal(r.inputs, 1);
    assert_int_equal(r.input_tokens, 3);
    assert_int_equal(r.dimensions, 1536);
    r = good(WEIR_MOCK_EMBEDDING, "{\"model\":\"e\",\"input\":[[1,2],[3]]}");
    assert_int_equal(r.inputs, 2);
}

static void test_refused_requests(void **state)
{
    (void)state;
    static const struct {
        enum weir_mock_api api;
        const char *body, *param;
    } cases[] = {
        {WEIR_MOCK_CHAT, "", ""},
        {WEIR_MOCK_CHAT, "[]", ""},
        {WEIR_MOCK_CHAT, "{" HI "}", "model"},
        {WEIR_MOCK_CHAT, "{\"model\":\"\"," HI "}", "model"},
        {WEIR_MOCK_CHAT, "{\"model\":\"m\"}", "messages"},
        {WEIR_MOCK_CHAT, "{\"model\":\"m\",\"messages\":[]}", "messages"},
        {WEIR_MOCK_CHAT, "{\"model\":\"m\",\"messages\":\"hi\"}", "messages"},
        {WEIR_MOCK_CHAT, "{\"model\":\"m\"," HI ",\"max_tokens\":0}", "max_tokens"},
        {WEIR_MOCK_CHAT, "{\"model\":\"m\"," HI ",\"n\":2}", "n"},
        {WEIR_MOCK_CHAT, "{\"model\":\"m\"," HI ",\"tool_choice\":\"required\"}", "tool_choice"},
        {WEIR_MOCK_CHAT, "{\"model\":\"m\"," HI ",\"metadata\":{\"mock_output_tokens\":\"x\"}}",
         "metadata.mock_output_tokens"},
        {WEIR_MOCK_COMPLETION, "{\"model\":\"m\"}", "prompt"},
        {WEIR_MOCK_MESSAGE, "{\"model\":\"m\"," HI "}", "max_tokens"},
        {WEIR_MOCK_EMBEDDING, "{\"model\":\"m\",\"input\":\"x\",\"dimensions\":4097}",
         "dimensions"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_mock_request r;
        struct weir_mock_refusal why;
        assert_int_equal(take(cases[i].api, cases[i].body, &r, &why), WEIR_ERR_INVALID);
        assert_string_equal(why.param, cases[i].param);
        assert_true(why.text[0] != '\0');
    }
}

static void test_names_have_a_bound(void **state)
{
    (void)state;
    for (int more = 0; more < 2; more++) {
        char body[300], model[WEIR_MOCK_NAME_MAX + 2];
        struct weir_mock_request r;
        struct weir_mock_refusal why;
        memset(model, 'm', sizeof(model));
        model[WEIR_MOCK_NAME_MAX + more] = '\0';
        snprintf(body, sizeof(body), "{\"model\":\"%s\"," HI "}", model);
        assert_int_equal(take(WEIR_MOCK_CHAT, body, &r, &why), more ? WEIR_ERR_INVALID : WEIR_OK);
    }
}

/* ---- failures ---- */

static void test_shares(void **state)
{
    (void)state;
    enum { N = 100000 };
    struct weir_mock_faults faults = {0};
    unsigned of_429 = 0, of_500 = 0, aborts = 0, same = 0;
    assert_true(weir_mock_fail_add(&faults, "429:5%"));
    assert_true(weir_mock_fail_add(&faults, "500:1%"));
    assert_true(weir_mock_share("10%", &faults.abort_share));
    for (uint64_t i = 0; i < N; i++) {
        struct weir_mock_fate fate = weir_mock_fate(&faults, 1, i);
        of_429 += fate.status == 429;
        of_500 += fate.status == 500;
        aborts += fate.aborts;
        assert_false(fate.aborts && fate.status != 0);
        assert_true(weir_mock_abort_at(&fate, 10) < 10);
        same += weir_mock_fate(&faults, 2, i).status == fate.status;
    }
    assert_in_range(of_429, N / 20 - 300, N / 20 + 300);
    assert_in_range(of_500, N / 100 - 150, N / 100 + 150);
    assert_in_range(aborts, N / 100 * 94 / 10 - 400, N / 100 * 94 / 10 + 400);
    assert_true(same < N); /* the seed matters */
}

static void test_fate_repeats(void **state)
{
    (void)state;
    const struct weir_mock_faults faults = {
        .fail = {{500, 300000}}, .fails = 1, .abort_share = 500000};
    for (uint64_t i = 0; i < 1000; i++) {
        struct weir_mock_fate a = weir_mock_fate(&faults, 9, i), b = weir_mock_fate(&faults, 9, i);
        assert_int_equal(a.status, b.status);
        assert_int_equal(a.aborts, b.aborts);
        assert_true(a.where == b.where);
    }
}

/* ---- options ---- */

static void test_options(void **state)
{
    (void)state;
    struct weir_mock_config model = {0};
    uint32_t share = 0;
    uint64_t number;
    struct weir_str names;
    assert_true(weir_mock_output_tokens(&model, "10"));
    assert_int_equal(model.output_mean, 10);
    assert_int_equal(model.output_max, 512);
    assert_true(weir_mock_output_tokens(&model, "400"));
    assert_int_equal(model.output_max, 800);
    assert_true(weir_mock_output_tokens(&model, "10:10"));
    assert_int_equal(model.output_max, 10);
    static const char *const not_lengths[] = {
        "", "0", ":5", "5:", "5:4", "1000001", "1:1000001", "5:x"};
    for (size_t i = 0; i < sizeof(not_lengths) / sizeof(not_lengths[0]); i++) {
        assert_false(weir_mock_output_tokens(&model, not_lengths[i]));
    }
    assert_true(weir_mock_share("0.01%", &share));
    assert_int_equal(share, 100);
    assert_true(weir_mock_share("100%", &share));
    assert_int_equal(share, WEIR_MOCK_ALL);
    static const char *const not_shares[] = {"", "%", "5", "101%", "-1%", "5 %", "1e1%", "5%%"};
    for (size_t i = 0; i < sizeof(not_shares) / sizeof(not_shares[0]); i++) {
        assert_false(weir_mock_share(not_shares[i], &share));
    }
    assert_false(weir_mock_number("3", 0, 2, &number));
    assert_true(weir_mock_names("a,b", &names));
    assert_false(weir_mock_names("a,,b", &names));
    assert_false(weir_mock_names("", &names));
}

static void test_fail_option(void **state)
{
    (void)state;
    struct weir_mock_faults faults = {0};
    static const char *const wrong[] = {"429",    "429:", "429:5",    "200:5%",
                                        "430:5%", ":5%",  "429:101%", "x:5%"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(weir_mock_fail_add(&faults, wrong[i]));
    }
    assert_int_equal(faults.fails, 0);
    assert_true(weir_mock_fail_add(&faults, "529:60%"));
    assert_false(weir_mock_fail_add(&faults, "500:41%")); /* above all */
    assert_true(weir_mock_fail_add(&faults, "500:40%"));
    while (faults.fails < WEIR_MOCK_FAILS_MAX) {
        assert_true(weir_mock_fail_add(&faults, "503:0%"));
    }
    assert_false(weir_mock_fail_add(&faults, "503:0%"));
}

/* ---- what it produced ---- */

static void assert_has(const struct weir_buf *b, const char *text)
{
    assert_non_null(memmem(b->data, b->len, text, strlen(text)));
}

static void test_ledger(void **state)
{
    (void)state;
    struct weir_mock_ledger *l;
    struct weir_buf b;
    struct weir_str none = {0};
    weir_buf_init(&b, 1 << 20);
    assert_int_equal(weir_mock_ledger_new(&l), WEIR_OK);
    static const enum weir_mock_end ends[] = {WEIR_MOCK_COMPLETED, WEIR_MOCK_ABORTED,
                                              WEIR_MOCK_CANCELLED, WEIR_MOCK_COMPLETED};
    for (unsigned i = 0; i < 4; i++) {
        weir_mock_ledger_begin(l);
        weir_mock_ledger_end(l, ends[i], WEIR_STR("m"), i < 2 ? WEIR_STR("t") : none, 10, i + 1);
    }
    weir_mock_ledger_begin(l);
    weir_mock_ledger_end(l, WEIR_MOCK_FAILED, WEIR_STR("other"), none, 0, 0);
    weir_mock_ledger_begin(l);
    assert_true(weir_mock_ledger_json(l, none, &b));
    assert_int_equal(weir_json_parse(&json, weir_buf_view(&b)), WEIR_OK);
    assert_has(&b, "{\"open\":1,\"total\":{\"requests\":5,\"input_tokens\":40,\"output_tokens\":10,"
                   "\"completed\":{\"requests\":2,\"input_tokens\":20,\"output_tokens\":5}");
    assert_has(&b, "\"m\":{\"requests\":4,\"input_tokens\":40,\"output_tokens\":10,");
    assert_has(&b, "\"aborted\":{\"requests\":1,\"input_tokens\":10,\"output_tokens\":2}");
    assert_has(&b, "\"cancelled\":{\"requests\":1,\"input_tokens\":10,\"output_tokens\":3}");
    assert_has(&b, "\"other\":{\"requests\":1,\"input_tokens\":0,");
    weir_buf_reset(&b);
    assert_true(weir_mock_ledger_json(l, WEIR_STR("t"), &b));
    assert_has(&b, "{\"requests\":2,\"input_tokens\":20,\"output_tokens\":3,");
    assert_false(weir_mock_ledger_json(l, WEIR_STR("x"), &b));
    weir_mock_ledger_free(l);
    weir_buf_deinit(&b);
}

/* One model more than there is place for is in the total, and is told as lost. */
static void test_ledger_is_bounded(void **state)
{
    (void)state;
    struct weir_mock_ledger *l;
    struct weir_buf b;
    struct weir_str none = {0};
    weir_buf_init(&b, 1 << 20);
    assert_int_equal(weir_mock_ledger_new(&l), WEIR_OK);
    for (unsigned i = 0; i <= WEIR_MOCK_MODELS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%u", i);
        for (unsigned k = 0; k < 2; k++) {
            weir_mock_ledger_begin(l);
            weir_mock_ledger_end(l, WEIR_MOCK_COMPLETED, weir_str_z(name), none, 1, 1);
        }
    }
    assert_true(weir_mock_ledger_json(l, none, &b));
    char total[64];
    snprintf(total, sizeof(total), "\"total\":{\"requests\":%u,", 2 * (WEIR_MOCK_MODELS_MAX + 1));
    assert_has(&b, total);
    assert_has(&b, "\"models_lost\":2,");
    assert_has(&b, "\"m1023\":{\"requests\":2,");
    weir_mock_ledger_free(l);
    weir_buf_deinit(&b);
}

/* ---- pages ---- */

static void test_embeddings(void **state)
{
    (void)state;
    struct weir_buf one, two;
    weir_buf_init(&one, 1 << 20);
    weir_buf_init(&two, 1 << 20);
    struct weir_mock_request r = {.inputs = 2, .dimensions = 2, .input_tokens = 9};
    assert_true(weir_mock_name_set(&r.model, WEIR_STR("e")));
    weir_mock_embeddings(&one, &r, 1);
    weir_mock_embeddings(&two, &r, 1);
    assert_true(weir_str_eq(weir_buf_view(&one), weir_buf_view(&two)));
    assert_int_equal(weir_json_parse(&json, weir_buf_view(&one)), WEIR_OK);
    assert_has(&one, "\"usage\":{\"prompt_tokens\":9,\"total_tokens\":9}");
    weir_buf_reset(&two);
    r.base64 = true;
    weir_mock_embeddings(&two, &r, 1);
    assert_has(&two, "=\"}"); /* 8 bytes */
    weir_buf_deinit(&one);
    weir_buf_deinit(&two);
}

static void test_errors_and_models(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 1 << 16);
    weir_mock_error(&b, false, 429, WEIR_STR("slow"), NULL, WEIR_STR("req_1"));
    assert_has(&b, "{\"error\":{\"message\":\"slow\",\"type\":\"requests\",\"param\":null,"
                   "\"code\":\"rate_limit_exceeded\"}}");
    weir_buf_reset(&b);
    weir_mock_error(&b, true, 529, WEIR_STR("slow"), NULL, WEIR_STR("req_1"));
    assert_has(&b, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
                   "\"message\":\"slow\"},\"request_id\":\"req_1\"}");
    weir_buf_reset(&b);
    weir_mock_models(&b, true, WEIR_STR("a,b"));
    assert_has(&b, "\"has_more\":false,\"first_id\":\"a\",\"last_id\":\"b\"}");
    assert_int_equal(weir_json_parse(&json, weir_buf_view(&b)), WEIR_OK);
    weir_buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat_request),       cmocka_unit_test(test_tools_on_demand),
        cmocka_unit_test(test_embedding_request),  cmocka_unit_test(test_refused_requests),
        cmocka_unit_test(test_names_have_a_bound), cmocka_unit_test(test_shares),
        cmocka_unit_test(test_fate_repeats),       cmocka_unit_test(test_options),
        cmocka_unit_test(test_fail_option),        cmocka_unit_test(test_ledger),
        cmocka_unit_test(test_ledger_is_bounded),  cmocka_unit_test(test_embeddings),
        cmocka_unit_test(test_errors_and_models),
    };
    weir_json_init(&json);
    weir_buf_init(&space, 1 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    weir_json_deinit(&json);
    weir_buf_deinit(&space);
    return failed;
}
