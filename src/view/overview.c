/* SPDX-License-Identifier: Apache-2.0 */
#include "view/overview.h"

/* What is read, and where decoded strings go. */
struct reader {
    const struct weir_json *json;
    struct weir_buf *space;
};

/* The first in a list; NULL: it is empty, or `in` (which may be NULL) is no list. */
static const struct weir_json_node *first(const struct reader *r, const struct weir_json_node *in)
{
    return in != NULL && in->kind == WEIR_JSON_ARRAY ? weir_json_first(r->json, in) : NULL;
}

static uint64_t number(const struct reader *r, const struct weir_json_node *in, const char *name)
{
    const struct weir_json_node *n = weir_json_member(r->json, in, name);
    uint64_t value;
    return n != NULL && weir_json_u64(r->json, n, UINT64_C(1) << 53, &value) == WEIR_OK ? value : 0;
}

static double decimal(const struct reader *r, const struct weir_json_node *in, const char *name)
{
    const struct weir_json_node *n = weir_json_member(r->json, in, name);
    char text[32];
    double value;
    if (n == NULL || n->kind != WEIR_JSON_NUMBER) {
        return 0;
    }
    text[weir_str_copy(weir_json_raw(r->json, n), text, sizeof(text) - 1)] = '\0';
    return weir_decimal(text, &value) ? value : 0;
}

static bool is_true(const struct reader *r, const struct weir_json_node *in, const char *name)
{
    const struct weir_json_node *n = weir_json_member(r->json, in, name);
    return n != NULL && n->kind == WEIR_JSON_TRUE;
}

static void string(const struct reader *r, const struct weir_json_node *in, const char *name,
                   char ret[static WEIR_VIEW_NAME_BYTES])
{
    const struct weir_json_node *n = weir_json_member(r->json, in, name);
    struct weir_str text = weir_str(NULL, 0);
    weir_buf_reset(r->space);
    if (n != NULL && n->kind == WEIR_JSON_STRING) {
        text = weir_json_string(r->json, n, r->space);
    }
    ret[weir_str_copy(text, ret, WEIR_VIEW_NAME_BYTES - 1)] = '\0';
}

static void read_limit(const struct reader *r, const struct weir_json_node *in,
                       struct weir_view_limit *l)
{
    string(r, in, "meter", l->meter);
    l->window_s = number(r, in, "window_s");
    l->limit = number(r, in, "limit");
    l->used = number(r, in, "used");
}

static double use_of(const struct weir_view_limit *l)
{
    return l->limit > 0 ? (double)l->used / (double)l->limit : 0;
}

static void read_subject(const struct reader *r, const struct weir_json_node *in,
                         struct weir_view_subject *s)
{
    string(r, in, "subject", s->name);
    string(r, in, "plan", s->plan);
    s->allowed = number(r, in, "allowed");
    s->denied = number(r, in, "denied");
    s->tokens = number(r, in, "input_tokens") + number(r, in, "output_tokens");
    const struct weir_json_node *limits = weir_json_member(r->json, in, "limits");
    for (const struct weir_json_node *n = first(r, limits); n != NULL;
         n = weir_json_next(r->json, limits, n)) {
        struct weir_view_limit l;
        read_limit(r, n, &l);
        if (s->fullest.window_s == 0 || use_of(&l) > use_of(&s->fullest)) {
            s->fullest = l;
        }
    }
}

static void read_subjects(const struct reader *r, const struct weir_json_node *list,
                          struct weir_view_overview *o)
{
    for (const struct weir_json_node *n = first(r, list);
         n != NULL && o->subjects < WEIR_VIEW_SUBJECTS; n = weir_json_next(r->json, list, n)) {
        read_subject(r, n, &o->subject[o->subjects++]);
    }
}

static void read_denials(const struct reader *r, const struct weir_json_node *list,
                         struct weir_view_overview *o)
{
    for (const struct weir_json_node *n = first(r, list);
         n != NULL && o->denials < WEIR_VIEW_DENIALS; n = weir_json_next(r->json, list, n)) {
        struct weir_view_denial *d = &o->denial[o->denials++];
        string(r, n, "subject", d->subject);
        read_limit(r, n, &d->limit);
        d->count = number(r, n, "count");
    }
}

static void read_node(const struct reader *r, const struct weir_json_node *node,
                      struct weir_view_overview *o)
{
    const struct weir_json_node *store = weir_json_member(r->json, node, "store");
    string(r, node, "version", o->version);
    o->uptime_s = number(r, node, "uptime_s");
    o->workers = number(r, node, "workers");
    string(r, store, "kind", o->store);
    string(r, store, "mode", o->mode);
    string(r, store, "url_host", o->host);
    o->up = is_true(r, store, "up");
    o->ready = is_true(r, store, "ready");
    o->nodes = number(r, store, "nodes");
}

static void read_totals(const struct reader *r, const struct weir_json_node *totals,
                        struct weir_view_overview *o)
{
    static const char *const meters[] = {"requests", "input_tokens", "output_tokens",
                                         "total_tokens"};
    const struct weir_json_node *denied = weir_json_member(r->json, totals, "denied");
    for (size_t i = 0; i < sizeof(meters) / sizeof(meters[0]); i++) {
        o->denied += number(r, denied, meters[i]);
    }
    o->allowed = number(r, totals, "allowed");
    o->unavailable = number(r, totals, "unavailable");
    o->input_tokens = number(r, totals, "input_tokens");
    o->output_tokens = number(r, totals, "output_tokens");
}

enum weir_err weir_view_overview_read(struct weir_str text, struct weir_json *json,
                                      struct weir_buf *space,
                                      struct weir_view_overview *ret_overview)
{
    const struct reader r = {.json = json, .space = space};
    WEIR_TRY(weir_json_parse(json, text));
    const struct weir_json_node *root = weir_json_root(json);
    const struct weir_json_node *totals = weir_json_member(r.json, root, "totals");
    const struct weir_json_node *latency = weir_json_member(r.json, root, "decision_us");
    uint64_t time_ms = number(&r, root, "time_ms");
    if (totals == NULL || time_ms == 0) {
        return WEIR_ERR_INVALID;
    }
    struct weir_view_overview *o = ret_overview;
    memset(o, 0, sizeof(*o));
    o->time_ms = time_ms;
    o->p50_us = decimal(&r, latency, "p50");
    o->p99_us = decimal(&r, latency, "p99");
    read_node(&r, weir_json_member(r.json, root, "node"), o);
    read_totals(&r, totals, o);
    read_subjects(&r, weir_json_member(r.json, root, "subjects"), o);
    read_denials(&r, weir_json_member(r.json, root, "denials"), o);
    return WEIR_OK;
}
