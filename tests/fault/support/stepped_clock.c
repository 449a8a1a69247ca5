/* SPDX-License-Identifier: Apache-2.0 */
/* stepped_clock.c - for LD_PRELOAD: a process whose wall clock a test steps. WEIR_TEST_CLOCK names
 * a file of 8 bytes, the step in microseconds as int64_t; it is mapped, so that a write steps the
 * clock at once. CLOCK_MONOTONIC and the rest of the machine stay. libfaketime cannot do this to
 * Debian's redis-server: its look-ups allocate, jemalloc's start reads the clock, and both wait for
 * each other. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static const volatile int64_t *step_us; /* NULL: not mapped yet */

__attribute__((constructor)) static void map_step(void)
{
    const char *path = getenv("WEIR_TEST_CLOCK");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    void *at = mmap(NULL, sizeof(*step_us), PROT_READ, MAP_SHARED, fd, 0);
    step_us = at == MAP_FAILED ? NULL : at;
    close(fd);
}

static void add_step(struct timespec *t)
{
    int64_t step = step_us == NULL ? 0 : *step_us;
    int64_t ns = t->tv_nsec + step % 1000000 * 1000;
    t->tv_sec += step / 1000000;
    if (ns < 0) {
        ns += 1000000000;
        t->tv_sec--;
    } else if (ns >= 1000000000) {
        ns -= 1000000000;
        t->tv_sec++;
    }
    t->tv_nsec = ns;
}

static bool is_wall(clockid_t clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int result = (int)syscall(SYS_clock_gettime, clock, ret);
    if (result == 0 && is_wall(clock)) {
        add_step(ret);
    }
    return result;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    struct timespec t;
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &t);
    if (result == 0) {
        *ret = (struct timeval){.tv_sec = t.tv_sec, .tv_usec = t.tv_nsec / 1000};
    }
    return result;
}

time_t time(time_t *ret)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_REALTIME, &t);
    if (ret != NULL) {
        *ret = t.tv_sec;
    }
    return t.tv_sec;
}
