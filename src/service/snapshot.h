/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.h - a configuration as one worker uses it. A request keeps the one that it began with
 * until it is over; what is charged or settled later than that goes by the present one, so that no
 * window falls back to limits of before. Private to service; one worker's, but for the making. */
#ifndef WEIR_SERVICE_SNAPSHOT_H
#define WEIR_SERVICE_SNAPSHOT_H

#include "config/config.h"

struct weir_service;
struct weir_call;
struct weir_anonymous;

/* A secret that was found before, by its hash under this process's random secret. */
struct weir_auth_slot {
    uint64_t hash[2];
    const struct weir_key *key;
};

struct weir_snapshot {
    struct weir_config *config;  /* kept */
    struct weir_auth_slot *auth; /* open addressing, half full at most: a slot for each key */
    uint32_t auth_slots;         /* a power of two */
    uint32_t users;              /* the service while it is the present one, and its requests */
};

/* Used once, by its maker. Any thread. NULL: no memory. */
struct weir_snapshot *weir_snapshot_new(struct weir_config *config);
/* The present one, used once more. */
struct weir_snapshot *weir_snapshot_keep(struct weir_service *s);
/* NULL is allowed. */
void weir_snapshot_let_go(struct weir_snapshot *snapshot);

/* The subjects of a call that was decided by *snapshot as the present configuration has them, which
 * *snapshot is then; as they were, when one of them is there no more. Not while a call of theirs is
 * pending. */
void weir_snapshot_renew(struct weir_service *s, struct weir_snapshot **snapshot,
                         struct weir_call *call, struct weir_anonymous *a);

#endif
