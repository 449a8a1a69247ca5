/* SPDX-License-Identifier: Apache-2.0 */
/* embedded.h - the windows of all subjects in this process: a table of packed values under striped
 * locks. Thread-safe, bounded, no I/O, no clock. Time is the caller's, one non-decreasing clock. */
#ifndef WEIR_STORE_EMBEDDED_EMBEDDED_H
#define WEIR_STORE_EMBEDDED_EMBEDDED_H

#include <stdbool.h>
#include <stdint.h>

#include "limit/decision.h"
#include "limit/subject.h"

struct weir_embedded;

struct weir_embedded_opts {
    uint64_t max_subjects; /* at the bound idle subjects go first; one with usage never */
};

/* WEIR_ERR_NOMEM; WEIR_ERR_INVALID for max_subjects 0 or above 2^31. */
WEIR_MUSTCHECK enum weir_err weir_embedded_new(const struct weir_embedded_opts *opts,
                                               struct weir_embedded **ret_table);
/* NULL is allowed. */
void weir_embedded_free(struct weir_embedded *table);

/* Keeps a place for this subject: it is never refused. WEIR_ERR_LIMIT when all places are taken.
 * One that is held already stays as it is. */
WEIR_MUSTCHECK enum weir_err weir_embedded_reserve(struct weir_embedded *table,
                                                   const struct weir_subject *subject);

/* Its place is kept no longer than it has usage. */
void weir_embedded_release(struct weir_embedded *table, const struct weir_subject *subject);

/* Charges all subjects or none. All amounts 0: a look. WEIR_OK: *d is set. WEIR_ERR_LIMIT: no
 * place for a new subject; WEIR_ERR_NOMEM: no memory; nothing was charged then. No subject twice.
 */
WEIR_MUSTCHECK enum weir_err weir_embedded_take(struct weir_embedded *table,
                                                const struct weir_subject *const *subject,
                                                unsigned subjects, const struct weir_amounts *a,
                                                uint64_t now_us, struct weir_decision *d);
/* The decision that take would make now, and nothing changes. WEIR_ERR_LIMIT as take's. */
WEIR_MUSTCHECK enum weir_err weir_embedded_probe(struct weir_embedded *table,
                                                 const struct weir_subject *const *subject,
                                                 unsigned subjects, const struct weir_amounts *a,
                                                 uint64_t now_us, struct weir_decision *d);
/* As take, but charges whether it fits or not (what another authority has allowed). */
WEIR_MUSTCHECK enum weir_err weir_embedded_record(struct weir_embedded *table,
                                                  const struct weir_subject *const *subject,
                                                  unsigned subjects, const struct weir_amounts *a,
                                                  uint64_t now_us);
/* Replaces what was reserved at at_us by what was used: lower in that entry, an excess now.
 * *ret_debt: the tokens charged beyond the reservation. Errors as take, only for an excess. */
WEIR_MUSTCHECK enum weir_err
weir_embedded_settle(struct weir_embedded *table, const struct weir_subject *const *subject,
                     unsigned subjects, uint64_t at_us, const struct weir_amounts *reserved,
                     const struct weir_amounts *used, uint64_t now_us, uint64_t *ret_debt);
/* Copies the subject's packed value (limit/window.h) as its last charge left it. Its length; 0: the
 * subject is not held, or has nothing. room: at least WEIR_VALUE_MAX. */
size_t weir_embedded_copy(struct weir_embedded *table, const struct weir_subject *subject,
                          uint8_t *to, size_t room);
/* The subject has used nothing, as if it had never come. */
void weir_embedded_reset(struct weir_embedded *table, const struct weir_subject *subject);
/* Subjects held now, reserved ones included. */
uint64_t weir_embedded_subjects(const struct weir_embedded *table);
/* Bytes held by the table and its values. */
uint64_t weir_embedded_bytes(struct weir_embedded *table);

#endif
