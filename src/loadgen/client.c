/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - connections (libuv) and answers (llhttp). Bodies are walked over, and kept only for a
 * record. */
#include "loadgen/client.h"

#include "base/clock.h"
#include "base/mem.h"

enum { READ_BYTES = 65536 };

enum conn_state { CONN_CLOSED, CONN_CONNECTING, CONN_OPEN, CONN_CLOSING };

static void conn_open(struct weir_load_conn *conn);

/* What is left of a request that the socket did not take at once. */
struct rest {
    uv_write_t write;
    char data[];
};

static void on_closed(uv_handle_t *handle)
{
    struct weir_load_conn *conn = handle->data;
    conn->_state = CONN_CLOSED;
    if (conn->_wanted && !conn->_client->_all->_closed) {
        conn->_wanted = false;
        conn_open(conn);
    }
}

static void conn_close(struct weir_load_conn *conn)
{
    if (conn->_state == CONN_CONNECTING || conn->_state == CONN_OPEN) {
        conn->_state = CONN_CLOSING;
        uv_close((uv_handle_t *)&conn->_tcp, on_closed);
    }
}

static void answered(struct weir_load_client *client, struct weir_load_answer *answer)
{
    struct weir_load_clients *all = client->_all;
    answer->target = client->_busy->_target;
    answer->key = client->_key;
    answer->due_ns = client->_due_ns;
    answer->row = client->_row;
    client->_busy->_wanted = false;
    client->_busy = NULL;
    all->on_answer(all->ctx, answer);
    if (!client->_resting) {
        all->on_free(all->ctx, client);
    }
}

/* The connection is of no more use; the request that it has, if any, failed. */
static void conn_fail(struct weir_load_conn *conn, enum weir_load_error error, int detail,
                      const char *reason)
{
    struct weir_load_client *client = conn->_client;
    conn_close(conn);
    if (client->_busy != conn || client->_all->_closed) {
        return;
    }
    client->_resting = true;
    struct weir_load_answer answer = {
        .outcome = WEIR_LOAD_ERROR,
        .error = error,
        .detail = detail,
        .reason = reason,
    };
    answered(client, &answer);
}

const char *weir_load_meter_name(enum weir_load_meter meter)
{
    static const char *const names[WEIR_LOAD_METERS] = {
        [WEIR_LOAD_INPUT_TOKENS] = "input_tokens", [WEIR_LOAD_OUTPUT_TOKENS] = "output_tokens",
        [WEIR_LOAD_REQUESTS] = "requests",         [WEIR_LOAD_TOTAL_TOKENS] = "total_tokens",
        [WEIR_LOAD_NO_METER] = "unnamed",
    };
    return names[meter];
}

static enum weir_load_meter denied_by(const struct weir_load_conn *conn)
{
    struct weir_str value = weir_str(conn->_value, conn->_value_len);
    for (unsigned m = 0; m < WEIR_LOAD_NO_METER; m++) {
        if (weir_str_eq(value, weir_str_z(weir_load_meter_name(m)))) {
            return m;
        }
    }
    return WEIR_LOAD_NO_METER;
}

/* Header fields matter in a 429 only; all others pass by unread. */
static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct weir_load_conn *conn = parser->data;
    if (parser->status_code == 429) {
        size_t room = sizeof(conn->_name) - conn->_name_len;
        size_t take = len < room ? len : room;
        memcpy(conn->_name + conn->_name_len, at, take);
        conn->_name_len = (uint8_t)(conn->_name_len + take);
    }
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct weir_load_conn *conn = parser->data;
    if (parser->status_code == 429 &&
        weir_str_eq_nocase(weir_str(conn->_name, conn->_name_len), WEIR_STR("x-weir-limited-by"))) {
        size_t room = sizeof(conn->_value) - conn->_value_len;
        size_t take = len < room ? len : room;
        memcpy(conn->_value + conn->_value_len, at, take);
        conn->_value_len = (uint8_t)(conn->_value_len + take);
    }
    return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
    struct weir_load_conn *conn = parser->data;
    conn->_name_len = 0;
    return 0;
}

/* Whether what comes belongs into a record. */
static bool is_recorded(const llhttp_t *parser)
{
    const struct weir_load_conn *conn = parser->data;
    return parser->status_code == 200 && conn->_client->_all->options->record != NULL &&
           conn->_client->_busy == conn;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct weir_load_conn *conn = parser->data;
    if (is_recorded(parser)) {
        conn->_client->_head_ns = weir_clock_ns();
        weir_load_usage_begin(&conn->_client->_usage);
    }
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct weir_load_conn *conn = parser->data;
    if (is_recorded(parser)) {
        weir_load_usage_add(&conn->_client->_usage, &conn->_client->_all->_json, weir_str(at, len));
    }
    return 0;
}

/* Pauses: the next request is not sent from inside the parser. */
static int on_message_complete(llhttp_t *parser)
{
    struct weir_load_conn *conn = parser->data;
    if (parser->status_code < 200) {
        return 0;
    }
    conn->_complete = true;
    conn->_keep = llhttp_should_keep_alive(parser) != 0;
    return HPE_PAUSED;
}

static const llhttp_settings_t *parser_settings(void)
{
    static const llhttp_settings_t settings = {
        .on_header_field = on_header_field,
        .on_header_value = on_header_value,
        .on_header_value_complete = on_header_value_complete,
        .on_headers_complete = on_headers_complete,
        .on_body = on_body,
        .on_message_complete = on_message_complete,
    };
    return &settings;
}

static void add_usage(struct weir_load_client *client, struct weir_load_answer *answer)
{
    struct weir_load_usage *usage = &client->_usage;
    weir_load_usage_end(usage, &client->_all->_json);
    answer->sent_ns = client->_sent_ns;
    answer->head_ns = client->_head_ns;
    answer->has_usage = usage->found;
    answer->input_tokens = usage->input_tokens;
    answer->output_tokens = usage->output_tokens;
}

/* The answer is whole: `used` when all that came belongs to it. */
static void conn_answered(struct weir_load_conn *conn, bool used)
{
    unsigned status = conn->_parser.status_code;
    struct weir_load_answer answer = {.meter = WEIR_LOAD_NO_METER};
    if (status == 200) {
        answer.outcome = WEIR_LOAD_ALLOWED;
        if (conn->_client->_all->options->record != NULL) {
            add_usage(conn->_client, &answer);
        }
    } else if (status == 429) {
        answer.outcome = WEIR_LOAD_DENIED;
        answer.meter = denied_by(conn);
    } else {
        answer.outcome = WEIR_LOAD_ERROR;
        answer.error = WEIR_LOAD_ERR_STATUS;
        answer.detail = (int)status;
    }
    conn->_complete = false;
    conn->_value_len = 0;
    llhttp_reset(&conn->_parser);
    if (!conn->_keep || !used) {
        conn_close(conn);
    }
    answered(conn->_client, &answer);
}

static void on_end(struct weir_load_conn *conn, int err)
{
    /* a body without a length ends with the connection */
    if (err == UV_EOF && conn->_client->_busy == conn && conn->_state == CONN_OPEN) {
        llhttp_finish(&conn->_parser);
        if (conn->_complete) {
            conn->_keep = false;
            conn_answered(conn, true);
            return;
        }
    }
    conn_fail(conn, WEIR_LOAD_ERR_BROKEN, err == UV_EOF ? 0 : err,
              err == UV_EOF ? "the connection was closed before the answer ended" : NULL);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct weir_load_conn *conn = stream->data;
    if (len == 0) {
        return;
    }
    if (len < 0) {
        on_end(conn, (int)len);
        return;
    }
    struct weir_load_client *client = conn->_client;
    if (client->_busy != conn) {
        conn_close(conn); /* bytes that nobody asked for: the next answer could not be told apart */
        return;
    }
    client->_active_ms = uv_now(client->_all->loop);
    llhttp_errno_t err = llhttp_execute(&conn->_parser, buf->base, (size_t)len);
    if (conn->_complete) {
        conn_answered(conn, llhttp_get_error_pos(&conn->_parser) == buf->base + len);
    } else if (err != HPE_OK) {
        conn_fail(conn, WEIR_LOAD_ERR_PROTOCOL, 0, llhttp_errno_name(err));
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct weir_load_conn *conn = handle->data;
    *buf = uv_buf_init(conn->_client->_all->_read, READ_BYTES);
}

static void on_rest_written(uv_write_t *write, int err)
{
    struct weir_load_conn *conn = write->handle->data;
    weir_free(write->data);
    if (err < 0 && conn->_state == CONN_OPEN) {
        conn_fail(conn, WEIR_LOAD_ERR_BROKEN, err, NULL);
    }
}

static int write_rest(struct weir_load_conn *conn, struct weir_str data)
{
    struct rest *rest = weir_zalloc(sizeof(*rest) + data.len);
    if (rest == NULL) {
        return UV_ENOMEM;
    }
    memcpy(rest->data, data.p, data.len);
    rest->write.data = rest;
    uv_buf_t buf = uv_buf_init(rest->data, (unsigned)data.len);
    int err = uv_write(&rest->write, (uv_stream_t *)&conn->_tcp, &buf, 1, on_rest_written);
    if (err < 0) {
        weir_free(rest);
    }
    return err;
}

static void write_request(struct weir_load_conn *conn)
{
    struct weir_load_client *client = conn->_client;
    struct weir_str data =
        weir_load_request_make(&client->_all->_request, conn->_target, client->_key,
                               client->_has_row ? &client->_row : NULL);
    client->_sent_ns = weir_clock_ns();
    /* uv_buf_t has no const; libuv only reads from it */
    uv_buf_t buf = {.base = client->_all->_request._out.data, .len = data.len};
    int n = uv_try_write((uv_stream_t *)&conn->_tcp, &buf, 1);
    if (n == UV_EAGAIN) {
        n = 0;
    }
    int err = n < 0 ? n : 0;
    if (n >= 0 && (size_t)n < data.len) {
        err = write_rest(conn, weir_str(data.p + n, data.len - (size_t)n));
    }
    if (err < 0) {
        conn_fail(conn, WEIR_LOAD_ERR_BROKEN, err, NULL);
    }
}

/* One of the connections that open before the run. */
static void opened(struct weir_load_clients *all, uint32_t target, int err)
{
    if (err < 0 && all->_failed == 0) {
        all->_failed = err;
        all->_failed_target = target;
    }
    if (--all->_opening > 0 || all->_closed) {
        return;
    }
    all->on_open(all->ctx, all->_failed_target, all->_failed);
    for (uint32_t i = 0; i < all->options->clients && !all->_closed; i++) {
        all->on_free(all->ctx, &all->_client[i]);
    }
}

static void connected(struct weir_load_conn *conn, int err)
{
    struct weir_load_clients *all = conn->_client->_all;
    bool first = all->_opening > 0;
    if (all->_closed || conn->_state != CONN_CONNECTING) {
        return;
    }
    if (err == 0) {
        conn->_state = CONN_OPEN;
        uv_tcp_nodelay(&conn->_tcp, 1);
        llhttp_init(&conn->_parser, HTTP_RESPONSE, parser_settings());
        conn->_parser.data = conn;
        conn->_complete = false;
        conn->_name_len = conn->_value_len = 0;
        err = uv_read_start((uv_stream_t *)&conn->_tcp, on_alloc, on_read);
    }
    if (err < 0) {
        conn_fail(conn, WEIR_LOAD_ERR_CONNECT, err, NULL);
    } else if (conn->_client->_busy == conn) {
        write_request(conn);
    }
    if (first) {
        opened(all, conn->_target, err);
    }
}

static void on_connected(uv_connect_t *connect, int err)
{
    connected(connect->data, err);
}

static void conn_open(struct weir_load_conn *conn)
{
    struct weir_load_clients *all = conn->_client->_all;
    int err = uv_tcp_init(all->loop, &conn->_tcp);
    if (err < 0) {
        conn_fail(conn, WEIR_LOAD_ERR_CONNECT, err, NULL);
        return;
    }
    conn->_tcp.data = conn;
    conn->_connect.data = conn;
    conn->_state = CONN_CONNECTING;
    const struct sockaddr_storage *addr = &all->options->target[conn->_target].addr;
    err = uv_tcp_connect(&conn->_connect, &conn->_tcp, (const struct sockaddr *)addr, on_connected);
    if (err < 0) {
        connected(conn, err);
    }
}

enum weir_err weir_load_clients_open(struct weir_load_clients *c)
{
    const struct weir_load_options *o = c->options;
    size_t conns = (size_t)o->clients * o->targets;
    weir_rand_init(&c->_rand, weir_mix64(o->seed));
    weir_zipf_init(&c->_zipf, o->keys, o->zipf);
    WEIR_TRY(weir_load_request_init(&c->_request, o));
    c->_read = weir_zalloc(READ_BYTES);
    c->_client = weir_zalloc_array(o->clients, sizeof(*c->_client));
    c->_conn = weir_zalloc_array(conns, sizeof(*c->_conn));
    if (c->_read == NULL || c->_client == NULL || c->_conn == NULL) {
        return WEIR_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < o->clients; i++) {
        weir_load_usage_init(&c->_client[i]._usage);
    }
    /* one more than there are, so that on_open never comes out of this function's loop */
    c->_opening = conns + 1;
    for (size_t i = 0; i < conns; i++) {
        struct weir_load_client *client = &c->_client[i / o->targets];
        client->_all = c;
        client->_conns = &c->_conn[i - i % o->targets];
        c->_conn[i]._client = client;
        c->_conn[i]._target = (uint32_t)(i % o->targets);
        conn_open(&c->_conn[i]);
    }
    opened(c, c->_failed_target, 0);
    return WEIR_OK;
}

void weir_load_client_send(struct weir_load_client *client, uint64_t due_ns,
                           const struct weir_trace_row *row)
{
    struct weir_load_clients *all = client->_all;
    const struct weir_load_options *o = all->options;
    uint64_t target = o->targets > 1 ? weir_rand_below(&all->_rand, o->targets) : 0;
    client->_key = o->keys > 1 ? (uint32_t)weir_zipf_draw(&all->_zipf, &all->_rand) : 0;
    client->_due_ns = due_ns;
    client->_has_row = row != NULL;
    client->_row = row != NULL ? *row : (struct weir_trace_row){0};
    client->_active_ms = uv_now(all->loop);
    struct weir_load_conn *conn = &client->_conns[target];
    client->_busy = conn;
    if (WEIR_LIKELY(conn->_state == CONN_OPEN)) {
        write_request(conn);
    } else if (conn->_state == CONN_CLOSING) {
        conn->_wanted = true;
    } else if (conn->_state == CONN_CLOSED) {
        conn_open(conn);
    }
}

void weir_load_clients_tick(struct weir_load_clients *c)
{
    uint64_t now_ms = uv_now(c->loop);
    for (uint32_t i = 0; i < c->options->clients && !c->_closed; i++) {
        struct weir_load_client *client = &c->_client[i];
        if (client->_resting) {
            client->_resting = false;
            c->on_free(c->ctx, client);
        } else if (client->_busy != NULL &&
                   now_ms >= client->_active_ms + WEIR_LOAD_TIMEOUT_S * 1000) {
            conn_fail(client->_busy, WEIR_LOAD_ERR_TIMEOUT, 0, "nothing came for 10 s");
        }
    }
}

void weir_load_clients_close(struct weir_load_clients *c)
{
    c->_closed = true;
    size_t conns = c->_conn == NULL ? 0 : (size_t)c->options->clients * c->options->targets;
    for (size_t i = 0; i < conns; i++) {
        conn_close(&c->_conn[i]);
    }
}

void weir_load_clients_deinit(struct weir_load_clients *c)
{
    weir_load_request_deinit(&c->_request);
    weir_json_deinit(&c->_json);
    for (uint32_t i = 0; c->_client != NULL && i < c->options->clients; i++) {
        weir_load_usage_deinit(&c->_client[i]._usage);
    }
    weir_free(c->_read);
    weir_free(c->_client);
    weir_free(c->_conn);
}

uint32_t weir_load_clients_unopened(const struct weir_load_clients *c)
{
    size_t conns = (size_t)c->options->clients * c->options->targets;
    for (size_t i = 0; i < conns; i++) {
        if (c->_conn[i]._state == CONN_CONNECTING) {
            return c->_conn[i]._target;
        }
    }
    return 0;
}
