/* SPDX-License-Identifier: Apache-2.0 */
/* upstream_head.h - which header fields pass between a client and an upstream (RFC 9110, section
 * 7.6.1): those of one connection do not, and neither do the client's credentials, nor what the
 * upstream says of the account that weir uses there. Pure. */
#ifndef WEIR_GATEWAY_UPSTREAM_HEAD_H
#define WEIR_GATEWAY_UPSTREAM_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "net/http_server.h"

enum { WEIR_ANSWER_HEAD_MAX = 64 * 1024 }; /* bytes of an upstream's head */

/* Whether an answer's field goes to the client. connection: the values of its Connection fields,
 * joined by commas; may be empty. */
bool weir_answer_field_passes(struct weir_str name, struct weir_str connection);

/* Whether a path, which begins with "/v1/", stays below what it is appended to: no dot segments,
 * plain or escaped, and nothing that ends a path. */
bool weir_path_passes(struct weir_str path);

/* Appends "NAME: VALUE" and a NUL for each field that passes, as curl takes them: "NAME;" where the
 * value is empty. Returns how many. */
size_t weir_request_fields(const struct weir_http_request *http, struct weir_buf *b);

/* The head of an answer. Slices point into the text that was read. */
struct weir_answer_head {
    int status; /* 200 to 599 */
    struct weir_str content_type;
    uint64_t content_length; /* UINT64_MAX: not told */
    bool coded;              /* compressed, or the like */
    uint64_t retry_ms;       /* how long not to come again; 0: not told */
};

/* `text`: complete lines, each ended by CRLF or LF, the status line first, without the empty line.
 * Appends to `fields` the complete lines that pass, but for Content-Type, which the caller gives
 * with its answer. wall_s: the time of day. WEIR_ERR_INVALID: not such a head. */
WEIR_MUSTCHECK enum weir_err weir_answer_head_read(struct weir_str text, uint64_t wall_s,
                                                   struct weir_buf *fields,
                                                   struct weir_answer_head *ret_head);

#endif
