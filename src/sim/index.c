/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/index.h"

#include "base/mem.h"
#include "base/rand.h"

enum { ROOM_FIRST = 1024 };

void weir_sim_index_deinit(struct weir_sim_index *x)
{
    weir_free(x->_bucket);
    weir_free(x->_link);
    *x = (struct weir_sim_index){0};
}

static uint32_t *bucket_of(const struct weir_sim_index *x, uint64_t id)
{
    return &x->_bucket[weir_mix64(id) & (x->_buckets - 1)];
}

uint32_t weir_sim_index_find(const struct weir_sim_index *x, uint64_t id)
{
    uint32_t slot = x->_buckets == 0 ? WEIR_SIM_NO_SLOT : *bucket_of(x, id);
    while (slot != WEIR_SIM_NO_SLOT && x->_link[slot].id != id) {
        slot = x->_link[slot].next;
    }
    return slot;
}

static bool grow_slots(struct weir_sim_index *x)
{
    uint32_t room = x->_room == 0 ? ROOM_FIRST : x->_room * 2;
    struct weir_sim_link *link = weir_realloc(x->_link, room * sizeof(*link));
    if (link == NULL) {
        return false;
    }
    x->_link = link;
    x->_room = room;
    return true;
}

/* As many buckets as there is room for slots. */
static bool grow_buckets(struct weir_sim_index *x)
{
    uint32_t *bucket = weir_zalloc_array(x->_room, sizeof(*bucket));
    if (bucket == NULL) {
        return false;
    }
    uint32_t *was = x->_bucket, buckets = x->_buckets;
    x->_bucket = bucket;
    x->_buckets = x->_room;
    memset(bucket, 0xff, x->_buckets * sizeof(*bucket));
    for (uint32_t i = 0; i < buckets; i++) {
        for (uint32_t slot = was[i], next; slot != WEIR_SIM_NO_SLOT; slot = next) {
            uint32_t *at = bucket_of(x, x->_link[slot].id);
            next = x->_link[slot].next;
            x->_link[slot].next = *at;
            *at = slot;
        }
    }
    weir_free(was);
    return true;
}

uint32_t weir_sim_index_add(struct weir_sim_index *x, uint64_t id)
{
    bool reuse = x->count < x->slots;
    if (!reuse && x->slots == x->_room && (x->_room > UINT32_MAX / 4 || !grow_slots(x))) {
        return WEIR_SIM_NO_SLOT;
    }
    if (x->_buckets < x->_room && !grow_buckets(x)) {
        return WEIR_SIM_NO_SLOT;
    }
    uint32_t slot = reuse ? x->_free : x->slots++;
    x->_free = reuse ? x->_link[slot].next : x->_free;
    uint32_t *at = bucket_of(x, id);
    x->_link[slot].id = id;
    x->_link[slot].next = *at;
    *at = slot;
    x->count++;
    return slot;
}

void weir_sim_index_remove(struct weir_sim_index *x, uint32_t slot)
{
    uint32_t *at = bucket_of(x, x->_link[slot].id);
    while (*at != slot) {
        at = &x->_link[*at].next;
    }
    *at = x->_link[slot].next;
    x->_link[slot].next = x->_free;
    x->_free = slot;
    x->count--;
}

uint64_t weir_sim_index_id(const struct weir_sim_index *x, uint32_t slot)
{
    return x->_link[slot].id;
}

uint32_t weir_sim_index_room(const struct weir_sim_index *x)
{
    return x->_room;
}
