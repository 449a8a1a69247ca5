/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c - the decision API: POST /weir/v1/acquire and /weir/v1/settle, for trusted callers. A
 * field that is not known is refused: a misspelt amount would charge nothing. */
#include "base/clock.h"
#include "base/mem.h"
#include "service/lookup.h"
#include "service/reservation.h"

static const uint64_t AMOUNT_MAX = WEIR_AMOUNT_MAX / 2;

enum { FIELD_ECHO_MAX = 64 }; /* a longer name is not repeated to its sender */

/* ---- reading ---- */

/* A member of the body. */
struct member {
    const struct weir_json_node *value;
    char name[FIELD_ECHO_MAX + 1]; /* empty: too long */
};

static bool number_field(struct weir_request *r, const struct member *m, uint64_t *ret_value)
{
    if (weir_json_u64(&r->service->json, m->value, AMOUNT_MAX, ret_value) != WEIR_OK) {
        weir_refuse(r, 400, m->name, NULL, "%s: expected a whole number from 0 to %llu.", m->name,
                    (unsigned long long)AMOUNT_MAX);
        return false;
    }
    return true;
}

static bool is_text(struct weir_request *r, const struct member *m)
{
    if (m->value->kind != WEIR_JSON_STRING) {
        weir_refuse(r, 400, m->name, NULL, "%s: expected a text.", m->name);
        return false;
    }
    return true;
}

/* The text is in the service's `text`, or in the request's body. */
static bool text_field(struct weir_request *r, const struct member *m, struct weir_str *ret_text)
{
    if (!is_text(r, m)) {
        return false;
    }
    *ret_text = weir_json_string(&r->service->json, m->value, &r->service->text);
    return true;
}

/* The fields of both requests; `key` of one and `reservation` of the other share a place. */
struct fields {
    struct weir_str name;
    uint64_t input, output, requests;
    unsigned seen;
};

enum { HAS_NAME = 1, HAS_INPUT = 2, HAS_OUTPUT = 4, HAS_REQUESTS = 8, HAS_MODEL = 16 };

static bool take_field(struct weir_request *r, const struct member *m, unsigned field,
                       struct fields *f)
{
    if (f->seen & field) {
        weir_refuse(r, 400, m->name, NULL, "%s: this field is given twice.", m->name);
        return false;
    }
    f->seen |= field;
    switch (field) {
    case HAS_NAME:
        return text_field(r, m, &f->name);
    case HAS_INPUT:
        return number_field(r, m, &f->input);
    case HAS_OUTPUT:
        return number_field(r, m, &f->output);
    case HAS_REQUESTS:
        return number_field(r, m, &f->requests);
    default: /* the model: no limit depends on it yet */
        return is_text(r, m);
    }
}

static bool one_field(struct weir_request *r, const struct weir_json_node *name,
                      struct weir_str name_field, bool is_acquire, struct fields *f)
{
    const struct {
        struct weir_str name;
        unsigned field;
    } known[] = {
        {name_field, HAS_NAME},
        {WEIR_STR("input_tokens"), HAS_INPUT},
        {WEIR_STR("output_tokens"), HAS_OUTPUT},
        {WEIR_STR("requests"), HAS_REQUESTS}, /* from here on of acquire only */
        {WEIR_STR("model"), HAS_MODEL},
    };
    const struct weir_json *j = &r->service->json;
    struct member m = {.value = name + 1};
    struct weir_str raw = weir_json_raw(j, name);
    memcpy(m.name, raw.p, raw.len <= FIELD_ECHO_MAX ? raw.len : 0);
    for (unsigned i = 0; i < (is_acquire ? 5 : 3); i++) {
        if (weir_json_string_is(j, name, known[i].name)) {
            return take_field(r, &m, known[i].field, f);
        }
    }
    const char *expected = is_acquire ? "key, model, input_tokens, output_tokens or requests."
                                      : "reservation, input_tokens or output_tokens.";
    if (m.name[0] != '\0') {
        weir_refuse(r, 400, m.name, NULL, "%s: unknown field; expected %s", m.name, expected);
    } else {
        weir_refuse(r, 400, NULL, NULL, "Unknown field; expected %s", expected);
    }
    return false;
}

static bool read_fields(struct weir_request *r, struct weir_str name_field, bool is_acquire,
                        struct fields *ret_fields)
{
    struct weir_json *j = &r->service->json;
    *ret_fields = (struct fields){.requests = 1};
    weir_buf_reset(&r->service->text);
    if (weir_json_parse(j, r->http->body) != WEIR_OK ||
        weir_json_root(j)->kind != WEIR_JSON_OBJECT) {
        weir_refuse(r, 400, NULL, NULL, "The body must be a JSON object in UTF-8.");
        return false;
    }
    const struct weir_json_node *root = weir_json_root(j);
    for (const struct weir_json_node *name = weir_json_first(j, root); name != NULL;
         name = weir_json_next(j, root, name + 1)) {
        if (!one_field(r, name, name_field, is_acquire, ret_fields)) {
            return false;
        }
    }
    const char *missing = !(ret_fields->seen & HAS_NAME)     ? name_field.p
                          : !(ret_fields->seen & HAS_INPUT)  ? "input_tokens"
                          : !(ret_fields->seen & HAS_OUTPUT) ? "output_tokens"
                                                             : NULL;
    if (missing != NULL) {
        weir_refuse(r, 400, missing, NULL, "%s: this field is required.", missing);
    }
    return missing == NULL;
}

/* ---- acquire ---- */

static void acquire_decided(struct weir_service *s, struct weir_http_exchange *x,
                            uint64_t started_ns, const struct weir_call *call)
{
    const struct weir_decision *d = &call->decision;
    if (call->outcome != WEIR_OUTCOME_DECIDED) {
        weir_refuse_outcome(s, x, started_ns, call->outcome);
        return;
    }
    weir_buf_reset(&s->body);
    struct weir_buf *head = weir_head(s, NULL);
    if (d->allowed) {
        WEIR_BUF_LIT(&s->body, "{\"allowed\":true,\"reservation\":");
        if (call->reservation.nonce != 0) {
            weir_buf_char(&s->body, '"');
            weir_reservation_write(&s->body, &call->reservation, call->subject[0]->name);
            weir_buf_char(&s->body, '"');
        } else {
            WEIR_BUF_LIT(&s->body, "null"); /* a look has nothing to settle */
        }
        WEIR_BUF_LIT(&s->body, ",\"limits\":");
    } else {
        WEIR_BUF_LIT(&s->body, "{\"allowed\":false,\"denied_by\":{\"subject\":");
        weir_buf_json(&s->body, call->subject[d->denied_subject]->name);
        WEIR_BUF_LIT(&s->body, ",\"meter\":\"");
        weir_buf_str(&s->body, weir_str_z(weir_meter_name(d->denied_meter)));
        WEIR_BUF_LIT(&s->body, "\",\"window_s\":");
        weir_buf_u64(&s->body, d->denied_window_s);
        WEIR_BUF_LIT(&s->body, "},\"retry_after_ms\":");
        if (d->retry_after_us == WEIR_RETRY_NEVER) {
            WEIR_BUF_LIT(&s->body, "null");
        } else {
            weir_buf_u64(&s->body, weir_retry_ms(d->retry_after_us));
        }
        WEIR_BUF_LIT(&s->body, ",\"limits\":");
        weir_headers_retry(head, d);
    }
    weir_limits_json(&s->body, d);
    WEIR_BUF_LIT(&s->body, "}");
    weir_answer(s, x, started_ns, d->allowed ? 200 : 429, weir_buf_view(head),
                WEIR_STR("application/json"), weir_buf_view(&s->body));
}

void weir_acquire(struct weir_request *r)
{
    struct weir_service *s = r->service;
    struct fields f;
    if (!weir_authorize_service(r) || !read_fields(r, WEIR_STR("key"), true, &f)) {
        return;
    }
    const struct weir_key *key;
    uint8_t sha256[32] = {0};
    bool by_id = weir_str_starts(f.name, WEIR_STR("id:"));
    if (by_id) {
        key = weir_config_key_by_id(s->config, weir_str(f.name.p + 3, f.name.len - 3));
    } else {
        key = weir_key_of_secret(s, f.name, sha256);
    }
    if (key == NULL && (by_id || s->config->unknown_plan == NULL || f.name.len == 0 ||
                        f.name.len > WEIR_SECRET_MAX)) {
        weir_refuse(r, 404, "key", "unknown_key", "key: there is no such key.");
        return;
    }
    struct weir_acquire *a = weir_acquire_new(r, acquire_decided);
    if (a == NULL) {
        weir_refuse_outcome(s, r->x, r->started_ns, WEIR_OUTCOME_UNAVAILABLE);
        return;
    }
    weir_acquire_start(a, key, sha256, weir_amounts(f.requests, f.input, f.output));
}

/* ---- settle ---- */

struct settling {
    struct weir_pending pending;
    struct weir_service *service;
    struct weir_http_exchange *x; /* NULL: the client went away */
    uint64_t started_ns;
    struct weir_subject subject; /* of a key that is not configured */
    char name[WEIR_RESERVATION_TEXT_MAX];
    struct weir_settle settle;
};

static void settling_gone(struct weir_pending *pending)
{
    ((struct settling *)pending)->x = NULL; /* the settlement goes on: it is the caller's wish */
}

static void answer_settled(struct weir_service *s, struct weir_http_exchange *x,
                           uint64_t started_ns, bool repeated)
{
    weir_answer(s, x, started_ns, 200, weir_buf_view(weir_head(s, NULL)),
                WEIR_STR("application/json"),
                repeated ? WEIR_STR("{\"settled\":true,\"repeated\":true}")
                         : WEIR_STR("{\"settled\":true,\"repeated\":false}"));
}

static void settled(struct weir_settle *settle)
{
    struct settling *g = settle->ctx;
    struct weir_request r = {.service = g->service, .x = g->x, .started_ns = g->started_ns};
    weir_count(&g->service->metrics.settlements[settle->result], 1);
    if (g->x == NULL) {
        weir_free(g);
        return;
    }
    *weir_http_exchange_slot(g->x) = NULL;
    switch (settle->result) {
    case WEIR_SETTLE_DONE:
    case WEIR_SETTLE_REPEATED:
        answer_settled(r.service, r.x, r.started_ns, settle->result == WEIR_SETTLE_REPEATED);
        break;
    case WEIR_SETTLE_EXPIRED:
        weir_refuse(&r, 410, "reservation", "reservation_expired",
                    "reservation: it is too old, or the node that kept it is gone; it stands as "
                    "it was reserved.");
        break;
    case WEIR_SETTLE_ELSEWHERE:
        weir_refuse(&r, 409, "reservation", "reservation_elsewhere",
                    "reservation: another node granted it while the store was out of reach; only "
                    "that node can settle it.");
        break;
    case WEIR_SETTLE_UNAVAILABLE:
        weir_refuse_outcome(r.service, r.x, r.started_ns, WEIR_OUTCOME_UNAVAILABLE);
        break;
    }
    weir_free(g);
}

/* The subject that the reservation names, as this configuration knows it. */
static bool find_subject(struct settling *g, struct weir_str name)
{
    const struct weir_config *config = g->service->config;
    if (!weir_str_starts(name, WEIR_STR("key:"))) {
        return false;
    }
    struct weir_str id = weir_str(name.p + 4, name.len - 4);
    const struct weir_key *key = weir_config_key_by_id(config, id);
    if (key == NULL && (config->unknown_plan == NULL || !weir_str_starts(id, WEIR_STR("anon-")))) {
        return false;
    }
    g->subject = (struct weir_subject){.name = name, .plan = config->unknown_plan};
    weir_subject_id(name, g->subject.id);
    g->settle.subject[0] = key != NULL ? &key->subject : &g->subject;
    g->settle.subjects = 1;
    return true;
}

void weir_settle(struct weir_request *r)
{
    struct fields f;
    if (!weir_authorize_service(r) || !read_fields(r, WEIR_STR("reservation"), false, &f)) {
        return;
    }
    struct settling *g = weir_zalloc(sizeof(*g));
    if (g == NULL) {
        weir_refuse_outcome(r->service, r->x, r->started_ns, WEIR_OUTCOME_UNAVAILABLE);
        return;
    }
    struct weir_str name;
    g->pending.gone = settling_gone;
    g->service = r->service;
    g->x = r->x;
    g->started_ns = r->started_ns;
    if (weir_reservation_read(f.name, g->name, &g->settle.reservation, &name) != WEIR_OK ||
        !find_subject(g, name)) {
        weir_refuse(r, 400, "reservation", "invalid_reservation",
                    "reservation: expected the text that acquire returned.");
        weir_free(g);
        return;
    }
    g->settle.used =
        weir_amounts(g->settle.reservation.reserved.of[WEIR_METER_REQUESTS], f.input, f.output);
    g->settle.now_us = weir_clock_us();
    g->settle.claim = true;
    g->settle.done = settled;
    g->settle.ctx = g;
    if (weir_store_settle(r->service->store, &g->settle) == WEIR_PENDING) {
        *weir_http_exchange_slot(r->x) = &g->pending;
        return;
    }
    settled(&g->settle);
}
