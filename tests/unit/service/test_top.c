/* SPDX-License-Identifier: Apache-2.0 */
/* Who is busy and who is denied: what each subject did, minute by minute, over several workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/mem.h"
#include "limit/sketch.h"
#include "service/service.h"
#include "service/top.h"

enum { NOW = 29400000, WORKERS = 3, ALL_SCOPES = (1 << WEIR_SCOPES) - 1 };

struct world {
    struct weir_service_group group;
    struct weir_service *service[WORKERS];
};

static int set_up(void **state)
{
    struct world *w = weir_zalloc(sizeof(*w));
    assert_non_null(w);
    w->group.services = WORKERS;
    w->group.service = w->service;
    for (unsigned i = 0; i < WORKERS; i++) {
        w->service[i] = weir_zalloc(sizeof(*w->service[i]));
        assert_non_null(w->service[i]);
        assert_int_equal(weir_top_new(&w->service[i]->top), WEIR_OK);
    }
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < WORKERS; i++) {
        weir_top_free(w->service[i]->top);
        weir_free(w->service[i]);
    }
    weir_free(w);
    return 0;
}

static struct weir_subject subject(const char *name)
{
    struct weir_subject s = {.name = weir_str_z(name)};
    weir_subject_id(s.name, s.id);
    return s;
}

/* One request of this key, and of a team where it has one. */
struct request {
    const char *key, *team;
    uint64_t input, output;
    enum weir_meter denied_by; /* of the last subject, over 60 s; with `denied` only */
    bool denied, look, unavailable;
};

static void decide(struct world *w, unsigned worker, uint32_t minute, const struct request *r)
{
    const struct weir_subject key = subject(r->key);
    const struct weir_subject team = subject(r->team != NULL ? r->team : "team:");
    struct weir_call call = {
        .subject = {&key, &team},
        .subjects = r->team != NULL ? 2 : 1,
        .amounts = r->look ? weir_amounts(0, 0, 0) : weir_amounts(1, r->input, r->output),
        .outcome = r->unavailable ? WEIR_OUTCOME_UNAVAILABLE : WEIR_OUTCOME_DECIDED,
        .decision = {.allowed = !r->denied},
    };
    call.decision.denied_subject = (uint8_t)(call.subjects - 1);
    call.decision.denied_meter = (uint8_t)r->denied_by;
    call.decision.denied_window_s = 60;
    weir_top_decided(w->service[worker]->top, &call, minute);
}

static void settle(struct world *w, unsigned worker, uint32_t minute, const char *name,
                   struct weir_amounts reserved, struct weir_amounts used)
{
    const struct weir_subject s = subject(name);
    const struct weir_subject *one = &s;
    weir_top_settled(w->service[worker]->top, &one, 1, &reserved, &used, minute);
}

/* The subject among the busiest; all of it 0 when it is not. */
static struct weir_top_subject busy(struct world *w, uint32_t minute, const char *name)
{
    static struct weir_top_subject row[WORKERS * WEIR_TOP_SUBJECTS];
    size_t n;
    assert_int_equal(
        weir_top_merge(&w->group, minute, ALL_SCOPES, sizeof(row) / sizeof(row[0]), row, &n),
        WEIR_OK);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(row[i].name, name) == 0) {
            return row[i];
        }
    }
    return (struct weir_top_subject){0};
}

static size_t history(struct world *w, uint32_t minute, const char *name,
                      struct weir_top_minute m[static WEIR_TOP_MINUTES])
{
    return weir_top_history(&w->group, weir_str_z(name), minute, m);
}

static void is_minute(const struct weir_top_minute *m, uint32_t minute, uint64_t allowed,
                      uint64_t denied, uint64_t input, uint64_t output)
{
    assert_int_equal(m->minute, minute);
    assert_int_equal(m->allowed, allowed);
    assert_int_equal(m->denied, denied);
    assert_int_equal(m->used[WEIR_METER_REQUESTS], allowed);
    assert_int_equal(m->used[WEIR_METER_INPUT_TOKENS], input);
    assert_int_equal(m->used[WEIR_METER_OUTPUT_TOKENS], output);
}

static void test_workers_are_summed(void **state)
{
    struct world *w = *state;
    struct weir_top_minute m[WEIR_TOP_MINUTES];
    for (unsigned i = 0; i < WORKERS; i++) {
        decide(w, i, NOW, &(struct request){.key = "key:a", .team = "team:t", .input = 10 + i});
    }
    decide(w, 1, NOW,
           &(struct request){.key = "key:a", .denied = true, .denied_by = WEIR_METER_REQUESTS});
    decide(w, 1, NOW, &(struct request){.key = "key:b", .output = 7});
    const struct weir_top_subject a = busy(w, NOW, "key:a"), t = busy(w, NOW, "team:t");
    assert_int_equal(a.allowed, 3);
    assert_int_equal(a.denied[WEIR_METER_REQUESTS], 1);
    assert_int_equal(a.used[WEIR_METER_INPUT_TOKENS], 33);
    assert_int_equal(a.recent, 4 * WEIR_SKETCH_ONE);
    assert_int_equal(a.error, 0);
    assert_int_equal(t.scope, WEIR_SCOPE_TEAM);
    assert_int_equal(t.allowed, 3);
    assert_int_equal(t.denied[WEIR_METER_REQUESTS], 0);
    assert_int_equal(busy(w, NOW, "key:b").used[WEIR_METER_OUTPUT_TOKENS], 7);
    assert_int_equal(history(w, NOW, "key:a", m), 1);
    is_minute(&m[0], NOW, 3, 1, 33, 0);
    struct weir_top_minute total;
    weir_top_total(&w->group, NOW + 1, WEIR_SCOPE_KEY, &total);
    is_minute(&total, NOW, 4, 1, 33, 7);
}

static void test_order_rooms_and_scopes(void **state)
{
    struct world *w = *state;
    struct weir_top_subject row[2];
    size_t n;
    for (unsigned i = 0; i < 6; i++) {
        decide(w, i % WORKERS, NOW,
               &(struct request){.key = i < 2 ? "key:few" : "key:many", .team = "team:t"});
    }
    assert_int_equal(weir_top_merge(&w->group, NOW, ALL_SCOPES, 2, row, &n), WEIR_OK);
    assert_int_equal(n, 2);
    assert_string_equal(row[0].name, "team:t");
    assert_string_equal(row[1].name, "key:many");
    assert_int_equal(weir_top_merge(&w->group, NOW, 1 << WEIR_SCOPE_KEY, 2, row, &n), WEIR_OK);
    assert_int_equal(n, 2);
    assert_string_equal(row[1].name, "key:few");
    assert_int_equal(weir_top_merge(&w->group, NOW, 1 << WEIR_SCOPE_ORG, 2, row, &n), WEIR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(weir_top_merge(&w->group, NOW, ALL_SCOPES, 0, NULL, &n), WEIR_OK);
    assert_int_equal(n, 0);
}

/* A look, and what the store did not decide. */
static void test_what_does_not_count(void **state)
{
    struct world *w = *state;
    struct weir_top_minute m[WEIR_TOP_MINUTES];
    decide(w, 0, NOW, &(struct request){.key = "key:a", .look = true});
    decide(w, 0, NOW, &(struct request){.key = "key:a", .unavailable = true});
    settle(w, 0, NOW, "key:a", weir_amounts(1, 0, 0), weir_amounts(1, 5, 5));
    assert_int_equal(busy(w, NOW, "key:a").recent, 0);
    assert_int_equal(history(w, NOW, "key:a", m), 0);
}

/* Old minutes go one by one; one of an hour ago does not show in the present one. */
static void test_minutes_roll_over(void **state)
{
    struct world *w = *state;
    struct weir_top_minute m[WEIR_TOP_MINUTES];
    static const uint32_t at[] = {0, 1, 5, 59, 60, 61};
    for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        decide(w, 0, NOW + at[i], &(struct request){.key = "key:a", .input = 1 + i});
    }
    assert_int_equal(history(w, NOW + 61, "key:a", m), 4);
    is_minute(&m[0], NOW + 5, 1, 0, 3, 0);
    is_minute(&m[1], NOW + 59, 1, 0, 4, 0);
    is_minute(&m[2], NOW + 60, 1, 0, 5, 0);
    is_minute(&m[3], NOW + 61, 1, 0, 6, 0);
    decide(w, 0, NOW + 125, &(struct request){.key = "key:a", .input = 7}); /* over NOW + 5 */
    assert_int_equal(history(w, NOW + 64, "key:a", m), 3);
    assert_int_equal(history(w, NOW + 125, "key:a", m), 1);
    is_minute(&m[0], NOW + 125, 1, 0, 7, 0);
    assert_int_equal(history(w, NOW + 184, "key:a", m), 1);
    assert_int_equal(history(w, NOW + 185, "key:a", m), 0);
    assert_int_equal(busy(w, NOW + 126, "key:a").last.used[WEIR_METER_INPUT_TOKENS], 7);
    assert_int_equal(busy(w, NOW + 127, "key:a").last.used[WEIR_METER_INPUT_TOKENS], 0);
}

/* Weights halve with each minute, also where a worker sees nothing; then the place is forgotten as
 * busy, but not what it did. */
static void test_decay(void **state)
{
    struct world *w = *state;
    struct weir_top_minute m[WEIR_TOP_MINUTES];
    for (unsigned i = 0; i < 8; i++) {
        decide(w, i % 2, NOW, &(struct request){.key = "key:old"});
    }
    for (unsigned i = 0; i < 3; i++) {
        decide(w, 0, NOW + 2, &(struct request){.key = "key:new"});
    }
    assert_int_equal(busy(w, NOW + 2, "key:old").recent, 2 * WEIR_SKETCH_ONE);
    assert_int_equal(busy(w, NOW + 2, "key:old").allowed, 8);
    assert_int_equal(busy(w, NOW + 2, "key:new").recent, 3 * WEIR_SKETCH_ONE);
    assert_int_equal(busy(w, NOW + 40, "key:old").recent, 0);
    assert_int_equal(history(w, NOW + 40, "key:old", m), 1);
}

static void test_clock_steps_back(void **state)
{
    struct world *w = *state;
    struct weir_top_minute m[WEIR_TOP_MINUTES];
    decide(w, 0, NOW + 100000, &(struct request){.key = "key:a"});
    decide(w, 0, NOW, &(struct request){.key = "key:a"});
    assert_int_equal(busy(w, NOW, "key:a").recent, 2 * WEIR_SKETCH_ONE);
    assert_int_equal(history(w, NOW, "key:a", m), 1);
    is_minute(&m[0], NOW, 1, 0, 0, 0);
}

/* Given back to the minute that was charged, not to the one of the settlement. */
static void test_settling(void **state)
{
    struct world *w = *state;
    struct weir_top_minute m[WEIR_TOP_MINUTES];
    decide(w, 0, NOW, &(struct request){.key = "key:a", .input = 10, .output = 100});
    decide(w, 0, NOW + 1, &(struct request){.key = "key:a", .input = 10, .output = 30});
    settle(w, 0, NOW + 2, "key:a", weir_amounts(1, 10, 100), weir_amounts(1, 12, 50));
    assert_int_equal(history(w, NOW + 2, "key:a", m), 3);
    is_minute(&m[0], NOW, 1, 0, 10, 80);
    is_minute(&m[1], NOW + 1, 1, 0, 10, 0);
    is_minute(&m[2], NOW + 2, 0, 0, 2, 0);
    const struct weir_top_subject a = busy(w, NOW + 2, "key:a");
    assert_int_equal(a.used[WEIR_METER_INPUT_TOKENS], 22);
    assert_int_equal(a.used[WEIR_METER_OUTPUT_TOKENS], 80);
    /* more than there is, as of a place that was somebody else's meanwhile */
    settle(w, 0, NOW + 2, "key:a", weir_amounts(1, 0, 1000), weir_amounts(1, 0, 0));
    assert_int_equal(busy(w, NOW + 2, "key:a").used[WEIR_METER_OUTPUT_TOKENS], 0);
    assert_int_equal(history(w, NOW + 2, "key:a", m), 3);
    is_minute(&m[0], NOW, 1, 0, 10, 0);
}

static void test_denials(void **state)
{
    struct world *w = *state;
    struct weir_top_denial row[WEIR_TOP_DENIALS];
    size_t n;
    for (unsigned i = 0; i < 9; i++) {
        decide(
            w, i % WORKERS, NOW,
            &(struct request){.key = "key:a",
                              .team = i < 5 ? "team:t" : NULL,
                              .denied = true,
                              .denied_by = i < 8 ? WEIR_METER_REQUESTS : WEIR_METER_INPUT_TOKENS});
    }
    assert_int_equal(weir_top_denials(&w->group, NOW, WEIR_TOP_DENIALS, row, &n), WEIR_OK);
    assert_int_equal(n, 3);
    assert_string_equal(row[0].name, "team:t");
    assert_int_equal(row[0].count, 5);
    assert_int_equal(row[0].window_s, 60);
    assert_string_equal(row[1].name, "key:a");
    assert_int_equal(row[1].count, 3);
    assert_int_equal(row[1].meter, WEIR_METER_REQUESTS);
    assert_int_equal(row[2].meter, WEIR_METER_INPUT_TOKENS);
    assert_int_equal(weir_top_denials(&w->group, NOW, 1, row, &n), WEIR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(weir_top_denials(&w->group, NOW + 40, WEIR_TOP_DENIALS, row, &n), WEIR_OK);
    assert_int_equal(n, 0);
    /* a key's requests that its team's limit denied count as denied */
    assert_int_equal(busy(w, NOW, "key:a").denied[WEIR_METER_REQUESTS], 8);
    assert_int_equal(busy(w, NOW, "team:t").denied[WEIR_METER_REQUESTS], 5);
}

/* One key of many does more than a 128th of all: it is there, with all that it did. Others
 * take each other's places, and nothing of one shows as another's. */
static void test_many_keys(void **state)
{
    struct world *w = *state;
    char name[32];
    uint64_t of_heavy = 0, all = 0;
    for (unsigned i = 0; i < 20000; i++) {
        bool heavy = i % 50 == 0;
        int len = snprintf(name, sizeof(name), heavy ? "key:heavy" : "key:%u", i);
        assert_in_range(len, 1, sizeof(name) - 1);
        decide(w, i % WORKERS, NOW + i / 10000,
               &(struct request){.key = name, .input = heavy ? 1000 : 1});
        of_heavy += heavy;
        all++;
    }
    const struct weir_top_subject h = busy(w, NOW + 1, "key:heavy");
    assert_int_equal(h.allowed, of_heavy);
    assert_int_equal(h.used[WEIR_METER_INPUT_TOKENS], of_heavy * 1000);
    assert_true(h.error <= (all / WEIR_TOP_SUBJECTS + 1) * WEIR_SKETCH_ONE);
    struct weir_top_subject *row;
    size_t n;
    assert_int_equal(weir_top_all(&w->group, NOW + 1, &row, &n), WEIR_OK);
    assert_int_equal(n, WORKERS * (WEIR_TOP_SUBJECTS - 1) + 1);
    for (size_t i = 0; i < n; i++) {
        struct weir_top_minute m[WEIR_TOP_MINUTES];
        bool heavy = strcmp(row[i].name, "key:heavy") == 0;
        assert_true(heavy || row[i].allowed == 1);
        assert_true(heavy || row[i].used[WEIR_METER_INPUT_TOKENS] == 1);
        assert_int_equal(history(w, NOW + 1, row[i].name, m), heavy ? 2 : 1);
    }
    weir_free(row);
    struct weir_top_minute total;
    weir_top_total(&w->group, NOW + 1, WEIR_SCOPE_KEY, &total);
    assert_int_equal(total.allowed, 10000);
}

/* What one worker does not know of a subject is part of the error. */
static void test_error_of_the_absent(void **state)
{
    struct world *w = *state;
    char name[32];
    decide(w, 0, NOW, &(struct request){.key = "key:a"});
    for (unsigned i = 0; i < 2 * WEIR_TOP_SUBJECTS; i++) {
        int len = snprintf(name, sizeof(name), "key:%u", i);
        assert_in_range(len, 1, sizeof(name) - 1);
        decide(w, 1, NOW, &(struct request){.key = name});
    }
    assert_int_equal(busy(w, NOW, "key:a").recent, WEIR_SKETCH_ONE);
    assert_int_equal(busy(w, NOW, "key:a").error, 2 * WEIR_SKETCH_ONE);
}

static void test_names_are_bounded(void **state)
{
    struct world *w = *state;
    char longest[WEIR_SUBJECT_NAME_MAX + 1] = "key:";
    memset(longest + 4, 'x', sizeof(longest) - 5);
    decide(w, 0, NOW, &(struct request){.key = longest, .denied = true});
    assert_int_equal(strlen(busy(w, NOW, longest).name), WEIR_SUBJECT_NAME_MAX);
    struct weir_top_denial row;
    size_t n;
    assert_int_equal(weir_top_denials(&w->group, NOW, 1, &row, &n), WEIR_OK);
    assert_string_equal(row.name, longest);
}

static void test_no_memory(void **state)
{
    struct world *w = *state;
    struct weir_top_subject row;
    struct weir_top_denial denial;
    size_t n;
    struct weir_top *t;
    weir_mem_fail_after(0);
    enum weir_err made = weir_top_new(&t);
    enum weir_err merged = weir_top_merge(&w->group, NOW, ALL_SCOPES, 1, &row, &n);
    enum weir_err denials = weir_top_denials(&w->group, NOW, 1, &denial, &n);
    weir_mem_fail_after(UINT64_MAX);
    assert_int_equal(made, WEIR_ERR_NOMEM);
    assert_int_equal(merged, WEIR_ERR_NOMEM);
    assert_int_equal(denials, WEIR_ERR_NOMEM);
}

enum { WRITES = 3000 };

static void *write_all(void *arg)
{
    struct world *w = arg;
    for (unsigned i = 0; i < WRITES; i++) {
        bool denied = i % 3 == 0;
        decide(w, 0, NOW + i / 100,
               &(struct request){.key = i % 2 ? "key:a" : "key:b", .input = 2, .denied = denied});
        settle(w, 0, NOW + i / 100, "key:a", weir_amounts(1, 2, 0), weir_amounts(1, 1, 0));
    }
    return NULL;
}

/* A row is of one moment, whatever its worker does meanwhile. */
static void test_readers_beside_a_writer(void **state)
{
    struct world *w = *state;
    pthread_t writer;
    struct weir_top_minute m[WEIR_TOP_MINUTES];
    struct weir_top_denial denial[4];
    assert_int_equal(pthread_create(&writer, NULL, write_all, w), 0);
    for (uint64_t seen = 0; seen < WRITES / 2;) {
        struct weir_top_subject b = busy(w, NOW, "key:b");
        size_t n = history(w, NOW + WRITES / 100, "key:b", m);
        seen = b.allowed + b.denied[WEIR_METER_REQUESTS];
        assert_int_equal(b.used[WEIR_METER_INPUT_TOKENS], 2 * b.allowed);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(m[i].used[WEIR_METER_INPUT_TOKENS], 2 * m[i].allowed);
        }
        assert_int_equal(weir_top_denials(&w->group, NOW, 4, denial, &n), WEIR_OK);
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_workers_are_summed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_order_rooms_and_scopes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_does_not_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_minutes_roll_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_decay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_clock_steps_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_settling, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_denials, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_error_of_the_absent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_readers_beside_a_writer, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
