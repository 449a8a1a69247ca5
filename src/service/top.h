/* SPDX-License-Identifier: Apache-2.0 */
/* top.h - who is busy and who is denied: what each worker saw of its busiest 128 subjects and 64
 * most frequent denials, however many there are. A place goes to whoever comes most often, by
 * limit/sketch.h; weights are halved at each minute's end, so that nearly all of a weight (94 %) is
 * of the last four minutes. Counts are of the time since a subject has its place: those of a
 * subject that has had more than a 128th of all weight are complete, others may have begun late.
 *
 * A subject is every key, team, org and model whose limits a request asked, and is found by its id.
 * Looks, and requests that the store did not decide, count nowhere.
 *
 * The worker that owns one writes, any thread reads; both hold its lock, readers for as long as it
 * takes to copy 128 rows. Writing allocates nothing; a decision costs 19 ns with one busy subject,
 * 58 ns with four, 121 ns where a million keys come alike (bench_top). All times are arguments:
 * minutes of Unix time. When that clock steps back, what follows counts in the minutes that it
 * says. */
#ifndef WEIR_SERVICE_TOP_H
#define WEIR_SERVICE_TOP_H

#include <stddef.h>

#include "config/scope.h"
#include "store/store.h"

enum {
    WEIR_TOP_SUBJECTS = 128,
    WEIR_TOP_DENIALS = 64,
    WEIR_TOP_MINUTES = 60,
    WEIR_TOP_METERS = WEIR_METER_OUTPUT_TOKENS + 1, /* total_tokens is the sum of two others */
};

struct weir_top;
struct weir_service_group;

WEIR_MUSTCHECK enum weir_err weir_top_new(struct weir_top **ret_top);
/* NULL is allowed. */
void weir_top_free(struct weir_top *t);

/* ---- the worker's thread ---- */

/* A decision: what an allowed one charges counts as used until it is settled. */
void weir_top_decided(struct weir_top *t, const struct weir_call *call, uint32_t minute);
/* `used` stands for what was `reserved`. More counts in this minute; less is taken from the newest
 * minutes that have it, since those were charged. */
void weir_top_settled(struct weir_top *t, const struct weir_subject *const *subject,
                      unsigned subjects, const struct weir_amounts *reserved,
                      const struct weir_amounts *used, uint32_t minute);

/* ---- any thread: sums over all workers ---- */

/* One minute of a subject. */
struct weir_top_minute {
    uint32_t minute; /* Unix time / 60 */
    uint64_t allowed, denied;
    uint64_t used[WEIR_TOP_METERS]; /* charged, and corrected by settling */
};

struct weir_top_subject {
    uint64_t id[2];
    char name[WEIR_SUBJECT_NAME_MAX + 1];
    enum weir_scope scope;
    /* Its decisions of the last minutes, decayed, in 1 / WEIR_SKETCH_ONE: `recent` at least, and
     * recent + error at most. */
    uint64_t recent, error;
    /* Since it has its place. Denied: by a limit of this meter, of this subject or of another one
     * that the same request has. */
    uint64_t allowed, denied[WEIR_METERS];
    uint64_t used[WEIR_TOP_METERS];
    struct weir_top_minute last; /* the last whole minute */
};

/* Denials by one limit. */
struct weir_top_denial {
    uint64_t id[2]; /* of all three */
    char name[WEIR_SUBJECT_NAME_MAX + 1];
    enum weir_meter meter;
    uint32_t window_s;
    uint64_t recent, error; /* as those of a subject */
    uint64_t count;         /* since it has its place */
};

/* The busiest subjects of these scopes (bits 1 << enum weir_scope) by `recent`, at most `rooms`:
 * how many. A subject of none of the last minutes is not among them. */
WEIR_MUSTCHECK enum weir_err weir_top_merge(const struct weir_service_group *g, uint32_t minute,
                                            unsigned scopes, size_t rooms,
                                            struct weir_top_subject *ret_subject, size_t *ret_n);
/* The most frequent denials, at most `rooms`: how many. */
WEIR_MUSTCHECK enum weir_err weir_top_denials(const struct weir_service_group *g, uint32_t minute,
                                              size_t rooms, struct weir_top_denial *ret_denial,
                                              size_t *ret_n);
/* Those of the last 60 minutes in which the subject did anything, oldest first: how many. None for
 * a subject that has no place. */
size_t weir_top_history(const struct weir_service_group *g, struct weir_str name, uint32_t minute,
                        struct weir_top_minute ret_minute[static WEIR_TOP_MINUTES]);
/* All subjects that have a place, in no order; weir_free. Thread-safe, as the others. */
WEIR_MUSTCHECK enum weir_err weir_top_all(const struct weir_service_group *g, uint32_t minute,
                                          struct weir_top_subject **ret_subject, size_t *ret_n);
/* What all subjects of a scope did in the last whole minute, those without a place too. */
void weir_top_total(const struct weir_service_group *g, uint32_t minute, enum weir_scope scope,
                    struct weir_top_minute *ret_total);

#endif
