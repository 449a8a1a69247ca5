/* SPDX-License-Identifier: Apache-2.0 */
/* args.h - the command line of `weir sim`. */
#ifndef WEIR_SIM_ARGS_H
#define WEIR_SIM_ARGS_H

#include "base/flags.h"
#include "sim/options.h"

enum { WEIR_SIM_ERROR_BYTES = WEIR_FLAG_ERROR_BYTES };

struct weir_sim_args {
    struct weir_sim_options options;
    bool json, help;
};

/* False: `error` says which option is wrong and what it expects. */
WEIR_MUSTCHECK bool weir_sim_args_parse(int argc, char **argv, struct weir_sim_args *ret_args,
                                        char error[static WEIR_SIM_ERROR_BYTES]);
const char *weir_sim_help(void);

#endif
