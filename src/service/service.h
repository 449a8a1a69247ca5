/* SPDX-License-Identifier: Apache-2.0 */
/* service.h - what a worker's listener offers: the APIs of model servers, the decision API, usage,
 * health and metrics. A service belongs to its worker's loop; other threads only read its metrics.
 */
#ifndef WEIR_SERVICE_SERVICE_H
#define WEIR_SERVICE_SERVICE_H

#include <pthread.h>
#include <stddef.h>

#include "base/hist.h"
#include "base/json.h"
#include "base/rand.h"
#include "config/config.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "service/snapshot.h"
#include "store/store.h"

enum { WEIR_REQUEST_ID_BYTES = 36 };

/* Of complete answers, what was used of what was reserved for their output. bucket[i] has those
 * above bound i - 1 and not above bound i, the last one those above all. */
enum { WEIR_USED_BOUNDS = 12 };
extern const uint32_t weir_used_bound_permille[WEIR_USED_BOUNDS]; /* reserve.c */

struct weir_used_ratio {
    _Atomic uint64_t bucket[WEIR_USED_BOUNDS + 1];
    _Atomic uint64_t sum_permille;
};

/* Tokens that settlements changed, on one side of what was reserved; bucket[i] as above. */
enum { WEIR_SETTLE_BOUNDS = 7 };
extern const uint64_t weir_settle_bounds[WEIR_SETTLE_BOUNDS]; /* counts.c */
extern const enum weir_meter weir_settled_meters[2];

struct weir_settle_error {
    _Atomic uint64_t bucket[WEIR_SETTLE_BOUNDS + 1];
    _Atomic uint64_t sum;
};

/* The owner writes (relaxed), /metrics reads from any thread. */
struct weir_service_metrics {
    _Atomic uint64_t allowed, unavailable;
    _Atomic uint64_t denied[WEIR_SCOPES][WEIR_METERS]; /* by the limit that denied */
    /* What was charged, corrected by settling: a worker's alone may have wrapped below 0. */
    _Atomic uint64_t input_tokens, output_tokens;
    _Atomic uint64_t near[WEIR_SCOPES][WEIR_METERS]; /* charged, and less than a tenth is left */
    _Atomic uint64_t shadow_denied[WEIR_SCOPES][WEIR_METERS]; /* charged, beyond one in shadow */
    _Atomic uint64_t responses[6];                            /* by status / 100 */
    _Atomic uint64_t settlements[5];                          /* by enum weir_settle_result */
    struct weir_used_ratio used[WEIR_RESERVES];               /* by enum weir_reserve */
    /* less (or just that) and more than reserved, of input and of output tokens */
    struct weir_settle_error settle_error[2][2];
    _Atomic uint64_t reports[2];     /* of input not counted exactly: ignored, learnt from */
    _Atomic uint64_t access_dropped; /* lines of the access log */
    struct weir_hist decision, request;
};

struct weir_chat;    /* openai.c */
struct weir_proxied; /* proxy.c */
struct weir_upstreams;
struct weir_upstream_set;
struct weir_acquire; /* limits.c */
struct weir_service_group;
struct weir_history;
struct weir_calibration;
struct weir_token_memory;
struct weir_access_log;
struct weir_access_sink;
struct weir_top;

struct weir_service {
    const struct weir_config *config; /* the present one: snapshot->config */
    struct weir_snapshot *snapshot;
    struct weir_loop *loop;
    struct weir_store *store;
    struct weir_http_server *http;
    struct weir_service_group *group;
    struct weir_service_metrics metrics;
    /* Counters of the store, or what they were when it was closed. Other threads read them with the
     * group's mutex. */
    const struct weir_store_stats *store_stats;
    struct weir_store_stats last_stats;
    struct weir_top *top; /* who is busy and who is denied */
    struct weir_rand ids;
    struct weir_json json;                 /* the body that is being read */
    struct weir_buf text;                  /* and what of it had escapes */
    struct weir_token_memory *memory;      /* of its texts; NULL: there is no token data */
    struct weir_buf head, body;            /* of the answer that is being made */
    struct weir_chat *chats, *spare_chats; /* all, and those of them that nobody uses */
    struct weir_acquire *acquires, *spare_acquires;
    struct weir_proxied *proxied, *spare_proxied;
    struct weir_upstreams *upstreams;   /* NULL: none is configured */
    struct weir_access_log *access_log; /* NULL: off */
};

enum weir_registry_state { WEIR_REGISTRY_NONE, WEIR_REGISTRY_IN_REACH, WEIR_REGISTRY_AWAY };

/* All services of the process, for what is told of them together. Filled before they run. */
struct weir_service_group {
    pthread_mutex_t mutex; /* while stores' counters are read, or their store is closed */
    uint32_t services;
    struct weir_service **service;
    /* what answers were like; NULL: no plan has forecast yet */
    _Atomic(struct weir_history *) history;
    struct weir_calibration *calibration; /* of models that upstreams answer for */
    _Atomic uint64_t reloads[2];          /* refused, applied; the first one at the start */
    _Atomic bool reloaded;                /* whether the last one was applied */
    _Atomic uint64_t reloaded_s;          /* time of day of the last one that was */
    struct weir_access_sink *access_sink; /* NULL: there is no access log */
    /* Entries of the registry that are in force, and that could not be used. */
    _Atomic uint64_t registry_used, registry_unusable;
    _Atomic int registry_up; /* enum weir_registry_state */
};

/* loop, store and group outlive it. fd: the listening socket, owned from here on. */
WEIR_MUSTCHECK enum weir_err weir_service_new(struct weir_config *config, struct weir_loop *loop,
                                              struct weir_store *store,
                                              struct weir_service_group *group, int fd,
                                              struct weir_service **ret_service);
/* On the loop's thread: the next request is answered by this configuration, and these upstreams of
 * it (NULL: the same as before), which are the service's from here on. */
void weir_service_adopt(struct weir_service *s, struct weir_snapshot *next,
                        struct weir_upstream_set *upstreams);
/* When its HTTP server was drained, right before the store is closed: ends what the loop would wait
 * for, and requests whose decision will not come any more. */
void weir_service_close(struct weir_service *s);
/* After that. NULL is allowed. */
void weir_service_free(struct weir_service *s);

/* ---- for the files of this folder ---- */

static inline void weir_count(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t was = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, was + n, memory_order_relaxed);
}

/* One request on its way to its handler. */
struct weir_request {
    struct weir_service *service;
    struct weir_http_exchange *x;
    const struct weir_http_request *http;
    uint64_t started_ns;
};

typedef void weir_handler_fn(struct weir_request *r);

weir_handler_fn weir_chat_completions;     /* openai.c */
weir_handler_fn weir_proxy;                /* proxy.c: what upstreams answer */
weir_handler_fn weir_models;               /* models.c */
weir_handler_fn weir_usage;                /* usage.c */
weir_handler_fn weir_acquire, weir_settle; /* limits.c */
weir_handler_fn weir_healthz, weir_readyz; /* health.c */
weir_handler_fn weir_metrics;              /* metrics.c */

/* All of them, also those that waited for the store when it was closed. */
void weir_chats_free(struct weir_service *s);
void weir_acquires_free(struct weir_service *s);
void weir_proxied_free(struct weir_service *s);
/* Before the upstreams are closed: nothing of them is kept any more. */
void weir_proxied_close(struct weir_service *s);
/* Whether a request says that its body is JSON. */
bool weir_request_is_json(const struct weir_http_request *http);

/* What a slot of an exchange points at: the first member of the handlers' own structs. */
struct weir_pending {
    void (*gone)(struct weir_pending *self);
    void (*drained)(struct weir_pending *self); /* as weir_http_stream_wait says; else NULL */
};

/* Ends the request: counts it and answers. `headers`: complete lines. Where there was no memory for
 * s->head or s->body, which they may be views of, it is a 503. */
void weir_answer(struct weir_service *s, struct weir_http_exchange *x, uint64_t started_ns,
                 int status, struct weir_str headers, struct weir_str type, struct weir_str body);
/* Counts it as answered, for streams. */
void weir_answered(struct weir_service *s, int status, uint64_t started_ns);

/* error.c: OpenAI's error body. type, param and code: NULL where there is none. */
void weir_error_body(struct weir_buf *b, struct weir_str message, const char *type,
                     const char *param, const char *code);
/* The body of a refusal that is none of ours, in the form of the request's API, as far as that is
 * known (http NULL: not at all). */
void weir_refusal_body(struct weir_buf *b, const struct weir_http_request *http, int status,
                       struct weir_str reason);
/* Answers with an error in the words of the API that is asked; OpenAI's type is
 * invalid_request_error. */
void weir_refuse(struct weir_request *r, int status, const char *param, const char *code,
                 const char *fmt, ...) WEIR_PRINTF(5, 6);
/* 405, with what the URL does offer. */
void weir_refuse_method(struct weir_request *r, struct weir_str allow);
/* 503: the store is out of reach (`closed`), or it has no place for a new subject. */
void weir_refuse_outcome(struct weir_service *s, struct weir_http_exchange *x, uint64_t started_ns,
                         enum weir_outcome outcome);

/* auth.c */
/* Who asks. */
struct weir_caller {
    const struct weir_key *key; /* NULL: not configured, and allowed */
    uint8_t sha256[32];         /* of the secret; only then */
};
enum weir_caller_found {
    WEIR_CALLER_KNOWN,
    WEIR_CALLER_SILENT,
    WEIR_CALLER_UNKNOWN,
    WEIR_CALLER_DISABLED,
};
/* The caller that the Authorization header names, or without one x-api-key. */
enum weir_caller_found weir_caller_of(struct weir_request *r, struct weir_caller *ret_caller);
/* The same. False: it was refused with 401 or 403. */
bool weir_authenticate(struct weir_request *r, struct weir_caller *ret_caller);
const struct weir_key *weir_key_of_secret(struct weir_service *s, struct weir_str secret,
                                          uint8_t ret_sha256[static 32]);
/* Whether the Authorization header has the token of this SHA-256, compared in constant time. */
bool weir_bearer_is(const struct weir_http_request *http, const uint8_t sha256[static 32]);
/* Whether the caller may use the decision API; refused with 401 or 403 when not. */
bool weir_authorize_service(struct weir_request *r);
/* The subject of a key that is not configured, in its request's memory. */
struct weir_anonymous {
    struct weir_subject subject;
    char name[48];
};
void weir_anonymous_init(struct weir_anonymous *a, const uint8_t sha256[static 32],
                         const struct weir_plan *plan);
/* Whether it is the name of such a subject, as far as its form says. */
bool weir_anonymous_is(struct weir_str name);
/* Sets the call's subjects: the caller's own, which are at least one, then the model's.
 * model: NULL when nothing limits it. `a` is used for a key that is not configured. */
void weir_call_subjects(struct weir_call *call, const struct weir_config *config,
                        const struct weir_caller *caller, struct weir_anonymous *a,
                        const struct weir_subject *model);

/* headers.c */
void weir_request_id(struct weir_service *s, char ret_id[static WEIR_REQUEST_ID_BYTES]);
/* The head of the next answer: it begins with its x-request-id (id NULL: a new one). */
struct weir_buf *weir_head(struct weir_service *s, const char *id);
/* The id with which weir_head began these lines; NULL: it did not. */
const char *weir_head_id(struct weir_str headers);
/* How an API names a header of a meter, as requests: what stands before the meter and behind it. */
struct weir_rate_name {
    struct weir_str before, behind;
};
/* Its three headers of a limit, and the moment at which all of it is there again. */
struct weir_rate_form {
    struct weir_rate_name limit, remaining, reset;
    void (*moment)(struct weir_buf *b, uint64_t reset_us, uint64_t wall_s);
};
/* Three for each meter: of its limit with the least left, over all subjects. Without a limit of
 * total_tokens the tighter one of input and output stands for it. wall_s: the time of day. */
void weir_headers_rate(struct weir_buf *b, const struct weir_decision *d,
                       const struct weir_rate_form *f, uint64_t wall_s);
/* Of a denial: which limit of which subject, and when to come again. */
void weir_headers_retry(struct weir_buf *b, const struct weir_call *call);
/* "12ms", "1.146s", "6m0s". */
void weir_duration(struct weir_buf *b, uint64_t us);
/* "input tokens per min (TPM)". */
void weir_limit_words(struct weir_buf *b, enum weir_meter meter, uint32_t window_s);
enum { WEIR_DENIAL_MAX = 512 };
/* A denial in OpenAI's words: a view of `text`, cut off there. space is used for it; where there is
 * no memory for that, something of the words may be missing. */
struct weir_str weir_denial_words(struct weir_buf *space, const struct weir_call *call,
                                  struct weir_str model, char text[static WEIR_DENIAL_MAX]);
/* Of a denial, the members denied_by and retry_after_ms of the native API. */
void weir_denial_json(struct weir_buf *b, const struct weir_call *call);
/* The `limits` array of the native API and of usage. */
void weir_limits_json(struct weir_buf *b, const struct weir_call *call);

/* counts.c */
/* A configuration was read, and is in force or refused. */
void weir_service_count_reload(struct weir_service_group *g, bool applied, uint64_t wall_s);
void weir_count_decision(struct weir_service *s, const struct weir_call *call, uint64_t took_ns);
/* A charge beside the one that was decided, for the same request. */
void weir_count_more(struct weir_service *s, const struct weir_call *call);
/* After weir_store_settle, or in `done`. */
void weir_count_settled(struct weir_service *s, const struct weir_settle *settle);
/* metrics_top.c: of each scope and meter the `most` subjects that used most of it in the minute
 * before this one (Unix time / 60). Nothing where that is 0, or where there is no memory. */
void weir_metrics_top(struct weir_buf *b, const struct weir_service_group *g, uint32_t minute,
                      uint32_t most);

#endif
