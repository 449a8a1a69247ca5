/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_answer.c - an upstream's answer on its way to the client: bytes go on as they come, what
 * was used is read on the way, and the request is settled by it when the answer ends, however it
 * does. */
#include "base/clock.h"
#include "service/proxy.h"
#include "tokens/calibration.h"

/* ---- settling ---- */

static uint64_t reserved_output(const struct weir_proxied *p)
{
    return p->call.reservation.reserved.of[WEIR_METER_OUTPUT_TOKENS];
}

static void learn_input(struct weir_proxied *p, uint64_t reported_tokens)
{
    struct weir_service *s = p->service;
    if (p->counted_tokens > 0) {
        bool learnt =
            weir_calibration_learn(s->group->calibration, weir_str(p->model, p->model_len),
                                   p->counted_tokens, reported_tokens);
        weir_count(&s->metrics.reports[learnt], 1);
    }
}

/* What the answer told, or showed. Where an answer that was not refused told nothing of its output,
 * and there is no stream of which something was counted, what was reserved stands. */
static void settle(struct weir_proxied *p, bool complete)
{
    uint64_t input = p->input_tokens, output = reserved_output(p);
    if (p->status >= 300) { /* the model did not run */
        weir_proxied_settle_failed(p, 0);
        return;
    }
    if (p->reading) {
        const struct weir_progress *progress = &p->reader.progress;
        const struct weir_used *used = &progress->used;
        if (used->input_known) {
            learn_input(p, used->input_tokens);
            input = weir_input_counted(used->input_tokens, used->cached_tokens,
                                       p->call.subject[0]->plan->cached_permille);
        }
        if (used->output_known || p->events || (!complete && !p->begun)) {
            output = weir_progress_output(progress);
        }
        if (p->background && !progress->ended && output < reserved_output(p)) {
            output = reserved_output(p); /* the rest is made too, and may be read later */
        }
        if (used->output_known && complete) {
            weir_reserve_used(p->service, &p->reserving, output, p->now_ns);
        }
    }
    weir_proxied_settle(p, input, output);
}

/* ---- bytes ---- */

/* Two line ends behind each other end an event. */
static void follow_lines(struct weir_proxied *p, struct weir_str bytes)
{
    size_t from = bytes.len > 4 ? bytes.len - 4 : 0;
    for (size_t i = from; i < bytes.len; i++) {
        if (bytes.p[i] == '\n') {
            p->line_ends++;
        } else if (bytes.p[i] != '\r') {
            p->line_ends = 0;
        }
    }
}

static void pass(void *ctx, struct weir_str bytes)
{
    struct weir_proxied *p = ctx;
    if (p->begun) {
        follow_lines(p, bytes);
        weir_http_stream_write(p->x, bytes);
    } else {
        weir_buf_str(&p->body, bytes);
    }
}

static void hold_back(struct weir_proxied *p)
{
    if (p->begun && weir_http_stream_unsent(p->x) > WEIR_PROXY_UNSENT_MAX) {
        weir_fetch_pause(p->fetch);
        weir_http_stream_wait(p->x, WEIR_PROXY_UNSENT_MAX / 2);
    }
}

void weir_proxied_drained(struct weir_pending *pending)
{
    struct weir_proxied *p = (struct weir_proxied *)pending;
    weir_fetch_resume(p->fetch); /* may pass on, and wait again */
}

static void on_body(void *ctx, struct weir_str bytes)
{
    struct weir_proxied *p = ctx;
    if (p->reading) {
        weir_answer_reader_feed(&p->reader, bytes, &p->service->json, &p->service->text, pass, p);
    } else {
        pass(p, bytes);
    }
    if (p->begun && p->events && p->reading) {
        weir_proxied_meter(p);
        if (p->cut_due && p->line_ends >= 2) {
            p->now_ns = weir_clock_ns();
            settle(p, false);
            weir_proxied_cut_off(p);
            return;
        }
    }
    hold_back(p);
}

/* ---- the head ---- */

static void read_from_here(struct weir_proxied *p, const struct weir_answer_head *head)
{
    enum weir_answer_form form = weir_answer_form_of(head->content_type);
    p->events = form == WEIR_ANSWER_EVENTS;
    p->reading = p->metered && head->status < 300 && !head->coded;
    if (p->reading) {
        weir_answer_reader_init(&p->reader, p->dialect, form, weir_str(p->model, p->model_len),
                                p->hide_usage);
    }
}

static void on_head(void *ctx, const struct weir_answer_head *head, struct weir_str fields)
{
    struct weir_proxied *p = ctx;
    p->now_ns = weir_clock_ns();
    p->status = head->status;
    weir_access_first_byte(p->access, p->now_ns);
    read_from_here(p, head);
    struct weir_buf *b = weir_proxied_head(p, &p->call.decision);
    weir_buf_str(b, fields);
    if (head->status == 429) {
        WEIR_BUF_LIT(b, "x-weir-limited-by: upstream\r\n");
    }
    bool whole = head->status == 204 || head->status == 304 ||
                 (!p->events && head->content_length <= WEIR_PROXY_GATHER_MAX);
    if (whole || b->failed) {
        weir_buf_str(&p->headers, weir_buf_view(b));
        weir_buf_str(&p->type, head->content_type);
        p->headers.failed = p->headers.failed || b->failed;
        return;
    }
    weir_answered(p->service, head->status, p->started_ns);
    weir_access_status(p->access, head->status, p->id);
    weir_http_stream_begin(p->x, head->status, weir_buf_view(b), head->content_type);
    p->begun = true;
}

/* ---- the end ---- */

static void answer_whole(struct weir_proxied *p)
{
    struct weir_service *s = p->service;
    if (p->headers.failed || p->type.failed || p->body.failed) {
        weir_proxied_unavailable(p, WEIR_OUTCOME_UNAVAILABLE);
        return;
    }
    weir_answer(s, p->x, p->started_ns, p->status, weir_buf_view(&p->headers),
                weir_buf_view(&p->type), weir_buf_view(&p->body));
    weir_proxied_end(p);
}

/* What has begun ends early: with an error where the API has a place for it, else in a way that no
 * client takes for a whole answer. */
static void break_off(struct weir_proxied *p, enum weir_fetch_end how)
{
    weir_access_outcome(p->access, WEIR_ACCESS_UPSTREAM_FAILED);
    if (!p->events || p->line_ends < 2) {
        weir_http_stream_abort(p->x);
        weir_proxied_end(p);
        return;
    }
    const struct weir_failure f = {
        .status = how == WEIR_FETCH_SILENT ? 504 : 502,
        .message = how == WEIR_FETCH_SILENT
                       ? WEIR_STR("The upstream model server fell silent in its answer.")
                       : WEIR_STR("The upstream model server broke off its answer."),
        .type = "server_error",
        .code = how == WEIR_FETCH_SILENT ? "upstream_timeout" : "upstream_broken",
        .request_id = p->id,
    };
    weir_proxied_end_stream(p, &f);
}

static void on_end(void *ctx, enum weir_fetch_end how)
{
    struct weir_proxied *p = ctx;
    struct weir_service *s = p->service;
    p->now_ns = weir_clock_ns();
    if (p->reading) {
        weir_answer_reader_end(&p->reader, &s->json, &s->text, pass, p);
    }
    if (p->status == 0) { /* what may have run has read the input */
        bool ran = how == WEIR_FETCH_BROKEN || how == WEIR_FETCH_SILENT;
        weir_proxied_settle_failed(p, ran ? p->input_tokens : 0);
        weir_proxied_failed(p, how);
        return;
    }
    settle(p, how == WEIR_FETCH_COMPLETE);
    if (how != WEIR_FETCH_COMPLETE) {
        if (p->begun) {
            break_off(p, how);
        } else {
            weir_proxied_failed(p, how);
        }
    } else if (p->begun) {
        weir_http_stream_end(p->x);
        weir_proxied_end(p);
    } else {
        answer_whole(p);
    }
}

const struct weir_fetch_handler weir_proxy_fetch_handler = {
    .on_head = on_head, .on_body = on_body, .on_end = on_end};

void weir_proxied_cut(struct weir_proxied *p)
{
    p->now_ns = weir_clock_ns();
    if (p->status >= 300 || p->events) {
        settle(p, false);
    } else {
        /* nobody knows how far the model came with an answer that is told at its end, of which the
         * client may have most: a reset is no way to free tokens, so that what was reserved stands
         */
        bool nothing = p->stream && !p->background && p->status == 0;
        weir_proxied_settle(p, p->input_tokens, nothing ? 0 : reserved_output(p));
    }
}
