/* SPDX-License-Identifier: Apache-2.0 */
#include "net/loop.h"

static void run_turn_end(struct weir_loop *loop)
{
    while (loop->_first != NULL) {
        struct weir_turn_end *w = loop->_first;
        loop->_first = w->_next;
        if (loop->_first == NULL) {
            loop->_last = &loop->_first;
        }
        w->_next = NULL;
        w->_queued = 0;
        w->run(w);
    }
}

static void on_prepare(uv_prepare_t *handle)
{
    run_turn_end(handle->data);
}

static void on_check(uv_check_t *handle)
{
    run_turn_end(handle->data);
}

static void on_stop_signal(uv_async_t *handle)
{
    struct weir_loop *loop = handle->data;
    if (loop->_on_stop != NULL) {
        loop->_on_stop(loop->_stop_ctx);
    }
}

static void on_wake_signal(uv_async_t *handle)
{
    struct weir_loop *loop = handle->data;
    if (loop->_on_wake != NULL) {
        loop->_on_wake(loop->_wake_ctx);
    }
}

static void on_pulse(uv_async_t *handle)
{
    struct weir_loop *loop = handle->data;
    atomic_store_explicit(&loop->_turned, true, memory_order_relaxed);
}

enum weir_err weir_loop_init(struct weir_loop *loop)
{
    *loop = (struct weir_loop){0};
    loop->_last = &loop->_first;
    if (uv_loop_init(&loop->uv) != 0) {
        return WEIR_ERR_IO;
    }
    if (uv_async_init(&loop->uv, &loop->_stop, on_stop_signal) != 0) {
        uv_loop_close(&loop->uv);
        return WEIR_ERR_IO;
    }
    /* these share what the first one has opened */
    uv_async_init(&loop->uv, &loop->_wake, on_wake_signal);
    uv_async_init(&loop->uv, &loop->_pulse, on_pulse);
    uv_prepare_init(&loop->uv, &loop->_prepare);
    uv_check_init(&loop->uv, &loop->_check);
    uv_prepare_start(&loop->_prepare, on_prepare);
    uv_check_start(&loop->_check, on_check);
    uv_unref((uv_handle_t *)&loop->_prepare);
    uv_unref((uv_handle_t *)&loop->_check);
    uv_unref((uv_handle_t *)&loop->_stop);
    uv_unref((uv_handle_t *)&loop->_wake);
    uv_unref((uv_handle_t *)&loop->_pulse);
    loop->_prepare.data = loop->_check.data = loop->_stop.data = loop;
    loop->_wake.data = loop->_pulse.data = loop;
    atomic_init(&loop->_turned, true);
    return WEIR_OK;
}

void weir_loop_run(struct weir_loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void weir_loop_deinit(struct weir_loop *loop)
{
    uv_close((uv_handle_t *)&loop->_prepare, NULL);
    uv_close((uv_handle_t *)&loop->_check, NULL);
    uv_close((uv_handle_t *)&loop->_stop, NULL);
    uv_close((uv_handle_t *)&loop->_wake, NULL);
    uv_close((uv_handle_t *)&loop->_pulse, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    int err = uv_loop_close(&loop->uv);
    WEIR_ASSERT(err == 0); /* a handle was left open */
}

void weir_loop_at_turn_end(struct weir_loop *loop, struct weir_turn_end *w)
{
    if (w->_queued != 0) {
        return;
    }
    w->_queued = 1;
    w->_next = NULL;
    *loop->_last = w;
    loop->_last = &w->_next;
}

void weir_loop_turn_end_cancel(struct weir_loop *loop, struct weir_turn_end *w)
{
    if (w->_queued == 0) {
        return;
    }
    struct weir_turn_end **at = &loop->_first;
    while (*at != w) {
        at = &(*at)->_next;
    }
    *at = w->_next;
    if (loop->_last == &w->_next) {
        loop->_last = at;
    }
    w->_queued = 0;
}

void weir_loop_on_stop(struct weir_loop *loop, void (*on_stop)(void *ctx), void *ctx)
{
    loop->_on_stop = on_stop;
    loop->_stop_ctx = ctx;
}

void weir_loop_stop(struct weir_loop *loop)
{
    uv_async_send(&loop->_stop);
}

void weir_loop_on_wake(struct weir_loop *loop, void (*on_wake)(void *ctx), void *ctx)
{
    loop->_on_wake = on_wake;
    loop->_wake_ctx = ctx;
}

void weir_loop_wake(struct weir_loop *loop)
{
    uv_async_send(&loop->_wake);
}

bool weir_loop_turned(struct weir_loop *loop)
{
    if (!atomic_exchange_explicit(&loop->_turned, false, memory_order_relaxed)) {
        return false; /* it was asked, and has not answered yet */
    }
    uv_async_send(&loop->_pulse);
    return true;
}
