/* SPDX-License-Identifier: Apache-2.0 */
/* entries.h - what the registry has: plans, orgs, teams and keys that are made and changed while
 * nodes run. An entry is a name ("plan:starter", "org:acme", "team:search", "key:alice") and a JSON
 * object with the fields that the configuration file gives such a thing. A list of them never
 * changes: a change makes another list, which shares what stayed. Thread-safe. */
#ifndef WEIR_CONFIG_ENTRIES_H
#define WEIR_CONFIG_ENTRIES_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    WEIR_ENTRY_NAME_MAX = 128,
    WEIR_ENTRY_TEXT_MAX = 8192,
    WEIR_ENTRIES_MAX = 1000000,
};

struct weir_entry {
    _Atomic uint32_t _keepers;  /* lists that have it */
    struct weir_str name, text; /* behind this */
};

struct weir_entries {
    _Atomic uint32_t _keepers;
    size_t count;
    struct weir_entry *entry[]; /* by the bytes of their names, none twice */
};

/* One change: what the entry of that name is from then on; text.p NULL: it is no more. */
struct weir_entry_change {
    struct weir_str name, text;
};

/* Whether it is "plan:", "org:", "team:" or "key:" and a name or an id that the configuration
 * takes.
 */
bool weir_entry_name_valid(struct weir_str name);

/* An empty list, kept once. NULL: no memory. */
struct weir_entries *weir_entries_new(void);
/* Those of `before` with the changes, which are in any order; of two of one name the later one
 * counts. Names and texts are copied. WEIR_ERR_LIMIT: more than WEIR_ENTRIES_MAX, or a name or text
 * that is too long; WEIR_ERR_NOMEM. */
WEIR_MUSTCHECK enum weir_err weir_entries_with(const struct weir_entries *before,
                                               const struct weir_entry_change *change,
                                               size_t changes, struct weir_entries **ret_entries);
/* The same in the place of *entries, which is let go, whatever becomes of it; on failure there is
 * NULL. Entries of a list that nobody else keeps are not touched. */
WEIR_MUSTCHECK enum weir_err weir_entries_add(struct weir_entries **entries,
                                              const struct weir_entry_change *change,
                                              size_t changes);
/* One more who lets it go. */
struct weir_entries *weir_entries_keep(struct weir_entries *entries);
/* NULL is allowed. */
void weir_entries_let_go(struct weir_entries *entries);
/* NULL: there is none of this name. */
const struct weir_entry *weir_entries_find(const struct weir_entries *entries,
                                           struct weir_str name);
/* The same names with the same texts. */
bool weir_entries_alike(const struct weir_entries *a, const struct weir_entries *b);

/* As a document, which a file keeps: a JSON object with a line for each entry. */
void weir_entries_write(const struct weir_entries *entries, struct weir_buf *b);
/* WEIR_ERR_INVALID: it is no such document; ret_why says what was expected, without what stands
 * there. */
WEIR_MUSTCHECK enum weir_err weir_entries_read(struct weir_str text,
                                               struct weir_entries **ret_entries, char *ret_why,
                                               size_t room);

#endif
