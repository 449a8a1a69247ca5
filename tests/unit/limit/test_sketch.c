/* SPDX-License-Identifier: Apache-2.0 */
/* The sketch against counts of everything: its three guarantees on several mixes of ids, with and
 * without decay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"
#include "base/zipf.h"
#include "limit/sketch.h"

enum { IDS = 3000, COMINGS = 60000 };

static void id_of(uint64_t number, uint64_t ret_id[static 2])
{
    ret_id[0] = weir_mix64(2 * number);
    ret_id[1] = weir_mix64(2 * number + 1);
}

/* A sketch, and the weight of every id beside it. */
struct world {
    struct weir_sketch sketch;
    double weight[IDS], all;
};

static void come(struct world *w, uint64_t number)
{
    uint64_t id[2];
    bool was_new;
    id_of(number, id);
    bool had_place = weir_sketch_find(&w->sketch, id) != WEIR_SKETCH_NONE;
    unsigned i = weir_sketch_add(&w->sketch, id, &was_new);
    assert_int_equal(was_new, !had_place);
    assert_int_equal(weir_sketch_find(&w->sketch, id), i);
    w->weight[number] += 1;
    w->all += 1;
}

static void decay(struct world *w, unsigned halvings)
{
    weir_sketch_decay(&w->sketch, halvings);
    for (unsigned n = 0; n < IDS; n++) {
        w->weight[n] /= (double)(1 << halvings);
    }
    w->all /= (double)(1 << halvings);
}

static void check(const struct world *w)
{
    const double one = (double)WEIR_SKETCH_ONE, rounding = 2 / one;
    double share = w->all / w->sketch.places + rounding;
    for (unsigned n = 0; n < IDS; n++) {
        uint64_t id[2];
        id_of(n, id);
        unsigned i = weir_sketch_find(&w->sketch, id);
        if (i == WEIR_SKETCH_NONE) {
            assert_true(w->weight[n] <= share);
            assert_true(w->weight[n] <= (double)weir_sketch_least(&w->sketch) / one);
            continue;
        }
        double count = (double)weir_sketch_count(&w->sketch, i) / one;
        double sure = (double)w->sketch.place[i].sure / one;
        assert_true(sure <= w->weight[n] && w->weight[n] <= count);
        assert_true(count <= w->weight[n] + share + rounding);
        assert_true(weir_sketch_count(&w->sketch, i) >= weir_sketch_least(&w->sketch));
    }
}

static void follow(uint32_t places, double zipf, unsigned decay_every)
{
    struct world *w = weir_zalloc(sizeof(*w));
    assert_non_null(w);
    struct weir_rand r;
    struct weir_zipf z;
    weir_rand_init(&r, places);
    weir_zipf_init(&z, IDS, zipf);
    weir_sketch_init(&w->sketch, places);
    for (unsigned i = 1; i <= COMINGS; i++) {
        come(w, weir_zipf_draw(&z, &r));
        if (decay_every > 0 && i % decay_every == 0) {
            decay(w, 1 + i / decay_every % 3);
        }
        if (i % (COMINGS / 20) == 0) {
            check(w);
        }
    }
    weir_free(w);
}

static void test_guarantees(void **state)
{
    (void)state;
    static const uint32_t places[] = {1, 2, 3, 64, 127, 128};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        follow(places[i], 0.0, 0); /* all alike: nearly each coming takes a place over */
        follow(places[i], 1.1, 0);
        follow(places[i], 1.1, 1000);
    }
}

/* A count that was used is never that of a place without an owner, however long ago. */
static void test_long_silence(void **state)
{
    (void)state;
    static const uint32_t halvings[] = {1, 16, 63, 64, UINT32_MAX};
    for (size_t i = 0; i < sizeof(halvings) / sizeof(halvings[0]); i++) {
        struct weir_sketch s;
        uint64_t id[2];
        bool was_new;
        weir_sketch_init(&s, 2);
        id_of(1, id);
        unsigned place = weir_sketch_add(&s, id, &was_new);
        weir_sketch_decay(&s, halvings[i]);
        assert_true(weir_sketch_count(&s, place) > 0);
        assert_int_equal(weir_sketch_count(&s, place),
                         weir_sketch_decayed_count(WEIR_SKETCH_ONE, halvings[i]));
        assert_int_equal(s.place[place].sure,
                         weir_sketch_decayed_sure(WEIR_SKETCH_ONE, halvings[i]));
        assert_int_equal(weir_sketch_find(&s, id), place);
        id_of(2, id);
        assert_int_not_equal(weir_sketch_add(&s, id, &was_new), place);
    }
}

/* Ids that share a bucket, of which each may be the one that goes. */
static void test_one_bucket(void **state)
{
    (void)state;
    struct weir_sketch s;
    bool was_new;
    weir_sketch_init(&s, 4);
    for (uint64_t n = 0; n < 1000; n++) {
        const uint64_t id[2] = {0, weir_mix64(n) % 7};
        unsigned known = weir_sketch_find(&s, id);
        unsigned place = weir_sketch_add(&s, id, &was_new);
        assert_true(was_new ? known == WEIR_SKETCH_NONE : known == place);
        unsigned found = 0;
        for (uint64_t other = 0; other < 7; other++) {
            found += weir_sketch_find(&s, (const uint64_t[2]){0, other}) != WEIR_SKETCH_NONE;
        }
        assert_in_range(found, 1, 4);
        assert_int_equal(weir_sketch_find(&s, (const uint64_t[2]){256, id[1]}), WEIR_SKETCH_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guarantees),
        cmocka_unit_test(test_long_silence),
        cmocka_unit_test(test_one_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
