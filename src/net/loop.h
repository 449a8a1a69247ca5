/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h - one worker's event loop (libuv) with the hook that lets writes of one turn leave
 * together. Everything here belongs to the loop's thread, but for weir_loop_stop,
 * weir_loop_wake and weir_loop_turned. */
#ifndef WEIR_NET_LOOP_H
#define WEIR_NET_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"

/* A piece of work for the end of the current turn: links itself once, runs once. Embed it. */
struct weir_turn_end {
    void (*run)(struct weir_turn_end *self);
    struct weir_turn_end *_next;
    int _queued;
};

struct weir_loop {
    uv_loop_t uv;
    uv_prepare_t _prepare; /* before polling: what timers and callbacks queued */
    uv_check_t _check;     /* after polling: what reads queued */
    uv_async_t _stop, _wake, _pulse;
    atomic_bool _turned;
    struct weir_turn_end *_first, **_last;
    void (*_on_stop)(void *ctx);
    void *_stop_ctx;
    void (*_on_wake)(void *ctx);
    void *_wake_ctx;
};

/* WEIR_ERR_IO when the kernel gives no loop. */
WEIR_MUSTCHECK enum weir_err weir_loop_init(struct weir_loop *loop);
/* Runs until nothing is left that keeps it alive. */
void weir_loop_run(struct weir_loop *loop);
/* All handles must be closed or closing: runs the loop until they are gone. */
void weir_loop_deinit(struct weir_loop *loop);
/* Calls w->run(w) after the callbacks of this turn. Queued already: nothing. */
void weir_loop_at_turn_end(struct weir_loop *loop, struct weir_turn_end *w);
/* Takes it out again; not queued: nothing. */
void weir_loop_turn_end_cancel(struct weir_loop *loop, struct weir_turn_end *w);
/* on_stop runs on the loop's thread after weir_loop_stop. Set before running. */
void weir_loop_on_stop(struct weir_loop *loop, void (*on_stop)(void *ctx), void *ctx);
/* From any thread, and from a signal handler. */
void weir_loop_stop(struct weir_loop *loop);
/* on_wake runs on the loop's thread after weir_loop_wake: once or more often for several of them.
 * Set before running. */
void weir_loop_on_wake(struct weir_loop *loop, void (*on_wake)(void *ctx), void *ctx);
/* From any thread. */
void weir_loop_wake(struct weir_loop *loop);
/* From one thread, whichever: whether the loop has come round since the last call; false while one
 * of its callbacks does not return. True the first time. */
bool weir_loop_turned(struct weir_loop *loop);

#endif
