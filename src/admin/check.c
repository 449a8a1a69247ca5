/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - POST /admin/v1/check: would this pass now, and if not, because of what and until when?
 * Nothing is charged. A field that is not known is refused, as by acquire. */
#include "admin/internal.h"
#include "service/dialect.h"

static const uint64_t AMOUNT_MAX = WEIR_AMOUNT_MAX / 2;

struct question {
    struct weir_caller caller; /* key NULL: not named yet */
    const struct weir_subject *model;
    uint64_t requests, input, output;
    unsigned seen; /* fields, as bits */
};

/* A text of the body, until the next one is asked for; empty: it is none. */
static struct weir_str text_of(struct weir_admin *a, const struct weir_json_node *value)
{
    weir_buf_reset(&a->text);
    return value->kind == WEIR_JSON_STRING ? weir_json_string(&a->json, value, &a->text)
                                           : weir_str("", 0);
}

static bool refuse_field(struct admin_request *r, const char *name, const char *expected)
{
    admin_refuse(r->admin, r->x, 400, "invalid_field", "", "%s: expected %s.", name, expected);
    return false;
}

static bool key_field(struct admin_request *r, const struct weir_json_node *value,
                      struct question *q)
{
    struct weir_str text = text_of(r->admin, value);
    if (!weir_str_starts(text, WEIR_STR("id:"))) {
        return refuse_field(r, "key", "id: and the id of a key");
    }
    q->caller.key =
        weir_config_key_by_id(admin_config(r->admin), weir_str(text.p + 3, text.len - 3));
    if (q->caller.key == NULL) {
        admin_unknown_thing(r->admin, r->x, ADMIN_KEY);
        return false;
    }
    if (weir_key_disabled(q->caller.key)) {
        admin_refuse(r->admin, r->x, 409, "key_disabled", "",
                     "The key is disabled: its requests are refused.");
        return false;
    }
    return true;
}

static bool model_field(struct admin_request *r, const struct weir_json_node *value,
                        struct question *q)
{
    struct weir_str model = text_of(r->admin, value);
    if (model.len == 0 || model.len > WEIR_MODEL_MAX) {
        return refuse_field(r, "model", "the name of a model");
    }
    q->model = weir_config_model(admin_config(r->admin), model);
    return true;
}

static bool amount_field(struct admin_request *r, const char *name,
                         const struct weir_json_node *value, uint64_t *to)
{
    return weir_json_u64(&r->admin->json, value, AMOUNT_MAX, to) == WEIR_OK ||
           refuse_field(r, name, "a whole number that a limit may have");
}

enum { KEY, MODEL, REQUESTS, INPUT, OUTPUT, FIELDS };

static const char *const fields[FIELDS] = {"key", "model", "requests", "input_tokens",
                                           "output_tokens"};

/* False: it was refused. */
static bool read_field(struct admin_request *r, const struct weir_json_node *name,
                       struct question *q)
{
    const struct weir_json_node *value = name + 1;
    unsigned i = 0;
    while (i < FIELDS && !weir_json_string_is(&r->admin->json, name, weir_str_z(fields[i]))) {
        i++;
    }
    if (i == FIELDS) {
        admin_refuse(r->admin, r->x, 400, "invalid_field", "",
                     "Unknown field; expected key, model, requests, input_tokens or "
                     "output_tokens.");
        return false;
    }
    if ((q->seen >> i & 1) != 0) {
        return refuse_field(r, fields[i], "once");
    }
    q->seen |= 1U << i;
    switch (i) {
    case KEY:
        return key_field(r, value, q);
    case MODEL:
        return model_field(r, value, q);
    case REQUESTS:
        return amount_field(r, fields[i], value, &q->requests);
    case INPUT:
        return amount_field(r, fields[i], value, &q->input);
    default:
        return amount_field(r, fields[i], value, &q->output);
    }
}

/* False: it was refused. */
static bool read_question(struct admin_request *r, struct question *ret_question)
{
    struct weir_json *j = &r->admin->json;
    struct question q = {.requests = 1};
    if (weir_json_parse(j, r->http->body) != WEIR_OK ||
        weir_json_root(j)->kind != WEIR_JSON_OBJECT) {
        admin_refuse(r->admin, r->x, 400, "invalid_body", "",
                     "The body must be a JSON object in UTF-8.");
        return false;
    }
    const struct weir_json_node *root = weir_json_root(j);
    for (const struct weir_json_node *name = weir_json_first(j, root); name != NULL;
         name = weir_json_next(j, root, name + 1)) {
        if (!read_field(r, name, &q)) {
            return false;
        }
    }
    *ret_question = q;
    return q.caller.key != NULL || refuse_field(r, "key", "id: and the id of a key");
}

static void checked(struct weir_call *call)
{
    struct admin_ask *k = call->ctx;
    struct weir_buf *b = &k->admin->body;
    weir_buf_reset(b);
    if (call->decision.allowed) {
        WEIR_BUF_LIT(b, "{\"allowed\":true");
    } else {
        WEIR_BUF_LIT(b, "{\"allowed\":false,");
        weir_denial_json(b, call);
    }
    WEIR_BUF_LIT(b, ",\"limits\":");
    weir_limits_json(b, call);
    weir_buf_char(b, '}');
    admin_ask_decided(k);
}

void admin_check(struct admin_request *r)
{
    struct question q;
    if (!read_question(r, &q)) {
        return;
    }
    struct admin_ask *k = admin_ask_new(r);
    if (k == NULL) {
        return;
    }
    weir_call_subjects(&k->call, admin_config(r->admin), &q.caller, &k->anonymous, q.model);
    admin_ask_store(k, weir_amounts(q.requests, q.input, q.output), true, checked);
}
