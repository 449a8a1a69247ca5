/* SPDX-License-Identifier: Apache-2.0 */
/* mock_internal.h - what the parts of the mock model server share. Private to gateway.
 *   mock_server.c  routes, keys, refusals, what needs no model
 *   mock_call.c    a request to a model: its pace, its stream, its end */
#ifndef WEIR_GATEWAY_MOCK_INTERNAL_H
#define WEIR_GATEWAY_MOCK_INTERNAL_H

#include "base/json.h"
#include "base/rand.h"
#include "gateway/mock_request.h"
#include "gateway/mock_server.h"
#include "gateway/shape.h"

enum { MOCK_ID_BYTES = 32 };

struct mock_call; /* mock_call.c */

struct weir_mock_server {
    struct weir_mock_shared *shared;
    const struct weir_mock_options *o;
    struct weir_loop *loop;
    struct weir_http_server *http;
    struct weir_rand ids;
    struct weir_json json;
    struct weir_buf text, head, body;
    struct mock_call *spare;
};

/* One request on its way to its handler. */
struct mock_ask {
    struct weir_mock_server *s;
    struct weir_http_exchange *x;
    const struct weir_http_request *http;
    bool anthropic;
    char id[MOCK_ID_BYTES];
};

/* The head of the next answer, in s->head, as each API's begins. */
struct weir_buf *mock_head(struct weir_mock_server *s, bool anthropic,
                           const char id[static MOCK_ID_BYTES]);
/* Answers with s->head and s->body; where there was no memory for them, with 503 alone. */
void mock_answer(struct weir_mock_server *s, struct weir_http_exchange *x, int status);
/* `param` may be NULL; `headers`: complete lines. */
void mock_refuse(struct mock_ask *a, int status, const char *param, struct weir_str message,
                 struct weir_str headers);
/* The decimal number in a header, when it is there and one: *ret, else nothing. */
bool mock_header_number(const struct mock_ask *a, struct weir_str name, uint64_t max,
                        uint64_t *ret);

/* The model begins with an answer; the ledger knows that the request began. */
void mock_call_begin(struct mock_ask *a, const struct weir_mock_request *r,
                     const struct weir_shape_ops *ops, const struct weir_mock_fate *fate);
/* Its client went away. */
void mock_call_gone(struct mock_call *c);
void mock_calls_free(struct weir_mock_server *s);

#endif
