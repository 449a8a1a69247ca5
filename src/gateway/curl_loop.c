/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/curl_loop.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum { FDS_MAX = 1 << 24, POOL_CONNECTIONS = 4096 };

struct weir_curl_socket {
    uv_poll_t poll;
    struct weir_curl_sockets *all;
    struct weir_curl_loop *loop; /* whose poll handle it has */
    curl_socket_t fd;
    int armed, wanted; /* of UV_READABLE and UV_WRITABLE */
    bool polled;       /* the handle was made */
    bool keep;         /* opened by on_open: closed by on_close */
};

/* ---- sockets ---- */

static struct weir_curl_socket *socket_of(struct weir_curl_sockets *all, curl_socket_t fd)
{
    return (size_t)fd < all->room ? all->by_fd[fd] : NULL;
}

/* False: no memory. */
static bool make_room(struct weir_curl_sockets *all, curl_socket_t fd)
{
    size_t room = all->room == 0 ? 64 : all->room;
    while (room <= (size_t)fd) {
        room *= 2;
    }
    if (room == all->room) {
        return true;
    }
    if (room > FDS_MAX) {
        return false;
    }
    struct weir_curl_socket **grown = weir_realloc(all->by_fd, room * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    memset(grown + all->room, 0, (room - all->room) * sizeof(*grown));
    all->by_fd = grown;
    all->room = room;
    return true;
}

static void gone(struct weir_curl_loop *c)
{
    c->handles--;
    if (c->closing && c->handles == 0) {
        c->closed(c->ctx);
    }
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct weir_curl_socket *s = handle->data;
    struct weir_curl_loop *c = s->loop;
    weir_free(s);
    gone(c);
}

/* Before the descriptor itself is closed. */
static void forget(struct weir_curl_socket *s)
{
    s->all->by_fd[s->fd] = NULL;
    if (s->polled) {
        uv_close((uv_handle_t *)&s->poll, on_poll_closed);
    } else {
        weir_free(s);
    }
}

/* NULL: no memory. */
static struct weir_curl_socket *socket_new(struct weir_curl_sockets *all, curl_socket_t fd)
{
    struct weir_curl_socket *s = weir_zalloc(sizeof(*s));
    if (s == NULL || !make_room(all, fd)) {
        weir_free(s);
        return NULL;
    }
    s->all = all;
    s->fd = fd;
    all->by_fd[fd] = s;
    return s;
}

static void read_messages(struct weir_curl_loop *c)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
        if (m->msg == CURLMSG_DONE) {
            CURL *easy = m->easy_handle;
            CURLcode result = m->data.result; /* m is gone with the handle */
            curl_multi_remove_handle(c->multi, easy);
            c->done(c->ctx, easy, result);
        }
    }
}

static void act_on(struct weir_curl_loop *c, curl_socket_t fd, int events)
{
    int running;
    curl_multi_socket_action(c->multi, fd, events, &running);
    read_messages(c);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void arm(struct weir_curl_socket *s, int events)
{
    if (s->armed == events) {
        return;
    }
    s->armed = events;
    if (events == 0) {
        uv_poll_stop(&s->poll);
    } else if (uv_poll_start(&s->poll, events, on_poll) != 0) {
        s->armed = 0; /* curl's time-outs end what waits for it */
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct weir_curl_socket *s = poll->data;
    if (status < 0) {
        s->armed = 0; /* libuv has stopped it */
    } else if ((events & s->wanted) == 0) {
        arm(s, s->wanted); /* nobody waits: an idle connection ended, or a transfer is paused */
        return;
    }
    if (s->wanted == 0) {
        return;
    }
    struct weir_curl_loop *c = s->loop;
    curl_socket_t fd = s->fd;
    if (status < 0) { /* reading tells the error, behind what came before it */
        act_on(c, fd, CURL_CSELECT_IN | CURL_CSELECT_OUT);
        s = socket_of(c->sockets, fd);
        if (s != NULL && s->polled && s->wanted != 0) {
            arm(s, s->wanted);
        }
        return;
    }
    act_on(c, fd,
           ((events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0) |
               ((events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0));
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *unused)
{
    struct weir_curl_loop *c = ctx;
    struct weir_curl_socket *s = socket_of(c->sockets, fd);
    (void)easy;
    (void)unused;
    if (what == CURL_POLL_REMOVE) {
        if (s != NULL) {
            s->wanted = 0;
            if (!s->keep) {
                forget(s);
            }
        }
        return 0;
    }
    if (s == NULL) {
        s = socket_new(c->sockets,
                       fd); /* the resolver's: closed without a word after it is removed */
    }
    if (s == NULL) {
        return 0; /* time-outs end what waits for it; an error would end all transfers */
    }
    if (!s->polled) {
        if (uv_poll_init(&c->loop->uv, &s->poll, fd) != 0) {
            return 0;
        }
        s->poll.data = s;
        s->loop = c;
        s->polled = true;
        c->handles++;
        uv_unref((uv_handle_t *)&s->poll); /* an idle connection holds up no end */
    }
    s->wanted = what == CURL_POLL_IN    ? UV_READABLE
                : what == CURL_POLL_OUT ? UV_WRITABLE
                                        : UV_READABLE | UV_WRITABLE;
    arm(s, s->wanted);
    return 0;
}

static curl_socket_t on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct weir_curl_sockets *all = ctx;
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    address->protocol);
    if (fd < 0) {
        return CURL_SOCKET_BAD;
    }
    struct weir_curl_socket *s = socket_new(all, fd);
    if (s == NULL) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    s->keep = true;
    return fd;
}

static int on_close(void *ctx, curl_socket_t fd)
{
    struct weir_curl_socket *s = socket_of(ctx, fd);
    if (s != NULL) {
        forget(s);
    }
    return close(fd);
}

/* ---- time ---- */

static void run_act(struct weir_turn_end *w)
{
    struct weir_curl_loop *c =
        (struct weir_curl_loop *)((char *)w - offsetof(struct weir_curl_loop, act));
    c->turn(c->ctx);
    if (c->due && !c->closing) {
        c->due = false;
        act_on(c, CURL_SOCKET_TIMEOUT, 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct weir_curl_loop *c = timer->data;
    act_on(c, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timeout(CURLM *multi, long timeout_ms, void *ctx)
{
    struct weir_curl_loop *c = ctx;
    (void)multi;
    c->due = timeout_ms == 0;
    if (c->closing) {
        return 0;
    }
    if (timeout_ms > 0) {
        uv_timer_start(&c->timer, on_timer, (uint64_t)timeout_ms, 0);
    } else {
        uv_timer_stop(&c->timer);
    }
    if (timeout_ms == 0) {
        weir_loop_at_turn_end(c->loop, &c->act); /* all that was begun in this turn, together */
    }
    return 0;
}

void weir_curl_loop_turn(struct weir_curl_loop *c)
{
    weir_loop_at_turn_end(c->loop, &c->act);
}

/* ---- life ---- */

enum weir_err weir_curl_loop_init(struct weir_curl_loop *c, struct weir_loop *loop,
                                  struct weir_curl_sockets *sockets,
                                  const struct weir_curl_handler *handler)
{
    *c = (struct weir_curl_loop){
        .loop = loop,
        .sockets = sockets,
        .multi = curl_multi_init(),
        .act = {.run = run_act},
        .done = handler->done,
        .turn = handler->turn,
        .closed = handler->closed,
        .ctx = handler->ctx,
    };
    if (c->multi == NULL) {
        return WEIR_ERR_NOMEM;
    }
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)POOL_CONNECTIONS);
    uv_timer_init(&loop->uv, &c->timer);
    c->timer.data = c;
    c->handles = 1;
    return WEIR_OK;
}

CURL *weir_curl_easy(struct weir_curl_sockets *sockets)
{
    CURL *easy = curl_easy_init();
    if (easy != NULL) {
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, sockets);
        curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
        curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, sockets);
    }
    return easy;
}

static void on_timer_closed(uv_handle_t *handle)
{
    gone(handle->data);
}

void weir_curl_loop_close(struct weir_curl_loop *c)
{
    c->closing = true;
    curl_multi_cleanup(c->multi); /* closes its connections */
    c->multi = NULL;
    for (size_t fd = 0; fd < c->sockets->room; fd++) {
        struct weir_curl_socket *s = c->sockets->by_fd[fd];
        if (s != NULL && s->loop == c) {
            forget(s);
        }
    }
    weir_loop_turn_end_cancel(c->loop, &c->act);
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

void weir_curl_sockets_deinit(struct weir_curl_sockets *sockets)
{
    for (size_t fd = 0; fd < sockets->room; fd++) {
        if (sockets->by_fd[fd] != NULL) {
            forget(sockets->by_fd[fd]);
        }
    }
    weir_free(sockets->by_fd);
    *sockets = (struct weir_curl_sockets){0};
}
