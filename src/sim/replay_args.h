/* SPDX-License-Identifier: Apache-2.0 */
/* replay_args.h - the command line of `weir replay`. */
#ifndef WEIR_SIM_REPLAY_ARGS_H
#define WEIR_SIM_REPLAY_ARGS_H

#include "base/flags.h"
#include "sim/replay.h"

enum { WEIR_REPLAY_ERROR_BYTES = WEIR_FLAG_ERROR_BYTES };

struct weir_replay_args {
    struct weir_replay_options options; /* without the trace; output_max 0: its largest output */
    const char *path;                   /* of the trace; lives as long as argv */
    bool json, help;
};

/* False: `error` says which option is wrong and what it expects. */
WEIR_MUSTCHECK bool weir_replay_args_parse(int argc, char **argv, struct weir_replay_args *ret_args,
                                           char error[static WEIR_REPLAY_ERROR_BYTES]);
const char *weir_replay_help(void);

#endif
