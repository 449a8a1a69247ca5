/* SPDX-License-Identifier: Apache-2.0 */
#include "service/lookup.h"

#include "base/clock.h"
#include "base/mem.h"
#include "service/access_log.h"

struct weir_acquire {
    struct weir_pending pending; /* first: what the exchange's slot points at */
    struct weir_service *service;
    struct weir_snapshot *snapshot;
    struct weir_http_exchange *x; /* NULL: the client went away */
    struct weir_acquire *next;    /* free list */
    struct weir_acquire *all;     /* the service's next one, in use or not */
    struct weir_access *access;   /* NULL: not logged, or its line is there */
    weir_decided_fn *decided;
    uint64_t started_ns;
    struct weir_anonymous anonymous;
    struct weir_call call;
};

static void release(struct weir_acquire *a)
{
    weir_access_end(&a->access);
    weir_snapshot_let_go(a->snapshot);
    a->snapshot = NULL;
    a->next = a->service->spare_acquires;
    a->service->spare_acquires = a;
}

void weir_acquires_free(struct weir_service *s)
{
    while (s->acquires != NULL) {
        struct weir_acquire *a = s->acquires;
        s->acquires = a->all;
        weir_access_end(&a->access);
        weir_snapshot_let_go(a->snapshot);
        weir_free(a);
    }
}

/* What was charged for a client that went away stands: it cannot be known whether the caller has
 * seen the answer. */
static void gone(struct weir_pending *pending)
{
    struct weir_acquire *a = (struct weir_acquire *)pending;
    a->x = NULL;
}

static void decided(struct weir_call *call)
{
    struct weir_acquire *a = call->ctx;
    uint64_t took_ns = weir_clock_ns() - call->now_us * 1000;
    weir_count_decision(a->service, call, took_ns);
    weir_access_decided(a->access, call, took_ns);
    if (a->x != NULL) {
        *weir_http_exchange_slot(a->x) = NULL;
        a->decided(a->service, a->x, a->started_ns, call);
    }
    release(a);
}

struct weir_acquire *weir_acquire_new(struct weir_request *r, weir_decided_fn *fn)
{
    struct weir_service *s = r->service;
    struct weir_acquire *a = s->spare_acquires;
    if (a != NULL) {
        s->spare_acquires = a->next;
    } else {
        a = weir_zalloc(sizeof(*a));
        if (a == NULL) {
            return NULL;
        }
        a->pending.gone = gone;
        a->service = s;
        a->all = s->acquires;
        s->acquires = a;
    }
    a->snapshot = weir_snapshot_keep(s);
    a->x = r->x;
    a->access = weir_access_hold(s, r->x);
    a->decided = fn;
    a->started_ns = r->started_ns;
    return a;
}

void weir_acquire_start(struct weir_acquire *a, const struct weir_caller *caller,
                        const struct weir_subject *model, struct weir_amounts amounts)
{
    weir_call_subjects(&a->call, a->service->config, caller, &a->anonymous, model);
    a->call.amounts = amounts;
    a->call.reservation = (struct weir_reservation){0};
    a->call.done = decided;
    a->call.ctx = a;
    a->call.now_us = weir_clock_us();
    if (weir_store_take(a->service->store, &a->call) == WEIR_PENDING) {
        *weir_http_exchange_slot(a->x) = &a->pending;
        return;
    }
    decided(&a->call);
}
