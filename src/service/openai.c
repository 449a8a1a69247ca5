/* SPDX-License-Identifier: Apache-2.0 */
/* openai.c - POST /v1/chat/completions. A request is charged before the model runs: its input as
 * estimated, its output as its plan reserves it; when the model is done the charge is settled to
 * what was used. */
#include "base/clock.h"
#include "base/mem.h"
#include "gateway/mock_request.h"
#include "gateway/shape.h"
#include "service/access_log.h"
#include "service/dialect.h"
#include "service/reserve.h"

enum {
    STREAM_PIECE_TOKENS = 1024,     /* of a stream that leave in one turn of the loop */
    STREAM_UNSENT_MAX = 256 * 1024, /* bytes that wait for a client before its model waits too */
    STREAM_WAIT_MS = 10,
};

struct weir_chat {
    struct weir_pending pending; /* first: what the exchange's slot points at */
    struct weir_service *service;
    struct weir_snapshot *snapshot;
    struct weir_http_exchange *x; /* NULL: the client went away */
    struct weir_chat *next;       /* free list */
    struct weir_chat *all;        /* the service's next one, in use or not */
    struct weir_access *access;   /* NULL: not logged, or its line is there */
    uint64_t started_ns, asked_ns;
    uint64_t now_ns; /* when the present turn began to work on it */
    uint64_t input_tokens, output_max;
    struct weir_reserving reserving;
    uint64_t prompt_hash;
    uint64_t asked_tokens; /* that the mock model shall make, or WEIR_MOCK_NOT_ASKED */
    bool stream, include_usage, timer_open, waiting, begun;
    struct weir_mock_answer answer;
    uint32_t sent; /* tokens of a stream that left */
    uint64_t model_started_ms;
    uv_timer_t timer;
    struct weir_anonymous anonymous;
    struct weir_call call;
    uint64_t created_s;
    char id[WEIR_REQUEST_ID_BYTES];
    uint32_t model_len, model_json_len;
    char model[WEIR_MODEL_MAX];
    char model_json[WEIR_MODEL_MAX * 6 + 2];
};

/* ---- the request ---- */

/* The model's name outlives the body: as it is, and as it stands in every event of a stream.
 * False: no memory. */
static bool keep_model(struct weir_chat *chat, struct weir_str model)
{
    struct weir_buf *b = &chat->service->body;
    weir_buf_reset(b);
    weir_buf_json(b, model);
    if (b->failed) {
        return false;
    }
    memcpy(chat->model, model.p, model.len);
    memcpy(chat->model_json, b->data, b->len);
    chat->model_len = (uint32_t)model.len;
    chat->model_json_len = (uint32_t)b->len;
    return true;
}

/* False: the request was refused. */
static bool read_chat(struct weir_request *r, struct weir_chat *chat)
{
    struct weir_service *s = r->service;
    struct weir_dialect_request request;
    struct weir_dialect_refusal why;
    /* no upstream corrects the mock's count of a model that is not known: it is an estimate */
    const struct weir_counting counting = {NULL, s->memory};
    enum weir_err err = weir_dialect_read(&weir_dialect_chat, &s->json, &s->text, counting,
                                          r->http->body, &request, &why);
    if (err == WEIR_OK) {
        weir_access_asks(chat->access, request.model, request.stream);
    }
    if (err == WEIR_OK && request.choices > 1) {
        weir_refuse(r, 400, "n", NULL, "n: expected 1, the only number of choices supported.");
        return false;
    }
    if (err == WEIR_ERR_INVALID) {
        weir_refuse(r, 400, why.param[0] == '\0' ? NULL : why.param, NULL, "%s", why.text);
        return false;
    }
    if (err != WEIR_OK || !keep_model(chat, request.model)) {
        weir_refuse_outcome(s, r->x, r->started_ns, WEIR_OUTCOME_UNAVAILABLE);
        return false;
    }
    chat->input_tokens = request.input_tokens;
    chat->output_max = request.output_max;
    chat->prompt_hash = request.prompt_hash;
    chat->stream = request.stream;
    chat->include_usage = request.include_usage;
    if (weir_mock_asked(&s->json, &s->text, &chat->asked_tokens) != WEIR_OK) {
        chat->asked_tokens = WEIR_MOCK_NOT_ASKED; /* what is no number is no wish */
    }
    return true;
}

/* ---- the model's pace ---- */

static uint64_t model_ms(const struct weir_chat *chat)
{
    return uv_now(&chat->service->loop->uv) - chat->model_started_ms;
}

static uint32_t tokens_made(const struct weir_chat *chat)
{
    return weir_mock_made(&chat->snapshot->config->mock, &chat->answer, model_ms(chat));
}

/* ---- the life of one ---- */

static void chat_release(struct weir_chat *chat)
{
    weir_snapshot_let_go(chat->snapshot);
    chat->snapshot = NULL;
    chat->next = chat->service->spare_chats;
    chat->service->spare_chats = chat;
}

static void on_timer_closed(uv_handle_t *handle)
{
    chat_release(handle->data);
}

/* Nothing is left to say: the exchange is answered or gone, and not ours any more. */
static void chat_end(struct weir_chat *chat)
{
    chat->x = NULL;
    weir_access_end(&chat->access);
    if (chat->timer_open) {
        chat->timer_open = false;
        uv_close((uv_handle_t *)&chat->timer, on_timer_closed);
    } else {
        chat_release(chat);
    }
}

void weir_chats_free(struct weir_service *s)
{
    while (s->chats != NULL) {
        struct weir_chat *chat = s->chats;
        s->chats = chat->all;
        weir_access_end(&chat->access);
        weir_snapshot_let_go(chat->snapshot);
        weir_free(chat);
    }
}

/* Replaces what was reserved by what was used. */
static void chat_settle(struct weir_chat *chat, uint64_t output_tokens)
{
    weir_snapshot_renew(chat->service, &chat->snapshot, &chat->call, &chat->anonymous);
    weir_access_settled(chat->access, chat->input_tokens, output_tokens);
    struct weir_settle settle = {
        .subjects = chat->call.subjects,
        .reservation = chat->call.reservation,
        .used = weir_amounts(1, chat->input_tokens, output_tokens),
        .now_us = chat->now_ns / 1000,
    };
    memcpy(settle.subject, chat->call.subject, sizeof(settle.subject));
    /* nobody waits for it; where it fails the store counts that and the reservation stands */
    enum weir_err err = weir_store_settle(chat->service->store, &settle);
    (void)err;
    weir_count_settled(chat->service, &settle);
}

/* The model came to its end. */
static void chat_complete(struct weir_chat *chat)
{
    chat_settle(chat, chat->answer.output_tokens);
    weir_reserve_used(chat->service, &chat->reserving, chat->answer.output_tokens, chat->now_ns);
}

/* While the decision is under way it must come back first; then the model has not run. */
static void chat_gone(struct weir_pending *pending)
{
    struct weir_chat *chat = (struct weir_chat *)pending;
    chat->x = NULL;
    chat->now_ns = weir_clock_ns();
    if (!chat->waiting) {
        chat_settle(chat, chat->stream ? chat->sent : tokens_made(chat));
        chat_end(chat);
    }
}

static struct weir_chat *chat_new(struct weir_request *r)
{
    struct weir_service *s = r->service;
    struct weir_chat *chat = s->spare_chats;
    if (chat != NULL) {
        s->spare_chats = chat->next;
    } else {
        chat = weir_zalloc(sizeof(*chat));
        if (chat == NULL) {
            return NULL;
        }
        chat->pending.gone = chat_gone;
        chat->service = s;
        chat->timer.data = chat;
        chat->all = s->chats;
        s->chats = chat;
    }
    chat->snapshot = weir_snapshot_keep(s);
    chat->x = r->x;
    chat->access = weir_access_hold(s, r->x);
    chat->started_ns = r->started_ns;
    chat->waiting = chat->begun = false;
    chat->sent = 0;
    return chat;
}

/* ---- answers ---- */

static struct weir_str chat_headers(struct weir_chat *chat)
{
    struct weir_buf *b = weir_head(chat->service, chat->id);
    weir_api_openai.headers(b, chat->id, (chat->now_ns - chat->started_ns) / 1000000,
                            &chat->call.decision, 0);
    if (!chat->call.decision.allowed) {
        weir_headers_retry(b, &chat->call);
    }
    return weir_buf_view(b);
}

static void answer_denied(struct weir_chat *chat)
{
    struct weir_service *s = chat->service;
    char text[WEIR_DENIAL_MAX];
    struct weir_str message =
        weir_denial_words(&s->body, &chat->call, weir_str(chat->model, chat->model_len), text);
    weir_buf_reset(&s->body);
    bool requests = chat->call.decision.denied_meter == WEIR_METER_REQUESTS;
    weir_error_body(&s->body, message, requests ? "requests" : "tokens", NULL,
                    "rate_limit_exceeded");
    weir_answer(s, chat->x, chat->started_ns, 429, chat_headers(chat), WEIR_STR("application/json"),
                weir_buf_view(&s->body));
    chat_end(chat);
}

static struct weir_shape shape_of(const struct weir_chat *chat)
{
    return (struct weir_shape){
        .id = weir_str(chat->id + 4, sizeof(chat->id) - 4),
        .model_json = weir_str(chat->model_json, chat->model_json_len),
        .created_s = chat->created_s,
        .input_tokens = chat->input_tokens,
        .answer = &chat->answer,
        .include_usage = chat->include_usage,
    };
}

static void answer_plain(struct weir_chat *chat)
{
    struct weir_service *s = chat->service;
    struct weir_buf *b = &s->body;
    weir_buf_reset(b);
    struct weir_shape shape = shape_of(chat);
    weir_shape_chat.whole(&shape, b);
    chat_complete(chat);
    weir_answer(s, chat->x, chat->started_ns, 200, chat_headers(chat), WEIR_STR("application/json"),
                weir_buf_view(b));
    chat_end(chat);
}

static void stream_begin(struct weir_chat *chat, struct weir_buf *b)
{
    weir_answered(chat->service, 200, chat->started_ns);
    weir_access_status(chat->access, 200, chat->id);
    weir_http_stream_begin(chat->x, 200, chat_headers(chat), WEIR_STR("text/event-stream"));
    struct weir_shape shape = shape_of(chat);
    weir_shape_chat.begin(&shape, b);
    chat->begun = true;
}

static void stream_tokens(struct weir_chat *chat, struct weir_buf *b, uint32_t until)
{
    struct weir_shape shape = shape_of(chat);
    weir_shape_chat.tokens(&shape, b, chat->sent, until);
    chat->sent = until;
}

static void stream_end(struct weir_chat *chat, struct weir_buf *b)
{
    struct weir_shape shape = shape_of(chat);
    weir_shape_chat.end(&shape, b);
    weir_http_stream_write(chat->x, weir_buf_view(b));
    chat_complete(chat);
    weir_http_stream_end(chat->x);
    chat_end(chat);
}

/* ---- going on ---- */

static void chat_go_on(struct weir_chat *chat);

static void on_timer(uv_timer_t *timer)
{
    struct weir_chat *chat = timer->data;
    chat->now_ns = weir_clock_ns();
    chat_go_on(chat);
}

static void chat_wait_until(struct weir_chat *chat, uint64_t due_ms)
{
    uint64_t passed_ms = model_ms(chat);
    if (!chat->timer_open) {
        uv_timer_init(&chat->service->loop->uv, &chat->timer);
        chat->timer_open = true;
    }
    uv_timer_start(&chat->timer, on_timer, due_ms > passed_ms ? due_ms - passed_ms : 1, 0);
}

/* The next piece of what the model has made. A client that reads slowly gets it slowly: the model
 * stands still meanwhile, and what it did not make is not charged. */
static void stream_go_on(struct weir_chat *chat)
{
    const struct weir_mock_config *mock = &chat->snapshot->config->mock;
    uint32_t made = tokens_made(chat), total = chat->answer.output_tokens;
    if (chat->begun && weir_http_stream_unsent(chat->x) > STREAM_UNSENT_MAX) {
        chat_wait_until(chat, model_ms(chat) + STREAM_WAIT_MS);
        return;
    }
    struct weir_buf *b = &chat->service->body;
    weir_buf_reset(b);
    if (!chat->begun) {
        stream_begin(chat, b); /* uses the buffer for the head first */
    }
    bool more = made - chat->sent > STREAM_PIECE_TOKENS;
    stream_tokens(chat, b, more ? chat->sent + STREAM_PIECE_TOKENS : made);
    if (chat->sent == total && model_ms(chat) >= mock->first_token_ms) {
        stream_end(chat, b);
        return;
    }
    weir_http_stream_write(chat->x, weir_buf_view(b));
    chat_wait_until(chat, weir_mock_due_ms(mock, chat->sent));
}

/* Says what the model has made by now. */
static void chat_go_on(struct weir_chat *chat)
{
    const struct weir_mock_config *mock = &chat->snapshot->config->mock;
    uint32_t total = chat->answer.output_tokens;
    uint64_t last_due_ms = weir_mock_due_ms(mock, total == 0 ? 0 : total - 1);
    if (chat->stream) {
        stream_go_on(chat);
    } else if (model_ms(chat) < last_due_ms) {
        chat_wait_until(chat, last_due_ms);
    } else {
        answer_plain(chat);
    }
}

/* ---- the decision ---- */

static void chat_decided(struct weir_call *call)
{
    struct weir_chat *chat = call->ctx;
    struct weir_service *s = chat->service;
    chat->now_ns = weir_clock_ns();
    weir_count_decision(s, call, chat->now_ns - chat->asked_ns);
    weir_access_decided(chat->access, call, chat->now_ns - chat->asked_ns);
    chat->waiting = false;
    if (chat->x == NULL) { /* gone meanwhile: the model does not run; request and input stand */
        if (call->outcome == WEIR_OUTCOME_DECIDED && call->decision.allowed) {
            chat_settle(chat, 0);
        }
        chat_end(chat);
        return;
    }
    if (call->outcome != WEIR_OUTCOME_DECIDED) {
        weir_refuse_outcome(s, chat->x, chat->started_ns, call->outcome);
        chat_end(chat);
        return;
    }
    if (!call->decision.allowed) {
        answer_denied(chat);
        return;
    }
    chat->created_s = weir_clock_wall_s();
    chat->model_started_ms = uv_now(&s->loop->uv);
    chat_go_on(chat);
}

void weir_chat_completions(struct weir_request *r)
{
    struct weir_caller caller;
    struct weir_service *s = r->service;
    if (!weir_authenticate(r, &caller)) {
        return;
    }
    struct weir_chat *chat = chat_new(r);
    if (chat == NULL) {
        weir_refuse_outcome(s, r->x, r->started_ns, WEIR_OUTCOME_UNAVAILABLE);
        return;
    }
    if (!read_chat(r, chat)) {
        chat_end(chat);
        return;
    }
    weir_call_subjects(&chat->call, s->config, &caller, &chat->anonymous,
                       weir_config_model(s->config, weir_str(chat->model, chat->model_len)));
    if (chat->output_max == 0) {
        chat->output_max = chat->call.subject[0]->plan->default_output_tokens;
    }
    weir_request_id(s, chat->id);
    chat->answer = weir_mock_answer(&s->config->mock, chat->prompt_hash, chat->output_max);
    if (chat->asked_tokens != WEIR_MOCK_NOT_ASKED) {
        weir_mock_answer_resize(&chat->answer, chat->asked_tokens, chat->output_max);
    }
    weir_reserve(s, &chat->call,
                 caller.key != NULL ? &caller.key->subject : &chat->anonymous.subject,
                 weir_str(chat->model, chat->model_len), chat->input_tokens, chat->output_max, 1,
                 &chat->reserving);
    chat->call.amounts = weir_amounts(1, chat->input_tokens, chat->reserving.tokens);
    chat->call.done = chat_decided;
    chat->call.ctx = chat;
    chat->waiting = true;
    chat->asked_ns = weir_clock_ns();
    chat->call.now_us = chat->asked_ns / 1000;
    *weir_http_exchange_slot(r->x) = &chat->pending;
    if (weir_store_take(s->store, &chat->call) != WEIR_PENDING) {
        chat_decided(&chat->call);
    }
}
