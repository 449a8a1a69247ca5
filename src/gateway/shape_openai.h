/* SPDX-License-Identifier: Apache-2.0 */
/* shape_openai.h - what the mock's chats and completions have in common. Private to them. */
#ifndef WEIR_GATEWAY_SHAPE_OPENAI_H
#define WEIR_GATEWAY_SHAPE_OPENAI_H

#include "gateway/shape.h"

/* What one of the two calls its parts. */
struct weir_shape_form {
    struct weir_str id;            /* the prefix of ids */
    struct weir_str object, chunk; /* of a whole answer, and of an event */
    struct weir_str usage;         /* further members of the usage, each behind its comma */
};

/* {"id":...,"object":...,"created":...,"model":... */
void weir_shape_object(const struct weir_shape_form *f, const struct weir_shape *s,
                       struct weir_buf *b, struct weir_str object);
/* ,"usage":{...} */
void weir_shape_usage(const struct weir_shape_form *f, const struct weir_shape *s,
                      struct weir_buf *b);
/* One event: its begin, its choice and its end. */
void weir_shape_event_begin(const struct weir_shape_form *f, const struct weir_shape *s,
                            struct weir_buf *b);
void weir_shape_event_end(const struct weir_shape *s, struct weir_buf *b);
/* What stands behind the last choice of a stream. */
void weir_shape_stream_end(const struct weir_shape_form *f, const struct weir_shape *s,
                           struct weir_buf *b);

#endif
