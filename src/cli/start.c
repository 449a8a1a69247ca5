/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/start.h"

#include <signal.h>
#include <sys/resource.h>

#include "cli/cli.h"

void weir_start_sockets(void)
{
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

int weir_start_config(const char *command, const char *path, const struct weir_config_flags *flags,
                      struct weir_config **ret_config)
{
    struct weir_config_error error;
    char why[1024];
    if (weir_config_load(path, flags, ret_config, &error) == WEIR_OK) {
        return WEIR_EXIT_OK;
    }
    weir_config_error_say(&error, path, why, sizeof(why));
    fprintf(stderr, "%s: %s\n", command, why);
    return error.in_flag ? WEIR_EXIT_USAGE : WEIR_EXIT_FAILED;
}
