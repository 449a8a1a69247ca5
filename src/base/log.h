/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - one line per event on stderr: time, level, message. Only net and above log; no line ever
 * holds an API key, a token or a password. Thread-safe (one write per line). */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum weir_log_level { WEIR_LOG_INFO, WEIR_LOG_WARN, WEIR_LOG_ERROR };

/* A control character in the message is shown as '?'; a line ends at 1 KiB. */
void weir_log(enum weir_log_level level, const char *fmt, ...) WEIR_PRINTF(2, 3);

/* Allows `burst` lines per 10 s of one event; the next line allowed says how many were held back
 * through *ret_held. now_us: any non-decreasing clock. */
struct weir_log_gate {
    uint64_t _since_us;
    uint32_t _passed, _held;
};
bool weir_log_gate_pass(struct weir_log_gate *g, uint32_t burst, uint64_t now_us,
                        uint32_t *ret_held);

#endif
