/* SPDX-License-Identifier: Apache-2.0 */
/* roll.h - the names of the subjects of which this process has a record: the table keeps only their
 * hashes, and whoever goes over to a new primary must name them. Thread-safe, bounded. */
#ifndef WEIR_STORE_ROLL_H
#define WEIR_STORE_ROLL_H

#include <stdbool.h>
#include <stdint.h>

#include "limit/subject.h"

struct weir_roll;

/* A subject with room for its texts. */
struct weir_roll_entry {
    struct weir_subject subject;
    char text[2 * WEIR_SUBJECT_NAME_MAX];
};

/* `is_held` says whether there is still a record of a subject: with `max` of them, one without is
 * forgotten to make room. */
WEIR_MUSTCHECK enum weir_err
weir_roll_new(uint64_t max, bool (*is_held)(void *ctx, const struct weir_subject *subject),
              void *ctx, struct weir_roll **ret_roll);
/* NULL is allowed. */
void weir_roll_free(struct weir_roll *roll);
/* Its texts are copied, its plan is kept; one that is there is renewed. False: no memory,
 * or no room. */
bool weir_roll_add(struct weir_roll *roll, const struct weir_subject *subject);
/* The next subject at or after *at, which is moved behind it. False: there is none. Whoever begins
 * with 0 sees each that is there all the while once. Its plan is kept for the caller, who lets it
 * go (weir_plan_let_go). */
bool weir_roll_next(struct weir_roll *roll, uint32_t *at, struct weir_roll_entry *ret_entry);

#endif
