/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
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
