/* SPDX-License-Identifier: Apache-2.0 */
/* Which primaries a process has gone over to: lease rules 9 to 12. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <xxhash.h>

#include "base/mem.h"
#include "store/redis/primaries.h"

static struct weir_primaries *make(bool single)
{
    struct weir_primaries *t;
    assert_int_equal(weir_primaries_new(single, &t), WEIR_OK);
    return t;
}

/* Gone over to at now_us, its barrier until now_us + WEIR_BARRIER_US unless accepted. */
static struct weir_primary *entered(struct weir_primaries *t, const char *id, const char *former,
                                    uint64_t now_us, bool accepted)
{
    struct weir_primary *p = weir_primaries_get(t, id, now_us);
    assert_true(weir_primary_begin(t, p, former, now_us));
    weir_primary_gone_over(t, p, accepted ? 5 : WEIR_REDIS_SLOTS, now_us + WEIR_BARRIER_US, 0);
    return p;
}

/* Reservations name it by that to other processes. */
static void test_hash(void **state)
{
    (void)state;
    struct weir_primaries *t = make(true);
    const struct weir_primary *a = weir_primaries_get(t, "run:a", 1);
    const struct weir_primary *b = weir_primaries_get(t, "run:b", 1);
    assert_int_equal(a->hash, (uint32_t)XXH3_64bits("run:a", 5));
    assert_int_equal(b->hash, (uint32_t)XXH3_64bits("run:b", 5));
    assert_int_not_equal(a->hash, b->hash);
    weir_primaries_free(t);
}

/* Lease rules 11 and 12: one goes over for all, nothing is granted meanwhile, and the beat that
 * ends the barrier is sent once it is over. */
static void test_barrier(void **state)
{
    (void)state;
    struct weir_primaries *t = make(true);
    struct weir_primary *p = weir_primaries_get(t, "run:a", 10);
    assert_ptr_equal(weir_primaries_get(t, "run:a", 11), p);
    assert_int_equal(weir_primary_state(p), WEIR_PRIMARY_NEW);
    assert_false(weir_primary_grants(p, 20));
    assert_true(weir_primary_begin(t, p, "", 20));
    assert_false(weir_primary_begin(t, p, "", 20)); /* another worker is on the way */
    assert_false(weir_primary_grants(p, 21));
    weir_primary_interrupted(t, p);
    assert_true(weir_primary_begin(t, p, "", 30));
    assert_int_equal(weir_primary_beat_due(t, p, 5, 40), WEIR_BEAT_NONE);
    weir_primary_gone_over(t, p, WEIR_REDIS_SLOTS, 30 + WEIR_BARRIER_US, 0);
    assert_int_equal(weir_primary_state(p), WEIR_PRIMARY_BARRIER);
    assert_int_equal(weir_primary_beat_due(t, p, 5, 29 + WEIR_BARRIER_US), WEIR_BEAT_NONE);
    assert_int_equal(weir_primary_beat_due(t, p, 5, 30 + WEIR_BARRIER_US), WEIR_BEAT_ACCEPT);
    assert_int_equal(weir_primary_beat_due(t, p, 5, 31 + WEIR_BARRIER_US), WEIR_BEAT_NONE);
    assert_int_equal(weir_primary_state(p), WEIR_PRIMARY_BARRIER); /* until it is answered */
    weir_primary_beaten(t, p, 5, true);
    assert_int_equal(weir_primary_state(p), WEIR_PRIMARY_OPEN);
    uint64_t next_us = 30 + WEIR_BARRIER_US + WEIR_BEAT_US;
    assert_int_equal(weir_primary_beat_due(t, p, 5, next_us - 1), WEIR_BEAT_NONE);
    assert_int_equal(weir_primary_beat_due(t, p, 5, next_us), WEIR_BEAT_SEND);
    weir_primaries_free(t);
    weir_primaries_free(NULL);
}

/* A beat is written where the last one was; where that slot has moved away, its place is written
 * anew: no data was lost, and no barrier begins. */
static void test_beat_of_moved_slot(void **state)
{
    (void)state;
    struct weir_primaries *t = make(false);
    struct weir_primary *p = entered(t, "run:a", "", 100, true);
    assert_int_equal(weir_primary_beat_due(t, p, 5, 100), WEIR_BEAT_SEND);
    weir_primary_beaten(t, p, 5, false);
    assert_int_equal(weir_primary_beat_due(t, p, 6, 101), WEIR_BEAT_NONE);
    assert_int_equal(weir_primary_beat_due(t, p, 6, 100 + WEIR_BEAT_US), WEIR_BEAT_ACCEPT);
    weir_primary_missed(t, p, 6); /* one under the new slot, before that one */
    assert_int_equal(weir_primary_state(p), WEIR_PRIMARY_OPEN);
    assert_int_equal(weir_primary_beat_due(t, p, 6, 101 + WEIR_BEAT_US), WEIR_BEAT_ACCEPT);
    weir_primary_beaten(t, p, 6, true);
    assert_int_equal(weir_primary_state(p), WEIR_PRIMARY_OPEN);
    assert_int_equal(weir_primary_beat_due(t, p, 6, 101 + 2 * WEIR_BEAT_US), WEIR_BEAT_SEND);
    weir_primary_missed(t, p, 6);
    assert_int_equal(weir_primary_state(p), WEIR_PRIMARY_NEW);
    entered(t, "run:a", "", 100 + 3 * WEIR_BEAT_US, false);
    uint64_t over_us = 100 + 3 * WEIR_BEAT_US + WEIR_BARRIER_US;
    assert_int_equal(weir_primary_beat_due(t, p, 7, over_us), WEIR_BEAT_ACCEPT);
    weir_primaries_free(t);
}

/* A slot that moves after a process went over, and before its first beat, is no lost data either.
 */
static void test_slot_moves_before_first_beat(void **state)
{
    (void)state;
    struct weir_primaries *t = make(false);
    struct weir_primary *p = entered(t, "run:a", "", 100, true); /* found under slot 5 */
    assert_int_equal(weir_primary_beat_due(t, p, 4, 100), WEIR_BEAT_ACCEPT);
    weir_primary_missed(t, p, 4);
    assert_int_equal(weir_primary_state(p), WEIR_PRIMARY_OPEN);
    weir_primary_missed(t, p, 5); /* where it was found */
    assert_int_equal(weir_primary_state(p), WEIR_PRIMARY_NEW);
    weir_primaries_free(t);
}

/* What was asked before this process went over, the last time, counts as lost: it may have been
 * granted before the data was, and nobody has charged it again. */
static void test_grants_of_before(void **state)
{
    (void)state;
    struct weir_primaries *t = make(true);
    struct weir_primary *p = entered(t, "run:a", "", 100, true);
    assert_false(weir_primary_grants(p, 99));
    assert_true(weir_primary_grants(p, 100));
    weir_primary_again(t, p); /* its data is gone */
    assert_int_equal(weir_primary_state(p), WEIR_PRIMARY_NEW);
    entered(t, "run:a", "", 200, false);
    assert_false(weir_primary_grants(p, 199));
    assert_true(weir_primary_grants(p, 200));
    weir_primary_again(t, p); /* within the barrier, too */
    assert_int_equal(weir_primary_state(p), WEIR_PRIMARY_NEW);
    weir_primaries_free(t);
}

/* Lease rule 9: one that was left stays so, whatever it or its worker says later. */
static void test_left(void **state)
{
    (void)state;
    struct weir_primaries *t = make(true);
    struct weir_primary *a = entered(t, "run:a", "", 100, true);
    struct weir_primary *going = weir_primaries_get(t, "run:b", 110);
    assert_true(weir_primary_begin(t, going, "", 110));
    assert_int_equal(weir_primary_state(a), WEIR_PRIMARY_LEFT);
    assert_false(weir_primary_grants(a, 120));
    struct weir_primary *c = entered(t, "run:c", "b", 120, false);
    assert_int_equal(weir_primary_state(going), WEIR_PRIMARY_LEFT);
    weir_primary_gone_over(t, going, 5, 0, 0);
    weir_primary_interrupted(t, going);
    weir_primary_beaten(t, going, 0, true);
    weir_primary_again(t, going);
    assert_int_equal(weir_primary_state(going), WEIR_PRIMARY_LEFT);
    assert_false(weir_primary_begin(t, a, "c", 130));
    assert_false(weir_primary_report_begin(t, a));
    assert_int_equal(weir_primary_beat_due(t, a, 5, 3 * WEIR_BARRIER_US), WEIR_BEAT_NONE);
    assert_int_equal(weir_primary_state(c), WEIR_PRIMARY_BARRIER);
    weir_primaries_free(t);
}

/* In a cluster only the one whose replica it was is left. */
static void test_left_of_cluster(void **state)
{
    (void)state;
    struct weir_primaries *t = make(false);
    struct weir_primary *a = entered(t, "run1:aa", "", 100, true);
    struct weir_primary *b = entered(t, "run2:bb", "", 100, true);
    entered(t, "run3:cc", "bb", 110, false);
    assert_int_equal(weir_primary_state(a), WEIR_PRIMARY_OPEN);
    assert_int_equal(weir_primary_state(b), WEIR_PRIMARY_LEFT);
    entered(t, "run4:dd", "", 120, false);
    entered(t, "run5:ee", "a", 130, false); /* a part of an identity is none */
    assert_int_equal(weir_primary_state(a), WEIR_PRIMARY_OPEN);
    weir_primaries_free(t);
}

/* Lease rule 14: one worker reports, and nobody takes alone from the report's begin until
 * back_until_us. */
static void test_report(void **state)
{
    (void)state;
    struct weir_primaries *t = make(true);
    struct weir_primary *p = weir_primaries_get(t, "run:a", 10);
    assert_false(weir_primary_report_begin(t, p)); /* going over tells it */
    entered(t, "run:a", "", 10, false);
    assert_false(weir_primary_is_back(p, 20));
    assert_true(weir_primary_report_begin(t, p));
    assert_false(weir_primary_report_begin(t, p));
    assert_true(weir_primary_is_back(p, UINT64_MAX));
    weir_primary_report_end(t, p, 0); /* there was nothing to tell */
    assert_false(weir_primary_is_back(p, 20));
    assert_true(weir_primary_report_begin(t, p));
    weir_primary_report_end(t, p, 500);
    assert_true(weir_primary_is_back(p, 499));
    assert_false(weir_primary_is_back(p, 500));
    assert_true(weir_primary_report_begin(t, p));
    weir_primary_report_end(t, p, 0); /* takes nothing back */
    assert_true(weir_primary_is_back(p, 499));
    weir_primary_again(t, p);
    assert_true(weir_primary_begin(t, p, "", 600));
    weir_primary_gone_over(t, p, 5, 0, 900);
    assert_true(weir_primary_is_back(p, 899));
    weir_primaries_free(t);
}

static struct weir_primary *numbered(struct weir_primaries *t, unsigned i, uint64_t now_us)
{
    char id[WEIR_PRIMARY_ID_BYTES];
    snprintf(id, sizeof(id), "run:%u", i);
    return weir_primaries_get(t, id, now_us);
}

/* Guarantee 6: bounded. The one without users the longest makes room, and whoever still has its
 * grants finds them worth nothing. */
static void test_full(void **state)
{
    (void)state;
    struct weir_primaries *t = make(false);
    struct weir_primary *p[WEIR_PRIMARIES_MAX];
    for (unsigned i = 0; i < WEIR_PRIMARIES_MAX; i++) {
        p[i] = numbered(t, i, i);
        assert_true(weir_primary_begin(t, p[i], "", i));
        weir_primary_gone_over(t, p[i], 5, 0, UINT64_MAX);
    }
    assert_null(numbered(t, WEIR_PRIMARIES_MAX, 1000));
    assert_ptr_equal(numbered(t, 7, 1001), p[7]); /* another user */
    weir_primaries_put(t, p[7], 1002);
    assert_null(numbered(t, WEIR_PRIMARIES_MAX, 1003));
    weir_primaries_put(t, p[9], 1004);
    weir_primaries_put(t, p[8], 1005);
    assert_ptr_equal(numbered(t, WEIR_PRIMARIES_MAX, 1006), p[9]);
    assert_int_equal(weir_primary_state(p[9]), WEIR_PRIMARY_NEW);
    assert_false(weir_primary_is_back(p[9], 1006));
    assert_true(weir_primary_begin(t, p[9], "", 1007));
    weir_primary_gone_over(t, p[9], 5, 0, 0);
    assert_false(weir_primary_grants(p[9], 1006));
    assert_ptr_equal(numbered(t, 8, 1008), p[8]); /* still known */
    assert_int_equal(weir_primary_state(p[8]), WEIR_PRIMARY_OPEN);
    assert_null(numbered(t, 9, 1009));
    weir_primaries_free(t);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct weir_primaries *t;
    weir_mem_fail_after(0);
    assert_int_equal(weir_primaries_new(true, &t), WEIR_ERR_NOMEM);
    weir_mem_fail_after(UINT64_MAX);
    t = make(true);
    weir_mem_fail_after(0);
    assert_null(weir_primaries_get(t, "run:a", 1));
    weir_mem_fail_after(UINT64_MAX);
    assert_non_null(weir_primaries_get(t, "run:a", 1));
    weir_primaries_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_barrier),
        cmocka_unit_test(test_beat_of_moved_slot),
        cmocka_unit_test(test_slot_moves_before_first_beat),
        cmocka_unit_test(test_grants_of_before),
        cmocka_unit_test(test_left),
        cmocka_unit_test(test_left_of_cluster),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
