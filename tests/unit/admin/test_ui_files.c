/* SPDX-License-Identifier: Apache-2.0 */
/* The dashboard's files as the program carries them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "admin/ui_files.h"

static void has_each_file_as_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *path, *type;
    } files[] = {
        {"index.html", "text/html; charset=utf-8"},
        {"style.css", "text/css; charset=utf-8"},
        {"app.js", "text/javascript; charset=utf-8"},
        {"theme.js", "text/javascript; charset=utf-8"},
        {"icon.svg", "image/svg+xml"},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        const struct weir_ui_file *f = weir_ui_file_find(weir_str_z(files[i].path));
        assert_non_null(f);
        assert_string_equal(f->path, files[i].path);
        assert_string_equal(f->type, files[i].type);
        char path[512];
        snprintf(path, sizeof(path), WEIR_SOURCE_DIR "/src/admin/ui/%s", files[i].path);
        FILE *in = fopen(path, "rb");
        assert_non_null(in);
        uint8_t bytes[65536];
        size_t len = fread(bytes, 1, sizeof(bytes), in);
        fclose(in);
        assert_int_equal(f->len, len);
        assert_memory_equal(f->bytes, bytes, len);
    }
}

static void has_the_page_at_the_empty_path(void **state)
{
    (void)state;
    assert_ptr_equal(weir_ui_file_find(WEIR_STR("")), weir_ui_file_find(WEIR_STR("index.html")));
}

static void tells_contents_apart(void **state)
{
    (void)state;
    const struct weir_ui_file *a = weir_ui_file_find(WEIR_STR("app.js"));
    const struct weir_ui_file *b = weir_ui_file_find(WEIR_STR("api.js"));
    assert_string_not_equal(a->etag, b->etag);
    assert_int_equal(strlen(a->etag), 18);
    assert_int_equal(a->etag[0], '"');
    assert_int_equal(a->etag[17], '"');
}

static void has_nothing_else(void **state)
{
    (void)state;
    static const char *const paths[] = {"app",           "app.jsx", "/app.js",
                                        "../ui_files.c", "App.js",  "ui/"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_null(weir_ui_file_find(weir_str_z(paths[i])));
    }
    assert_null(weir_ui_file_find(weir_str("app.js", 7))); /* with its NUL */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_each_file_as_it_is),
        cmocka_unit_test(has_the_page_at_the_empty_path),
        cmocka_unit_test(tells_contents_apart),
        cmocka_unit_test(has_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
