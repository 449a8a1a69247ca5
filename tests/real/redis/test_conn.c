/* SPDX-License-Identifier: Apache-2.0 */
/* The connection against a server that does what a good one would not: it speaks unasked, stops
 * reading, forgets the script, never ends an answer: guarantee 5. Both are on one loop, over a real
 * socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/redis/command.h"
#include "store/redis/conn.h"
#include "store/redis/over.h"

enum { CALLS_MAX = 4096, KIND = 7 };

#define WHO_RUN "0123456789abcdef0123456789abcdef01234567"
#define WHO_REP "fedcba9876543210fedcba9876543210fedcba98"
static const char GOOD_INFO[] = "redis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\n"
                                "run_id:" WHO_RUN "\r\n"
                                "master_replid:" WHO_REP "\r\n";

struct fixture;

/* What the server does with a command that is not part of the greeting. */
typedef void serve_fn(struct fixture *f, const redisReply *command);

struct fixture {
    char folder[64];
    struct weir_redis_target target;
    struct weir_loop loop;
    /* the server */
    uv_pipe_t listener, *peer;
    redisReader *reader;
    struct weir_buf answers;
    serve_fn *serve;
    bool mute, forgetful;
    unsigned loads, served;
    char bytes[65536];
    /* the owner */
    struct weir_redis_conn *conn;
    void (*on_up)(struct fixture *f);
    uint64_t sent_us[CALLS_MAX];
    unsigned sent, answered[CALLS_MAX], lost[CALLS_MAX], ups, downs;
    unsigned close_after; /* 0, or the connection is closed when so many were answered or lost */
    unsigned downs_max;   /* then it is closed */
    uint64_t down_at_us[16];
    const char *useless; /* what on_reply says */
    char text[128];
};

/* ---- the server ---- */

static void free_handle(uv_handle_t *handle)
{
    weir_free(handle);
}

static void peer_drop(struct fixture *f)
{
    if (f->peer != NULL) {
        uv_close((uv_handle_t *)f->peer, free_handle);
        redisReaderFree(f->reader);
        f->peer = NULL;
    }
}

static void on_sent(uv_write_t *req, int status)
{
    (void)status;
    weir_free(req->data);
    weir_free(req);
}

static void send_bytes(struct fixture *f, const char *bytes, size_t len)
{
    uv_write_t *req = weir_zalloc(sizeof(*req));
    req->data = weir_zalloc(len);
    memcpy(req->data, bytes, len);
    uv_buf_t buf = uv_buf_init(req->data, (unsigned)len);
    assert_int_equal(uv_write(req, (uv_stream_t *)f->peer, &buf, 1, on_sent), 0);
}

static bool command_is(const redisReply *command, const char *name)
{
    return strcmp(command->element[0]->str, name) == 0;
}

static void echo(struct fixture *f, const redisReply *command)
{
    weir_buf_printf(&f->answers, "$%zu\r\n%s\r\n", (size_t)command->element[1]->len,
                    command->element[1]->str);
}

static void answer(struct fixture *f, const redisReply *command)
{
    if (command_is(command, "INFO")) {
        weir_buf_printf(&f->answers, "$%zu\r\n%s\r\n", sizeof(GOOD_INFO) - 1, GOOD_INFO);
    } else if (command_is(command, "SCRIPT")) {
        f->loads++;
        WEIR_BUF_LIT(&f->answers, "$2\r\nab\r\n");
    } else if (f->forgetful && f->loads < 2) {
        WEIR_BUF_LIT(&f->answers, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
    } else {
        f->served++;
        f->serve(f, command);
    }
}

static void peer_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct fixture *f = handle->data;
    (void)suggested;
    *buf = uv_buf_init(f->bytes, sizeof(f->bytes));
}

static void peer_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct fixture *f = stream->data;
    void *command = NULL;
    if (got < 0) {
        peer_drop(f);
        return;
    }
    assert_int_equal(redisReaderFeed(f->reader, buf->base, (size_t)got), REDIS_OK);
    while (f->peer != NULL && redisReaderGetReply(f->reader, &command) == REDIS_OK &&
           command != NULL) {
        if (!f->mute) {
            answer(f, command);
        }
        freeReplyObject(command);
        command = NULL;
    }
    if (f->peer != NULL && f->answers.len > 0) {
        send_bytes(f, f->answers.data, f->answers.len);
    }
    weir_buf_reset(&f->answers);
}

static void on_peer(uv_stream_t *listener, int status)
{
    struct fixture *f = listener->data;
    assert_int_equal(status, 0);
    peer_drop(f);
    f->peer = weir_zalloc(sizeof(*f->peer));
    f->reader = redisReaderCreate();
    uv_pipe_init(&f->loop.uv, f->peer, 0);
    f->peer->data = f;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)f->peer), 0);
    uv_read_start((uv_stream_t *)f->peer, peer_alloc, peer_read);
}

/* ---- the owner ---- */

static void finish(struct fixture *f)
{
    if (f->conn != NULL) {
        weir_redis_conn_close(f->conn);
        f->conn = NULL;
        peer_drop(f);
        if (f->listener.data != NULL) {
            uv_close((uv_handle_t *)&f->listener, NULL);
        }
    }
}

/* Sends ECHO with its number and `padding` more bytes. */
static void send_call(struct fixture *f, size_t padding)
{
    static char text[8192];
    uint64_t number = f->sent;
    int len = snprintf(text, sizeof(text), "%u:", f->sent);
    memset(text + len, 'x', padding);
    struct weir_buf *out = weir_redis_conn_begin(f->conn);
    const struct weir_str words[] = {WEIR_STR("ECHO"), {text, (size_t)len + padding}};
    assert_non_null(out);
    weir_redis_command(out, words, 2);
    f->sent_us[number] = weir_clock_us();
    assert_true(weir_redis_conn_end(f->conn, KIND, (void *)(uintptr_t)number, f->sent_us[number]));
    f->sent++;
}

static unsigned total(const unsigned *counts)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < CALLS_MAX; i++) {
        sum += counts[i];
    }
    return sum;
}

static void counted(struct fixture *f)
{
    unsigned done = total(f->answered) + total(f->lost);
    if (f->close_after > 0 && done >= f->close_after) {
        finish(f);
    }
}

static const char *on_reply(void *ctx, uint8_t what, void *ptr, const redisReply *reply,
                            uint64_t sent_us)
{
    struct fixture *f = ctx;
    uintptr_t number = (uintptr_t)ptr;
    assert_int_equal(what, KIND);
    assert_int_equal(sent_us, f->sent_us[number]); /* of the first time, where it was sent again */
    if (reply->type == REDIS_REPLY_STRING) {
        assert_int_equal(strtoul(reply->str, NULL, 10), number);
    }
    const char *useless = f->useless;
    f->answered[number]++;
    counted(f);
    return useless;
}

static void on_lost(void *ctx, uint8_t what, void *ptr)
{
    struct fixture *f = ctx;
    assert_int_equal(what, KIND);
    assert_null(weir_redis_conn_begin(f->conn)); /* what is lost is not sent again at once */
    f->lost[(uintptr_t)ptr]++;
    counted(f);
}

static void on_up(void *ctx)
{
    struct fixture *f = ctx;
    f->ups++;
    assert_string_equal(weir_redis_conn_identity(f->conn)->text, WHO_RUN ":" WHO_REP);
    f->on_up(f);
}

static void on_down(void *ctx, enum weir_redis_why why, const char *text)
{
    struct fixture *f = ctx;
    assert_int_equal(why, WEIR_REDIS_OUT_OF_REACH);
    assert_non_null(f->conn);
    snprintf(f->text, sizeof(f->text), "%s", text);
    f->down_at_us[f->downs++ % 16] = weir_clock_us();
    if (f->downs >= f->downs_max) {
        finish(f);
    }
}

static int begin(void **state)
{
    struct fixture *f = weir_zalloc(sizeof(*f));
    snprintf(f->folder, sizeof(f->folder), "/tmp/weir-test-XXXXXX");
    if (mkdtemp(f->folder) == NULL || weir_loop_init(&f->loop) != WEIR_OK) {
        return -1;
    }
    snprintf(f->target.unix_path, sizeof(f->target.unix_path), "%s/s", f->folder);
    f->target.timeout_ms = 5000;
    f->target.connect_timeout_ms = 5000;
    f->serve = echo;
    f->downs_max = 1;
    weir_buf_init(&f->answers, 64 << 20);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    weir_loop_deinit(&f->loop);
    weir_buf_deinit(&f->answers);
    unlink(f->target.unix_path);
    rmdir(f->folder);
    weir_free(f);
    return 0;
}

static void listen_there(struct fixture *f)
{
    uv_pipe_init(&f->loop.uv, &f->listener, 0);
    f->listener.data = f;
    assert_int_equal(uv_pipe_bind(&f->listener, f->target.unix_path), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&f->listener, 8, on_peer), 0);
}

static void run(struct fixture *f)
{
    const struct weir_redis_owner owner = {
        .ctx = f, .on_reply = on_reply, .on_lost = on_lost, .on_up = on_up, .on_down = on_down};
    assert_int_equal(weir_redis_conn_open(&f->loop, &f->target, NULL, &owner, &f->conn), WEIR_OK);
    weir_loop_run(&f->loop);
}

/* Each call that was sent came back once, answered or lost. */
static void each_once(const struct fixture *f)
{
    for (unsigned i = 0; i < f->sent; i++) {
        assert_int_equal(f->answered[i] + f->lost[i], 1);
    }
}

static void send_many(struct fixture *f)
{
    for (unsigned i = 0; i < 1000; i++) {
        send_call(f, i % 50);
    }
}

/* ---- the script is forgotten ---- */

static void test_script_forgotten(void **state)
{
    struct fixture *f = *state;
    listen_there(f);
    f->on_up = send_many;
    f->forgetful = true;
    f->close_after = 1000;
    run(f);
    each_once(f);
    assert_int_equal(total(f->answered), 1000);
    assert_int_equal(f->served, 1000);
    assert_int_equal(f->loads, 2); /* the greeting's, and one for all thousand */
    assert_int_equal(f->downs, 0);
}

static void say_no_script(struct fixture *f, const redisReply *command)
{
    (void)command;
    WEIR_BUF_LIT(&f->answers, "-NOSCRIPT\r\n");
}

/* A server that never knows the script: each call is sent twice and then answered so. */
static void test_script_never_known(void **state)
{
    struct fixture *f = *state;
    listen_there(f);
    f->on_up = send_many;
    f->serve = say_no_script;
    f->close_after = 1000;
    run(f);
    each_once(f);
    assert_int_equal(f->served, 2000);
}

/* ---- answers that nobody asked for ---- */

static void echo_twice(struct fixture *f, const redisReply *command)
{
    echo(f, command);
    if (f->served == 1000) {
        WEIR_BUF_LIT(&f->answers, ":1\r\n");
    }
}

static void test_one_answer_too_many(void **state)
{
    struct fixture *f = *state;
    listen_there(f);
    f->on_up = send_many;
    f->serve = echo_twice;
    run(f);
    each_once(f);
    assert_int_equal(total(f->answered), 1000);
    assert_string_equal(f->text, "said something unasked");
}

static void answer_in_advance(struct fixture *f, const redisReply *command)
{
    (void)command;
    uv_read_stop((uv_stream_t *)f->peer);
    for (unsigned i = 0; i < CALLS_MAX; i++) {
        WEIR_BUF_LIT(&f->answers, ":1\r\n");
    }
}

static void send_rest(uv_timer_t *timer)
{
    struct fixture *f = timer->data;
    while (f->conn != NULL && f->sent < CALLS_MAX) {
        send_call(f, 4000);
    }
    uv_close((uv_handle_t *)timer, free_handle);
}

/* More than the kernel takes, and in the next turn more that waits behind it. */
static void send_more_than_fits(struct fixture *f)
{
    uv_timer_t *timer = weir_zalloc(sizeof(*timer));
    uv_timer_init(&f->loop.uv, timer);
    timer->data = f;
    uv_timer_start(timer, send_rest, 0, 0);
    send_call(f, 0);
    for (unsigned i = 1; i < 500; i++) {
        send_call(f, 4000);
    }
}

/* The server reads one command and answers all, of which most were not written yet. */
static void test_answers_in_advance(void **state)
{
    struct fixture *f = *state;
    listen_there(f);
    f->on_up = send_more_than_fits;
    f->serve = answer_in_advance;
    run(f);
    each_once(f);
    assert_true(total(f->lost) > 0);
    assert_string_equal(f->text, "said something unasked");
}

static void endless(struct fixture *f, const redisReply *command)
{
    (void)command;
    WEIR_BUF_LIT(&f->answers, "*9000000\r\n");
    for (unsigned i = 0; i < 4500000; i++) {
        WEIR_BUF_LIT(&f->answers, ":1\r\n");
    }
}

static void send_one(struct fixture *f)
{
    send_call(f, 0);
}

static void test_endless_answer(void **state)
{
    struct fixture *f = *state;
    listen_there(f);
    f->on_up = send_one;
    f->serve = endless;
    run(f);
    each_once(f);
    assert_int_equal(total(f->lost), 1);
    assert_string_equal(f->text, "does not speak RESP");
}

static void say_http(struct fixture *f, const redisReply *command)
{
    (void)command;
    WEIR_BUF_LIT(&f->answers, "HTTP/1.1 400 Bad Request\r\n\r\n");
}

static void test_another_protocol(void **state)
{
    struct fixture *f = *state;
    listen_there(f);
    f->on_up = send_many;
    f->serve = say_http;
    run(f);
    each_once(f);
    assert_int_equal(total(f->answered), 0);
    assert_string_equal(f->text, "does not speak RESP");
}

/* ---- a server that stops ---- */

static void hang_up(struct fixture *f, const redisReply *command)
{
    if (f->served <= 400) {
        echo(f, command);
    } else if (f->served == 401) {
        send_bytes(f, f->answers.data, f->answers.len);
        peer_drop(f);
        f->served = 0;
    }
}

static void test_hangs_up(void **state)
{
    struct fixture *f = *state;
    listen_there(f);
    f->on_up = send_many;
    f->serve = hang_up;
    run(f);
    each_once(f);
    assert_true(total(f->lost) >= 600);
}

static void go_mute(struct fixture *f, const redisReply *command)
{
    (void)command;
    f->mute = true;
}

static void test_silent(void **state)
{
    struct fixture *f = *state;
    listen_there(f);
    f->target.timeout_ms = 50;
    f->on_up = send_many;
    f->serve = go_mute;
    uint64_t from_us = weir_clock_us();
    run(f);
    each_once(f);
    assert_int_equal(total(f->lost), 1000);
    assert_string_equal(f->text, "is silent");
    assert_true(f->down_at_us[0] - from_us >= 50000);
}

static void test_silent_greeting(void **state)
{
    struct fixture *f = *state;
    listen_there(f);
    f->target.connect_timeout_ms = 30;
    f->mute = true;
    run(f);
    assert_int_equal(f->ups, 0);
    assert_string_equal(f->text, "is silent");
}

static void on_resume(uv_timer_t *timer)
{
    struct fixture *f = timer->data;
    uv_read_start((uv_stream_t *)f->peer, peer_alloc, peer_read);
    uv_close((uv_handle_t *)timer, free_handle);
}

static void echo_and_rest(struct fixture *f, const redisReply *command)
{
    echo(f, command);
    if (f->served == 1) {
        uv_timer_t *timer = weir_zalloc(sizeof(*timer));
        uv_timer_init(&f->loop.uv, timer);
        timer->data = f;
        uv_read_stop((uv_stream_t *)f->peer);
        uv_timer_start(timer, on_resume, 20, 0);
    }
}

/* What the kernel does not take goes later, whole and in order. */
static void test_stops_reading(void **state)
{
    struct fixture *f = *state;
    listen_there(f);
    f->on_up = send_more_than_fits;
    f->serve = echo_and_rest;
    f->close_after = CALLS_MAX;
    run(f);
    each_once(f);
    assert_int_equal(total(f->answered), CALLS_MAX);
    assert_int_equal(f->downs, 0);
}

/* ---- the next try ---- */

/* Pauses double; each is 0.5 to 1.5 times that long. */
static void test_back_off(void **state)
{
    struct fixture *f = *state;
    f->downs_max = 6;
    run(f);
    for (unsigned i = 1; i < 6; i++) {
        uint64_t pause_us = f->down_at_us[i] - f->down_at_us[i - 1];
        assert_true(pause_us >= (UINT64_C(WEIR_REDIS_BACK_OFF_MIN_MS * 500) << (i - 1)) - 1000);
    }
    assert_true(f->down_at_us[5] - f->down_at_us[0] < 3000000);
}

static void test_comes_back(void **state)
{
    struct fixture *f = *state;
    listen_there(f);
    f->on_up = send_many;
    f->serve = hang_up;
    f->downs_max = 2;
    run(f);
    each_once(f);
    assert_int_equal(f->ups, 2);
    assert_int_equal(f->sent, 2000);
}

/* ---- closing, at any moment ---- */

static void test_close_while_answered(void **state)
{
    struct fixture *f = *state;
    listen_there(f);
    f->on_up = send_many;
    f->close_after = 500;
    f->useless = "is of no use";
    run(f);
    assert_int_equal(f->downs, 0); /* the first answer breaks it, closing comes while losing */
    assert_int_equal(total(f->answered), 1);
    assert_int_equal(total(f->lost), 499);
}

static void test_close_by_an_answer(void **state)
{
    struct fixture *f = *state;
    listen_there(f);
    f->on_up = send_many;
    f->close_after = 500;
    run(f);
    assert_int_equal(total(f->answered), 500);
    assert_int_equal(total(f->lost), 0);
    assert_int_equal(f->downs, 0);
}

static void test_close_by_a_useless_answer(void **state)
{
    struct fixture *f = *state;
    listen_there(f);
    f->on_up = send_many;
    f->close_after = 1;
    f->useless = "is of no use";
    run(f);
    assert_int_equal(total(f->answered) + total(f->lost), 1);
    assert_int_equal(f->downs, 0);
}

static void test_close_when_up(void **state)
{
    struct fixture *f = *state;
    listen_there(f);
    f->on_up = finish;
    run(f);
    assert_int_equal(f->ups, 1);
    assert_int_equal(f->downs, 0);
}

static void send_and_close(struct fixture *f)
{
    send_more_than_fits(f);
    finish(f);
}

static void test_close_while_writing(void **state)
{
    struct fixture *f = *state;
    listen_there(f);
    f->on_up = send_and_close;
    f->serve = go_mute;
    run(f);
    assert_int_equal(total(f->answered) + total(f->lost), 0); /* no further callbacks */
}

/* ---- the bound: guarantee 6 ---- */

static void fill(struct fixture *f)
{
    unsigned sent = 0;
    struct weir_buf *out;
    while ((out = weir_redis_conn_begin(f->conn)) != NULL) {
        WEIR_BUF_LIT(out, "*1\r\n$4\r\nPING\r\n");
        assert_true(weir_redis_conn_end(f->conn, KIND, NULL, weir_clock_us()));
        assert_true(++sent <= WEIR_REDIS_IN_FLIGHT_MAX);
    }
    assert_int_equal(sent, WEIR_REDIS_IN_FLIGHT_MAX);
    finish(f);
}

static void test_in_flight(void **state)
{
    struct fixture *f = *state;
    listen_there(f);
    f->on_up = fill;
    f->serve = go_mute;
    run(f);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_script_forgotten),
        CASE(test_script_never_known),
        CASE(test_one_answer_too_many),
        CASE(test_answers_in_advance),
        CASE(test_endless_answer),
        CASE(test_another_protocol),
        CASE(test_hangs_up),
        CASE(test_silent),
        CASE(test_silent_greeting),
        CASE(test_stops_reading),
        CASE(test_back_off),
        CASE(test_comes_back),
        CASE(test_close_while_answered),
        CASE(test_close_by_an_answer),
        CASE(test_close_by_a_useless_answer),
        CASE(test_close_when_up),
        CASE(test_close_while_writing),
        CASE(test_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
