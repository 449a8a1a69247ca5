/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include "base/clock.h"

enum { LINE_MAX_BYTES = 1024, GATE_US = 10000000 };

static const char *const level_names[] = {"info", "warn", "error"};

void weir_log(enum weir_log_level level, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    uint64_t wall_us = weir_clock_wall_us();
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t at = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &utc);
    at += (size_t)snprintf(line + at, sizeof(line) - at, ".%03uZ %s ",
                           (unsigned)(wall_us / 1000 % 1000), level_names[level]);
    va_list args;
    va_start(args, fmt);
    int wrote = vsnprintf(line + at, sizeof(line) - at - 1, fmt, args);
    va_end(args);
    size_t end = wrote < 0 ? at : at + (size_t)wrote;
    if (end > sizeof(line) - 2) {
        end = sizeof(line) - 2;
    }
    for (size_t i = at; i < end; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = '?';
        }
    }
    line[end++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, end);
    (void)ignored; /* nobody is left to tell */
}

bool weir_log_gate_pass(struct weir_log_gate *g, uint32_t burst, uint64_t now_us,
                        uint32_t *ret_held)
{
    if (g->_since_us == 0 || now_us - g->_since_us >= GATE_US) {
        *ret_held = g->_held;
        *g = (struct weir_log_gate){._since_us = now_us > 0 ? now_us : 1, ._passed = 1};
        return true;
    }
    if (g->_passed < burst) {
        g->_passed++;
        *ret_held = 0;
        return true;
    }
    g->_held++;
    return false;
}
