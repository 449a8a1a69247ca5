/* SPDX-License-Identifier: Apache-2.0 */
/* curl_loop.h - libcurl's multi interface on a worker's loop: a poll handle for each socket, a
 * timer, and the end of the turn for what curl wants done at once. Loop thread only.
 *
 * A connection of curl's own keeps its poll handle armed between two transfers: each change would
 * be two epoll_ctl calls. It is disarmed when an event comes that curl does not wait for. */
#ifndef WEIR_GATEWAY_CURL_LOOP_H
#define WEIR_GATEWAY_CURL_LOOP_H

#include <curl/curl.h>
#include <stdbool.h>

#include "net/loop.h"

struct weir_curl_socket;

/* The sockets of all multis of one loop. Private; zero: none. */
struct weir_curl_sockets {
    struct weir_curl_socket **by_fd;
    size_t room;
};

/* Private but for `multi`. */
struct weir_curl_loop {
    struct weir_loop *loop;
    struct weir_curl_sockets *sockets;
    CURLM *multi;
    uv_timer_t timer;
    struct weir_turn_end act;
    bool due;         /* a time of curl's has come */
    unsigned handles; /* that are not closed yet */
    bool closing;
    void (*done)(void *ctx, CURL *easy, CURLcode result);
    void (*turn)(void *ctx);
    void (*closed)(void *ctx);
    void *ctx;
};

struct weir_curl_handler {
    /* A transfer ended; its handle was taken out of the multi. */
    void (*done)(void *ctx, CURL *easy, CURLcode result);
    /* After weir_curl_loop_turn: at the end of the turn, outside of curl. */
    void (*turn)(void *ctx);
    /* After weir_curl_loop_close: nothing of it is used any more. */
    void (*closed)(void *ctx);
    void *ctx;
};

/* sockets: borrowed; all loops that share easy handles have the same. */
WEIR_MUSTCHECK enum weir_err weir_curl_loop_init(struct weir_curl_loop *c, struct weir_loop *loop,
                                                 struct weir_curl_sockets *sockets,
                                                 const struct weir_curl_handler *handler);
/* An easy handle for loops with these sockets; NULL: no memory. */
CURL *weir_curl_easy(struct weir_curl_sockets *sockets);
/* Asks for handler->turn. */
void weir_curl_loop_turn(struct weir_curl_loop *c);
/* All easy handles are out of the multi. handler->closed comes now or on the loop. */
void weir_curl_loop_close(struct weir_curl_loop *c);
/* After weir_curl_loop_close of all loops that have them. */
void weir_curl_sockets_deinit(struct weir_curl_sockets *sockets);

#endif
