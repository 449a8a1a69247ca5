/* SPDX-License-Identifier: Apache-2.0 */
/* redis_server.h - a redis-server of the test's own, in a folder of its own. */
#ifndef WEIR_TESTS_SUPPORT_REDIS_SERVER_H
#define WEIR_TESTS_SUPPORT_REDIS_SERVER_H

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REDIS_SERVER_ARGS_MAX = 32 };

struct redis_server {
    char folder[64];
    char socket[96];
    unsigned port; /* of a port that was chosen for it; 0: none */
    pid_t pid;
};

static inline bool redis_server_folder(struct redis_server *s)
{
    if (s->folder[0] == '\0') {
        char folder[] = "/tmp/weir-test-XXXXXX";
        if (mkdtemp(folder) == NULL) {
            return false;
        }
        memcpy(s->folder, folder, sizeof(folder));
        snprintf(s->socket, sizeof(s->socket), "%s/redis.sock", folder);
    }
    return true;
}

/* Starts it in its folder with these arguments (the first is the program, the last NULL), and waits
 * until it says `ready`. */
static inline bool redis_server_run(struct redis_server *s, const char *const *args,
                                    const char *ready)
{
    int out[2];
    char *argv[REDIS_SERVER_ARGS_MAX];
    size_t n = 0;
    for (; args[n] != NULL && n + 1 < REDIS_SERVER_ARGS_MAX; n++) {
        argv[n] = (char *)(uintptr_t)args[n];
    }
    argv[n] = NULL;
    if (args[n] != NULL || !redis_server_folder(s) || pipe(out) != 0) {
        return false;
    }
    s->pid = fork();
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlives the test */
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        if (chdir(s->folder) == 0) {
            execvp(argv[0], argv);
        }
        _exit(127);
    }
    close(out[1]);
    FILE *log = fdopen(out[0], "r");
    char line[512];
    bool is_ready = false;
    while (!is_ready && log != NULL && fgets(line, sizeof(line), log) != NULL) {
        is_ready = strstr(line, ready) != NULL;
    }
    /* the pipe stays open: the server writes to it */
    return is_ready;
}

/* Starts it (again), empty, and waits until it says that it is ready. */
static inline bool redis_server_start(struct redis_server *s, const char *policy)
{
    if (!redis_server_folder(s)) {
        return false;
    }
    const char *const args[] = {"redis-server",
                                "--port",
                                "0",
                                "--unixsocket",
                                s->socket,
                                "--save",
                                "",
                                "--appendonly",
                                "no",
                                "--enable-debug-command",
                                "local",
                                "--maxmemory-policy",
                                policy,
                                NULL};
    return redis_server_run(s, args, "eady to accept connections");
}

/* A socket bound there, or -1. */
static inline int redis_server_bound(const char *ip, unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, ip, &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        return fd;
    }
    close(fd);
    return -1;
}

/* A free port on 127.0.0.1, nobody else's while this program runs; of those below what the kernel
 * gives to clients. Whoever is bound to the port of another address has it, in whichever process:
 * the Node suite's freePort keeps to that, too. */
static inline unsigned redis_server_free_port(void)
{
    static unsigned tried;
    while (tried < 20000) {
        unsigned port = 10000 + ((unsigned)getpid() * 37 + tried++) % 20000;
        int mine = redis_server_bound("127.0.0.9", port);
        int there = mine < 0 ? -1 : redis_server_bound("127.0.0.1", port);
        close(there);
        if (there >= 0) {
            return port;
        }
        close(mine);
    }
    return 0;
}

/* Stops it, and waits until it has: it answers nothing from then on. */
static inline bool redis_server_stop(const struct redis_server *s)
{
    int status;
    return s->pid > 0 && kill(s->pid, SIGSTOP) == 0 &&
           waitpid(s->pid, &status, WUNTRACED) == s->pid && WIFSTOPPED(status);
}

/* It goes on. Nothing for one that was ended: pid 0 would be this group of processes, in which
 * other tests have servers that they stopped. */
static inline void redis_server_continue(const struct redis_server *s)
{
    if (s->pid > 0) {
        kill(s->pid, SIGCONT);
    }
}

static inline void redis_server_end(struct redis_server *s, int signal_number)
{
    if (s->pid > 0) {
        kill(s->pid, signal_number);
        if (signal_number != SIGKILL) {
            kill(s->pid, SIGCONT); /* a stopped one must not answer before it is killed */
        }
        waitpid(s->pid, NULL, 0);
        s->pid = 0;
    }
}

static inline void redis_server_remove(struct redis_server *s)
{
    redis_server_end(s, SIGKILL);
    DIR *dir = s->folder[0] == '\0' ? NULL : opendir(s->folder);
    if (dir == NULL) {
        return;
    }
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (e->d_name[0] != '.') {
            unlinkat(dirfd(dir), e->d_name, 0);
        }
    }
    closedir(dir);
    rmdir(s->folder);
}

#endif
