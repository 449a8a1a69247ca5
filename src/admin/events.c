/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - GET /admin/v1/events: the overview as server-sent events, one a second to all who
 * listen. One timer for all of them, and none while nobody does. */
#include "admin/internal.h"

enum {
    EVERY_MS = 1000,
    UNSENT_MAX = 256 * 1024, /* of a client that does not read: then it is dropped */
};

static void on_timer(uv_timer_t *timer)
{
    admin_overview_gather(timer->data);
}

void admin_events_init(struct weir_admin *a)
{
    uv_timer_init(&a->loop->uv, &a->events.timer);
    a->events.timer.data = a;
}

static void release(struct admin_stream *s)
{
    struct admin_events *e = &s->admin->events;
    s->x = NULL;
    if (--e->streams == 0) {
        uv_timer_stop(&e->timer);
    }
}

static void gone(struct admin_pending *pending)
{
    release((struct admin_stream *)pending);
}

/* NULL: all are in use, or it comes to its end. */
static struct admin_stream *free_stream(struct admin_events *e)
{
    bool ends = uv_is_closing((uv_handle_t *)&e->timer);
    for (unsigned i = 0; i < ADMIN_STREAMS_MAX && !ends; i++) {
        if (e->stream[i].x == NULL) {
            return &e->stream[i];
        }
    }
    return NULL;
}

void admin_events(struct admin_request *r)
{
    struct weir_admin *a = r->admin;
    struct admin_stream *s = free_stream(&a->events);
    if (s == NULL) {
        admin_refuse(a, r->x, 503, "too_many_streams", "retry-after: 10\r\n",
                     "At most %d streams are served at once.", ADMIN_STREAMS_MAX);
        return;
    }
    if (r->http->method == WEIR_HTTP_HEAD) {
        weir_http_reply(r->x, 200, WEIR_STR(""), WEIR_STR("text/event-stream"), WEIR_STR(""));
        return;
    }
    *s = (struct admin_stream){.pending = {gone}, .admin = a, .x = r->x};
    *weir_http_exchange_slot(r->x) = &s->pending;
    weir_http_exchange_needs_client(r->x);
    weir_http_stream_begin(
        r->x, 200, WEIR_STR("cache-control: no-store\r\nx-content-type-options: nosniff\r\n"),
        WEIR_STR("text/event-stream"));
    if (a->events.streams++ == 0) {
        uv_timer_start(&a->events.timer, on_timer, 0, EVERY_MS);
    }
}

static void push(struct admin_stream *s, struct weir_str event)
{
    struct weir_http_exchange *x = s->x;
    if (weir_http_stream_unsent(x) + event.len > UNSENT_MAX) {
        release(s);
        weir_http_stream_abort(x);
        return;
    }
    weir_http_stream_write(x, event);
}

void admin_events_send(struct weir_admin *a)
{
    struct weir_buf *b = &a->body;
    weir_buf_reset(b);
    WEIR_BUF_LIT(b, "event: overview\ndata: ");
    weir_buf_str(b, weir_buf_view(&a->overview));
    WEIR_BUF_LIT(b, "\n\n");
    for (unsigned i = 0; i < ADMIN_STREAMS_MAX && !b->failed && !a->overview.failed; i++) {
        if (a->events.stream[i].x != NULL) {
            push(&a->events.stream[i], weir_buf_view(b));
        }
    }
}

void admin_events_close(struct weir_admin *a)
{
    for (unsigned i = 0; i < ADMIN_STREAMS_MAX; i++) {
        struct admin_stream *s = &a->events.stream[i];
        struct weir_http_exchange *x = s->x;
        if (x != NULL) {
            release(s);
            weir_http_stream_end(x);
        }
    }
    uv_close((uv_handle_t *)&a->events.timer, NULL);
}
