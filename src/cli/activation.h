/* SPDX-License-Identifier: Apache-2.0 */
/* activation.h - listening sockets that a service manager opened and hands over: sd_listen_fds(3)'s
 * protocol, LISTEN_FDS of them from descriptor 3 on. They stay open in the manager, so that clients
 * wait while one process takes another's place. */
#ifndef WEIR_CLI_ACTIVATION_H
#define WEIR_CLI_ACTIVATION_H

#include <stdbool.h>
#include <stdint.h>

/* How many sockets this process was given, 0 when LISTEN_PID names another one or nobody; each
 * listens on TCP, and there are at most `workers`, so that each is served. Takes LISTEN_* out of
 * the environment: while there is one thread. False: said what is wrong. */
bool weir_activation_take(const char *command, uint32_t workers, uint32_t *ret_sockets);
/* A worker's own descriptor for one of the `sockets`, which all workers share evenly. -1: errno
 * says why. Once for each worker, counted from 0. */
int weir_activation_listener(uint32_t sockets, uint32_t worker);
/* Says on stderr where each of them listens. */
void weir_activation_say(uint32_t sockets);

#endif
