/* SPDX-License-Identifier: Apache-2.0 */
/* What images cost, and the sizes that the heads of files tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/guard.h"
#include "tokens/image.h"

static void test_costs(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        uint32_t width, height;
        bool low;
        uint64_t tokens;
    } cases[] = {
        /* the guide's own examples: 1024 x 1024, 2048 x 4096, 4096 x 8192 at low detail */
        {"gpt-4o", 1024, 1024, false, 765},
        {"gpt-4o", 2048, 4096, false, 1105},
        {"gpt-4o", 4096, 8192, true, 85},
        {"gpt-4.1-mini", 1024, 1024, false, 1659}, /* 1024 patches x 1.62 */
        {"gpt-4o", 0, 0, false, 765},
        {"some-model", 1024, 0, false, 765},
        {"gpt-4o", 1, 1, false, 255},
        {"gpt-4o", 512, 512, false, 255},
        {"gpt-4o", 513, 512, false, 425},
        {"gpt-4o", UINT32_MAX, 1, false, 85 + 4 * 170},
        {"gpt-4o", UINT32_MAX, UINT32_MAX, false, 765},
        {"gpt-4o-mini", 512, 512, false, 2833 + 5667},
        {"o1", 512, 512, false, 225},
        {"gpt-5", 512, 512, false, 210},
        {"gpt-5-nano", 32, 32, false, 3},
        {"o4-mini", UINT32_MAX, UINT32_MAX, true, 2642},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_image_rule rule = weir_image_rule_of(weir_str_z(cases[i].model));
        assert_int_equal(weir_image_tokens(rule, cases[i].width, cases[i].height, cases[i].low),
                         cases[i].tokens);
    }
}

#define PNG "iVBORw0KGgoAAAANSUhEUgAAAyAAAAJYCAYAAA==" /* 800 x 600 */
#define GIF "R0lGODlhQAHwAPcAAA=="                     /* 320 x 240 */
#define JPEG                                                                                       \
    "/9j/4AAQSkZJRgABAQAAAQABAAD/wAARCAEAAgADASIAAhEB"      /* 512 x 256, behind a JFIF segment */
#define VP8  "UklGRhoAAABXRUJQVlA4IBgAAAAwAQCdASrIAGQAAgA=" /* 200 x 100 */
#define VP8L "UklGRhoAAABXRUJQVlA4TA0AAAAvx8AYAAA="         /* 200 x 100 */
#define VP8X "UklGRhoAAABXRUJQVlA4WAoAAAAAAAAAxwAAYwAA"     /* 200 x 100 */

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        uint32_t width, height; /* 0: it does not say */
    } cases[] = {
        {"data:image/png;base64," PNG, 800, 600},
        {"data:image/gif;base64," GIF, 320, 240},
        {"data:image/jpeg;base64," JPEG, 512, 256},
        {"data:image/webp;base64," VP8, 200, 100},
        {"data:image/webp;base64," VP8L, 200, 100},
        {"data:image/webp;base64," VP8X, 200, 100},
        {"data:;base64," GIF, 320, 240}, /* the bytes say what it is */
        {"", 0, 0},
        {"data:", 0, 0},
        {"data:,", 0, 0},
        {"data:;base64,", 0, 0},
        {"data:image/png," PNG, 0, 0},
        {"https://example.com/a;base64," PNG, 0, 0},
        {"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAyAAAAJ", 0, 0}, /* cut off */
        {"data:image/gif;base64,R0lGODlhQAHwAP!AAA==", 320, 240},
        {"data:image/gif;base64,R0lGODlhQAH!APcAAA==", 0, 0},
        {"data:image/gif;base64,R0lGODlhAAAAAPcAAA==", 0, 0},  /* 0 x 0 */
        {"data:image/jpeg;base64,/9j/4AAA/+AAAP/gAAD/", 0, 0}, /* segments without an end */
        {"data:image/avif;base64,AAAAHGZ0eXBhdmlm", 0, 0},
    };
    struct guard g;
    guard_init(&g, 256);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t width = 0, height = 0;
        struct weir_str url = guard_put(&g, weir_str_z(cases[i].url));
        assert_int_equal(weir_image_size(url, &width, &height), cases[i].width > 0);
        assert_int_equal(width, cases[i].width);
        assert_int_equal(height, cases[i].height);
    }
    guard_deinit(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_costs), cmocka_unit_test(test_sizes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
