/* SPDX-License-Identifier: Apache-2.0 */
/* fetch_internal.h - what the parts of a fetch share. Private to gateway.
 *   fetch.c         its life, and the end of a transfer
 *   fetch_send.c    sending it to an upstream
 *   fetch_answer.c  the answer as it comes
 *   upstreams.c     the worker's upstreams, and its pools of connections */
#ifndef WEIR_GATEWAY_FETCH_INTERNAL_H
#define WEIR_GATEWAY_FETCH_INTERNAL_H

#include "base/log.h"
#include "gateway/curl_loop.h"
#include "gateway/fetch.h"

enum {
    FETCH_KEEP_BYTES = 16 * 1024, /* of a buffer that waits to be used again */
    FETCH_LINES_MAX = WEIR_HTTP_HEADERS_MAX + 4,
    FETCH_MODEL_MAX = 256,
    FETCH_METHOD_MAX = 32,
    FETCH_POOL_TRANSFERS = 128, /* at once in one pool, as long as there may be another one */
    FETCH_POOLS_MAX = 256,
    FETCH_POOL_IDLE_MS = 30 * 1000,
};

/* Connections that are used again. curl looks at each connection to a host for one that is free, so
 * a pool is kept small: the next one is begun when this one is busy. The last one is closed when it
 * was idle for long; the first one stays. */
struct weir_fetch_pool {
    struct weir_upstreams *upstreams;
    struct weir_curl_loop curl;
    uint32_t transfers;
    uint64_t used_ms; /* when there was a transfer, to a sweep */
};

struct weir_fetch {
    struct weir_upstreams *upstreams;
    struct weir_upstream_set *set; /* kept; NULL: it waits to be used again */
    const struct weir_fetch_handler *handler;
    void *ctx;
    struct weir_fetch *prev, *next; /* under way; or a free list */
    struct weir_fetch *next_dead;
    struct weir_fetch_pool *pool; /* where it is running */
    CURL *easy;
    const struct weir_upstream_config *set_for; /* what the easy handle was set up for */
    CURLU *url;                                 /* the easy handle's; NULL: none yet */
    struct weir_buf url_text;                   /* what it was parsed from; empty: nothing */
    /* the request */
    struct weir_buf target, fields, body; /* NUL behind each text but the body */
    size_t lines;
    struct curl_slist line[FETCH_LINES_MAX];
    char credential_line[WEIR_SECRET_MAX + 32];
    enum weir_credential credential;
    char method[FETCH_METHOD_MAX];
    char model[FETCH_MODEL_MAX];
    size_t model_len;
    /* where it stands */
    unsigned upstream, next_upstream;
    uint64_t tried; /* a set of upstreams */
    uint64_t sent_ns, progress_ms;
    struct weir_buf head; /* of the answer, as it comes */
    bool listed, running, told, again, refused, paused, dead, failed;
};

struct weir_upstreams {
    struct weir_upstream_set *set;
    struct weir_curl_sockets sockets;
    struct weir_fetch_pool *pool[FETCH_POOLS_MAX]; /* one at least */
    unsigned pools;
    struct weir_loop *loop;
    uv_timer_t sweep;
    bool sweeping, closing, closed, released;
    unsigned open; /* of the sweep's timer and the pools, those that close too */
    struct weir_fetch *active, *spare, *dead;
    uint32_t spares;
    uint32_t failed;        /* of the active ones: could not even be sent */
    struct weir_buf fields; /* of the head that is being told */
    struct weir_log_gate refused_gate;
};

static inline uint64_t weir_fetch_now_ms(const struct weir_upstreams *u)
{
    return uv_now(&u->loop->uv);
}

static inline void weir_fetch_count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static inline struct weir_upstream *weir_fetch_of(const struct weir_fetch *f)
{
    return &f->set->upstream[f->upstream];
}

static inline struct weir_str weir_fetch_model(const struct weir_fetch *f)
{
    return weir_str(f->model, f->model_len);
}

/* fetch.c: handlers of curl_loop.h for all pools; on_done needs no ctx. */
void weir_fetch_on_done(void *ctx, CURL *easy, CURLcode result);
void weir_fetch_on_turn(struct weir_upstreams *u);
/* One that is not under way. */
void weir_fetch_deinit(struct weir_fetch *f);

/* upstreams.c: the first pool that has a place for one more. */
struct weir_fetch_pool *weir_fetch_pool(struct weir_upstreams *u);
/* Closes the last pool when it was idle for long. */
void weir_fetch_pools_sweep(struct weir_upstreams *u);

/* fetch_send.c: sends it to its upstream. False: no memory. */
bool weir_fetch_attempt(struct weir_fetch *f);

/* fetch_answer.c: whether there is another upstream to ask; sets next_upstream. */
bool weir_fetch_find_another(struct weir_fetch *f);
/* curl's callbacks, with the fetch as ctx. */
size_t weir_fetch_on_header(char *bytes, size_t one, size_t len, void *ctx);
size_t weir_fetch_on_body(char *bytes, size_t one, size_t len, void *ctx);

#endif
