/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"

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

/* False: it is not there, or no number. */
static bool number_of(const char *name, uint64_t *ret_number)
{
    const char *text = getenv(name);
    return text != NULL &&
           weir_str_u64(weir_str(text, strlen(text)), UINT64_MAX, ret_number) == WEIR_OK;
}

uint64_t weir_notify_watchdog_us(void)
{
    uint64_t us, pid;
    if (!number_of("WATCHDOG_USEC", &us)) {
        return 0;
    }
    if (getenv("WATCHDOG_PID") != NULL &&
        (!number_of("WATCHDOG_PID", &pid) || pid != (uint64_t)getpid())) {
        return 0; /* it is for another process */
    }
    return us / 2;
}
