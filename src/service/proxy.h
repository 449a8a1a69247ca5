/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.h - a request on its way to an upstream and back. Private to service.
 *   proxy.c           its life: reading, charging, fetching, settling
 *   proxy_answer.c    the upstream's answer on its way to the client
 *   proxy_more.c      its output metered while it comes
 *   proxy_error.c     what weir answers itself, as the request's API words it */
#ifndef WEIR_SERVICE_PROXY_H
#define WEIR_SERVICE_PROXY_H

#include "gateway/fetch.h"
#include "service/access_log.h"
#include "service/answer_reader.h"
#include "service/reserve.h"
#include "service/service.h"

enum {
    WEIR_PROXY_GATHER_MAX = 64 * 1024,  /* an answer of a known length up to this leaves whole */
    WEIR_PROXY_UNSENT_MAX = 256 * 1024, /* bytes that wait for a client before its upstream waits */
};

struct weir_proxied {
    struct weir_pending pending; /* first: what the exchange's slot points at */
    struct weir_service *service;
    struct weir_snapshot *snapshot;
    struct weir_http_exchange *x; /* NULL: the client went away */
    struct weir_proxied *next;    /* free list */
    struct weir_proxied *all;     /* the service's next one, in use or not */
    struct weir_access *access;   /* NULL: not logged, or its line is there */
    const struct weir_dialect *dialect;
    uint64_t started_ns, asked_ns;
    uint64_t now_ns;         /* when the present turn began to work on it */
    uint64_t input_tokens;   /* as weir expects them */
    uint64_t counted_tokens; /* from which it does; 0: what is reported for them teaches nothing */
    unsigned upstream;
    bool waiting;    /* for the store */
    bool stream;     /* asked for */
    bool background; /* the model goes on when the client does not wait */
    bool metered;    /* a model may run for it: its answer's usage counts */
    bool hide_usage; /* weir asked for the usage, not the client */
    struct weir_fetch *fetch;
    /* the answer */
    int status;         /* 0: none yet */
    bool begun;         /* the client is being streamed to */
    uint32_t line_ends; /* at the end of what was passed on: 2 behind a whole event */
    bool reading;       /* reader is set */
    bool events;
    struct weir_answer_reader reader;
    struct weir_buf headers, type, body; /* of an answer that leaves whole */
    struct weir_reserving reserving;
    /* output beyond the reservation */
    struct weir_call more;
    uint64_t more_from;                       /* above this output more is asked for */
    uint64_t more_taken, more_last;           /* in all, and with the last piece */
    struct weir_reservation more_reservation; /* of the last piece */
    bool more_waiting;                        /* for the store */
    bool cut_due;                             /* the stream ends when an event does */
    bool ended;                               /* only `more` is waited for */
    struct weir_anonymous anonymous;
    struct weir_call call;
    char id[WEIR_REQUEST_ID_BYTES];
    uint32_t model_len;
    char model[WEIR_MODEL_MAX];
};

/* proxy.c */
/* Settles it; output_tokens: what is known to be produced. */
void weir_proxied_settle(struct weir_proxied *p, uint64_t input_tokens, uint64_t output_tokens);
/* Settles one whose upstream gave no answer, or only an error; input_tokens: what it may have read.
 */
void weir_proxied_settle_failed(struct weir_proxied *p, uint64_t input_tokens);
/* Its subjects as the present configuration has them, for what is charged or settled now. */
void weir_proxied_renew(struct weir_proxied *p);
/* It is answered, or its client is gone: not ours any more. */
void weir_proxied_end(struct weir_proxied *p);

/* proxy_more.c */
/* Something was produced in a stream: takes more when it outgrew what was taken. */
void weir_proxied_meter(struct weir_proxied *p);
/* Settles what was taken beside the reservation; returns what is left of the output for that. */
uint64_t weir_proxied_settle_more(struct weir_proxied *p, uint64_t output_tokens);
/* Ends a stream that was settled, because its output fits no more. */
void weir_proxied_cut_off(struct weir_proxied *p);

/* proxy_answer.c */
extern const struct weir_fetch_handler weir_proxy_fetch_handler;
/* What the client takes; called when it has read enough of it. */
void weir_proxied_drained(struct weir_pending *pending);
/* The client went away while its answer was under way: settles it. */
void weir_proxied_cut(struct weir_proxied *p);

/* proxy_error.c */
/* The head of an answer to p: its id, and what its API tells of limits (d NULL: nothing). */
struct weir_buf *weir_proxied_head(struct weir_proxied *p, const struct weir_decision *d);
/* Answers with an error in the words of the API. lines: complete lines, may be empty. */
void weir_proxied_refuse(struct weir_proxied *p, const struct weir_failure *f,
                         struct weir_str lines);
/* Ends a stream, behind a whole event, with an error in the words of the API. */
void weir_proxied_end_stream(struct weir_proxied *p, const struct weir_failure *f);
void weir_proxied_denied(struct weir_proxied *p);
void weir_proxied_unavailable(struct weir_proxied *p, enum weir_outcome outcome);
/* No answer of an upstream: 502 or 504. */
void weir_proxied_failed(struct weir_proxied *p, enum weir_fetch_end how);
/* All upstreams of the model told us to wait. */
void weir_proxied_must_wait(struct weir_proxied *p, uint64_t wait_ms);

#endif
