/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - what a simulation found, for people and for programs. */
#ifndef WEIR_SIM_REPORT_H
#define WEIR_SIM_REPORT_H

#include <stdio.h>

#include "sim/world.h"

struct weir_sim_report {
    const struct weir_sim_options *options;
    const struct weir_sim_result *result;
    double took_s;         /* of real time */
    uint64_t memory_bytes; /* at most */
};

void weir_sim_text(const struct weir_sim_report *r, FILE *out);
void weir_sim_json(const struct weir_sim_report *r, FILE *out);

#endif
