/* SPDX-License-Identifier: Apache-2.0 */
/* file_home.c - entries that live in the file. Several processes may share it: who changes it holds
 * the others off, and reads it again before. */
#include "base/mem.h"
#include "registry/internal.h"

static bool is_none(const struct weir_file_mark *mark)
{
    return weir_file_marks_alike(mark, &(struct weir_file_mark){0});
}

/* What the file says. A file that has gone says nothing: it is not taken for an empty one. NULL:
 * ret_why says why. */
static struct weir_entries *read_file(struct weir_registry *r, char *ret_why, size_t room)
{
    struct weir_entries *entries;
    weir_file_mark_of(r->config->registry, &r->mark);
    enum weir_err err = weir_registry_file_read(r->config->registry, &entries, ret_why, room);
    if (err != WEIR_OK) {
        r->mark.bytes =
            err == WEIR_ERR_INVALID ? r->mark.bytes : UINT64_MAX; /* may pass by itself */
        return NULL;
    }
    if (entries->count == 0 && r->entries->count > 0 && is_none(&r->mark)) {
        weir_entries_let_go(entries);
        snprintf(ret_why, room, "%.400s has gone", r->config->registry);
        return NULL;
    }
    return entries;
}

/* Reads the file and tells what is new there. False: it cannot be read, ret_why says why. */
static bool look(struct weir_registry *r, char *ret_why, size_t room)
{
    struct weir_entries *entries = read_file(r, ret_why, room);
    if (entries == NULL) {
        registry_down(r, ret_why);
        return false;
    }
    registry_up(r);
    if (weir_entries_alike(entries, r->entries)) {
        weir_entries_let_go(entries);
    } else {
        registry_tell(r, entries);
    }
    return true;
}

void registry_file_poll(struct weir_registry *r)
{
    struct weir_file_mark now;
    char why[512];
    weir_file_mark_of(r->config->registry, &now);
    if (!weir_file_marks_alike(&now, &r->mark)) {
        (void)look(r, why, sizeof(why));
    }
}

/* While others are held off. */
static bool write_down(struct weir_registry *r, char *ret_why, size_t room)
{
    struct weir_entries *with;
    if (weir_entries_with(r->entries, &r->turn->entry, 1, &with) != WEIR_OK) {
        snprintf(ret_why, room, "out of memory, or more entries than there may be");
        return false;
    }
    if (weir_registry_file_write(r->config->registry, with, ret_why, room) != WEIR_OK) {
        weir_entries_let_go(with);
        return false;
    }
    weir_file_mark_of(r->config->registry, &r->mark);
    registry_tell(r, with);
    return true;
}

void registry_file_change(struct weir_registry *r)
{
    char why[512] = "";
    int fd = weir_registry_file_lock(r->config->registry, why, sizeof(why));
    bool ready = fd >= 0 && look(r, why, sizeof(why));
    bool over = ready && !registry_make(r);
    bool done = ready && !over && write_down(r, why, sizeof(why));
    if (fd >= 0) {
        weir_registry_file_unlock(fd);
    }
    if (!over) {
        registry_done(r, done ? WEIR_REGISTRY_DONE : WEIR_REGISTRY_UNAVAILABLE, why);
    }
}
