/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - what an audit found, for people and for programs. */
#ifndef WEIR_VERIFY_REPORT_H
#define WEIR_VERIFY_REPORT_H

#include <stdio.h>

#include "limit/plan.h"
#include "verify/audit.h"

struct weir_verify_report {
    const struct weir_audit *audit; /* arranged */
    const struct weir_plan *plan;   /* the limits that hold for every subject */
    bool judged;                    /* false: the plan only names windows, nothing is over */
};

/* Write one row for each subject and limit, ascending. Return in how many of them the worst window
 * holds more than the limit. */
uint64_t weir_verify_text(const struct weir_verify_report *r, FILE *out);
uint64_t weir_verify_json(const struct weir_verify_report *r, FILE *out);

#endif
