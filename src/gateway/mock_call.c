/* SPDX-License-Identifier: Apache-2.0 */
/* mock_call.c - a request to a model: the pace of its answer, its stream and its end. */
#include "base/clock.h"
#include "base/mem.h"
#include "gateway/mock_internal.h"

enum {
    PIECE_TOKENS = 1024,     /* of a stream that leave in one turn of the loop */
    UNSENT_MAX = 256 * 1024, /* bytes that wait for a client before its model waits too */
    WAIT_MS = 10,
};

enum { NAME_JSON_MAX = WEIR_MOCK_NAME_MAX * 6 + 2 };

/* One request to a model, until it has its answer. */
struct mock_call {
    struct weir_mock_server *server;
    struct weir_http_exchange *x; /* NULL: over */
    struct mock_call *next;       /* free list */
    const struct weir_shape_ops *ops;
    struct weir_shape shape;
    struct weir_mock_answer answer;
    struct weir_mock_name model, trace;
    uint64_t started_ms;
    uint32_t sent;  /* tokens of a stream that left */
    uint32_t until; /* it ends before this one: all of them, or fewer where it aborts */
    bool stream, aborts, begun, said_all, timer_open;
    uv_timer_t timer;
    char id[MOCK_ID_BYTES];
    char model_json[NAME_JSON_MAX], tool_json[NAME_JSON_MAX];
};

/* ---- the life of a call ---- */

static void call_release(struct mock_call *c)
{
    c->next = c->server->spare;
    c->server->spare = c;
}

static void on_timer_closed(uv_handle_t *handle)
{
    call_release(handle->data);
}

static void call_end(struct mock_call *c, enum weir_mock_end how, uint32_t output_tokens)
{
    weir_mock_ledger_end(c->server->shared->ledger, how, weir_mock_name_view(&c->model),
                         weir_mock_name_view(&c->trace), c->shape.input_tokens, output_tokens);
    c->x = NULL;
    if (c->timer_open) {
        c->timer_open = false;
        uv_close((uv_handle_t *)&c->timer, on_timer_closed);
    } else {
        call_release(c);
    }
}

void mock_call_gone(struct mock_call *c)
{
    call_end(c, WEIR_MOCK_CANCELLED, c->sent);
}

void mock_calls_free(struct weir_mock_server *s)
{
    while (s->spare != NULL) {
        struct mock_call *c = s->spare;
        s->spare = c->next;
        weir_free(c);
    }
}

static uint64_t model_ms(const struct mock_call *c)
{
    return uv_now(&c->server->loop->uv) - c->started_ms;
}

static void go_on(struct mock_call *c);

static void on_timer(uv_timer_t *timer)
{
    go_on(timer->data);
}

static void wait_until(struct mock_call *c, uint64_t due_ms)
{
    uint64_t passed_ms = model_ms(c);
    if (!c->timer_open) {
        uv_timer_init(&c->server->loop->uv, &c->timer);
        c->timer_open = true;
    }
    uv_timer_start(&c->timer, on_timer, due_ms > passed_ms ? due_ms - passed_ms : 1, 0);
}

static void stream_begin(struct mock_call *c, struct weir_buf *b)
{
    struct weir_mock_server *s = c->server;
    bool anthropic = c->ops == &weir_shape_message;
    weir_http_stream_begin(c->x, 200, weir_buf_view(mock_head(s, anthropic, c->id)),
                           WEIR_STR("text/event-stream; charset=utf-8"));
    c->ops->begin(&c->shape, b);
    c->begun = true;
}

/* The next piece of what the model has made. A client that reads slowly gets it slowly: the model
 * stands still meanwhile. */
static void stream_piece(struct mock_call *c)
{
    const struct weir_mock_config *model = &c->server->o->model;
    struct weir_buf *b = &c->server->body;
    uint32_t made = weir_mock_made(model, &c->answer, model_ms(c));
    made = made < c->until ? made : c->until;
    weir_buf_reset(b);
    if (!c->begun) {
        stream_begin(c, b);
    }
    uint32_t until = made - c->sent > PIECE_TOKENS ? c->sent + PIECE_TOKENS : made;
    c->ops->tokens(&c->shape, b, c->sent, until);
    c->sent = until;
    c->said_all = c->sent == c->until && model_ms(c) >= model->first_token_ms;
    if (c->said_all && !c->aborts) {
        c->ops->end(&c->shape, b);
    }
    if (b->failed) { /* no memory */
        weir_http_stream_abort(c->x);
        call_end(c, WEIR_MOCK_ABORTED, c->sent);
        return;
    }
    weir_http_stream_write(c->x, weir_buf_view(b));
    if (c->said_all && !c->aborts) {
        weir_http_stream_end(c->x);
        call_end(c, WEIR_MOCK_COMPLETED, c->sent);
        return;
    }
    wait_until(c, c->said_all ? 0 : weir_mock_due_ms(model, c->sent));
}

static void answer_whole(struct mock_call *c)
{
    struct weir_mock_server *s = c->server;
    struct weir_http_exchange *x = c->x;
    weir_buf_reset(&s->body);
    c->ops->whole(&c->shape, &s->body);
    mock_head(s, c->ops == &weir_shape_message, c->id);
    bool failed = s->head.failed || s->body.failed;
    call_end(c, failed ? WEIR_MOCK_FAILED : WEIR_MOCK_COMPLETED,
             failed ? 0 : c->answer.output_tokens);
    mock_answer(s, x, 200);
}

static void go_on(struct mock_call *c)
{
    const struct weir_mock_config *model = &c->server->o->model;
    uint32_t all = c->answer.output_tokens;
    uint64_t last_due_ms = weir_mock_due_ms(model, all == 0 ? 0 : all - 1);
    if (!c->stream) {
        if (model_ms(c) < last_due_ms) {
            wait_until(c, last_due_ms);
        } else {
            answer_whole(c);
        }
    } else if (c->said_all && weir_http_stream_unsent(c->x) == 0) { /* all that it says has left */
        weir_http_stream_abort(c->x);
        call_end(c, WEIR_MOCK_ABORTED, c->sent);
    } else if (c->said_all || (c->begun && weir_http_stream_unsent(c->x) > UNSENT_MAX)) {
        wait_until(c, model_ms(c) + WAIT_MS);
    } else {
        stream_piece(c);
    }
}

/* ---- requests to a model ---- */

static struct weir_mock_answer answer_to(const struct mock_ask *a,
                                         const struct weir_mock_request *r)
{
    struct weir_mock_config model = a->s->o->model;
    uint64_t most = r->output_max > 0 ? r->output_max : model.output_max;
    uint64_t asked = r->output_asked;
    mock_header_number(a, WEIR_STR("x-mock-output-tokens"), WEIR_MOCK_ASKED_MAX, &asked);
    struct weir_mock_answer drawn = weir_mock_answer(&model, r->prompt_hash, most);
    if (asked != WEIR_MOCK_NOT_ASKED) {
        weir_mock_answer_resize(&drawn, asked, r->output_max > 0 ? r->output_max : UINT64_MAX);
    }
    return drawn;
}

/* Of what there is no memory for, something may be missing. */
static size_t json_text(struct weir_mock_server *s, const struct weir_mock_name *name,
                        char ret_text[static NAME_JSON_MAX])
{
    weir_buf_reset(&s->text);
    weir_buf_json(&s->text, weir_mock_name_view(name));
    return weir_str_copy(weir_buf_view(&s->text), ret_text, NAME_JSON_MAX);
}

static struct mock_call *call_new(struct weir_mock_server *s)
{
    struct mock_call *c = s->spare;
    if (c != NULL) {
        s->spare = c->next;
    } else {
        c = weir_zalloc(sizeof(*c));
        if (c == NULL) {
            return NULL;
        }
        c->server = s;
        c->timer.data = c;
    }
    c->begun = c->said_all = false;
    c->sent = 0;
    return c;
}

void mock_call_begin(struct mock_ask *a, const struct weir_mock_request *r,
                     const struct weir_shape_ops *ops, const struct weir_mock_fate *fate)
{
    struct weir_mock_server *s = a->s;
    struct mock_call *c = call_new(s);
    uint64_t abort_at = 0;
    if (c == NULL) {
        weir_mock_ledger_end(s->shared->ledger, WEIR_MOCK_FAILED, weir_mock_name_view(&r->model),
                             weir_mock_name_view(&r->trace), 0, 0);
        mock_refuse(a, 503, NULL, WEIR_STR("Out of memory."), WEIR_STR(""));
        return;
    }
    c->x = a->x;
    weir_http_exchange_needs_client(c->x); /* as model servers do, it stops when nobody waits */
    c->ops = ops;
    c->answer = answer_to(a, r);
    c->model = r->model;
    c->trace = r->trace;
    c->stream = r->stream;
    bool told = mock_header_number(a, WEIR_STR("x-mock-abort"), UINT32_MAX, &abort_at);
    c->aborts = c->stream && (told || fate->aborts);
    c->until = c->answer.output_tokens;
    if (c->aborts) {
        uint32_t at = told ? (uint32_t)abort_at : weir_mock_abort_at(fate, c->until);
        c->until = at < c->until ? at : c->until;
    }
    memcpy(c->id, a->id, sizeof(c->id));
    c->shape = (struct weir_shape){
        .id = weir_str(c->id, sizeof(c->id)),
        .model_json = weir_str(c->model_json, json_text(s, &r->model, c->model_json)),
        .tool_json =
            weir_str(c->tool_json, r->tool.len == 0 ? 0 : json_text(s, &r->tool, c->tool_json)),
        .created_s = weir_clock_wall_s(),
        .input_tokens = r->input_tokens,
        .cached_tokens = r->input_tokens * s->o->cached_share / WEIR_MOCK_ALL,
        .answer = &c->answer,
        .include_usage = r->include_usage,
    };
    c->started_ms = uv_now(&s->loop->uv);
    *weir_http_exchange_slot(a->x) = c;
    go_on(c);
}
