/* SPDX-License-Identifier: Apache-2.0 */
/* registry.h - where plans, orgs, teams and keys live that are made and changed while nodes run.
 * With a Redis store they are there, and the file that the configuration names is this node's copy,
 * from which it starts while Redis is away; else they are in that file. Follows what others change,
 * four times a second. Everything belongs to the loop's thread. */
#ifndef WEIR_REGISTRY_REGISTRY_H
#define WEIR_REGISTRY_REGISTRY_H

#include "config/config.h"
#include "net/loop.h"

struct weir_registry;

enum weir_registry_result {
    WEIR_REGISTRY_DONE,
    WEIR_REGISTRY_UNAVAILABLE, /* out of reach or refused: what `why` says. Without an answer it may
                                * have been done */
};

/* A change of one entry. The caller owns it and leaves it alone until it is over. */
struct weir_registry_change {
    /* in */
    /* Its turn has come: makes `entry` by what weir_registry_entries says now; its bytes live until
     * it is over. Again when others have changed something before it was written. False: it is
     * over, and is not done. Perhaps before _change returns, as `done` is. */
    bool (*make)(struct weir_registry_change *change);
    void (*done)(struct weir_registry_change *change); /* it is over, other than by `make` */
    void *ctx;
    struct weir_entry_change entry;
    /* out */
    enum weir_registry_result result;
    char why[256]; /* a sentence without secrets; empty when done */
    /* the registry's own */
    struct weir_registry_change *next;
};

struct weir_registry_owner {
    void *ctx;
    /* These hold now; never before _open returns. Keep what is to stay. Before `done` of the change
     * that made them. */
    void (*on_entries)(void *ctx, struct weir_entries *entries);
    /* NULL: nobody asks. It is in reach, or not any more; what was told stays in force. */
    void (*on_reach)(void *ctx, bool up);
};

/* What is there before a node serves: from Redis, within about the connect time-out, else from the
 * file; no file: an empty list. Blocks. WEIR_ERR_INVALID: the file is no registry. On any
 * failure ret_why says what is wrong. */
WEIR_MUSTCHECK enum weir_err weir_registry_first(const struct weir_config *config,
                                                 struct weir_entries **ret_entries, char *ret_why,
                                                 size_t room);

/* config (with a registry) outlives it. first: what weir_registry_first read. */
WEIR_MUSTCHECK enum weir_err weir_registry_open(const struct weir_config *config,
                                                struct weir_loop *loop, struct weir_entries *first,
                                                const struct weir_registry_owner *owner,
                                                struct weir_registry **ret_registry);
/* Nothing of it keeps the loop alive any more; changes that wait are not done and not answered.
 * NULL is allowed. */
void weir_registry_close(struct weir_registry *r);

/* As they were last told. */
struct weir_entries *weir_registry_entries(const struct weir_registry *r);
/* Makes the change when its turn has come: they wait for each other. */
void weir_registry_change(struct weir_registry *r, struct weir_registry_change *change);

#endif
