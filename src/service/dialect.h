/* SPDX-License-Identifier: Apache-2.0 */
/* dialect.h - what weir knows of the APIs that it stands in front of: where in a request the model,
 * the maximum and the text are, and where in an answer the usage is. One file per dialect; a new
 * one is a file and a row in dialect.c. Pure: no I/O, no clock; any thread, each with its own
 * memory.
 *
 * Requests are read strictly: what decides a charge must have one meaning. Answers are read
 * leniently: what cannot be read goes on to the client as it is, and its usage is unknown. */
#ifndef WEIR_SERVICE_DIALECT_H
#define WEIR_SERVICE_DIALECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "gateway/member.h"
#include "limit/decision.h"
#include "service/count.h"

enum {
    WEIR_MODEL_MAX = 128,
    WEIR_CHOICES_MAX = 128, /* answers to one request (n, best_of) */
};

/* ---- requests ---- */

/* Another text in place of `cut` bytes at `at`; none: put.len is 0. */
struct weir_edit {
    size_t at, cut;
    struct weir_str put; /* a constant */
};

/* What of a request decides its charge and how it is answered. */
struct weir_dialect_request {
    struct weir_str model; /* in the body, or in `space` until that is used again; only in other.c
                              it may be empty */
    uint64_t input_tokens; /* all text that the model reads, as weir counts it */
    uint64_t text_tokens;  /* of them, those of texts: not of images, tools, what else there is */
    bool exact;            /* they are counted by the model's own encoding */
    uint64_t output_max;   /* of all choices together; 0: the request names none */
    uint64_t prompt_hash;  /* of all that the answer depends on */
    uint32_t choices;      /* how many answers it may lead to, at least 1 */
    bool no_output;        /* there is no output to reserve: embeddings, and what is not known */
    bool background;       /* the model goes on to its end though nobody waits for it */
    bool stream;
    bool include_usage;    /* the client asked to see the usage at the end of its stream */
    struct weir_edit edit; /* the body that goes to the upstream: so that a stream tells its usage
                              to weir, which takes it out again (hide_usage below) */
};

/* Which field is wrong (none: empty), and a sentence that begins with it. */
struct weir_dialect_refusal {
    char param[48];
    char text[160];
};

/* ---- answers ---- */

/* What an answer said that it used, in one form: input_tokens is the whole input, with what was
 * read from and written to a cache. */
struct weir_used {
    uint64_t input_tokens;
    uint64_t cached_tokens;      /* of the input: read from a cache */
    uint64_t cache_write_tokens; /* of the input: written to one */
    uint64_t output_tokens;      /* reasoning included */
    bool input_known, output_known;
};

/* What was read of one answer so far. */
struct weir_progress {
    struct weir_used used;    /* as last reported; a stream may report more than once */
    uint64_t produced_tokens; /* of the texts of a stream, counted by weir as they came */
    uint64_t produced_bytes;
    uint64_t reported_at; /* produced_tokens when the output was last reported */
    bool failed;          /* the stream told an error */
    bool ended; /* the stream told its end; when the connection ends without it, it was cut off */
};

/* The output by what is known now: what was reported, and what was produced since. */
static inline uint64_t weir_progress_output(const struct weir_progress *p)
{
    return p->used.output_tokens + (p->produced_tokens - p->reported_at);
}

/* One event of a stream. */
struct weir_dialect_event {
    struct weir_str name;      /* may be empty */
    const struct weir_json *j; /* its data, an object */
    const struct weir_counter *counter;
    struct weir_buf *space; /* for texts with escapes */
    bool hide_usage;        /* the client did not ask for it */
};

/* What of an event goes on to the client: all of it, unless something is set. */
struct weir_verdict {
    bool drop;           /* nothing */
    uint32_t at, length; /* without these bytes of the data */
};

/* ---- errors and limits as an API words them ---- */

struct weir_failure {
    int status;
    struct weir_str message;
    const char *type;         /* OpenAI's; NULL: by the status */
    const char *param, *code; /* NULL: none */
    const char *request_id;   /* of WEIR_REQUEST_ID_BYTES; NULL: not told */
};

/* How errors and headers look: OpenAI's API and Anthropic's. */
struct weir_api {
    const char *name;
    bool x_api_key; /* how keys are shown, also to upstreams; else as a bearer token */
    /* Appends a body; and one event that ends a stream, which has begun with status 200. */
    void (*error_body)(struct weir_buf *b, const struct weir_failure *f);
    void (*error_event)(struct weir_buf *b, const struct weir_failure *f);
    /* Appends complete lines that an answer has beside x-request-id: took_ms since the request
     * came, the limits of the decision (NULL: no decision), wall_s: the time of day. */
    void (*headers)(struct weir_buf *b, const char *request_id, uint64_t took_ms,
                    const struct weir_decision *d, uint64_t wall_s);
};

extern const struct weir_api weir_api_openai;    /* api_openai.c */
extern const struct weir_api weir_api_anthropic; /* api_anthropic.c */

/* ---- dialects ---- */

struct weir_reading; /* dialect_read.h */

struct weir_dialect {
    const char *name; /* for metrics: a constant word */
    struct weir_str path;
    const struct weir_api *api;
    bool any_method; /* also without a body, and of any content-type; else POST of JSON */
    /* Reads the body: sets g->r, or refuses. */
    bool (*read)(struct weir_reading *g);
    /* Where a whole answer's usage is, and that in the event that ends a stream, where that one may
     * be too large to be read; no name: nowhere. */
    struct weir_member_path usage, end_usage;
    /* One event of a stream; NULL: it has none. */
    struct weir_verdict (*on_event)(const struct weir_dialect_event *e, struct weir_progress *p);
};

/* The dialect of a path below /v1/ (without query): never NULL, for what is not known is passed
 * through. anthropic: the request has an anthropic-version, which tells how to word errors there.
 */
const struct weir_dialect *weir_dialect_of(struct weir_str path, bool anthropic);

extern const struct weir_dialect weir_dialect_chat;        /* POST /v1/chat/completions */
extern const struct weir_dialect weir_dialect_completions; /* POST /v1/completions */
extern const struct weir_dialect weir_dialect_responses;   /* POST /v1/responses */
extern const struct weir_dialect weir_dialect_embeddings;  /* POST /v1/embeddings */
extern const struct weir_dialect weir_dialect_messages;    /* POST /v1/messages */
extern const struct weir_dialect weir_dialect_count;       /* POST /v1/messages/count_tokens */
extern const struct weir_dialect weir_dialect_other;       /* the rest, worded by OpenAI's API */
extern const struct weir_dialect weir_dialect_other_anthropic;

/* j and space are used again by each call. WEIR_ERR_INVALID: *ret_refusal is set; WEIR_ERR_NOMEM;
 * else *ret_request. */
WEIR_MUSTCHECK enum weir_err weir_dialect_read(const struct weir_dialect *d, struct weir_json *j,
                                               struct weir_buf *space,
                                               struct weir_counting counting, struct weir_str body,
                                               struct weir_dialect_request *ret_request,
                                               struct weir_dialect_refusal *ret_refusal);

/* The output to reserve: what the request allows, else for each choice what its plan expects. */
uint64_t weir_output_reserved(const struct weir_dialect_request *r, uint64_t plan_default);

/* What a usage object says, in OpenAI's or Anthropic's form: sets what is there, keeps the rest.
 * Anything else, and NULL, changes nothing. */
void weir_progress_read(struct weir_progress *p, const struct weir_json *j,
                        const struct weir_json_node *usage);

/* The body as it goes to an upstream: appended. */
void weir_edit_apply(const struct weir_edit *e, struct weir_str body, struct weir_buf *b);

#endif
