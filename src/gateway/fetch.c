/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.c - the life of a fetch, and what becomes of it when a transfer ends. */
#include "base/mem.h"
#include "gateway/fetch_internal.h"

enum { SWEEP_MS = 250, SPARES_MAX = 1024 };

/* ---- memory ---- */

void weir_fetch_deinit(struct weir_fetch *f)
{
    if (f->easy != NULL) {
        curl_easy_cleanup(f->easy);
    }
    curl_url_cleanup(f->url);
    weir_buf_deinit(&f->url_text);
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
    bool present = f->set == u->set;
    weir_upstream_set_let_go(f->set);
    f->set = NULL;
    if (u->closing || u->spares == SPARES_MAX || !present) {
        weir_fetch_deinit(f);
        return;
    }
    if (f->url_text.room > FETCH_KEEP_BYTES) { /* curl keeps as much of it again */
        curl_easy_cleanup(f->easy);
        curl_url_cleanup(f->url);
        f->easy = NULL;
        f->url = NULL;
    }
    weir_buf_recycle(&f->target, FETCH_KEEP_BYTES);
    weir_buf_recycle(&f->fields, FETCH_KEEP_BYTES);
    weir_buf_recycle(&f->body, FETCH_KEEP_BYTES);
    weir_buf_recycle(&f->head, FETCH_KEEP_BYTES);
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
    struct weir_upstream_stats *stats = &weir_fetch_of(f)->state->stats;
    weir_fetch_count(&stats->failures[how == WEIR_FETCH_CONNECT  ? WEIR_UPSTREAM_CONNECT
                                      : how == WEIR_FETCH_SILENT ? WEIR_UPSTREAM_SILENT
                                                                 : WEIR_UPSTREAM_BROKEN]);
    weir_upstream_failed(weir_fetch_of(f), 0, weir_fetch_now_ms(f->upstreams));
}

/* It failed: another upstream, as long as the client was told nothing. What was silent for long may
 * be working on it still. */
static void fail(struct weir_fetch *f, enum weir_fetch_end how)
{
    count_failure(f, how);
    if (!f->told && how != WEIR_FETCH_SILENT && weir_fetch_find_another(f)) {
        f->upstream = f->next_upstream;
        if (weir_fetch_attempt(f)) {
            return;
        }
    }
    end(f, how);
}

void weir_fetch_on_done(void *ctx, CURL *easy, CURLcode result)
{
    struct weir_fetch *f;
    (void)ctx;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &f);
    f->running = false;
    f->pool->transfers--;
    if (f->dead) {
        return; /* is released when the turn ends */
    }
    if (f->again) {
        f->upstream = f->next_upstream;
        if (!weir_fetch_attempt(f)) {
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
    curl_multi_remove_handle(f->pool->curl.multi, f->easy);
    curl_easy_setopt(f->easy, CURLOPT_FORBID_REUSE, 0L);
    f->running = false;
    f->pool->transfers--;
}

void weir_fetch_on_turn(struct weir_upstreams *u)
{
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

/* Looks for silence. */
static void on_sweep(uv_timer_t *timer)
{
    struct weir_upstreams *u = timer->data;
    uint64_t now = weir_fetch_now_ms(u);
    for (struct weir_fetch *f = u->active, *next; f != NULL; f = next) {
        next = f->next; /* a callback may free others: they stay until the turn ends */
        if (f->running && !f->dead && !f->paused &&
            now - f->progress_ms >= weir_fetch_of(f)->config->timeout_ms) {
            cancel(f);
            fail(f, WEIR_FETCH_SILENT);
        }
    }
    weir_fetch_pools_sweep(u);
    if (u->active == NULL && u->pools == 1) {
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
        weir_buf_init(&f->url_text, SIZE_MAX);
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
    f->set = weir_upstream_set_keep(u->set);
    f->handler = handler;
    f->ctx = ctx;
    f->credential = credential;
    f->tried = 0;
    f->listed = f->running = f->told = f->again = f->refused = f->paused = f->dead = f->failed =
        false;
    f->model_len = model.len < sizeof(f->model) ? model.len : sizeof(f->model);
    memcpy(f->model, model.len > 0 ? model.p : "", f->model_len);
    size_t method =
        http->method_text.len < sizeof(f->method) ? http->method_text.len : sizeof(f->method) - 1;
    memcpy(f->method, http->method_text.p, method);
    f->method[method] = '\0';
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
    WEIR_ASSERT(!f->listed && !weir_fetch_of(f)->config->mock);
    list(f);
    if (!weir_fetch_attempt(f)) {
        f->failed = true;
        f->upstreams->failed++;
        weir_curl_loop_turn(&f->upstreams->pool[0]->curl);
    }
}

const char *weir_fetch_upstream(const struct weir_fetch *f)
{
    return f->tried == 0 ? NULL : weir_fetch_of(f)->config->name;
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
        f->progress_ms = weir_fetch_now_ms(f->upstreams);
        curl_easy_pause(f->easy, CURLPAUSE_CONT); /* may call on_body */
    }
}

void weir_fetch_free(struct weir_fetch *f)
{
    if (f == NULL) {
        return;
    }
    bool listed = f->listed; /* perhaps somebody walks the list */
    unlist(f);
    f->dead = true;
    f->upstreams->failed -= f->failed;
    f->failed = false;
    if (f->running || listed) { /* perhaps in one of its callbacks, where curl lets nothing go */
        f->next_dead = f->upstreams->dead;
        f->upstreams->dead = f;
        weir_curl_loop_turn(&f->upstreams->pool[0]->curl);
    } else {
        fetch_release(f);
    }
}
