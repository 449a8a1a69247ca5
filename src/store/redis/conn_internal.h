/* SPDX-License-Identifier: Apache-2.0 */
/* conn_internal.h - a connection, as the parts of conn.h share it.
 *   conn.c      what is sent and answered, the owner's side
 *   conn_try.c  one try after another; silence */
#ifndef WEIR_STORE_REDIS_CONN_INTERNAL_H
#define WEIR_STORE_REDIS_CONN_INTERNAL_H

#include "base/rand.h"
#include "store/redis/conn.h"
#include "store/redis/link.h"
#include "store/redis/over.h"
#include "store/redis/pipe.h"

struct weir_redis_conn {
    struct weir_loop *loop;
    const struct weir_redis_target *target;
    const struct weir_redis_tls *tls; /* NULL: in clear */
    struct weir_redis_owner owner;
    enum weir_redis_state state;
    struct redis_link *link; /* NULL: waiting */
    redisReader *reader;     /* NULL: waiting */
    uv_timer_t timer;
    struct weir_turn_end flush;
    struct redis_pipe pipe;
    size_t unread;        /* bytes since the last whole answer */
    uint64_t heard_us;    /* the last sign of life */
    uint32_t back_off_ms; /* before the next try */
    uint32_t address;     /* which of the name's addresses to try */
    bool ticking, suspect, loading, closed;
    struct weir_rand jitter;
    struct weir_redis_identity identity;
    const struct redis_sent *asked; /* what on_reply is about, during that call */
};

/* ---- conn.c: of its link ---- */

void redis_conn_on_bytes(void *ctx, const char *bytes, size_t len);
void redis_conn_on_writable(void *ctx);

/* ---- conn_try.c ---- */

/* The try is over, all that waits is lost, and another one follows. */
void redis_conn_down(struct weir_redis_conn *c, enum weir_redis_why why, const char *text);
/* Its timer: of a try, of the pause before one, or of silence, with redis_conn_tick_ms. */
void redis_conn_on_timer(uv_timer_t *timer);
uint64_t redis_conn_tick_ms(const struct weir_redis_conn *c);
void redis_conn_reader_free(struct weir_redis_conn *c);
void redis_conn_link_give_up(struct weir_redis_conn *c);

#endif
