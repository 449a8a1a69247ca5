/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/start.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/cli.h"

bool weir_start_wrong_option(const char *command, int got, char **argv)
{
    if (got == ':') {
        fprintf(stderr, "%s: %s expects a value\n", command, argv[optind - 1]);
        return false;
    }
    const char letter[] = {'-', (char)optopt, '\0'};
    bool one_letter = optopt > 0 && optopt < WEIR_OPTION_FIRST; /* perhaps of several, as in -xy */
    fprintf(stderr, "%s: unknown option %s; see %s --help\n", command,
            one_letter ? letter : argv[optind - 1], command);
    return false;
}

void weir_start_sockets(void)
{
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

bool weir_start_env_number(const char *name, uint64_t *ret_number)
{
    const char *text = getenv(name);
    return text != NULL && weir_str_u64(weir_str_z(text), UINT64_MAX, ret_number) == WEIR_OK;
}

bool weir_start_env_is_own(const char *name)
{
    uint64_t pid;
    return weir_start_env_number(name, &pid) && pid == (uint64_t)getpid();
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
