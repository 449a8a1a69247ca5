/* SPDX-License-Identifier: Apache-2.0 */
/* What answers say of limits: Go's durations, OpenAI's headers and words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "service/dialect.h"
#include "service/service.h"
#include "service/top.h"

static const char *text_of(struct weir_buf *b)
{
    weir_buf_char(b, '\0');
    assert_false(b->failed);
    return b->data;
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        uint64_t us;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {1, "1ms"}, /* rounded up, so that a retry is never too early */
        {1000, "1ms"},
        {1001, "2ms"},
        {999000, "999ms"},
        {999001, "1s"},
        {1000000, "1s"},
        {1146000, "1.146s"},
        {1500000, "1.5s"},
        {1010000, "1.01s"},
        {59999000, "59.999s"},
        {59999001, "1m0s"},
        {60000000, "1m0s"},
        {179560000, "2m59.56s"},
        {360000000, "6m0s"},
        {UINT64_C(3599999999), "1h0m0s"},
        {UINT64_C(3600000000), "1h0m0s"},
        {UINT64_C(3661001000), "1h1m1.001s"},
        {UINT64_C(30) * 86400 * 1000000, "720h0m0s"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_buf b;
        weir_buf_init(&b, 100);
        weir_duration(&b, cases[i].us);
        assert_string_equal(text_of(&b), cases[i].text);
        weir_buf_deinit(&b);
    }
}

static void add(struct weir_decision *d, enum weir_meter meter, uint32_t window_s,
                uint64_t capacity, uint64_t used)
{
    d->state[d->states++] = (struct weir_limit_state){.meter = (uint8_t)meter,
                                                      .window_s = window_s,
                                                      .capacity = capacity,
                                                      .used = used,
                                                      .reset_us = window_s * UINT64_C(1000000)};
}

static void rate_is(const struct weir_decision *d, const char *expected)
{
    static const char first[] = "openai-version: 2020-10-01\r\nopenai-processing-ms: 7\r\n";
    struct weir_buf b;
    weir_buf_init(&b, 4096);
    weir_api_openai.headers(&b, NULL, 7, d, 0);
    assert_memory_equal(text_of(&b), first, strlen(first));
    assert_string_equal(b.data + strlen(first), expected);
    weir_buf_deinit(&b);
}

#define THREE(name, limit, remaining, reset)                                                       \
    "x-ratelimit-limit-" name ": " limit "\r\n"                                                    \
    "x-ratelimit-remaining-" name ": " remaining "\r\n"                                            \
    "x-ratelimit-reset-" name ": " reset "\r\n"

/* Of several limits of a meter the one with the least left, wherever it stands. */
static void test_rate_names_the_tightest(void **state)
{
    (void)state;
    struct weir_decision d = {.allowed = true};
    add(&d, WEIR_METER_REQUESTS, 1, 10, 2);
    add(&d, WEIR_METER_REQUESTS, 60, 100, 97);
    add(&d, WEIR_METER_REQUESTS, 86400, 1000, 900);
    add(&d, WEIR_METER_INPUT_TOKENS, 60, 5000, 1000);
    add(&d, WEIR_METER_OUTPUT_TOKENS, 60, 2000, 500);
    add(&d, WEIR_METER_OUTPUT_TOKENS, 3600, 9000, 8800);
    rate_is(&d, THREE("requests", "100", "3", "1m0s") THREE("tokens", "9000", "200", "1h0m0s")
                    THREE("input-tokens", "5000", "4000", "1m0s")
                        THREE("output-tokens", "9000", "200", "1h0m0s"));
}

/* `tokens` is the limit of all tokens where there is one, else the tighter of both kinds. */
static void test_rate_of_tokens(void **state)
{
    (void)state;
    struct weir_decision d = {.allowed = true};
    add(&d, WEIR_METER_OUTPUT_TOKENS, 60, 100, 200); /* debt: nothing remains */
    add(&d, WEIR_METER_TOTAL_TOKENS, 60, 300, 100);
    rate_is(&d, THREE("tokens", "300", "200", "1m0s") THREE("output-tokens", "100", "0", "1m0s"));
    d.states = 0;
    add(&d, WEIR_METER_INPUT_TOKENS, 60, 7, 5);
    rate_is(&d, THREE("tokens", "7", "2", "1m0s") THREE("input-tokens", "7", "2", "1m0s"));
    d.states = 0;
    rate_is(&d, "");
}

/* A limit in shadow slows down no client; one that holds beside it is told. */
static void test_rate_without_shadows(void **state)
{
    (void)state;
    struct weir_decision d = {.allowed = true};
    add(&d, WEIR_METER_REQUESTS, 60, 5, 9);
    d.state[0].shadow = true;
    add(&d, WEIR_METER_TOTAL_TOKENS, 60, 5, 9);
    d.state[1].shadow = true;
    add(&d, WEIR_METER_OUTPUT_TOKENS, 60, 100, 10);
    add(&d, WEIR_METER_REQUESTS, 3600, 1000, 9);
    rate_is(&d, THREE("requests", "1000", "991", "1h0m0s") THREE("tokens", "100", "90", "1m0s")
                    THREE("output-tokens", "100", "90", "1m0s"));
    d.states = 2;
    rate_is(&d, "");
}

/* Of several subjects, too: a team may have less left than its key. */
static void test_rate_over_subjects(void **state)
{
    (void)state;
    struct weir_decision d = {.allowed = true};
    add(&d, WEIR_METER_REQUESTS, 60, 100, 50);
    add(&d, WEIR_METER_OUTPUT_TOKENS, 60, 100, 10);
    add(&d, WEIR_METER_REQUESTS, 60, 1000, 960);
    d.state[2].subject = 1;
    add(&d, WEIR_METER_OUTPUT_TOKENS, 3600, 500, 420);
    d.state[3].subject = 2;
    add(&d, WEIR_METER_REQUESTS, 1, 90, 0);
    d.state[4].subject = 3;
    rate_is(&d, THREE("requests", "1000", "40", "1m0s") THREE("tokens", "500", "80", "1h0m0s")
                    THREE("output-tokens", "500", "80", "1h0m0s"));
}

/* A call of four subjects. */
static struct weir_call call_of_four(void)
{
    static const struct weir_subject subject[] = {{.name = {"key:a", 5}},
                                                  {.name = {"team:b", 6}},
                                                  {.name = {"org:c", 5}},
                                                  {.name = {"model:gpt-4*", 12}}};
    return (struct weir_call){.subject = {&subject[0], &subject[1], &subject[2], &subject[3]},
                              .subjects = 4};
}

static void retry_is(uint64_t retry_after_us, const char *expected)
{
    struct weir_buf b;
    weir_buf_init(&b, 4096);
    struct weir_call call = call_of_four();
    call.decision = (struct weir_decision){.denied_subject = 1,
                                           .denied_meter = WEIR_METER_OUTPUT_TOKENS,
                                           .retry_after_us = retry_after_us};
    weir_headers_retry(&b, &call);
    const char *text = text_of(&b);
    static const char by[] =
        "x-weir-limited-by: output_tokens\r\nx-weir-limited-subject: team:b\r\n";
    assert_memory_equal(text, by, sizeof(by) - 1);
    assert_string_equal(text + sizeof(by) - 1, expected);
    weir_buf_deinit(&b);
}

static void test_retry(void **state)
{
    (void)state;
    retry_is(1, "retry-after-ms: 1\r\nretry-after: 1\r\nx-should-retry: true\r\n");
    retry_is(1146000, "retry-after-ms: 1146\r\nretry-after: 2\r\nx-should-retry: true\r\n");
    retry_is(1000001, "retry-after-ms: 1001\r\nretry-after: 2\r\nx-should-retry: true\r\n");
    retry_is(2000000, "retry-after-ms: 2000\r\nretry-after: 2\r\nx-should-retry: true\r\n");
    retry_is(60000000, "retry-after-ms: 60000\r\nretry-after: 60\r\nx-should-retry: true\r\n");
    retry_is(60000001, "retry-after-ms: 60001\r\nretry-after: 61\r\nx-should-retry: false\r\n");
    retry_is(0, "retry-after-ms: 0\r\nretry-after: 1\r\nx-should-retry: true\r\n");
    retry_is(WEIR_RETRY_NEVER, "x-should-retry: false\r\n");
}

static void test_words(void **state)
{
    (void)state;
    static const struct {
        enum weir_meter meter;
        uint32_t window_s;
        const char *text;
    } cases[] = {
        {WEIR_METER_REQUESTS, 60, "requests per min (RPM)"},
        {WEIR_METER_REQUESTS, 86400, "requests per day (RPD)"},
        {WEIR_METER_INPUT_TOKENS, 60, "input tokens per min (TPM)"},
        {WEIR_METER_OUTPUT_TOKENS, 3600, "output tokens per hour (TPH)"},
        {WEIR_METER_TOTAL_TOKENS, 1, "tokens per sec (TPS)"},
        {WEIR_METER_REQUESTS, 7, "requests per 7s"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_buf b;
        weir_buf_init(&b, 100);
        weir_limit_words(&b, cases[i].meter, cases[i].window_s);
        assert_string_equal(text_of(&b), cases[i].text);
        weir_buf_deinit(&b);
    }
}

static void test_limits_json(void **state)
{
    (void)state;
    struct weir_buf b;
    struct weir_call call = call_of_four();
    weir_buf_init(&b, 4096);
    weir_limits_json(&b, &call);
    add(&call.decision, WEIR_METER_REQUESTS, 60, 10, 12);
    add(&call.decision, WEIR_METER_INPUT_TOKENS, 1, WEIR_AMOUNT_MAX, 0);
    call.decision.state[1].reset_us = 1;
    call.decision.state[1].subject = 3;
    call.decision.state[1].shadow = true;
    weir_limits_json(&b, &call);
    assert_string_equal(text_of(&b),
                        "[][{\"subject\":\"key:a\",\"meter\":\"requests\",\"window_s\":60,"
                        "\"capacity\":10,\"used\":12,\"remaining\":0,\"reset_ms\":60000},"
                        "{\"subject\":\"model:gpt-4*\",\"meter\":\"input_tokens\",\"window_s\":1,"
                        "\"capacity\":1125899906842624,\"used\":0,"
                        "\"remaining\":1125899906842624,\"reset_ms\":1,\"shadow\":true}]");
    weir_buf_deinit(&b);
}

/* ---- what decisions count ---- */

/* The only ones that are counted: of the key's requests, and of the org's output. */
static void counted(const struct weir_service *s, uint64_t near, uint64_t requests, uint64_t output)
{
    uint64_t nears = 0, shadows = 0;
    for (unsigned scope = 0; scope < WEIR_SCOPES; scope++) {
        for (unsigned m = 0; m < WEIR_METERS; m++) {
            nears += s->metrics.near[scope][m];
            shadows += s->metrics.shadow_denied[scope][m];
        }
    }
    assert_int_equal(nears, near);
    assert_int_equal(s->metrics.shadow_denied[WEIR_SCOPE_KEY][WEIR_METER_REQUESTS], requests);
    assert_int_equal(s->metrics.shadow_denied[WEIR_SCOPE_ORG][WEIR_METER_OUTPUT_TOKENS], output);
    assert_int_equal(shadows, requests + output);
}

/* What a limit in shadow would have denied counts once for each meter of a subject; what it would
 * not be asked for, what fits it, a look and a denial do not. */
static void test_counts_shadows(void **state)
{
    (void)state;
    static struct weir_service s;
    struct weir_call call = call_of_four();
    struct weir_decision *d = &call.decision;
    assert_int_equal(weir_top_new(&s.top), WEIR_OK);
    call.outcome = WEIR_OUTCOME_DECIDED;
    call.amounts = weir_amounts(1, 5, 7);
    d->allowed = true;
    add(d, WEIR_METER_REQUESTS, 1, 10, 10);  /* just full */
    add(d, WEIR_METER_REQUESTS, 60, 10, 11); /* both pass it: once */
    add(d, WEIR_METER_REQUESTS, 3600, 10, 12);
    add(d, WEIR_METER_OUTPUT_TOKENS, 60, 10, 17);
    d->state[3].subject = 2;
    for (unsigned i = 0; i < 4; i++) {
        d->state[i].shadow = true;
    }
    weir_count_decision(&s, &call, 1);
    counted(&s, 0, 1, 1);
    d->state[1].used = d->state[2].used = 10;
    weir_count_decision(&s, &call, 1);
    counted(&s, 0, 1, 2);
    call.amounts = weir_amounts(1, 5, 0); /* no output is asked for */
    weir_count_decision(&s, &call, 1);
    counted(&s, 0, 1, 2);
    d->state[1].used = 11;
    call.amounts = weir_amounts(0, 0, 0);
    weir_count_decision(&s, &call, 1);
    counted(&s, 0, 1, 2);
    call.amounts = weir_amounts(1, 5, 7);
    d->allowed = false;
    weir_count_decision(&s, &call, 1);
    counted(&s, 0, 1, 2);
    d->allowed = true;
    for (unsigned i = 0; i < 4; i++) {
        d->state[i].shadow = false; /* as debt leaves it */
    }
    weir_count_decision(&s, &call, 1);
    counted(&s, 2, 1, 2);
    weir_top_free(s.top);
}

static void denial_is(const struct weir_call *call, const char *expected)
{
    struct weir_buf b;
    char text[WEIR_DENIAL_MAX];
    weir_buf_init(&b, 4096);
    struct weir_str words = weir_denial_words(&b, call, WEIR_STR("gpt-4o"), text);
    assert_ptr_equal(words.p, text);
    assert_int_equal(words.len, strlen(expected));
    assert_memory_equal(text, expected, words.len);
    weir_buf_deinit(&b);
}

/* The numbers are those of the limit that denied, not of one of the same meter and window. */
static void test_denial(void **state)
{
    (void)state;
    struct weir_call call = call_of_four();
    struct weir_decision *d = &call.decision;
    call.amounts = weir_amounts(1, 7, 300);
    for (uint8_t i = 0; i < 4; i++) {
        add(d, WEIR_METER_OUTPUT_TOKENS, 60, 1000U + i, 100U + i);
        d->state[i].subject = i;
    }
    d->denied_meter = WEIR_METER_OUTPUT_TOKENS;
    d->denied_window_s = 60;
    d->denied_subject = 2;
    d->retry_after_us = 1146000;
    denial_is(&call, "Rate limit reached for gpt-4o in organization org:c on output tokens per min "
                     "(TPM): Limit 1002, Used 102, Requested 300. Please try again in 1.146s.");
    d->denied_subject = 3;
    d->retry_after_us = WEIR_RETRY_NEVER;
    denial_is(&call, "Request too large for gpt-4o in organization model:gpt-4* on output tokens "
                     "per min (TPM): Limit 1003, Requested 300. The input or output tokens must "
                     "be reduced in order to run successfully.");
    struct weir_buf b;
    char text[WEIR_DENIAL_MAX], model[2 * WEIR_DENIAL_MAX];
    memset(model, 'm', sizeof(model));
    weir_buf_init(&b, 4096);
    weir_mem_fail_after(0);
    assert_int_equal(weir_denial_words(&b, &call, WEIR_STR("gpt-4o"), text).len, 0);
    weir_mem_fail_after(UINT64_MAX);
    struct weir_str cut = weir_denial_words(&b, &call, weir_str(model, sizeof(model)), text);
    assert_int_equal(cut.len, WEIR_DENIAL_MAX);
    weir_buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_rate_names_the_tightest),
        cmocka_unit_test(test_rate_of_tokens),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_limits_json),
        cmocka_unit_test(test_rate_without_shadows),
        cmocka_unit_test(test_counts_shadows),
        cmocka_unit_test(test_rate_over_subjects),
        cmocka_unit_test(test_denial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
