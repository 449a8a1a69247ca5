/* SPDX-License-Identifier: Apache-2.0 */
/* start.h - what several commands do first. */
#ifndef WEIR_CLI_START_H
#define WEIR_CLI_START_H

#include "config/config.h"

/* The value of a command's first long option for getopt_long: above every character, so that a
 * short option is told from a long one. */
enum { WEIR_OPTION_FIRST = 256 };

/* Says which argument was refused when getopt_long, with ":" as its short options, returned `got`:
 * ':' or '?'. Returns false. */
bool weir_start_wrong_option(const char *command, int got, char **argv);
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
