/* SPDX-License-Identifier: Apache-2.0 */
/* greet.h - what is said first on a connection, and what the answers must be. Private to redis.
 * Pure. */
#ifndef WEIR_STORE_REDIS_GREET_H
#define WEIR_STORE_REDIS_GREET_H

#include <hiredis/hiredis.h>

#include "base/buf.h"
#include "config/config.h"
#include "store/redis/conn.h"

enum { REDIS_WHY_BYTES = 256 };

enum redis_greeting { /* kinds of commands that the connection sends itself */
                      REDIS_AUTH = 0xf0,
                      REDIS_SELECT,
                      REDIS_INFO,
                      REDIS_OVER_SCRIPT,
                      REDIS_SCRIPT,
                      REDIS_ASKING, /* no greeting: whatever the answer, it says nothing */
};

/* The last one, after which the connection is up. */
enum redis_greeting redis_greeting_last(const struct weir_redis_target *target);

/* Appends the command; false where it is not needed. */
bool redis_greeting_command(struct weir_buf *b, const struct weir_redis_target *target,
                            enum redis_greeting what);
/* False: *ret_why and ret_text say what is wrong. */
bool redis_greeting_check(const struct weir_redis_target *target, enum redis_greeting what,
                          const redisReply *reply, enum weir_redis_why *ret_why,
                          char ret_text[static REDIS_WHY_BYTES]);

/* Whether windows are kept there. */
bool redis_keeps_windows(const struct weir_redis_target *target);
/* The value of a field of INFO: empty when it is not there. */
struct weir_str redis_info_field(const redisReply *info, const char *name);

#endif
