/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.h - what a connection has been asked to send: the commands that wait for their answers, in
 * their order, and their bytes until then. Pure but for memory; one owner. */
#ifndef WEIR_STORE_REDIS_PIPE_H
#define WEIR_STORE_REDIS_PIPE_H

#include "base/buf.h"

/* A command that waits for its answer. */
struct redis_sent {
    void *ptr;
    uint64_t sent_us;
    uint32_t bytes; /* at the end of `out` when it was sent */
    uint8_t what;
    uint8_t hops; /* how many servers have sent it on to another */
    bool asking;  /* ASKING was said before it */
    bool resent;
};

struct redis_pipe {
    struct weir_buf out;             /* answered up to `answered`, written up to `written` */
    size_t answered, written, ended; /* ended: the last whole command's end */
    struct redis_sent *slot;         /* a ring; `slots` is a power of two */
    uint32_t slots, first, in_flight;
};

/* bytes_max: of what is not answered yet. */
void redis_pipe_init(struct redis_pipe *p, size_t bytes_max);
void redis_pipe_deinit(struct redis_pipe *p);

/* What was appended to `out` since the last one is this command; its `bytes` are set here. False:
 * no memory, and the bytes are gone. */
WEIR_MUSTCHECK bool redis_pipe_end(struct redis_pipe *p, const struct redis_sent *sent);
/* The i-th of those in flight. */
struct redis_sent *redis_pipe_at(const struct redis_pipe *p, uint32_t i);
/* Whether the first one was written whole. */
bool redis_pipe_is_written(const struct redis_pipe *p);
/* Takes the first one off. Its bytes are there until the next trim. */
struct redis_sent redis_pipe_pop(struct redis_pipe *p);
/* The bytes of the one that was taken off last. */
struct weir_str redis_pipe_bytes(const struct redis_pipe *p, const struct redis_sent *s);
/* Lets go of the bytes that were answered. */
void redis_pipe_trim(struct redis_pipe *p);
/* Of all bytes, when nothing is in flight any more: what was not written never is. */
void redis_pipe_reset(struct redis_pipe *p);

#endif
