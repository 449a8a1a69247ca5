/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that wait: guarantee 6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/redis/parked.h"

static bool add(struct weir_redis_park *park, unsigned shard, struct weir_str bytes)
{
    const struct weir_redis_asked asked = {.bytes = bytes, .what = (uint8_t)shard, .hops = 3};
    return weir_redis_park_add(park, shard, &asked, shard, shard + 1);
}

static bool of_shard(void *ctx, const struct weir_redis_parked *p)
{
    return p->shard == *(unsigned *)ctx;
}

static struct weir_redis_parked *take(struct weir_redis_park *park, unsigned shard)
{
    return weir_redis_park_take(park, of_shard, &shard);
}

/* First in, first out, for each shard; a copy of the bytes. */
static void test_order(void **state)
{
    (void)state;
    struct weir_redis_park park;
    char bytes[] = "0";
    weir_redis_park_init(&park);
    for (unsigned i = 0; i < 6; i++) {
        bytes[0] = (char)('0' + i);
        assert_true(add(&park, i % 2, weir_str(bytes, 1)));
    }
    static const char *const expected[] = {"1", "3", "5"};
    for (unsigned i = 0; i < 3; i++) {
        struct weir_redis_parked *p = take(&park, 1);
        assert_true(weir_str_eq(p->asked.bytes, weir_str_z(expected[i])));
        assert_int_equal(p->asked.hops, 3);
        assert_int_equal(p->due_us, 1);
        weir_free(p);
    }
    assert_null(take(&park, 1));
    assert_int_equal(park.count, 3);
    assert_true(add(&park, 1, WEIR_STR("")));
    weir_free(take(&park, 1));
    assert_true(add(&park, 0, WEIR_STR("x"))); /* behind the last one, wherever that was */
    for (unsigned i = 0; i < 4; i++) {
        weir_free(take(&park, 0));
    }
    assert_int_equal(park.count, 0);
    assert_true(add(&park, 1, WEIR_STR("y")));
    weir_redis_park_deinit(&park);
    assert_int_equal(park.count, 0);
}

static void test_bounds(void **state)
{
    (void)state;
    struct weir_redis_park park;
    weir_redis_park_init(&park);
    for (unsigned i = 0; i < WEIR_REDIS_PARKED_MAX; i++) {
        assert_true(add(&park, 0, WEIR_STR("x")));
    }
    assert_false(add(&park, 0, WEIR_STR("x")));
    weir_free(take(&park, 0));
    assert_true(add(&park, 0, WEIR_STR("x")));
    weir_redis_park_deinit(&park);

    char *bytes = weir_zalloc(WEIR_REDIS_PARKED_BYTES_MAX + 1);
    assert_false(add(&park, 0, weir_str(bytes, WEIR_REDIS_PARKED_BYTES_MAX + 1)));
    assert_true(add(&park, 0, weir_str(bytes, WEIR_REDIS_PARKED_BYTES_MAX)));
    assert_false(add(&park, 0, WEIR_STR("x")));
    weir_free(take(&park, 0));
    assert_true(add(&park, 0, WEIR_STR("x")));
    weir_redis_park_deinit(&park);
    weir_free(bytes);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct weir_redis_park park;
    weir_redis_park_init(&park);
    weir_mem_fail_after(0);
    assert_false(add(&park, 0, WEIR_STR("x")));
    weir_mem_fail_after(UINT64_MAX);
    assert_int_equal(park.count, 0);
    assert_null(take(&park, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
