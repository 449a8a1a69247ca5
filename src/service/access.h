/* SPDX-License-Identifier: Apache-2.0 */
/* access.h - what the access log tells of one request, and the line that it makes of that. Pure: no
 * I/O, no clock. docs/access-log.md has the fields. */
#ifndef WEIR_SERVICE_ACCESS_H
#define WEIR_SERVICE_ACCESS_H

#include "service/dialect.h"
#include "service/service.h"
#include "service/trace_context.h"

enum {
    WEIR_ACCESS_METHOD_MAX = 16, /* bytes that are told of it, as of the next one */
    WEIR_ACCESS_PATH_MAX = 256,
    WEIR_ACCESS_LINE_MAX = 4096, /* no line is longer: a pipe takes it whole (PIPE_BUF) */
};

/* What became of a request. */
enum weir_access_outcome {
    WEIR_ACCESS_ALLOWED, /* and answered to the end */
    WEIR_ACCESS_DENIED,
    WEIR_ACCESS_CUT, /* a stream whose output fitted no more */
    WEIR_ACCESS_SETTLED,
    WEIR_ACCESS_UNAVAILABLE,
    WEIR_ACCESS_REFUSED,
    WEIR_ACCESS_UPSTREAM_FAILED,
    WEIR_ACCESS_CLIENT_GONE,
    WEIR_ACCESS_OUTCOMES,
};

struct weir_access_tokens {
    bool known;
    uint64_t input, output;
};

struct weir_access_log;

/* Slices and pointers are borrowed until it ends: from the snapshot, or from who holds it. */
struct weir_access {
    struct weir_access_log *log;
    struct weir_access *next; /* free list */
    struct weir_snapshot *snapshot;
    bool held; /* else it ends with its answer */
    enum weir_access_outcome outcome;
    uint64_t started_ns; /* 0: not known */
    bool traced;
    struct weir_trace_context trace;
    uint32_t method_len, path_len, model_len;
    char method[WEIR_ACCESS_METHOD_MAX];
    char path[WEIR_ACCESS_PATH_MAX]; /* ASCII */
    char model[WEIR_MODEL_MAX];
    bool stream;
    int status; /* 0: no answer */
    bool has_id;
    char id[WEIR_REQUEST_ID_BYTES];
    struct weir_str name[WEIR_SCOPES]; /* ids of the key, its team and its org; p NULL: none */
    struct weir_anonymous anonymous;
    const struct weir_call *call; /* decided; NULL: not yet */
    uint64_t decision_ns;
    struct weir_access_tokens reserved, settled;
    char upstream[WEIR_NAME_MAX + 1]; /* empty: none was asked */
    uint64_t sent_ns;                 /* to the upstream; 0: never */
    uint64_t head_ns;                 /* when the head of its answer came; 0: never */
};

/* Appends the line. time: the RFC 3339 text; now_ns: the clock of started_ns. */
void weir_access_line(struct weir_buf *b, const struct weir_access *a, struct weir_str time,
                      uint64_t now_ns);

/* ---- what is learnt of a request on its way; NULL: there is no access log ---- */

/* The method, the path and the trace. */
void weir_access_asked(struct weir_access *a, const struct weir_http_request *http);
/* Who asks, or for whom. */
void weir_access_caller(struct weir_access *a, const struct weir_caller *caller);
/* One of its subjects, by its name, if that is UTF-8; the model's is not told. */
void weir_access_subject(struct weir_access *a, struct weir_str name);
void weir_access_asks(struct weir_access *a, struct weir_str model, bool stream);
/* call: stays as it is until `a` ends. */
void weir_access_decided(struct weir_access *a, const struct weir_call *call, uint64_t took_ns);
void weir_access_reserved(struct weir_access *a, const struct weir_amounts *reserved);
void weir_access_settled(struct weir_access *a, uint64_t input_tokens, uint64_t output_tokens);
/* Which upstream it was sent to last, or NULL; it is copied. */
void weir_access_upstream(struct weir_access *a, const char *name);
/* It is sent to an upstream; the head of an answer has come. */
void weir_access_sent(struct weir_access *a, uint64_t now_ns);
void weir_access_first_byte(struct weir_access *a, uint64_t now_ns);
/* The first one that is told stands. */
void weir_access_outcome(struct weir_access *a, enum weir_access_outcome outcome);
/* It has an answer, or the beginning of one; id NULL: it shows none. */
void weir_access_status(struct weir_access *a, int status, const char *id);

#endif
