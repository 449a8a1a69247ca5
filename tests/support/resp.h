/* SPDX-License-Identifier: Apache-2.0 */
/* resp.h - a reply as hiredis reads it from the bytes of a server. */
#ifndef WEIR_TESTS_SUPPORT_RESP_H
#define WEIR_TESTS_SUPPORT_RESP_H

#include <hiredis/hiredis.h>
#include <stddef.h>

/* NULL when it is no whole reply. Free with freeReplyObject. */
static inline redisReply *resp_read(const char *bytes, size_t len)
{
    void *reply = NULL;
    redisReader *reader = redisReaderCreate();
    if (redisReaderFeed(reader, bytes, len) != REDIS_OK ||
        redisReaderGetReply(reader, &reply) != REDIS_OK) {
        reply = NULL;
    }
    redisReaderFree(reader);
    return reply;
}

#endif
