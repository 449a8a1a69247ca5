/* SPDX-License-Identifier: Apache-2.0 */
/* upstream.h - which upstream gets a request: by model, weight and cool-down. Each worker has a set
 * of its own, and another one when the configuration changes: a request keeps the one that it began
 * with. Pure: time and randomness are arguments. Not thread-safe, but for the stats. */
#ifndef WEIR_GATEWAY_UPSTREAM_H
#define WEIR_GATEWAY_UPSTREAM_H

#include <stdatomic.h>

#include "base/hist.h"
#include "base/rand.h"
#include "config/config.h"

enum {
    WEIR_UPSTREAM_WAITS = 64,                 /* models per upstream that were told to wait */
    WEIR_UPSTREAM_COOL_MS = 1000,             /* after the first failure; doubles with each */
    WEIR_UPSTREAM_COOL_MAX_MS = 30000,        /* and ends here */
    WEIR_UPSTREAM_RETRY_MAX_MS = 3600 * 1000, /* what an upstream may tell us to wait */
};

/* Why an answer did not come, or ended early. */
enum weir_upstream_failure {
    WEIR_UPSTREAM_CONNECT, /* no address, no connection, no TLS */
    WEIR_UPSTREAM_BROKEN,  /* the connection or its answer ended early */
    WEIR_UPSTREAM_SILENT,  /* timeout_ms */
    WEIR_UPSTREAM_FAILURES,
};

/* "connect", "broken", "silent". */
const char *weir_upstream_failure_name(enum weir_upstream_failure failure);

/* The owner writes (relaxed), /metrics reads from any thread. */
struct weir_upstream_stats {
    _Atomic uint64_t responses[6]; /* by status / 100 */
    _Atomic uint64_t failures[WEIR_UPSTREAM_FAILURES];
    struct weir_hist first_byte; /* from sending to the answer's head */
};

/* A model that the upstream refused with a time. Found by its hash, so that names from outside make
 * no state beyond this. */
struct weir_upstream_wait {
    uint64_t model_hash;
    uint64_t until_ms;
};

/* How it does. Sets that follow each other share those of the same name. */
struct weir_upstream_state {
    uint64_t cool_until_ms; /* passed over until then, when there is another */
    uint32_t failures;      /* in a row */
    uint32_t users;         /* sets */
    struct weir_upstream_wait wait[WEIR_UPSTREAM_WAITS]; /* by the hash's low bits */
    struct weir_upstream_stats stats;
};

struct weir_upstream {
    const struct weir_upstream_config *config;
    struct weir_upstream_state *state;
};

/* Sets of upstreams are bits: at most WEIR_CONFIG_UPSTREAMS_MAX. */
_Static_assert(WEIR_CONFIG_UPSTREAMS_MAX == 64, "a set of upstreams is 64 bits");

struct weir_upstream_set {
    uint32_t users;
    size_t upstreams;
    struct weir_upstream_config *config; /* copies: it outlives the snapshot */
    struct weir_upstream *upstream;
    struct weir_rand rand;
};

/* Used once, by its maker. Any thread. NULL: no memory. */
struct weir_upstream_set *weir_upstream_set_new(const struct weir_config *config, uint64_t seed);
struct weir_upstream_set *weir_upstream_set_keep(struct weir_upstream_set *set);
/* NULL is allowed. */
void weir_upstream_set_let_go(struct weir_upstream_set *set);
/* `set` takes the place of `before`, both of one worker: who has the same name is counted on, and
 * who is the same server with the same key cools on. Once, before `set` is used. */
void weir_upstream_set_follow(struct weir_upstream_set *set,
                              const struct weir_upstream_set *before);

/* Those that are the built-in model, as a set. */
uint64_t weir_upstream_mocks(const struct weir_upstream_set *set);

/* The upstream for this model that is in none of `without`: of those that are not cooling one by
 * weight, else the one that cools soonest, but for those that told us to wait with this model.
 * WEIR_ERR_NOT_FOUND: none serves it; WEIR_ERR_UNAVAILABLE: all told us to wait, the first for
 * another *ret_wait_ms. now_ms: any clock that does not go back, the same for all calls. */
WEIR_MUSTCHECK enum weir_err weir_upstream_choose(struct weir_upstream_set *set,
                                                  struct weir_str model, uint64_t without,
                                                  uint64_t now_ms, unsigned *ret_upstream,
                                                  uint64_t *ret_wait_ms);
/* The same for a request that another failed: only one that is not cooling. */
WEIR_MUSTCHECK enum weir_err weir_upstream_instead(struct weir_upstream_set *set,
                                                   struct weir_str model, uint64_t without,
                                                   uint64_t now_ms, unsigned *ret_upstream);

/* It answered, with neither 429 nor 5xx. */
void weir_upstream_answered(struct weir_upstream *u);
/* It failed, or answered 5xx; retry_ms: what it said, 0: nothing. */
void weir_upstream_failed(struct weir_upstream *u, uint64_t retry_ms, uint64_t now_ms);
/* It answered 429 for this model. With a time the model waits for it; else the upstream cools. */
void weir_upstream_limited(struct weir_upstream *u, struct weir_str model, uint64_t retry_ms,
                           uint64_t now_ms);

#endif
