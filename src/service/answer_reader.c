/* SPDX-License-Identifier: Apache-2.0 */
#include "service/answer_reader.h"

enum weir_answer_form weir_answer_form_of(struct weir_str content_type)
{
    const char *semicolon =
        content_type.len == 0 ? NULL : memchr(content_type.p, ';', content_type.len);
    if (semicolon != NULL) {
        content_type.len = (size_t)(semicolon - content_type.p);
    }
    content_type = weir_str_trim(content_type);
    if (weir_str_eq_nocase(content_type, WEIR_STR("text/event-stream"))) {
        return WEIR_ANSWER_EVENTS;
    }
    return weir_str_eq_nocase(content_type, WEIR_STR("application/json")) ? WEIR_ANSWER_JSON
                                                                          : WEIR_ANSWER_OPAQUE;
}

void weir_answer_reader_init(struct weir_answer_reader *a, const struct weir_dialect *d,
                             enum weir_answer_form form, struct weir_str model, bool hide_usage)
{
    bool nothing = form == WEIR_ANSWER_EVENTS ? d->on_event == NULL : d->usage.name.len == 0;
    *a = (struct weir_answer_reader){
        ._dialect = d,
        ._counter = weir_counter_of(model, (struct weir_counting){.base = weir_tokens_base()}),
        ._form = nothing ? WEIR_ANSWER_OPAQUE : form,
        ._hide_usage = hide_usage,
    };
    weir_sse_init(&a->_sse, WEIR_EVENT_MAX);
    weir_member_init(&a->_member, form == WEIR_ANSWER_EVENTS ? d->end_usage : d->usage);
}

void weir_answer_reader_deinit(struct weir_answer_reader *a)
{
    weir_sse_deinit(&a->_sse);
    weir_member_deinit(&a->_member);
}

/* ---- streams ---- */

/* What may go on together: pieces that lie behind each other are passed as one. */
struct passing {
    struct weir_str run;
    weir_pass_fn *pass;
    void *ctx;
};

static void pass_run(struct passing *g)
{
    if (g->run.len > 0) {
        g->pass(g->ctx, g->run);
        g->run.len = 0;
    }
}

static void pass(struct passing *g, struct weir_str bytes)
{
    if (g->run.len > 0 && g->run.p + g->run.len == bytes.p) {
        g->run.len += bytes.len;
        return;
    }
    pass_run(g);
    g->run = bytes;
}

static struct weir_verdict judge(struct weir_answer_reader *a, const struct weir_sse_event *event,
                                 struct weir_json *j, struct weir_buf *space)
{
    struct weir_verdict whole = {0};
    if (weir_str_eq(event->data, WEIR_STR("[DONE]"))) {
        a->progress.ended = true;
        return whole;
    }
    if (event->data.len == 0 || weir_json_parse(j, event->data) != WEIR_OK ||
        weir_json_root(j)->kind != WEIR_JSON_OBJECT) {
        return whole;
    }
    const struct weir_dialect_event e = {
        .name = event->name,
        .j = j,
        .counter = &a->_counter,
        .space = space,
        .hide_usage = a->_hide_usage,
    };
    return a->_dialect->on_event(&e, &a->progress);
}

/* What was found in an answer that is whole, or in an event that is too large to be read. */
static void read_found(struct weir_answer_reader *a, struct weir_json *j)
{
    struct weir_str value = weir_member_value(&a->_member);
    if (value.len > 0 && weir_json_parse(j, value) == WEIR_OK) {
        weir_progress_read(&a->progress, j, weir_json_root(j));
        a->progress.ended = weir_json_root(j)->kind == WEIR_JSON_OBJECT;
    }
}

/* A piece of an event that is too large. */
static void skim(struct weir_answer_reader *a, const struct weir_sse_event *piece,
                 struct weir_json *j)
{
    weir_member_feed(&a->_member, piece->raw);
    if (piece->last) {
        read_found(a, j);
        weir_member_reset(&a->_member);
    }
}

/* Passes what the verdict leaves of an event. */
static void pass_event(struct passing *g, const struct weir_sse_event *event,
                       struct weir_verdict verdict)
{
    struct weir_str raw = event->raw;
    if (verdict.drop) {
        return;
    }
    if (verdict.length == 0 || event->data_at == SIZE_MAX) {
        pass(g, raw);
        return;
    }
    size_t from = event->data_at + verdict.at, to = from + verdict.length;
    pass(g, weir_str(raw.p, from));
    pass(g, weir_str(raw.p + to, raw.len - to));
}

static void feed_events(struct weir_answer_reader *a, struct weir_str bytes, struct weir_json *j,
                        struct weir_buf *space, struct passing *g)
{
    struct weir_sse_event event;
    if (!a->_hide_usage) {
        pass(g, bytes); /* before anything is read: nothing of it stays behind */
        pass_run(g);
    }
    for (enum weir_sse_step step;
         (step = weir_sse_next(&a->_sse, &bytes, &event)) != WEIR_SSE_MORE;) {
        struct weir_verdict verdict = {0};
        if (step == WEIR_SSE_EVENT) {
            verdict = judge(a, &event, j, space);
        } else {
            skim(a, &event, j);
        }
        if (a->_hide_usage) {
            pass_event(g, &event, verdict);
            if (event.kept) {
                pass_run(g); /* the next step ends it */
            }
        }
    }
    pass_run(g);
}

/* ---- any answer ---- */

void weir_answer_reader_feed(struct weir_answer_reader *a, struct weir_str bytes,
                             struct weir_json *j, struct weir_buf *space, weir_pass_fn *pass_fn,
                             void *ctx)
{
    struct passing g = {.pass = pass_fn, .ctx = ctx};
    if (bytes.len == 0) {
        return;
    }
    if (a->_form == WEIR_ANSWER_EVENTS) {
        feed_events(a, bytes, j, space, &g);
        return;
    }
    if (a->_form == WEIR_ANSWER_JSON) {
        weir_member_feed(&a->_member, bytes);
    }
    pass_fn(ctx, bytes);
}

void weir_answer_reader_end(struct weir_answer_reader *a, struct weir_json *j,
                            struct weir_buf *space, weir_pass_fn *pass_fn, void *ctx)
{
    struct passing g = {.pass = pass_fn, .ctx = ctx};
    struct weir_sse_event event;
    if (a->_form == WEIR_ANSWER_JSON) {
        read_found(a, j);
    }
    if (a->_form == WEIR_ANSWER_EVENTS && weir_sse_end(&a->_sse, &event)) {
        struct weir_verdict verdict = judge(a, &event, j, space);
        if (a->_hide_usage) {
            pass_event(&g, &event, verdict);
            pass_run(&g);
        }
    }
}
