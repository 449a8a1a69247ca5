/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/history.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"

enum { WAYS = 8, LOCKS = 64 };

struct place {
    uint64_t id; /* 0: free */
    uint32_t used_s;
    struct weir_forecast forecast;
};

_Static_assert(sizeof(struct place) == WEIR_HISTORY_BYTES, "a place is a cache line");

struct set {
    struct place place[WAYS];
};

struct weir_history {
    uint64_t sets; /* a power of two */
    struct set *set;
    _Atomic uint64_t count;
    pthread_mutex_t lock[LOCKS]; /* of each LOCKS-th set */
};

enum weir_err weir_history_new(uint64_t places, struct weir_history **ret_history)
{
    struct weir_history *h = weir_zalloc(sizeof(*h));
    if (h == NULL) {
        return WEIR_ERR_NOMEM;
    }
    for (h->sets = 1; h->sets * WAYS < places;) {
        h->sets *= 2;
    }
    h->set = weir_zalloc_aligned(WEIR_HISTORY_BYTES, h->sets * sizeof(struct set));
    if (h->set == NULL) {
        weir_free(h);
        return WEIR_ERR_NOMEM;
    }
    for (unsigned i = 0; i < LOCKS; i++) {
        pthread_mutex_init(&h->lock[i], NULL); /* of the default kind it cannot fail */
    }
    *ret_history = h;
    return WEIR_OK;
}

void weir_history_free(struct weir_history *h)
{
    if (h == NULL) {
        return;
    }
    for (unsigned i = 0; i < LOCKS; i++) {
        pthread_mutex_destroy(&h->lock[i]);
    }
    weir_free(h->set);
    weir_free(h);
}

struct weir_history_of weir_history_of(const struct weir_subject *key, struct weir_str model)
{
    uint64_t hash[2];
    weir_hash128(model.p, model.len, hash);
    return (struct weir_history_of){
        .key = weir_mix64(key->id[0] ^ hash[1]) | 1,
        .model = hash[0] | 1,
    };
}

/* The set of an id, locked. */
static struct set *enter(struct weir_history *h, uint64_t id)
{
    uint64_t at = id >> 1 & (h->sets - 1);
    pthread_mutex_lock(&h->lock[at % LOCKS]);
    return &h->set[at];
}

static void leave(struct weir_history *h, const struct set *set)
{
    pthread_mutex_unlock(&h->lock[(uint64_t)(set - h->set) % LOCKS]);
}

static struct place *find(struct set *set, uint64_t id)
{
    for (unsigned i = 0; i < WAYS; i++) {
        if (set->place[i].id == id) {
            return &set->place[i];
        }
    }
    return NULL;
}

/* What the history of this id says; 0: too little is there. True: it is grown. */
static bool look(struct weir_history *h, uint64_t id, unsigned permille, uint64_t *ret_tokens)
{
    struct set *set = enter(h, id);
    const struct place *p = find(set, id);
    bool enough = p != NULL && p->forecast.count >= WEIR_FORECAST_ENOUGH;
    bool grown = enough && weir_forecast_grown(&p->forecast);
    *ret_tokens = enough ? weir_forecast_quantile(&p->forecast, permille) : 0;
    leave(h, set);
    return grown;
}

uint64_t weir_history_quantile(struct weir_history *h, const struct weir_history_of *of,
                               unsigned permille, uint64_t default_tokens)
{
    uint64_t own, model;
    if (look(h, of->key, permille, &own)) {
        return own;
    }
    if (!look(h, of->model, permille, &model) && model < default_tokens) {
        model = default_tokens;
    }
    return own > model ? own : model;
}

/* A free place, else that of whoever has been idle longest. */
static struct place *make(struct weir_history *h, struct set *set, uint64_t id)
{
    struct place *p = find(set, 0);
    if (p != NULL) {
        atomic_fetch_add_explicit(&h->count, 1, memory_order_relaxed);
    } else {
        p = &set->place[0];
        for (unsigned i = 1; i < WAYS; i++) {
            p = set->place[i].used_s < p->used_s ? &set->place[i] : p;
        }
    }
    *p = (struct place){.id = id};
    return p;
}

static void add(struct weir_history *h, uint64_t id, uint64_t output_tokens, uint32_t now_s)
{
    struct set *set = enter(h, id);
    struct place *p = find(set, id);
    p = p != NULL ? p : make(h, set, id);
    weir_forecast_add(&p->forecast, output_tokens);
    p->used_s = now_s;
    leave(h, set);
}

void weir_history_add(struct weir_history *h, const struct weir_history_of *of,
                      uint64_t output_tokens, uint32_t now_s)
{
    add(h, of->key, output_tokens, now_s);
    add(h, of->model, output_tokens, now_s);
}

uint64_t weir_history_count(const struct weir_history *h)
{
    return atomic_load_explicit(&h->count, memory_order_relaxed);
}
