/* SPDX-License-Identifier: Apache-2.0 */
#include "store/settled.h"

#include <pthread.h>

#include "base/mem.h"
#include "base/rand.h"

enum { FREE = 0, FORGOTTEN = 1, SLOTS_MIN = 1024 };

/* The nonces of one stretch of time. Nonces are random, or mixed, so they are their own hash. */
struct generation {
    uint64_t *slot;
    uint32_t slots; /* a power of two, or 0 */
    uint32_t used;  /* forgotten ones included */
};

struct weir_settled {
    pthread_mutex_t mutex;
    struct generation now, before;
    uint64_t since_us; /* when `now` began */
    uint64_t ttl_us;
    uint32_t max;
};

enum weir_err weir_settled_new(uint32_t max, uint64_t ttl_us, struct weir_settled **ret_settled)
{
    struct weir_settled *s = weir_zalloc(sizeof(*s));
    if (s == NULL) {
        return WEIR_ERR_NOMEM;
    }
    pthread_mutex_init(&s->mutex, NULL);
    s->max = max;
    s->ttl_us = ttl_us;
    *ret_settled = s;
    return WEIR_OK;
}

void weir_settled_free(struct weir_settled *settled)
{
    if (settled == NULL) {
        return;
    }
    weir_free(settled->now.slot);
    weir_free(settled->before.slot);
    pthread_mutex_destroy(&settled->mutex);
    weir_free(settled);
}

uint64_t weir_settled_ttl_us(const struct weir_settled *settled)
{
    return settled->ttl_us;
}

/* Where the nonce is, or the free place for it; NULL for a generation without places. */
static uint64_t *place_of(const struct generation *g, uint64_t nonce)
{
    if (g->slots == 0) {
        return NULL;
    }
    uint32_t i = (uint32_t)weir_mix64(nonce) & (g->slots - 1);
    while (g->slot[i] != FREE && g->slot[i] != nonce) {
        i = (i + 1) & (g->slots - 1);
    }
    return &g->slot[i];
}

static bool has(const struct generation *g, uint64_t nonce)
{
    const uint64_t *place = place_of(g, nonce);
    return place != NULL && *place == nonce;
}

static bool grow(struct generation *g)
{
    if (g->used < g->slots / 2) {
        return true;
    }
    struct generation bigger = {.slots = g->slots == 0 ? SLOTS_MIN : g->slots * 2};
    bigger.slot = weir_zalloc_array(bigger.slots, sizeof(*bigger.slot));
    if (bigger.slot == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < g->slots; i++) {
        if (g->slot[i] > FORGOTTEN) {
            *place_of(&bigger, g->slot[i]) = g->slot[i];
            bigger.used++;
        }
    }
    weir_free(g->slot);
    *g = bigger;
    return true;
}

static void rotate(struct weir_settled *s, uint64_t now_us)
{
    if (now_us < s->since_us + s->ttl_us) {
        return;
    }
    bool long_ago = now_us >= s->since_us + 2 * s->ttl_us;
    weir_free(s->before.slot);
    s->before = s->now;
    s->now = (struct generation){0};
    if (long_ago) {
        weir_free(s->before.slot);
        s->before = (struct generation){0};
    }
    s->since_us = now_us;
}

enum weir_claim weir_settled_claim(struct weir_settled *settled, uint64_t nonce, uint64_t now_us)
{
    WEIR_ASSERT(nonce > FORGOTTEN);
    enum weir_claim result = WEIR_CLAIM_FIRST;
    pthread_mutex_lock(&settled->mutex);
    rotate(settled, now_us);
    struct generation *g = &settled->now;
    if (has(g, nonce) || has(&settled->before, nonce)) {
        result = WEIR_CLAIM_REPEATED;
    } else if (g->used >= settled->max || !grow(g)) {
        result = WEIR_CLAIM_FULL;
    } else {
        *place_of(g, nonce) = nonce;
        g->used++;
    }
    pthread_mutex_unlock(&settled->mutex);
    return result;
}

bool weir_settled_has(struct weir_settled *settled, uint64_t nonce)
{
    pthread_mutex_lock(&settled->mutex);
    bool is_there = has(&settled->now, nonce) || has(&settled->before, nonce);
    pthread_mutex_unlock(&settled->mutex);
    return is_there;
}

void weir_settled_forget(struct weir_settled *settled, uint64_t nonce)
{
    pthread_mutex_lock(&settled->mutex);
    uint64_t *place = place_of(&settled->now, nonce);
    if (place != NULL && *place == nonce) {
        *place = FORGOTTEN;
    }
    pthread_mutex_unlock(&settled->mutex);
}
