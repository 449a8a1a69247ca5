/* SPDX-License-Identifier: Apache-2.0 */
/* edit.h - one change of the registry on its way, as the parts of it share it. Private to admin.
 *   edit.c          its way, and its answer
 *   edit_entry.c    the entry that it makes, and whether that fits
 *   edit_request.c  what requests ask for */
#ifndef WEIR_ADMIN_EDIT_H
#define WEIR_ADMIN_EDIT_H

#include "admin/internal.h"
#include "config/issued.h"

enum admin_deed { CREATE, CHANGE, ROTATE, DELETE, GRANT };

struct admin_edit {
    struct weir_registry_change change;
    struct admin_ask *ask;
    enum admin_kind kind;
    enum admin_deed deed;
    unsigned tries;
    struct weir_amounts grant; /* of GRANT */
    uint64_t window_s;         /* 0: in all its windows */
    struct weir_buf patch;     /* the body; of ROTATE and CREATE with the new secret's digest */
    struct weir_buf text;      /* what the entry becomes */
    char room[WEIR_ENTRY_NAME_MAX];
    struct weir_str name;               /* in it */
    char secret[WEIR_ISSUED_BYTES + 1]; /* told once; empty: it stays */
    uint64_t told;                      /* when it is done: what must be in force */
};

/* The id in its name. */
struct weir_str admin_edit_id(const struct admin_edit *e);
/* Its request is answered so, and it is over. */
void admin_edit_refuse(struct admin_edit *e, int status, const char *code, const char *why);
void admin_edit_refuse_unknown(struct admin_edit *e);
extern const char admin_entry_too_long[];
/* e->change.entry is what is asked for, and fits. False: refused. */
bool admin_edit_make(struct admin_edit *e);
/* Begins it. */
void admin_edit_submit(struct admin_edit *e);

#endif
