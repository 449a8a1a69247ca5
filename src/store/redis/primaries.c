/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis/primaries.h"

#include <pthread.h>
#include <string.h>
#include <xxhash.h>

#include "base/mem.h"

struct weir_primaries {
    pthread_mutex_t mutex;
    bool single;
    unsigned count;
    struct weir_primary *primary[WEIR_PRIMARIES_MAX];
};

enum weir_err weir_primaries_new(bool single, struct weir_primaries **ret_primaries)
{
    struct weir_primaries *t = weir_zalloc(sizeof(*t));
    if (t == NULL) {
        return WEIR_ERR_NOMEM;
    }
    pthread_mutex_init(&t->mutex, NULL);
    t->single = single;
    *ret_primaries = t;
    return WEIR_OK;
}

void weir_primaries_free(struct weir_primaries *t)
{
    if (t == NULL) {
        return;
    }
    for (unsigned i = 0; i < t->count; i++) {
        weir_free(t->primary[i]);
    }
    pthread_mutex_destroy(&t->mutex);
    weir_free(t);
}

static void set(struct weir_primary *p, enum weir_primary_state state)
{
    atomic_store_explicit(&p->state, state, memory_order_seq_cst);
}

/* With the registry full the one that was without users the longest is forgotten: should it come
 * back it is taken for a new one, which costs a barrier. */
static struct weir_primary *place_for_new(struct weir_primaries *t)
{
    struct weir_primary *oldest = NULL;
    if (t->count < WEIR_PRIMARIES_MAX) {
        struct weir_primary *p = weir_zalloc(sizeof(*p));
        t->primary[t->count] = p;
        t->count += p != NULL;
        return p;
    }
    for (unsigned i = 0; i < t->count; i++) {
        struct weir_primary *p = t->primary[i];
        if (p->users == 0 && (oldest == NULL || p->used_us < oldest->used_us)) {
            oldest = p;
        }
    }
    return oldest;
}

/* Whoever still has something of the one that was here finds that it has left. */
static void make(struct weir_primary *p, const char *id)
{
    WEIR_ASSERT(strlen(id) < sizeof(p->id));
    memcpy(p->id, id, strlen(id) + 1);
    p->hash = (uint32_t)XXH3_64bits(id, strlen(id));
    atomic_store(&p->begun_us, UINT64_MAX);
    atomic_store(&p->back_until_us, 0);
    set(p, WEIR_PRIMARY_NEW);
}

struct weir_primary *weir_primaries_get(struct weir_primaries *t, const char *id, uint64_t now_us)
{
    struct weir_primary *p = NULL;
    pthread_mutex_lock(&t->mutex);
    for (unsigned i = 0; i < t->count && p == NULL; i++) {
        p = strcmp(t->primary[i]->id, id) == 0 ? t->primary[i] : NULL;
    }
    if (p == NULL) {
        p = place_for_new(t);
        if (p != NULL) {
            make(p, id);
        }
    }
    if (p != NULL) {
        p->users++;
        p->used_us = now_us;
    }
    pthread_mutex_unlock(&t->mutex);
    return p;
}

void weir_primaries_put(struct weir_primaries *t, struct weir_primary *p, uint64_t now_us)
{
    pthread_mutex_lock(&t->mutex);
    WEIR_ASSERT(p->users > 0);
    p->users--;
    p->used_us = now_us;
    pthread_mutex_unlock(&t->mutex);
}

static bool has_replid(const struct weir_primary *p, const char *replid)
{
    const char *colon = strchr(p->id, ':');
    return colon != NULL && strcmp(colon + 1, replid) == 0;
}

bool weir_primary_begin(struct weir_primaries *t, struct weir_primary *p, const char *former_replid,
                        uint64_t now_us)
{
    pthread_mutex_lock(&t->mutex);
    bool begins = weir_primary_state(p) == WEIR_PRIMARY_NEW;
    for (unsigned i = 0; begins && i < t->count; i++) {
        struct weir_primary *other = t->primary[i];
        if (other != p && (t->single || has_replid(other, former_replid))) {
            set(other, WEIR_PRIMARY_LEFT);
        }
    }
    if (begins) {
        p->slot = WEIR_REDIS_SLOTS;
        atomic_store(&p->begun_us, now_us);
        set(p, WEIR_PRIMARY_GOING);
    }
    pthread_mutex_unlock(&t->mutex);
    return begins;
}

/* One that was left meanwhile stays so. */
static void change(struct weir_primaries *t, struct weir_primary *p, enum weir_primary_state from,
                   enum weir_primary_state to)
{
    pthread_mutex_lock(&t->mutex);
    if (weir_primary_state(p) == from) {
        set(p, to);
    }
    pthread_mutex_unlock(&t->mutex);
}

static void back(struct weir_primary *p, uint64_t until_us)
{
    if (until_us > atomic_load(&p->back_until_us)) {
        atomic_store(&p->back_until_us, until_us);
    }
}

void weir_primary_gone_over(struct weir_primaries *t, struct weir_primary *p,
                            unsigned accepted_slot, uint64_t barrier_until_us,
                            uint64_t back_until_us)
{
    bool accepted = accepted_slot != WEIR_REDIS_SLOTS;
    pthread_mutex_lock(&t->mutex);
    p->slot = accepted_slot;
    p->barrier_until_us = barrier_until_us;
    p->beat_due_us = 0;
    back(p, back_until_us);
    pthread_mutex_unlock(&t->mutex);
    change(t, p, WEIR_PRIMARY_GOING, accepted ? WEIR_PRIMARY_OPEN : WEIR_PRIMARY_BARRIER);
}

void weir_primary_interrupted(struct weir_primaries *t, struct weir_primary *p)
{
    change(t, p, WEIR_PRIMARY_GOING, WEIR_PRIMARY_NEW);
}

void weir_primary_again(struct weir_primaries *t, struct weir_primary *p)
{
    change(t, p, WEIR_PRIMARY_BARRIER, WEIR_PRIMARY_NEW);
    change(t, p, WEIR_PRIMARY_OPEN, WEIR_PRIMARY_NEW);
}

bool weir_primary_report_begin(struct weir_primaries *t, struct weir_primary *p)
{
    pthread_mutex_lock(&t->mutex);
    enum weir_primary_state state = weir_primary_state(p);
    bool begins = !atomic_load(&p->reporting) &&
                  (state == WEIR_PRIMARY_BARRIER || state == WEIR_PRIMARY_OPEN);
    if (begins) {
        atomic_store(&p->reporting, true);
    }
    pthread_mutex_unlock(&t->mutex);
    return begins;
}

void weir_primary_report_end(struct weir_primaries *t, struct weir_primary *p,
                             uint64_t back_until_us)
{
    pthread_mutex_lock(&t->mutex);
    back(p, back_until_us); /* first: nobody finds it over in between */
    atomic_store(&p->reporting, false);
    pthread_mutex_unlock(&t->mutex);
}

enum weir_beat weir_primary_beat_due(struct weir_primaries *t, struct weir_primary *p,
                                     unsigned slot, uint64_t now_us)
{
    enum weir_beat beat = WEIR_BEAT_NONE;
    pthread_mutex_lock(&t->mutex);
    enum weir_primary_state state = weir_primary_state(p);
    bool open = state == WEIR_PRIMARY_OPEN;
    bool ends = state == WEIR_PRIMARY_BARRIER && now_us >= p->barrier_until_us;
    if ((open || ends) && now_us >= p->beat_due_us) {
        bool moved = p->slot != slot && p->slot != WEIR_REDIS_SLOTS;
        p->beat_due_us = now_us + WEIR_BEAT_US;
        beat = ends || moved ? WEIR_BEAT_ACCEPT : WEIR_BEAT_SEND;
    }
    pthread_mutex_unlock(&t->mutex);
    return beat;
}

void weir_primary_missed(struct weir_primaries *t, struct weir_primary *p, unsigned slot)
{
    pthread_mutex_lock(&t->mutex);
    bool was_there = p->slot == slot || p->slot == WEIR_REDIS_SLOTS;
    p->beat_due_us = 0;
    pthread_mutex_unlock(&t->mutex);
    if (was_there) {
        weir_primary_again(t, p);
    }
}

void weir_primary_beaten(struct weir_primaries *t, struct weir_primary *p, unsigned slot,
                         bool accepts)
{
    pthread_mutex_lock(&t->mutex);
    p->slot = slot;
    pthread_mutex_unlock(&t->mutex);
    if (accepts) {
        change(t, p, WEIR_PRIMARY_BARRIER, WEIR_PRIMARY_OPEN);
    }
}
