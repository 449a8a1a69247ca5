/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis store on a loop, against a real redis-server that forgets the script, wants a password,
 * evicts, is asked by several nodes. When it is out of reach: test_outage.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/hammer.h"

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

static int begin_two_seconds(void **state)
{
    config_limits = "{requests: 100/2s, output_tokens: 1M/2s}";
    return begin(state);
}

static void test_never_over(void **state)
{
    saturate(*state, PATIENT, 100, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_script_flush),
        CASE(test_who_may_be_used),
        CASE(test_claim_raced),
        cmocka_unit_test_setup_teardown(test_never_over, begin_two_seconds, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
