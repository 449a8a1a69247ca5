/* SPDX-License-Identifier: Apache-2.0 */
/* audit.h - admitted charges, and the worst window of any length in them. A charge is counted in a
 * half-open window [a, a + W) only when all of [sent, received] lies in it: what is reported was
 * surely used within one window, and what was perhaps used there is not. Pure; one owner. Adding n
 * charges and one question about all of them take O(n log n) together, each further question O(n).
 *
 * Memory: 60 bytes a charge and the names of the subjects, while an array grows up to half as much
 * again. */
#ifndef WEIR_VERIFY_AUDIT_H
#define WEIR_VERIFY_AUDIT_H

#include "verify/names.h"
#include "verify/record.h"

enum { WEIR_AUDIT_CHARGES_MAX = 1 << 27 };

struct weir_audit {
    struct weir_names subjects;
    uint32_t charges;
    uint64_t first_us, last_us; /* of all */

    struct weir_audit_charge *_charge;
    uint32_t *_by_sent, *_by_received; /* charges by subject, then by this time */
    uint32_t *_begin;                  /* subjects + 1: where each begins in both */
    uint32_t *_by_name;                /* subjects */
    uint32_t _room;
    uint64_t _total[WEIR_METERS];
};

/* The window of one meter: where it begins (with a charge), what was surely used within it, and in
 * how many charges. All 0 when no charge lies surely in any window. */
struct weir_audit_worst {
    uint64_t start_us;
    uint64_t sum;
    uint32_t charges;
};

struct weir_audit_found {
    struct weir_audit_worst worst[WEIR_METERS]; /* the first of equals */
    uint32_t too_long; /* charges that took W or longer: no window has them surely within */
};

void weir_audit_init(struct weir_audit *a);
void weir_audit_deinit(struct weir_audit *a);

/* WEIR_ERR_LIMIT: WEIR_AUDIT_CHARGES_MAX are there, or the sum of a meter over all of them passes
 * 64 bits; WEIR_ERR_NOMEM. */
WEIR_MUSTCHECK enum weir_err weir_audit_add(struct weir_audit *a, const struct weir_record *r);
/* Once, after the last was added and before questions. WEIR_ERR_NOMEM. */
WEIR_MUSTCHECK enum weir_err weir_audit_arrange(struct weir_audit *a);
/* The subject's name; subjects count from 0 to subjects.count - 1 in the order of their names. */
struct weir_str weir_audit_subject(const struct weir_audit *a, uint32_t subject);
/* The worst windows of this length, by meter. */
void weir_audit_worst(const struct weir_audit *a, uint32_t subject, uint64_t window_us,
                      struct weir_audit_found *ret_found);

#endif
