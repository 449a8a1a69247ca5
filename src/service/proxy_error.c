/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_error.c - errors of weir's own to requests that go to upstreams, worded as the request's
 * API words them. */
#include "base/clock.h"
#include "service/proxy.h"

struct weir_buf *weir_proxied_head(struct weir_proxied *p, const struct weir_decision *d)
{
    struct weir_buf *b = weir_head(p->service, p->id);
    p->dialect->api->headers(b, p->id, (p->now_ns - p->started_ns) / 1000000, d,
                             weir_clock_wall_s());
    return b;
}

static void refuse(struct weir_proxied *p, const struct weir_failure *f, struct weir_buf *head)
{
    struct weir_service *s = p->service;
    struct weir_failure failure = *f;
    failure.request_id = p->id;
    weir_access_outcome(p->access, WEIR_ACCESS_REFUSED);
    weir_buf_reset(&s->body);
    p->dialect->api->error_body(&s->body, &failure);
    weir_answer(s, p->x, p->started_ns, f->status, weir_buf_view(head),
                WEIR_STR("application/json"), weir_buf_view(&s->body));
    weir_proxied_end(p);
}

void weir_proxied_refuse(struct weir_proxied *p, const struct weir_failure *f,
                         struct weir_str lines)
{
    struct weir_buf *head = weir_proxied_head(p, NULL);
    weir_buf_str(head, lines);
    refuse(p, f, head);
}

void weir_proxied_end_stream(struct weir_proxied *p, const struct weir_failure *f)
{
    struct weir_buf *b = &p->service->body;
    weir_buf_reset(b);
    p->dialect->api->error_event(b, f);
    weir_http_stream_write(p->x, weir_buf_view(b));
    weir_http_stream_end(p->x);
    weir_proxied_end(p);
}

void weir_proxied_denied(struct weir_proxied *p)
{
    struct weir_service *s = p->service;
    char text[WEIR_DENIAL_MAX];
    struct weir_str model =
        p->model_len > 0 ? weir_str(p->model, p->model_len) : WEIR_STR("requests");
    bool requests = p->call.decision.denied_meter == WEIR_METER_REQUESTS;
    const struct weir_failure f = {.status = 429,
                                   .message = weir_denial_words(&s->body, &p->call, model, text),
                                   .type = requests ? "requests" : "tokens",
                                   .code = "rate_limit_exceeded"};
    struct weir_buf *head = weir_proxied_head(p, &p->call.decision);
    weir_headers_retry(head, &p->call);
    refuse(p, &f, head);
}

void weir_proxied_unavailable(struct weir_proxied *p, enum weir_outcome outcome)
{
    bool full = outcome == WEIR_OUTCOME_FULL;
    weir_access_outcome(p->access, WEIR_ACCESS_UNAVAILABLE);
    const struct weir_failure f = {
        .status = 503,
        .message = full ? WEIR_STR("The limiter holds as many subjects as it may. Please try again "
                                   "later.")
                        : WEIR_STR("The limits cannot be checked right now. Please try again "
                                   "later."),
        .type = "server_error",
        .code = full ? "subjects_full" : "store_unavailable",
    };
    weir_proxied_refuse(
        p, &f, WEIR_STR("retry-after-ms: 1000\r\nretry-after: 1\r\nx-should-retry: true\r\n"));
}

void weir_proxied_failed(struct weir_proxied *p, enum weir_fetch_end how)
{
    struct weir_failure f = {.status = 502, .type = "server_error"};
    weir_access_outcome(p->access, WEIR_ACCESS_UPSTREAM_FAILED);
    switch (how) {
    case WEIR_FETCH_CONNECT:
        f.message = WEIR_STR("The upstream model server cannot be reached.");
        f.code = "upstream_unreachable";
        break;
    case WEIR_FETCH_SILENT:
        f.status = 504;
        f.message = WEIR_STR("The upstream model server did not answer in time.");
        f.code = "upstream_timeout";
        break;
    case WEIR_FETCH_REFUSED:
        f.message = WEIR_STR("The upstream model server does not take the gateway's API key.");
        f.code = "upstream_authentication";
        break;
    case WEIR_FETCH_BROKEN:
    case WEIR_FETCH_COMPLETE:
        f.message = WEIR_STR("The upstream model server broke off its answer.");
        f.code = "upstream_broken";
        break;
    }
    weir_proxied_refuse(p, &f, WEIR_STR(""));
}

void weir_proxied_must_wait(struct weir_proxied *p, uint64_t wait_ms)
{
    char lines[160];
    snprintf(lines, sizeof(lines),
             "x-weir-limited-by: upstream\r\nretry-after-ms: %llu\r\nretry-after: %llu\r\n"
             "x-should-retry: %s\r\n",
             (unsigned long long)wait_ms, (unsigned long long)((wait_ms + 999) / 1000),
             wait_ms > 60000 ? "false" : "true");
    const struct weir_failure f = {
        .status = 429,
        .message = WEIR_STR("The upstream model server limits the gateway. Please try again "
                            "later."),
        .type = "requests",
        .code = "upstream_rate_limit_exceeded",
    };
    weir_access_outcome(p->access, WEIR_ACCESS_UPSTREAM_FAILED);
    weir_proxied_refuse(p, &f, weir_str_z(lines));
}
