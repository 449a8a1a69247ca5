/* SPDX-License-Identifier: Apache-2.0 */
/* scope.h - the kinds of subjects that one request has. A subject's name is its scope, a colon and
 * an id, as "team:search". Pure values. */
#ifndef WEIR_CONFIG_SCOPE_H
#define WEIR_CONFIG_SCOPE_H

#include "base/err.h"
#include "base/str.h"

/* The order in which the subjects of a request stand: its own first, what all share last. */
enum weir_scope {
    WEIR_SCOPE_KEY,
    WEIR_SCOPE_TEAM,
    WEIR_SCOPE_ORG,
    WEIR_SCOPE_MODEL,
    WEIR_SCOPES,
};

/* "key", "team", "org", "model". */
const char *weir_scope_name(enum weir_scope scope);
/* The parts of a subject's name; the id may be empty. WEIR_ERR_INVALID: no such scope. */
WEIR_MUSTCHECK enum weir_err weir_scope_split(struct weir_str name, enum weir_scope *ret_scope,
                                              struct weir_str *ret_id);
/* The scope of a subject's name. */
enum weir_scope weir_scope_of(struct weir_str name);

#endif
