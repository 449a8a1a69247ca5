/* SPDX-License-Identifier: Apache-2.0 */
/* subject.h - who is limited. Pure values. */
#ifndef WEIR_LIMIT_SUBJECT_H
#define WEIR_LIMIT_SUBJECT_H

#include <stdint.h>

#include "base/str.h"
#include "limit/plan.h"

/* Who is limited. Lives as long as any call that names it (in the config snapshot, or in the
 * caller's request memory for keys that are not configured). */
struct weir_subject {
    uint64_t id[2];       /* weir_subject_id of the name */
    struct weir_str name; /* "key:demo-low-1": scope, colon, id; at most 128 bytes */
    /* "org:acme": whose it is, so that what one request charges is kept together; empty: its own.
     * As long as the name at most. */
    struct weir_str root;
    const struct weir_plan *plan;
};

enum { WEIR_SUBJECT_NAME_MAX = 128 };

/* A 128-bit hash of the name under this process's random secret: identity inside this process
 * only. Thread-safe. */
void weir_subject_id(struct weir_str name, uint64_t ret_id[static 2]);
/* What stands behind the scope in a name, which has one: the id that the configuration gives it. */
struct weir_str weir_name_behind_scope(struct weir_str name);

#endif
