/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a server, through hiredis's reader, into what reads maps and redirections. The first
 * byte chooses which. Seeds: fuzz_slots/. */
#include <stdlib.h>

#include "store/redis/slots.h"
#include "support/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_host(const struct weir_redis_host *host)
{
    size_t len = strnlen(host->name, sizeof(host->name));
    if (len == 0 || len == sizeof(host->name) || host->port == 0 ||
        strpbrk(host->name, " \r\n/@") != NULL) {
        abort();
    }
}

/* Every shard has an address of its own and a slot, every slot a shard or none. */
static void check(const struct weir_redis_map *map)
{
    if (map->shards == 0 || map->shards > WEIR_REDIS_SHARDS_MAX) {
        abort();
    }
    for (unsigned i = 0; i < map->shards; i++) {
        check_host(&map->shard[i]);
        for (unsigned k = 0; k < i; k++) {
            if (weir_redis_host_eq(&map->shard[i], &map->shard[k])) {
                abort();
            }
        }
    }
    for (unsigned i = 0; i < WEIR_REDIS_SLOTS; i++) {
        if (map->slot[i] >= map->shards && map->slot[i] != WEIR_REDIS_NO_SHARD) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct weir_redis_map map;
    static const struct weir_redis_host asked = {"asked", 1};
    struct weir_redis_host to;
    uint16_t slot;
    if (size == 0 || resp_promises_much(data, size)) {
        return 0;
    }
    if (weir_redis_slot(weir_str((const char *)data, size)) >= WEIR_REDIS_SLOTS) {
        abort();
    }
    redisReply *r = resp_read((const char *)data + 1, size - 1);
    if (r == NULL) {
        return 0;
    }
    bool read = data[0] % 4 == 0   ? weir_redis_map_read_shards(r, &asked, false, &map)
                : data[0] % 4 == 1 ? weir_redis_map_read_shards(r, &asked, true, &map)
                : data[0] % 4 == 2 ? weir_redis_map_read_slots(r, &asked, &map)
                                   : weir_redis_map_read_primary(r, &asked, &map);
    if (read) {
        check(&map);
    }
    enum weir_redis_redirect is = weir_redis_redirect_read(r, &asked, &slot, &to);
    if (is == WEIR_REDIS_MOVED || is == WEIR_REDIS_ASK) {
        check_host(&to);
        if (slot >= WEIR_REDIS_SLOTS) {
            abort();
        }
    }
    freeReplyObject(r);
    return 0;
}
