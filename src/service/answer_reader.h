/* SPDX-License-Identifier: Apache-2.0 */
/* answer_reader.h - reads an upstream's answer while it goes by: what it used, what it produced so
 * far, and which bytes go on to the client. A stream's bytes go on as they come, whatever they are;
 * only where weir asked for the usage itself an event is held back until it is whole, and the usage
 * taken out. Pure: no I/O, no clock. One owner.
 *
 * Memory: the beginning of one event, at most WEIR_EVENT_MAX bytes, and none between events; of a
 * whole answer its usage alone, however large it is. The answer must not be compressed. */
#ifndef WEIR_SERVICE_ANSWER_READER_H
#define WEIR_SERVICE_ANSWER_READER_H

#include "gateway/member.h"
#include "gateway/sse.h"
#include "service/dialect.h"

enum { WEIR_EVENT_MAX = 256 * 1024 }; /* bytes; of a larger event only the usage is read, if any */

enum weir_answer_form {
    WEIR_ANSWER_OPAQUE, /* nothing of it is read */
    WEIR_ANSWER_JSON,
    WEIR_ANSWER_EVENTS,
};

/* By the answer's Content-Type. */
enum weir_answer_form weir_answer_form_of(struct weir_str content_type);

struct weir_answer_reader {
    struct weir_progress progress; /* read it at any time */
    const struct weir_dialect *_dialect;
    struct weir_counter _counter;
    enum weir_answer_form _form;
    bool _hide_usage;
    struct weir_sse _sse;
    struct weir_member _member;
};

/* hide_usage: the request was edited (weir_edit) for weir alone. Allocates nothing. model: borrowed
 * during the call. */
void weir_answer_reader_init(struct weir_answer_reader *a, const struct weir_dialect *d,
                             enum weir_answer_form form, struct weir_str model, bool hide_usage);
void weir_answer_reader_deinit(struct weir_answer_reader *a);

/* Takes bytes that go to the client: called in order, never with none. A slice is valid during the
 * call. */
typedef void weir_pass_fn(void *ctx, struct weir_str bytes);

/* The next bytes of the answer. j and space are used again by each call, and may be shared. */
void weir_answer_reader_feed(struct weir_answer_reader *a, struct weir_str bytes,
                             struct weir_json *j, struct weir_buf *space, weir_pass_fn *pass,
                             void *ctx);
/* The answer has ended, whole or not: passes what was held back. */
void weir_answer_reader_end(struct weir_answer_reader *a, struct weir_json *j,
                            struct weir_buf *space, weir_pass_fn *pass, void *ctx);

#endif
