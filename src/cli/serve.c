/* SPDX-License-Identifier: Apache-2.0 */
/* serve.c - the options of a node. */
#include <signal.h>
#include <sys/prctl.h>

#include "cli/cli.h"
#include "cli/node.h"
#include "cli/start.h"

static const char help[] =
    "usage: weir serve [OPTION...]\n\n"
    "  --config FILE                configuration (default: built-in defaults)\n"
    "  --listen ADDRESS:PORT        where to listen (127.0.0.1:8000)\n"
    "  --workers N                  worker threads (one per core)\n"
    "  --store URL                  embedded, redis://HOST:PORT/DB or redis+unix:///PATH\n"
    "  --on-store-failure POLICY    local, closed or open\n"
    "  --nodes N                    nodes that share the store (1)\n"
    "  --access-log WHERE           off, stderr, stdout or a file's path, with a slash in it "
    "(off)\n"
    "  --admin-listen ADDRESS:PORT  where to offer the admin API (nowhere)\n"
    "  --help                       this text\n\n"
    "SIGHUP reads the configuration again; a wrong one changes nothing. SIGUSR1 opens the file of\n"
    "the access log again.\n"
    "SIGTERM and SIGINT let the requests under way finish; a second one ends at once.\n";

struct arguments {
    const char *config;
    struct weir_config_flags flags;
};

#define TEXT(field) .read = weir_flag_text, .at = offsetof(struct arguments, field)
static const struct weir_flag table[] = {
    {"config", TEXT(config)},
    {"listen", TEXT(flags.listen)},
    {"workers", TEXT(flags.workers)},
    {"store", TEXT(flags.store)},
    {"nodes", TEXT(flags.nodes)},
    {"on-store-failure", TEXT(flags.on_store_failure)},
    {"access-log", TEXT(flags.access_log)},
    {"admin-listen", TEXT(flags.admin_listen)},
};

static const struct weir_flags flags = {
    .flag = table, .count = sizeof(table) / sizeof(table[0]), .command = "weir serve"};

int weir_cmd_serve(int argc, char **argv)
{
    struct arguments arguments = {0};
    int operands;
    enum weir_flags_end end = weir_start_flags(&flags, argc, argv, &arguments, &operands);
    if (end != WEIR_FLAGS_READ) {
        return weir_start_help(end, help);
    }
    prctl(PR_SET_DUMPABLE, 0); /* no core file with what clients sent */
    weir_start_sockets();
    signal(SIGUSR1, SIG_IGN); /* one that comes while nobody waits for it */
    signal(SIGUSR2, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    return weir_node_run(arguments.config, &arguments.flags);
}
