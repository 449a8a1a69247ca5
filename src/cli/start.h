/* SPDX-License-Identifier: Apache-2.0 */
/* start.h - what commands that serve or send requests do first. */
#ifndef WEIR_CLI_START_H
#define WEIR_CLI_START_H

#include "config/config.h"

/* A peer that goes away raises no signal, and as many connections are open as the system allows. */
void weir_start_sockets(void);
/* weir_config_load for a command, as "weir serve". Returns an exit code; a failure was said. */
WEIR_MUSTCHECK int weir_start_config(const char *command, const char *path,
                                     const struct weir_config_flags *flags,
                                     struct weir_config **ret_config);

#endif
