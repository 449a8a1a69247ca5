/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

static int cmd_help(int argc, char **argv);
static int cmd_version(int argc, char **argv);

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve", weir_cmd_serve, "answer requests: the gateway, the decision API, the metrics"},
    {"mock", weir_cmd_mock, "be a model server in OpenAI's and Anthropic's forms, for tests"},
    {"load", weir_cmd_load, "send requests at a rate and report what came back"},
    {"verify", weir_cmd_verify, "find the worst windows in records of admitted charges"},
    {"sim", weir_cmd_sim, "play many nodes, keys and requests in virtual time"},
    {"tokens", weir_cmd_tokens, "count the tokens of texts as OpenAI's models do"},
    {"replay", weir_cmd_replay, "play a workload trace by each rule of what is reserved"},
    {"check-config", weir_cmd_check_config, "say whether a configuration file is right"},
    {"top", weir_cmd_top, "show a node live in a terminal"},
    {"usage", weir_cmd_usage, "show what of a subject's limits is used"},
    {"check", weir_cmd_check, "say whether a request would be allowed now"},
    {"reset", weir_cmd_reset, "forget what a subject has used"},
    {"reload", weir_cmd_reload, "let a node read its configuration again"},
    {"keys", weir_cmd_keys, "show and change the keys that a node knows"},
    {"teams", weir_cmd_teams, "show and change the teams"},
    {"orgs", weir_cmd_orgs, "show and change the orgs"},
    {"plans", weir_cmd_plans, "show and change the plans that a node has"},
    {"grant", weir_cmd_grant, "give a subject extra budget, once"},
    {"help", cmd_help, "list the commands"},
    {"version", cmd_version, "print the version"},
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static int cmd_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("usage: weir COMMAND [OPTION...]\n\n");
    for (int i = 0; i < COMMANDS; i++) {
        printf("  %-14s %s\n", commands[i].name, commands[i].help);
    }
    printf("\nweir COMMAND --help says how to use each of them but help and version.\n");
    return WEIR_EXIT_OK;
}

static int cmd_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("weir %s\n", WEIR_VERSION);
    return WEIR_EXIT_OK;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "weir: expected a command; `weir help` lists them\n");
        return WEIR_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        name = "help";
    } else if (strcmp(name, "--version") == 0) {
        name = "version";
    }
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "weir: there is no command \"%s\"; `weir help` lists them\n", name);
    return WEIR_EXIT_USAGE;
}
