/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.c - the life of a request below /v1/ that upstreams answer: it is charged before it is
 * sent, and settled by what it really used. */
#include "service/proxy.h"

#include "base/clock.h"
#include "base/mem.h"
#include "tokens/calibration.h"

enum { SPARE_BYTES = 16 * 1024 }; /* of a buffer that waits to be used again */

/* ---- memory ---- */

static void release(struct weir_proxied *p)
{
    weir_buf_recycle(&p->headers, SPARE_BYTES);
    weir_buf_recycle(&p->type, SPARE_BYTES);
    weir_buf_recycle(&p->body, SPARE_BYTES);
    weir_snapshot_let_go(p->snapshot);
    p->snapshot = NULL;
    p->next = p->service->spare_proxied;
    p->service->spare_proxied = p;
}

void weir_proxied_end(struct weir_proxied *p)
{
    if (p->reading) {
        weir_answer_reader_deinit(&p->reader);
        p->reading = false;
    }
    if (p->fetch != NULL) {
        weir_access_upstream(p->access, weir_fetch_upstream(p->fetch));
    }
    weir_access_end(&p->access);
    weir_fetch_free(p->fetch);
    p->fetch = NULL;
    p->ended = true;
    if (!p->more_waiting) {
        release(p);
    }
}

void weir_proxied_close(struct weir_service *s)
{
    for (struct weir_proxied *p = s->proxied; p != NULL; p = p->all) {
        weir_fetch_free(p->fetch);
        p->fetch = NULL;
    }
}

void weir_proxied_free(struct weir_service *s)
{
    while (s->proxied != NULL) {
        struct weir_proxied *p = s->proxied;
        s->proxied = p->all;
        weir_access_end(&p->access);
        weir_buf_deinit(&p->headers);
        weir_buf_deinit(&p->type);
        weir_buf_deinit(&p->body);
        weir_snapshot_let_go(p->snapshot);
        weir_free(p);
    }
}

void weir_proxied_renew(struct weir_proxied *p)
{
    if (!p->more_waiting) { /* which names the subjects as they were */
        weir_snapshot_renew(p->service, &p->snapshot, &p->call, &p->anonymous);
    }
}

static void settle(struct weir_proxied *p, const struct weir_amounts *used)
{
    weir_proxied_renew(p);
    struct weir_settle settle = {
        .subjects = p->call.subjects,
        .reservation = p->call.reservation,
        .used = *used,
        .now_us = p->now_ns / 1000,
    };
    memcpy(settle.subject, p->call.subject, sizeof(settle.subject));
    /* nobody waits for it; where it fails the store counts that and the reservation stands */
    enum weir_err err = weir_store_settle(p->service->store, &settle);
    (void)err;
    weir_count_settled(p->service, &settle);
}

void weir_proxied_settle(struct weir_proxied *p, uint64_t input_tokens, uint64_t output_tokens)
{
    weir_access_settled(p->access, input_tokens, output_tokens);
    const struct weir_amounts used =
        weir_amounts(1, input_tokens, weir_proxied_settle_more(p, output_tokens));
    settle(p, &used);
}

void weir_proxied_settle_failed(struct weir_proxied *p, uint64_t input_tokens)
{
    bool charged = p->call.subject[0]->plan->charge_failed;
    weir_access_settled(p->access, input_tokens, 0);
    const struct weir_amounts used =
        weir_failed_use(charged, input_tokens, weir_proxied_settle_more(p, 0));
    settle(p, &used);
}

/* While the decision is under way it must come back first. */
static void gone(struct weir_pending *pending)
{
    struct weir_proxied *p = (struct weir_proxied *)pending;
    p->x = NULL;
    if (!p->waiting) {
        weir_proxied_cut(p);
        weir_proxied_end(p);
    }
}

static struct weir_proxied *proxied_new(struct weir_request *r)
{
    struct weir_service *s = r->service;
    struct weir_proxied *p = s->spare_proxied;
    if (p != NULL) {
        s->spare_proxied = p->next;
    } else {
        p = weir_zalloc(sizeof(*p));
        if (p == NULL) {
            return NULL;
        }
        p->pending.gone = gone;
        p->pending.drained = weir_proxied_drained;
        p->service = s;
        p->all = s->proxied;
        s->proxied = p;
        weir_buf_init(&p->headers, 4 * WEIR_ANSWER_HEAD_MAX);
        weir_buf_init(&p->type, WEIR_ANSWER_HEAD_MAX);
        weir_buf_init(&p->body, 2 * WEIR_PROXY_GATHER_MAX);
    }
    p->snapshot = weir_snapshot_keep(s);
    p->x = r->x;
    p->access = weir_access_hold(s, r->x);
    p->started_ns = p->now_ns = r->started_ns;
    p->waiting = p->stream = p->background = p->hide_usage = false;
    p->begun = p->reading = p->events = false;
    p->metered = r->http->method == WEIR_HTTP_POST;
    p->fetch = NULL;
    p->status = 0;
    p->line_ends = 2;
    p->more_from = p->more_taken = p->more_last = 0;
    p->more_waiting = p->cut_due = p->ended = false;
    p->model_len = 0;
    weir_request_id(s, p->id);
    return p;
}

/* ---- the request ---- */

static void refuse_plain(struct weir_proxied *p, int status, struct weir_str message,
                         const char *code, struct weir_str lines)
{
    const struct weir_failure f = {
        .status = status, .message = message, .type = "invalid_request_error", .code = code};
    weir_proxied_refuse(p, &f, lines);
}

/* False: it was refused. */
static bool check_form(struct weir_proxied *p, const struct weir_http_request *http)
{
    if (!weir_path_passes(http->path)) {
        refuse_plain(p, 404, WEIR_STR("Unknown request URL. See docs/http-api.md."), "unknown_url",
                     WEIR_STR(""));
        return false;
    }
    if (weir_str_eq(http->method_text, WEIR_STR("TRACE"))) { /* it would tell weir's credentials */
        refuse_plain(p, 405, WEIR_STR("This URL does not offer that method."), "method_not_allowed",
                     WEIR_STR("allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"));
        return false;
    }
    if (!p->dialect->any_method && http->method != WEIR_HTTP_POST) {
        refuse_plain(p, 405, WEIR_STR("This URL does not offer that method."), "method_not_allowed",
                     WEIR_STR("allow: POST\r\n"));
        return false;
    }
    if (!p->dialect->any_method && !weir_request_is_json(http)) {
        refuse_plain(p, 415, WEIR_STR("The content-type must be application/json."),
                     "unsupported_media_type", WEIR_STR(""));
        return false;
    }
    return true;
}

static bool check_caller(struct weir_proxied *p, struct weir_request *r,
                         struct weir_caller *ret_caller)
{
    switch (weir_caller_of(r, ret_caller)) {
    case WEIR_CALLER_KNOWN:
        return true;
    case WEIR_CALLER_SILENT:
        refuse_plain(
            p, 401,
            WEIR_STR("You didn't provide an API key. You need to provide your API key in an "
                     "Authorization header using Bearer auth (i.e. Authorization: Bearer "
                     "YOUR_KEY), or in an x-api-key header."),
            NULL, WEIR_STR("www-authenticate: Bearer\r\n"));
        return false;
    case WEIR_CALLER_DISABLED:
        refuse_plain(p, 403, WEIR_STR("This API key is disabled."), "key_disabled", WEIR_STR(""));
        return false;
    case WEIR_CALLER_UNKNOWN:
        break;
    }
    refuse_plain(p, 401, WEIR_STR("Incorrect API key provided."), "invalid_api_key",
                 WEIR_STR("www-authenticate: Bearer\r\n"));
    return false;
}

/* What the model will take the input for. Its ratio is learnt from requests that are text for the
 * most part: of the rest weir's count is too far from what models make of it. */
static void expect_input(struct weir_proxied *p, const struct weir_dialect_request *request)
{
    bool text = request->text_tokens >= request->input_tokens / 4 * 3;
    p->input_tokens = request->input_tokens;
    p->counted_tokens = 0;
    if (!request->exact && p->model_len > 0) {
        p->input_tokens =
            weir_calibration_expect(p->service->group->calibration,
                                    weir_str(p->model, p->model_len), request->input_tokens);
        p->counted_tokens = text ? request->input_tokens : 0;
    }
}

static bool read_body(struct weir_proxied *p, const struct weir_http_request *http,
                      struct weir_dialect_request *ret)
{
    struct weir_service *s = p->service;
    struct weir_dialect_refusal why;
    const struct weir_counting counting = {weir_tokens_base(), s->memory};
    enum weir_err err =
        weir_dialect_read(p->dialect, &s->json, &s->text, counting, http->body, ret, &why);
    if (err == WEIR_ERR_INVALID) {
        const struct weir_failure f = {.status = 400,
                                       .message = weir_str_z(why.text),
                                       .type = "invalid_request_error",
                                       .param = why.param[0] == '\0' ? NULL : why.param};
        weir_proxied_refuse(p, &f, WEIR_STR(""));
        return false;
    }
    if (err != WEIR_OK) {
        weir_proxied_unavailable(p, WEIR_OUTCOME_UNAVAILABLE);
        return false;
    }
    p->model_len =
        (uint32_t)(ret->model.len < sizeof(p->model) ? ret->model.len : sizeof(p->model));
    if (p->model_len > 0) {
        memcpy(p->model, ret->model.p, p->model_len);
    }
    weir_access_asks(p->access, weir_str(p->model, p->model_len), ret->stream);
    p->stream = ret->stream;
    p->background = ret->background;
    p->hide_usage = ret->stream && !ret->include_usage;
    expect_input(p, ret);
    return true;
}

static void refuse_model(struct weir_proxied *p)
{
    char message[WEIR_MODEL_MAX + 64];
    if (p->model_len == 0) {
        refuse_plain(p, 404, WEIR_STR("Unknown request URL. See docs/http-api.md."), "unknown_url",
                     WEIR_STR(""));
        return;
    }
    snprintf(message, sizeof(message), "The model `%.*s` does not exist.", (int)p->model_len,
             p->model);
    refuse_plain(p, 404, weir_str_z(message), "model_not_found", WEIR_STR(""));
}

/* Where it goes. False: it was refused, or is the mock's. */
static bool choose(struct weir_proxied *p, struct weir_request *r)
{
    struct weir_upstream_set *set = weir_upstreams_set(p->service->upstreams);
    bool chat = p->dialect == &weir_dialect_chat;
    uint64_t wait_ms = 0;
    enum weir_err err = weir_upstream_choose(set, weir_str(p->model, p->model_len),
                                             chat ? 0 : weir_upstream_mocks(set),
                                             uv_now(&p->service->loop->uv), &p->upstream, &wait_ms);
    if (err == WEIR_ERR_UNAVAILABLE) {
        weir_proxied_must_wait(p, wait_ms);
        return false;
    }
    if (err != WEIR_OK) {
        refuse_model(p);
        return false;
    }
    if (set->upstream[p->upstream].config->mock) {
        weir_access_upstream(p->access, set->upstream[p->upstream].config->name);
        if (p->access != NULL) {
            weir_access_let_go(&p->access);
        }
        weir_proxied_end(p);
        weir_chat_completions(r);
        return false;
    }
    return true;
}

/* False: it was refused. */
static bool prepare_fetch(struct weir_proxied *p, const struct weir_http_request *http,
                          const struct weir_edit *edit)
{
    struct weir_service *s = p->service;
    struct weir_str body = http->body;
    struct weir_str key = weir_http_header(http, WEIR_STR("x-api-key"));
    if (edit->put.len > 0) {
        weir_buf_reset(&s->body);
        weir_edit_apply(edit, body, &s->body);
        body = weir_buf_view(&s->body);
    }
    if (!s->body.failed) {
        bool bearer = weir_http_header(http, WEIR_STR("authorization")).p != NULL;
        bool x_api_key = p->dialect->api->x_api_key || (key.p != NULL && !bearer);
        p->fetch = weir_fetch_new(s->upstreams, http, body, weir_str(p->model, p->model_len),
                                  x_api_key ? WEIR_CREDENTIAL_X_API_KEY : WEIR_CREDENTIAL_BEARER,
                                  &weir_proxy_fetch_handler, p);
    }
    if (p->fetch == NULL) {
        weir_proxied_unavailable(p, WEIR_OUTCOME_UNAVAILABLE);
        return false;
    }
    return true;
}

/* ---- the decision ---- */

static void decided(struct weir_call *call)
{
    struct weir_proxied *p = call->ctx;
    p->now_ns = weir_clock_ns();
    weir_count_decision(p->service, call, p->now_ns - p->asked_ns);
    weir_access_decided(p->access, call, p->now_ns - p->asked_ns);
    p->waiting = false;
    if (p->x == NULL) { /* gone meanwhile: nothing is sent */
        if (call->outcome == WEIR_OUTCOME_DECIDED && call->decision.allowed) {
            weir_proxied_settle(p, p->input_tokens, 0);
        }
        weir_proxied_end(p);
    } else if (call->outcome != WEIR_OUTCOME_DECIDED) {
        weir_proxied_unavailable(p, call->outcome);
    } else if (!call->decision.allowed) {
        weir_proxied_denied(p);
    } else {
        weir_access_sent(p->access, p->now_ns);
        weir_fetch_start(p->fetch, p->upstream);
    }
}

static void charge(struct weir_proxied *p, const struct weir_caller *caller,
                   const struct weir_dialect_request *request)
{
    struct weir_service *s = p->service;
    const struct weir_subject *model =
        p->model_len == 0 ? NULL : weir_config_model(s->config, weir_str(p->model, p->model_len));
    weir_call_subjects(&p->call, s->config, caller, &p->anonymous, model);
    uint64_t output =
        weir_output_reserved(request, p->call.subject[0]->plan->default_output_tokens);
    p->reserving = (struct weir_reserving){0};
    if (output > 0) {
        weir_reserve(s, &p->call,
                     caller->key != NULL ? &caller->key->subject : &p->anonymous.subject,
                     weir_str(p->model, p->model_len), p->input_tokens, output, request->choices,
                     &p->reserving);
        output = p->reserving.tokens;
    }
    p->more_from = output;
    p->call.amounts = weir_amounts(1, p->input_tokens, output);
    p->call.done = decided;
    p->call.ctx = p;
    p->waiting = true;
    p->asked_ns = weir_clock_ns();
    p->call.now_us = p->asked_ns / 1000;
    *weir_http_exchange_slot(p->x) = &p->pending;
    weir_http_exchange_needs_client(p->x);
    if (weir_store_take(s->store, &p->call) != WEIR_PENDING) {
        decided(&p->call);
    }
}

void weir_proxy(struct weir_request *r)
{
    struct weir_dialect_request request;
    struct weir_caller caller;
    struct weir_proxied *p = proxied_new(r);
    if (p == NULL) {
        weir_refuse_outcome(r->service, r->x, r->started_ns, WEIR_OUTCOME_UNAVAILABLE);
        return;
    }
    bool anthropic = weir_http_header(r->http, WEIR_STR("anthropic-version")).p != NULL;
    p->dialect = weir_dialect_of(r->http->path, anthropic);
    if (check_form(p, r->http) && check_caller(p, r, &caller) && read_body(p, r->http, &request) &&
        choose(p, r) && prepare_fetch(p, r->http, &request.edit)) {
        charge(p, &caller, &request);
    }
}
