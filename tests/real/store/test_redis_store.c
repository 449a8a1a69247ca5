/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis store on a loop, against a real redis-server that forgets the script, wants a password,
 * evicts, is asked by several nodes. When it is out of reach: test_outage.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/store_node.h"

/* ---- the script is forgotten ---- */

static void test_script_flush(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_open(f, n, NULL, PATIENT);
    until_ready(f, n, true);
    take_many(f, n, 0, CALLS / 2);
    uv_run(&f->loop.uv, UV_RUN_NOWAIT);
    command(f, "SCRIPT FLUSH");
    take_many(f, n, CALLS / 2, CALLS);
    until_done(f, &n->done, CALLS);
    assert_int_equal(count_where(f, true, false, WEIR_OUTCOME_DECIDED), 100);
    assert_int_equal(count_where(f, false, false, WEIR_OUTCOME_DECIDED), CALLS - 100);
    assert_int_equal(used(f, n, WEIR_METER_REQUESTS), 100);
    assert_int_equal(n->store->stats.errors, 0);
    assert_int_equal(n->store->stats.reconnects, 0);
}

/* ---- who may be used ---- */

static void check(const char *url, enum weir_err expected, const char *says)
{
    char text[512] = "";
    struct weir_config *config = config_of(url, PATIENT);
    assert_int_equal(weir_store_check(config, text, sizeof(text)), expected);
    if (strstr(text, says) == NULL || strstr(text, "hunter") != NULL) {
        fail_msg("%s", text);
    }
    weir_config_free(config);
}

static void test_who_may_be_used(void **state)
{
    struct fixture *f = *state;
    char url[5][160];
    unsigned port = server_port(f);
    snprintf(url[0], sizeof(url[0]), "redis+unix://%s", f->server.socket);
    snprintf(url[1], sizeof(url[1]), "redis://127.0.0.1:%u", port);
    snprintf(url[2], sizeof(url[2]), "redis://weir:hunter2@127.0.0.1:%u/3", port);
    snprintf(url[3], sizeof(url[3]), "redis://weir:hunter3@127.0.0.1:%u/3", port);
    snprintf(url[4], sizeof(url[4]), "redis://weir:hunter2@127.0.0.1:%u/99", port);
    check(url[0], WEIR_OK, "");
    check(url[1], WEIR_OK, "");
    command(f, "CONFIG SET maxmemory-policy allkeys-lru");
    check(url[1], WEIR_ERR_INVALID, "expected maxmemory-policy noeviction, it is allkeys-lru");
    command(f, "CONFIG SET maxmemory-policy noeviction");
    command(f, "ACL SETUSER weir on >hunter2 ~weir:* +@all");
    check(url[2], WEIR_OK, "");
    check(url[3], WEIR_ERR_INVALID, "refuses the user or password: WRONGPASS");
    check(url[4], WEIR_ERR_INVALID, "refuses the database");
    command(f, "CONFIG SET requirepass other");
    check(url[0], WEIR_ERR_INVALID, "wants a password");
    check(url[2], WEIR_OK, "");
    node_open(f, &f->node[0], url[2], PATIENT);
    until_ready(f, &f->node[0], true);
    take_many(f, &f->node[0], 0, 10);
    until_done(f, &f->node[0].done, 10);
    assert_false(f->one[9].call.local);
    assert_int_equal(used(f, &f->node[0], WEIR_METER_REQUESTS), 10);
}

/* ---- several nodes ---- */

/* A reservation that two nodes settle at once is settled once. */
static void test_claim_raced(void **state)
{
    struct fixture *f = *state;
    struct weir_settle settle[2];
    unsigned done = 0;
    for (unsigned i = 0; i < 2; i++) {
        node_open(f, &f->node[i], NULL, PATIENT);
        until_ready(f, &f->node[i], true);
    }
    struct node *n = &f->node[0];
    take(&f->one[0], n, weir_amounts(1, 0, 900), on_taken);
    take(&f->one[1], n, weir_amounts(1, 0, 900), on_taken);
    until_done(f, &n->done, 2);
    for (unsigned i = 0; i < 2; i++) {
        settle[i] = (struct weir_settle){
            .subject = {&f->node[i].config->key[0].subject},
            .subjects = 1,
            .reservation = f->one[0].call.reservation,
            .used = weir_amounts(1, 0, 100),
            .now_us = weir_clock_us(),
            .claim = true,
            .done = on_settled,
            .ctx = &done,
        };
        assert_int_equal(weir_store_settle(f->node[i].store, &settle[i]), WEIR_PENDING);
    }
    until_done(f, &done, 2);
    assert_int_equal(settle[0].result == WEIR_SETTLE_DONE, settle[1].result != WEIR_SETTLE_DONE);
    assert_int_equal(settle[0].result == WEIR_SETTLE_REPEATED,
                     settle[1].result != WEIR_SETTLE_REPEATED);
    assert_int_equal(used(f, n, WEIR_METER_OUTPUT_TOKENS), 1000);
}

enum { HAMMERS = 4, ADMITTED_MAX = 1000 };

static const uint64_t WINDOW_US = 2000000;

static struct {
    unsigned count;
    struct {
        uint64_t sent_us, answered_us, at_us;
    } of[ADMITTED_MAX];
} admitted;

static void on_hammered(struct weir_call *call)
{
    struct one *one = call->ctx;
    assert_false(call->local);
    if (call->decision.allowed) {
        assert_true(admitted.count < ADMITTED_MAX);
        admitted.of[admitted.count].sent_us = one->sent_us;
        admitted.of[admitted.count].answered_us = weir_clock_us();
        admitted.of[admitted.count++].at_us = call->decision.at_us;
    }
    one->idle = true;
}

/* Those that have their answer ask again. False: none is under way, and none shall be. */
static bool hammer(struct fixture *f, bool again)
{
    bool any = false;
    for (unsigned i = 0; i < NODES * HAMMERS; i++) {
        struct one *one = &f->one[i];
        if (one->idle && again) {
            take(one, &f->node[i % NODES], weir_amounts(1, 0, 0), on_hammered);
        }
        any = any || !one->idle;
    }
    return any || again;
}

static int by_time(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Guarantees 1 and 2. Four nodes ask for one key as fast as they can: never more than the capacity
 * in any interval of the window's length, and of what has left within one step the most is taken
 * again. */
static void never_over(struct fixture *f, const char *mode)
{
    uint64_t at_us[ADMITTED_MAX];
    memset(&admitted, 0, sizeof(admitted));
    for (unsigned i = 0; i < NODES; i++) {
        node_open(f, &f->node[i], NULL, mode);
        until_ready(f, &f->node[i], true);
    }
    uint64_t from_us = weir_clock_us();
    for (unsigned i = 0; i < NODES * HAMMERS; i++) {
        f->one[i].idle = true;
    }
    while (hammer(f, weir_clock_us() - from_us <= 5 * WINDOW_US / 2)) {
        uv_run(&f->loop.uv, UV_RUN_NOWAIT);
    }
    for (unsigned i = 0; i < admitted.count; i++) {
        unsigned within = 0;
        uint64_t end_us = admitted.of[i].sent_us + WINDOW_US;
        for (unsigned k = 0; k < admitted.count; k++) {
            within += admitted.of[k].sent_us >= admitted.of[i].sent_us &&
                      admitted.of[k].answered_us < end_us;
        }
        assert_true(within <= 100);
        at_us[i] = admitted.of[i].at_us;
    }
    qsort(at_us, admitted.count, sizeof(at_us[0]), by_time);
    for (unsigned i = 100; i < admitted.count; i++) {
        assert_true(at_us[i] - at_us[i - 100] >= WINDOW_US);
    }
    assert_true(admitted.count >= 300); /* three windows have begun */
}

static void test_never_over(void **state)
{
    never_over(*state, PATIENT);
}

static void test_never_over_with_leases(void **state)
{
    never_over(*state, PATIENT "\nmode: lease");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_script_flush), CASE(test_who_may_be_used),        CASE(test_claim_raced),
        CASE(test_never_over),   CASE(test_never_over_with_leases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
