/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c - the decision API: POST /weir/v1/acquire and /weir/v1/settle, for trusted callers. A
 * field that is not known is refused: a misspelt amount would charge nothing. */
#include "base/clock.h"
#include "base/mem.h"
#include "service/access_log.h"
#include "service/dialect.h"
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

/* A text, until the next one is asked for. */
static struct weir_str text_of(struct weir_request *r, const struct weir_json_node *value)
{
    weir_buf_reset(&r->service->text);
    return weir_json_string(&r->service->json, value, &r->service->text);
}

static bool model_field(struct weir_request *r, const struct member *m,
                        const struct weir_subject **ret_model)
{
    if (!is_text(r, m)) {
        return false;
    }
    struct weir_str model = text_of(r, m->value);
    if (r->service->text.failed) {
        weir_refuse_outcome(r->service, r->x, r->started_ns, WEIR_OUTCOME_UNAVAILABLE);
        return false;
    }
    if (model.len == 0 || model.len > WEIR_MODEL_MAX) {
        weir_refuse(r, 400, m->name, NULL, "%s: expected a name of 1 to %d bytes.", m->name,
                    WEIR_MODEL_MAX);
        return false;
    }
    weir_access_asks(weir_access_of(r->service, r->x), model, false);
    *ret_model = weir_config_model(r->service->config, model);
    return true;
}

/* The fields of both requests; `key` of one and `reservation` of the other share a place. */
struct fields {
    const struct weir_json_node *name;
    const struct weir_subject *model; /* what limits it; NULL: nothing */
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
        f->name = m->value;
        return is_text(r, m);
    case HAS_INPUT:
        return number_field(r, m, &f->input);
    case HAS_OUTPUT:
        return number_field(r, m, &f->output);
    case HAS_REQUESTS:
        return number_field(r, m, &f->requests);
    default:
        return model_field(r, m, &f->model);
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
            weir_reservation_write(&s->body, &call->reservation, call->subject, call->subjects);
            weir_buf_char(&s->body, '"');
        } else {
            WEIR_BUF_LIT(&s->body, "null"); /* a look has nothing to settle */
        }
        WEIR_BUF_LIT(&s->body, ",\"limits\":");
    } else {
        WEIR_BUF_LIT(&s->body, "{\"allowed\":false,");
        weir_denial_json(&s->body, call);
        WEIR_BUF_LIT(&s->body, ",\"limits\":");
        weir_headers_retry(head, call);
    }
    weir_limits_json(&s->body, call);
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
    struct weir_caller caller = {0};
    struct weir_str name = text_of(r, f.name);
    bool by_id = weir_str_starts(name, WEIR_STR("id:"));
    if (by_id) {
        caller.key = weir_config_key_by_id(s->config, weir_str(name.p + 3, name.len - 3));
    } else {
        caller.key = weir_key_of_secret(s, name, caller.sha256);
    }
    if (caller.key == NULL &&
        (by_id || s->config->unknown_plan == NULL || name.len == 0 || name.len > WEIR_SECRET_MAX)) {
        weir_refuse(r, 404, "key", "unknown_key", "key: there is no such key.");
        return;
    }
    weir_access_caller(weir_access_of(s, r->x), &caller);
    if (caller.key != NULL && weir_key_disabled(caller.key)) {
        weir_refuse(r, 403, "key", "key_disabled", "key: this key is disabled.");
        return;
    }
    struct weir_acquire *a = weir_acquire_new(r, acquire_decided);
    if (a == NULL) {
        weir_refuse_outcome(s, r->x, r->started_ns, WEIR_OUTCOME_UNAVAILABLE);
        return;
    }
    weir_acquire_start(a, &caller, f.model, weir_amounts(f.requests, f.input, f.output));
}

/* ---- settle ---- */

struct settling {
    struct weir_pending pending;
    struct weir_service *service;
    struct weir_snapshot *snapshot;
    struct weir_http_exchange *x; /* NULL: the client went away */
    struct weir_access *access;   /* NULL: not logged */
    uint64_t started_ns;
    struct weir_subject anonymous; /* a key that is not configured */
    char names[WEIR_RESERVATION_TEXT_MAX];
    struct weir_settle settle;
};

static void settling_gone(struct weir_pending *pending)
{
    ((struct settling *)pending)->x = NULL; /* the settlement goes on: it is the caller's wish */
}

static void settling_free(struct settling *g)
{
    weir_access_end(&g->access);
    weir_snapshot_let_go(g->snapshot);
    weir_free(g);
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
    if (settle->result == WEIR_SETTLE_DONE) {
        weir_access_settled(g->access, settle->used.of[WEIR_METER_INPUT_TOKENS],
                            settle->used.of[WEIR_METER_OUTPUT_TOKENS]);
    }
    weir_count_settled(g->service, settle);
    if (g->x == NULL) {
        settling_free(g);
        return;
    }
    *weir_http_exchange_slot(g->x) = NULL;
    switch (settle->result) {
    case WEIR_SETTLE_DONE:
    case WEIR_SETTLE_REPEATED:
        weir_access_outcome(g->access, WEIR_ACCESS_SETTLED);
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
    settling_free(g);
}

/* A key that is not configured: there is one of them at most, since a reservation names one key. */
static const struct weir_subject *anonymous(struct settling *g, struct weir_str name)
{
    const struct weir_plan *plan = g->service->config->unknown_plan;
    if (plan == NULL || !weir_anonymous_is(name)) {
        return NULL;
    }
    g->anonymous = (struct weir_subject){.name = name, .plan = plan};
    weir_subject_id(name, g->anonymous.id);
    return &g->anonymous;
}

/* The subjects that the reservation names, as this configuration knows them. False: not all. */
static bool find_subjects(struct settling *g, const struct weir_reserved *r)
{
    for (unsigned i = 0; i < r->subjects; i++) {
        const struct weir_subject *found = weir_config_subject(g->service->config, r->subject[i]);
        g->settle.subject[i] = found != NULL ? found : anonymous(g, r->subject[i]);
        if (g->settle.subject[i] == NULL) {
            return false;
        }
        weir_access_subject(g->access, r->subject[i]);
    }
    g->settle.subjects = (uint8_t)r->subjects;
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
    struct weir_reserved reserved;
    g->pending.gone = settling_gone;
    g->service = r->service;
    g->snapshot = weir_snapshot_keep(r->service);
    g->x = r->x;
    g->access = weir_access_hold(r->service, r->x);
    g->started_ns = r->started_ns;
    if (weir_reservation_read(text_of(r, f.name), g->names, &reserved) != WEIR_OK ||
        !find_subjects(g, &reserved)) {
        weir_refuse(r, 400, "reservation", "invalid_reservation",
                    "reservation: expected the text that acquire returned.");
        settling_free(g);
        return;
    }
    g->settle.reservation = reserved.reservation;
    weir_access_reserved(g->access, &g->settle.reservation.reserved);
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
