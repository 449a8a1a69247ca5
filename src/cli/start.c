/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/start.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/cli.h"

enum weir_flags_end weir_start_flags(const struct weir_flags *flags, int argc, char **argv,
                                     void *into, int *ret_operands)
{
    char error[WEIR_FLAG_ERROR_BYTES];
    enum weir_flags_end end = weir_flags_read(flags, argc, argv, into, ret_operands, error);
    if (end == WEIR_FLAGS_WRONG) {
        fprintf(stderr, "%s: %s\n", flags->command, error);
    }
    return end;
}

int weir_start_help(enum weir_flags_end end, const char *help)
{
    if (end == WEIR_FLAGS_WRONG) {
        return WEIR_EXIT_USAGE;
    }
    fputs(help, stdout);
    return WEIR_EXIT_OK;
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
