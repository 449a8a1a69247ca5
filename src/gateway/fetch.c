/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.c - the life of a fetch. Its easy handle is used again: setting one up costs more than what
 * one request changes in it. */
#include "gateway/fetch.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/curl_loop.h"

enum {
    SWEEP_MS = 250,
    SPARES_MAX = 1024,
    KEEP_BYTES = 16 * 1024, /* of a buffer that waits to be used again */
    LINES_MAX = WEIR_HTTP_HEADERS_MAX + 4,
    MODEL_MAX = 256,
    METHOD_MAX = 32,
};

struct weir_fetch {
    struct weir_upstreams *upstreams;
    const struct weir_fetch_handler *handler;
    void *ctx;
    struct weir_fetch *prev, *next; /* under way; or a free list */
    struct weir_fetch *next_dead;
    CURL *easy;
    const struct weir_upstream_config *set_for; /* what the easy handle was set up for */
    /* the request */
    struct weir_buf target, fields, body; /* NUL behind each text but the body */
    size_t lines;
    struct curl_slist line[LINES_MAX];
    char credential_line[WEIR_SECRET_MAX + 32];
    enum weir_credential credential;
    char method[METHOD_MAX];
    char model[MODEL_MAX];
    size_t model_len;
    /* where it stands */
    unsigned upstream, next_upstream;
    uint64_t tried; /* a set of upstreams */
    uint64_t sent_ns, progress_ms;
    struct weir_buf head; /* of the answer, as it comes */
    bool listed, running, told, again, refused, paused, dead, failed;
};

struct weir_upstreams {
    struct weir_upstream_set set;
    struct weir_curl_loop curl;
    struct weir_loop *loop;
    uv_timer_t sweep;
    bool sweeping, closing, closed, released;
    unsigned open; /* of the sweep's timer and the curl loop */
    struct weir_fetch *active, *spare, *dead;
    uint32_t spares;
    uint32_t failed;        /* of the active ones: could not even be sent */
    struct weir_buf fields; /* of the head that is being told */
    struct weir_log_gate refused_gate;
};

static uint64_t now_ms(const struct weir_upstreams *u)
{
    return uv_now(&u->loop->uv);
}

static void count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* ---- memory ---- */

static void fetch_deinit(struct weir_fetch *f)
{
    if (f->easy != NULL) {
        curl_easy_cleanup(f->easy);
    }
    weir_buf_deinit(&f->target);
    weir_buf_deinit(&f->fields);
    weir_buf_deinit(&f->body);
    weir_buf_deinit(&f->head);
    weir_wipe(f->credential_line, sizeof(f->credential_line));
    weir_free(f);
}

static void fetch_release(struct weir_fetch *f)
{
    struct weir_upstreams *u = f->upstreams;
    if (u->closing || u->spares == SPARES_MAX) {
        fetch_deinit(f);
        return;
    }
    weir_buf_recycle(&f->target, KEEP_BYTES);
    weir_buf_recycle(&f->fields, KEEP_BYTES);
    weir_buf_recycle(&f->body, KEEP_BYTES);
    weir_buf_recycle(&f->head, KEEP_BYTES);
    f->next = u->spare;
    u->spare = f;
    u->spares++;
}

static void unlist(struct weir_fetch *f)
{
    if (!f->listed) {
        return;
    }
    if (f->prev != NULL) {
        f->prev->next = f->next;
    } else {
        f->upstreams->active = f->next;
    }
    if (f->next != NULL) {
        f->next->prev = f->prev;
    }
    f->listed = false;
}

static void on_sweep(uv_timer_t *timer);

static void list(struct weir_fetch *f)
{
    struct weir_upstreams *u = f->upstreams;
    f->prev = NULL;
    f->next = u->active;
    if (u->active != NULL) {
        u->active->prev = f;
    }
    u->active = f;
    f->listed = true;
    if (!u->sweeping) {
        u->sweeping = true;
        uv_timer_start(&u->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    }
}

/* ---- the answer ---- */

static struct weir_upstream *upstream_of(const struct weir_fetch *f)
{
    return &f->upstreams->set.upstream[f->upstream];
}

static struct weir_str model_of(const struct weir_fetch *f)
{
    return weir_str(f->model, f->model_len);
}

/* Whether there is another upstream to ask. */
static bool find_another(struct weir_fetch *f)
{
    struct weir_upstream_set *set = &f->upstreams->set;
    uint64_t without = f->tried | weir_upstream_mocks(set);
    return weir_upstream_instead(set, model_of(f), without, now_ms(f->upstreams),
                                 &f->next_upstream) == WEIR_OK;
}

static void say_refused(struct weir_fetch *f)
{
    uint32_t held;
    if (weir_log_gate_pass(&f->upstreams->refused_gate, 1, weir_clock_us(), &held)) {
        weir_log(WEIR_LOG_ERROR, "upstream %s refuses weir's api_key (401)",
                 upstream_of(f)->config->name);
    }
}

/* What the status says of the upstream. True: the client should not get this answer, if another
 * upstream has a better one. */
static bool judge(struct weir_fetch *f, const struct weir_answer_head *head)
{
    struct weir_upstream *u = upstream_of(f);
    uint64_t now = now_ms(f->upstreams);
    count(&u->stats.responses[head->status / 100]);
    weir_hist_add(&u->stats.first_byte, weir_clock_ns() - f->sent_ns);
    if (head->status == 429) {
        weir_upstream_limited(u, model_of(f), head->retry_ms, now);
        return true;
    }
    if (head->status >= 500 || head->status == 401) {
        weir_upstream_failed(u, head->retry_ms, now);
        f->refused = head->status == 401;
        return true;
    }
    weir_upstream_answered(u);
    return false;
}

/* The request was sent whole: a long stream does not hold it. */
static void drop_body(struct weir_fetch *f)
{
    curl_off_t sent = 0;
    if (f->body.room > KEEP_BYTES &&
        curl_easy_getinfo(f->easy, CURLINFO_SIZE_UPLOAD_T, &sent) == CURLE_OK &&
        (uint64_t)sent == f->body.len) {
        weir_buf_deinit(&f->body);
    }
}

/* False: this transfer ends here. */
static bool head_complete(struct weir_fetch *f)
{
    long code = 0;
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &code);
    if (code < 200) { /* an interim answer */
        weir_buf_reset(&f->head);
        return true;
    }
    struct weir_answer_head head;
    struct weir_buf *fields = &f->upstreams->fields;
    weir_buf_reset(fields);
    if (weir_answer_head_read(weir_buf_view(&f->head), weir_clock_wall_s(), fields, &head) !=
        WEIR_OK) {
        return false;
    }
    if (judge(f, &head) && find_another(f)) {
        f->again = true;
        return false;
    }
    if (f->refused) {
        say_refused(f);
        return false;
    }
    f->told = true;
    drop_body(f);
    f->handler->on_head(f->ctx, &head, weir_buf_view(fields));
    weir_buf_recycle(&f->head, KEEP_BYTES);
    return true;
}

static size_t on_header(char *bytes, size_t one, size_t len, void *ctx)
{
    struct weir_fetch *f = ctx;
    (void)one;
    if (f->dead) {
        return 0;
    }
    f->progress_ms = now_ms(f->upstreams);
    if (f->told) {
        return len; /* trailers are not passed on */
    }
    if (len >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        weir_buf_reset(&f->head);
    }
    bool empty = len <= 2 && bytes[0] != '\0' && (bytes[0] == '\r' || bytes[0] == '\n');
    if (!empty) {
        weir_buf_append(&f->head, bytes, len);
        return f->head.failed ? 0 : len;
    }
    return head_complete(f) ? len : 0;
}

static size_t on_body(char *bytes, size_t one, size_t len, void *ctx)
{
    struct weir_fetch *f = ctx;
    (void)one;
    if (f->dead || !f->told) {
        return 0;
    }
    f->progress_ms = now_ms(f->upstreams);
    if (len > 0) {
        f->handler->on_body(f->ctx, weir_str(bytes, len));
    }
    return len;
}

/* ---- sending ---- */

static bool set_up(struct weir_fetch *f)
{
    CURL *e = weir_curl_loop_easy(&f->upstreams->curl);
    if (e == NULL) {
        return false;
    }
    f->easy = e;
    f->set_for = NULL;
    curl_easy_setopt(e, CURLOPT_PRIVATE, f);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, f);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    return true;
}

static void add_line(struct weir_fetch *f, const char *text)
{
    union { /* curl only reads what its list says is char * */
        const char *text;
        char *line;
    } given = {text};
    struct curl_slist *line = &f->line[f->lines];
    line->data = given.line;
    line->next = NULL;
    if (f->lines > 0) {
        f->line[f->lines - 1].next = line;
    }
    f->lines++;
}

/* The client's fields, and those that curl must not make up. */
static void set_lines(struct weir_fetch *f, const struct weir_upstream_config *config)
{
    bool typed = false;
    f->lines = 0;
    for (size_t at = 0; at < f->fields.len; at += strlen(f->fields.data + at) + 1) {
        const char *text = f->fields.data + at;
        typed = typed || strncasecmp(text, "content-type:", 13) == 0;
        add_line(f, text);
    }
    add_line(f, "Expect:");
    if (!typed) {
        add_line(f, "Content-Type:");
    }
    if (config->api_key[0] != '\0') {
        snprintf(f->credential_line, sizeof(f->credential_line), "%s%s",
                 f->credential == WEIR_CREDENTIAL_BEARER ? "Authorization: Bearer " : "x-api-key: ",
                 config->api_key);
        add_line(f, f->credential_line);
    }
    curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, f->line);
}

static void set_method(struct weir_fetch *f)
{
    bool post = strcmp(f->method, "POST") == 0, head = strcmp(f->method, "HEAD") == 0;
    if (head) {
        curl_easy_setopt(f->easy, CURLOPT_NOBODY, 1L);
        curl_easy_setopt(f->easy, CURLOPT_CUSTOMREQUEST, NULL);
        return;
    }
    curl_easy_setopt(f->easy, CURLOPT_NOBODY, 0L);
    if (post || f->body.len > 0) {
        curl_easy_setopt(f->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(f->easy, CURLOPT_POSTFIELDS, f->body.len > 0 ? f->body.data : "");
        curl_easy_setopt(f->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)f->body.len);
    } else {
        curl_easy_setopt(f->easy, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(f->easy, CURLOPT_CUSTOMREQUEST, post ? NULL : f->method);
}

/* False: no memory. */
static bool set_target(struct weir_fetch *f, const struct weir_upstream_config *config)
{
    char url[sizeof(config->base_url) + 512];
    size_t base = strlen(config->base_url);
    if (base + f->target.len < sizeof(url)) {
        memcpy(url, config->base_url, base);
        memcpy(url + base, f->target.data, f->target.len);
        return curl_easy_setopt(f->easy, CURLOPT_URL, url) == CURLE_OK;
    }
    struct weir_buf b;
    weir_buf_init(&b, base + f->target.len);
    weir_buf_append(&b, config->base_url, base);
    weir_buf_str(&b, weir_buf_view(&f->target));
    bool done = !b.failed && curl_easy_setopt(f->easy, CURLOPT_URL, b.data) == CURLE_OK;
    weir_buf_deinit(&b);
    return done;
}

static bool set_upstream(struct weir_fetch *f, const struct weir_upstream_config *config)
{
    if (f->set_for == config) {
        return true;
    }
    f->set_for = NULL;
    if (curl_easy_setopt(f->easy, CURLOPT_PROXY, config->proxy) != CURLE_OK ||
        (config->ca[0] != '\0' &&
         curl_easy_setopt(f->easy, CURLOPT_CAINFO, config->ca) != CURLE_OK)) {
        return false;
    }
    /* the first connection tells whether all that come meanwhile can share it */
    curl_easy_setopt(f->easy, CURLOPT_PIPEWAIT,
                     strncmp(config->base_url, "https", 5) == 0 ? 1L : 0L);
    curl_easy_setopt(f->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)config->connect_timeout_ms);
    f->set_for = config;
    return true;
}

/* False: no memory. */
static bool attempt(struct weir_fetch *f)
{
    const struct weir_upstream_config *config = upstream_of(f)->config;
    if (f->easy != NULL && f->set_for != NULL && f->set_for->ca[0] != '\0' &&
        f->set_for != config) {
        curl_easy_cleanup(f->easy); /* there is no going back to the system's authorities */
        f->easy = NULL;
    }
    f->tried |= UINT64_C(1) << f->upstream;
    f->again = f->refused = f->told = f->paused = false;
    weir_buf_reset(&f->head);
    if ((f->easy == NULL && !set_up(f)) || !set_upstream(f, config) || !set_target(f, config)) {
        return false;
    }
    set_lines(f, config);
    set_method(f);
    f->sent_ns = weir_clock_ns();
    f->progress_ms = now_ms(f->upstreams);
    f->running = curl_multi_add_handle(f->upstreams->curl.multi, f->easy) == CURLM_OK;
    return f->running;
}

/* ---- the end of a transfer ---- */

/* Tells it; the fetch is the caller's to free. */
static void end(struct weir_fetch *f, enum weir_fetch_end how)
{
    unlist(f);
    f->handler->on_end(f->ctx, how);
}

static enum weir_fetch_end failure_of(CURLcode result)
{
    switch (result) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT: /* only connecting has a time of curl's */
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_PROXY:
        return WEIR_FETCH_CONNECT;
    default:
        return WEIR_FETCH_BROKEN;
    }
}

static void count_failure(struct weir_fetch *f, enum weir_fetch_end how)
{
    struct weir_upstream_stats *stats = &upstream_of(f)->stats;
    count(&stats->failures[how == WEIR_FETCH_CONNECT  ? WEIR_UPSTREAM_CONNECT
                           : how == WEIR_FETCH_SILENT ? WEIR_UPSTREAM_SILENT
                                                      : WEIR_UPSTREAM_BROKEN]);
    weir_upstream_failed(upstream_of(f), 0, now_ms(f->upstreams));
}

/* It failed: another upstream, as long as the client was told nothing. What was silent for long may
 * be working on it still. */
static void fail(struct weir_fetch *f, enum weir_fetch_end how)
{
    count_failure(f, how);
    if (!f->told && how != WEIR_FETCH_SILENT && find_another(f)) {
        f->upstream = f->next_upstream;
        if (attempt(f)) {
            return;
        }
    }
    end(f, how);
}

static void on_done(void *ctx, CURL *easy, CURLcode result)
{
    struct weir_fetch *f;
    (void)ctx;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &f);
    f->running = false;
    if (f->dead) {
        return; /* is released when the turn ends */
    }
    if (f->again) {
        f->upstream = f->next_upstream;
        if (!attempt(f)) {
            end(f, WEIR_FETCH_CONNECT);
        }
    } else if (f->refused) {
        end(f, WEIR_FETCH_REFUSED);
    } else if (result == CURLE_OK && f->told) {
        end(f, WEIR_FETCH_COMPLETE);
    } else {
        fail(f, failure_of(result));
    }
}

/* Cancels a transfer, outside of curl. Over HTTP/2 curl 7.88 does not send the reset of a stream by
 * itself (curl/curl#17611): a connection that nobody else uses is closed instead, and others send
 * it along. */
static void cancel(struct weir_fetch *f)
{
    curl_easy_setopt(f->easy, CURLOPT_FORBID_REUSE, 1L);
    curl_multi_remove_handle(f->upstreams->curl.multi, f->easy);
    curl_easy_setopt(f->easy, CURLOPT_FORBID_REUSE, 0L);
    f->running = false;
}

static void on_turn(void *ctx)
{
    struct weir_upstreams *u = ctx;
    while (u->dead != NULL) {
        struct weir_fetch *f = u->dead;
        u->dead = f->next_dead;
        if (f->running) {
            cancel(f);
        }
        fetch_release(f);
    }
    for (struct weir_fetch *f = u->active, *next; u->failed > 0 && f != NULL; f = next) {
        next = f->next;
        if (f->failed) {
            f->failed = false;
            u->failed--;
            end(f, WEIR_FETCH_CONNECT);
        }
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct weir_upstreams *u = timer->data;
    uint64_t now = now_ms(u);
    for (struct weir_fetch *f = u->active, *next; f != NULL; f = next) {
        next = f->next; /* a callback frees its own fetch only */
        if (f->running && !f->paused &&
            now - f->progress_ms >= upstream_of(f)->config->timeout_ms) {
            cancel(f);
            fail(f, WEIR_FETCH_SILENT);
        }
    }
    if (u->active == NULL) {
        u->sweeping = false;
        uv_timer_stop(&u->sweep);
    }
}

/* ---- for callers ---- */

static struct weir_fetch *take_spare(struct weir_upstreams *u)
{
    struct weir_fetch *f = u->spare;
    if (f != NULL) {
        u->spare = f->next;
        u->spares--;
        return f;
    }
    f = weir_zalloc(sizeof(*f));
    if (f != NULL) {
        f->upstreams = u;
        weir_buf_init(&f->target, SIZE_MAX);
        weir_buf_init(&f->fields, SIZE_MAX);
        weir_buf_init(&f->body, SIZE_MAX);
        weir_buf_init(&f->head, WEIR_ANSWER_HEAD_MAX);
    }
    return f;
}

/* What stands behind "/v1", with its query. */
static void copy_target(struct weir_fetch *f, const struct weir_http_request *http)
{
    weir_buf_append(&f->target, http->path.p + 3, http->path.len - 3);
    if (http->query.len > 0) {
        weir_buf_char(&f->target, '?');
        weir_buf_str(&f->target, http->query);
    }
    weir_buf_char(&f->target, '\0');
}

struct weir_fetch *weir_fetch_new(struct weir_upstreams *u, const struct weir_http_request *http,
                                  struct weir_str body, struct weir_str model,
                                  enum weir_credential credential,
                                  const struct weir_fetch_handler *handler, void *ctx)
{
    WEIR_ASSERT(weir_path_passes(http->path));
    struct weir_fetch *f = take_spare(u);
    if (f == NULL) {
        return NULL;
    }
    f->handler = handler;
    f->ctx = ctx;
    f->credential = credential;
    f->tried = 0;
    f->listed = f->running = f->told = f->again = f->refused = f->paused = f->dead = f->failed =
        false;
    f->model_len = model.len < sizeof(f->model) ? model.len : sizeof(f->model);
    memcpy(f->model, model.len > 0 ? model.p : "", f->model_len);
    snprintf(f->method, sizeof(f->method), "%.*s", (int)http->method_text.len, http->method_text.p);
    copy_target(f, http);
    weir_request_fields(http, &f->fields);
    weir_buf_str(&f->body, body);
    if (f->target.failed || f->fields.failed || f->body.failed) {
        fetch_release(f);
        return NULL;
    }
    return f;
}

void weir_fetch_start(struct weir_fetch *f, unsigned upstream)
{
    f->upstream = upstream;
    WEIR_ASSERT(!f->listed && !upstream_of(f)->config->mock);
    list(f);
    if (!attempt(f)) {
        f->failed = true;
        f->upstreams->failed++;
        weir_curl_loop_turn(&f->upstreams->curl);
    }
}

void weir_fetch_pause(struct weir_fetch *f)
{
    if (f->running && !f->paused) {
        f->paused = true;
        curl_easy_pause(f->easy, CURLPAUSE_RECV);
    }
}

void weir_fetch_resume(struct weir_fetch *f)
{
    if (f->running && f->paused) {
        f->paused = false;
        f->progress_ms = now_ms(f->upstreams);
        curl_easy_pause(f->easy, CURLPAUSE_CONT); /* may call on_body */
    }
}

const struct weir_upstream *weir_fetch_upstream(const struct weir_fetch *f)
{
    return upstream_of(f);
}

void weir_fetch_free(struct weir_fetch *f)
{
    if (f == NULL) {
        return;
    }
    unlist(f);
    f->dead = true;
    f->upstreams->failed -= f->failed;
    if (f->running) { /* perhaps in one of its callbacks, where curl lets nothing go */
        f->next_dead = f->upstreams->dead;
        f->upstreams->dead = f;
        weir_curl_loop_turn(&f->upstreams->curl);
    } else {
        fetch_release(f);
    }
}

/* ---- the worker's upstreams ---- */

struct weir_upstream_set *weir_upstreams_set(struct weir_upstreams *u)
{
    return &u->set;
}

static void maybe_gone(struct weir_upstreams *u)
{
    if (u->open == 0 && u->released) {
        weir_upstream_set_deinit(&u->set);
        weir_buf_deinit(&u->fields);
        weir_free(u);
        curl_global_cleanup();
    }
}

static void on_curl_closed(void *ctx)
{
    struct weir_upstreams *u = ctx;
    u->open--;
    maybe_gone(u);
}

static void on_sweep_closed(uv_handle_t *handle)
{
    on_curl_closed(handle->data);
}

enum weir_err weir_upstreams_new(const struct weir_config *config, struct weir_loop *loop,
                                 struct weir_upstreams **ret_upstreams)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return WEIR_ERR_NOMEM;
    }
    struct weir_upstreams *u = weir_zalloc(sizeof(*u));
    uint64_t seed;
    weir_random_bytes(&seed, sizeof(seed));
    if (u == NULL || weir_upstream_set_init(&u->set, config, seed) != WEIR_OK) {
        weir_free(u);
        curl_global_cleanup();
        return WEIR_ERR_NOMEM;
    }
    const struct weir_curl_handler handler = {
        .done = on_done, .turn = on_turn, .closed = on_curl_closed, .ctx = u};
    if (weir_curl_loop_init(&u->curl, loop, &handler) != WEIR_OK) {
        weir_upstream_set_deinit(&u->set);
        weir_free(u);
        curl_global_cleanup();
        return WEIR_ERR_NOMEM;
    }
    u->loop = loop;
    u->open = 2;
    weir_buf_init(&u->fields, 2 * WEIR_ANSWER_HEAD_MAX);
    uv_timer_init(&loop->uv, &u->sweep);
    u->sweep.data = u;
    *ret_upstreams = u;
    return WEIR_OK;
}

void weir_upstreams_close(struct weir_upstreams *u)
{
    if (u == NULL || u->closing) {
        return;
    }
    u->closing = true;
    while (u->active != NULL) {
        weir_fetch_free(u->active);
    }
    on_turn(u);
    while (u->spare != NULL) {
        struct weir_fetch *f = u->spare;
        u->spare = f->next;
        fetch_deinit(f);
    }
    uv_close((uv_handle_t *)&u->sweep, on_sweep_closed);
    weir_curl_loop_close(&u->curl);
}

void weir_upstreams_free(struct weir_upstreams *u)
{
    if (u == NULL) {
        return;
    }
    weir_upstreams_close(u);
    u->released = true;
    maybe_gone(u);
}
