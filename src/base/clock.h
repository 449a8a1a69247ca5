/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - the only readers of the machine's clocks. Floors below `net` never call them, but for
 * the log: time is an argument there. */
#ifndef WEIR_BASE_CLOCK_H
#define WEIR_BASE_CLOCK_H

#include <stdint.h>

/* CLOCK_BOOTTIME: never goes back, goes on while the machine sleeps. For windows and leases. */
uint64_t weir_clock_us(void);
/* The same clock in nanoseconds, for measuring durations. */
uint64_t weir_clock_ns(void);
/* Unix time. For logs, headers and ids only. */
uint64_t weir_clock_wall_us(void);
/* The same in seconds, as of the kernel's last tick: some milliseconds late, seven times cheaper.
 */
uint64_t weir_clock_wall_s(void);

#endif
