/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis/parked.h"

#include "base/mem.h"

void weir_redis_park_init(struct weir_redis_park *park)
{
    *park = (struct weir_redis_park){._last = &park->_first};
}

bool weir_redis_park_add(struct weir_redis_park *park, unsigned shard,
                         const struct weir_redis_asked *asked, uint64_t due_us, uint64_t until_us)
{
    size_t len = asked->bytes.len;
    if (park->count == WEIR_REDIS_PARKED_MAX || len > WEIR_REDIS_PARKED_BYTES_MAX - park->_bytes) {
        return false;
    }
    struct weir_redis_parked *p = weir_zalloc(sizeof(*p) + len);
    if (p == NULL) {
        return false;
    }
    char *bytes = (char *)(p + 1);
    memcpy(bytes, asked->bytes.p, len);
    p->shard = shard;
    p->due_us = due_us;
    p->until_us = until_us;
    p->asked = *asked;
    p->asked.bytes = weir_str(bytes, len);
    *park->_last = p;
    park->_last = &p->_next;
    park->count++;
    park->_bytes += len;
    return true;
}

struct weir_redis_parked *
weir_redis_park_take(struct weir_redis_park *park,
                     bool (*wanted)(void *ctx, const struct weir_redis_parked *parked), void *ctx)
{
    struct weir_redis_parked **at = &park->_first;
    while (*at != NULL && !wanted(ctx, *at)) {
        at = &(*at)->_next;
    }
    struct weir_redis_parked *p = *at;
    if (p != NULL) {
        *at = p->_next;
        if (park->_last == &p->_next) {
            park->_last = at;
        }
        park->count--;
        park->_bytes -= p->asked.bytes.len;
    }
    return p;
}

static bool any(void *ctx, const struct weir_redis_parked *parked)
{
    (void)ctx;
    (void)parked;
    return true;
}

void weir_redis_park_deinit(struct weir_redis_park *park)
{
    struct weir_redis_parked *p;
    while ((p = weir_redis_park_take(park, any, NULL)) != NULL) {
        weir_free(p);
    }
}
