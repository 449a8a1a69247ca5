/* SPDX-License-Identifier: Apache-2.0 */
/* start.h - what several commands do first. */
#ifndef WEIR_CLI_START_H
#define WEIR_CLI_START_H

#include "base/flags.h"
#include "config/config.h"

/* weir_flags_read of a command, which says what is wrong. */
WEIR_MUSTCHECK enum weir_flags_end weir_start_flags(const struct weir_flags *flags, int argc,
                                                    char **argv, void *into, int *ret_operands);
/* What a command returns that has read no arguments to go on with: it prints its help if that was
 * asked for. */
int weir_start_help(enum weir_flags_end end, const char *help);
/* A peer that goes away raises no signal, and as many connections are open as the system allows. */
void weir_start_sockets(void);
/* The number that a variable of the environment is. False: it is not there, or no number. */
bool weir_start_env_number(const char *name, uint64_t *ret_number);
/* Whether it is this process's id. */
bool weir_start_env_is_own(const char *name);
/* weir_config_load for a command, as "weir serve". Returns an exit code; a failure was said. */
WEIR_MUSTCHECK int weir_start_config(const char *command, const char *path,
                                     const struct weir_config_flags *flags,
                                     struct weir_config **ret_config);

#endif
