/* SPDX-License-Identifier: Apache-2.0 */
/* file.h - the registry's file: written whole beside itself and renamed, so that who reads it has
 * the one or the other. Private to registry. Any thread. */
#ifndef WEIR_REGISTRY_FILE_H
#define WEIR_REGISTRY_FILE_H

#include "config/entries.h"

/* Which state of a file it is. Zeroed: there is none. */
struct weir_file_mark {
    uint64_t device, inode, bytes;
    int64_t seconds, nanoseconds; /* of its last change, which nobody can set */
};

bool weir_file_marks_alike(const struct weir_file_mark *a, const struct weir_file_mark *b);
/* Where there is no such file: zero. */
void weir_file_mark_of(const char *path, struct weir_file_mark *ret_mark);

/* Does not wait. No file: an empty list. On failure ret_why says why: WEIR_ERR_INVALID: it is no
 * registry; WEIR_ERR_IO: it cannot be read. */
WEIR_MUSTCHECK enum weir_err weir_registry_file_read(const char *path,
                                                     struct weir_entries **ret_entries,
                                                     char *ret_why, size_t room);
/* Mode 0600; where the path leads, if that is a symbolic link. By one at a time, who holds the
 * lock. WEIR_ERR_IO: ret_why says why, and what was there stays. */
WEIR_MUSTCHECK enum weir_err weir_registry_file_write(const char *path,
                                                      const struct weir_entries *entries,
                                                      char *ret_why, size_t room);

/* Holds off others who write the file, on this machine. A descriptor for weir_registry_file_unlock;
 * below 0: ret_why says why. */
int weir_registry_file_lock(const char *path, char *ret_why, size_t room);
void weir_registry_file_unlock(int fd);

#endif
