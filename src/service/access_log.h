/* SPDX-License-Identifier: Apache-2.0 */
/* access_log.h - a worker's access log: a record for each request that is watched, from its head to
 * its end, and the lines that wait to be written together at the end of a turn of the loop. Loop
 * thread only, but for the count of lines that were dropped.
 *
 * A record ends with its request's answer (weir_answer). A handler that has more to tell then, or
 * whose answer is no one piece, holds it, and ends it itself. */
#ifndef WEIR_SERVICE_ACCESS_LOG_H
#define WEIR_SERVICE_ACCESS_LOG_H

#include "service/access.h"
#include "service/access_sink.h"

/* loop, sink and dropped (lines that could not be kept) outlive it. */
WEIR_MUSTCHECK enum weir_err weir_access_log_new(struct weir_loop *loop,
                                                 struct weir_access_sink *sink,
                                                 _Atomic uint64_t *dropped,
                                                 struct weir_access_log **ret_log);
/* On the loop, before it ends: nothing of it keeps the loop alive any more. */
void weir_access_log_close(struct weir_access_log *log);
/* After the loop's end: writes what is left, as far as that is taken at once. NULL is allowed. */
void weir_access_log_free(struct weir_access_log *log);

/* The record of a request, in its exchange's note; without memory there is none. */
void weir_access_begin(struct weir_service *s, struct weir_http_exchange *x,
                       const struct weir_http_request *http, uint64_t started_ns);
/* A request that the HTTP server refused itself; http NULL: its head is not known. */
void weir_access_malformed(struct weir_access_log *log, const struct weir_http_request *http,
                           int status);

/* The record of an exchange that is alive; NULL: there is none. */
static inline struct weir_access *weir_access_of(const struct weir_service *s,
                                                 struct weir_http_exchange *x)
{
    return WEIR_LIKELY(s->access_log == NULL) ? NULL : *weir_http_exchange_note(x);
}

/* The same: from here on the caller ends it, after the answer. */
static inline struct weir_access *weir_access_hold(const struct weir_service *s,
                                                   struct weir_http_exchange *x)
{
    struct weir_access *a = weir_access_of(s, x);
    if (a != NULL) {
        a->held = true;
    }
    return a;
}

/* Gives it back, for another handler of the same exchange to hold. */
static inline void weir_access_let_go(struct weir_access **a)
{
    (*a)->held = false;
    *a = NULL;
}

/* Writes its line; *a is NULL then, and may be. */
void weir_access_end(struct weir_access **a);

/* x gets this answer, whose lines begin as weir_head does, or show no id; before it is given. */
static inline void weir_access_answered(const struct weir_service *s, struct weir_http_exchange *x,
                                        int status, struct weir_str headers)
{
    struct weir_access *a = weir_access_of(s, x);
    if (a != NULL) {
        weir_access_status(a, status, weir_head_id(headers));
        if (!a->held) {
            weir_access_end(&a);
        }
    }
}

#endif
