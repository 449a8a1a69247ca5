/* SPDX-License-Identifier: Apache-2.0 */
/* fetch_answer.c - an answer as it comes: what its head says of the upstream, and whether it is for
 * the client or another upstream is asked. */
#include "base/clock.h"
#include "gateway/fetch_internal.h"

/* Whether there is another upstream to ask. */
bool weir_fetch_find_another(struct weir_fetch *f)
{
    uint64_t without = f->tried | weir_upstream_mocks(f->set);
    return weir_upstream_instead(f->set, weir_fetch_model(f), without,
                                 weir_fetch_now_ms(f->upstreams), &f->next_upstream) == WEIR_OK;
}

static void say_refused(struct weir_fetch *f)
{
    uint32_t held;
    if (weir_log_gate_pass(&f->upstreams->refused_gate, 1, weir_clock_us(), &held)) {
        weir_log(WEIR_LOG_ERROR, "upstream %s refuses weir's api_key (401)",
                 weir_fetch_of(f)->config->name);
    }
}

/* What the status says of the upstream. True: the client should not get this answer, if another
 * upstream has a better one. */
static bool judge(struct weir_fetch *f, const struct weir_answer_head *head)
{
    struct weir_upstream *u = weir_fetch_of(f);
    uint64_t now = weir_fetch_now_ms(f->upstreams);
    weir_fetch_count(&u->state->stats.responses[head->status / 100]);
    weir_hist_add(&u->state->stats.first_byte, weir_clock_ns() - f->sent_ns);
    if (head->status == 429) {
        weir_upstream_limited(u, weir_fetch_model(f), head->retry_ms, now);
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
    if (f->body.room > FETCH_KEEP_BYTES &&
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
    if (judge(f, &head) && weir_fetch_find_another(f)) {
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
    weir_buf_recycle(&f->head, FETCH_KEEP_BYTES);
    return true;
}

size_t weir_fetch_on_header(char *bytes, size_t one, size_t len, void *ctx)
{
    struct weir_fetch *f = ctx;
    (void)one;
    if (f->dead) {
        return len; /* is cancelled when the turn ends; an error here would keep its connection */
    }
    f->progress_ms = weir_fetch_now_ms(f->upstreams);
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

size_t weir_fetch_on_body(char *bytes, size_t one, size_t len, void *ctx)
{
    struct weir_fetch *f = ctx;
    (void)one;
    if (f->dead) {
        return len;
    }
    if (!f->told) {
        return 0;
    }
    f->progress_ms = weir_fetch_now_ms(f->upstreams);
    if (len > 0) {
        f->handler->on_body(f->ctx, weir_str(bytes, len));
    }
    return len;
}
