/* SPDX-License-Identifier: Apache-2.0 */
/* resp.h - a reply as hiredis reads it from the bytes of a server. */
#ifndef WEIR_TESTS_SUPPORT_RESP_H
#define WEIR_TESTS_SUPPORT_RESP_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* hiredis makes room for as many elements as an array promises: that is not what fuzzers test. */
static inline bool resp_promises_much(const uint8_t *data, size_t size)
{
    unsigned digits = 0;
    bool length = false;
    for (size_t i = 0; i < size && digits < 5; i++) {
        length = data[i] == '*' || (length && data[i] >= '0' && data[i] <= '9');
        digits = length && data[i] != '*' ? digits + 1 : 0;
    }
    return digits >= 5;
}

#endif
