/* SPDX-License-Identifier: Apache-2.0 */
/* redis_server.h - a redis-server of the test's own, on a socket in a folder of its own. */
#ifndef WEIR_TESTS_SUPPORT_REDIS_SERVER_H
#define WEIR_TESTS_SUPPORT_REDIS_SERVER_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct redis_server {
    char folder[64];
    char socket[96];
    pid_t pid;
};

/* Starts it (again), empty, and waits until it says that it is ready. */
static inline bool redis_server_start(struct redis_server *s, const char *policy)
{
    int out[2];
    if (s->folder[0] == '\0') {
        snprintf(s->folder, sizeof(s->folder), "/tmp/weir-test-XXXXXX");
        if (mkdtemp(s->folder) == NULL) {
            return false;
        }
        snprintf(s->socket, sizeof(s->socket), "%s/redis.sock", s->folder);
    }
    if (pipe(out) != 0) {
        return false;
    }
    s->pid = fork();
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlives the test */
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", s->socket, "--dir",
               s->folder, "--save", "", "--appendonly", "no", "--enable-debug-command", "local",
               "--maxmemory-policy", policy, NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *log = fdopen(out[0], "r");
    char line[512];
    bool ready = false;
    while (!ready && log != NULL && fgets(line, sizeof(line), log) != NULL) {
        ready = strstr(line, "eady to accept connections") != NULL;
    }
    /* the pipe stays open: the server writes to it */
    return ready;
}

/* Stops it, and waits until it has: it answers nothing from then on. */
static inline bool redis_server_stop(const struct redis_server *s)
{
    int status;
    kill(s->pid, SIGSTOP);
    return waitpid(s->pid, &status, WUNTRACED) == s->pid && WIFSTOPPED(status);
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
    unlink(s->socket);
    rmdir(s->folder);
}

#endif
