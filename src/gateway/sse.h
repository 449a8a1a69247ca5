/* SPDX-License-Identifier: Apache-2.0 */
/* sse.h - finds the events in a stream of server-sent events (WHATWG HTML, section 9.2.6) while its
 * bytes go by, however they are cut. Lines end by LF, CR LF or CR. The raw bytes of all that is
 * found are, in order, the stream's bytes: passed on they are the same stream. Pure; one owner.
 *
 * Memory: the beginning of an event whose end has not come yet, at most `max` bytes, and while the
 * data of several lines is looked at as much again. */
#ifndef WEIR_GATEWAY_SSE_H
#define WEIR_GATEWAY_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct weir_sse {
    struct weir_buf _held;   /* of the event that is not whole yet */
    struct weir_buf _joined; /* data of several lines */
    size_t _max;
    bool _line;     /* the present line has bytes */
    bool _after_cr; /* a LF now belongs to the line before */
    bool _passing;  /* in an event that is too large */
    bool _begun;    /* the stream's first line was seen (it may begin with U+FEFF) */
    bool _given;    /* what is held was given out */
};

struct weir_sse_event {
    struct weir_str raw;  /* all its bytes, with the empty line at the end */
    struct weir_str name; /* of its last `event` field; empty: none */
    struct weir_str data; /* of all its `data` fields, joined by LF */
    size_t data_at;       /* where data is in raw; SIZE_MAX: nowhere, it was joined */
    bool last;            /* the event ends here */
    bool kept;            /* raw is not in the bytes that were given: some of them came before */
};

enum weir_sse_step {
    WEIR_SSE_MORE,  /* all bytes are taken, what begins there is kept */
    WEIR_SSE_EVENT, /* one event; without data it is a comment, or nothing */
    WEIR_SSE_PASS,  /* raw: bytes of an event above the maximum, or no memory: unread */
};

/* max: raw bytes of an event that is read. Allocates nothing. */
void weir_sse_init(struct weir_sse *s, size_t max);
void weir_sse_deinit(struct weir_sse *s);

/* The next step into *bytes, which is moved behind what was taken; to be called until
 * WEIR_SSE_MORE. *ret_event is valid until the next call, and as long as those bytes. */
enum weir_sse_step weir_sse_next(struct weir_sse *s, struct weir_str *bytes,
                                 struct weir_sse_event *ret_event);
/* The stream has ended. False: nothing was kept; else it is an event whose empty line is missing.
 */
bool weir_sse_end(struct weir_sse *s, struct weir_sse_event *ret_event);

#endif
