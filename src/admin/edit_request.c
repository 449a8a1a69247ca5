/* SPDX-License-Identifier: Apache-2.0 */
/* edit_request.c - POST, PATCH and DELETE of keys, teams, orgs and plans, and grants: what requests
 * ask for. */
#include <inttypes.h>

#include "admin/edit.h"
#include "base/mem.h"

static const char *const fields[ADMIN_KINDS][10] = {
    [ADMIN_KEY] = {"plan", "team", "org", "disabled", "limits"},
    [ADMIN_TEAM] = {"plan", "org", "disabled", "limits"},
    [ADMIN_ORG] = {"plan", "disabled", "limits"},
    [ADMIN_PLAN] = {"limits", "shadow", "default_output_tokens", "reserve", "forecast_quantile",
                    "on_overrun", "cached_input_weight", "charge_failed"},
};

static void refuse_without_registry(struct admin_request *r)
{
    if (r->admin->base != NULL) {
        admin_refuse(r->admin, r->x, 503, "registry_unavailable", "", "The node stops.");
        return;
    }
    admin_refuse(r->admin, r->x, 409, "registry_off", "",
                 "The configuration names no registry: without one keys and plans are the file's "
                 "alone.");
}

/* Nothing can have that name. */
static void refuse_name(struct admin_edit *e)
{
    bool makes = e->deed == CREATE || (e->deed == CHANGE && e->kind != ADMIN_KEY);
    if (makes) {
        admin_edit_refuse(e, 400, "invalid_field",
                          e->kind == ADMIN_PLAN ? "name: expected 1 to 63 characters."
                                                : "id: expected 1 to 100 characters.");
    } else {
        admin_edit_refuse_unknown(e);
    }
}

/* NULL: it was refused. */
static struct admin_edit *edit_new(struct admin_request *r, enum admin_kind kind,
                                   enum admin_deed deed, struct weir_str id)
{
    struct weir_admin *a = r->admin;
    if (a->registry == NULL) {
        refuse_without_registry(r);
        return NULL;
    }
    struct admin_ask *k = admin_ask_new(r);
    struct admin_edit *e = k == NULL ? NULL : weir_zalloc(sizeof(*e));
    if (e == NULL) {
        struct weir_http_exchange *x = k == NULL ? NULL : admin_ask_end(k);
        if (x != NULL) {
            admin_refuse_store(a, x, WEIR_OUTCOME_UNAVAILABLE);
        }
        return NULL;
    }
    k->edit = e;
    e->ask = k;
    e->kind = kind;
    e->deed = deed;
    weir_buf_init(&e->patch, WEIR_ENTRY_TEXT_MAX);
    weir_buf_init(&e->text, WEIR_ENTRY_TEXT_MAX);
    if (!admin_thing_name(kind, id, e->room, sizeof(e->room), &e->name)) {
        refuse_name(e);
        return NULL;
    }
    return e;
}

/* The body as an object in a->json. False: refused. */
static bool read_body(struct admin_request *r)
{
    struct weir_json *j = &r->admin->json;
    bool object =
        weir_json_parse(j, r->http->body) == WEIR_OK && weir_json_root(j)->kind == WEIR_JSON_OBJECT;
    if (!object) {
        admin_refuse(r->admin, r->x, 400, "invalid_body", "",
                     "The body must be a JSON object in UTF-8.");
    }
    return object;
}

/* Each at most once. False: refused. */
static bool allowed_fields(struct admin_request *r, const char *const *allowed)
{
    const struct weir_json *j = &r->admin->json;
    bool allows = admin_entry_has_only(j, allowed);
    if (allows && admin_entry_has_twice(j)) {
        admin_refuse(r->admin, r->x, 400, "invalid_body", "",
                     "The body must not have a field twice.");
        return false;
    }
    if (allows) {
        return true;
    }
    char list[256];
    size_t len = 0;
    for (size_t i = 0; allowed[i] != NULL && len < sizeof(list); i++) {
        len +=
            (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i > 0 ? ", " : "", allowed[i]);
    }
    admin_refuse(r->admin, r->x, 400, "invalid_field", "", "Unknown field; expected %s.", list);
    return false;
}

void admin_change(struct admin_request *r)
{
    enum admin_kind kind = r->kind;
    if (!read_body(r) || !allowed_fields(r, fields[kind])) {
        return;
    }
    struct admin_edit *e = edit_new(r, kind, CHANGE, r->name);
    if (e != NULL) {
        weir_buf_str(&e->patch, r->http->body);
        if (e->patch.failed) {
            admin_edit_refuse(e, 400, "invalid_entry", "Expected at most 8192 bytes.");
        } else {
            admin_edit_submit(e);
        }
    }
}

void admin_delete(struct admin_request *r)
{
    struct admin_edit *e = edit_new(r, r->kind, DELETE, r->name);
    if (e != NULL) {
        admin_edit_submit(e);
    }
}

/* A new secret; what is kept of it is a member of the object that `to` becomes. */
static void new_secret(struct admin_edit *e, struct weir_buf *to)
{
    char salted[WEIR_SALTED_BYTES + 1];
    weir_issue_secret(e->secret);
    weir_salt_secret(e->secret, salted);
    weir_buf_printf(to, "{\"id\":null,\"secret_salted\":\"%s\"}", salted);
}

void admin_rotate_key(struct admin_request *r)
{
    static const char *const none[] = {NULL};
    if (!read_body(r) || !allowed_fields(r, none)) {
        return;
    }
    struct admin_edit *e = edit_new(r, ADMIN_KEY, ROTATE, r->name);
    if (e != NULL) {
        new_secret(e, &e->patch);
        admin_edit_submit(e);
    }
}

void admin_create_key(struct admin_request *r)
{
    static const char *const allowed[] = {"id", "plan", "team", "org", "disabled", "limits", NULL};
    struct weir_json *j = &r->admin->json;
    if (!read_body(r) || !allowed_fields(r, allowed)) {
        return;
    }
    const struct weir_json_node *id = weir_json_member(j, weir_json_root(j), "id");
    weir_buf_reset(&r->admin->text);
    struct weir_str text = id == NULL || id->kind != WEIR_JSON_STRING
                               ? weir_str("", 0)
                               : weir_json_string(j, id, &r->admin->text);
    struct admin_edit *e = edit_new(r, ADMIN_KEY, CREATE, text);
    if (e == NULL) {
        return;
    }
    new_secret(e, &e->text);
    enum weir_err err = admin_entry_merge(r->http->body, weir_buf_view(&e->text), &e->patch);
    if (err == WEIR_OK) {
        admin_edit_submit(e);
    } else {
        admin_edit_refuse(e, 400, "invalid_entry", admin_entry_too_long);
    }
}

/* ---- grants ---- */

/* The kind of a subject that has entries. False: it is another. */
static bool kind_of(struct weir_str subject, enum admin_kind *ret_kind, struct weir_str *ret_id)
{
    for (enum admin_kind kind = ADMIN_KEY; kind <= ADMIN_ORG; kind++) {
        struct weir_str word = weir_str_z(admin_kind_word(kind));
        if (weir_str_starts(subject, word) && subject.len > word.len &&
            subject.p[word.len] == ':') {
            *ret_kind = kind;
            *ret_id = weir_str(subject.p + word.len + 1, subject.len - word.len - 1);
            return true;
        }
    }
    return false;
}

/* A whole number of the body; 0: it is not there. False: refused. */
static bool number(struct admin_request *r, const char *name, uint64_t max, uint64_t *ret)
{
    const struct weir_json *j = &r->admin->json;
    const struct weir_json_node *value = weir_json_member(j, weir_json_root(j), name);
    *ret = 0;
    if (value == NULL || (weir_json_u64(j, value, max, ret) == WEIR_OK && *ret > 0)) {
        return true;
    }
    admin_refuse(r->admin, r->x, 400, "invalid_field", "",
                 "%s: expected a whole number from 1 to %" PRIu64 ".", name, max);
    return false;
}

/* False: refused. */
static bool read_grant(struct admin_request *r, struct weir_amounts *ret_grant,
                       uint64_t *ret_window_s)
{
    static const char *const allowed[] = {"requests",     "input_tokens", "output_tokens",
                                          "total_tokens", "window_s",     NULL};
    uint64_t sum = 0;
    if (!read_body(r) || !allowed_fields(r, allowed) ||
        !number(r, "window_s", WEIR_WINDOW_S_MAX, ret_window_s)) {
        return false;
    }
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        if (!number(r, weir_meter_name(m), WEIR_AMOUNT_MAX, &ret_grant->of[m])) {
            return false;
        }
        sum |= ret_grant->of[m];
    }
    if (sum == 0) {
        admin_refuse(r->admin, r->x, 400, "invalid_field", "",
                     "Expected an amount of requests, input_tokens, output_tokens or "
                     "total_tokens.");
    }
    return sum > 0;
}

void admin_grant(struct admin_request *r)
{
    enum admin_kind kind;
    struct weir_str id;
    struct weir_amounts grant;
    uint64_t window_s;
    if (!read_grant(r, &grant, &window_s)) {
        return;
    }
    if (!kind_of(r->name, &kind, &id)) {
        admin_refuse(r->admin, r->x, 404, "unknown_subject", "",
                     "There is no key, team or org of this name.");
        return;
    }
    struct admin_edit *e = edit_new(r, kind, GRANT, id);
    if (e != NULL) {
        e->grant = grant;
        e->window_s = window_s;
        admin_edit_submit(e);
    }
}
