/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - the clients of a run: each has one connection to every target and at most one request
 * in flight. All on one loop's thread. */
#ifndef WEIR_LOADGEN_CLIENT_H
#define WEIR_LOADGEN_CLIENT_H

#include <llhttp.h>
#include <uv.h>

#include "base/zipf.h"
#include "loadgen/request.h"
#include "loadgen/usage.h"

enum weir_load_outcome { WEIR_LOAD_ALLOWED, WEIR_LOAD_DENIED, WEIR_LOAD_ERROR };

enum weir_load_meter {
    WEIR_LOAD_INPUT_TOKENS,
    WEIR_LOAD_OUTPUT_TOKENS,
    WEIR_LOAD_REQUESTS,
    WEIR_LOAD_TOTAL_TOKENS,
    WEIR_LOAD_NO_METER, /* a 429 that does not name one */
    WEIR_LOAD_METERS
};

enum weir_load_error {
    WEIR_LOAD_ERR_STATUS,   /* neither 200 nor 429 */
    WEIR_LOAD_ERR_CONNECT,  /* no connection */
    WEIR_LOAD_ERR_BROKEN,   /* the connection ended before the answer did */
    WEIR_LOAD_ERR_TIMEOUT,  /* nothing came for 10 s */
    WEIR_LOAD_ERR_PROTOCOL, /* what came is no HTTP */
    WEIR_LOAD_ERRORS
};

enum { WEIR_LOAD_TIMEOUT_S = 10 };

struct weir_load_answer {
    enum weir_load_outcome outcome;
    enum weir_load_meter meter; /* of a denial */
    enum weir_load_error error;
    int detail;         /* the status, or what libuv calls the failure; 0: none */
    const char *reason; /* NULL: `detail` says all */
    uint32_t target;
    uint32_t key;
    uint64_t due_ns;
    struct weir_trace_row row; /* the trace's; of nothing without one */
    /* for a record only, of an allowed request */
    uint64_t sent_ns, head_ns; /* when it was written, when the answer's head had come */
    bool has_usage;
    uint64_t input_tokens, output_tokens;
};

struct weir_load_clients;

struct weir_load_conn {
    uv_tcp_t _tcp;
    uv_connect_t _connect;
    llhttp_t _parser;
    struct weir_load_client *_client;
    uint32_t _target;
    uint8_t _state;
    bool _wanted;   /* open it again once it is closed: a request waits */
    bool _complete; /* the answer ended */
    bool _keep;     /* and the connection may stay */
    uint8_t _name_len, _value_len;
    char _name[24], _value[16]; /* of a 429's header fields */
};

struct weir_load_client {
    struct weir_load_clients *_all;
    struct weir_load_conn *_conns; /* one for each target */
    struct weir_load_conn *_busy;  /* that has the request; NULL: none */
    uint64_t _due_ns, _sent_ns, _head_ns;
    uint64_t _active_ms;
    struct weir_load_usage _usage;
    struct weir_trace_row _row;
    bool _has_row;
    uint32_t _key;
    bool _resting; /* after a failure, until the next tick: no hot loop of refused connects */
};

struct weir_load_clients {
    /* set by the owner before weir_load_clients_open */
    uv_loop_t *loop;
    const struct weir_load_options *options;
    /* All are open, and on_free follows for each; or the first failure: then close. */
    void (*on_open)(void *ctx, uint32_t target, int err);
    void (*on_answer)(void *ctx, const struct weir_load_answer *answer);
    void (*on_free)(void *ctx, struct weir_load_client *client); /* may send again at once */
    void *ctx;

    struct weir_load_request _request;
    struct weir_rand _rand; /* targets and keys */
    struct weir_zipf _zipf; /* keys */
    struct weir_json _json; /* reads the usage of answers */
    struct weir_load_client *_client;
    struct weir_load_conn *_conn;
    uint64_t _opening;
    uint32_t _failed_target;
    int _failed;
    bool _closed;
    char *_read;
};

/* As metrics and JSON call it; "unnamed" for WEIR_LOAD_NO_METER. */
const char *weir_load_meter_name(enum weir_load_meter meter);
/* Starts to connect; on_open comes later. Deinit also after an error. */
WEIR_MUSTCHECK enum weir_err weir_load_clients_open(struct weir_load_clients *c);
/* One request from a free client, of a random key to a random target. `row`: the trace's, copied;
 * NULL: none. */
void weir_load_client_send(struct weir_load_client *client, uint64_t due_ns,
                           const struct weir_trace_row *row);
/* Several times a second: ends requests without an answer, wakes those that rest. */
void weir_load_clients_tick(struct weir_load_clients *c);
/* Closes everything, without any further callback to the owner. */
void weir_load_clients_close(struct weir_load_clients *c);
/* When the loop has run out. */
void weir_load_clients_deinit(struct weir_load_clients *c);
/* A target that has no connection yet, for an error message. */
uint32_t weir_load_clients_unopened(const struct weir_load_clients *c);

#endif
