/* SPDX-License-Identifier: Apache-2.0 */
/* replay_report.h - what came of a replay, for people and for programs. */
#ifndef WEIR_SIM_REPLAY_REPORT_H
#define WEIR_SIM_REPLAY_REPORT_H

#include <stdio.h>

#include "sim/replay.h"

struct weir_replay_report {
    const struct weir_replay_options *options;
    const struct weir_replay_result *result; /* WEIR_REPLAY_RULES of them */
};

void weir_replay_text(const struct weir_replay_report *r, FILE *out);
void weir_replay_json(const struct weir_replay_report *r, FILE *out);

#endif
