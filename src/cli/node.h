/* SPDX-License-Identifier: Apache-2.0 */
/* node.h - a node while it serves: a service with its store handle for each worker, the admin API
 * beside them, and a configuration that another may take the place of. */
#ifndef WEIR_CLI_NODE_H
#define WEIR_CLI_NODE_H

#include "config/config.h"

/* Serves by the configuration in the file at `path` (NULL: the defaults) with the flags laid over
 * it, which is read again at SIGHUP, until it is told to end. Returns an exit code; a failure was
 * said. */
int weir_node_run(const char *path, const struct weir_config_flags *flags);

#endif
