/* SPDX-License-Identifier: Apache-2.0 */
#include "config/scope.h"

static const char *const names[WEIR_SCOPES] = {
    [WEIR_SCOPE_KEY] = "key",
    [WEIR_SCOPE_TEAM] = "team",
    [WEIR_SCOPE_ORG] = "org",
    [WEIR_SCOPE_MODEL] = "model",
};

const char *weir_scope_name(enum weir_scope scope)
{
    return names[scope];
}

enum weir_err weir_scope_split(struct weir_str name, enum weir_scope *ret_scope,
                               struct weir_str *ret_id)
{
    for (unsigned i = 0; i < WEIR_SCOPES; i++) {
        size_t len = strlen(names[i]);
        if (weir_str_starts(name, weir_str(names[i], len)) && name.len > len &&
            name.p[len] == ':') {
            *ret_scope = (enum weir_scope)i;
            *ret_id = weir_str(name.p + len + 1, name.len - len - 1);
            return WEIR_OK;
        }
    }
    return WEIR_ERR_INVALID;
}

enum weir_scope weir_scope_of(struct weir_str name)
{
    enum weir_scope scope = WEIR_SCOPE_KEY;
    struct weir_str id;
    enum weir_err err = weir_scope_split(name, &scope, &id);
    WEIR_ASSERT(err == WEIR_OK);
    return scope;
}
