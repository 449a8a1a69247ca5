/* SPDX-License-Identifier: Apache-2.0 */
/* The busiest subjects in /metrics: so many of each scope and meter, and what is left in one row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "service/service.h"
#include "service/top.h"

enum { NOW = 29400000, TEXT_MAX = 1 << 20 };

struct world {
    struct weir_service_group group;
    struct weir_service *service;
};

static int set_up(void **state)
{
    struct world *w = weir_zalloc(sizeof(*w));
    assert_non_null(w);
    w->service = weir_zalloc(sizeof(*w->service));
    assert_non_null(w->service);
    assert_int_equal(weir_top_new(&w->service->top), WEIR_OK);
    w->group = (struct weir_service_group){.services = 1, .service = &w->service};
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    weir_top_free(w->service->top);
    weir_free(w->service);
    weir_free(w);
    return 0;
}

static void use(struct world *w, uint32_t minute, const char *name, uint64_t input, uint64_t output)
{
    struct weir_subject s = {.name = weir_str_z(name)};
    weir_subject_id(s.name, s.id);
    const struct weir_call call = {
        .subject = {&s},
        .subjects = 1,
        .amounts = weir_amounts(1, input, output),
        .decision = {.allowed = true},
    };
    weir_top_decided(w->service->top, &call, minute);
}

/* Whether these are the rows of a scope and meter, all of them and in this order. */
static void rows_are(struct world *w, uint32_t minute, uint32_t most, const char *scope,
                     const char *meter, const char *expected)
{
    struct weir_buf text, rows;
    char begin[64], end[64];
    weir_buf_init(&text, TEXT_MAX);
    weir_buf_init(&rows, TEXT_MAX);
    weir_metrics_top(&text, &w->group, minute, most);
    snprintf(begin, sizeof(begin), "weir_subject_used{scope=\"%s\",subject=", scope);
    snprintf(end, sizeof(end), ",meter=\"%s\"} ", meter);
    weir_buf_char(&text, '\0');
    assert_false(text.failed);
    for (char *line = text.data, *next; (next = strchr(line, '\n')) != NULL; line = next + 1) {
        *next = '\0';
        const char *subject = strstr(line, begin), *value = strstr(line, end);
        if (subject == line && value != NULL) {
            subject += strlen(begin);
            weir_buf_append(&rows, subject, (size_t)(value - subject));
            weir_buf_printf(&rows, "%s ", value + strlen(end) - 1);
        }
    }
    weir_buf_char(&rows, '\0');
    assert_string_equal(rows.data, expected);
    weir_buf_deinit(&text);
    weir_buf_deinit(&rows);
}

static void test_most_and_rest(void **state)
{
    struct world *w = *state;
    use(w, NOW, "key:a", 10, 1);
    use(w, NOW, "key:b", 30, 0);
    use(w, NOW, "key:c", 20, 5);
    use(w, NOW, "team:t", 7, 7);
    use(w, NOW + 1, "key:d", 999, 999); /* its minute is not over */
    rows_are(w, NOW + 1, 2, "key", "input_tokens", "\"key:b\" 30 \"key:c\" 20 \"(rest)\" 10 ");
    rows_are(w, NOW + 1, 2, "key", "output_tokens", "\"key:c\" 5 \"key:a\" 1 \"(rest)\" 0 ");
    rows_are(w, NOW + 1, 1, "key", "requests", "\"key:a\" 1 \"(rest)\" 2 ");
    rows_are(w, NOW + 1, 100, "team", "input_tokens", "\"team:t\" 7 \"(rest)\" 0 ");
    rows_are(w, NOW + 1, 100, "org", "input_tokens", "\"(rest)\" 0 ");
    rows_are(w, NOW + 2, 100, "key", "requests", "\"key:d\" 1 \"(rest)\" 0 ");
}

/* Most of them have no place any more: what they used is in the rest. */
static void test_rest_is_whole(void **state)
{
    struct world *w = *state;
    char name[32], expected[64];
    use(w, NOW, "key:large", 5000, 0);
    use(w, NOW, "key:large", 5000, 0);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "key:%u", i);
        use(w, NOW, name, 3, 0);
        use(w, NOW, "key:large", 0, 0);
    }
    snprintf(expected, sizeof(expected), "\"key:large\" 10000 \"(rest)\" %u ", 1000 * 3);
    rows_are(w, NOW + 1, 1, "key", "input_tokens", expected);
}

static void test_labels_are_escaped(void **state)
{
    struct world *w = *state;
    use(w, NOW, "model:a\"b\\c\nd", 1, 0);
    rows_are(w, NOW + 1, 1, "model", "input_tokens", "\"model:a\\\"b\\\\c\\nd\" 1 \"(rest)\" 0 ");
}

static void test_nothing(void **state)
{
    struct world *w = *state;
    struct weir_buf text;
    use(w, NOW, "key:a", 1, 0);
    weir_buf_init(&text, TEXT_MAX);
    weir_metrics_top(&text, &w->group, NOW + 1, 0); /* switched off */
    assert_int_equal(text.len, 0);
    for (uint64_t allocations = 0; allocations < 2; allocations++) {
        weir_mem_fail_after(allocations);
        weir_metrics_top(&text, &w->group, NOW + 1, 10);
        weir_mem_fail_after(UINT64_MAX);
        assert_int_equal(text.len, 0);
    }
    weir_buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_most_and_rest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rest_is_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_labels_are_escaped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
