/* SPDX-License-Identifier: Apache-2.0 */
/* admin_things.h - keys, teams, orgs and plans of a node, as the commands of these names show and
 * change them. */
#ifndef WEIR_CLI_ADMIN_THINGS_H
#define WEIR_CLI_ADMIN_THINGS_H

#include "cli/admin_client.h"

struct weir_thing {
    struct weir_admin_command command;
    const char *list;        /* "keys", in paths and answers */
    bool plan, key, has_org; /* what it is, and whether it can belong to an org */
};

/* Prints all of them. False: said why not. */
bool weir_things_list(struct weir_admin_client *c, const struct weir_thing *t);
/* Prints the one that the answer tells. */
void weir_things_print(const struct weir_admin_client *c, const struct weir_thing *t);

#endif
