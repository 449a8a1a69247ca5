/* SPDX-License-Identifier: Apache-2.0 */
/* mock_request.h - a request to the mock model server, of any API. It asks for less than a gateway
 * does: what is wrong for a model, as a field that is missing, is refused; the rest is passed over.
 * On purpose not the gateway's own reader: what one gets wrong the other one shows. Pure. */
#ifndef WEIR_GATEWAY_MOCK_REQUEST_H
#define WEIR_GATEWAY_MOCK_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"

enum weir_mock_api {
    WEIR_MOCK_CHAT,
    WEIR_MOCK_COMPLETION,
    WEIR_MOCK_RESPONSE,
    WEIR_MOCK_EMBEDDING,
    WEIR_MOCK_MESSAGE, /* from here on: Anthropic's */
    WEIR_MOCK_COUNT,   /* count_tokens */
    WEIR_MOCK_APIS,
};

enum {
    WEIR_MOCK_NAME_MAX = 128, /* bytes of a model, a tool, a trace */
    WEIR_MOCK_INPUTS_MAX = 2048,
    WEIR_MOCK_DIMENSIONS_MAX = 4096,
    WEIR_MOCK_ASKED_MAX = 1000000,
};

#define WEIR_MOCK_NOT_ASKED UINT64_MAX

struct weir_mock_name {
    uint32_t len; /* 0: none */
    char text[WEIR_MOCK_NAME_MAX];
};

struct weir_mock_request {
    struct weir_mock_name model;
    struct weir_mock_name tool;  /* that must be called */
    struct weir_mock_name trace; /* metadata.mock_trace: under which name it is counted, too */
    uint64_t input_tokens;       /* its texts exactly where the model's encoding is known */
    uint64_t output_max;         /* the largest maximum that is named; 0: none */
    uint64_t output_asked;       /* metadata.mock_output_tokens, or WEIR_MOCK_NOT_ASKED */
    uint64_t prompt_hash;        /* of all that the answer depends on */
    uint32_t inputs, dimensions; /* of embeddings */
    bool base64;
    bool stream, include_usage;
};

/* Which field is wrong (none: empty), and a sentence. */
struct weir_mock_refusal {
    char param[32];
    char text[160];
};

/* j and space are used again by each call. WEIR_ERR_INVALID: *ret_refusal is set; WEIR_ERR_NOMEM;
 * else *ret_request. */
WEIR_MUSTCHECK enum weir_err weir_mock_request_read(enum weir_mock_api api, struct weir_json *j,
                                                    struct weir_buf *space, struct weir_str body,
                                                    struct weir_mock_request *ret_request,
                                                    struct weir_mock_refusal *ret_refusal);

/* metadata.mock_output_tokens of a body that was read: WEIR_OK and *ret_tokens, WEIR_ERR_NOT_FOUND,
 * or WEIR_ERR_INVALID: it is no number up to WEIR_MOCK_ASKED_MAX. */
WEIR_MUSTCHECK enum weir_err weir_mock_asked(const struct weir_json *j, struct weir_buf *space,
                                             uint64_t *ret_tokens);

static inline struct weir_str weir_mock_name_view(const struct weir_mock_name *name)
{
    return weir_str(name->text, name->len);
}

/* False, and nothing is set, when it is longer than a name may be. */
bool weir_mock_name_set(struct weir_mock_name *name, struct weir_str text);

#endif
