/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h - the commands of the weir program, one file each. */
#ifndef WEIR_CLI_CLI_H
#define WEIR_CLI_CLI_H

/* Exit codes of every command; verify has a further one. */
enum { WEIR_EXIT_OK = 0, WEIR_EXIT_FAILED = 1, WEIR_EXIT_USAGE = 2 };

/* argv[0] is the command's own name. Errors go to stderr as "weir <command>: ..." and name what was
 * expected; on an error nothing is printed on stdout. */
int weir_cmd_serve(int argc, char **argv);
int weir_cmd_mock(int argc, char **argv);
int weir_cmd_load(int argc, char **argv);
int weir_cmd_verify(int argc, char **argv);
int weir_cmd_sim(int argc, char **argv);
int weir_cmd_tokens(int argc, char **argv);
int weir_cmd_replay(int argc, char **argv);
int weir_cmd_check_config(int argc, char **argv);
/* Of a node's admin API; check has a further exit code. */
int weir_cmd_top(int argc, char **argv);
int weir_cmd_usage(int argc, char **argv);
int weir_cmd_check(int argc, char **argv);
int weir_cmd_reset(int argc, char **argv);
int weir_cmd_reload(int argc, char **argv);
int weir_cmd_keys(int argc, char **argv);
int weir_cmd_teams(int argc, char **argv);
int weir_cmd_orgs(int argc, char **argv);
int weir_cmd_plans(int argc, char **argv);
int weir_cmd_grant(int argc, char **argv);

#endif
