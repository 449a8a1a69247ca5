/* SPDX-License-Identifier: Apache-2.0 */
/* mock_server.h - the mock model server of one worker: OpenAI's and Anthropic's routes on one
 * listener, at the mock model's pace, with the failures that were asked for. Belongs to its
 * worker's loop; workers share the options, the ledger and the count of requests. */
#ifndef WEIR_GATEWAY_MOCK_SERVER_H
#define WEIR_GATEWAY_MOCK_SERVER_H

#include "gateway/mock.h"
#include "gateway/mock_fate.h"
#include "gateway/mock_ledger.h"
#include "net/http_server.h"

struct weir_mock_options {
    struct weir_mock_config model;
    struct weir_mock_faults faults;
    struct weir_http_limits limits;
    struct weir_str api_key; /* p NULL: any, or none */
    struct weir_str models;  /* what /v1/models lists, with commas between; any is served */
    uint32_t retry_after_ms; /* of a 429 */
    uint32_t cached_share;   /* of the input, in millionths, that is told as cached */
};

struct weir_mock_shared {
    const struct weir_mock_options *options;
    struct weir_mock_ledger *ledger;
    _Atomic uint64_t requests; /* to models, so far */
};

struct weir_mock_server;

/* shared and loop outlive it. fd: the listening socket, owned from here on. */
WEIR_MUSTCHECK enum weir_err weir_mock_server_new(struct weir_mock_shared *shared,
                                                  struct weir_loop *loop, int fd,
                                                  struct weir_mock_server **ret_server);
/* As weir_http_server_drain. */
void weir_mock_server_drain(struct weir_mock_server *s, uint32_t timeout_ms,
                            void (*drained)(void *ctx), void *ctx);
/* After it was drained. NULL is allowed. */
void weir_mock_server_free(struct weir_mock_server *s);

#endif
