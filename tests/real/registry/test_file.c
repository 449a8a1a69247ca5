/* SPDX-License-Identifier: Apache-2.0 */
/* The registry's file in a folder of its own: what is read, what is put in its place and what stays
 * there, whatever is in the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/file.h"

enum { WHY = 512 };

static char folder[64], path[128], beside[128];
static const char no_file[] = "/nowhere/registry";

static int make_folder(void **state)
{
    char template[] = "/tmp/weir-test-XXXXXX";
    (void)state;
    if (mkdtemp(template) == NULL) {
        return -1;
    }
    snprintf(folder, sizeof(folder), "%s", template);
    snprintf(path, sizeof(path), "%s/registry", folder);
    snprintf(beside, sizeof(beside), "%s/other", folder);
    return 0;
}

/* How many files there are; `removes` them too. */
static unsigned files(bool removes)
{
    unsigned count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        bool file = strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
        count += file;
        if (file && removes) {
            unlinkat(dirfd(dir), e->d_name, 0);
        }
    }
    closedir(dir);
    return count;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)files(true);
    return rmdir(folder);
}

/* One key of this id. */
static struct weir_entries *entries_of(const char *id)
{
    char name[64];
    struct weir_entries *none = weir_entries_new(), *one = NULL;
    snprintf(name, sizeof(name), "key:%s", id);
    const struct weir_entry_change change = {weir_str_z(name), WEIR_STR("{\"plan\":\"p\"}")};
    assert_non_null(none);
    assert_int_equal(weir_entries_with(none, &change, 1, &one), WEIR_OK);
    weir_entries_let_go(none);
    return one;
}

static enum weir_err put(const char *to, const char *id, char *ret_why)
{
    struct weir_entries *entries = entries_of(id);
    enum weir_err err = weir_registry_file_write(to, entries, ret_why, WHY);
    weir_entries_let_go(entries);
    return err;
}

static void check_has(const char *from, const char *id)
{
    char why[WHY];
    struct weir_entries *entries = NULL, *expected = entries_of(id);
    assert_int_equal(weir_registry_file_read(from, &entries, why, sizeof(why)), WEIR_OK);
    assert_true(weir_entries_alike(entries, expected));
    weir_entries_let_go(entries);
    weir_entries_let_go(expected);
}

static void make_file(const char *at, const char *text)
{
    FILE *file = fopen(at, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void check_is_refused(const char *from, enum weir_err expected, const char *words)
{
    char why[WHY] = "";
    struct weir_entries *entries = NULL;
    assert_int_equal(weir_registry_file_read(from, &entries, why, sizeof(why)), expected);
    assert_null(entries);
    assert_non_null(strstr(why, words));
}

/* ---- reading ---- */

static void test_read(void **state)
{
    (void)state;
    char why[WHY];
    struct weir_entries *entries = NULL;
    assert_int_equal(weir_registry_file_read(path, &entries, why, sizeof(why)), WEIR_OK);
    assert_int_equal(entries->count, 0);
    weir_entries_let_go(entries);
    make_file(path, "{\"weir_registry\":1,\"entries\":{\"key:a\":{\"plan\":\"p\"}}}");
    check_has(path, "a");
    make_file(path, "{\"weir_registry\":1,\"entries\":{\"key:a\":{\"plan\":\"p\"}");
    check_is_refused(path, WEIR_ERR_INVALID, "/registry: expected a registry as weir writes it");
}

/* Not even waited for. */
static void test_what_is_no_file(void **state)
{
    (void)state;
    char why[WHY];
    struct stat st;
    assert_int_equal(mkfifo(path, 0600), 0);
    check_is_refused(path, WEIR_ERR_INVALID, "/registry: expected a regular file");
    check_is_refused(folder, WEIR_ERR_INVALID, ": expected a regular file");
    assert_int_equal(put(path, "a", why), WEIR_ERR_IO);
    assert_non_null(strstr(why, "/registry cannot be written: File exists"));
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    assert_int_equal(files(false), 1);
}

/* ---- writing ---- */

static void test_write(void **state)
{
    (void)state;
    char why[WHY];
    struct stat st;
    make_file(path, "whatever");
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(put(path, "a", why), WEIR_OK);
    check_has(path, "a");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(files(false), 1);
}

static void test_links(void **state)
{
    (void)state;
    char why[WHY];
    struct stat st;
    assert_int_equal(put(path, "a", why), WEIR_OK);
    assert_int_equal(symlink("registry", beside), 0);
    check_has(beside, "a");
    assert_int_equal(put(beside, "b", why), WEIR_OK);
    check_has(path, "b");
    assert_int_equal(lstat(beside, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(unlink(path), 0); /* its volume is not there, perhaps */
    assert_int_equal(put(beside, "c", why), WEIR_ERR_IO);
    assert_non_null(strstr(why, "/other cannot be written: No such file or directory"));
    assert_int_equal(files(false), 1);
}

static void test_no_folder(void **state)
{
    (void)state;
    char why[WHY];
    assert_int_equal(put(no_file, "a", why), WEIR_ERR_IO);
    assert_string_equal(why, "/nowhere/registry cannot be written: No such file or directory");
    assert_true(weir_registry_file_lock(no_file, why, sizeof(why)) < 0);
    assert_string_equal(why, "/nowhere/registry cannot be locked: No such file or directory");
}

/* The disk is full after the first bytes. */
static void test_full(void **state)
{
    (void)state;
    char why[WHY];
    struct rlimit before, few;
    assert_int_equal(put(path, "a", why), WEIR_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    few = (struct rlimit){.rlim_cur = 10, .rlim_max = before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
    enum weir_err err = put(path, "b", why);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(err, WEIR_ERR_IO);
    assert_non_null(strstr(why, "/registry cannot be written: File too large"));
    check_has(path, "a");
    assert_int_equal(files(false), 1);
}

/* A process with our id has died while it wrote. */
static void test_left_beside(void **state)
{
    (void)state;
    char why[WHY], left[160];
    snprintf(left, sizeof(left), "%s.%ld.tmp", path, (long)getpid());
    make_file(left, "half");
    assert_int_equal(put(path, "a", why), WEIR_OK);
    check_has(path, "a");
    assert_int_equal(files(false), 1);
}

/* ---- one at a time ---- */

static void test_lock(void **state)
{
    (void)state;
    char why[WHY];
    int fd = weir_registry_file_lock(path, why, sizeof(why));
    assert_true(fd >= 0);
    assert_true(weir_registry_file_lock(path, why, sizeof(why)) < 0);
    assert_non_null(strstr(why, "/registry cannot be locked: Resource temporarily unavailable"));
    weir_registry_file_unlock(fd);
    fd = weir_registry_file_lock(path, why, sizeof(why));
    assert_true(fd >= 0);
    weir_registry_file_unlock(fd);
}

/* By whichever name. */
static void test_lock_behind_a_link(void **state)
{
    (void)state;
    char why[WHY], elsewhere[] = "/tmp/weir-test-XXXXXX", link[64];
    assert_int_equal(put(path, "a", why), WEIR_OK);
    assert_non_null(mkdtemp(elsewhere));
    snprintf(link, sizeof(link), "%s/registry", elsewhere);
    assert_int_equal(symlink(path, link), 0);
    int fd = weir_registry_file_lock(path, why, sizeof(why));
    int other = weir_registry_file_lock(link, why, sizeof(why));
    unlink(link);
    rmdir(elsewhere);
    assert_true(fd >= 0 && other < 0);
    weir_registry_file_unlock(fd);
}

/* ---- which state it is ---- */

static void test_marks(void **state)
{
    (void)state;
    struct weir_file_mark none, first, now;
    struct stat st;
    weir_file_mark_of(path, &none);
    assert_true(weir_file_marks_alike(&none, &(struct weir_file_mark){0}));
    make_file(path, "1");
    weir_file_mark_of(path, &first);
    weir_file_mark_of(path, &now);
    assert_true(weir_file_marks_alike(&first, &now));
    assert_false(weir_file_marks_alike(&first, &none));
    /* written in place, with as many bytes, and dated back: at some later tick of the clock */
    assert_int_equal(stat(path, &st), 0);
    for (unsigned tries = 0; weir_file_marks_alike(&first, &now) && tries < 10000; tries++) {
        make_file(path, "2");
        assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[2]){st.st_atim, st.st_mtim}, 0),
                         0);
        weir_file_mark_of(path, &now);
    }
    assert_false(weir_file_marks_alike(&first, &now));
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        CASE(test_read),
        CASE(test_what_is_no_file),
        CASE(test_write),
        CASE(test_links),
        CASE(test_no_folder),
        CASE(test_full),
        CASE(test_left_beside),
        CASE(test_lock),
        CASE(test_lock_behind_a_link),
        CASE(test_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
