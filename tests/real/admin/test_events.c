/* SPDX-License-Identifier: Apache-2.0 */
/* The admin API's streams on a loop, with a client that does not read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/internal.h"
#include "base/mem.h"

enum { EVENT_BYTES = 64 * 1024, SENT_MAX = 1000, TURNS_MAX = 100000 };

struct fixture {
    struct weir_loop loop;
    struct weir_config *config;
    struct weir_store_shared *shared;
    struct weir_service_group group; /* no worker */
    struct weir_admin *admin;
    int client;
};

static int begin(void **state)
{
    struct fixture *f = weir_zalloc(sizeof(*f));
    struct weir_config_error error;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd;
    uint16_t port;
    *state = f;
    assert_int_equal(weir_config_parse(WEIR_STR("admin: {}"), NULL, &f->config, &error), WEIR_OK);
    assert_int_equal(weir_store_shared_new(f->config, &f->shared), WEIR_OK);
    assert_int_equal(weir_loop_init(&f->loop), WEIR_OK);
    assert_int_equal(weir_http_listen("127.0.0.1", 0, true, &fd, &port), WEIR_OK);
    assert_int_equal(
        weir_admin_new(f->config, f->config, &f->loop, f->shared, &f->group, fd, &f->admin),
        WEIR_OK);
    to.sin_port = htons(port);
    f->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(f->client, (struct sockaddr *)&to, sizeof(to)), 0);
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    close(f->client);
    weir_admin_drain(f->admin, 0);
    weir_loop_run(&f->loop);
    weir_admin_free(f->admin);
    weir_loop_deinit(&f->loop);
    weir_store_shared_free(f->shared);
    weir_config_free(f->config);
    weir_free(f);
    return 0;
}

/* Until so many streams are open. */
static void until_streams(struct fixture *f, unsigned streams)
{
    for (unsigned i = 0; i < TURNS_MAX && f->admin->events.streams != streams; i++) {
        uv_run(&f->loop.uv, UV_RUN_ONCE);
    }
    assert_int_equal(f->admin->events.streams, streams);
}

/* The timer gathers a small one at times. */
static void overview_is_large(struct weir_admin *a)
{
    weir_buf_reset(&a->overview);
    assert_true(weir_buf_reserve(&a->overview, EVENT_BYTES));
    memset(a->overview.data, 'x', EVENT_BYTES);
    a->overview.len = EVENT_BYTES;
}

static void test_no_reader(void **state)
{
    struct fixture *f = *state;
    static const char ask[] = "GET /admin/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_int_equal(write(f->client, ask, sizeof(ask) - 1), sizeof(ask) - 1);
    until_streams(f, 1);
    unsigned sent = 0;
    while (f->admin->events.streams > 0 && sent < SENT_MAX) {
        overview_is_large(f->admin);
        admin_events_send(f->admin);
        uv_run(&f->loop.uv, UV_RUN_NOWAIT);
        sent++;
    }
    assert_int_equal(f->admin->events.streams, 0);
    assert_true(sent > 1);
    assert_false(uv_is_active((uv_handle_t *)&f->admin->events.timer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_reader, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
