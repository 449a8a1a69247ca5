/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/activation.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/start.h"

enum { FIRST_FD = 3 };

/* "127.0.0.1:8000" or "[::1]:8000". False: it is no socket of the internet. */
static bool address_of(int fd, char *ret_text, size_t room)
{
    char host[INET6_ADDRSTRLEN];
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);
    if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0) {
        return false;
    }
    if (addr.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&addr;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        snprintf(ret_text, room, "%s:%u", host, ntohs(in->sin_port));
        return true;
    }
    if (addr.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&addr;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        snprintf(ret_text, room, "[%s]:%u", host, ntohs(in6->sin6_port));
        return true;
    }
    return false;
}

static bool has_option(int fd, int option, int wanted)
{
    int value;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 && value == wanted;
}

static bool listens_on_tcp(int fd)
{
    char address[INET6_ADDRSTRLEN + 16];
    return address_of(fd, address, sizeof(address)) && has_option(fd, SO_TYPE, SOCK_STREAM) &&
           has_option(fd, SO_ACCEPTCONN, 1);
}

/* How many there are said to be. False: said what is wrong. */
static bool count_of(const char *command, uint32_t workers, uint64_t *ret_count)
{
    if (!weir_start_env_is_own("LISTEN_PID")) {
        *ret_count = 0;
        return true;
    }
    if (!weir_start_env_number("LISTEN_FDS", ret_count)) {
        fprintf(stderr, "%s: LISTEN_FDS: expected how many sockets there are\n", command);
        return false;
    }
    if (*ret_count > workers) {
        fprintf(stderr, "%s: the service manager hands over %" PRIu64 " sockets, workers is %u\n",
                command, *ret_count, workers);
        return false;
    }
    return true;
}

bool weir_activation_take(const char *command, uint32_t workers, uint32_t *ret_sockets)
{
    uint64_t count;
    if (!count_of(command, workers, &count)) {
        return false;
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    for (int fd = FIRST_FD; fd < FIRST_FD + (int)count; fd++) {
        if (!listens_on_tcp(fd)) {
            fprintf(stderr, "%s: descriptor %d of the service manager is no listening TCP socket\n",
                    command, fd);
            return false;
        }
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    *ret_sockets = (uint32_t)count;
    return true;
}

int weir_activation_listener(uint32_t sockets, uint32_t worker)
{
    int fd = FIRST_FD + (int)(worker % sockets);
    return worker < sockets ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

void weir_activation_say(uint32_t sockets)
{
    char address[INET6_ADDRSTRLEN + 16];
    for (int fd = FIRST_FD; fd < FIRST_FD + (int)sockets; fd++) {
        if (address_of(fd, address, sizeof(address))) {
            fprintf(stderr, "weir: listening on %s, a socket of the service manager\n", address);
        }
    }
}
