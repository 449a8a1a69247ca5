/* SPDX-License-Identifier: Apache-2.0 */
/* redis_restore.c - a Redis that came back without the registry: the nodes have it, and the first
 * one writes it back, in batches; it counts when the last one is there. */
#include <inttypes.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "registry/internal.h"

enum { BATCH = 500, PATIENCE = 8 /* polls */, LOG_BURST = 3 };

static void new_name(char ret_name[static 33])
{
    uint64_t random[2];
    weir_random_bytes(random, sizeof(random));
    snprintf(ret_name, 33, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
}

static void send_batch(struct weir_registry *r)
{
    struct registry_redis *d = &r->redis;
    struct weir_str words[4 + 2 * BATCH];
    char number[24];
    size_t left = r->entries->count - d->restored, count = left < BATCH ? left : BATCH;
    snprintf(number, sizeof(number), "%zu", d->restored + 1);
    words[0] = WEIR_STR("restore");
    words[1] = weir_str_z(d->restorer);
    words[2] = weir_str_z(number);
    words[3] = count == left ? WEIR_STR("1") : WEIR_STR("0");
    for (size_t i = 0; i < count; i++) {
        const struct weir_entry *e = r->entries->entry[d->restored + i];
        words[4 + 2 * i] = e->name;
        words[5 + 2 * i] = e->text;
    }
    d->restored += count;
    (void)registry_redis_call(r, ASK_RESTORE, words, (unsigned)(4 + 2 * count));
}

void registry_restore(struct weir_registry *r)
{
    uint32_t held;
    r->redis.restored = 0;
    new_name(r->redis.restorer);
    if (weir_log_gate_pass(&r->gate, LOG_BURST, weir_clock_us(), &held)) {
        weir_log(WEIR_LOG_WARN, "registry: Redis has lost it; writing %zu entries back",
                 r->entries->count);
    }
    send_batch(r);
}

void registry_restored(struct weir_registry *r, const redisReply *reply)
{
    struct registry_redis *d = &r->redis;
    bool taken = reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 &&
                 reply->element[0]->type == REDIS_REPLY_STRING &&
                 strcmp(reply->element[0]->str, "1") == 0;
    if (!taken) { /* another node does it, and is given time for that */
        uint64_t random;
        weir_random_bytes(&random, sizeof(random));
        d->wait = PATIENCE + (unsigned)(random % PATIENCE);
        registry_read_begin(r, true);
    } else if (d->restored < r->entries->count) {
        send_batch(r);
    } else {
        registry_read_begin(r, true);
    }
}
