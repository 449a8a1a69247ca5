/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis/slots.h"

/* ---- slots ---- */

static uint16_t crc16(struct weir_str s)
{
    static const uint16_t of_nibble[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5,
                                           0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b,
                                           0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
    uint16_t crc = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned byte = (unsigned char)s.p[i];
        crc = (uint16_t)(crc << 4 ^ of_nibble[crc >> 12 ^ byte >> 4]);
        crc = (uint16_t)(crc << 4 ^ of_nibble[crc >> 12 ^ (byte & 15)]);
    }
    return crc;
}

uint16_t weir_redis_slot(struct weir_str key)
{
    const char *open = key.len == 0 ? NULL : memchr(key.p, '{', key.len);
    if (open != NULL) {
        size_t behind = key.len - (size_t)(open + 1 - key.p);
        const char *close = memchr(open + 1, '}', behind);
        if (close != NULL && close > open + 1) {
            key = weir_str(open + 1, (size_t)(close - open - 1));
        }
    }
    return crc16(key) % WEIR_REDIS_SLOTS;
}

/* Adds one to a number's decimal text. */
static size_t count_up(char *text, size_t len)
{
    size_t i = len;
    while (i > 0 && text[i - 1] == '9') {
        text[--i] = '0';
    }
    if (i > 0) {
        text[i - 1]++;
        return len;
    }
    text[0] = '1';
    text[len] = '0';
    return len + 1;
}

void weir_redis_slot_tag(unsigned slot, char ret_tag[static WEIR_REDIS_TAG_BYTES])
{
    size_t len = 1;
    WEIR_ASSERT(slot < WEIR_REDIS_SLOTS);
    ret_tag[0] = '0';
    while (crc16(weir_str(ret_tag, len)) % WEIR_REDIS_SLOTS != slot) {
        len = count_up(ret_tag, len); /* six digits do for every slot */
        WEIR_ASSERT(len < WEIR_REDIS_TAG_BYTES);
    }
    ret_tag[len] = '\0';
}

/* ---- addresses ---- */

bool weir_redis_host_eq(const struct weir_redis_host *a, const struct weir_redis_host *b)
{
    return a->port == b->port && strcmp(a->name, b->name) == 0;
}

static bool is_text(const redisReply *r)
{
    return r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS;
}

static struct weir_str text_of(const redisReply *r)
{
    return is_text(r) ? weir_str(r->str, (size_t)r->len) : weir_str("", 0);
}

/* The name of a node; one that it does not know ("", "?") is the one at which it was asked. */
static bool take_name(struct weir_str name, const struct weir_redis_host *asked,
                      struct weir_redis_host *ret_host)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-:%";
    if (name.len == 0 || weir_str_eq(name, WEIR_STR("?"))) {
        name = weir_str_z(asked->name);
    }
    if (name.len == 0 || name.len >= sizeof(ret_host->name)) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (memchr(allowed, name.p[i], sizeof(allowed) - 1) == NULL) {
            return false;
        }
    }
    memcpy(ret_host->name, name.p, name.len);
    ret_host->name[name.len] = '\0';
    return true;
}

static bool take_port(uint64_t port, struct weir_redis_host *ret_host)
{
    ret_host->port = (uint16_t)port;
    return port > 0 && port <= UINT16_MAX;
}

/* ---- the map ---- */

static void map_clear(struct weir_redis_map *map)
{
    map->shards = 0;
    memset(map->slot, 0xff, sizeof(map->slot));
}

/* The number of the shard at this address, new or not; WEIR_REDIS_NO_SHARD at the bound. */
static uint16_t map_shard(struct weir_redis_map *map, const struct weir_redis_host *host)
{
    unsigned i = 0;
    while (i < map->shards && !weir_redis_host_eq(&map->shard[i], host)) {
        i++;
    }
    if (i == WEIR_REDIS_SHARDS_MAX) {
        return WEIR_REDIS_NO_SHARD;
    }
    if (i == map->shards) {
        map->shard[map->shards++] = *host;
    }
    return (uint16_t)i;
}

static bool map_slots(struct weir_redis_map *map, const redisReply *from, const redisReply *to,
                      const struct weir_redis_host *host)
{
    if (from->type != REDIS_REPLY_INTEGER || to->type != REDIS_REPLY_INTEGER || from->integer < 0 ||
        to->integer < from->integer || to->integer >= WEIR_REDIS_SLOTS) {
        return false;
    }
    uint16_t shard = map_shard(map, host);
    if (shard == WEIR_REDIS_NO_SHARD) {
        return false;
    }
    for (long long i = from->integer; i <= to->integer; i++) {
        map->slot[i] = shard;
    }
    return true;
}

/* A field of a map, which RESP2 has as a list of names and values; NULL: it is not there. */
static const redisReply *field(const redisReply *list, const char *name)
{
    for (size_t i = 0; list->type == REDIS_REPLY_ARRAY && i + 1 < list->elements; i += 2) {
        if (weir_str_eq(text_of(list->element[i]), weir_str_z(name))) {
            return list->element[i + 1];
        }
    }
    return NULL;
}

static struct weir_str text_field(const redisReply *list, const char *name)
{
    const redisReply *value = field(list, name);
    return value == NULL ? weir_str("", 0) : text_of(value);
}

/* Of CLUSTER SHARDS. The endpoint is what the node wants to be called by: "" or nothing (it was
 * told `unknown-endpoint`) by the name at which it was asked, as in a MOVED; "?" when it has no
 * name. */
static bool read_node(const redisReply *node, const struct weir_redis_host *asked, bool tls,
                      struct weir_redis_host *ret_host)
{
    const redisReply *port = field(node, tls ? "tls-port" : "port");
    struct weir_str name = text_field(node, "endpoint");
    if (weir_str_eq(name, WEIR_STR("?"))) {
        name = text_field(node, "ip");
    }
    return port != NULL && port->type == REDIS_REPLY_INTEGER && port->integer > 0 &&
           take_port((uint64_t)port->integer, ret_host) && take_name(name, asked, ret_host);
}

/* The primary of a shard. While one is replaced there may be two: then the one that is well. */
static const redisReply *find_primary(const redisReply *nodes)
{
    const redisReply *found = NULL;
    bool well = false;
    for (size_t i = 0; i < nodes->elements && !well; i++) {
        const redisReply *node = nodes->element[i];
        if (weir_str_eq(text_field(node, "role"), WEIR_STR("master"))) {
            well = weir_str_eq(text_field(node, "health"), WEIR_STR("online"));
            found = found == NULL || well ? node : found;
        }
    }
    return found;
}

static bool read_shard(const redisReply *shard, const struct weir_redis_host *asked, bool tls,
                       struct weir_redis_map *map)
{
    struct weir_redis_host host;
    const redisReply *slots = field(shard, "slots"), *nodes = field(shard, "nodes");
    if (slots == NULL || nodes == NULL || slots->type != REDIS_REPLY_ARRAY ||
        nodes->type != REDIS_REPLY_ARRAY || slots->elements % 2 != 0) {
        return false;
    }
    const redisReply *primary = find_primary(nodes);
    if (slots->elements == 0 || primary == NULL) {
        return true; /* serves nothing, or is about to be replaced */
    }
    if (!read_node(primary, asked, tls, &host)) {
        return false;
    }
    for (size_t i = 0; i < slots->elements; i += 2) {
        if (!map_slots(map, slots->element[i], slots->element[i + 1], &host)) {
            return false;
        }
    }
    return true;
}

bool weir_redis_map_read_shards(const redisReply *reply, const struct weir_redis_host *asked,
                                bool tls, struct weir_redis_map *ret_map)
{
    map_clear(ret_map);
    if (reply->type != REDIS_REPLY_ARRAY) {
        return false;
    }
    for (size_t i = 0; i < reply->elements; i++) {
        if (!read_shard(reply->element[i], asked, tls, ret_map)) {
            return false;
        }
    }
    return ret_map->shards > 0;
}

/* from, to, the primary as {name, port, ...}, its replicas */
static bool read_range(const redisReply *range, const struct weir_redis_host *asked,
                       struct weir_redis_map *map)
{
    struct weir_redis_host host;
    if (range->type != REDIS_REPLY_ARRAY || range->elements < 3) {
        return false;
    }
    const redisReply *node = range->element[2];
    if (node->type != REDIS_REPLY_ARRAY || node->elements < 2) {
        return false;
    }
    const redisReply *port = node->element[1];
    return port->type == REDIS_REPLY_INTEGER && port->integer > 0 &&
           take_port((uint64_t)port->integer, &host) &&
           take_name(text_of(node->element[0]), asked, &host) &&
           map_slots(map, range->element[0], range->element[1], &host);
}

bool weir_redis_map_read_slots(const redisReply *reply, const struct weir_redis_host *asked,
                               struct weir_redis_map *ret_map)
{
    map_clear(ret_map);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements > WEIR_REDIS_SLOTS) {
        return false;
    }
    for (size_t i = 0; i < reply->elements; i++) {
        if (!read_range(reply->element[i], asked, ret_map)) {
            return false;
        }
    }
    return ret_map->shards > 0;
}

bool weir_redis_map_read_primary(const redisReply *reply, const struct weir_redis_host *asked,
                                 struct weir_redis_map *ret_map)
{
    uint64_t port;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        weir_str_u64(text_of(reply->element[1]), UINT16_MAX, &port) != WEIR_OK ||
        !take_port(port, &ret_map->shard[0]) ||
        !take_name(text_of(reply->element[0]), asked, &ret_map->shard[0])) {
        return false;
    }
    ret_map->shards = 1;
    memset(ret_map->slot, 0, sizeof(ret_map->slot));
    return true;
}

/* ---- redirections ---- */

/* "3999 127.0.0.1:6381"; the name may be missing, an IPv6 address has no brackets. */
static bool read_place(struct weir_str s, const struct weir_redis_host *asked, uint16_t *ret_slot,
                       struct weir_redis_host *ret_to)
{
    uint64_t slot, port;
    const char *space = memchr(s.p, ' ', s.len), *colon = memrchr(s.p, ':', s.len);
    if (space == NULL || colon == NULL || colon < space) {
        return false;
    }
    struct weir_str number = weir_str(s.p, (size_t)(space - s.p));
    struct weir_str name = weir_str(space + 1, (size_t)(colon - space - 1));
    struct weir_str port_text = weir_str(colon + 1, s.len - (size_t)(colon + 1 - s.p));
    if (weir_str_u64(number, WEIR_REDIS_SLOTS - 1, &slot) != WEIR_OK ||
        weir_str_u64(port_text, UINT16_MAX, &port) != WEIR_OK || !take_port(port, ret_to)) {
        return false;
    }
    *ret_slot = (uint16_t)slot;
    return take_name(name, asked, ret_to);
}

enum weir_redis_redirect weir_redis_redirect_read(const redisReply *reply,
                                                  const struct weir_redis_host *asked,
                                                  uint16_t *ret_slot,
                                                  struct weir_redis_host *ret_to)
{
    static const struct {
        struct weir_str word;
        enum weir_redis_redirect is;
    } words[] = {
        {WEIR_STR_INIT("MOVED "), WEIR_REDIS_MOVED},
        {WEIR_STR_INIT("ASK "), WEIR_REDIS_ASK},
        {WEIR_STR_INIT("TRYAGAIN"), WEIR_REDIS_TRY_AGAIN},
        {WEIR_STR_INIT("CLUSTERDOWN"), WEIR_REDIS_UNSERVED},
    };
    if (reply->type != REDIS_REPLY_ERROR) {
        return WEIR_REDIS_NOT_REDIRECTED;
    }
    struct weir_str s = weir_str(reply->str, (size_t)reply->len);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = words[i].word.len;
        if (weir_str_starts(s, words[i].word)) {
            bool named = words[i].is != WEIR_REDIS_MOVED && words[i].is != WEIR_REDIS_ASK;
            return named || read_place(weir_str(s.p + len, s.len - len), asked, ret_slot, ret_to)
                       ? words[i].is
                       : WEIR_REDIS_WRONG_WORDS;
        }
    }
    return WEIR_REDIS_NOT_REDIRECTED;
}
