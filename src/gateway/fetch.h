/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.h - one request to the upstreams of its model: sent to one of them, and to another while
 * nothing of an answer was told, when that one cannot be reached, breaks off, or answers 401, 429
 * or 5xx. A worker's upstreams belong to its loop; other threads only read their stats.
 *
 * A fetch keeps its request until it was sent (at most what the caller gives) and of the answer at
 * most a head (WEIR_ANSWER_HEAD_MAX) and curl's buffer; paused, it reads no more from the upstream.
 */
#ifndef WEIR_GATEWAY_FETCH_H
#define WEIR_GATEWAY_FETCH_H

#include "gateway/upstream.h"
#include "gateway/upstream_head.h"
#include "net/http_server.h"

struct weir_upstreams;
struct weir_fetch;

/* The loop outlives it. */
WEIR_MUSTCHECK enum weir_err weir_upstreams_new(const struct weir_config *config,
                                                struct weir_loop *loop,
                                                struct weir_upstreams **ret_upstreams);
/* Ends all that is under way without a word and closes all connections, now or on the loop. NULL
 * is allowed; again: nothing. */
void weir_upstreams_close(struct weir_upstreams *u);
/* After that. The memory may go later, on the loop. NULL is allowed. */
void weir_upstreams_free(struct weir_upstreams *u);
/* The present ones. */
struct weir_upstream_set *weir_upstreams_set(struct weir_upstreams *u);
/* They follow the present ones, and are taken over. What is under way stays with those that it
 * began with. */
void weir_upstreams_adopt(struct weir_upstreams *u, struct weir_upstream_set *next);

/* How an answer ended. */
enum weir_fetch_end {
    WEIR_FETCH_COMPLETE,
    WEIR_FETCH_CONNECT, /* no connection: nothing ran */
    WEIR_FETCH_BROKEN,  /* ended early, before or in its answer */
    WEIR_FETCH_SILENT,  /* timeout_ms */
    WEIR_FETCH_REFUSED, /* 401: weir's own key is not taken */
};

/* In this order: on_head at most once, on_body any number of times, on_end once, unless the fetch
 * is freed before. None comes out of a call to weir_fetch_start. weir_fetch_free may be called in
 * all of them. */
struct weir_fetch_handler {
    /* fields: complete lines for the client, without Content-Type and Content-Length. All is valid
     * during the call. */
    void (*on_head)(void *ctx, const struct weir_answer_head *head, struct weir_str fields);
    void (*on_body)(void *ctx, struct weir_str bytes);
    void (*on_end)(void *ctx, enum weir_fetch_end end);
};

/* How weir shows its key. */
enum weir_credential { WEIR_CREDENTIAL_BEARER, WEIR_CREDENTIAL_X_API_KEY };

/* http: its method, path (which weir_path_passes), query and fields; body: instead of its own;
 * model: whose upstreams, may be empty. All is copied; handler is borrowed. NULL: no memory. */
struct weir_fetch *weir_fetch_new(struct weir_upstreams *u, const struct weir_http_request *http,
                                  struct weir_str body, struct weir_str model,
                                  enum weir_credential credential,
                                  const struct weir_fetch_handler *handler, void *ctx);
/* Sends it to this upstream, which is no mock. Once. */
void weir_fetch_start(struct weir_fetch *f, unsigned upstream);
/* The name of the upstream that it was sent to last; NULL: to none yet. */
const char *weir_fetch_upstream(const struct weir_fetch *f);
/* Not after on_end. */
void weir_fetch_pause(struct weir_fetch *f);
void weir_fetch_resume(struct weir_fetch *f);
/* Ends it, whatever its state; no callback comes after. NULL is allowed. */
void weir_fetch_free(struct weir_fetch *f);

#endif
