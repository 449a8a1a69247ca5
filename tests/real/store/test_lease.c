/* SPDX-License-Identifier: Apache-2.0 */
/* mode: lease on a loop, against a real redis-server: few calls, nothing over, nothing lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/hammer.h"
#include "support/lease_node.h"

static int begin_many(void **state)
{
    config_limits = "{requests: 1G/min, output_tokens: 10G/min}";
    return begin(state);
}

static int begin_two_seconds(void **state)
{
    config_limits = "{requests: 1000/2s, output_tokens: 1M/2s}";
    return begin(state);
}

#define MANY(fn)        cmocka_unit_test_setup_teardown(fn, begin_many, end)
#define TWO_SECONDS(fn) cmocka_unit_test_setup_teardown(fn, begin_two_seconds, end)

/* One request after the other, as fast as the loop turns, until so many are done; all are allowed.
 */
static void take_each(struct fixture *f, struct node *n, unsigned count, uint64_t output)
{
    for (unsigned i = 0; i < count; i++) {
        take_one(f, n, i, output);
        assert_false(f->one[i].call.local);
    }
}

/* Until a look says so. The machine's stalls do not count. */
static void until_used(struct fixture *f, struct node *n, enum weir_meter meter, uint64_t expected,
                       uint64_t within_us)
{
    struct span span = span_of(within_us, UINT_MAX);
    uint64_t last;
    while ((last = used(f, n, meter)) != expected) {
        if (!span_goes_on(&span, false)) {
            fail_msg("%llu used, not %llu", (unsigned long long)last, (unsigned long long)expected);
        }
        pass(f, 5000);
    }
}

static unsigned long long stat_of(const redisReply *stats, const char *name)
{
    const char *at = strstr(stats->str, name);
    return at == NULL ? 0 : strtoull(at + strlen(name), NULL, 10);
}

/* Scripts that Redis ran, without the beats: each of these calls HGET twice. */
static unsigned long long calls(struct fixture *f)
{
    redisReply *r = redisCommand(f->redis, "INFO commandstats");
    assert_non_null(r);
    unsigned long long n =
        stat_of(r, "cmdstat_evalsha:calls=") - stat_of(r, "cmdstat_hget:calls=") / 2;
    freeReplyObject(r);
    return n;
}

/* ---- few calls ---- */

static void test_few_calls(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_ready(f, 0, LEASE);
    take_ahead(f, n, 10);
    command(f, "CONFIG RESETSTAT");
    uint64_t leased = n->store->stats.lease_decisions, until_us = weir_clock_us() + 1000000;
    unsigned count = 0;
    for (; weir_clock_us() < until_us || count <= 5000; count++) {
        unsigned done = n->done;
        take(&f->one[0], n, weir_amounts(1, 0, 10), on_taken);
        until_done(f, &n->done, done + 1);
        assert_true(f->one[0].call.decision.allowed);
        if (count % 100 == 99) {
            uv_run(&f->loop.uv, UV_RUN_NOWAIT);
        }
    }
    assert_true(calls(f) <= count / 50);
    assert_true(n->store->stats.lease_decisions - leased >= count * 95 / 100);
}

/* What arrives while a call is under way goes with the next one, in its order; what its answer
 * decides needs none: some by the lease that came with it, in the end all by its denials. */
static void test_one_call_for_all_who_wait(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_ready(f, 0, LEASE);
    command(f, "CONFIG RESETSTAT");
    take_many(f, n, 0, CALLS);
    until_done(f, &n->done, CALLS);
    assert_in_range(calls(f), 2, 600 / 64);
    for (unsigned i = 0; i < CALLS; i++) {
        assert_int_equal(f->one[i].call.decision.allowed, i < 600);
        assert_int_equal(f->one[i].done, 1);
    }
    assert_int_equal(used(f, n, WEIR_METER_REQUESTS), 600);
}

/* ---- what comes back ---- */

/* Guarantee 5's bound for budget that nobody uses: two lives, and the other node has all of it. */
static void test_unused_comes_back(void **state)
{
    struct fixture *f = *state;
    node_ready(f, 0, LEASE);
    node_ready(f, 1, LEASE);
    unsigned count = take_ahead(f, &f->node[0], 0);
    until_used(f, &f->node[1], WEIR_METER_REQUESTS, count, 2 * LIFE_US + 2 * TICK_US + SLACK_US);
    assert_int_equal(f->node[0].store->stats.lease_returns, 1);
    take_many(f, &f->node[1], 0, 600 - count);
    take(&f->one[600], &f->node[1], weir_amounts(1, 0, 0), on_taken);
    for (unsigned i = 0; i < 600 - count; i++) {
        until_done(f, &f->one[i].done, 1);
    }
    until_done(f, &f->one[600].done, 1);
    for (unsigned i = 0; i < 600 - count; i++) {
        assert_true(f->one[i].call.decision.allowed);
    }
    assert_false(f->one[600].call.decision.allowed);
}

/* A lease that was granted while something was on its way back is watched as well. */
static void test_lease_beside_a_return(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_ready(f, 0, LEASE);
    unsigned count = take_ahead(f, n, 100);
    for (unsigned i = 0; i < 40; i++) { /* settlements and leases, whose moments pass each other */
        struct weir_settle settle = {.subject = {&n->config->key[0].subject},
                                     .subjects = 1,
                                     .reservation = f->one[i % count].call.reservation,
                                     .used = weir_amounts(1, 0, 99),
                                     .now_us = weir_clock_us()};
        settle.reservation.reserved = weir_amounts(1, 0, 100);
        if (i < count) {
            assert_int_equal(weir_store_settle(n->store, &settle), WEIR_OK);
        }
        for (unsigned k = 0; k < 5; k++, count++) {
            take_one(f, n, count, 100);
        }
        pass(f, 17000);
    }
    until_used(f, n, WEIR_METER_REQUESTS, count, 3 * LIFE_US + 2 * TICK_US + SLACK_US);
}

static struct weir_settle settlement(struct node *n, unsigned i, struct fixture *f, uint64_t output)
{
    return (struct weir_settle){.subject = {&n->config->key[0].subject},
                                .subjects = 1,
                                .reservation = f->one[i].call.reservation,
                                .used = weir_amounts(1, 0, output),
                                .now_us = weir_clock_us()};
}

static void test_settled(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_ready(f, 0, LEASE);
    unsigned count = take_ahead(f, n, 500);
    command(f, "CONFIG RESETSTAT");
    for (unsigned i = 0; i < count; i++) { /* lower: with the next call, in one */
        struct weir_settle lower = settlement(n, i, f, 20);
        assert_int_equal(weir_store_settle(n->store, &lower), WEIR_OK);
        assert_int_equal(lower.result, WEIR_SETTLE_DONE);
    }
    until_used(f, n, WEIR_METER_OUTPUT_TOKENS, 20 * count, 2 * LIFE_US + 2 * TICK_US + SLACK_US);
    assert_int_equal(used(f, n, WEIR_METER_REQUESTS), count);
    /* higher: at once */
    take_one(f, n, count, 100);
    struct weir_settle higher = settlement(n, count, f, 2000000);
    assert_int_equal(weir_store_settle(n->store, &higher), WEIR_OK);
    assert_int_equal(n->store->stats.debt_tokens, 1999900);
    until_used(f, n, WEIR_METER_OUTPUT_TOKENS, 20 * count + 2000000, 2 * LIFE_US + 2 * TICK_US);
    take(&f->one[count + 1], n, weir_amounts(1, 0, 1), on_taken);
    until_done(f, &f->one[count + 1].done, 1);
    assert_false(f->one[count + 1].call.decision.allowed);
}

/* A debt that Redis has no memory for is told it again, and not without end; nothing of it is lost.
 */
static void test_debt_without_memory(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_ready(f, 0, LEASE);
    take_each(f, n, 1, 100);
    command(f, "CONFIG SET maxmemory 1");
    struct weir_settle higher = settlement(n, 0, f, 5000);
    assert_int_equal(weir_store_settle(n->store, &higher), WEIR_OK);
    uint64_t from_us = weir_clock_us();
    pass(f, 1000000);
    assert_true(n->store->stats.errors >= 2);
    assert_true(n->store->stats.errors <= 8 * (weir_clock_us() - from_us) / 1000000);
    command(f, "CONFIG SET maxmemory 0");
    until_used(f, n, WEIR_METER_OUTPUT_TOKENS, 5000, 2 * LIFE_US + 2 * TICK_US + SLACK_US);
    pass(f, 2 * LIFE_US);
    assert_int_equal(used(f, n, WEIR_METER_OUTPUT_TOKENS), 5000);
}

/* A node that ends gives back at once. */
static void test_closed(void **state)
{
    struct fixture *f = *state;
    node_ready(f, 0, LEASE);
    node_ready(f, 1, LEASE);
    unsigned count = take_ahead(f, &f->node[0], 0);
    node_close(&f->node[0]);
    until_used(f, &f->node[1], WEIR_METER_REQUESTS, count, LIFE_US / 2);
}

/* Guarantee 1: a process that was stopped, and goes on before its loop turns, spends no dead lease.
 */
static void test_stopped(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_ready(f, 0, LEASE);
    take_leased(f, n, 0);
    uint64_t leased = n->store->stats.lease_decisions;
    usleep(LIFE_US + 1000);
    unsigned done = n->done;
    take(&f->one[0], n, weir_amounts(1, 0, 0), on_taken);
    assert_int_equal(n->done, done);
    until_done(f, &n->done, done + 1);
    assert_int_equal(n->store->stats.lease_decisions, leased);
}

/* Guarantee 1: a lease lives from before its call was sent, however late the answer is. */
static void test_late_answer(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_ready(f, 0, LEASE);
    take_ahead(f, n, 0);
    pass(f, LIFE_US / 4);
    assert_true(redis_server_stop(&f->server));
    unsigned done = n->done;
    take(&f->one[0], n, weir_amounts(1, 0, 1000000), on_taken); /* more than the lease has */
    uv_run(&f->loop.uv, UV_RUN_NOWAIT);
    usleep(LIFE_US + 1000);
    redis_server_continue(&f->server);
    until_done(f, &n->done, done + 1);
    uint64_t leased = n->store->stats.lease_decisions;
    take(&f->one[0], n, weir_amounts(1, 0, 0), on_taken);
    assert_int_equal(n->done, done + 1);
    until_done(f, &n->done, done + 2);
    assert_int_equal(n->store->stats.lease_decisions, leased);
}

/* ---- many subjects ---- */

/* More calls of one turn than may be under way at once. */
static void test_many_subjects(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    static struct weir_subject subject[CALLS];
    static char name[CALLS][16];
    node_ready(f, 0, LEASE);
    command(f, "CONFIG RESETSTAT");
    for (unsigned i = 0; i < CALLS; i++) {
        struct one *one = &f->one[i];
        snprintf(name[i], sizeof(name[i]), "key:%u", i);
        subject[i].name = weir_str_z(name[i]);
        subject[i].plan = n->config->key[0].subject.plan;
        weir_subject_id(subject[i].name, subject[i].id);
        *one = (struct one){.node = n,
                            .call = {.subject = {&subject[i]},
                                     .subjects = 1,
                                     .amounts = weir_amounts(1, 0, 1),
                                     .now_us = weir_clock_us(),
                                     .done = on_taken,
                                     .ctx = one}};
        assert_int_equal(weir_store_take(n->store, &one->call), WEIR_PENDING);
    }
    until_done(f, &n->done, CALLS);
    assert_int_equal(calls(f), CALLS);
    assert_int_equal(count_where(f, true, false, WEIR_OUTCOME_DECIDED), CALLS);
}

/* ---- near the limit ---- */

/* Guarantee 4: denied from memory, at the cost of no call, and let pass when it may. */
static void test_denied_from_memory(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_ready(f, 0, LEASE);
    take_many(f, n, 0, CALLS);
    until_done(f, &n->done, CALLS);
    assert_int_equal(count_where(f, true, false, WEIR_OUTCOME_DECIDED), 100);
    command(f, "CONFIG RESETSTAT");
    uint64_t earliest_us = 0, latest_us = 0; /* it was decided between two readings of the clock */
    unsigned count = 0;
    struct one *one = &f->one[0];
    do {
        unsigned done = n->done;
        uint64_t asked_us = weir_clock_us();
        take(one, n, weir_amounts(1, 0, 0), on_taken);
        until_done(f, &n->done, done + 1);
        uint64_t now_us = weir_clock_us();
        assert_false(one->call.local);
        if (one->call.decision.allowed) {
            assert_true(now_us + 3000 >= earliest_us);
        } else { /* not by whoever has waited as long as was said */
            assert_true(count == 0 || asked_us <= latest_us + SLACK_US);
            earliest_us = asked_us + one->call.decision.retry_after_us;
            latest_us = now_us + one->call.decision.retry_after_us;
        }
        uv_run(&f->loop.uv, UV_RUN_NOWAIT);
        count++;
    } while (!one->call.decision.allowed);
    assert_true(count > 1000);
    /* each step of 15.6 ms the store is asked once, for two seconds */
    assert_true(calls(f) <= 200);
    assert_true(n->store->stats.remembered_denials >= count - 200);
}

/* Guarantees 1 and 2: four nodes that ask without end are given all of it, and never more. */
static void test_saturated(void **state)
{
    saturate(*state, LEASE, 1000, 2970);
}

/* Whoever is answered may ask again, or close the store. */
static void test_from_within(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_ready(f, 0, LEASE);
    n->again = &f->one[CALLS / 2];
    take_many(f, n, 0, CALLS / 2);
    until_done(f, &n->done, CALLS);
    assert_int_equal(count_where(f, true, false, WEIR_OUTCOME_DECIDED), 600);
    node_close(n);
    node_ready(f, 0, LEASE);
    n->close_at = 10;
    take_many(f, n, 0, CALLS / 2);
    until_done(f, &n->done, 10);
    pass(f, SLACK_US);
    assert_int_equal(n->done, 10);
}

static void test_script_flush(void **state)
{
    struct fixture *f = *state;
    struct node *n = &f->node[0];
    node_ready(f, 0, LEASE);
    take_each(f, n, 20, 0);
    command(f, "SCRIPT FLUSH");
    take_many(f, n, 20, CALLS);
    until_done(f, &n->done, CALLS);
    assert_int_equal(count_where(f, true, false, WEIR_OUTCOME_DECIDED), 600);
    assert_int_equal(n->store->stats.errors, 0);
}

/* What is there under this key was made by another plan: it denies all the same. */
static void test_another_plan(void **state)
{
    struct fixture *f = *state;
    node_ready(f, 0, LEASE);
    take_many(f, &f->node[0], 0, CALLS);
    until_done(f, &f->node[0].done, CALLS);
    node_close(&f->node[0]);
    config_limits = "{requests: 500/min, output_tokens: 1k/h}";
    node_ready(f, 0, LEASE);
    take_many(f, &f->node[0], 0, CALLS);
    until_done(f, &f->node[0].done, CALLS);
    assert_int_equal(count_where(f, false, false, WEIR_OUTCOME_DECIDED), CALLS);
    assert_int_equal(f->node[0].store->stats.errors, 0);
}

static int begin_small(void **state)
{
    config_limits = "{requests: 100/2s, output_tokens: 1M/2s}";
    return begin(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MANY(test_few_calls),
        MINUTE(test_one_call_for_all_who_wait),
        MINUTE(test_unused_comes_back),
        MINUTE(test_lease_beside_a_return),
        MINUTE(test_settled),
        MINUTE(test_debt_without_memory),
        MINUTE(test_closed),
        MINUTE(test_stopped),
        MINUTE(test_late_answer),
        MINUTE(test_many_subjects),
        cmocka_unit_test_setup_teardown(test_denied_from_memory, begin_small, end),
        TWO_SECONDS(test_saturated),
        MINUTE(test_from_within),
        MINUTE(test_script_flush),
        MINUTE(test_another_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
