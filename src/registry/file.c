/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/config.h"

enum { BYTES_MAX = 1 << 30, CHUNK = 65536, LOCK_TRIES = 200 /* of a millisecond */ };

bool weir_file_marks_alike(const struct weir_file_mark *a, const struct weir_file_mark *b)
{
    return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
           a->seconds == b->seconds && a->nanoseconds == b->nanoseconds;
}

void weir_file_mark_of(const char *path, struct weir_file_mark *ret_mark)
{
    struct stat st;
    *ret_mark = (struct weir_file_mark){0};
    if (stat(path, &st) == 0) {
        *ret_mark = (struct weir_file_mark){.device = st.st_dev,
                                            .inode = st.st_ino,
                                            .bytes = (uint64_t)st.st_size,
                                            .seconds = st.st_ctim.tv_sec,
                                            .nanoseconds = st.st_ctim.tv_nsec};
    }
}

static enum weir_err say_errno(const char *path, const char *what, char *ret_why, size_t room)
{
    snprintf(ret_why, room, "%s cannot be %s: %s", path, what, strerror(errno));
    return WEIR_ERR_IO;
}

/* Texts have digests of secrets. */
static void wipe_free(struct weir_buf *b)
{
    if (b->data != NULL) {
        weir_wipe(b->data, b->len);
    }
    weir_buf_deinit(b);
}

/* ---- reading ---- */

/* WEIR_ERR_INVALID: it is no regular file. */
static enum weir_err read_all(int fd, struct weir_buf *b)
{
    struct stat st;
    ssize_t got = 1;
    if (fstat(fd, &st) != 0) {
        return WEIR_ERR_IO;
    }
    if (!S_ISREG(st.st_mode)) {
        return WEIR_ERR_INVALID;
    }
    /* all at once: no part of it is left behind unwiped */
    if (st.st_size < BYTES_MAX - CHUNK && !weir_buf_reserve(b, (size_t)st.st_size + CHUNK)) {
        return WEIR_ERR_NOMEM;
    }
    while (got > 0) {
        if (!weir_buf_reserve(b, CHUNK)) {
            return WEIR_ERR_NOMEM;
        }
        got = read(fd, b->data + b->len, CHUNK);
        if (got < 0 && errno == EINTR) {
            got = 1;
            continue;
        }
        b->len += got > 0 ? (size_t)got : 0;
    }
    return got == 0 ? WEIR_OK : WEIR_ERR_IO;
}

enum weir_err weir_registry_file_read(const char *path, struct weir_entries **ret_entries,
                                      char *ret_why, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is not waited for */
    if (fd < 0 && errno == ENOENT) {
        *ret_entries = weir_entries_new();
        snprintf(ret_why, room, "out of memory");
        return *ret_entries == NULL ? WEIR_ERR_NOMEM : WEIR_OK;
    }
    if (fd < 0) {
        return say_errno(path, "read", ret_why, room);
    }
    struct weir_buf b;
    char why[256];
    weir_buf_init(&b, BYTES_MAX);
    enum weir_err err = read_all(fd, &b);
    if (err == WEIR_ERR_IO) {
        (void)say_errno(path, "read", ret_why, room);
    } else if (err == WEIR_ERR_NOMEM) {
        snprintf(ret_why, room, "%s: out of memory, or too long", path);
    } else if (err == WEIR_ERR_INVALID) {
        snprintf(ret_why, room, "%s: expected a regular file", path);
    } else {
        err = weir_entries_read(weir_buf_view(&b), ret_entries, why, sizeof(why));
        if (err != WEIR_OK) {
            snprintf(ret_why, room, "%s: %s", path, why);
        }
    }
    close(fd);
    wipe_free(&b);
    return err;
}

/* ---- writing ---- */

static bool write_all(int fd, struct weir_str bytes)
{
    while (bytes.len > 0) {
        ssize_t put = write(fd, bytes.p, bytes.len);
        if (put < 0 && errno != EINTR) {
            return false;
        }
        if (put > 0) {
            bytes = weir_str(bytes.p + put, bytes.len - (size_t)put);
        }
    }
    return fsync(fd) == 0;
}

/* Where the file is or is to be: a symbolic link stays, and what is no regular file is left alone.
 * False: errno says why. */
static bool place_of(const char *path, char ret_place[static PATH_MAX])
{
    struct stat st;
    if (realpath(path, ret_place) == NULL) {
        bool none = errno == ENOENT && lstat(path, &st) != 0;
        return none && snprintf(ret_place, PATH_MAX, "%s", path) < PATH_MAX;
    }
    if (stat(ret_place, &st) == 0 && !S_ISREG(st.st_mode)) {
        errno = EEXIST;
        return false;
    }
    return true;
}

/* The directory of a place, opened. */
static int open_directory(const char *place)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(place, '/');
    snprintf(directory, sizeof(directory), "%.*s", (int)(slash - place) + 1, place);
    return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The rename is on disk when this returns, as far as the system can tell. */
static bool put_in_place(const char *from, const char *place)
{
    int fd = open_directory(place); /* before: what cannot be done whole is not begun */
    if (fd < 0) {
        return false;
    }
    bool renamed = rename(from, place) == 0;
    int why = errno;
    (void)fsync(fd); /* some file systems have none for directories */
    close(fd);
    errno = why;
    return renamed;
}

/* False: errno says why. */
static bool write_beside(const char *path, struct weir_str bytes)
{
    char place[PATH_MAX], beside[PATH_MAX + 32];
    if (!place_of(path, place)) {
        return false;
    }
    snprintf(beside, sizeof(beside), "%s.%ld.tmp", place, (long)getpid());
    (void)unlink(beside); /* of a process that had this id and died */
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    bool written = write_all(fd, bytes);
    int why = errno;
    if (close(fd) != 0 && written) {
        written = false;
        why = errno;
    }
    if (written && put_in_place(beside, place)) {
        return true;
    }
    why = written ? errno : why;
    (void)unlink(beside);
    errno = why;
    return false;
}

enum weir_err weir_registry_file_write(const char *path, const struct weir_entries *entries,
                                       char *ret_why, size_t room)
{
    struct weir_buf b;
    enum weir_err err = WEIR_OK;
    weir_buf_init(&b, BYTES_MAX);
    weir_entries_write(entries, &b);
    if (b.failed) {
        snprintf(ret_why, room, "%s: out of memory, or too long", path);
        err = WEIR_ERR_IO;
    } else if (!write_beside(path, weir_buf_view(&b))) {
        err = say_errno(path, "written", ret_why, room);
    }
    wipe_free(&b);
    return err;
}

int weir_registry_file_lock(const char *path, char *ret_why, size_t room)
{
    char place[PATH_MAX];
    int fd = place_of(path, place) ? open_directory(place) : -1;
    for (unsigned tries = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0; tries++) {
        if (errno != EINTR && (errno != EWOULDBLOCK || tries == LOCK_TRIES)) {
            int why = errno;
            close(fd);
            errno = why;
            fd = -1;
        } else {
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
    }
    if (fd < 0) {
        (void)say_errno(path, "locked", ret_why, room);
    }
    return fd;
}

void weir_registry_file_unlock(int fd)
{
    close(fd);
}
