/* SPDX-License-Identifier: Apache-2.0 */
#include "store/holdings.h"

#include "base/mem.h"

enum {
    BUCKETS_MIN = 64,
    HAND_BUCKETS = 2,        /* looked at for idle ones whenever one is made */
    HAND_BUCKETS_FULL = 256, /* and when there is no place */
    REST_US = 5000000,       /* it knows how fast it is used: kept so long */
};

enum weir_err weir_holdings_init(struct weir_holdings *t, uint64_t max)
{
    *t = (struct weir_holdings){.buckets = BUCKETS_MIN, .max = max};
    t->bucket = weir_zalloc_array(t->buckets, sizeof(t->bucket[0]));
    return t->bucket == NULL ? WEIR_ERR_NOMEM : WEIR_OK;
}

void weir_holdings_deinit(struct weir_holdings *t)
{
    for (uint32_t i = 0; t->bucket != NULL && i < t->buckets; i++) {
        while (t->bucket[i] != NULL) {
            struct weir_holding *h = t->bucket[i];
            t->bucket[i] = h->_next;
            weir_holding_free(h);
        }
    }
    weir_free(t->bucket);
    *t = (struct weir_holdings){0};
}

static void grow(struct weir_holdings *t)
{
    struct weir_holding **bigger = weir_zalloc_array(t->buckets * 2, sizeof(bigger[0]));
    if (bigger == NULL) {
        return; /* longer chains, then */
    }
    for (uint32_t i = 0; i < t->buckets; i++) {
        while (t->bucket[i] != NULL) {
            struct weir_holding *h = t->bucket[i];
            t->bucket[i] = h->_next;
            struct weir_holding **at = &bigger[h->id[0] & (t->buckets * 2 - 1)];
            h->_next = *at;
            *at = h;
        }
    }
    weir_free(t->bucket);
    t->bucket = bigger;
    t->buckets *= 2;
}

static void undue(struct weir_holdings *t, struct weir_holding *h)
{
    if (h->_due_at != NULL) {
        *h->_due_at = h->_due_next;
        if (h->_due_next != NULL) {
            h->_due_next->_due_at = h->_due_at;
        }
        h->_due_next = NULL;
        h->_due_at = NULL;
        t->dues--;
    }
}

/* Lets idle ones go, as the hand passes them, that were not asked for rest_us. */
static void sweep(struct weir_holdings *t, uint32_t buckets, uint64_t now_us, uint64_t rest_us)
{
    for (uint32_t i = 0; i < buckets && i < t->buckets; i++) {
        struct weir_holding **at = &t->bucket[t->hand++ & (t->buckets - 1)];
        while (*at != NULL) {
            struct weir_holding *h = *at;
            if (!weir_holding_is_idle(h, now_us) || now_us < h->asked_us + rest_us) {
                at = &h->_next;
                continue;
            }
            *at = h->_next;
            undue(t, h);
            weir_holding_free(h);
            t->count--;
        }
    }
}

/* One whose subject has gone to another root is of windows that nobody asks for any more. */
static bool is_of(const struct weir_holding *h, const uint64_t id[static 2],
                  const struct weir_subject *const *subject, unsigned subjects)
{
    bool is = h->id[0] == id[0] && h->id[1] == id[1] && h->subjects == subjects;
    for (unsigned i = 0; is && i < subjects; i++) {
        is = weir_str_eq(h->subject[i].root, subject[i]->root);
    }
    return is;
}

struct weir_holding *weir_holdings_get(struct weir_holdings *t,
                                       const struct weir_subject *const *subject, unsigned subjects,
                                       uint64_t now_us)
{
    uint64_t id[2];
    weir_holding_id(subject, subjects, id);
    for (struct weir_holding *h = t->bucket[id[0] & (t->buckets - 1)]; h != NULL; h = h->_next) {
        if (is_of(h, id, subject, subjects)) {
            h->asked_us = now_us;
            return h;
        }
    }
    if (t->count < t->max) {
        sweep(t, HAND_BUCKETS, now_us, REST_US);
    } else {
        sweep(t, HAND_BUCKETS_FULL, now_us, 0);
    }
    if (t->count >= t->max) {
        return NULL;
    }
    struct weir_holding *h = weir_holding_new(subject, subjects);
    if (h == NULL) {
        return NULL;
    }
    if (t->count >= t->buckets) {
        grow(t);
    }
    struct weir_holding **at = &t->bucket[id[0] & (t->buckets - 1)];
    h->asked_us = now_us;
    h->_next = *at;
    *at = h;
    t->count++;
    return h;
}

void weir_holdings_due(struct weir_holdings *t, struct weir_holding *h, uint64_t now_us,
                       uint64_t at_us)
{
    if (h->_due_at != NULL) {
        return; /* it looks what else there is when its time comes */
    }
    if (t->dues == 0) {
        t->tick = now_us / WEIR_HOLDINGS_TICK_US;
    }
    uint64_t tick = at_us / WEIR_HOLDINGS_TICK_US + 1;
    uint64_t last = t->tick + WEIR_HOLDINGS_SLOTS - 1;
    tick = tick < t->tick ? t->tick : tick > last ? last : tick;
    struct weir_holding **at = &t->due[tick % WEIR_HOLDINGS_SLOTS];
    h->_due_next = *at;
    h->_due_at = at;
    if (*at != NULL) {
        (*at)->_due_at = &h->_due_next;
    }
    *at = h;
    t->dues++;
}

struct weir_holding *weir_holdings_next_due(struct weir_holdings *t, uint64_t now_us)
{
    uint64_t now = now_us / WEIR_HOLDINGS_TICK_US;
    if (now - t->tick >= WEIR_HOLDINGS_SLOTS && now > t->tick) {
        t->tick = now - WEIR_HOLDINGS_SLOTS + 1; /* a long sleep: all are due, in any order */
    }
    for (; t->dues > 0 && t->tick <= now; t->tick++) {
        struct weir_holding *h = t->due[t->tick % WEIR_HOLDINGS_SLOTS];
        if (h != NULL) {
            undue(t, h);
            return h;
        }
    }
    return NULL;
}
