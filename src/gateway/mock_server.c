/* SPDX-License-Identifier: Apache-2.0 */
/* mock_server.c - from a request to its handler, what needs no model, and the life of a server. */
#include "gateway/mock_server.h"

#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "gateway/mock_internal.h"
#include "gateway/mock_page.h"

enum { HEAD_MAX = 4096, BODY_MAX = 64 << 20 };

/* ---- whole answers ---- */

static void make_id(struct weir_mock_server *s, char id[static MOCK_ID_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    for (unsigned i = 0; i < MOCK_ID_BYTES; i += 16) {
        uint64_t bits = weir_rand_u64(&s->ids);
        for (unsigned k = 0; k < 16; k++, bits >>= 4) {
            id[i + k] = hex[bits & 15];
        }
    }
}

struct weir_buf *mock_head(struct weir_mock_server *s, bool anthropic,
                           const char id[static MOCK_ID_BYTES])
{
    weir_buf_reset(&s->head);
    weir_buf_str(&s->head,
                 anthropic ? WEIR_STR("request-id: req_") : WEIR_STR("x-request-id: req_"));
    weir_buf_append(&s->head, id, MOCK_ID_BYTES);
    weir_buf_str(&s->head, anthropic ? WEIR_STR("\r\n")
                                     : WEIR_STR("\r\nopenai-version: 2020-10-01\r\n"
                                                "openai-processing-ms: 1\r\n"));
    return &s->head;
}

void mock_answer(struct weir_mock_server *s, struct weir_http_exchange *x, int status)
{
    if (s->head.failed || s->body.failed) {
        weir_http_reply(x, 503, WEIR_STR(""), WEIR_STR(""), WEIR_STR(""));
        return;
    }
    weir_http_reply(x, status, weir_buf_view(&s->head), WEIR_STR("application/json"),
                    weir_buf_view(&s->body));
}

void mock_refuse(struct mock_ask *a, int status, const char *param, struct weir_str message,
                 struct weir_str headers)
{
    char id[4 + MOCK_ID_BYTES] = "req_";
    memcpy(id + 4, a->id, sizeof(a->id));
    weir_buf_str(mock_head(a->s, a->anthropic, a->id), headers);
    weir_buf_reset(&a->s->body);
    weir_mock_error(&a->s->body, a->anthropic, status, message, param, weir_str(id, sizeof(id)));
    mock_answer(a->s, a->x, status);
}

static void fail(struct mock_ask *a, int status)
{
    char headers[96] = "";
    if (status == 429) {
        uint32_t ms = a->s->o->retry_after_ms;
        snprintf(headers, sizeof(headers), "retry-after-ms: %u\r\nretry-after: %u\r\n", ms,
                 ms / 1000 + (ms % 1000 != 0));
    }
    mock_refuse(a, status, NULL,
                status == 429 ? WEIR_STR("The mock was told to say that a rate limit is reached.")
                              : WEIR_STR("The mock was told to fail."),
                weir_str_z(headers));
}

bool mock_header_number(const struct mock_ask *a, struct weir_str name, uint64_t max, uint64_t *ret)
{
    struct weir_str value = weir_http_header(a->http, name);
    return value.p != NULL && weir_str_u64(value, max, ret) == WEIR_OK;
}

/* ---- routes ---- */

static const struct weir_shape_ops *const shapes[WEIR_MOCK_APIS] = {
    [WEIR_MOCK_CHAT] = &weir_shape_chat,
    [WEIR_MOCK_COMPLETION] = &weir_shape_completion,
    [WEIR_MOCK_RESPONSE] = &weir_shape_response,
    [WEIR_MOCK_MESSAGE] = &weir_shape_message,
};

static const struct route {
    struct weir_str path;
    enum weir_mock_api api;
} routes[] = {
    {WEIR_STR_INIT("/v1/chat/completions"), WEIR_MOCK_CHAT},
    {WEIR_STR_INIT("/v1/completions"), WEIR_MOCK_COMPLETION},
    {WEIR_STR_INIT("/v1/responses"), WEIR_MOCK_RESPONSE},
    {WEIR_STR_INIT("/v1/embeddings"), WEIR_MOCK_EMBEDDING},
    {WEIR_STR_INIT("/v1/messages"), WEIR_MOCK_MESSAGE},
    {WEIR_STR_INIT("/v1/messages/count_tokens"), WEIR_MOCK_COUNT},
};

static const struct route *route_of(struct weir_str path)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (weir_str_eq(path, routes[i].path)) {
            return &routes[i];
        }
    }
    return NULL;
}

/* "Bearer KEY", or x-api-key. */
static bool has_key(const struct mock_ask *a)
{
    struct weir_str want = a->s->o->api_key;
    struct weir_str bearer = weir_http_header(a->http, WEIR_STR("authorization"));
    struct weir_str prefix = WEIR_STR("Bearer ");
    if (want.p == NULL) {
        return true;
    }
    if (weir_str_starts(bearer, prefix) &&
        weir_str_eq(weir_str(bearer.p + prefix.len, bearer.len - prefix.len), want)) {
        return true;
    }
    return weir_str_eq(weir_http_header(a->http, WEIR_STR("x-api-key")), want);
}

/* What needs no model is counted here and at once. */
static void answer_without_model(struct mock_ask *a, enum weir_mock_api api,
                                 const struct weir_mock_request *r)
{
    struct weir_mock_server *s = a->s;
    mock_head(s, a->anthropic, a->id);
    weir_buf_reset(&s->body);
    if (api == WEIR_MOCK_COUNT) {
        weir_mock_count(&s->body, r->input_tokens);
    } else {
        weir_mock_embeddings(&s->body, r, s->o->model.seed);
    }
    bool good = !s->head.failed && !s->body.failed;
    weir_mock_ledger_end(s->shared->ledger, good ? WEIR_MOCK_COMPLETED : WEIR_MOCK_FAILED,
                         weir_mock_name_view(&r->model), weir_mock_name_view(&r->trace),
                         good && api == WEIR_MOCK_EMBEDDING ? r->input_tokens : 0, 0);
    mock_answer(s, a->x, 200);
}

static void ask_model(struct mock_ask *a, enum weir_mock_api api)
{
    struct weir_mock_server *s = a->s;
    struct weir_mock_request r;
    struct weir_mock_refusal why;
    enum weir_err err = weir_mock_request_read(api, &s->json, &s->text, a->http->body, &r, &why);
    if (err != WEIR_OK) {
        bool memory = err != WEIR_ERR_INVALID;
        mock_refuse(a, memory ? 503 : 400, memory ? NULL : why.param,
                    memory ? WEIR_STR("Out of memory.") : weir_str_z(why.text), WEIR_STR(""));
        return;
    }
    struct weir_str trace = weir_http_header(a->http, WEIR_STR("x-mock-trace"));
    if (trace.p != NULL && !weir_mock_name_set(&r.trace, trace)) {
        mock_refuse(a, 400, "x-mock-trace", WEIR_STR("x-mock-trace: expected at most 128 bytes."),
                    WEIR_STR(""));
        return;
    }
    uint64_t number = atomic_fetch_add_explicit(&s->shared->requests, 1, memory_order_relaxed),
             told = 0;
    struct weir_mock_fate fate = weir_mock_fate(&s->o->faults, s->o->model.seed, number);
    if (mock_header_number(a, WEIR_STR("x-mock-fail"), 999, &told) &&
        weir_mock_status_known((int)told)) {
        fate.status = (int)told;
    }
    weir_mock_ledger_begin(s->shared->ledger);
    if (fate.status != 0) {
        weir_mock_ledger_end(s->shared->ledger, WEIR_MOCK_FAILED, weir_mock_name_view(&r.model),
                             weir_mock_name_view(&r.trace), 0, 0);
        fail(a, fate.status);
    } else if (shapes[api] == NULL) {
        answer_without_model(a, api, &r);
    } else {
        mock_call_begin(a, &r, shapes[api], &fate);
    }
}

static void tell_models(struct mock_ask *a, struct weir_str name)
{
    struct weir_buf *b = &a->s->body;
    a->anthropic = weir_http_header(a->http, WEIR_STR("anthropic-version")).p != NULL;
    mock_head(a->s, a->anthropic, a->id);
    weir_buf_reset(b);
    if (name.len > 0) {
        weir_mock_model(b, a->anthropic, name);
    } else {
        weir_mock_models(b, a->anthropic, a->s->o->models);
    }
    mock_answer(a->s, a->x, 200);
}

/* ?trace=NAME, as it stands. */
static void tell_usage(struct mock_ask *a)
{
    struct weir_str query = a->http->query, prefix = WEIR_STR("trace="), trace = {0};
    if (weir_str_starts(query, prefix)) {
        trace = weir_str(query.p + prefix.len, query.len - prefix.len);
    }
    mock_head(a->s, false, a->id);
    weir_buf_reset(&a->s->body);
    if (!weir_mock_ledger_json(a->s->shared->ledger, trace, &a->s->body)) {
        mock_refuse(a, 404, "trace", WEIR_STR("No request had this trace."), WEIR_STR(""));
        return;
    }
    mock_answer(a->s, a->x, 200);
}

static void tell(struct mock_ask *a, struct weir_str path)
{
    struct weir_str models = WEIR_STR("/v1/models/");
    if (weir_str_eq(path, WEIR_STR("/mock/usage"))) {
        tell_usage(a);
    } else if (!has_key(a)) {
        mock_refuse(a, 401, NULL, WEIR_STR("Incorrect API key provided."), WEIR_STR(""));
    } else if (weir_str_eq(path, weir_str(models.p, models.len - 1))) {
        tell_models(a, WEIR_STR(""));
    } else if (weir_str_starts(path, models) && path.len > models.len) {
        tell_models(a, weir_str(path.p + models.len, path.len - models.len));
    } else {
        mock_refuse(a, 404, NULL, WEIR_STR("Unknown request URL. See docs/mock.md."), WEIR_STR(""));
    }
}

static void on_request(void *ctx, struct weir_http_exchange *x,
                       const struct weir_http_request *http)
{
    struct mock_ask a = {.s = ctx, .x = x, .http = http};
    const struct route *route = route_of(http->path);
    a.anthropic = route != NULL && route->api >= WEIR_MOCK_MESSAGE;
    make_id(a.s, a.id);
    if (route == NULL && http->method <= WEIR_HTTP_HEAD) {
        tell(&a, http->path);
    } else if (route == NULL) {
        mock_refuse(&a, 404, NULL, WEIR_STR("Unknown request URL. See docs/mock.md."),
                    WEIR_STR(""));
    } else if (http->method != WEIR_HTTP_POST) {
        mock_refuse(&a, 405, NULL, WEIR_STR("This URL does not offer that method."),
                    WEIR_STR("allow: POST\r\n"));
    } else if (!has_key(&a)) {
        mock_refuse(&a, 401, NULL, WEIR_STR("Incorrect API key provided."), WEIR_STR(""));
    } else {
        ask_model(&a, route->api);
    }
}

static void on_gone(void *ctx, struct weir_http_exchange *x)
{
    (void)ctx;
    struct mock_call *c = *weir_http_exchange_slot(x);
    if (c != NULL) {
        mock_call_gone(c);
    }
}

static void refusal_body(void *ctx, int status, struct weir_str reason,
                         const struct weir_http_request *req, struct weir_buf *body)
{
    (void)ctx;
    (void)req;
    weir_mock_error(body, false, status, reason, NULL, WEIR_STR(""));
}

/* ---- a server ---- */

enum weir_err weir_mock_server_new(struct weir_mock_shared *shared, struct weir_loop *loop, int fd,
                                   struct weir_mock_server **ret_server)
{
    struct weir_mock_server *s = weir_zalloc(sizeof(*s));
    if (s == NULL) {
        close(fd);
        return WEIR_ERR_NOMEM;
    }
    s->shared = shared;
    s->o = shared->options;
    s->loop = loop;
    weir_json_init(&s->json);
    weir_buf_init(&s->text, s->o->limits.body_bytes_max);
    weir_buf_init(&s->head, HEAD_MAX);
    weir_buf_init(&s->body, BODY_MAX);
    uint64_t seed;
    weir_random_bytes(&seed, sizeof(seed));
    weir_rand_init(&s->ids, seed);
    const struct weir_http_handler handler = {
        .on_request = on_request, .on_gone = on_gone, .error_body = refusal_body, .ctx = s};
    enum weir_err err = weir_http_server_new(loop, fd, &s->o->limits, &handler, &s->http);
    if (err != WEIR_OK) {
        weir_mock_server_free(s);
        return err;
    }
    *ret_server = s;
    return WEIR_OK;
}

void weir_mock_server_drain(struct weir_mock_server *s, uint32_t timeout_ms,
                            void (*drained)(void *ctx), void *ctx)
{
    weir_http_server_drain(s->http, timeout_ms, drained, ctx);
}

void weir_mock_server_free(struct weir_mock_server *s)
{
    if (s == NULL) {
        return;
    }
    weir_http_server_free(s->http);
    mock_calls_free(s);
    weir_json_deinit(&s->json);
    weir_buf_deinit(&s->text);
    weir_buf_deinit(&s->head);
    weir_buf_deinit(&s->body);
    weir_free(s);
}
