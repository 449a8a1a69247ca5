/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - one run: connects, sends what is due, ends in time or on SIGINT or SIGTERM. */
#ifndef WEIR_LOADGEN_RUN_H
#define WEIR_LOADGEN_RUN_H

#include "loadgen/record.h"
#include "loadgen/tally.h"

enum { WEIR_LOAD_RUN_ERROR_BYTES = 320 };

/* Fills `t`, which is initialised, and `record`, unless that is NULL. `trace`: at its first row;
 * NULL: requests are due by the rate. progress: draw a bar on stderr. False: the run could not
 * begin and `error` says why. One run at a time: it holds the signals. */
WEIR_MUSTCHECK bool weir_load_run(const struct weir_load_options *o, struct weir_load_trace *trace,
                                  struct weir_load_tally *t, struct weir_load_record *record,
                                  bool progress, char error[WEIR_LOAD_RUN_ERROR_BYTES]);

#endif
