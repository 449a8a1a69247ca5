/* SPDX-License-Identifier: Apache-2.0 */
/* ask.c - requests that wait for the store. One whose client went away waits on, unanswered. */
#include "admin/internal.h"
#include "base/clock.h"
#include "base/mem.h"

static void gone(struct admin_pending *pending)
{
    ((struct admin_ask *)pending)->x = NULL;
}

struct admin_ask *admin_ask_new(struct admin_request *r)
{
    struct weir_admin *a = r->admin;
    struct admin_ask *k = weir_zalloc(sizeof(*k));
    if (k == NULL) {
        admin_refuse_store(a, r->x, WEIR_OUTCOME_UNAVAILABLE);
        return NULL;
    }
    k->pending.gone = gone;
    k->admin = a;
    k->config = weir_config_keep(a->_config);
    k->x = r->x;
    k->next = a->asks;
    a->asks = k;
    *weir_http_exchange_slot(r->x) = &k->pending;
    return k;
}

struct weir_http_exchange *admin_ask_end(struct admin_ask *k)
{
    struct weir_http_exchange *x = k->x;
    struct admin_ask **at = &k->admin->asks;
    while (*at != k) {
        at = &(*at)->next;
    }
    *at = k->next;
    if (x != NULL) {
        *weir_http_exchange_slot(x) = NULL;
    }
    weir_config_free(k->config);
    admin_edit_free(k->edit);
    weir_free(k);
    return x;
}

void admin_ask_decided(struct admin_ask *k)
{
    struct weir_admin *a = k->admin;
    enum weir_outcome outcome = k->call.outcome;
    struct weir_http_exchange *x = admin_ask_end(k);
    if (x != NULL && outcome == WEIR_OUTCOME_DECIDED) {
        admin_answer(a, x);
    } else if (x != NULL) {
        admin_refuse_store(a, x, outcome);
    }
}

void admin_asks_free(struct weir_admin *a)
{
    while (a->asks != NULL) {
        struct admin_ask *k = a->asks;
        a->asks = k->next;
        weir_config_free(k->config);
        admin_edit_free(k->edit);
        weir_free(k);
    }
}

void admin_ask_store(struct admin_ask *k, struct weir_amounts amounts, bool probe,
                     void (*done)(struct weir_call *call))
{
    k->call.amounts = amounts;
    k->call.probe = probe;
    k->call.done = done;
    k->call.ctx = k;
    k->call.now_us = weir_clock_us();
    if (weir_store_take(k->admin->store, &k->call) == WEIR_OK) {
        done(&k->call);
    }
}

const struct weir_subject *admin_subject(const struct weir_config *config, struct weir_str name,
                                         struct weir_anonymous *room)
{
    const struct weir_subject *found = weir_config_subject(config, name);
    if (found != NULL || config->unknown_plan == NULL || !weir_anonymous_is(name) ||
        name.len > sizeof(room->name)) {
        return found;
    }
    memcpy(room->name, name.p, name.len);
    room->subject =
        (struct weir_subject){.name = weir_str(room->name, name.len), .plan = config->unknown_plan};
    weir_subject_id(room->subject.name, room->subject.id);
    return &room->subject;
}
