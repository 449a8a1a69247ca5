/* SPDX-License-Identifier: Apache-2.0 */
/* chat_request.h - the body of POST /v1/chat/completions: what a decision and the model need of it.
 * Pure: no I/O, no clock. */
#ifndef WEIR_SERVICE_CHAT_REQUEST_H
#define WEIR_SERVICE_CHAT_REQUEST_H

#include <stdbool.h>

#include "base/json.h"

enum { WEIR_MODEL_NAME_MAX = 128 };

struct weir_chat_request {
    struct weir_str model; /* in the body, or in `space` until that is used again */
    uint64_t input_tokens; /* as estimated */
    uint64_t output_max;   /* the larger of max_tokens and max_completion_tokens; 0: neither */
    uint64_t prompt_hash;  /* of model and messages: all that the mock's answer depends on */
    bool stream, include_usage;
};

/* What is wrong with a body. `param`: the field, empty for the body as a whole. */
struct weir_field_error {
    char param[64];
    char text[192];
};

/* j and space are used again by each call. WEIR_ERR_INVALID: *ret_error says why; WEIR_ERR_NOMEM.
 * *ret_request means nothing then. */
WEIR_MUSTCHECK enum weir_err weir_chat_request_read(struct weir_json *j, struct weir_buf *space,
                                                    struct weir_str body,
                                                    struct weir_chat_request *ret_request,
                                                    struct weir_field_error *ret_error);

#endif
