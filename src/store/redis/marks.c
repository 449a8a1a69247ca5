/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis/marks.h"

#include <string.h>

void weir_marks_init(struct weir_marks *m)
{
    memset(m, 0, sizeof(*m));
    pthread_mutex_init(&m->mutex, NULL);
}

void weir_marks_deinit(struct weir_marks *m)
{
    pthread_mutex_destroy(&m->mutex);
}

static void set(struct weir_marks *m, unsigned slot, uint64_t store_us)
{
    struct weir_marked *k = &m->_marked;
    if (k->count == 0 || store_us < k->since_us) {
        k->since_us = store_us;
    }
    if (!weir_marked_has(k, slot)) {
        k->bit[slot / 64] |= UINT64_C(1) << slot % 64;
        k->count++;
    }
    atomic_store_explicit(&m->count, k->count, memory_order_relaxed);
}

void weir_marks_set(struct weir_marks *m, unsigned slot, uint64_t store_us)
{
    pthread_mutex_lock(&m->mutex);
    set(m, slot, store_us);
    pthread_mutex_unlock(&m->mutex);
}

bool weir_marks_has(struct weir_marks *m, struct weir_str key)
{
    if (atomic_load_explicit(&m->count, memory_order_relaxed) == 0) {
        return false;
    }
    pthread_mutex_lock(&m->mutex);
    bool has = weir_marked_has(&m->_marked, weir_redis_slot(key));
    pthread_mutex_unlock(&m->mutex);
    return has;
}

unsigned weir_marks_take(struct weir_marks *m, bool (*serves)(void *ctx, unsigned slot), void *ctx,
                         struct weir_marked *ret_marked)
{
    memset(ret_marked, 0, sizeof(*ret_marked));
    pthread_mutex_lock(&m->mutex);
    struct weir_marked *k = &m->_marked;
    ret_marked->since_us = k->since_us;
    for (unsigned slot = 0; slot < WEIR_REDIS_SLOTS && k->count > 0; slot++) {
        if (k->bit[slot / 64] == 0) {
            slot |= 63; /* the next word */
        } else if (weir_marked_has(k, slot) && serves(ctx, slot)) {
            k->bit[slot / 64] &= ~(UINT64_C(1) << slot % 64);
            k->count--;
            ret_marked->bit[slot / 64] |= UINT64_C(1) << slot % 64;
            ret_marked->count++;
        }
    }
    atomic_store_explicit(&m->count, k->count, memory_order_relaxed);
    pthread_mutex_unlock(&m->mutex);
    return ret_marked->count;
}

void weir_marks_put_back(struct weir_marks *m, const struct weir_marked *marked)
{
    pthread_mutex_lock(&m->mutex);
    for (unsigned slot = 0; slot < WEIR_REDIS_SLOTS && marked->count > 0; slot++) {
        if (weir_marked_has(marked, slot)) {
            set(m, slot, marked->since_us);
        }
    }
    pthread_mutex_unlock(&m->mutex);
}
