/* SPDX-License-Identifier: Apache-2.0 */
/* An overview of the admin API, read and drawn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "view/screen.h"

#define LIMIT(meter, window, limit, used)                                                          \
    "{\"meter\":\"" meter "\",\"window_s\":" #window ",\"limit\":" #limit ",\"used\":" #used       \
    ",\"remaining\":0,\"reset_ms\":1}"
#define OVERVIEW(time, allowed, subjects, denials)                                                 \
    "{\"time_ms\":" #time ",\"node\":{\"version\":\"0.5.0\",\"uptime_s\":7384,\"workers\":4,"      \
    "\"store\":{\"kind\":\"redis\",\"mode\":\"lease\",\"url_host\":\"10.0.0.7:6379\","             \
    "\"up\":true,\"ready\":true,\"nodes\":3}},\"totals\":{\"allowed\":" #allowed                   \
    ",\"denied\":{\"requests\":5,\"input_tokens\":1},\"unavailable\":0,\"input_tokens\":12000,"    \
    "\"output_tokens\":700},\"decision_us\":{\"p50\":1.25,\"p99\":1900},\"subjects\":[" subjects   \
    "],\"denials\":[" denials "]}"
#define SUBJECT(name, allowed, denied, limits)                                                     \
    "{\"subject\":\"" name "\",\"plan\":\"big\",\"allowed\":" #allowed ",\"denied\":" #denied      \
    ",\"input_tokens\":30,\"output_tokens\":12,\"limits\":[" limits "]}"
#define DENIAL(name) "{\"subject\":\"" name "\",\"meter\":\"requests\",\"window_s\":30,\"count\":7}"

static struct weir_json json;
static struct weir_buf space, out;
static struct weir_view_overview before, now;

static int set_up(void **state)
{
    (void)state;
    weir_json_init(&json);
    weir_buf_init(&space, 4096);
    weir_buf_init(&out, 65536);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    weir_json_deinit(&json);
    weir_buf_deinit(&space);
    weir_buf_deinit(&out);
    return 0;
}

static void read_into(struct weir_view_overview *o, const char *text)
{
    assert_int_equal(weir_view_overview_read(weir_str_z(text), &json, &space, o), WEIR_OK);
}

/* The frame as a string, until the next one. */
static const char *drawn(struct weir_view_screen screen)
{
    screen.now = &now;
    screen.columns = screen.columns == 0 ? 200 : screen.columns;
    weir_buf_reset(&out);
    weir_view_draw(&out, &screen);
    weir_buf_char(&out, '\0');
    assert_false(out.failed);
    return out.data;
}

static void assert_has(const char *frame, const char *part)
{
    if (strstr(frame, part) == NULL) {
        fail_msg("\"%s\" is not in:\n%s", part, frame);
    }
}

static void assert_order(const char *frame, const char *first, const char *second)
{
    assert_has(frame, first);
    assert_has(frame, second);
    assert_true(strstr(frame, first) < strstr(frame, second));
}

static void draws_rates_between_two_overviews(void **state)
{
    (void)state;
    read_into(&before, OVERVIEW(1000, 100, SUBJECT("key:a", 50, 5, ""), ""));
    read_into(&now, OVERVIEW(3000, 140,
                             SUBJECT("key:a", 70, 11,
                                     LIMIT("requests", 60, 1000,
                                           100) "," LIMIT("input_tokens", 86400, 40000, 38000)),
                             DENIAL("key:a")));
    const char *frame = drawn((struct weir_view_screen){.before = &before});
    assert_has(frame, "weir 0.5.0   up 2 h 3 min   workers 4   nodes 3   store redis lease at "
                      "10.0.0.7:6379\n");
    assert_has(frame, "allowed/s 20   denied/s 0   no store/s 0   tokens/s in 0   out 0   "
                      "decision p50 1.2 us   p99 1.9 ms\n");
    assert_has(frame, "key:a                       big                    10        3.0          0"
                      "  input_tokens/day      [##########]  95% 38.0k of 40.0k\n");
    assert_has(frame, "key:a                       requests/30s                7\n");
    assert_null(strchr(frame, '\033'));
}

static void draws_no_rate_that_it_does_not_know(void **state)
{
    (void)state;
    read_into(&now, OVERVIEW(3000, 140, SUBJECT("key:a", 70, 11, ""), ""));
    assert_has(drawn((struct weir_view_screen){0}), "allowed/s -   denied/s -");
    read_into(&before, OVERVIEW(1000, 150, SUBJECT("key:b", 1, 1, ""), ""));
    const char *frame = drawn((struct weir_view_screen){.before = &before}); /* started again */
    assert_has(frame, "allowed/s -   denied/s 0");
    assert_has(frame, "key:a                       big                     -          -          -"
                      "  -\n");
    before.time_ms = 3001; /* the clock was set back */
    assert_has(drawn((struct weir_view_screen){.before = &before}), "denied/s -");
}

static void sorts_as_asked(void **state)
{
    (void)state;
#define SUBJECTS(a, b)                                                                             \
    SUBJECT("key:b", a, 9, LIMIT("requests", 60, 100, 10))                                         \
    "," SUBJECT("key:a", b, 9, LIMIT("requests", 60, 100, 90))
    enum weir_view_sort order;
    read_into(&before, OVERVIEW(1000, 0, SUBJECTS(10, 10), ""));
    read_into(&now, OVERVIEW(2000, 0, SUBJECTS(12, 30), ""));
    struct weir_view_screen s = {.before = &before};
    assert_order(drawn(s), "key:b", "key:a");
    static const char keys[] = "nau"; /* each puts key:a first */
    for (size_t i = 0; i < sizeof(keys) - 1; i++) {
        assert_true(weir_view_sort_of(keys[i], &s.sort));
        assert_order(drawn(s), "key:a", "key:b");
    }
    assert_true(weir_view_sort_of('d', &s.sort)); /* equal: as the node lists them */
    assert_order(drawn(s), "key:b", "key:a");
    assert_false(weir_view_sort_of('q', &order));
    assert_false(weir_view_sort_of('\0', &order));
}

static void lets_no_control_character_through(void **state)
{
    (void)state;
    read_into(&now, OVERVIEW(1000, 1,
                             SUBJECT("key:\\u001b]0;x\\u0007\\u009b2J\\r\\n\\u202e", 1, 1,
                                     LIMIT("re\\u001b[31mq", 60, 9, 9)),
                             DENIAL("key:\\u001b[2J\xc2\x9b")));
    const char *frame = drawn((struct weir_view_screen){0});
    for (const char *c = frame; *c != '\0'; c++) {
        assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
    }
    assert_has(frame, "key:?]0;x?");
    assert_has(frame, "re?[31mq/min");
}

static size_t lines_of(const char *frame, size_t *ret_longest)
{
    size_t lines = 1, column = 0;
    *ret_longest = 0;
    for (; *frame != '\0'; frame++) {
        column = *frame == '\n' ? 0 : column + 1;
        lines += *frame == '\n';
        *ret_longest = column > *ret_longest ? column : *ret_longest;
    }
    return lines;
}

static void fits_the_window(void **state)
{
    (void)state;
    read_into(&now, OVERVIEW(1000, 1,
                             SUBJECT("key:a", 1, 1, "") "," SUBJECT("key:b", 1, 1, "") "," SUBJECT(
                                 "key:c", 1, 1, ""),
                             DENIAL("key:a") "," DENIAL("key:b") "," DENIAL("key:c")));
    size_t longest;
    for (unsigned rows = 1; rows < 20; rows++) {
        const char *frame = drawn((struct weir_view_screen){.rows = rows, .columns = 31});
        assert_true(lines_of(frame, &longest) <= rows + 1); /* and the last line's end */
        assert_true(longest <= 31);
    }
    assert_has(drawn((struct weir_view_screen){.rows = 30}),
               "key:c                       requests");
}

static void draws_over_the_frame_before(void **state)
{
    (void)state;
    read_into(&now, OVERVIEW(1000, 1, SUBJECT("key:a", 1, 1, LIMIT("requests", 60, 9, 9)), ""));
    const char *frame = drawn((struct weir_view_screen){.live = true,
                                                        .colour = true,
                                                        .rows = 24,
                                                        .sort = WEIR_VIEW_BY_USE,
                                                        .note = "connection lost"});
    assert_memory_equal(frame, "\033[H", 3);
    assert_has(frame, "connection lost");
    assert_has(frame, "\033[K\n");
    assert_has(frame, "\033[33;1m[##########]\033[0m 100%");
    assert_has(frame, "u use*");
    assert_string_equal(frame + strlen(frame) - 6, "\033[K\033[J");
}

static void refuses_what_is_no_overview(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "[]", "7", "{}", "{\"time_ms\":1}", "{\"time_ms\":0,\"totals\":{}}", "{\"totals\":{}}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(weir_view_overview_read(weir_str_z(texts[i]), &json, &space, &now),
                         WEIR_ERR_INVALID);
    }
    read_into(&now,
              "{\"time_ms\":1,\"totals\":7,\"node\":[],\"subjects\":{},\"denials\":[1,\"x\"]}");
    assert_int_equal(now.subjects, 0);
    assert_int_equal(now.denials, 2);
    assert_has(drawn((struct weir_view_screen){0}), "no traffic yet");
}

static void keeps_to_its_bounds(void **state)
{
    (void)state;
    weir_buf_reset(&out);
    WEIR_BUF_LIT(&out, "{\"time_ms\":1,\"totals\":{},\"subjects\":[");
    for (int i = 0; i < WEIR_VIEW_SUBJECTS + 1; i++) {
        weir_buf_printf(&out, "%s{\"subject\":\"%0100d\"}", i == 0 ? "" : ",", i);
    }
    WEIR_BUF_LIT(&out, "],\"denials\":[");
    for (int i = 0; i < WEIR_VIEW_DENIALS + 1; i++) {
        weir_buf_printf(&out, "%s{}", i == 0 ? "" : ",");
    }
    WEIR_BUF_LIT(&out, "]}");
    assert_int_equal(weir_view_overview_read(weir_buf_view(&out), &json, &space, &now), WEIR_OK);
    assert_int_equal(now.subjects, WEIR_VIEW_SUBJECTS);
    assert_int_equal(now.denials, WEIR_VIEW_DENIALS);
    assert_int_equal(strlen(now.subject[0].name), WEIR_VIEW_NAME_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_rates_between_two_overviews),
        cmocka_unit_test(draws_no_rate_that_it_does_not_know),
        cmocka_unit_test(sorts_as_asked),
        cmocka_unit_test(lets_no_control_character_through),
        cmocka_unit_test(fits_the_window),
        cmocka_unit_test(draws_over_the_frame_before),
        cmocka_unit_test(refuses_what_is_no_overview),
        cmocka_unit_test(keeps_to_its_bounds),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
