/* SPDX-License-Identifier: Apache-2.0 */
/* Which upstream gets a request: models, weights, cool-downs, what an upstream told us to wait. */
#include "gateway/upstream.h"

#include "base/buf.h"
#include "support/configs.h"

enum { NOW = 1000000 };

static struct weir_upstream_set *set;
static struct weir_config *config;

static void begin(const char *yaml)
{
    config = taken(yaml);
    set = weir_upstream_set_new(config, 7);
    assert_non_null(set);
}

static void finish(void)
{
    weir_upstream_set_let_go(set);
    weir_config_free(config);
}

/* The name of the one that is chosen, or why there is none. */
static const char *chosen(const char *model, uint64_t without, uint64_t now_ms)
{
    unsigned i;
    uint64_t wait_ms;
    enum weir_err err = weir_upstream_choose(set, weir_str_z(model), without, now_ms, &i, &wait_ms);
    return err == WEIR_OK ? set->upstream[i].config->name : weir_err_name(err);
}

static const char *instead(const char *model, uint64_t without, uint64_t now_ms)
{
    unsigned i;
    enum weir_err err = weir_upstream_instead(set, weir_str_z(model), without, now_ms, &i);
    return err == WEIR_OK ? set->upstream[i].config->name : weir_err_name(err);
}

static void test_by_model(void **state)
{
    (void)state;
    begin("upstreams:\n"
          "- {name: a, base_url: http://a, models: [\"gpt-*\"]}\n"
          "- {name: b, base_url: http://b, models: [llama]}\n");
    assert_string_equal(chosen("gpt-4o", 0, NOW), "a");
    assert_string_equal(chosen("llama", 0, NOW), "b");
    assert_string_equal(chosen("claude", 0, NOW), weir_err_name(WEIR_ERR_NOT_FOUND));
    assert_string_equal(chosen("", 0, NOW), weir_err_name(WEIR_ERR_NOT_FOUND));
    assert_string_equal(chosen("llama", 2, NOW), weir_err_name(WEIR_ERR_NOT_FOUND));
    finish();
}

static void test_mocks(void **state)
{
    (void)state;
    begin("upstreams:\n"
          "- {name: a, base_url: http://a}\n"
          "- {name: m, base_url: \"mock:\"}\n");
    assert_int_equal(weir_upstream_mocks(set), 2);
    finish();
}

static void test_by_weight(void **state)
{
    (void)state;
    unsigned a = 0, b = 0;
    begin("upstreams:\n"
          "- {name: a, base_url: http://a, weight: 3}\n"
          "- {name: b, base_url: http://b}\n"
          "- {name: c, base_url: http://c, weight: 1000}\n");
    for (unsigned i = 0; i < 10000; i++) {
        const char *name = chosen("m", 4, NOW);
        a += strcmp(name, "a") == 0;
        b += strcmp(name, "b") == 0;
    }
    assert_int_equal(a + b, 10000);
    assert_true(a > 7300 && a < 7700);
    finish();
}

#define TWO                                                                                        \
    "upstreams:\n"                                                                                 \
    "- {name: a, base_url: http://a}\n"                                                            \
    "- {name: b, base_url: http://b}\n"

static void always(const char *name, const char *model, uint64_t now_ms)
{
    for (unsigned i = 0; i < 100; i++) {
        assert_string_equal(chosen(model, 0, now_ms), name);
    }
}

static bool sometimes(const char *name, uint64_t now_ms)
{
    bool found = false;
    for (unsigned i = 0; i < 100; i++) {
        found = found || strcmp(chosen("m", 0, now_ms), name) == 0;
    }
    return found;
}

static void test_failure_cools(void **state)
{
    (void)state;
    begin(TWO);
    struct weir_upstream *a = &set->upstream[0], *b = &set->upstream[1];
    weir_upstream_failed(a, 0, NOW);
    always("b", "m", NOW);
    always("b", "m", NOW + WEIR_UPSTREAM_COOL_MS - 1);
    assert_true(sometimes("a", NOW + WEIR_UPSTREAM_COOL_MS));
    /* twice as long each time, up to the bound */
    weir_upstream_failed(a, 0, NOW);
    always("b", "m", NOW + 2 * WEIR_UPSTREAM_COOL_MS - 1);
    assert_true(sometimes("a", NOW + 2 * WEIR_UPSTREAM_COOL_MS));
    for (unsigned i = 0; i < 100; i++) {
        weir_upstream_failed(a, 0, NOW);
    }
    always("b", "m", NOW + WEIR_UPSTREAM_COOL_MAX_MS - 1);
    assert_true(sometimes("a", NOW + WEIR_UPSTREAM_COOL_MAX_MS));
    /* an answer ends it */
    weir_upstream_answered(a);
    assert_true(sometimes("a", NOW));
    weir_upstream_failed(a, 0, NOW);
    assert_true(sometimes("a", NOW + WEIR_UPSTREAM_COOL_MS));
    /* all cool: the one that is first over it is asked, and no other instead of one that failed */
    weir_upstream_failed(b, 5000, NOW);
    always("a", "m", NOW);
    assert_string_equal(instead("m", 1, NOW), weir_err_name(WEIR_ERR_NOT_FOUND));
    assert_string_equal(instead("m", 1, NOW + 5000), "b");
    finish();
}

static void test_retry_after_of_a_failure(void **state)
{
    (void)state;
    begin(TWO);
    weir_upstream_failed(&set->upstream[0], 20000, NOW);
    always("b", "m", NOW + 19999);
    assert_true(sometimes("a", NOW + 20000));
    /* a shorter one takes nothing back; an endless one is bounded */
    weir_upstream_failed(&set->upstream[0], 10, NOW);
    always("b", "m", NOW + 19999);
    weir_upstream_failed(&set->upstream[0], UINT64_MAX, NOW);
    always("b", "m", NOW + WEIR_UPSTREAM_RETRY_MAX_MS - 1);
    assert_true(sometimes("a", NOW + WEIR_UPSTREAM_RETRY_MAX_MS));
    finish();
}

/* Its limits are per model: others go on there. */
static void test_limited_with_a_time(void **state)
{
    (void)state;
    unsigned i;
    uint64_t wait_ms = 0;
    begin(TWO);
    weir_upstream_limited(&set->upstream[0], WEIR_STR("m"), 5000, NOW);
    always("b", "m", NOW + 4999);
    assert_true(sometimes("a", NOW + 5000));
    bool other = false;
    for (unsigned k = 0; k < 100; k++) {
        other = other || strcmp(chosen("other", 0, NOW), "a") == 0;
    }
    assert_true(other);
    /* all said so: nobody is asked, and the wait is the shortest */
    weir_upstream_limited(&set->upstream[1], WEIR_STR("m"), 3000, NOW);
    assert_int_equal(weir_upstream_choose(set, WEIR_STR("m"), 0, NOW + 1000, &i, &wait_ms),
                     WEIR_ERR_UNAVAILABLE);
    assert_int_equal(wait_ms, 2000);
    always("b", "m", NOW + 3000);
    finish();
}

/* Without a time it may be asked again when there is no other. */
static void test_limited_without_a_time(void **state)
{
    (void)state;
    begin(TWO);
    weir_upstream_limited(&set->upstream[0], WEIR_STR("m"), 0, NOW);
    always("b", "m", NOW);
    weir_upstream_limited(&set->upstream[1], WEIR_STR("m"), 0, NOW + 10);
    always("a", "m", NOW + 20);
    assert_true(sometimes("a", NOW + WEIR_UPSTREAM_COOL_MS));
    finish();
}

/* Names from outside make no state beyond the table. */
static void test_many_models_limited(void **state)
{
    (void)state;
    begin("upstreams: [{name: a, base_url: http://a}]\n");
    char model[32];
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(model, sizeof(model), "model-%u", i);
        weir_upstream_limited(&set->upstream[0], weir_str_z(model), 5000, NOW);
    }
    assert_string_equal(chosen(model, 0, NOW), weir_err_name(WEIR_ERR_UNAVAILABLE));
    assert_string_equal(chosen("another", 0, NOW), "a");
    finish();
}

static void test_sixty_four(void **state)
{
    (void)state;
    struct weir_buf b;
    weir_buf_init(&b, 1 << 16);
    WEIR_BUF_LIT(&b, "upstreams:\n");
    for (unsigned i = 0; i < WEIR_CONFIG_UPSTREAMS_MAX; i++) {
        weir_buf_printf(&b, "- {name: u%u, base_url: \"%s\"}\n", i, i == 63 ? "mock:" : "http://a");
    }
    weir_buf_char(&b, '\0');
    begin(b.data);
    assert_int_equal(weir_upstream_mocks(set), UINT64_C(1) << 63);
    assert_string_equal(chosen("m", ~(UINT64_C(1) << 62), NOW), "u62");
    assert_string_equal(chosen("m", UINT64_MAX, NOW), weir_err_name(WEIR_ERR_NOT_FOUND));
    finish();
    weir_buf_deinit(&b);
}

/* ---- another set ---- */

/* The present set by this file, which follows the one before; that one, still kept. */
static struct weir_upstream_set *change_to(const char *yaml)
{
    struct weir_upstream_set *before = set;
    struct weir_config *next = taken(yaml);
    set = weir_upstream_set_new(next, 7);
    assert_non_null(set);
    weir_config_free(next); /* the set has nothing of it */
    weir_upstream_set_follow(set, before);
    return before;
}

static void test_followed(void **state)
{
    (void)state;
    begin("upstreams:\n"
          "- {name: a, base_url: http://a}\n"
          "- {name: b, base_url: http://b, api_key: old}\n"
          "- {name: c, base_url: http://c}\n"
          "- {name: d, base_url: http://d}\n");
    for (unsigned i = 0; i < 4; i++) {
        struct weir_upstream *u = &set->upstream[i];
        weir_upstream_failed(u, 0, NOW);
        weir_upstream_limited(u, WEIR_STR("m"), 5000, NOW);
        atomic_store(&u->state->stats.responses[2], i + 1);
    }
    struct weir_upstream_set *before = change_to("upstreams:\n"
                                                 "- {name: e, base_url: http://e}\n"
                                                 "- {name: c, base_url: http://other}\n"
                                                 "- {name: b, base_url: http://b, api_key: new}\n"
                                                 "- {name: a, base_url: http://a, weight: 9}\n");
    static const uint64_t counted[] = {0, 3, 2, 1};
    static const char *const asked[] = {"e", "c", "b"}; /* another server, or with another key */
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(set->upstream[i].state->stats.responses[2], counted[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        uint64_t others = UINT64_C(15) & ~(UINT64_C(1) << i);
        assert_string_equal(chosen("m", others, NOW), asked[i]);
        assert_int_equal(set->upstream[i].state->failures, 0);
    }
    assert_string_equal(chosen("m", 7, NOW), weir_err_name(WEIR_ERR_UNAVAILABLE));
    assert_string_equal(instead("x", 7, NOW), weir_err_name(WEIR_ERR_NOT_FOUND)); /* cools */
    /* what is under way still counts for both */
    assert_string_equal(before->upstream[1].config->api_key, "old");
    atomic_store(&before->upstream[1].state->stats.responses[2], 7);
    weir_upstream_set_let_go(before);
    assert_int_equal(set->upstream[2].state->stats.responses[2], 7);
    finish();
}

static void test_kept(void **state)
{
    (void)state;
    begin(TWO);
    struct weir_upstream_set *under_way = weir_upstream_set_keep(set);
    weir_upstream_set_let_go(change_to("upstreams: [{name: c, base_url: http://c}]\n"));
    assert_string_equal(under_way->upstream[1].config->base_url, "http://b/v1");
    weir_upstream_failed(&under_way->upstream[1], 0, NOW);
    weir_upstream_set_let_go(under_way);
    assert_string_equal(chosen("m", 0, NOW), "c");
    finish();
    weir_upstream_set_let_go(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_model),
        cmocka_unit_test(test_mocks),
        cmocka_unit_test(test_by_weight),
        cmocka_unit_test(test_failure_cools),
        cmocka_unit_test(test_retry_after_of_a_failure),
        cmocka_unit_test(test_limited_with_a_time),
        cmocka_unit_test(test_limited_without_a_time),
        cmocka_unit_test(test_many_models_limited),
        cmocka_unit_test(test_sixty_four),
        cmocka_unit_test(test_followed),
        cmocka_unit_test(test_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
