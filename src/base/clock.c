/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <time.h>

static uint64_t read_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

uint64_t weir_clock_us(void)
{
    return read_ns(CLOCK_BOOTTIME) / 1000;
}

uint64_t weir_clock_ns(void)
{
    return read_ns(CLOCK_BOOTTIME);
}

uint64_t weir_clock_wall_s(void)
{
    return read_ns(CLOCK_REALTIME_COARSE) / 1000000000;
}

uint64_t weir_clock_wall_us(void)
{
    return read_ns(CLOCK_REALTIME) / 1000;
}
