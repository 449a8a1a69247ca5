/* SPDX-License-Identifier: Apache-2.0 */
/* serve.c - the options of a node. */
#include <getopt.h>
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
    bool help;
};

enum {
    OPTION_CONFIG = WEIR_OPTION_FIRST,
    OPTION_LISTEN,
    OPTION_WORKERS,
    OPTION_STORE,
    OPTION_NODES,
    OPTION_FAILURE,
    OPTION_ACCESS_LOG,
    OPTION_ADMIN,
    OPTION_HELP,
};

/* False: said what is wrong. */
static bool parse_arguments(int argc, char **argv, struct arguments *ret)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, OPTION_CONFIG},
        {"listen", required_argument, NULL, OPTION_LISTEN},
        {"workers", required_argument, NULL, OPTION_WORKERS},
        {"store", required_argument, NULL, OPTION_STORE},
        {"nodes", required_argument, NULL, OPTION_NODES},
        {"on-store-failure", required_argument, NULL, OPTION_FAILURE},
        {"access-log", required_argument, NULL, OPTION_ACCESS_LOG},
        {"admin-listen", required_argument, NULL, OPTION_ADMIN},
        {"help", no_argument, NULL, OPTION_HELP},
        {0},
    };
    opterr = 0;
    for (int o; (o = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        switch (o) {
        case OPTION_CONFIG:
            ret->config = optarg;
            break;
        case OPTION_LISTEN:
            ret->flags.listen = optarg;
            break;
        case OPTION_WORKERS:
            ret->flags.workers = optarg;
            break;
        case OPTION_STORE:
            ret->flags.store = optarg;
            break;
        case OPTION_NODES:
            ret->flags.nodes = optarg;
            break;
        case OPTION_FAILURE:
            ret->flags.on_store_failure = optarg;
            break;
        case OPTION_ACCESS_LOG:
            ret->flags.access_log = optarg;
            break;
        case OPTION_ADMIN:
            ret->flags.admin_listen = optarg;
            break;
        case OPTION_HELP:
            ret->help = true;
            break;
        default:
            return weir_start_wrong_option("weir serve", o, argv);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "weir serve: unexpected \"%s\"; see weir serve --help\n", argv[optind]);
        return false;
    }
    return true;
}

int weir_cmd_serve(int argc, char **argv)
{
    struct arguments arguments = {0};
    if (!parse_arguments(argc, argv, &arguments)) {
        return WEIR_EXIT_USAGE;
    }
    if (arguments.help) {
        fputs(help, stdout);
        return WEIR_EXIT_OK;
    }
    prctl(PR_SET_DUMPABLE, 0); /* no core file with what clients sent */
    weir_start_sockets();
    signal(SIGUSR1, SIG_IGN); /* one that comes while nobody waits for it */
    signal(SIGUSR2, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    return weir_node_run(arguments.config, &arguments.flags);
}
