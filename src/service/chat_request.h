/* SPDX-License-Identifier: Apache-2.0 */
/* chat_request.h - the body of a chat completion as far as it decides what is charged and how it is
 * answered. Pure: no I/O, no clock. */
#ifndef WEIR_SERVICE_CHAT_REQUEST_H
#define WEIR_SERVICE_CHAT_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "service/dialect.h"

struct weir_chat_request {
    struct weir_str model; /* in the body, or in `space` until that is used again */
    uint64_t input_tokens; /* estimated: all text that the model reads */
    uint64_t output_max;   /* the larger of the two maxima; 0: none was named */
    uint64_t prompt_hash;  /* of all that the answer depends on */
    bool stream, include_usage;
};

/* Which field is wrong (none: empty), and a sentence that begins with it. */
struct weir_chat_refusal {
    char param[48];
    char text[160];
};

/* j and space are used again by each call. WEIR_ERR_INVALID: *ret_refusal is set; WEIR_ERR_NOMEM;
 * else *ret_request. */
WEIR_MUSTCHECK enum weir_err weir_chat_request_read(struct weir_json *j, struct weir_buf *space,
                                                    struct weir_str body,
                                                    struct weir_chat_request *ret_request,
                                                    struct weir_chat_refusal *ret_refusal);

#endif
