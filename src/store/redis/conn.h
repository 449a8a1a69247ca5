/* SPDX-License-Identifier: Apache-2.0 */
/* conn.h - one pipelined connection to a Redis server, on its worker's loop: connects, greets
 * (AUTH, SELECT, INFO, SCRIPT LOAD), sends all commands of a loop turn in one write, notices
 * silence, comes back with growing pauses. A server that must not be used (it evicts keys, is too
 * old, not what the target says it is, or refuses our credentials) counts as out of reach, and is
 * asked again: meanwhile it costs nobody anything.
 * Everything belongs to the loop's thread. */
#ifndef WEIR_STORE_REDIS_CONN_H
#define WEIR_STORE_REDIS_CONN_H

#include <hiredis/hiredis.h>

#include "base/buf.h"
#include "config/config.h"
#include "net/loop.h"

enum {
    WEIR_REDIS_IN_FLIGHT_MAX = 65536,
    WEIR_REDIS_BACK_OFF_MIN_MS = 10,
    WEIR_REDIS_BACK_OFF_MAX_MS = 250,
};

enum weir_redis_state {
    WEIR_REDIS_WAITING, /* for the next try */
    WEIR_REDIS_CONNECTING,
    WEIR_REDIS_GREETING,
    WEIR_REDIS_UP,
};

/* Why a connection is not there. */
enum weir_redis_why {
    WEIR_REDIS_OUT_OF_REACH, /* nobody answers, or the connection broke */
    WEIR_REDIS_REFUSED,      /* somebody answers who must not be used */
};

/* The owner's side. `what` (below 0xf0) and `ptr` are those of weir_redis_conn_end. Each of these
 * may send, and may close the connection. */
struct weir_redis_owner {
    void *ctx;
    /* reply: valid during the call; an error reply is one, too. NULL, or why nothing that this
     * server says is of use: then the connection is broken, and a new one follows. */
    const char *(*on_reply)(void *ctx, uint8_t what, void *ptr, const redisReply *reply,
                            uint64_t sent_us);
    /* The connection broke before this one was answered: it may have been executed. */
    void (*on_lost)(void *ctx, uint8_t what, void *ptr);
    void (*on_up)(void *ctx);
    /* After on_lost of all. `text`: a sentence without secrets, valid during the call. Also for
     * each try that fails. */
    void (*on_down)(void *ctx, enum weir_redis_why why, const char *text);
};

struct weir_redis_conn;
struct weir_redis_identity; /* over.h */
struct weir_redis_tls;

/* target and tls (NULL: in clear) outlive it. Starts to connect at once. */
WEIR_MUSTCHECK enum weir_err weir_redis_conn_open(struct weir_loop *loop,
                                                  const struct weir_redis_target *target,
                                                  const struct weir_redis_tls *tls,
                                                  const struct weir_redis_owner *owner,
                                                  struct weir_redis_conn **ret_conn);
/* Sends what waits, as far as the kernel takes it, and goes without further callbacks. */
void weir_redis_conn_close(struct weir_redis_conn *c);

bool weir_redis_conn_is_up(const struct weir_redis_conn *c);
/* Which primary it said to be when it was greeted. While up, and where windows are kept. */
const struct weir_redis_identity *weir_redis_conn_identity(const struct weir_redis_conn *c);
/* How many commands wait for their answers. */
uint32_t weir_redis_conn_in_flight(const struct weir_redis_conn *c);
/* Gives the connection up, as when it broke: a new one follows. */
void weir_redis_conn_break(struct weir_redis_conn *c, const char *why);
/* No answer is awaited: closing loses nothing. */
bool weir_redis_conn_is_idle(const struct weir_redis_conn *c);
/* Where to append one command; weir_redis_conn_end follows at once. NULL: not up, or
 * WEIR_REDIS_IN_FLIGHT_MAX commands wait for answers. NULL is allowed. */
struct weir_buf *weir_redis_conn_begin(struct weir_redis_conn *c);
/* It is one of `what`, about `ptr`; sent at now_us. False: no memory, nothing was sent. */
WEIR_MUSTCHECK bool weir_redis_conn_end(struct weir_redis_conn *c, uint8_t what, void *ptr,
                                        uint64_t now_us);

/* A command that was answered without being executed, so that it may be sent again. */
struct weir_redis_asked {
    struct weir_str bytes;
    void *ptr;
    uint64_t sent_us; /* for the first time */
    uint8_t what;
    uint8_t hops; /* servers that sent it on */
    bool asking;  /* ASKING goes before it */
};

/* Within on_reply: what that is about. The bytes live until on_reply ends. */
struct weir_redis_asked weir_redis_conn_asked(const struct weir_redis_conn *c);
/* Sends it through another connection, or later through the same. False: as weir_redis_conn_begin
 * and weir_redis_conn_end. */
WEIR_MUSTCHECK bool weir_redis_conn_send(struct weir_redis_conn *c,
                                         const struct weir_redis_asked *asked, uint64_t now_us);

#endif
