/* SPDX-License-Identifier: Apache-2.0 */
/* request.h - writes the requests of a run into one buffer that all of them share. */
#ifndef WEIR_LOADGEN_REQUEST_H
#define WEIR_LOADGEN_REQUEST_H

#include "base/rand.h"
#include "loadgen/options.h"
#include "loadgen/trace.h"

struct weir_load_request {
    const struct weir_load_options *_o;
    struct weir_rand _rand;
    char *_text; /* plain words; a prompt is a slice of it */
    size_t _text_len;
    struct weir_buf _head; /* of the body, up to the prompt */
    struct weir_buf _tail; /* and what follows it */
    struct weir_buf _out;
};

/* `o` must live longer. Deinit also after an error. */
WEIR_MUSTCHECK enum weir_err weir_load_request_init(struct weir_load_request *r,
                                                    const struct weir_load_options *o);
void weir_load_request_deinit(struct weir_load_request *r);
/* Head and body for a target and a key; `row`: the trace's, NULL: none. The slice is valid until
 * the next call. Allocates nothing once the buffers have their size. */
struct weir_str weir_load_request_make(struct weir_load_request *r, uint32_t target, uint32_t key,
                                       const struct weir_trace_row *row);
/* How many bytes of text make about this many tokens. */
size_t weir_load_text_bytes(uint64_t tokens);

#endif
