/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - the registry, as its parts share it. Private to registry.
 *   registry.c     its life, and what both homes do
 *   file.c         the file
 *   file_home.c    entries that live in the file
 *   redis_home.c   entries that live in Redis: changes, and who waits for what
 *   redis_read.c   what has changed there, page by page
 *   redis_restore.c  a Redis that has lost them */
#ifndef WEIR_REGISTRY_INTERNAL_H
#define WEIR_REGISTRY_INTERNAL_H

#include <hiredis/hiredis.h>

#include "base/log.h"
#include "registry/file.h"
#include "registry/registry.h"
#include "store/redis/over.h"
#include "store/redis/shards.h"

enum {
    REGISTRY_POLL_MS = 250,
    REGISTRY_COPY_EVERY = 4, /* polls, at least, between two copies */
    REGISTRY_VERSION_MAX = 24,
};

/* What a command to Redis is. */
enum registry_ask {
    ASK_VERSION,
    ASK_PAGE,
    ASK_WRITE,
    ASK_RESTORE,
};

/* What lives in Redis. */
struct registry_redis {
    struct weir_redis_shards *shards;
    bool asks;                          /* a command is under way */
    bool away;                          /* who serves the keys, when it was tried last */
    bool known;                         /* all was read since the connection is there */
    struct weir_redis_identity from;    /* the server that was read from */
    char version[REGISTRY_VERSION_MAX]; /* that was read; empty: Redis has no registry */
    struct weir_entries *pages;         /* what is read so far; NULL: nothing is */
    char page[REGISTRY_VERSION_MAX];    /* up to this version */
    bool whole;                         /* from the start on */
    char floor[REGISTRY_VERSION_MAX];   /* up to this version deleted ones were forgotten then */
    size_t restored;                    /* entries that were written back so far */
    char restorer[33];
    unsigned wait; /* polls before writing back is tried again */
};

struct weir_registry {
    const struct weir_config *config;
    struct weir_registry_owner owner;
    struct weir_entries *entries; /* as told last */
    bool up;                      /* in reach when it was looked at last */
    struct weir_log_gate gate;
    uv_timer_t poll;
    struct weir_registry_change *first, **last; /* that wait for their turn */
    struct weir_registry_change *turn;          /* whose it is; NULL: nobody's */
    bool goes_on;                               /* within registry_go_on */
    struct weir_file_mark mark;                 /* the file as it was read or written last */
    bool lives_in_redis;
    bool copy_due;       /* the file is older than the entries */
    unsigned copy_after; /* polls */
    struct registry_redis redis;
    void (*on_first)(struct weir_registry *r); /* all was read, or it cannot be; NULL: over */
    unsigned first_polls;                      /* how long that may take still */
    bool closed;
};

/* These hold from now on; taken over. */
void registry_tell(struct weir_registry *r, struct weir_entries *entries);
/* Goes on with the changes that wait, unless something is under way. */
void registry_go_on(struct weir_registry *r);
/* Makes the change whose turn it is. False: it is over. */
bool registry_make(struct weir_registry *r);
/* The change whose turn it is is over. */
void registry_done(struct weir_registry *r, enum weir_registry_result result, const char *why);
/* Whoever waits for the first reading waits no more: may close it. */
void registry_first_over(struct weir_registry *r);
/* Or waits from now on. */
void registry_first_waits(struct weir_registry *r);
/* It is in reach, or not any more, which is said. */
void registry_up(struct weir_registry *r);
void registry_down(struct weir_registry *r, const char *why);

/* file_home.c */
void registry_file_poll(struct weir_registry *r);
void registry_file_change(struct weir_registry *r);

/* redis_home.c */
WEIR_MUSTCHECK enum weir_err registry_redis_open(struct weir_registry *r, struct weir_loop *loop);
void registry_redis_close(struct weir_registry *r);
void registry_redis_poll(struct weir_registry *r);
/* Writes the change whose turn it is, or ends it. */
void registry_redis_change(struct weir_registry *r);
/* One call of the script; further words behind those of the operation. False: not sent. */
bool registry_redis_call(struct weir_registry *r, enum registry_ask ask,
                         const struct weir_str *word, unsigned words);

/* redis_read.c */
void registry_read_begin(struct weir_registry *r, bool from_the_start);
void registry_read_page(struct weir_registry *r, const redisReply *reply);
/* What is read so far stays, and the same server is asked for the rest. */
void registry_read_pause(struct weir_registry *r);
void registry_read_go_on(struct weir_registry *r);
void registry_read_drop(struct weir_registry *r);

/* redis_restore.c */
void registry_restore(struct weir_registry *r);
void registry_restored(struct weir_registry *r, const redisReply *reply);

#endif
