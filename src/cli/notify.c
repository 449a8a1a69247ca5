/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/notify.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cli/start.h"

void weir_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) > sizeof(to.sun_path)) {
        return;
    }
    size_t len = strlen(path);
    memcpy(to.sun_path, path, len);
    if (path[0] == '@') {
        to.sun_path[0] = '\0'; /* the abstract name space */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&to,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
        close(fd);
    }
}

/* The time is how Type=notify-reload tells this reload from an earlier one: by CLOCK_MONOTONIC,
 * which nothing else here goes by. */
void weir_notify_reloading(void)
{
    struct timespec now;
    char state[64];
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    weir_notify(state);
}

uint64_t weir_notify_watchdog_us(void)
{
    uint64_t us;
    if (!weir_start_env_number("WATCHDOG_USEC", &us)) {
        return 0;
    }
    if (getenv("WATCHDOG_PID") != NULL && !weir_start_env_is_own("WATCHDOG_PID")) {
        return 0; /* it is for another process */
    }
    return us / 2;
}
