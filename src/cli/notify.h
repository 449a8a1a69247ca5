/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h - what a service manager is told of a node: sd_notify(3)'s protocol, datagrams to the
 * socket that NOTIFY_SOCKET names. Without one nothing is sent. */
#ifndef WEIR_CLI_NOTIFY_H
#define WEIR_CLI_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STOPPING=1" or "WATCHDOG=1". One that cannot be sent is lost. */
void weir_notify(const char *state);
/* A reload begins, and ends with "READY=1", whatever became of it. */
void weir_notify_reloading(void);
/* How often WATCHDOG=1 is due, half of what WATCHDOG_USEC grants this process, in us; 0: nobody
 * waits for it. */
uint64_t weir_notify_watchdog_us(void);

#endif
