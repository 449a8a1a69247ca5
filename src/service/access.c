/* SPDX-License-Identifier: Apache-2.0 */
#include "service/access.h"

#include "base/utf8.h"

static const char *const outcome_names[WEIR_ACCESS_OUTCOMES] = {
    [WEIR_ACCESS_ALLOWED] = "allowed",
    [WEIR_ACCESS_DENIED] = "denied",
    [WEIR_ACCESS_CUT] = "cut",
    [WEIR_ACCESS_SETTLED] = "settled",
    [WEIR_ACCESS_UNAVAILABLE] = "unavailable",
    [WEIR_ACCESS_REFUSED] = "refused",
    [WEIR_ACCESS_UPSTREAM_FAILED] = "upstream_failed",
    [WEIR_ACCESS_CLIENT_GONE] = "client_gone",
};

/* ---- what is learnt ---- */

/* The traceparent, if there is one and no second one, which would make both worthless. */
static struct weir_str traceparent(const struct weir_http_request *http)
{
    struct weir_str found = weir_str(NULL, 0);
    for (size_t i = 0; i < http->headers; i++) {
        if (weir_str_eq_nocase(http->header[i].name, WEIR_STR("traceparent"))) {
            if (found.p != NULL) {
                return weir_str(NULL, 0);
            }
            found = http->header[i].value;
        }
    }
    return found;
}

void weir_access_asked(struct weir_access *a, const struct weir_http_request *http)
{
    a->method_len = (uint32_t)weir_str_copy(http->method_text, a->method, sizeof(a->method));
    a->path_len = (uint32_t)weir_str_copy(http->path, a->path, sizeof(a->path));
    for (uint32_t i = 0; i < a->path_len; i++) {
        a->path[i] = (unsigned char)a->path[i] < 0x80 ? a->path[i] : '?'; /* may be no UTF-8 */
    }
    a->traced = weir_trace_context_read(traceparent(http), &a->trace) == WEIR_OK;
}

void weir_access_subject(struct weir_access *a, struct weir_str name)
{
    enum weir_scope scope;
    struct weir_str id;
    if (a != NULL && weir_scope_split(name, &scope, &id) == WEIR_OK && weir_utf8_valid(id)) {
        a->name[scope] = id;
    }
}

void weir_access_caller(struct weir_access *a, const struct weir_caller *caller)
{
    if (a == NULL) {
        return;
    }
    if (caller->key == NULL) {
        weir_anonymous_init(&a->anonymous, caller->sha256, NULL);
        weir_access_subject(a, a->anonymous.subject.name);
        return;
    }
    weir_access_subject(a, weir_str_z(caller->key->name));
    for (const struct weir_group *g = caller->key->group; g != NULL; g = g->org) {
        weir_access_subject(a, weir_str_z(g->name));
    }
}

void weir_access_asks(struct weir_access *a, struct weir_str model, bool stream)
{
    if (a != NULL) {
        a->stream = stream;
        a->model_len = (uint32_t)weir_str_copy(model, a->model, sizeof(a->model));
    }
}

void weir_access_decided(struct weir_access *a, const struct weir_call *call, uint64_t took_ns)
{
    if (a == NULL) {
        return;
    }
    a->call = call;
    a->decision_ns = took_ns;
    if (call->outcome != WEIR_OUTCOME_DECIDED) {
        weir_access_outcome(a, WEIR_ACCESS_UNAVAILABLE);
    } else if (!call->decision.allowed) {
        weir_access_outcome(a, WEIR_ACCESS_DENIED);
    } else if (!weir_amounts_none(&call->amounts)) {
        weir_access_reserved(a, &call->amounts);
    }
}

void weir_access_reserved(struct weir_access *a, const struct weir_amounts *reserved)
{
    if (a != NULL) {
        a->reserved = (struct weir_access_tokens){true, reserved->of[WEIR_METER_INPUT_TOKENS],
                                                  reserved->of[WEIR_METER_OUTPUT_TOKENS]};
    }
}

void weir_access_settled(struct weir_access *a, uint64_t input_tokens, uint64_t output_tokens)
{
    if (a != NULL) {
        a->settled = (struct weir_access_tokens){true, input_tokens, output_tokens};
    }
}

void weir_access_upstream(struct weir_access *a, const char *name)
{
    if (a != NULL && name != NULL) {
        snprintf(a->upstream, sizeof(a->upstream), "%s", name);
    }
}

void weir_access_sent(struct weir_access *a, uint64_t now_ns)
{
    if (a != NULL) {
        a->sent_ns = now_ns;
    }
}

void weir_access_first_byte(struct weir_access *a, uint64_t now_ns)
{
    if (a != NULL) {
        a->head_ns = now_ns;
    }
}

void weir_access_outcome(struct weir_access *a, enum weir_access_outcome outcome)
{
    if (a != NULL && a->outcome == WEIR_ACCESS_ALLOWED) {
        a->outcome = outcome;
    }
}

void weir_access_status(struct weir_access *a, int status, const char *id)
{
    if (a == NULL) {
        return;
    }
    a->status = status;
    a->has_id = id != NULL;
    if (id != NULL) {
        memcpy(a->id, id, sizeof(a->id));
    }
}

/* ---- the line ---- */

/* Each begins with the comma and the name, as in `,"name":`. */

static void put_text(struct weir_buf *b, struct weir_str name, struct weir_str value)
{
    weir_buf_str(b, name);
    if (value.p == NULL || value.len == 0) {
        WEIR_BUF_LIT(b, "null");
    } else {
        weir_buf_json(b, value);
    }
}

static void put_hex(struct weir_buf *b, struct weir_str name, bool known, const uint8_t *bytes,
                    size_t len)
{
    static const char hex[] = "0123456789abcdef";
    weir_buf_str(b, name);
    if (!known) {
        WEIR_BUF_LIT(b, "null");
        return;
    }
    weir_buf_char(b, '"');
    for (size_t i = 0; i < len; i++) {
        char two[2] = {hex[bytes[i] >> 4], hex[bytes[i] & 15]};
        weir_buf_append(b, two, 2);
    }
    weir_buf_char(b, '"');
}

/* Nanoseconds in a unit of a thousand thousandths, with three places. */
static void put_duration(struct weir_buf *b, struct weir_str name, bool known, uint64_t ns,
                         uint64_t unit_ns)
{
    weir_buf_str(b, name);
    if (!known) {
        WEIR_BUF_LIT(b, "null");
        return;
    }
    unsigned rest = (unsigned)(ns % unit_ns * 1000 / unit_ns);
    char places[4] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                      (char)('0' + rest % 10)};
    weir_buf_u64(b, ns / unit_ns);
    weir_buf_append(b, places, sizeof(places));
}

static void put_tokens(struct weir_buf *b, struct weir_str name, const struct weir_access_tokens *t)
{
    weir_buf_str(b, name);
    if (!t->known) {
        WEIR_BUF_LIT(b, "null");
        return;
    }
    WEIR_BUF_LIT(b, "{\"input\":");
    weir_buf_u64(b, t->input);
    WEIR_BUF_LIT(b, ",\"output\":");
    weir_buf_u64(b, t->output);
    weir_buf_char(b, '}');
}

static void put_denial(struct weir_buf *b, const struct weir_call *call)
{
    WEIR_BUF_LIT(b, ",\"denied_by\":");
    if (call == NULL || call->outcome != WEIR_OUTCOME_DECIDED || call->decision.allowed) {
        WEIR_BUF_LIT(b, "null");
        return;
    }
    const struct weir_decision *d = &call->decision;
    WEIR_BUF_LIT(b, "{\"subject\":");
    weir_buf_json(b, call->subject[d->denied_subject]->name);
    WEIR_BUF_LIT(b, ",\"meter\":\"");
    weir_buf_str(b, weir_str_z(weir_meter_name(d->denied_meter)));
    WEIR_BUF_LIT(b, "\",\"window_s\":");
    weir_buf_u64(b, d->denied_window_s);
    weir_buf_char(b, '}');
}

static void put_status(struct weir_buf *b, int status)
{
    WEIR_BUF_LIT(b, ",\"status\":");
    if (status == 0) {
        WEIR_BUF_LIT(b, "null");
    } else {
        weir_buf_u64(b, (uint64_t)status);
    }
}

static void put_request(struct weir_buf *b, const struct weir_access *a)
{
    put_text(b, WEIR_STR(",\"request_id\":"), weir_str(a->id, a->has_id ? sizeof(a->id) : 0));
    put_hex(b, WEIR_STR(",\"trace_id\":"), a->traced, a->trace.trace_id, WEIR_TRACE_ID_BYTES);
    put_hex(b, WEIR_STR(",\"parent_id\":"), a->traced, a->trace.parent_id, WEIR_PARENT_ID_BYTES);
    put_text(b, WEIR_STR(",\"method\":"), weir_str(a->method, a->method_len));
    put_text(b, WEIR_STR(",\"path\":"), weir_str(a->path, a->path_len));
    put_text(b, WEIR_STR(",\"key\":"), a->name[WEIR_SCOPE_KEY]);
    put_text(b, WEIR_STR(",\"team\":"), a->name[WEIR_SCOPE_TEAM]);
    put_text(b, WEIR_STR(",\"org\":"), a->name[WEIR_SCOPE_ORG]);
    put_text(b, WEIR_STR(",\"model\":"), weir_str(a->model, a->model_len));
    weir_buf_str(b, a->stream ? WEIR_STR(",\"stream\":true") : WEIR_STR(",\"stream\":false"));
}

void weir_access_line(struct weir_buf *b, const struct weir_access *a, struct weir_str time,
                      uint64_t now_ns)
{
    put_text(b, WEIR_STR("{\"time\":"), time);
    put_request(b, a);
    put_status(b, a->status);
    put_text(b, WEIR_STR(",\"outcome\":"), weir_str_z(outcome_names[a->outcome]));
    put_denial(b, a->call);
    put_tokens(b, WEIR_STR(",\"tokens\":{\"reserved\":"), &a->reserved);
    put_tokens(b, WEIR_STR(",\"settled\":"), &a->settled);
    put_text(b, WEIR_STR("},\"upstream\":"), weir_str_z(a->upstream));
    put_duration(b, WEIR_STR(",\"decision_us\":"), a->call != NULL, a->decision_ns, 1000);
    put_duration(b, WEIR_STR(",\"upstream_first_byte_ms\":"), a->head_ns > 0,
                 a->head_ns - a->sent_ns, 1000000);
    put_duration(b, WEIR_STR(",\"duration_ms\":"), a->started_ns > 0, now_ns - a->started_ns,
                 1000000);
    WEIR_BUF_LIT(b, "}\n");
}
