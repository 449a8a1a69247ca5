/* SPDX-License-Identifier: Apache-2.0 */
/* redis_reset.c - a subject's windows are emptied: in Redis, and then in this node's record of what
 * it was granted. What is held in leases stays with them, and what other nodes have recorded. */
#include "store/redis/command.h"
#include "store/redis_internal.h"
#include "store/shared.h"

enum weir_err redis_reset(struct weir_store *s, struct weir_reset *reset)
{
    struct redis_store *self = (struct redis_store *)s;
    enum redis_way way;
    struct weir_redis_conn *conn = redis_conn_of(self, &reset->subject, 1, &way);
    struct weir_buf *out = weir_redis_conn_begin(conn);
    char key[WEIR_REDIS_KEY_MAX];
    reset->emptied = false;
    if (out == NULL) {
        return WEIR_OK;
    }
    const struct weir_str del[] = {WEIR_STR("DEL"), weir_redis_key(reset->subject, key)};
    weir_redis_command(out, del, 2);
    return weir_redis_conn_end(conn, RESET, reset, weir_clock_us()) ? WEIR_PENDING : WEIR_OK;
}

void redis_reset_answered(struct redis_store *self, struct weir_reset *reset,
                          const redisReply *reply)
{
    reset->emptied = reply->type == REDIS_REPLY_INTEGER;
    redis_count(reset->emptied ? &self->base.stats.round_trips : &self->base.stats.errors, 1);
    if (reset->emptied) {
        weir_embedded_reset(self->shared->table, reset->subject);
    }
    reset->done(reset);
}

void redis_reset_lost(struct weir_reset *reset)
{
    reset->done(reset);
}
